"""From notes in two languages to a table of facts, each with its words; what is denied has another code."""

from pathlib import Path

import medloom as ml
from medloom.care.notes.asking import facts_where
from medloom.care.notes.facts import keep_facts
from medloom.learners.text.facts.rules import RuleFinder

folder = Path("letters")
folder.mkdir()
(folder / "P1.txt").write_text(
    "Type 2 diabetes, no fever. Metformin 500 mg p.o. b.i.d. HbA1c 8.1 %. BP 142/86."
)
chinese = "主诉：胸闷3天。否认糖尿病。血压150/95mmHg。阿司匹林 100mg 口服 每日一次。"
(folder / "P2.txt").write_text(chinese, encoding="gb18030")
site = ml.Site.create("clinic")
site.record.add(ml.importers.notes(folder, patient="(P[0-9]+)", date="2024-05-01"))
keep_facts(site.record, [RuleFinder(())])  # our own words; RuleFinder() adds ICD-10-CM and HPO
facts = facts_where(site.record)
for row in facts.select("subject_id", "code", "numeric_value", "unit", "words", "span").iter_rows():
    print(*row)
print(facts_where(site.record, "code like 'ICD10CM//E11%'").height, "patient with diabetes")
