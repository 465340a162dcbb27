"""Facts that arrive one by one: seen at once, merged as an import would, taken in whole."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medloom.foundation.errors import InputError, IntegrityError, LockedError
from medloom.foundation.files import locked
from medloom.foundation.site import SiteDirectory
from medloom.record.live import Arrival
from medloom.record.record import Record
from tests.record.sources import GLUCOSE, KEY, Listed, content, facts, glucose, new_site

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)


@pytest.fixture(params=[False, True], ids=["plain", "sealed"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> SiteDirectory:
    return new_site(tmp_path, encrypt_at_rest=request.param)


def days(record: Record, subject: int) -> list[int]:
    return [time.day for time in record.read(["time"], [subject])["time"].to_pylist()]


def test_a_live_fact_is_seen_at_once_by_every_reader(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.add(Listed(facts(glucose("a", 1), glucose("a", 5), glucose("b", 1))))
    reader = Record.open(site)
    report = record.append(
        facts(glucose("a", 3, 5.0, unit="mmol/L"), glucose("new", 2)), now=datetime(2020, 1, 3)
    )
    assert (report.written, report.new_subjects) == (2, 1)
    assert report.balanced
    for seen in (record, reader):
        a, new = seen.find("a"), seen.find("new")
        assert days(seen, a) == [1, 3, 5]
        assert seen.read(["numeric_value"], [a])["numeric_value"].to_pylist() == pytest.approx(
            [90, 90.08, 90], abs=0.01
        )
        assert seen.subject_ids.tolist() == [1, 2, 3]
        assert days(seen, new) == [2]
        assert seen.n_events == 5
        assert [part.tolist() for part in seen.parts()] == [[1, 2, 3]]
        assert set(seen.splits()["subject_id"]) == {1, 2, 3}
        assert seen.read(["subject_id"], [1, 3])["subject_id"].to_pylist() == [1, 1, 1, 3]


def test_the_first_facts_of_a_site_may_be_live(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.append(facts(glucose("a", 1), {"patient": "a", "code": "GENDER//F", "static": True}))
    assert record.read(["code"])["code"].to_pylist() == ["GENDER//F", GLUCOSE]
    assert record.catalogue.units() == {GLUCOSE: "mg/dL"}
    assert record.catalogue.static_codes() == {"GENDER//F"}
    seen = content(record)
    splits = record.splits()
    assert record.compact() is not None
    assert content(record) == seen
    assert record.catalogue.units() == {GLUCOSE: "mg/dL"}
    assert record.catalogue.static_codes() == {"GENDER//F"}
    assert record.splits().equals(splits)


def test_a_fact_that_comes_again_is_a_duplicate(site: SiteDirectory) -> None:
    record = Record.open(site)
    rows = facts(glucose("a", 1), glucose("a", 1), glucose("a", 2, key="Observation/1"))
    record.append(rows)
    assert record.append(rows).duplicates == 3
    record.compact()
    again = record.append(rows)
    assert (again.written, again.duplicates) == (0, 3)
    assert record.append(facts(glucose("a", 1), glucose("a", 1), glucose("a", 1))).written == 1
    assert record.n_events == 4
    assert record.add(Listed(rows)).duplicates == 3


def test_a_live_version_ends_the_older_one(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.add(Listed(facts(glucose("a", 1, 1.0, key="Observation/1", known_time=datetime(2020, 1, 2)))))
    for value, known in ((2.0, 5), (3.0, 7)):
        later = glucose("a", 1, value, key="Observation/1", known_time=datetime(2020, 1, known))
        assert record.append(facts(later)).superseded == 1

    def versions() -> list[tuple[float, datetime | None]]:
        return list(record.events().sort("known_time").select("numeric_value", "known_until").iter_rows())

    expected = [(1.0, datetime(2020, 1, 5)), (2.0, datetime(2020, 1, 7)), (3.0, None)]
    assert versions() == expected
    record.compact()
    assert versions() == expected


def test_an_undated_fact_waits_for_the_end_of_its_encounter(site: SiteDirectory) -> None:
    record = Record.open(site)
    stay = {"patient": "a", "encounter": "e1"}
    assert record.append(facts(stay | {"code": "ICD10CM//I10"})).written == 1
    assert record.append(facts(stay | {"code": "ICD10CM//I10"})).duplicates == 1
    assert record.n_events == 0
    record.append(facts(stay | {"time": datetime(2020, 1, 9), "code": "ENCOUNTER//inpatient//END"}))
    assert record.read(["time"])["time"].to_pylist() == [datetime(2020, 1, 9)] * 2
    report = record.compact()
    assert report is not None
    assert (report.written, report.quarantined) == (2, 0)


def test_an_undated_fact_waits_on_while_other_imports_come(site: SiteDirectory) -> None:
    record = Record.open(site)
    stay = {"patient": "a", "encounter": "e1"}
    record.append(facts(stay | {"code": "ICD10CM//I10"}, glucose("a", 1)))
    compacted = record.compact()
    assert compacted is not None
    assert (compacted.written, compacted.quarantined) == (1, 0)
    assert record.compact() is None
    end = stay | {"time": datetime(2020, 1, 9), "code": "ENCOUNTER//inpatient//END"}
    assert record.add(Listed(facts(end))).quarantined == 0
    assert record.n_events == 3
    assert record.compact() is not None
    assert not list(site.quarantine.iterdir())
    assert record.n_events == 3


def test_a_waiting_fact_does_not_outlive_the_version_an_import_brings(site: SiteDirectory) -> None:
    record = Record.open(site)
    stay = {"patient": "a", "encounter": "e1"}
    record.append(facts(stay | {"code": "ICD10CM//I10", "key": "Condition/1"}))
    end = stay | {"time": datetime(2020, 1, 9), "code": "ENCOUNTER//inpatient//END"}
    record.add(Listed(facts(stay | {"code": "ICD10CM//I11", "key": "Condition/1"}, end)))
    for _ in range(2):
        current = record.events().filter(pl.col("known_until").is_null())["code"].to_list()
        assert sorted(current) == ["ENCOUNTER//inpatient//END", "ICD10CM//I11"]
        record.compact()


def test_what_cannot_be_used_goes_to_quarantine(site: SiteDirectory) -> None:
    record = Record.open(site)
    report = record.append(
        facts(glucose("a", 1, float("inf")), glucose("a", 3, 1e39), glucose("", 1), glucose("a", 2))
    )
    assert report.reasons == {"the value is not a finite number": 2, "no patient": 1}
    assert report.balanced
    compacted = record.compact()
    assert compacted is not None
    assert compacted.reasons == report.reasons
    assert len(list(site.quarantine.iterdir())) == 1
    with pytest.raises(InputError, match="unknown columns: mrn"):
        record.append(pl.DataFrame({"mrn": ["1"]}))


def test_an_import_takes_in_what_waits_first(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.append(facts(glucose("a", 1, 1.0, key="Observation/1")))
    record.add(Listed(facts(glucose("a", 1, 2.0, key="Observation/1"))))
    current = record.events().filter(pl.col("known_until").is_null())
    assert current["numeric_value"].to_list() == [2.0]
    assert [one["importer"] for one in record.imports] == ["live", "listed"]
    assert record.compact() is None


def test_a_reader_of_the_older_generation_moves_on_after_compaction(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.add(Listed(facts(glucose("a", 1), glucose("b", 1))))
    reader = Record.open(site)
    record.append(facts(glucose("a", 2)))
    digests = {reader.digest()}
    record.compact()
    assert days(reader, 1) == [1, 2]
    digests.add(reader.digest())
    record.append(facts(glucose("a", 3)))
    assert days(reader, 1) == [1, 2, 3]
    digests.add(reader.digest())
    assert len(digests) == 3


def test_a_fact_of_another_process_is_seen_by_the_next_call(tmp_path: Path) -> None:
    site = new_site(tmp_path)
    record = Record.open(site)
    record.append(facts(glucose("a", 1), glucose("b", 1)))
    reader, a = Record.open(site), record.find("a")
    assert days(reader, a) == [1]
    catalogue = reader.catalogue
    script = """
        import sys
        from pathlib import Path
        from medloom.foundation.site import SiteDirectory
        from medloom.record.record import Record
        from tests.record.sources import facts, glucose
        Record.open(SiteDirectory(Path(sys.argv[1]))).append(facts(glucose("a", 2)))
    """
    assert _run(script, site).returncode == 0
    assert days(reader, a) == [1, 2]
    assert reader.catalogue is catalogue
    record.append(facts(glucose("a", 4, code="LOINC//new")))
    assert "LOINC//new" in reader.catalogue.frame["code"]


def test_a_tail_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    site = new_site(tmp_path)
    record = Record.open(site)
    record.append(facts(glucose("a", 1)))
    copy = site.live.read_bytes()
    record.append(facts(glucose("a", 2)))
    assert days(record, 1) == [1, 2]
    site.live.rename(site.root / "older")
    site.live.write_bytes(copy)
    assert days(record, 1) == [1]
    site.live.unlink()
    assert days(record, 1) == []


def test_many_threads_read_while_facts_arrive_and_are_taken_in(tmp_path: Path) -> None:
    site = new_site(tmp_path)
    record = Record.open(site)
    record.add(Listed(facts(*(glucose(who, 1) for who in "abc"))))
    record.append(facts(glucose("a", 2)))
    reader = Record.open(site)
    done = threading.Event()

    def read() -> list[int]:
        seen = []
        while not done.is_set():
            for subject, least in ((1, 2), (2, 1), (3, 1)):
                found = days(reader, subject)
                assert found == sorted(set(found))
                assert len(found) >= least
            seen.append(len(days(reader, 1)))
        return seen

    with ThreadPoolExecutor(8) as pool:
        threads = [pool.submit(read) for _ in range(8)]
        try:
            for day in range(3, 15):
                record.append(facts(glucose("a", day)))
                assert days(reader, 1) == list(range(1, day + 1))
                if day % 5 == 0:
                    record.compact()
        finally:
            done.set()
        for thread in threads:
            seen = thread.result()
            assert seen == sorted(seen)


def test_an_erased_subject_leaves_the_tail_and_every_reader(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.add(Listed(facts(glucose("a", 1), glucose("b", 1))))
    record.append(facts(glucose("a", 2, text_value="secret word"), glucose("b", 2), glucose("a", 3, code="")))
    reader = Record.open(site)
    gone = reader.find("a")
    record.erase(gone)
    assert reader.read(["time"], [gone]).num_rows == 0
    assert reader.subject_ids.tolist() == [reader.find("b")]
    assert b"secret word" not in site.live.read_bytes()
    assert record.append(facts(glucose("a", 4))).reasons == {"the subject was erased from this site": 1}
    assert days(record, reader.find("b")) == [1, 2]


def test_merged_subjects_take_their_waiting_facts_along(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.add(Listed(facts(glucose("a", 1), glucose("b", 1))))
    record.append(facts(glucose("b", 2), glucose("c", 3)))
    record.merge(record.find("a"), record.find("b"))
    assert days(record, record.find("a")) == [1, 2]
    record.merge(record.find("a"), record.find("c"))
    assert days(record, record.find("a")) == [1, 2, 3]
    assert record.subject_ids.tolist() == [1]
    seen = content(record)
    record.compact()
    assert content(record) == seen


def test_a_sealed_tail_hides_values_and_shows_when_it_was_altered(tmp_path: Path) -> None:
    site = new_site(tmp_path, encrypt_at_rest=True)
    record = Record.open(site)
    record.append(facts(glucose("a", 1, text_value="secret word")))
    assert b"secret word" not in site.live.read_bytes()
    assert GLUCOSE.encode() not in _payloads(site)[0]
    with sqlite3.connect(site.live) as connection:
        altered = bytearray(_payloads(site)[0])
        altered[20] ^= 1
        connection.execute("UPDATE fact SET payload = ?", (bytes(altered),))
    with pytest.raises(IntegrityError, match="altered"):
        Record.open(site).events()


def test_known_patients_may_arrive_while_an_import_runs(site: SiteDirectory) -> None:
    record = Record.open(site)
    record.append(facts(glucose("a", 1)))
    with locked(site.lock, "the record"), record._vault() as vault, vault.transaction():
        vault.assign("", ["somebody else"])
        assert record.append(facts(glucose("a", 2))).written == 1
        with pytest.raises(LockedError):
            record.compact()
    assert record.n_events == 2


operations = st.lists(
    st.one_of(
        st.tuples(
            st.just("append"),
            st.lists(
                st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.sampled_from([None, "k"])),
                min_size=1,
                max_size=3,
            ),
        ),
        st.tuples(st.just("compact"), st.just([])),
    ),
    max_size=6,
)


@given(operations=operations)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_seen_now_is_what_is_seen_after_compaction(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, list[tuple[str, int, str | None]]]]
) -> None:
    live, imported = (Record.open(new_site(tmp_path_factory.mktemp("live"))) for _ in range(2))
    for operation, rows in operations:
        if operation == "compact":
            live.compact()
            continue
        batch = facts(*(glucose(who, day, float(day), key=key and f"{key}{who}") for who, day, key in rows))
        live.append(batch)
        imported.add(Listed(batch))
    assert content(live) == content(imported)
    seen = content(live)
    live.compact()
    assert content(live) == seen


@pytest.mark.parametrize(
    "point",
    [
        "live.LiveTail.append",
        "live.LiveTail.learn",
        "live.commit_facts",
        "generation.publish",
        "live.LiveTail.clear",
        "live.LiveTail.move_on",
    ],
)
def test_killed_while_it_appends_or_compacts(tmp_path: Path, point: str) -> None:
    site = new_site(tmp_path)
    record = Record.open(site)
    record.append(facts(glucose("a", 1)))
    owner, _, name = point.rpartition(".")
    script = f"""
        import os, signal, sys
        from pathlib import Path
        from medloom.foundation.site import SiteDirectory
        from medloom.record import generation, live
        from medloom.record.record import Record
        from tests.record.sources import facts, glucose
        original = {point}
        def killed(*arguments, **keywords):
            original(*arguments, **keywords)
            os.kill(os.getpid(), signal.SIGKILL)
        {owner}.{name} = killed
        record = Record.open(SiteDirectory(Path(sys.argv[1])))
        record.append(facts(glucose("a", 2), glucose("b", 2)))
        record.compact()
        """
    assert _run(script, site).returncode == -signal.SIGKILL
    record = Record.open(site)
    assert record.n_events in (1, 3)
    record.append(facts(glucose("a", 2), glucose("b", 2)))
    assert record.n_events == 3
    record.compact()
    assert record.n_events == 3
    assert record.compact() is None


def _run(script: str, site: SiteDirectory) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", textwrap.dedent(script), str(site.root)]
    return subprocess.run(command, env=environment, cwd=ROOT, timeout=120, check=False)


def _payloads(site: SiteDirectory) -> list[bytes]:
    with sqlite3.connect(site.live) as connection:
        return [row[0] for row in connection.execute("SELECT payload FROM fact")]


def test_an_open_record_keeps_up_with_what_another_process_imported(tmp_path: Path) -> None:
    site = new_site(tmp_path)
    first = Record.open(site)
    assert not first.keep_up()
    Record.open(site).add(Listed(facts(glucose("a", 1))))
    assert first.n_subjects == 0
    assert first.keep_up() and first.n_subjects == 1
    assert not first.keep_up()


def test_facts_of_several_systems_are_kept_together_or_not_at_all(site: SiteDirectory) -> None:
    record = Record.open(site)
    rows = facts(glucose("a", 1), glucose("a", 2), glucose("b", 3)).with_columns(
        system=pl.Series(["one", "two", "two"])
    )
    refused = rows.with_columns(code=pl.Series([GLUCOSE, "", GLUCOSE]))
    assert record.append(refused, whole=True).refused == {2: "no code"}
    assert (record.n_events, record.waiting().rejected) == (0, 0)

    def fail(arrival: Arrival) -> None:
        assert arrival.written == 3
        raise InputError("not told")

    with pytest.raises(InputError, match="not told"):
        record.append(rows, telling=fail)
    assert record.n_events == 0
    unnamed = rows.with_columns(system=pl.Series(["one", None, None], dtype=pl.String))
    assert record.append(unnamed, "two", whole=True).written == 3
    assert [days(record, record.find(*who)) for who in (("a", "one"), ("a", "two"), ("b", "two"))] == [
        [1],
        [2],
        [3],
    ]
