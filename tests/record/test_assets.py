"""The record's files: kept once, named by content, sealed where the site says so, gone with their subject."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medloom.foundation.errors import InputError, IntegrityError, KeyUnavailableError, NotFoundError
from medloom.foundation.hashing import sha256_bytes
from medloom.foundation.site import SiteDirectory
from medloom.record.assets import CHUNK, Assets
from medloom.record.record import Record
from medloom.record.vault import Vault
from tests.record.sources import KEY, Listed, facts, glucose, new_site

LARGE = bytes(range(256)) * (CHUNK // 256 * 3) + b"end"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)


@pytest.fixture
def plain(tmp_path: Path) -> Assets:
    return Assets(SiteDirectory(tmp_path))


@pytest.fixture
def sealed(tmp_path: Path) -> Assets:
    return Assets(SiteDirectory(tmp_path), Vault(tmp_path / "vault.db", bytes(32)))


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "assets").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "content", [b"", b"x", LARGE, LARGE[: 2 * CHUNK]], ids=["empty", "one", "large", "whole chunks"]
)
@pytest.mark.parametrize("kind", ["plain", "sealed"])
def test_what_is_put_is_read_back(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, content: bytes
) -> None:
    assets: Assets = request.getfixturevalue(kind)
    name = assets.put(content)
    assert name == f"sha256:{sha256_bytes(content)}"
    assert name in assets
    assert list(assets) == [name]
    assert assets.read(name) == content
    source = tmp_path / "source.bin"
    source.write_bytes(content)
    assert assets.put(source) == name
    (path,) = files(tmp_path)
    assert path.parent.name == name[7:9]
    assert path.stat().st_mode & 0o777 == 0o600
    if kind == "sealed" and len(content) > 16:
        assert content[:16] not in path.read_bytes()


def test_a_file_that_was_kept_plain_is_sealed_when_it_is_put_again(tmp_path: Path, plain: Assets) -> None:
    name = plain.put(b"a secret scan")
    sealed = Assets(SiteDirectory(tmp_path), Vault(tmp_path / "vault.db", bytes(32)))
    assert sealed.put(b"a secret scan") == name
    (kept,) = files(tmp_path)
    assert b"secret" not in kept.read_bytes()
    assert sealed.read(name) == b"a secret scan"


@given(
    content=st.binary(max_size=300),
    chunk=st.integers(1, 70),
    reads=st.lists(st.tuples(st.integers(0, 320), st.integers(0, 90)), max_size=8),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_sealed_file_reads_and_seeks_like_any_file(
    sealed: Assets, monkeypatch: pytest.MonkeyPatch, content: bytes, chunk: int, reads: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr("medloom.record.assets.CHUNK", chunk)
    name = sealed.put(content)
    expected = io.BytesIO(content)
    with sealed.open(name) as file:
        for place, size in reads:
            expected.seek(place)
            file.seek(place)
            assert file.read(size) == expected.read(size)
        assert file.seek(0, io.SEEK_END) == len(content)
    sealed.discard([name])


def test_an_altered_plain_file_is_refused(tmp_path: Path, plain: Assets) -> None:
    name = plain.put(LARGE)
    files(tmp_path)[0].write_bytes(LARGE + b"!")
    with pytest.raises(IntegrityError, match="altered"):
        plain.open(name)


def alter_byte(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


def swap_chunks(data: bytes) -> bytes:
    size, start = CHUNK + 16, 15
    return (
        data[:start]
        + data[start + size : start + 2 * size]
        + data[start : start + size]
        + data[start + 2 * size :]
    )


@pytest.mark.parametrize(
    "damage",
    [
        alter_byte,
        swap_chunks,
        lambda data: data[: 15 + CHUNK + 16],
        lambda data: data[: 15 + 2 * (CHUNK + 16)],
        lambda data: data[:-1],
        lambda data: data + b"x" * 20,
        lambda data: data[:10],
        lambda data: b"X" + data[1:],
    ],
    ids=["byte", "order", "one chunk", "two chunks", "last byte", "longer", "header", "magic"],
)
def test_an_altered_sealed_file_is_refused(tmp_path: Path, sealed: Assets, damage: object) -> None:
    name = sealed.put(LARGE)
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(IntegrityError, match="altered"):
        sealed.read(name)


def test_a_sealed_file_under_another_name_is_refused(tmp_path: Path, sealed: Assets) -> None:
    first, second = sealed.put(b"first"), sealed.put(b"other")
    paths = {path.stem: path for path in files(tmp_path)}
    paths[second[7:]].write_bytes(paths[first[7:]].read_bytes())
    with pytest.raises(IntegrityError):
        sealed.read(second)


def test_a_sealed_file_needs_the_key(tmp_path: Path, sealed: Assets) -> None:
    name = sealed.put(b"x")
    with pytest.raises(KeyUnavailableError):
        Assets(SiteDirectory(tmp_path)).open(name)
    with pytest.raises(IntegrityError):
        Assets(SiteDirectory(tmp_path), Vault(tmp_path / "other.db", b"k" * 32)).open(name)


def test_what_is_not_there_is_said(plain: Assets) -> None:
    with pytest.raises(NotFoundError):
        plain.open(f"sha256:{'0' * 64}")
    with pytest.raises(InputError, match="64"):
        plain.open("sha256:../../etc/passwd")


@pytest.mark.parametrize("kind", ["plain", "sealed"])
def test_what_is_written_straight_into_the_record_is_kept_as_if_it_were_put(
    kind: str, request: pytest.FixtureRequest
) -> None:
    assets: Assets = request.getfixturevalue(kind)

    def write(file: BinaryIO) -> None:
        file.write(b"a scan")

    name = assets.put_written(write)
    assert assets.read(name) == b"a scan"
    assert name == assets.put(b"a scan") == assets.put_written(write)
    assert list(assets) == [name]


def test_what_fails_to_be_written_leaves_nothing(tmp_path: Path, plain: Assets) -> None:
    def failing(file: BinaryIO) -> None:
        file.write(b"half a scan")
        raise InputError("no more")

    with pytest.raises(InputError):
        plain.put_written(failing)
    assert not files(tmp_path)


def test_a_failed_put_leaves_nothing(tmp_path: Path, plain: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medloom.record.assets._copied", lambda source, target: "0" * 64)
    with pytest.raises(InputError, match="changed while it was read"):
        plain.put(b"x")
    assert files(tmp_path) == []


@pytest.mark.parametrize("encrypt", [False, True])
def test_files_of_an_erased_subject_go_unless_another_has_them(tmp_path: Path, encrypt: bool) -> None:
    site = new_site(tmp_path, encrypt_at_rest=encrypt)
    record = Record.open(site)
    assets = record.assets()
    own, shared, others, waiting = (assets.put(text) for text in (b"own", b"shared", b"others", b"waiting"))

    def image(patient: str, asset: str) -> dict[str, object]:
        return {
            "patient": patient,
            "time": datetime(2020, 1, 1),
            "code": "IMAGE//CT",
            "role": "image",
            "asset": asset,
        }

    record.add(Listed(facts(image("a", own), image("a", shared), image("b", shared), image("b", others))))
    record.append(facts(image("a", waiting)))
    record.add(Listed(facts(glucose("c", 1))))
    record.erase(record.find("a"))
    assert set(assets) == {shared, others}
    assert assets.read(shared) == b"shared"
    record.erase(record.find("b"))
    assert list(assets) == []
