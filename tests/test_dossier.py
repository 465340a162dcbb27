"""What is kept beside a model."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import medloom as ml
from medloom import dossier
from medloom.foundation.errors import InputError
from medloom.learners.tabular.model import TabularModel
from medloom.tasks import labelling
from medloom.tasks.explanation import Explanation
from medloom.tasks.samples import Samples
from tests.sites import TASK, site_of


def test_a_rival_that_learned_another_question_is_refused(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree", ranges=False)
    (site.directory.tasks / "outcome.yaml").write_text(TASK.replace("X//outcome", "X//other"))
    ml.train(site.task("outcome"), "logistic", ranges=False)
    with pytest.raises(InputError, match=r"outcome.tree@1 answers another question"):
        dossier.evaluate(site, "outcome.logistic", against=["outcome.tree"])


def test_the_record_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_of(tmp_path / "site")
    ml.train(site.task("outcome"), "tree")
    asked = []
    apply = labelling.apply
    monkeypatch.setattr("medloom.site.apply", lambda *given: asked.append(1) or apply(*given))
    kept = dossier.evaluate(site, "outcome.tree")
    kept.copy_report(tmp_path / "r.html")
    assert len(asked) == 1
    assert (tmp_path / "r.html").read_bytes() == (kept.folder / "report.html").read_bytes()
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "in a split" in page
    assert "How sure it is, and whether that is true" in page and (kept.folder / "coverage.json").is_file()


def test_where_reasons_are_slow_fewer_samples_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_of(tmp_path / "site", 500)
    ml.train(site.task("outcome"), "svm", kernel="linear", ranges=False)
    explained: list[Samples] = []
    explain = TabularModel.explain

    def counted(self: TabularModel, samples: Samples) -> Explanation:
        explained.append(samples)
        return explain(self, samples)

    monkeypatch.setattr(TabularModel, "explain", counted)
    dossier.evaluate(site, "outcome.svm")
    (some,) = explained
    held_out = site.task("outcome").samples.in_split("held_out")
    assert len(some) == 50 < len(held_out)
    assert some.frame["sample_id"].to_list() != held_out.frame["sample_id"].head(50).to_list()


def test_a_patients_page_of_prognosis_draws_the_curve_with_its_band(tmp_path: Path) -> None:
    asked = "kind: survival\npredict: {event: [X//outcome], unit: h, horizons: [10h, 24h]}\n"
    head = TASK.partition("kind:")[0] + TASK.partition("kind: binary\n")[2].partition("predict:")[0]
    site = site_of(tmp_path / "site", 150, head + asked)
    one = ml.train(site.task("outcome"), "kaplan-meier")
    sample = one.samples.in_split("held_out").where(pl.int_range(pl.len()) == 0)
    dossier.patient_page(site, one, sample, tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "would have “event” within 24 h" in page and 'class="band' in page
    assert "at 90% confidence" in page


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_patients_page_says_which_patient_and_which_model_it_is(split: str, tmp_path: Path) -> None:
    site = site_of(tmp_path / "site")
    trained = ml.train(site.task("outcome"), "tree", ranges=False)
    sample = trained.samples.in_split(split).where(pl.int_range(pl.len()) == 0)  # type: ignore[arg-type]
    dossier.patient_page(site, trained, sample, tmp_path / "before.html")
    before = (tmp_path / "before.html").read_text(encoding="utf-8")
    assert ("the model learned from this patient" in before) == (split == "train")
    assert "not tested; how good it is, is not known" in before
    dossier.evaluate(site, "outcome.tree")
    dossier.patient_page(site, trained, sample, tmp_path / "after.html")
    after = (tmp_path / "after.html").read_text(encoding="utf-8")
    assert "not tested" not in after
    assert "AUROC" in after


def test_a_report_draws_what_the_model_rests_on_and_says_how_faithfully(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", 300)
    ml.train(site.task("outcome"), "gbdt", ranges=False)
    kept = dossier.evaluate(site, "outcome.gbdt")
    page = (kept.folder / "report.html").read_text(encoding="utf-8")
    assert "What it rests on" in page and 'class="chart tree"' in page and "it was not made from" in page
    learned = dossier.evaluate(site, "outcome.gbdt", "train")
    assert "What it rests on" not in (learned.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("patients", "told"), [(300, True), (30, False)])
def test_a_patients_page_says_what_became_of_similar_patients_where_there_are_enough(
    patients: int, told: bool, tmp_path: Path
) -> None:
    site = site_of(tmp_path / "site", patients)
    one = ml.train(site.task("outcome"), "tree", ranges=False)
    sample = one.samples.where(pl.int_range(pl.len()) == 0)
    dossier.patient_page(site, one, sample, tmp_path / "p.html")
    assert ("whom the model sees alike" in (tmp_path / "p.html").read_text(encoding="utf-8")) == told
