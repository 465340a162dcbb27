"""Every example is short, and runs as it stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
LONGEST = 30

# What the reader is promised: words of what is printed.
SAID = {
    "adapted_timeline": ("AUROC 0.9", "encoder: ", "adapter: "),
    "classify_notes": ("complaint · ill.bilstm-crf@1", "complaint · ill.encoder@1", "AUROC"),
    "disease_diagnosis": ("malignant · mlp", "AUROC", "calibration slope"),
    "disease_progression": ("target · linear", "R²", "bmi"),
    "heart_failure": ("died · kaplan-meier", "died · cox", "C-index", "observed / expected", "365.0"),
    "irregular_vitals": ("death · lstm", "AUROC", "LOINC//8867-4", "contribution"),
    "notes_to_facts": ("ATC//A10BA02", "NOT//ICD10CM//E1", "血压 150", "1 patient with diabetes"),
    "outline_and_measure": (" mm'",),
    "pneumonia_pictures": ("efficientnet", "AUROC", "row ", "contribution"),
    "therapy_choice": ("if ", "otherwise", "zidovudine", "gains_50 · tree", "AUROC"),
}


def test_there_are_examples_and_each_is_known_here() -> None:
    assert {path.stem for path in EXAMPLES} == set(SAID)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_says_what_it_promises(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", str(path)],
        cwd=tmp_path,
        env={**os.environ, "MEDLOOM_LANG": "en"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not [word for word in SAID[path.stem] if word not in done.stdout], done.stdout
