"""The command line as users run it: a process of its own (`forking.py`), real files, a small hospital."""

import math
import os
import random
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.forking import forker

COMMAND = "import sys; sys.argv[0] = 'medloom'; from medloom.cli import main; main()"

MAPPING = """\
code_system: STMARY
tables:
  - files: [{glob: "*.csv"}]
    subject: {column: patient_id}
    time: {column: admitted}
    columns:
      sex: {values: {F: GENDER//F, M: GENDER//M}, static: true}
      heart_rate: {code: LOINC//8867-4, unit: /min, description: Heart rate}
      creatinine: {code: LOINC//2160-0, unit: mg/dL, description: Creatinine}
    events:
      - {code: ENCOUNTER//inpatient//START, at: {column: admitted}}
      - {code: ENCOUNTER//inpatient//END, at: {column: discharged}}
      - {code: MEDS_BIRTH, at: {column: birth_date}, each: subject, role: demographic}
"""
TASK = "readmission-30d"
MODEL = f"{TASK}.tree"


def run(*arguments: object, folder: Path, **more: str | None) -> subprocess.CompletedProcess[str]:
    """Run `medloom` in a folder; `text` is typed in, other names are set in the environment."""
    text = more.pop("text", None)
    environment = {**os.environ, **{name: value for name, value in more.items() if value is not None}}
    return forker().run([*map(str, arguments)], folder, text or "", environment)


def done(*arguments: object, folder: Path, **more: str | None) -> str:
    """Run a command that must work; give what it printed."""
    ended = run(*arguments, folder=folder, **more)
    assert ended.returncode == 0, f"{arguments}\n{ended.stdout}\n{ended.stderr}"
    assert "--json" not in arguments or ended.stderr == ""
    return ended.stdout


def refused(*arguments: object, folder: Path, **more: str | None) -> str:
    """Run a command that must fail as users see it: exit code 1 and one line, which is given."""
    ended = run(*arguments, folder=folder, **more)
    assert ended.returncode == 1, f"{arguments}\n{ended.stdout}\n{ended.stderr}"
    assert ended.stdout == ""
    assert ended.stderr.startswith("medloom: ")
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    return ended.stderr


@pytest.fixture(scope="session")
def stays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a table of stays of 200 invented patients, and its mapping beside it; give the table."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    draw = random.Random(3)
    lines = ["patient_id,sex,birth_date,admitted,discharged,heart_rate,creatinine"]
    for patient in range(200):
        frail = draw.gauss(0, 1)
        born = datetime(1935, 1, 1) + timedelta(days=draw.randrange(18_000))
        admitted = datetime(2023, 1, 1, 8) + timedelta(hours=draw.randrange(8000))
        for _ in range(3):
            discharged = admitted + timedelta(hours=draw.randrange(30, 200))
            lines.append(
                f"P{patient:03},{'FM'[patient % 2]},{born:%Y-%m-%d},"
                f"{admitted:%Y-%m-%d %H:%M},{discharged:%Y-%m-%d %H:%M},"
                f"{82 + 10 * frail + draw.gauss(0, 5):.0f},{math.exp(0.3 * frail + draw.gauss(0, 0.1)):.2f}"
            )
            soon = draw.random() < 1 / (1 + math.exp(1 - 2 * frail))
            if not soon and draw.random() < 0.5:
                break
            admitted = discharged + timedelta(days=draw.uniform(2, 28) if soon else draw.uniform(45, 200))
    path = folder / "stays.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def site(stays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a site with these stays and one model; tests that change it take `own_site`."""
    folder = tmp_path_factory.mktemp("sites")
    done("init", "st-mary", folder=folder)
    done("import", "table", stays, "--mapping", stays.parent / "mapping.yaml", folder=folder / "st-mary")
    done("train", TASK, "--learner", "tree", "--no-ranges", folder=folder / "st-mary")
    return folder / "st-mary"


@pytest.fixture
def own_site(site: Path, tmp_path: Path) -> Path:
    """Copy the site, as one copies a backup."""
    return Path(shutil.copytree(site, tmp_path / "copy", symlinks=True))
