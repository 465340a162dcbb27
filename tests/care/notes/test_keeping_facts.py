"""Facts of notes in a site's record: written once, taken back, doubted, asked about, given as FHIR, erased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from medloom.care.notes.asking import facts_where
from medloom.care.notes.facts import keep_facts
from medloom.care.notes.resources import bundle
from medloom.care.notes.reviewing import accept, reject
from medloom.foundation.clock import Clock
from medloom.foundation.errors import InputError, LockedError, NotFoundError
from medloom.foundation.site import SiteSettings
from medloom.learners.text.facts.mentions import Mention
from medloom.learners.text.facts.rules import RuleFinder
from medloom.record.record import Record
from medloom.site import Site

WRITTEN = datetime(2024, 5, 1, 9)
NOTES = {
    "P1": "Type 2 diabetes mellitus. Denies fever. metformin 500 mg p.o. b.i.d. Mother had asthma. Cr 1.2 mg/dL. "
    "Penicillin allergy. Glucose 180.",
    "P2": "否认糖尿病。高血压，肌酐 88 μmol/L。",
    "P3": "El paciente no tiene fiebre y está bien con una dieta",
}


def record_of(folder: Path, settings: SiteSettings | None = None) -> Record:
    record = Site.create(folder / "site", settings).record
    rows = [(who, WRITTEN, "NOTE//note", "note", said) for who, said in NOTES.items()]
    record.append(pl.DataFrame(rows, schema=["patient", "time", "code", "role", "text_value"], orient="row"))
    return record


def test_facts_come_with_their_words_and_the_same_notes_again_change_nothing(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    first = keep_facts(record, [RuleFinder()])
    assert first.languages == {"en": 1, "zh": 1, "other": 1}
    assert sum(one.written for one in first.reports) == 9
    facts = facts_where(record)
    again = keep_facts(record, [RuleFinder()])
    assert [(one.written, one.duplicates) for one in again.reports] == [(0, 9)]
    assert not again.doubtful
    assert facts_where(record).equals(facts)
    row = facts_where(record, "code = 'ATC//A10BA02'").row(0, named=True)
    assert row["words"] == "metformin 500 mg p.o. b.i.d."
    assert (row["numeric_value"], row["unit"], row["text_value"]) == (
        500,
        "mg",
        "dose 500 mg; route oral; frequency 2 /d",
    )
    assert (row["time"], row["role"], row["model"]) == (WRITTEN, "statement", "facts-rules")
    assert row["confidence"] == pytest.approx(0.9)
    assert row["derived_from"].startswith("sha256:")


def test_denied_facts_are_not_found_by_their_code(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    keep_facts(record, [RuleFinder()])
    found = facts_where(record, "code like 'ICD10CM//E11%'")
    assert found["subject_id"].to_list() == [record.find("P1")]
    denied = facts_where(record, "code like 'NOT//ICD10CM//E11%'")
    assert denied["words"].to_list() == ["糖尿病"]


@pytest.mark.parametrize(
    "where",
    [
        "",
        "true; select 1",
        "true) union select * from facts where (true",
        "true) order by (1",
        "true) limit (1",
        "code in (select code from facts)",
        "exists (from read_csv('/etc/passwd'))",
        "read_text('/etc/passwd') is not null",
        "no_such_column = 1",
        "sum(numeric_value) > 1",
    ],
)
def test_nothing_but_an_expression_is_taken(tmp_path: Path, where: str) -> None:
    record = Record.from_events(pl.DataFrame({"subject_id": [1], "time": [WRITTEN], "code": ["X//1"]}))
    with pytest.raises(InputError):
        facts_where(record, where)


def test_an_error_of_a_question_quotes_no_value(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    keep_facts(record, [RuleFinder()])
    with pytest.raises(InputError) as told:
        facts_where(record, "cast(text_value as int) > 1")
    assert "route" not in str(told.value)


class Switched:
    """Finds a word, or does not."""

    name = "switched"

    def __init__(self, on: bool) -> None:
        self.on = on

    def find(self, text: str) -> Sequence[Mention]:
        at = text.find("asthma")
        return [Mention("problem", ((at, at + 6),), "ICD10CM//J45.909", 0.9)] if self.on and at >= 0 else []


def test_what_is_found_no_more_is_ended_and_may_come_back(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    counts = []
    for on in (True, True, False, False, True, False, True, True):
        keep_facts(record, [Switched(on)])
        counts.append(facts_where(record).height)
    assert counts == [1, 1, 0, 0, 1, 0, 1, 1]


def test_doubtful_facts_wait_for_a_person(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    keep_facts(record, [RuleFinder()])
    with record.doubtful() as queue:
        waiting = queue.facts()
    assert [(one.fact["code"], one.reasons) for one in waiting] == [
        ("LOINC//2345-7", ("unsure",)),
        (None, ("language",)),
    ]
    glucose, foreign = waiting
    assert facts_where(record, "code = 'LOINC//2345-7'").is_empty()
    accept(record, glucose.id, by="Dr Li")
    kept = facts_where(record, "code = 'LOINC//2345-7'").row(0, named=True)
    assert (kept["numeric_value"], kept["model"], kept["words"]) == (180, None, "Glucose 180")
    with pytest.raises(InputError, match="no code"):
        accept(record, foreign.id, by="Dr Li")
    reject(record, foreign.id, by="Dr Li")
    with pytest.raises(InputError, match="rejected"):
        accept(record, foreign.id, by="Dr Li", code="ICD10CM//R50.9")
    with pytest.raises(NotFoundError):
        reject(record, 99, by="Dr Li")
    keep_facts(record, [RuleFinder()])  # neither is asked about again
    with record.doubtful() as queue:
        assert queue.facts() == []
    assert facts_where(record, "code = 'LOINC//2345-7'").height == 1


@pytest.mark.parametrize("code", ["", " ", "garbage", "NOT//", "ICD10CM//", "NOT//NOT//ICD10CM//I10"])
def test_what_is_no_code_is_not_accepted(tmp_path: Path, code: str) -> None:
    record = record_of(tmp_path)
    keep_facts(record, [RuleFinder()])
    with pytest.raises(InputError, match="is no code"):
        accept(record, 1, by="Dr Li", code=code)
    with record.doubtful() as queue:
        assert [one.id for one in queue.facts()] == [1, 2]


def test_what_cannot_be_written_now_waits_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(tmp_path)
    keep_facts(record, [RuleFinder()])

    def locked(*_: object) -> None:
        raise LockedError("another import is running")

    with monkeypatch.context() as broken:
        broken.setattr(record, "append", locked)
        with pytest.raises(LockedError):
            accept(record, 1, by="Dr Li")
    with record.doubtful() as queue:
        assert 1 in [one.id for one in queue.facts()]
    accept(record, 1, by="Dr Li")
    assert facts_where(record, "code = 'LOINC//2345-7'").height == 1


def test_only_what_is_new_is_counted_as_doubtful(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    found = RuleFinder()
    assert keep_facts(record, [found]).doubtful == {"unsure": 1, "language": 1}
    assert keep_facts(record, [found]).doubtful == {}
    assert keep_facts(record, [found], sure_enough=0.86).doubtful == {}
    more = keep_facts(record, [found], sure_enough=0.92)
    with record.doubtful() as queue:
        assert more.doubtful.total() == len(queue.facts()) - 2 > 0


def test_a_dose_in_tablets_takes_no_number_from_one_in_milligrams(tmp_path: Path) -> None:
    record = Site.create(tmp_path / "site").record
    said = ("aspirin 1 tablet daily", "aspirin 81 mg daily", "aspirin 0.1 g for 3 days")
    rows = [("P1", WRITTEN.replace(day=day), "NOTE//note", "note", one) for day, one in enumerate(said, 1)]
    record.append(pl.DataFrame(rows, schema=["patient", "time", "code", "role", "text_value"], orient="row"))
    keep_facts(record, [RuleFinder()])
    facts = facts_where(record).sort("time")
    assert facts["numeric_value"].to_list() == [None, 81, 100]
    assert facts["unit"].to_list() == [None, "mg", "mg"]
    assert facts["text_value"].to_list() == [
        "dose 1 {tbl}; frequency 1 /d",
        "dose 81 mg; frequency 1 /d",
        "dose 0.1 g; duration 3 d",
    ]


def test_whoever_is_erased_has_no_doubtful_facts_either(tmp_path: Path) -> None:
    record = record_of(tmp_path, SiteSettings(encrypt_at_rest=True))
    keep_facts(record, [RuleFinder()])
    path = tmp_path / "site" / "doubtful.db"
    assert b"2345-7" not in path.read_bytes()  # sealed
    who = record.find("P1")
    record.erase(who)
    with record.doubtful() as queue:
        assert who not in {one.subject_id for one in queue.facts(None)}
    assert facts_where(record)["subject_id"].n_unique() == 1


def test_facts_are_given_as_fhir_with_where_they_come_from(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    keep_facts(record, [RuleFinder()])
    made = bundle(facts_where(record), Clock("UTC"), WRITTEN)
    of = {}
    for entry in made["entry"]:
        of.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    assert {name: len(some) for name, some in of.items()} == {
        "Condition": 4,
        "MedicationStatement": 1,
        "FamilyMemberHistory": 1,
        "Observation": 2,
        "AllergyIntolerance": 1,
        "Provenance": 2,
    }
    drug = of["MedicationStatement"][0]
    assert drug["dosage"][0]["timing"]["repeat"] == {"frequency": 2, "period": 1, "periodUnit": "d"}
    assert of["FamilyMemberHistory"][0]["relationship"]["coding"][0]["code"] == "MTH"
    refuted = [one for one in of["Condition"] if one["verificationStatus"]["coding"][0]["code"] == "refuted"]
    assert {one["code"]["coding"][0]["code"] for one in refuted} == {"R50.9", "E11.9"}
    creatinine = [one["valueQuantity"]["code"] for one in of["Observation"]]
    assert creatinine == ["mg/dL", "umol/L"]
    targets = {one["reference"] for made in of["Provenance"] for one in made["target"]}
    others = {f"{name}/{one['id']}" for name, some in of.items() if name != "Provenance" for one in some}
    assert targets == others
    fhirclient = pytest.importorskip("fhirclient.models.bundle")
    fhirclient.Bundle(made)  # refuses what FHIR R4 does not know


def test_when_it_began_is_asked_by_sql_and_told_as_fhir_but_moves_no_event(tmp_path: Path) -> None:
    record = Site.create(tmp_path / "site").record
    said = "Hypertension since 2015. Cough for 3 days. Appendectomy in March 1998."
    row = ("P1", WRITTEN, "NOTE//note", "note", said)
    record.append(pl.DataFrame([row], schema=["patient", "time", "code", "role", "text_value"], orient="row"))
    keep_facts(record, [RuleFinder()])
    (old,) = facts_where(record, "text_value like 'onset 2015%'").iter_rows(named=True)
    assert (old["code"], old["time"]) == ("ICD10CM//I10", WRITTEN)  # known only when the note was written
    made = bundle(facts_where(record), Clock("UTC"), WRITTEN)
    told = {
        one["resource"].get("onsetDateTime") or one["resource"].get("performedDateTime")
        for one in made["entry"]
        if one["resource"]["resourceType"] != "Provenance"
    }
    assert told == {"2015", "2024-04-28", "1998-03"}
