"""Validation, recalibration and ranges from the command line."""

import json
from pathlib import Path

from tests.cli.conftest import MODEL, TASK, done, refused


def test_a_learner_is_validated_across_folds(site: Path) -> None:
    found = json.loads(done("validate", TASK, "--learner", "tree", "--folds", "2", "--json", folder=site))
    assert list(found["parts"]) == ["1", "2"]
    assert found["split"] == "cross-validation, 2 folds"
    assert found["metrics"]["auroc"]["value"] is not None


def test_a_design_that_lacks_its_day_is_refused(site: Path) -> None:
    assert "first day" in refused("validate", TASK, "--design", "temporal", folder=site)


def test_what_refits_and_more_patients_tell_stands_in_the_next_report(own_site: Path) -> None:
    assert "refit" in done("stability", MODEL, "--refits", "2", folder=own_site)
    done("learning-curve", TASK, "-l", "tree", "--size", "60", "--repeats", "1", folder=own_site)
    kept = (own_site / "models" / MODEL / "1" / "evidence" / "sections").iterdir()
    assert {"stability", "learning-curve"} <= {path.stem for path in kept}


def test_a_model_is_tested_on_another_site_and_its_card_says_so(
    own_site: Path, site: Path, stays: Path, tmp_path: Path
) -> None:
    other = tmp_path / "st-james"
    done("init", "st-james", folder=tmp_path)
    done("import", "table", stays, "--mapping", stays.parent / "mapping.yaml", folder=other)
    found = json.loads(done("validate-elsewhere", MODEL, other, "--json", folder=own_site))
    assert found["before"]["n"] == found["after"]["n"] > 0
    kept = (own_site / "models" / MODEL / "1" / "evidence" / "sections").iterdir()
    assert {"elsewhere", "elsewhere-people"} <= {path.stem for path in kept}
    said = refused("validate-elsewhere", MODEL, site, folder=own_site)
    assert "holds the record that readmission-30d.tree@1 was learned from" in said


def test_a_model_is_recalibrated_given_ranges_and_evaluated(own_site: Path) -> None:
    said = json.loads(
        done("recalibrate", MODEL, "--folds", "2", "--method", "intercept", "--json", folder=own_site)
    )
    first = int(said["model"].rpartition("@")[2])
    assert said["calibrator"]["method"] == "intercept"
    printed = done("ranges", said["model"], "--folds", "2", folder=own_site)
    assert f"{MODEL}@{first + 1}" in printed
    done("evaluate", MODEL, folder=own_site)
    kept = own_site / "models" / MODEL / str(first + 1) / "evidence" / "held_out" / "coverage.json"
    found = json.loads(kept.read_text())
    assert found["metrics"]["width"]["value"] > 0
