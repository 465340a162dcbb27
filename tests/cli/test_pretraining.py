"""A body pretrained and fitted to tasks, from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.conftest import TASK, done, refused


def test_tasks_start_from_the_body_that_was_pretrained_and_are_learned_together(own_site: Path) -> None:
    quick = ["--objective", "next-event", "--epochs", 1, "--precision", "bf16"]
    assert "There is no encoder yet" in done("encoders", folder=own_site)
    said = done("pretrain", *quick, folder=own_site)
    assert re.search(r"step +(\d+) of \1 ", said) and "--zero-shot" not in said
    (encoder,) = json.loads(done("encoders", "--json", folder=own_site))["encoders"]
    assert encoder["name"] == "timelines@1" and encoder["step"] == "moment" and not encoder["zero_shot"]
    assert 0 < encoder["patients"] < encoder["facts"]
    assert "next-event" in done("encoders", folder=own_site)
    longer = done("task", TASK, folder=own_site).replace("30d", "90d")
    (own_site / "tasks").mkdir(exist_ok=True)
    (own_site / "tasks" / "readmission-90d.yaml").write_text(longer, encoding="utf-8")
    both = ["train", TASK, "--with", "readmission-90d"]
    assert "--learner timeline" in refused(*both, folder=own_site)
    said = done(*both, "-l", "timeline", "--adapt", "lora", "-p", "epochs=1", folder=own_site)
    assert "Starts from encoder timelines@1." in said
    assert f"Learned {TASK}.timeline@1" in said and "Learned readmission-90d.timeline@1" in said
