"""Data sets come from a mirror or their owner, whole and checked, or not at all."""

import http.server
import io
import json
import os
import random
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from medloom.foundation.errors import IntegrityError, NotFoundError
from medloom.foundation.hashing import sha256_bytes
from medloom.record.datasets import (
    Archive,
    Dataset,
    Packaging,
    available,
    cache_folder,
    content_digest,
    fetch,
    get,
)
from medloom.record.importers.table import load_mapping

MEMBERS = {"1.json": b'{"a": 1,\n "b": 2.0}', "2.json": b'{"b":[],"a":"\xc3\xa9"}'}


def packed(inside: str, mode: str = "w:gz", extra: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in {f"{inside}/{n}": d for n, d in MEMBERS.items()}.items() | (extra or {}).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def dataset(
    tmp_path: Path, base: str = "http://127.0.0.1:9/", sha256: str = "", as_json: bool = False
) -> Dataset:
    reference = tmp_path / "reference"
    reference.mkdir(exist_ok=True)
    for name, data in MEMBERS.items():
        (reference / name).write_bytes(data)
    count, content = content_digest(reference, as_json)
    packagings = (
        Packaging(mirror="all.tar.gz", inside="all", sha256=sha256),
        Packaging(url=base + "all.tar.gz", inside="deep/all"),
    )
    return Dataset(
        name="tiny",
        title="Tiny",
        licence="CC0-1.0",
        citation="nobody",
        home="http://127.0.0.1/",
        importer="table",
        mirror="ehr/tiny",
        base=base,
        files={"Outcomes.txt": sha256_bytes(b"outcomes")},
        archives=(
            Archive(path="all", count=count, content=content, json_files=as_json, packagings=packagings),
        ),
    )


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror" / "ehr" / "tiny"
    folder.mkdir(parents=True)
    (folder / "all.tar.gz").write_bytes(packed("all"))
    (folder / "Outcomes.txt").write_bytes(b"outcomes")
    return tmp_path / "mirror"


@contextmanager
def serving(content: dict[str, bytes], cut: int | None = None) -> Iterator[tuple[str, list[str | None]]]:
    """Serve files; the first answer ends after `cut` bytes. Yields the address and the ranges asked for."""
    ranges: list[str | None] = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = content.get(self.path)
            asked = self.headers.get("Range")
            ranges.append(asked)
            if data is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            stop = cut if cut is not None and len(ranges) == 1 else None
            self.wfile.write(data[start:stop])

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", ranges
    finally:
        server.shutdown()
        server.server_close()


def left(folder: Path) -> set[str]:
    return {
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    }


def test_a_data_set_comes_from_the_mirror(tmp_path: Path, mirror: Path) -> None:
    folder = fetch(dataset(tmp_path), tmp_path / "data", mirror)
    assert left(folder) == {"Outcomes.txt", "all/1.json", "all/2.json"}
    assert (folder / "all/1.json").read_bytes() == MEMBERS["1.json"]


def test_the_second_time_nothing_is_read_again(tmp_path: Path, mirror: Path) -> None:
    first = fetch(dataset(tmp_path), tmp_path / "data", mirror)
    (mirror / "ehr/tiny/all.tar.gz").unlink()
    assert fetch(dataset(tmp_path), tmp_path / "data", mirror) == first


def test_a_data_set_that_has_changed_is_fetched_again(tmp_path: Path, mirror: Path) -> None:
    fetch(dataset(tmp_path), tmp_path / "data", mirror)
    (mirror / "ehr/tiny/Outcomes.txt").write_bytes(b"more")
    changed = dataset(tmp_path).model_copy(update={"files": {"Outcomes.txt": sha256_bytes(b"more")}})
    folder = fetch(changed, tmp_path / "data", mirror)
    assert (folder / "Outcomes.txt").read_bytes() == b"more"


@pytest.mark.parametrize("spoiled", ["Outcomes.txt", "all.tar.gz"])
def test_what_is_not_what_was_expected_is_refused_and_leaves_nothing(
    tmp_path: Path, mirror: Path, spoiled: str
) -> None:
    data = packed("all", extra={"all/3.json": b"{}"}) if spoiled == "all.tar.gz" else b"outcome"
    (mirror / "ehr/tiny" / spoiled).write_bytes(data)
    with pytest.raises(IntegrityError):
        fetch(dataset(tmp_path), tmp_path / "data", mirror)
    assert not left(tmp_path / "data")


def test_the_sum_of_a_packaging_counts_where_it_is_known(tmp_path: Path, mirror: Path) -> None:
    with pytest.raises(IntegrityError, match="SHA-256"):
        fetch(dataset(tmp_path, sha256="0" * 64), tmp_path / "data", mirror)
    right = sha256_bytes((mirror / "ehr/tiny/all.tar.gz").read_bytes())
    assert fetch(dataset(tmp_path, sha256=right), tmp_path / "data", mirror).is_dir()


def test_a_truncated_archive_is_refused(tmp_path: Path, mirror: Path) -> None:
    path = mirror / "ehr/tiny/all.tar.gz"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(IntegrityError, match="complete"):
        fetch(dataset(tmp_path), tmp_path / "data", mirror)


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_a_corrupt_archive_is_refused(tmp_path: Path, mirror: Path, kind: str) -> None:
    noise = random.Random(1).randbytes(200_000)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("all/1.json")
        info.size = len(noise)
        archive.addfile(info, io.BytesIO(noise))
    data = bytearray(buffer.getvalue())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    (mirror / "ehr/tiny/all.tar.gz").write_bytes(data)
    with pytest.raises(IntegrityError, match="complete"):
        fetch(dataset(tmp_path), tmp_path / "data", mirror)


def test_members_that_point_elsewhere_are_left_out(tmp_path: Path, mirror: Path) -> None:
    (mirror / "ehr/tiny/all.tar.gz").write_bytes(
        packed("all", extra={"all/../../evil.json": b"{}", "/etc/evil.json": b"{}", "other/evil.json": b"{}"})
    )
    fetch(dataset(tmp_path), tmp_path / "data", mirror)
    assert not list(tmp_path.rglob("evil.json"))


def test_without_a_mirror_it_comes_from_the_owner_in_the_owner_s_packaging(tmp_path: Path) -> None:
    with serving({"/all.tar.gz": packed("x/deep/all"), "/Outcomes.txt": b"outcomes"}) as (base, _):
        folder = fetch(dataset(tmp_path, base), tmp_path / "data")
    assert left(folder) == {"Outcomes.txt", "all/1.json", "all/2.json"}
    assert not list((tmp_path / "data").glob(".*downloads/*"))


def test_a_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with serving({"/all.tar.gz": packed("deep/all"), "/Outcomes.txt": b"outcomes"}, cut=3) as (base, ranges):
        with pytest.raises(NotFoundError, match="goes on where it stopped"):
            fetch(dataset(tmp_path, base), tmp_path / "data")
        folder = fetch(dataset(tmp_path, base), tmp_path / "data")
    assert ranges == [None, "bytes=3-", None]
    assert (folder / "Outcomes.txt").read_bytes() == b"outcomes"


def test_a_spoiled_download_is_not_taken_for_complete_the_next_time(tmp_path: Path) -> None:
    with (
        serving({"/all.tar.gz": packed("deep/all"), "/Outcomes.txt": b"0utcomes"}) as (base, _),
        pytest.raises(IntegrityError),
    ):
        fetch(dataset(tmp_path, base), tmp_path / "data")
    with serving({"/all.tar.gz": packed("deep/all"), "/Outcomes.txt": b"outcomes"}) as (base, _):
        assert fetch(dataset(tmp_path, base), tmp_path / "data").is_dir()


def test_without_mirror_and_network_both_ways_out_are_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        fetch(dataset(tmp_path), tmp_path / "data")
    assert "MEDLOOM_MIRROR" in str(caught.value)
    assert "ehr/tiny/Outcomes.txt" in str(caught.value)
    assert "connect to the network" in str(caught.value)
    with serving({}) as (base, _), pytest.raises(NotFoundError, match="404"):
        fetch(dataset(tmp_path, base), tmp_path / "data")


def test_json_counts_by_its_content_and_loses_its_white_space(tmp_path: Path, mirror: Path) -> None:
    wanted = dataset(tmp_path, as_json=True)
    loose = {name: json.dumps(json.loads(data), indent=4).encode() for name, data in MEMBERS.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name, data in loose.items():
            info = tarfile.TarInfo(f"all/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (mirror / "ehr/tiny/all.tar.gz").write_bytes(buffer.getvalue())
    folder = fetch(wanted, tmp_path / "data", mirror)
    assert (folder / "all/1.json").read_bytes() == b'{"a":1,"b":2.0}'


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOOM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "medloom"
    monkeypatch.setenv("MEDLOOM_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match="physionet2012"):
        get("physionet2021")


@pytest.mark.parametrize("one", available(), ids=lambda one: one.name)
def test_every_entry_can_be_had_from_its_owner_over_https(one: Dataset) -> None:
    assert one.home.startswith("https://")
    assert one.licence
    assert one.citation
    assert not one.files or one.base.startswith("https://")
    for archive in one.archives:
        assert any(packaging.url.startswith("https://") for packaging in archive.packagings)
        assert archive.count > 0
    if one.mapping:
        load_mapping(one.mapping)


@pytest.mark.skipif(not os.environ.get("MEDLOOM_MIRROR"), reason="MEDLOOM_MIRROR is not set")
@pytest.mark.parametrize("one", available(), ids=lambda one: one.name)
def test_the_mirror_has_what_the_entries_say(one: Dataset, tmp_path: Path) -> None:
    mirror = Path(os.environ["MEDLOOM_MIRROR"])
    if not (mirror / one.mirror).is_dir():
        pytest.skip(f"the mirror has no {one.mirror}")
    folder = get(one.name, tmp_path)
    assert len(left(folder)) == len(one.files) + sum(archive.count for archive in one.archives)
