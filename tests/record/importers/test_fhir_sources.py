"""Where FHIR comes from: NDJSON, Bundles, gzip, folders, tars; whole and damaged, in any encoding."""

from __future__ import annotations

import gc
import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.foundation.errors import InputError, StorageError
from medloom.record.importers.fhir import FhirImporter, bundles, importer, problems, reading
from medloom.record.importing import Batch, ImportContext, as_batch_frame

Resource = dict[str, Any]


def observation(name: str | int, patient: str = "Patient/p1", **fields: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": str(name),
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2020-03-01T08:00:00Z",
        "valueInteger": 1,
        **fields,
    }


def ndjson(*resources: Resource) -> bytes:
    return b"".join(orjson.dumps(resource) + b"\n" for resource in resources)


def bundle(*resources: Resource, kind: str = "transaction", **entry: Any) -> bytes:
    entries = [{"resource": resource, **entry} for resource in resources]
    return orjson.dumps({"resourceType": "Bundle", "type": kind, "entry": entries})


def batches(path: Path) -> list[Batch]:
    return list(FhirImporter(path).batches(ImportContext()))


def facts(path: Path) -> pl.DataFrame:
    return pl.concat(as_batch_frame(batch.facts) for batch in batches(path))


def notes(path: Path) -> dict[str, int]:
    return {name: n for batch in batches(path) for name, n in batch.notes.items()}


def tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


# ---- Forms


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", ndjson(observation(1), observation(2))),
        ("a.ndjson.gz", gzip.compress(ndjson(observation(1), observation(2)))),
        ("a.ndjson.gz", gzip.compress(ndjson(observation(1))) + gzip.compress(ndjson(observation(2)))),
        ("a.jsonl", ndjson(observation(1), observation(2)).replace(b"\n", b"\r\n")),
        ("a.ndjson", ndjson(observation(1), observation(2)).rstrip(b"\n")),
        ("a.json", bundle(observation(1), observation(2))),
        ("a.JSON", bundle(observation(1), observation(2), kind="searchset")),
        ("a.json.gz", gzip.compress(bundle(observation(1), observation(2), kind="collection"))),
        ("a.json", ndjson(observation(1), observation(2))),
    ],
)
def test_the_same_resources_in_every_form(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = facts(path)
    assert found.select("patient", "key", "file", "row", "problem").rows() == [
        ("p1", "Observation/1", 0, 1, None),
        ("p1", "Observation/2", 0, 2, None),
    ]


def test_a_single_resource_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(orjson.dumps(observation(1), option=orjson.OPT_INDENT_2))
    assert facts(tmp_path / "a.json")["row"].to_list() == [1]


def test_a_bundle_on_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(
        ndjson(observation(1)) + bundle(observation(2), observation(3)) + b"\n"
    )
    assert facts(tmp_path / "a.ndjson").select("key", "row").rows() == [
        ("Observation/1", 1),
        ("Observation/2", 2),
        ("Observation/3", 2),
    ]


def test_a_folder_is_read_with_what_is_below_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.ndjson").write_bytes(ndjson(observation(2)))
    (tmp_path / "a.json").write_bytes(bundle(observation(1)))
    (tmp_path / "readme.txt").write_text("not FHIR")
    (tmp_path / ".hidden.json").write_text("{")
    assert [path.name for path in FhirImporter(tmp_path).sources()] == ["a.json", "x.ndjson"]
    assert facts(tmp_path).select("key", "file", "row").rows() == [
        ("Observation/1", 0, 1),
        ("Observation/2", 1, 1),
    ]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_is_one_file_and_its_rows_are_counted_through(tmp_path: Path, mode: str) -> None:
    members = {
        "x/1.json": bundle(observation(1), observation(2)),
        "x/2.ndjson.gz": gzip.compress(ndjson(observation(3))),
        "x/notes.txt": b"no",
        "x/3.json": bundle(observation(4)),
    }
    suffix = mode[2:]
    path = tar(tmp_path / ("a.tar" + (f".{suffix}" if suffix else "")), members, mode)
    assert facts(path).select("key", "file", "row").rows() == [
        (f"Observation/{n}", 0, n) for n in (1, 2, 3, 4)
    ]


def test_many_facts_come_in_bounded_batches_that_do_not_cut_a_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "FACTS_PER_BATCH", 10)
    part = {"code": {"text": "x"}, "valueInteger": 2}
    resources = [observation(n, component=[part, part]) for n in range(50)]
    (tmp_path / "a.ndjson").write_bytes(ndjson(*resources[:25]))
    (tmp_path / "b.json").write_bytes(bundle(*resources[25:]))
    found = batches(tmp_path)
    assert [batch.facts.height for batch in found] == [12] * 12 + [6]
    assert sum(batch.records for batch in found) == 50
    for batch in found:
        assert set(batch.facts.group_by("key").len()["len"]) == {3}
    whole = pl.concat(batch.facts for batch in found)
    assert whole["file"].to_list() == [0] * 75 + [1] * 75
    assert whole["row"].to_list() == [1 + n // 3 for n in range(75)] * 2


def test_a_batch_is_at_most_fifty_thousand_facts() -> None:
    assert reading.FACTS_PER_BATCH <= 50_000


def test_cycles_are_searched_for_again_while_a_batch_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(ndjson(observation(1)))
    for _ in FhirImporter(tmp_path).batches(ImportContext()):
        assert gc.isenabled()
    assert gc.isenabled()


# ---- References within a Bundle


def entry(resource: Resource, address: str) -> Resource:
    return {"fullUrl": address, "resource": resource}


def write_bundle(path: Path, *entries: Resource) -> Path:
    path.write_bytes(orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    return path


def test_addresses_in_a_bundle_stand_for_the_resources_own_ids(tmp_path: Path) -> None:
    path = write_bundle(
        tmp_path / "a.json",
        entry(observation(1, "urn:uuid:aaa", encounter={"reference": "urn:uuid:bbb"}), "urn:uuid:ccc"),
        entry({"resourceType": "Patient", "id": "p9", "gender": "male"}, "urn:uuid:aaa"),
        entry(
            {
                "resourceType": "Encounter",
                "subject": {"reference": "https://h.org/Patient/p9"},
                "period": {"start": "2020-03-01T08:00:00Z"},
            },
            "urn:uuid:bbb",
        ),
    )
    found = facts(path)
    assert found.select("patient", "encounter", "key").rows() == [
        ("p9", "bbb", "Observation/1"),
        ("p9", None, "Patient/p9"),
        ("p9", "bbb", "Encounter/bbb"),
    ]


def test_an_address_counts_in_its_own_bundle_only(tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p9", "gender": "male"}
    write_bundle(tmp_path / "a.json", entry(patient, "urn:uuid:aaa"))
    write_bundle(tmp_path / "b.json", entry(observation(1, "urn:uuid:aaa"), "urn:uuid:x"))
    assert facts(tmp_path)["patient"].to_list() == ["p9", "aaa"]


def facts_both_ways(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read a Bundle cut into entries, and parsed as a whole."""
    assert bundles.cut(path.read_bytes()) is not None
    cut = facts(path)
    with monkeypatch.context() as patch:
        patch.setattr(bundles, "cut", lambda data: None)
        return cut, facts(path)


MIXED = (
    entry({"resourceType": "Patient", "id": "p9", "gender": "male"}, "urn:uuid:aaa"),
    entry(observation(1, "urn:uuid:aaa", note='{"fullUrl":"x"} "resource"'), "urn:uuid:1"),
    entry({"resourceType": "Claim", "id": "c", "contained": [{"resourceType": "Coverage"}]}, "urn:uuid:c"),
    {"resource": observation(2)},
    entry({"resourceType": "Claim", "id": "d"}, "urn:uuid:d"),
    entry({"resourceType": "Claim", "id": "e"}, "urn:uuid:e"),
    {"resource": observation(3)},
    entry(observation(4, "https://h.org/Patient/p9"), "https://h.org/Observation/4"),
)


@pytest.mark.parametrize("option", [0, orjson.OPT_INDENT_2])
def test_a_bundle_cut_into_entries_gives_what_it_gives_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: int
) -> None:
    content = {"resourceType": "Bundle", "type": "batch", "entry": MIXED, "link": [{"url": "x"}], "total": 9}
    path = tmp_path / "a.json"
    path.write_bytes(orjson.dumps(content, option=option))
    cut, whole = facts_both_ways(path, monkeypatch)
    assert cut.equals(whole)
    assert cut["key"].to_list() == ["Patient/p9", *(f"Observation/{n}" for n in (1, 2, 3, 4))]
    assert cut["patient"].to_list() == ["p9", "p9", "p1", "p1", "p9"]


@pytest.mark.parametrize(
    ("kind", "entries"),
    [
        ("transaction", [*MIXED, {"request": {"method": "DELETE"}}, MIXED[0]]),
        ("transaction-response", [*MIXED, {"response": {"status": "201"}}, MIXED[0]]),
    ],
)
def test_entries_without_a_resource_are_counted_where_some_may_be(
    tmp_path: Path, kind: str, entries: list[Resource]
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(orjson.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}))
    assert bundles.cut(path.read_bytes()) is None
    assert notes(path) == {problems.WITHOUT_RESOURCE: 1}
    assert facts(path)["row"].to_list()[-1] == len(entries)


@pytest.mark.parametrize(
    "odd",
    [
        {"resourceType": "Bundle", "id": "b", "entry": [entry(observation(7), "urn:uuid:7")]},
        {"resourceType": "Basic", "id": "b", "contained": [{"entry": [entry(observation(7), "urn:uuid:7")]}]},
        {"id": "b", "resourceType": "Basic"},
        {"resourceType": "Basic"},
    ],
)
def test_a_bundle_that_cannot_be_cut_exactly_is_not_cut(tmp_path: Path, odd: Resource) -> None:
    path = write_bundle(
        tmp_path / "a.json",
        entry(observation(1), "urn:uuid:1"),
        entry(odd, "urn:uuid:b"),
        entry(observation(2), "urn:uuid:2"),
    )
    assert bundles.cut(path.read_bytes()) is None
    assert facts(path)["key"].to_list() == ["Observation/1", "Observation/2"]


def test_a_fault_in_one_entry_of_a_cut_bundle_is_that_entrys(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "a.json", *(entry(observation(n), f"urn:uuid:{n}") for n in (1, 2, 3)))
    path.write_bytes(path.read_bytes().replace(b'"id":"2",', b'"id":"2",,'))
    assert facts(path).select("key", "row", "problem").rows() == [
        ("Observation/1", 1, None),
        (None, 2, problems.NOT_JSON),
        ("Observation/3", 3, None),
    ]


@given(st.binary(max_size=60), st.integers(0, 600))
def test_no_bytes_in_a_bundle_are_cut_wrong(noise: bytes, place: int) -> None:
    whole = orjson.dumps({"resourceType": "Bundle", "entry": MIXED})
    spoiled = whole[:place] + noise + whole[place:]
    pieces = bundles.cut(spoiled)
    try:
        content = orjson.loads(spoiled)
    except orjson.JSONDecodeError:
        return  # what is cut from it is parsed, or passed over by the type it begins with
    if pieces is not None:
        found = [e for begin, end, _ in pieces.places for e in bundles.entries_in(spoiled[begin:end])]
        assert found == content["entry"]


def order(name: str, medication: str) -> Resource:
    about = {"subject": {"reference": "Patient/p1"}, "authoredOn": "2020-03-01T08:00:00Z"}
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "medicationReference": {"reference": medication},
        **about,
    }


def drug(name: str | None, code: str) -> Resource:
    named = {"id": name} if name else {}
    rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
    return {"resourceType": "Medication", **named, "code": {"coding": [{"system": rxnorm, "code": code}]}}


def test_a_medication_is_its_bundles_own(tmp_path: Path) -> None:
    for name, code in (("a", "1"), ("b", "2")):
        write_bundle(
            tmp_path / f"{name}.json",
            entry(order(name, "urn:uuid:m"), f"urn:uuid:{name}"),
            entry(drug(None, code), "urn:uuid:m"),
        )
    assert facts(tmp_path)["code"].to_list() == ["RxNorm//1", "RxNorm//2"]


@pytest.mark.parametrize("form", ["z.ndjson", "z.ndjson.gz", "z.json", "single", "z.tar.gz"])
def test_a_medication_may_stand_in_a_later_file(tmp_path: Path, form: str) -> None:
    (tmp_path / "a.ndjson").write_bytes(ndjson(order("1", "Medication/m1"), order("2", "Medication/m2")))
    medications = (drug("m1", "1"), drug("m2", "2"))
    match form:
        case "z.ndjson":
            (tmp_path / form).write_bytes(ndjson(observation(1), *medications))
        case "z.ndjson.gz":
            (tmp_path / form).write_bytes(gzip.compress(ndjson(*medications)))
        case "z.json":
            (tmp_path / form).write_bytes(bundle(*medications))
        case "z.tar.gz":
            tar(tmp_path / form, {"m.ndjson": ndjson(*medications)})
        case _:
            for medication in medications:
                (tmp_path / f"z{medication['id']}.json").write_bytes(orjson.dumps(medication))
    found = facts(tmp_path).filter(pl.col("role") == "order")
    assert found["code"].to_list() == ["RxNorm//1", "RxNorm//2"]


# ---- Damage


def test_a_malformed_line_is_one_problem_and_the_import_goes_on(tmp_path: Path) -> None:
    lines = [
        orjson.dumps(observation(1)),
        b'{"resourceType": "Observation", "id": ',
        b"",
        orjson.dumps(observation(4)),
    ]
    (tmp_path / "a.ndjson").write_bytes(b"\n".join(lines))
    assert facts(tmp_path).select("key", "row", "problem").rows() == [
        ("Observation/1", 1, None),
        (None, 2, problems.NOT_JSON),
        ("Observation/4", 4, None),
    ]


@pytest.mark.parametrize(
    "line", [b"[1]", b'"x"', b"3", b"null", b"{}", b'{"resourceType": 3}', b'{"resourceType": []}']
)
def test_json_that_is_no_resource_is_a_problem(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.ndjson").write_bytes(line + b"\n" + ndjson(observation(2)))
    assert facts(tmp_path)["problem"].to_list() == [problems.NOT_FHIR, None]
    (tmp_path / "a.ndjson").unlink()
    (tmp_path / "a.json").write_bytes(line)
    assert facts(tmp_path)["problem"].to_list() == [problems.NOT_FHIR]


def test_a_truncated_gzip_gives_all_whole_lines_and_says_so_once(tmp_path: Path) -> None:
    content = gzip.compress(ndjson(*(observation(f"{n:05d}{os.urandom(8).hex()}") for n in range(5000))))
    (tmp_path / "a.ndjson.gz").write_bytes(content[: len(content) // 2])
    found = facts(tmp_path)
    good = found.filter(pl.col("problem").is_null())
    assert 1000 < good.height < 4900
    assert found["problem"].drop_nulls().to_list() == [problems.TRUNCATED]
    assert good["row"].to_list() == list(range(1, good.height + 1))


def test_a_damaged_gzip_is_said_and_the_next_file_is_read(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(ndjson(*(observation(os.urandom(8).hex()) for _ in range(5000)))))
    content[len(content) // 2] ^= 0xFF
    content[len(content) // 2 + 1] ^= 0xFF
    (tmp_path / "a.ndjson.gz").write_bytes(bytes(content))
    (tmp_path / "b.ndjson").write_bytes(ndjson(observation("last")))
    found = facts(tmp_path)
    assert problems.CORRUPT in found["problem"].to_list()
    assert found["key"].to_list()[-1] == "Observation/last"


def test_a_name_that_says_gzip_and_lies_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(ndjson(observation(1)))
    assert facts(tmp_path)["problem"].to_list() == [problems.CORRUPT]


@given(cut=st.integers(1, 5))
def test_a_bundle_that_ends_early_gives_its_whole_entries(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.json"
    content = bundle(*(observation(n) for n in range(6)))
    place = content.index(f'"id":"{cut}"'.encode())
    path.write_bytes(content[:place])
    found = facts(path)
    assert found["key"].to_list() == [*(f"Observation/{n}" for n in range(cut)), None]
    assert found["problem"].to_list() == [None] * cut + [problems.TRUNCATED]


def test_a_bundle_with_a_fault_inside_gives_what_stands_before_it(tmp_path: Path) -> None:
    content = bundle(observation(1), observation(2), observation(3)).replace(b'"id":"2"', b'"id":2"')
    (tmp_path / "a.json").write_bytes(content)
    found = facts(tmp_path)
    assert found["key"].to_list() == ["Observation/1", None]
    assert found["problem"].to_list() == [None, problems.FILE_NOT_JSON]


def test_a_tar_that_ends_early_gives_what_it_has_and_says_so_once(tmp_path: Path) -> None:
    members = {f"{n}.json": bundle(observation(f"{n}", note=os.urandom(3000).hex())) for n in range(20)}
    path = tar(tmp_path / "a.tar.gz", members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = facts(path)
    good = found.filter(pl.col("problem").is_null())
    assert 5 <= good.height <= 15
    assert found["problem"].drop_nulls().to_list() == [problems.TRUNCATED]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_other_unicode_encodings_are_read(tmp_path: Path, encoding: str, form: str) -> None:
    resources = [observation(n, valueString="阳性", valueInteger=None) for n in (1, 2)]
    content = ndjson(*resources) if form == "ndjson" else bundle(*resources)
    (tmp_path / f"a.{form}").write_bytes(content.decode().encode(encoding))
    assert facts(tmp_path).select("text_value", "problem").rows() == [("阳性", None)] * 2


def test_gbk_is_refused_by_name(tmp_path: Path) -> None:
    line = ndjson(observation(1, valueString="入院记录", valueInteger=None)).decode().encode("gbk")
    (tmp_path / "a.ndjson").write_bytes(line + ndjson(observation(2)))
    (tmp_path / "b.json").write_bytes(line)
    found = facts(tmp_path).select("file", "row", "problem").rows()
    assert found == [(0, 1, problems.GBK), (0, 2, None), (1, 1, problems.GBK)]


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a.ndjson.gz", "a.json.gz", "a.tar", "a.tar.gz"])
def test_an_empty_file_is_a_note(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert notes(tmp_path) == {problems.EMPTY_FILE: 1}
    assert facts(tmp_path).is_empty()


def test_the_manifest_of_a_bulk_export_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(orjson.dumps({"transactionTime": "2020", "output": []}))
    (tmp_path / "x.ndjson").write_bytes(ndjson(observation(1)))
    assert notes(tmp_path) == {problems.EXPORT_MANIFEST: 1}
    assert facts(tmp_path)["problem"].to_list() == [None]


def test_an_entry_without_a_resource_is_a_note(tmp_path: Path) -> None:
    content = {"resourceType": "Bundle", "entry": [{"request": {"method": "DELETE"}}, None, 3]}
    (tmp_path / "a.json").write_bytes(orjson.dumps(content))
    assert notes(tmp_path) == {problems.WITHOUT_RESOURCE: 3}


def test_types_that_are_passed_over_are_not_mistaken_for_what_they_contain(tmp_path: Path) -> None:
    claim = {"resourceType": "Claim", "id": "1"}
    nested = {"contained": [{"resourceType": "Claim"}], **observation(2)}
    quoting = observation(3, valueInteger=None, valueString='"resourceType":"Claim"')
    (tmp_path / "a.ndjson").write_bytes(ndjson(claim, nested, claim, quoting, claim, observation(4)))
    (batch,) = batches(tmp_path)
    assert batch.facts["key"].to_list() == ["Observation/2", "Observation/3", "Observation/4"]
    assert (batch.passed_over, batch.records) == ({"Claim": 3}, 6)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    "id code coding system display text subject patient reference status component "
                    "valueQuantity value period start effectivePeriod medicationReference ingredient "
                    "extension url identifier meta performedPeriod dosage class content attachment data "
                    "contentType entry resource fullUrl".split()
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from([*importer.KINDS, "Medication", "Bundle"]),
    st.booleans(),
)
def test_no_json_stops_an_import(
    tmp_path_factory: pytest.TempPathFactory, fields: Any, kind: str, bundled: bool
) -> None:
    odd = {**(fields if isinstance(fields, dict) else {"code": fields}), "resourceType": kind}
    resources = (observation("a"), odd, order("m", "Medication/m"), observation("z"))
    path = tmp_path_factory.mktemp("any") / ("a.json" if bundled else "a.ndjson")
    path.write_bytes(bundle(*resources) if bundled else ndjson(*resources))
    found = facts(path)
    assert {"Observation/a", "Observation/z"} <= set(found.filter(pl.col("problem").is_null())["key"])


# ---- Nothing to read


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        FhirImporter(tmp_path / "nothing").sources()


def test_a_folder_without_fhir_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b")
    with pytest.raises(InputError, match=r"looked for: \.ndjson"):
        FhirImporter(tmp_path).sources()
    with pytest.raises(InputError, match=r"x\.csv.*does not look like FHIR"):
        FhirImporter(tmp_path / "x.csv").sources()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (tmp_path / "a.ndjson").write_bytes(ndjson(observation(1)))
    closed.chmod(0)
    try:
        with pytest.raises(StorageError, match="closed"):
            FhirImporter(tmp_path).sources()
    finally:
        closed.chmod(0o700)


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.ndjson").write_bytes(ndjson(observation(1)))
    listing = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(StorageError, match="closed"):
        FhirImporter(tmp_path).sources()
