"""Which notes tell of something the patient has: a recurrent network and a fine-tuned encoder, side by side."""

import random
from pathlib import Path

import medloom as ml

rows, rng = ["text,patient,time,label"], random.Random(0)
for n in range(160):  # notes that are made up; name your own table
    label, verb = rng.choice([("ill", "reports"), ("well", "denies")])
    rows.append(f"Seen today. She {verb} {rng.choice(['pain', 'a cough', 'fever'])}.,P{n},2024-05-01,{label}")
Path("notes.csv").write_text("\n".join(rows), encoding="utf-8")
site = ml.Site.create("clinic")
site.record.add(ml.importers.notes("notes.csv"))
(site.directory.tasks / "ill.yaml").write_text("""\
name: ill
kind: binary
title: {en: Tells of a complaint, zh: 有不适主诉}
prediction_time: {event: [NOTE//*], which: every}
predict: {of: note, event: [FINDING//ill]}
""")
networks = {"bilstm-crf": {"width": 64, "epochs": 8}, "encoder": {"epochs": 2, "adapt": "lora"}}
for learner, settings in networks.items():
    print(ml.evaluate(ml.train(site.task("ill"), learner, **settings, ranges=False)))
