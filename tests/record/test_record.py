"""The record on disk: what an import leaves, and that it is MEDS."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import meds
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medloom.foundation.errors import InputError, IntegrityError, NotFoundError
from medloom.foundation.messages import speaking
from medloom.foundation.site import SiteDirectory
from medloom.record import commit, generation, quarantine
from medloom.record.importing import CodeInfo
from medloom.record.quarantine import quarantine_files, read_quarantine
from medloom.record.record import Record
from medloom.record.vault import Vault
from tests.record.sources import GLUCOSE, KEY, Listed, content, facts, glucose, new_site


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all sites one key, so that equal content has equal keys."""
    monkeypatch.setenv("MEDLOOM_KEY", KEY)


@pytest.fixture
def site(tmp_path: Path) -> SiteDirectory:
    return new_site(tmp_path)


@pytest.fixture
def record(site: SiteDirectory) -> Record:
    return Record.open(site)


def assert_is_meds(site: SiteDirectory) -> None:
    """Hold the current generation against MEDS' own schemas and its rule of contiguous, sorted subjects."""
    folder = generation.current(site)
    assert folder is not None
    seen: set[int] = set()
    codes: set[str] = set()
    for path in sorted((folder / meds.data_subdirectory).glob("**/*.parquet")):
        meds.DataSchema.validate(pq.read_table(path))
        frame = pl.read_parquet(path)
        ids = frame["subject_id"]
        assert ids.is_sorted()
        assert not seen & set(ids)
        seen |= set(ids)
        codes |= set(frame["code"])
        for _, rows in frame.group_by("subject_id"):
            times = rows["time"]
            assert times.fill_null(datetime(1, 1, 1)).is_sorted()
    catalogue = pq.read_table(folder / meds.code_metadata_filepath)
    meds.CodeMetadataSchema.validate(catalogue)
    assert codes <= set(catalogue["code"].to_pylist())
    meds.SubjectSplitSchema.validate(pq.read_table(folder / meds.subject_splits_filepath))
    meds.DatasetMetadataSchema.validate(json.loads((folder / meds.dataset_metadata_filepath).read_text()))


def test_an_import_is_a_valid_meds_dataset(site: SiteDirectory, record: Record) -> None:
    rows = [glucose(f"p{n}", day) for n in range(8) for day in (3, 1, 2)]
    rows += [{"patient": f"p{n}", "code": "GENDER//F", "static": True} for n in range(8)]
    record.add(Listed(facts(*rows), codes={GLUCOSE: CodeInfo("Glucose")}))
    assert_is_meds(site)
    assert record.n_subjects == 8
    assert record.n_events == 32
    assert record.catalogue.descriptions() == {GLUCOSE: "Glucose"}
    assert record.catalogue.units() == {GLUCOSE: "mg/dL"}
    assert record.catalogue.static_codes() == {"GENDER//F"}
    assert record.read(["code"], [1])["code"].to_pylist() == ["GENDER//F", GLUCOSE, GLUCOSE, GLUCOSE]


def test_the_same_import_again_changes_nothing(record: Record) -> None:
    source = Listed(facts(glucose("a", 1), glucose("a", 1), glucose("a", 1, key="Observation/1")))
    first = record.add(source)
    digest = record.digest()
    again = record.add(source)
    assert (first.written, first.duplicates) == (3, 0)
    assert (again.written, again.duplicates, again.generation) == (0, 3, first.generation)
    assert record.digest() == digest


def test_the_same_fact_in_two_files_is_one(record: Record) -> None:
    report = record.add(Listed(facts(glucose("a", 1, file=0), glucose("a", 1, file=1))))
    assert (report.written, report.duplicates) == (1, 1)


def test_units_become_those_of_the_code(record: Record) -> None:
    record.add(
        Listed(
            facts(
                glucose("a", 1, 5.0, unit="mmol/L"),
                glucose("a", 2, 90.0),
                glucose("a", 3, 1.0, unit="mm[Hg]"),
            )
        )
    )
    values = record.read(["numeric_value"])["numeric_value"].to_pylist()
    assert values[:2] == pytest.approx([90.08, 90.0], abs=0.01)
    assert values[2] is None
    assert record.events()["text_value"].to_list() == [None, None, "1.0 mm[Hg]"]


def test_a_later_import_does_not_change_the_unit_of_a_code(record: Record) -> None:
    record.add(Listed(facts(glucose("a", 1, 90.0))))
    report = record.add(
        Listed(facts(glucose("a", 2, 1.0, unit="{score}"), glucose("a", 3, 5.0, unit="mmol/L")))
    )
    assert report.notes.total() == 1
    assert record.catalogue.units() == {GLUCOSE: "mg/dL"}
    assert record.read(["numeric_value"])["numeric_value"].to_pylist() == pytest.approx(
        [90.0, None, 90.08], abs=0.01
    )


def test_an_odd_unit_that_comes_first_does_not_settle_what_a_code_is_measured_in(record: Record) -> None:
    creatinine = {"code": "LOINC//2160-0"}
    rows = [(1.0, "mm[Hg]"), (1.0, "mg/dL"), (88.4, "umol/L")]
    report = record.add(
        Listed(facts(*(glucose("a", n, v, unit=u) | creatinine for n, (v, u) in enumerate(rows, 1))))
    )
    assert record.catalogue.units() == {"LOINC//2160-0": "mg/dL"}
    values = record.read(["numeric_value"])["numeric_value"].to_pylist()
    assert values == [None, pytest.approx(1.0), pytest.approx(1.0, abs=0.001)]
    assert report.notes.total() == 1


def test_a_value_that_the_record_cannot_hold_is_quarantined(record: Record) -> None:
    report = record.add(Listed(facts(glucose("a", 1, 1e39), glucose("a", 2, float("nan")), glucose("a", 3))))
    assert report.reasons == {"the value is not a finite number": 2}
    grown = record.add(Listed(facts(glucose("a", 4, 3e38, unit="g/L"))))
    assert grown.notes.total() == 1
    assert record.events()["numeric_value"].to_list() == [90.0, None]


def test_a_large_quarantine_is_kept_whole_and_in_order(
    site: SiteDirectory, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "ROWS_IN_MEMORY", 4)
    batches = [facts(*(glucose("", day, float(10 * n + day)) for day in (1, 2, 3))) for n in range(5)]
    undated = facts({"patient": "a", "code": "ICD10CM//I10", "encounter": "no end"})
    report = record.add(Listed(*batches, undated))
    assert (report.quarantined, report.balanced) == (16, True)
    (path,) = quarantine_files(site)
    with record._vault() as vault:
        kept = read_quarantine(path, vault)
    expected = [10.0 * n + day for n in range(5) for day in (1, 2, 3)]
    assert kept["numeric_value"].to_list() == [*expected, None]


def test_moments_with_a_zone_become_the_wall_clock_of_the_site(tmp_path: Path) -> None:
    site = new_site(tmp_path, time_zone="Asia/Shanghai")
    record = Record.open(site)
    zoned = facts(glucose("a", 1)).with_columns(pl.col("time").dt.replace_time_zone("UTC"))
    record.add(Listed(zoned))
    record.append(zoned.with_columns(patient=pl.lit("b")))
    events = pl.DataFrame({"subject_id": [1], "time": zoned["time"], "code": ["a"]})
    memory = Record.from_events(events, site.settings())
    for one in (record, memory):
        assert set(one.read(["time"])["time"].to_pylist()) == {datetime(2020, 1, 1, 8)}


@pytest.mark.parametrize("frame", [{"patient": ["a"], "time": ["Smith"]}, {"numeric_value": ["Smith"]}])
def test_facts_of_a_wrong_type_are_refused_without_their_values(
    record: Record, frame: dict[str, list[str]]
) -> None:
    with pytest.raises(InputError, match="wrong type") as caught:
        record.append(pl.DataFrame(frame))
    assert "Smith" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_site_without_an_import_knows_nobody(record: Record) -> None:
    for ask in (lambda: record.find("a"), lambda: record.erase(1), lambda: record.merge(1, 2)):
        with pytest.raises(NotFoundError, match="imported"):
            ask()


def test_a_patient_is_found_by_the_identifier_and_the_system_of_the_import(record: Record) -> None:
    record.add(Listed(facts(glucose("b", 1))))
    record.add(Listed(facts(glucose("a", 1)), system="ward"))
    assert record.find("a", "ward") == 2
    with pytest.raises(NotFoundError, match="in system '', but one has it in 'ward'; name that system"):
        record.find("a")
    with pytest.raises(NotFoundError, match="check its spelling") as caught:
        record.find("Smith", "ward")
    assert "Smith" not in str(caught.value)


def test_a_lost_vault_is_named(site: SiteDirectory, record: Record) -> None:
    record.add(Listed(facts(glucose("a", 1))))
    site.vault.unlink()
    with pytest.raises(IntegrityError, match=r"vault\.db is missing"):
        record.find("a")


def test_an_undated_fact_takes_the_end_of_its_encounter(record: Record) -> None:
    stay = {"patient": "a", "encounter": "e1"}
    end = stay | {"time": datetime(2020, 1, 9), "code": "ENCOUNTER//inpatient//END"}
    report = record.add(
        Listed(facts(stay | {"code": "ICD10CM//I10"}, end, {"patient": "a", "code": "ICD10CM//I11"}))
    )
    assert dict(record.events().select("code", "time").iter_rows())["ICD10CM//I10"] == datetime(2020, 1, 9)
    assert report.reasons == {"no date and no encounter": 1}


def test_an_undated_fact_whose_encounter_has_no_end_is_quarantined(
    site: SiteDirectory, record: Record
) -> None:
    report = record.add(
        Listed(facts({"patient": "a", "encounter": "e1", "code": "ICD10CM//I10", "text_value": "x"}))
    )
    assert report.balanced
    assert report.reasons == {"no date, and its encounter has no end": 1}
    assert record.n_events == 0
    assert_is_meds(site)


def test_an_encounter_that_ends_earlier_than_first_said_gives_the_corrected_end(record: Record) -> None:
    stay = {"patient": "a", "encounter": "e1"}

    def export(day: int) -> Listed:
        end = stay | {
            "time": datetime(2020, 1, day),
            "code": "ENCOUNTER//inpatient//END",
            "key": "Encounter/1",
        }
        return Listed(facts(end, stay | {"code": "ICD10CM//I10", "key": "Condition/1"}))

    record.add(export(20))
    record.add(export(9))
    current = record.events().filter(pl.col("known_until").is_null())
    assert current["time"].unique().to_list() == [datetime(2020, 1, 9)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (glucose("", 1), "no patient"),
        (glucose("a", 1, code=""), "no code"),
        (glucose("a", 1, time=datetime(2999, 1, 1)), "time is not between 1850 and 2300"),
        (glucose("a", 1, known_time=datetime(1, 1, 1)), "known time is not between 1850 and 2300"),
        (glucose("a", 1, problem="value is not a number"), "value is not a number"),
    ],
)
def test_an_unusable_fact_is_quarantined_with_its_reason(
    site: SiteDirectory, record: Record, row: dict[str, object], reason: str
) -> None:
    report = record.add(Listed(facts(row, glucose("b", 1))))
    assert report.reasons == {reason: 1}
    assert (report.read, report.written, report.quarantined, report.duplicates) == (2, 1, 1, 0)
    kept = pl.read_parquet(quarantine_files(site)[0])
    assert kept["problem"].to_list() == [reason]
    assert "patient" not in kept.columns


def test_two_imports_that_leave_only_quarantine_keep_both(site: SiteDirectory, record: Record) -> None:
    record.add(Listed(facts(glucose("a", 1, code=""))))
    record.add(Listed(facts(glucose("b", 2, time=datetime(2999, 1, 1)))))
    assert len(quarantine_files(site)) == 2
    assert record.n_events == 0
    assert [one["quarantined"] for one in record.imports] == [
        {"no code": 1},
        {"time is not between 1850 and 2300": 1},
    ]


row_of_a_source = st.builds(
    dict,
    patient=st.sampled_from(["a", "b", "c", "d", "e", ""]),
    time=st.sampled_from([None, datetime(2020, 1, 1), datetime(2020, 1, 2), datetime(1700, 1, 1)]),
    code=st.sampled_from([GLUCOSE, "LOCAL//x", "ENCOUNTER//inpatient//END"]),
    numeric_value=st.sampled_from([None, 0.0, -0.0, 90.0]),
    text_value=st.sampled_from([None, "", "阳性"]),
    known_time=st.sampled_from([None, datetime(2020, 1, 5)]),
    encounter=st.sampled_from([None, "e1", "e2"]),
    static=st.sampled_from([None, True]),
)


@given(rows=st.lists(row_of_a_source, max_size=25), data=st.data())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_cuts_and_repetition_do_not_change_the_record(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    pieces = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    contents = []
    for frames in ([facts(*rows)], [facts(*piece) for piece in pieces]):
        record = Record.open(new_site(tmp_path_factory.mktemp("order")))
        report = record.add(Listed(*frames))
        again = record.add(Listed(*frames))
        assert report.balanced
        assert again.balanced
        assert report.read == len(rows)
        assert again.written == 0
        if report.written:
            assert_is_meds(record._on_disk())
        contents.append((content(record), report.written, report.quarantined, report.duplicates))
    assert contents[0] == contents[1]


@given(data=st.data())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_imports_in_pieces_give_the_record_of_one_import(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    days = st.integers(1, 4)
    # resources with names of their own; one comes again and again as new versions, in one order
    rows = data.draw(
        st.lists(
            st.builds(
                lambda d, v, k: glucose("abcdef"[k], d, v, key=f"Observation/{k}"),
                days,
                st.sampled_from([1.0, 2.0]),
                st.integers(0, 5),
            ),
            max_size=12,
        )
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    pieces = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    whole, pieced = (Record.open(new_site(tmp_path_factory.mktemp("pieces"))) for _ in range(2))
    whole.add(Listed(facts(*rows)))
    for piece in pieces:
        pieced.add(Listed(facts(*piece)))
    assert content(whole, ("source",)) == content(pieced, ("source",))


def test_large_imports_go_through_the_disk_and_are_the_same(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [
        facts(*(glucose(f"p{(n * 7) % 11}", 1 + n % 28, float(n), file=0, row=n) for n in range(at, at + 20)))
        for at in range(0, 200, 20)
    ]
    record.add(Listed(*frames))
    monkeypatch.setattr(commit, "ROWS_IN_MEMORY", 30)
    small = Record.open(new_site(tmp_path / "small"))
    small.add(Listed(*frames))
    assert content(small, ()) == content(record, ())


def test_splits_are_stable_when_patients_are_added(tmp_path: Path) -> None:
    first, second = Record.open(new_site(tmp_path / "1")), Record.open(new_site(tmp_path / "2"))
    first.add(Listed(facts(*(glucose(f"p{n}", 1) for n in range(40)))))
    before = dict(first.splits().iter_rows())
    first.add(Listed(facts(*(glucose(f"q{n}", 1) for n in range(40)))))
    assert before.items() <= dict(first.splits().iter_rows()).items()
    second.add(Listed(facts(*(glucose(f"p{n}", 1) for n in reversed(range(40))))))
    names = {f"p{n}" for n in range(40)}
    assert {p: before[first.find(p)] for p in names} == {
        p: dict(second.splits().iter_rows())[second.find(p)] for p in names
    }


def test_a_record_of_a_newer_medloom_is_refused(site: SiteDirectory, record: Record) -> None:
    record.add(Listed(facts(glucose("a", 1))))
    folder = generation.current(site)
    assert folder is not None
    manifest = folder / generation.MANIFEST
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(IntegrityError, match="newer Medloom"):
        Record.open(site)


def test_a_missing_shard_is_named(site: SiteDirectory, record: Record) -> None:
    record.add(Listed(facts(glucose("a", 1))))
    folder = generation.current(site)
    assert folder is not None
    generation.shard_path(folder, "000000").unlink()
    with pytest.raises(IntegrityError, match="000000"):
        Record.open(site).n_events  # noqa: B018


def test_unchanged_shards_are_not_copied(site: SiteDirectory, record: Record) -> None:
    record.add(Listed(facts(*(glucose(f"p{n}", 1) for n in range(6)))))
    record.add(Listed(facts(glucose("p0", 2))))
    folder = generation.current(site)
    assert folder is not None
    assert generation.shard_path(folder, "000001").stat().st_nlink == 2
    assert generation.shard_path(folder, "000000").stat().st_nlink == 1


def test_only_the_last_generations_are_kept(site: SiteDirectory, record: Record) -> None:
    for day in range(1, 7):
        record.add(Listed(facts(glucose("a", day))))
    assert sorted(path.name for path in site.generations.iterdir()) == ["000004", "000005", "000006"]


def test_a_record_in_memory_reads_like_one_on_disk(record: Record) -> None:
    record.add(Listed(facts(*(glucose(f"p{n}", day) for n in range(5) for day in (1, 2)))))
    memory = Record.from_events(record.events())
    columns = ["subject_id", "time", "code", "numeric_value"]
    for wanted in (None, [2], [1, 5], [99], []):
        assert memory.read(columns, wanted).to_pylist() == record.read(columns, wanted).to_pylist()
    with pytest.raises(InputError, match="in memory only"):
        memory.add(Listed())


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"subject_id": [1], "time": [None]}), "missing: code"),
        (pl.DataFrame({"subject_id": [1], "time": [None], "code": ["a"], "x": [1]}), "unknown columns: x"),
        (pl.DataFrame({"subject_id": ["me"], "time": [None], "code": ["a"]}), "wrong type"),
        (pl.DataFrame({"subject_id": [None, 1], "time": [None, None], "code": ["a", "b"]}), "1 events"),
        (pl.DataFrame({"subject_id": [1], "time": [None], "code": [None]}), "1 events have no"),
    ],
)
def test_events_that_do_not_fit_are_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Record.from_events(frame)


def test_the_report_is_said_in_both_languages(record: Record) -> None:
    report = record.add(Listed(facts(glucose("a", 1), glucose("", 1))))
    assert "2 facts read = 1 written + 1 quarantined + 0 duplicates" in str(report)
    with speaking("zh"):
        assert "没有患者" in str(report)


# erasure and merging


def test_an_erased_subject_is_nowhere_and_stays_away(site: SiteDirectory, record: Record) -> None:
    source = Listed(
        facts(glucose("a", 1), glucose("b", 1), glucose("b", 2, code=""), glucose("a", 3, code=""))
    )
    record.add(source)
    record.add(Listed(facts(glucose("c", 1))))
    gone = record.find("b")
    record.erase(gone)
    assert sorted(path.name for path in site.generations.iterdir()) == ["000003"]
    for path in [*site.generations.rglob("*.parquet"), *quarantine_files(site)]:
        frame = pl.read_parquet(path)
        if "subject_id" in frame.columns:
            assert gone not in frame["subject_id"].to_list(), path.name
    assert [pl.read_parquet(path).height for path in quarantine_files(site)] == [1]
    with pytest.raises(NotFoundError):
        record.find("b")
    with pytest.raises(NotFoundError):
        record.erase(gone)
    report = record.add(source)
    assert report.reasons["the subject was erased from this site"] == 2
    assert report.balanced
    assert gone not in record.subject_ids
    assert record.n_events == 2
    of_erased = pl.concat(
        [pl.read_parquet(path) for path in quarantine_files(site)], how="diagonal_relaxed"
    ).filter(pl.col("problem").str.contains("erased"))
    assert of_erased.drop("problem", "file", "row").null_count().row(0) == (2,) * (of_erased.width - 3)


def test_merged_subjects_are_one_with_what_both_have_once(record: Record) -> None:
    record.add(
        Listed(
            facts(
                glucose("a", 1),
                glucose("a", 2),
                glucose("x1", 1),
                glucose("x2", 1),
                glucose("b", 2),
                glucose("b", 3),
            )
        )
    )
    kept, absorbed = record.find("a"), record.find("b")
    record.merge(kept, absorbed)
    assert record.find("b") == kept
    assert absorbed not in record.subject_ids
    assert [t.day for t in record.read(["time"], [kept])["time"].to_pylist()] == [1, 2, 3]
    assert record.add(Listed(facts(glucose("b", 3)))).duplicates == 1
    assert_is_meds(record._on_disk())


def test_merging_into_a_subject_without_rows_loses_nothing(site: SiteDirectory, record: Record) -> None:
    record.add(
        Listed(
            facts(
                glucose("empty", 1, code=""),
                glucose("m", 1),
                glucose("n", 1),
                glucose("o", 1),
                glucose("b", 1),
                glucose("b", 2, code=""),
            )
        )
    )
    kept, absorbed = record.find("empty"), record.find("b")
    record.merge(kept, absorbed)
    assert record.n_events == 4
    assert record.read(["code"], [kept]).num_rows == 1
    assert pl.read_parquet(quarantine_files(site)[0])["subject_id"].to_list() == [kept, kept]
    with pytest.raises(InputError, match="itself"):
        record.merge(kept, kept)
    with pytest.raises(NotFoundError):
        record.merge(kept, absorbed)


# a site that encrypts


def test_a_sealed_quarantine_forgets_an_erased_subject(tmp_path: Path) -> None:
    site = new_site(tmp_path, encrypt_at_rest=True)
    record = Record.open(site)
    record.add(
        Listed(
            facts(
                glucose("a", 1), glucose("a", 2, code="", text_value="secret word"), glucose("b", 2, code="")
            )
        )
    )
    path = quarantine_files(site)[0]
    assert path.suffix == ".sealed"
    assert b"secret word" not in path.read_bytes()
    record.erase(record.find("a"))
    with record._vault() as vault:
        assert isinstance(vault, Vault)
        assert read_quarantine(path, vault).height == 1


def test_reading_one_patient_takes_few_milliseconds(record: Record) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"patient": rng.integers(0, 300, 30_000), "code": GLUCOSE, "numeric_value": 90.0}
    ).with_columns(
        pl.col("patient").cast(pl.String),
        time=pl.lit(datetime(2020, 1, 1)) + pl.duration(minutes=pl.int_range(30_000)),
    )
    record.add(Listed(frame))
    record.read(["time", "code"], [7])
    taken = []
    for subject in range(1, 40):
        start = time.perf_counter()
        record.read(["time", "code", "numeric_value"], [subject])
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.01
