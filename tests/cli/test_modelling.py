import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

import medloom as ml
from medloom.explanation.numbers import logit
from medloom.foundation.yaml import parse_yaml
from medloom.tasks.task import Task, json_schema
from tests.cli.conftest import COMMAND, MODEL, TASK, done, refused, run
from tests.sites import TASK as OUTCOME
from tests.sites import site_of

CLASSES = OUTCOME.replace("binary", "multiclass").replace(
    "{event: [X//outcome], within: 48h}",
    "{classes: {a: [X//outcome], b: [ENCOUNTER//inpatient//END]}, within: 200h}",
)

# What other programs build upon; what is beside these keys may grow.
EVALUATION = {
    "task": str,
    "model": str,
    "split": str,
    "n": int,
    "n_subjects": int,
    "prevalence": float,
    "metrics": dict,
    "subgroups": dict,
}
METRICS = (
    "auroc",
    "auprc",
    "brier",
    "log_loss",
    "ece",
    "e_avg",
    "calibration_slope",
    "calibration_intercept",
)


def test_tasks_can_be_listed_and_read_outside_of_a_site(tmp_path: Path) -> None:
    names = [one["name"] for one in json.loads(done("tasks", "--json", folder=tmp_path))["tasks"]]
    assert TASK in names and len(names) >= 6
    printed = done("task", TASK, folder=tmp_path)
    assert parse_yaml(printed, Task, "task", "printed").name == TASK


def test_the_schema_that_is_printed_is_the_one_that_is_shipped(tmp_path: Path) -> None:
    assert json.loads(done("task", "--schema", folder=tmp_path)) == json_schema()


def test_a_task_of_the_site_is_listed_and_asked(own_site: Path) -> None:
    text = done("task", TASK, folder=own_site).replace(f"name: {TASK}", "name: again-soon")
    (own_site / "tasks" / "again-soon.yaml").write_text(text.replace("30d", "14d"), encoding="utf-8")
    tasks = json.loads(done("tasks", "--json", folder=own_site))["tasks"]
    assert "again-soon" in [one["name"] for one in tasks]
    soon, later = (
        json.loads(done("label", name, "--json", folder=own_site)) for name in ("again-soon", TASK)
    )
    assert soon["n"] == later["n"]
    assert soon["labels"]["true"] < later["labels"]["true"]


def test_a_mistake_in_a_task_is_told_with_its_line(own_site: Path) -> None:
    text = done("task", TASK, folder=own_site)
    (own_site / "tasks" / f"{TASK}.yaml").write_text(text.replace("within:", "wihtin:"), encoding="utf-8")
    line = 1 + text.splitlines().index("  within: 30d")
    error = refused("label", TASK, folder=own_site)
    assert f"line {line}" in error and "within" in error


def test_label_tells_the_cohort_flow_the_answers_and_the_splits(site: Path) -> None:
    found = json.loads(done("label", TASK, "--json", folder=site))
    assert found["flow"][0] == {"step": "subjects in the record", "samples": 200, "subjects": 200}
    assert found["flow"][-1]["samples"] == found["n"]
    assert sum(found["splits"].values()) == sum(found["labels"].values()) == found["n"]
    assert set(found["splits"]) == {"train", "tuning", "held_out"}


def test_labels_made_elsewhere_become_a_task(own_site: Path) -> None:
    before = json.loads(done("label", TASK, "--out", "labels.parquet", "--json", folder=own_site))
    after = json.loads(done("label", "theirs", "--from-meds", "labels.parquet", "--json", folder=own_site))
    assert (after["n"], after["splits"], after["labels"]) == (before["n"], before["splits"], before["labels"])
    assert (
        json.loads(done("train", "theirs", "-l", "tree", "--no-ranges", "--json", folder=own_site))["model"]
        == "theirs.tree@1"
    )


def test_a_model_is_trained_under_the_next_number(own_site: Path) -> None:
    found = json.loads(done("train", TASK, "-l", "tree", "-p", "max_depth=2", "--json", folder=own_site))
    assert found["model"] == f"{MODEL}@2"
    assert (found["ranges"], found["without_ranges"]) == ("venn-abers", None)
    assert json.loads(done("models", "--json", folder=own_site))["models"] == [f"{MODEL}@1", f"{MODEL}@2"]
    kept = json.loads((own_site / "models" / MODEL / "2" / "package" / "model.json").read_text())
    assert kept["parameters"]["max_depth"] == 2


def test_an_evaluation_has_the_documented_form(own_site: Path) -> None:
    assert done("evaluate", MODEL, "--report", "r.html", "--json", "e.json", folder=own_site) == ""
    found = json.loads((own_site / "e.json").read_text(encoding="utf-8"))
    assert not [key for key, kind in EVALUATION.items() if not isinstance(found[key], kind)]
    assert (found["task"], found["model"], found["split"]) == (TASK, f"{MODEL}@1", "held_out")
    for name in METRICS:
        assert set(found["metrics"][name]) == {"value", "low", "high"}, name
    auroc = found["metrics"]["auroc"]
    assert 0.5 < auroc["low"] < auroc["value"] < auroc["high"] <= 1
    for group in ("F", "M"):
        part = found["subgroups"]["sex"][group]
        assert part["n"] > 0 and set(part["metrics"]["auroc"]) == {"value", "low", "high"}
    evidence = own_site / "models" / MODEL / "1" / "evidence" / "held_out"
    kept = {path.name for path in evidence.iterdir()}
    assert kept >= {
        "card.html",
        "card.json",
        "card.md",
        "characteristics.json",
        "evaluation.json",
        "report.html",
    }
    page = (own_site / "r.html").read_text(encoding="utf-8")
    assert "not cleared as a medical device" in page and 'http-equiv="refresh"' not in page


def test_an_evaluation_compares_two_models_of_a_task(own_site: Path) -> None:
    done("train", TASK, "-l", "logistic", "--no-ranges", folder=own_site)
    found = json.loads(done("evaluate", MODEL, "--against", f"{TASK}.logistic", "--json", folder=own_site))
    difference = found["compared_with"][f"{TASK}.logistic@1"]["difference"]["auroc"]
    assert difference["low"] <= difference["value"] <= difference["high"]


def test_predictions_are_a_table(site: Path, tmp_path: Path) -> None:
    asked = ("predict", MODEL, "--split", "held_out", "--out", tmp_path / "new" / "p.parquet", "--json")
    told = json.loads(done(*asked, folder=site))
    found = pl.read_parquet(tmp_path / "new" / "p.parquet")
    assert {"sample_id", "output", "value", "subject_id", "prediction_time"} <= set(found.columns)
    assert told["answers"] == found.height and told["first"][0]["subject_id"] == found["subject_id"][0]
    assert found["value"].is_between(0, 1).all()
    assert found["output"].unique().to_list() == ["true"]


def test_an_explanation_adds_up_and_is_a_page_too(site: Path, tmp_path: Path) -> None:
    page = tmp_path / "patient.html"
    found = json.loads(done("explain", MODEL, "--subject", 7, "--page", page, "--json", folder=site))
    assert {"model", "subject_id", "method", "scale", "answer", "baseline", "reasons"} <= set(found)
    total = found["baseline"][0]["value"] + sum(one["contribution"] for one in found["reasons"])
    assert found["scale"] in ("probability", "log-odds")
    if found["scale"] == "probability":
        assert total == pytest.approx(found["answer"][0]["value"], abs=1e-4)
    assert "<html" in page.read_text(encoding="utf-8")


def test_a_patient_is_explained_by_the_hospitals_identifier(site: Path) -> None:
    by_number = json.loads(done("explain", MODEL, "--subject", 7, "--json", folder=site))
    by_patient = json.loads(done("explain", MODEL, "--patient", "P006", "--json", folder=site))
    assert by_patient == by_number


@pytest.mark.parametrize("said", ["00000005", "P006", "0", "-1"])
def test_what_is_no_pseudonym_is_not_read_as_one_nor_repeated(said: str, site: Path) -> None:
    error = refused("explain", MODEL, f"--subject={said}", folder=site)
    assert "--patient" in error and (said not in error or said == "0")


def test_an_identifier_that_nobody_has_is_not_repeated(site: Path) -> None:
    error = refused("explain", MODEL, "--patient", "P99999", folder=site)
    assert "no subject has this identifier" in error and "P99999" not in error


def test_one_of_several_prediction_times_is_chosen(site: Path, tmp_path: Path) -> None:
    done("predict", MODEL, "--out", tmp_path / "p.parquet", folder=site)
    times = pl.read_parquet(tmp_path / "p.parquet").sort("prediction_time").group_by("subject_id")
    counted = times.agg("prediction_time").filter(pl.col("prediction_time").list.len() == 3)
    subject, (first, second, third) = counted.sort("subject_id").row(0)

    def asked(*arguments: object) -> str:
        found = json.loads(done("explain", MODEL, "--subject", subject, *arguments, "--json", folder=site))
        assert found["prediction_times"] == [first.isoformat(), second.isoformat(), third.isoformat()]
        return str(found["prediction_time"])

    assert asked() == third.isoformat()
    assert asked("--time", second.isoformat()) == second.isoformat()
    assert asked("--time", second.date()) == second.isoformat()  # a day counts to its end
    assert asked("--time", (second - timedelta(minutes=1)).isoformat()) == first.isoformat()
    page = tmp_path / "patient.html"
    told = done("explain", MODEL, "--subject", subject, "--time", first, "--page", page, folder=site)
    assert f"asked at {first:%Y-%m-%d %H:%M}, one of 3 prediction times" in told
    assert f"{first:%Y-%m-%d %H:%M}" in page.read_text(encoding="utf-8")
    error = refused("explain", MODEL, "--subject", subject, "--time", "1999-01-01", folder=site)
    assert "3 in all, are later" in error


def test_a_question_that_nobody_answers_with_yes_is_doubted(own_site: Path) -> None:
    text = done("task", TASK, folder=own_site).replace(f"name: {TASK}", "name: at-once")
    text = text.replace("within: 30d", "within: 1min").replace("ENCOUNTER//inpatient//START", "LOINC//8867-4")
    text += "exclude: [{event: STMARY//heartrate}, {event: LOINC//8867-5}]\n"
    (own_site / "at-once.yaml").write_text(text, encoding="utf-8")
    nobody = "no sample has the outcome"
    found = json.loads(done("label", "at-once.yaml", "--json", folder=own_site))
    assert found["warnings"] == [
        f"{nobody}: nothing can be learned from these answers",
        "exclude.0.event: no code (STMARY//heartrate) occurs in the record",
        "exclude.1.event: LOINC//8867-5 does not occur in the record; nearest: LOINC//8867-4 (Heart rate)",
    ]
    shown = run("label", "at-once.yaml", folder=own_site)
    assert (shown.returncode, shown.stderr.splitlines()[0][:34]) == (0, f"Warning: {nobody}")
    assert nobody in run("train", "at-once.yaml", "-l", "tree", folder=own_site).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "no-such-task"), TASK),
        (("train", TASK, "-l", "oracle"), "gbdt"),
        (("train", TASK, "-l", "tree", "-p", "depth=2"), "max_depth"),
        (("train", TASK, "-p", "depth"), "key=value"),
        (("evaluate", "nonsense"), "aki-48h.gbdt"),
        (("evaluate", f"{MODEL}@9"), f"{MODEL}@1"),
        (("evaluate", MODEL, "--split", "test"), "held_out"),
        (("evaluate", MODEL, "--split", "calibration"), "no samples"),
        (("predict", MODEL, "--split", "test", "--out", "p.parquet"), "held_out"),
        (("explain", MODEL, "--subject", "99999"), "99999"),
        (("explain", MODEL), "--patient"),
        (("explain", MODEL, "--subject", "7", "--patient", "P006"), "not both"),
        (("explain", MODEL, "--subject", "7", "--time", "yesterday"), "2020-03-01T12:00"),
        (("label", "theirs", "--from-meds", "nowhere.parquet"), "no MEDS label file"),
        (("label", "No Name", "--from-meds", "nowhere.parquet"), "lower-case"),
        (("bench", "no-such-bench"), "icu-mortality"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_can(arguments: tuple[str, ...], said: str, site: Path) -> None:
    assert said in refused(*arguments, folder=site)


def test_an_altered_model_is_refused(own_site: Path) -> None:
    weights = own_site / "models" / MODEL / "1" / "package" / "weights"
    (weights / "extra.txt").write_text("x")
    assert "added or missing" in refused("evaluate", MODEL, folder=own_site)


def test_a_command_that_is_stopped_says_so_and_leaves_nothing(own_site: Path) -> None:
    stop = "import medloom.api\ndef stop(*_, **__): raise KeyboardInterrupt\nmedloom.api.train = stop\n"
    ended = subprocess.run(
        [sys.executable, "-c", stop + COMMAND, "train", TASK],
        cwd=own_site,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "medloom: Stopped. Nothing was left half done.\n"
    assert json.loads(done("models", "--json", folder=own_site))["models"] == [f"{MODEL}@1"]


def test_of_several_classes_the_likeliest_is_explained(tmp_path: Path) -> None:
    site = site_of(tmp_path / "site", task=CLASSES)
    trained = ml.train(site.task("outcome"), "logistic", ranges=False)
    folder, subject = site.directory.root, trained.samples.frame["subject_id"][0]
    found = json.loads(done("explain", "outcome.logistic", "--subject", subject, "--json", folder=folder))
    answers = {one["output"]: one["value"] for one in found["answer"]}
    assert len(answers) == 2
    assert {one["output"] for one in found["reasons"]} == {found["explained"]}
    assert found["explained"] == max(answers, key=lambda name: answers[name])
    base = {one["output"]: one["value"] for one in found["baseline"]}[found["explained"]]
    total = base + sum(one["contribution"] for one in found["reasons"])
    # of two classes, each score is half the log-odds
    assert total == pytest.approx(logit(answers[found["explained"]]) / 2, abs=0.01)
    assert f"Why {found['explained']}:" in done(
        "explain", "outcome.logistic", "--subject", subject, folder=folder
    )


def test_who_has_no_label_is_counted_as_such(tmp_path: Path) -> None:
    site = site_of(
        tmp_path / "site", task=CLASSES.replace("multiclass", "multilabel").replace("200h", "100h")
    )
    folder = site.directory.root
    assert set(json.loads(done("label", "outcome", "--json", folder=folder))["labels"]) == {"a"}
    shown = done("label", "outcome", folder=folder)
    assert "none of them" in shown and "None" not in shown


def test_kinds_and_splits_are_named_in_chinese(site: Path) -> None:
    learners = done("learners", "--lang", "zh", folder=site)
    assert "二分类、" in learners and "binary" not in learners
    assert "二分类" in done("tasks", "--lang", "zh", folder=site)
    labelled = done("label", TASK, "--lang", "zh", folder=site)
    assert "训练集（train）" in labelled and "留出集（held_out）" in labelled
    assert "binary" in done("learners", folder=site)
