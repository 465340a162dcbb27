"""A site's tasks: files, and labels made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import medloom as ml
from medloom import dossier
from medloom.foundation.errors import InputError
from tests.cli.conftest import done
from tests.sites import TASK, site_of
from tests.tasks.builders import at


def labels_of(site: ml.Site, path: Path, values: list[float]) -> Path:
    subjects = site.record.subjects["subject_id"].head(len(values))
    frame = pl.DataFrame({"subject_id": subjects, "prediction_time": [at(48)] * len(values)})
    frame.with_columns(float_value=pl.Series(values)).write_parquet(path)
    return path


def test_a_task_trained_from_a_file_elsewhere_is_kept_so_that_its_model_can_be_evaluated(
    tmp_path: Path,
) -> None:
    site = site_of(tmp_path / "site")
    mine = tmp_path / "draft.yaml"
    mine.write_text("# mine\n" + TASK.replace("name: outcome", "name: mine"), encoding="utf-8")
    trained = ml.train(site.task(str(mine)), "tree", ranges=False)
    assert str(trained.name) == "mine.tree@1"
    assert dossier.evaluate(site, "mine.tree").evaluation.task == "mine"
    assert (site.directory.tasks / "mine.yaml").read_text(encoding="utf-8").startswith("# mine")
    mine.write_text(mine.read_text(encoding="utf-8").replace("within: 48h", "within: 24h"), encoding="utf-8")
    with pytest.raises(InputError, match="the site has another task 'mine'"):
        ml.train(site.task(str(mine)), "tree", ranges=False)


def test_a_task_file_bears_the_name_of_its_task(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site")
    (site.directory.tasks / "outcome.yaml").rename(site.directory.tasks / "other.yaml")
    with pytest.raises(InputError, match=r"'other.yaml' says name: outcome"):
        site.task("other")


def test_labels_are_given_as_they_were_kept(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", 20)
    path = labels_of(site, tmp_path / "labels.parquet", [0.1, 0.2, 0.3])
    kept = site.keep_labels("ext", path)
    assert kept.frame.equals(site.task("ext").samples.frame)
    assert site.keep_labels("ext", path).frame.equals(kept.frame)


def test_labels_replace_neither_a_task_nor_other_labels(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", 20)
    path = labels_of(site, tmp_path / "labels.parquet", [0.1, 0.2, 0.3])
    for name in ("outcome", "readmission-30d"):
        with pytest.raises(InputError, match="already"):
            site.keep_labels(name, path)
    site.keep_labels("ext", path)
    labels_of(site, path, [0.1, 0.2, 0.4])
    with pytest.raises(InputError, match="other labels are kept as 'ext'"):
        site.keep_labels("ext", path)
    (site.directory.tasks / "ext.yaml").write_text(TASK.replace("name: outcome", "name: ext"))
    with pytest.raises(InputError, match="rename one"):
        site.task("ext")


def test_tasks_kept_as_labels_are_listed(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", 20)
    site.keep_labels("ext", labels_of(site, tmp_path / "labels.parquet", [0.1, 0.2, 0.3]))
    folder = site.directory.root
    tasks = json.loads(done("tasks", "--json", folder=folder))["tasks"]
    assert {"name": "ext", "kind": "regression", "title": "labels made elsewhere"} in tasks
    assert done("task", "ext", folder=folder).startswith("ext: labels made elsewhere (regression)")
