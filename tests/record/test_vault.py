"""The identity vault: who is who, kept sealed, found by key only."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from medloom.foundation.errors import IntegrityError, KeyUnavailableError, LockedError, NotFoundError
from medloom.foundation.site import SiteDirectory
from medloom.record.database import database_errors
from medloom.record.keys import key_file, site_key
from medloom.record.record import Record
from medloom.record.vault import ERASED, Vault
from tests.record.sources import KEY, Listed, facts, glucose, new_site


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = Vault(tmp_path / "vault.db", bytes(32))
    yield vault
    vault.close()


def test_pseudonyms_are_consecutive_and_lasting(vault: Vault) -> None:
    assert vault.assign("mrn", ["b", "a", "b"]).tolist() == [1, 2, 1]
    assert vault.assign("mrn", ["c", "a"]).tolist() == [3, 2]
    assert vault.assign("other", ["a"]).tolist() == [4]
    assert vault.find("mrn", "a") == 2
    assert vault.find("mrn", "z") is None
    assert vault.identifiers(2) == [("mrn", "a")]
    assert vault.subjects() == 4


def test_a_failed_transaction_gives_no_pseudonym(vault: Vault) -> None:
    vault.assign("mrn", ["a"])

    def fail() -> None:
        with vault.transaction():
            vault.assign("mrn", ["b"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert vault.find("mrn", "b") is None
    assert vault.assign("mrn", ["c"]).tolist() == [2]


def test_no_identifier_stands_in_the_file(tmp_path: Path, vault: Vault) -> None:
    vault.assign("hospital-number", ["Zhang-San-1950"])
    content = (tmp_path / "vault.db").read_bytes()
    assert b"Zhang-San" not in content
    assert b"hospital-number" not in content
    assert (tmp_path / "vault.db").stat().st_mode & 0o777 == 0o600


def test_the_erased_are_known_as_erased_and_nothing_else(tmp_path: Path, vault: Vault) -> None:
    vault.assign("mrn", ["a", "b"])
    sealed = _column(tmp_path, "SELECT sealed FROM identifier WHERE subject_id = 1")
    vault.erase(1)
    vault.vacuum()
    assert vault.assign("mrn", ["a", "b"]).tolist() == [ERASED, 2]
    assert vault.find("mrn", "a") is None
    assert sealed[0] not in (tmp_path / "vault.db").read_bytes()
    with pytest.raises(NotFoundError):
        vault.erase(1)


def test_known_patients_are_found_while_another_process_imports(tmp_path: Path, vault: Vault) -> None:
    vault.assign("mrn", ["a"])
    other = Vault(tmp_path / "vault.db", bytes(32))
    with vault.transaction():
        vault.assign("mrn", ["b"])
        assert other.assign("mrn", ["a"]).tolist() == [1]
    assert other.assign("mrn", ["b"]).tolist() == [2]
    other.close()


def test_another_key_does_not_open_the_vault(tmp_path: Path, vault: Vault) -> None:
    with pytest.raises(KeyUnavailableError, match="the key this site was created with"):
        Vault(tmp_path / "vault.db", bytes(31) + b"x")


def test_an_altered_identifier_does_not_open(tmp_path: Path, vault: Vault) -> None:
    vault.assign("mrn", ["a"])
    with sqlite3.connect(tmp_path / "vault.db") as connection:
        (sealed,) = connection.execute("SELECT sealed FROM identifier").fetchone()
        altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
        connection.execute("UPDATE identifier SET sealed = ?", (altered,))
    with pytest.raises(KeyUnavailableError):
        vault.identifiers(1)


def test_what_was_sealed_for_one_purpose_does_not_open_for_another(vault: Vault) -> None:
    sealed = vault.seal(b"x", "quarantine")
    assert vault.open(sealed, "quarantine") == b"x"
    with pytest.raises(KeyUnavailableError):
        vault.open(sealed, "identifier")


def test_a_damaged_vault_is_said(tmp_path: Path) -> None:
    (tmp_path / "vault.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(IntegrityError, match="damaged"):
        Vault(tmp_path / "vault.db", bytes(32))


def test_a_vault_that_is_written_elsewhere_is_said(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medloom.record.database._PATIENCE", 0.1)
    other = Vault(tmp_path / "vault.db", bytes(32))
    with vault.transaction(), pytest.raises(LockedError), database_errors(tmp_path / "vault.db"):
        other.assign("mrn", ["new"])
    other.close()


# where the key is


def test_the_key_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = new_site(tmp_path, key="env")
    with pytest.raises(KeyUnavailableError, match="MEDLOOM_KEY"):
        site_key(site, create=True)
    monkeypatch.setenv("MEDLOOM_KEY", KEY)
    assert site_key(site) == base64.b64decode(KEY)
    monkeypatch.setenv("MEDLOOM_KEY", "short")
    with pytest.raises(KeyUnavailableError, match="32 bytes"):
        site_key(site)


def test_the_key_is_kept_in_a_file_outside_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    site = new_site(tmp_path)
    key = site_key(site, create=True)
    assert site_key(site) == key
    (path,) = (tmp_path / "config").rglob("*.key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(base64.b64encode(key) in p.read_bytes() for p in site.root.rglob("*") if p.is_file())
    path.rename(tmp_path / "elsewhere.key")
    with pytest.raises(KeyUnavailableError, match="MEDLOOM_KEY_FILE"):
        site_key(site)
    monkeypatch.setenv("MEDLOOM_KEY_FILE", str(tmp_path / "elsewhere.key"))
    assert site_key(site) == key
    assert key_file("any") == tmp_path / "elsewhere.key"


class Drawer(keyring.backend.KeyringBackend):
    """A keyring that is a dictionary."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Broken(Drawer):
    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked


def test_the_key_is_kept_in_the_keyring(tmp_path: Path) -> None:
    before = keyring.get_keyring()
    drawer = Drawer()
    try:
        keyring.set_keyring(drawer)
        site = new_site(tmp_path, key="keyring")
        key = site_key(site, create=True)
        assert site_key(site) == key
        assert len(drawer.kept) == 1
        drawer.kept.clear()
        with pytest.raises(KeyUnavailableError, match="holds no key"):
            site_key(site)
        keyring.set_keyring(Broken())
        with pytest.raises(KeyUnavailableError, match="cannot be used here"):
            site_key(site)
    finally:
        keyring.set_keyring(before)


def test_a_copied_site_does_not_open_without_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    site = new_site(tmp_path)
    Record.open(site).add(Listed(facts(glucose("a", 1))))
    site.root.rename(tmp_path / "moved")
    moved = SiteDirectory(tmp_path / "moved")
    assert Record.open(moved).find("a") == 1
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(KeyUnavailableError):
        Record.open(moved).find("a")


def test_reading_a_record_asks_for_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)
    site = new_site(tmp_path)
    Record.open(site).add(Listed(facts(glucose("a", 1))))
    monkeypatch.delenv("MEDLOOM_KEY")
    assert Record.open(site).n_events == 1


def test_erasure_honours_tombstones_of_all_systems_after_a_merge(vault: Vault) -> None:
    vault.assign("mrn", ["a"])
    vault.assign("lab", ["17"])
    vault.merge(1, 2)
    assert vault.find("lab", "17") == 1
    vault.erase(1)
    assert vault.assign("lab", ["17"]).tolist() == [ERASED]


def _column(folder: Path, query: str) -> list[bytes]:
    with closing(sqlite3.connect(folder / "vault.db")) as connection:
        return [row[0] for row in connection.execute(query)]
