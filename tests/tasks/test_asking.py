"""A task put to a record as of a moment: what is asked now, until when the answer is current, and nothing of later."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from medloom.foundation.errors import NotFoundError
from medloom.record.record import Record
from medloom.record.schema import LATEST
from medloom.tasks.asking import Asker, Current
from medloom.tasks.labelling import apply
from tests.record.sources import KEY, facts, new_site
from tests.tasks.builders import at, record_of, stay, task_of

DAILY = {
    "event": ["ENCOUNTER//inpatient//START"],
    "which": "every",
    "offset": "24h",
    "every": "24h",
    "until": ["ENCOUNTER//inpatient//END"],
}
UNTIL_DISCHARGE = {"event": ["X//outcome"], "until": ["ENCOUNTER//inpatient//END"]}


def event(code: str, hours: float, subject: int = 1, **more: Any) -> dict[str, Any]:
    return {"subject_id": subject, "time": at(hours), "code": code, **more}


def current(rows: list[dict[str, Any]], hours: float, **parts: Any) -> Current:
    return Asker(task_of(**parts), record_of(rows)).current(at(hours))


def asked(found: Current) -> list[tuple[int, datetime]]:
    return list(found.samples.frame.select("subject_id", "prediction_time").iter_rows())


def hospital(n: int = 60) -> list[dict[str, Any]]:
    """Give patients of every sort: readmitted, dying, excluded, too young, known late, corrected later."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for subject in range(1, n + 1):
        rows.append(event("MEDS_BIRTH", -24 * 365 * float(rng.uniform(5, 90)), subject))
        rows.append({"subject_id": subject, "time": None, "code": f"GENDER//{rng.choice(['F', 'M'])}"})
        start = float(rng.uniform(0, 100))
        for encounter in (1, 2):
            end = start + float(rng.uniform(10, 200))
            known = {"known_time": at(start + 30)} if rng.random() < 0.2 else {}
            common = {"encounter": 10 * subject + encounter}
            rows.append(event("ENCOUNTER//inpatient//START", start, subject, **common, **known))
            rows.append(event("ENCOUNTER//inpatient//END", end, subject, **common))
            for code, share in (("X//outcome", 0.7), ("X//cancer", 0.3), ("X//lab", 0.9)):
                if rng.random() < share:
                    time = float(rng.uniform(start - 50, end + 50))
                    late = {"known_time": at(time + 60)} if rng.random() < 0.3 else {}
                    ended = {"known_until": at(time + 90)} if rng.random() < 0.1 else {}
                    rows.append(event(code, time, subject, numeric_value=1.0, **late, **ended))
            start = end + float(rng.uniform(1, 300))
        if rng.random() < 0.2:
            rows.append(event("MEDS_DEATH", start, subject))
    return rows


TASKS: dict[str, dict[str, Any]] = {
    "once": {},
    "daily": {"prediction_time": DAILY},
    "first": {"prediction_time": {"event": ["X//lab"], "which": "first"}},
    "last": {"prediction_time": {"event": ["X//lab"], "which": "last", "offset": "6h"}},
    "population": {
        "population": {"min_age": 18, "sex": "F", "has": ["X//lab"], "history": "24h"},
        "exclude": [{"event": ["X//cancer"]}, {"event": ["X//outcome"], "within": "10d"}],
    },
    "until": {"prediction_time": DAILY, "predict": UNTIL_DISCHARGE},
    "time to": {
        "kind": "regression",
        "predict": {"time_to": ["ENCOUNTER//inpatient//END"], "unit": "d"},
    },
    "value": {"kind": "regression", "predict": {"value": ["X//lab"], "within": "4d"}},
    "survival": {
        "kind": "survival",
        "predict": {"event": ["X//outcome"], "horizons": ["2d", "10d"], "unit": "d"},
    },
    "split by time": {"split": {"by": "time", "held_out_from": "2020-06-05"}},
    "split by fact": {"split": {"by": "fact", "train": ["GENDER//F"], "held_out": ["GENDER//M"]}},
}


@pytest.mark.parametrize("name", TASKS)
def test_it_asks_when_the_task_asks_whose_answers_are_known(name: str) -> None:
    task, record = task_of(**TASKS[name]), record_of(hospital())
    known = apply(task, record).samples
    latest = known.frame.group_by("subject_id").agg(pl.col("prediction_time", "split").last())
    found = Asker(task, record).current(LATEST).samples
    both = latest.join(found.frame, on="subject_id", how="left", suffix="_now")
    assert both["prediction_time_now"].null_count() == 0
    assert (both["prediction_time_now"] >= both["prediction_time"]).all()
    assert both["split"].equals(both["split_now"])
    # those it asks later have an answer that is not known
    if name in ("once", "daily", "first", "last", "population", "until"):
        assert both["prediction_time_now"].equals(both["prediction_time"])
    assert found.question == known.question
    assert found.split_rule == known.split_rule
    assert found.frame.schema == known.frame.schema
    assert found.frame["label"].null_count() == len(found)


@pytest.mark.parametrize("name", [name for name in TASKS if name != "split by fact"])
def test_nothing_that_came_to_be_known_later_changes_an_answer(name: str) -> None:
    task, rows = task_of(**TASKS[name]), hospital()
    whole = Asker(task, record_of(rows))
    people = 0
    for hours in (30, 100, 190, 340, 600):
        then = at(hours)
        until_then = [
            row | {"known_until": ended if (ended := row.get("known_until")) and ended <= then else None}
            for row in rows
            if max(filter(None, (row["time"], row.get("known_time"))), default=then) <= then
        ]
        now, alone = whole.current(then), Asker(task, record_of(until_then)).current(then)
        assert now.samples.frame.equals(alone.samples.frame)
        assert now.until.equals(alone.until)
        assert (now.samples.frame["prediction_time"] <= then).all()
        people += len(now.samples)
    assert people > 20


def test_a_stay_that_goes_on_is_asked_of_each_day() -> None:
    ongoing = stay(1)[:1]
    assert asked(current(ongoing, 23, prediction_time=DAILY)) == []
    assert asked(current(ongoing, 24, prediction_time=DAILY)) == [(1, at(24))]
    assert asked(current(ongoing, 80, prediction_time=DAILY)) == [(1, at(72))]
    assert asked(current(stay(1, hours=60), 80, prediction_time=DAILY)) == [(1, at(48))]
    over_before_the_first = stay(1, hours=20)
    assert asked(current(over_before_the_first, 80, prediction_time=DAILY)) == []
    assert asked(current(over_before_the_first, 80, predict=UNTIL_DISCHARGE)) == []
    unnamed = [{**row, "encounter": None} for row in over_before_the_first]
    assert asked(current(unnamed, 80, prediction_time=DAILY)) == []


def test_the_dead_are_asked_nothing_more() -> None:
    rows = [*stay(1)[:1], event("MEDS_DEATH", 60)]
    found = current(rows, 80, prediction_time=DAILY)
    assert asked(found) == [(1, at(48))]
    assert found.until["until"].to_list() == [at(60)]


def test_until_when_an_answer_is_current() -> None:
    def until(hours: float = 300, rows: list[dict[str, Any]] | None = None, **parts: Any) -> Any:
        return current(rows or stay(1), hours, **parts).until["until"].item()

    assert until() == at(96)
    assert until(predict=UNTIL_DISCHARGE) == at(100)
    assert until(90, predict=UNTIL_DISCHARGE) is None
    survival = {"event": ["X//outcome"], "horizons": ["10d", "2d"], "unit": "d"}
    assert until(kind="survival", predict=survival) == at(48 + 240)
    length = {"time_to": ["ENCOUNTER//inpatient//END"], "unit": "d"}
    assert until(kind="regression", predict=length) == at(100)
    assert until(90, kind="regression", predict=length) is None


def test_what_became_known_late_is_asked_about_late() -> None:
    rows = [row | {"known_time": at(50)} for row in stay(1)[:1]]
    assert asked(current(rows, 97)) == []
    assert asked(current(rows, 98)) == [(1, at(98))]


def test_only_some_subjects_are_asked() -> None:
    asker = Asker(task_of(), record_of([*stay(1), *stay(2), *stay(3)]))
    assert asked(asker.current(at(200), [3, 1, 99])) == [(1, at(48)), (3, at(48))]
    assert asked(asker.current(at(200), [])) == []


def test_a_record_without_the_codes_asks_nobody() -> None:
    lab = [event("X//lab", 1, numeric_value=1.0)]
    for parts in TASKS.values():
        found = current(lab, 100, **parts | {"prediction_time": DAILY})
        assert not len(found.samples)
        assert found.until.height == 0
    assert not len(Asker(task_of(), Record.from_events(pl.DataFrame(lab).clear())).current(at(1)).samples)


def test_codes_that_facts_bring_are_taken_up_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)
    record = Record.open(new_site(tmp_path))
    asker = Asker(task_of(predict={"event": ["X//outcome*"], "within": "48h"}), record)
    assert not len(asker.current(at(100)).samples)
    patient: dict[str, Any] = {"patient": "a"}
    record.append(facts(patient | {"time": at(0), "code": "ENCOUNTER//inpatient//START"}))
    assert asked(asker.current(at(100))) == [(1, at(48))]
    arrived = [patient | {"time": at(10), "code": code} for code in ("X//outcome-new", "X//lab")]
    record.append(facts(*arrived))
    history = asker.current(at(100)).samples.history()
    assert [history.vocabulary[code] for code in history.code] == ["ENCOUNTER//inpatient//START", "X//lab"]


def test_who_was_learned_from_stays_so_at_any_later_moment() -> None:
    task = task_of(prediction_time=DAILY, split={"by": "time", "held_out_from": "2020-06-04"})
    asker = Asker(
        task, record_of([*stay(1), *[row | {"time": row["time"] + timedelta(9)} for row in stay(2)]])
    )
    split = [asker.at(at(24 * 12), subject)[0].frame["split"].item() for subject in (1, 2)]
    assert split[0] != "held_out"
    assert split[1] == "held_out"


def test_asked_at_any_moment_with_what_speaks_against_it() -> None:
    rows = [
        *stay(1),
        event("MEDS_BIRTH", -24 * 365 * 10),
        event("MEDS_DEATH", 120),
        event("X//cancer", 5, known_time=at(70)),
    ]
    parts: dict[str, Any] = {
        "population": {"min_age": 18},
        "exclude": [{"event": ["X//cancer"]}],
        "predict": UNTIL_DISCHARGE,
    }
    asker = Asker(task_of(**parts), record_of(rows))

    def reasons(hours: float) -> list[str]:
        samples, found = asker.at(at(hours), 1)
        assert asked(Current(samples, pl.DataFrame())) == [(1, at(hours))]
        assert all(text.zh and text.zh != text.en for text in found)
        return [text.en.removeprefix("the task asks only where this holds: ") for text in found]

    moment, age, cancer = "the task asks at other moments", "aged 18 or older", "without X//cancer before"
    assert reasons(48) == [age]
    assert reasons(60) == [moment, age]
    assert reasons(80) == [moment, age, cancer]
    assert reasons(130) == [
        moment,
        "alive at the moment",
        age,
        cancer,
        "what is asked about was over by then",
    ]
    assert not Asker(task_of(), record_of(rows)).at(at(48), 1)[1]
    with pytest.raises(NotFoundError):
        asker.at(at(48), 2)
