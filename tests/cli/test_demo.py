"""The demo from end to end, and that what it says of its data is so."""

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from medloom.cli import screen
from medloom.database.engine import Database
from medloom.server import accounts, demonstration
from medloom.server.access import ROLES
from medloom.site import Site
from tests.cli.conftest import done, refused

TASK = "gi-bleed-after-nsaid"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo; give its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder / "here", done("demo", "--into", "here", folder=folder)


def test_the_demo_goes_the_whole_way(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    for heading in (
        "1  Import",
        "2  Quality",
        "3  The question",
        "4  Two models",
        "5  How good",
        "6  Why",
        "Done in",
    ):
        assert heading in printed
    assert "2,694 new subjects" in printed
    assert "479 of 2,694 bled" in printed
    models = json.loads(done("models", "--json", folder=folder))["models"]
    assert models == [f"{TASK}.gbdt@1", f"{TASK}.logistic@1"]


@pytest.mark.parametrize("name", ["report.html", "patient.html", "reports/quality.html"])
def test_the_pages_of_the_demo_stand_alone(name: str, demo: tuple[Path, str]) -> None:
    page = (demo[0] / name).read_text(encoding="utf-8")
    assert "<html" in page and "中文" in page
    assert "<script src" not in page and "<link" not in page and "url(http" not in page


def test_what_the_demo_suggests_next_works(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    lines = [line.strip() for line in printed.partition("try next")[2].splitlines()]
    suggested = [line.partition("  ")[0] for line in lines if line.startswith("medloom ")]
    (workbench,) = [line for line in suggested if line.endswith(f"demo --serve --into {folder.name}")]
    suggested.remove(workbench)  # it goes on until it is stopped
    assert len(suggested) == 3
    for line in suggested:
        done(*line.split()[1:], folder=folder.parent)


def test_the_demos_site_is_ready_to_be_shown(demo: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = demo
    monkeypatch.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    made = demonstration.prepare(Site.open(folder), "gi-bleed-after-nsaid", datetime(2000, 8, 13, 9))
    assert {role for _, role, _ in made} == set(ROLES)
    database = Database.of(Site.open(folder).directory)
    try:
        clinician = accounts.authenticate(database, "clinician", {n: p for n, _, p in made}["clinician"])
        assert clinician is not None
        assert len(accounts.team_of(database, clinician.id)) > 20
    finally:
        database.close()


def test_medloom_is_started_again_the_way_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / ".venv" / "bin" / "medloom"
    started.parent.mkdir(parents=True)
    started.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [".venv/bin/medloom", "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert screen.program() == ".venv/bin/medloom"
    monkeypatch.setenv("PATH", str(started.parent))
    assert screen.program() == "medloom"


def test_a_demo_is_made_anew_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "site.toml").write_text('name = "mine"\n')
    assert "--into" in refused("demo", "--into", "mine", folder=tmp_path)
    assert (tmp_path / "mine" / "site.toml").read_text() == 'name = "mine"\n'


def test_a_demo_in_which_more_was_learned_is_not_made_anew(demo: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(demo[0], tmp_path / "used", symlinks=True)
    learned = tmp_path / "used" / "encoders" / "timelines" / "1"
    learned.mkdir(parents=True)
    assert "--into" in refused("demo", "--into", "used", folder=tmp_path)
    assert learned.is_dir()


def test_the_data_of_the_demo_hold_what_it_says(demo: tuple[Path, str]) -> None:
    """Cross-validated over all persons, so that the luck of one split does not count."""
    import lightgbm
    import numpy as np
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    from medloom import Site
    from medloom.features.windows import WindowFeatures

    samples = Site.open(demo[0]).task(TASK).samples
    inputs = WindowFeatures.fit(samples).transform(samples).values
    truth = samples.frame["label"].to_numpy()
    model = lightgbm.LGBMClassifier(
        n_estimators=60, learning_rate=0.05, num_leaves=8, n_jobs=1, verbose=-1, random_state=0
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    dense = inputs.toarray() if hasattr(inputs, "toarray") else np.asarray(inputs)
    risk = cross_val_predict(model, dense, truth, cv=folds, method="predict_proba")[:, 1]
    assert roc_auc_score(truth, risk) == pytest.approx(0.65, abs=0.03)
