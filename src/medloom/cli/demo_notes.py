"""`medloom demo notes`: from notes in two languages to rows of a table and FHIR resources, with nothing downloaded."""

from __future__ import annotations

import csv
import time
from collections import Counter
from pathlib import Path
from typing import Final

from medloom.cli import screen
from medloom.cli.noting import extracted, list_doubtful, show_facts, write_fhir
from medloom.foundation.messages import tr

# Written for this demo; the persons, their numbers and their hospitals are made up.
_NOTES: Final = (
    (
        "A-1",
        "2024-03-05",
        "Discharge summary",
        "Name: Ann Lee   MRN: 0012345\n"
        "Chief complaint: chest pain.\n"
        "History: 64-year-old woman with hypertension and type 2 diabetes mellitus. No fever, denies cough. "
        "Mother had breast cancer. Possible pneumonia on admission, ruled out later.\n"
        "Examination: BP 142/86 mmHg, HR 88/min, T 37.1 °C, SpO2 96 %.\n"
        "Results: creatinine 1.3 mg/dL, HbA1c 8.1 %, potassium 4.2 mmol/L.\n"
        "Allergies: penicillin (rash).\n"
        "Discharge medications: metformin 500 mg p.o. b.i.d., aspirin 81 mg p.o. daily, "
        "amoxicillin 500 mg p.o. t.i.d. for 7 days was stopped.\n",
    ),
    (
        "A-1",
        "2024-06-11",
        "Progress note",
        "Follow-up of hypertension and diabetes. Smokes half a pack a day for 30 years. BP 128/78 mmHg. "
        "HbA1c 7.2 %. No chest pain since. Glucose 142. Continue metformin 1000 mg p.o. b.i.d.\n"
        "Dr. Mary Stone, St. Mary Hospital\n",
    ),
    (
        "B-7",
        "2024-04-02",
        "出院小结",
        "姓名：王小明  住院号：ZY204417  电话：13812345678\n"
        "主诉：反复胸闷3天。\n"
        "现病史：患者3天前无明显诱因出现胸闷，无发热，否认咳嗽。\n"
        "既往史：高血压10年，2型糖尿病5年；否认冠心病。家族史：父亲有胃癌。\n"
        "过敏史：青霉素过敏。\n"
        "体格检查：体温36.8℃，脉搏82次/分，血压150/95mmHg。\n"
        "辅助检查：血肌酐 98 μmol/L，糖化血红蛋白 7.9%，白细胞 6.2×10^9/L。\n"
        "诊断：1. 高血压病 2. 2型糖尿病 3. 肺炎待排\n"
        "出院带药：阿司匹林肠溶片 100mg 口服 每日一次；二甲双胍 0.5g 口服 每日两次。\n",
    ),
    (
        "B-7",
        "2024-07-15",
        "门诊病历",
        "复诊。无胸闷，无头痛。吸烟20年，每日10支。血压132/84mmHg。继续服用二甲双胍 0.5g 口服 每日两次。\n",
    ),
)


def show(folder: Path) -> None:
    """Go the whole way in a folder that is empty."""
    started = time.perf_counter()
    from medloom import importers
    from medloom.care.notes.asking import facts_where
    from medloom.record.deidentify.identifiers import identifiers
    from medloom.site import Site

    site = Site.create(folder)
    screen.heading(tr("1  Notes: {n} that were written for this demo, in English and Chinese", n=len(_NOTES)))
    table = folder / "notes.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "time", "type", "text"])
        writer.writerows(_NOTES)
    with screen.showing_progress():
        screen.say(str(site.record.add(importers.named("notes", table))))
    screen.heading(tr("2  What in them could name a person"))
    kinds = Counter(one.kind for _, _, _, text in _NOTES for one in identifiers(text))
    screen.table([tr("identifier"), tr("number")], [(kind, n) for kind, n in kinds.most_common()], right=[1])
    screen.heading(
        tr("3  Facts, each with its words; what is denied, a relative's or doubted has another code")
    )
    extracted(site, ["own"], quiet=False)
    facts = facts_where(site.record)
    bundle = folder / "facts.fhir.json"
    show_facts(facts, 0, None)
    screen.heading(tr("4  What is not sure waits for a person"))
    list_doubtful(site, json=False)
    screen.heading(tr("5  Asked in SQL: who has diabetes?"))
    show_facts(facts_where(site.record, "code like 'ICD10CM//E11%'"), 0, None)
    write_fhir(site, facts, bundle)
    screen.heading(tr("Done in {seconds:.0f} s", seconds=time.perf_counter() - started))
    shown = [(bundle, tr("the facts as FHIR R4, with where each comes from"))]
    screen.table([tr("open"), tr("what it shows")], shown)
    screen.heading(tr("try next"))
    again = screen.program()
    for what, command in (
        (tr("all of ICD-10-CM and HPO beside our own words"), f"{again} facts --extract --site {folder}"),
        (tr("what is denied"), f"{again} facts --where \"code like 'NOT//%'\" --site {folder}"),
    ):
        screen.say(what)
        screen.command(command)
