"""Where a site's 256-bit key is kept: beside the user's settings, in the OS keyring, or in the environment.

Never inside the site: copying the site's directory must not copy its key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from medloom.foundation.errors import KeyUnavailableError
from medloom.foundation.files import write_bytes
from medloom.foundation.site import SiteDirectory

KEY_VARIABLE = "MEDLOOM_KEY"
KEY_FILE_VARIABLE = "MEDLOOM_KEY_FILE"
_SERVICE = "medloom"
_BYTES = 32
_ID_FILE = ".site-id"


def site_key(site: SiteDirectory, create: bool = False) -> bytes:
    """Find the site's key, or with `create` make one where `site.toml` says it belongs.

    Order: MEDLOOM_KEY (base64), MEDLOOM_KEY_FILE, then the place `key` in site.toml names.

    Raises:
        KeyUnavailableError: there is none; the message says where it was looked for.
    """
    if text := os.environ.get(KEY_VARIABLE):
        return _decoded(text, KEY_VARIABLE)
    place = site.settings().key
    if place == "env":
        raise KeyUnavailableError(
            "site.toml takes the key from the environment; set {name} to 32 random bytes in base64",
            name=KEY_VARIABLE,
        )
    identity = _identity(site, create)
    return _from_keyring(identity, create) if place == "keyring" else _from_file(identity, create)


def derived(key: bytes, purpose: str) -> bytes:
    """Derive a 256-bit key for one purpose, so that no key serves two."""
    return hmac.digest(key, f"medloom/{purpose}".encode(), hashlib.sha256)


def key_file(identity: str) -> Path:
    """Name the file that holds the key of the site with this identity."""
    if named := os.environ.get(KEY_FILE_VARIABLE):
        return Path(named)
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return settings / "medloom" / "keys" / f"{identity}.key"


def _from_file(identity: str, create: bool) -> bytes:
    path = key_file(identity)
    if path.is_file():
        return _decoded(path.read_text(encoding="ascii", errors="replace"), path.name)
    if not create:
        raise KeyUnavailableError(
            "the site's key was not found in {path}; put it back from your backup, or name it with {variable}",
            path=str(path),
            variable=KEY_FILE_VARIABLE,
        )
    key = secrets.token_bytes(_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_bytes(path, base64.b64encode(key), mode=0o600)
    return key


def _from_keyring(identity: str, create: bool) -> bytes:
    import keyring
    from keyring.errors import KeyringError

    try:
        text = keyring.get_password(_SERVICE, identity)
        if text is None and create:
            text = base64.b64encode(secrets.token_bytes(_BYTES)).decode()
            keyring.set_password(_SERVICE, identity, text)
    except KeyringError as error:
        raise KeyUnavailableError(
            'the system\'s keyring cannot be used here ({reason}); set key = "file" in site.toml',
            reason=type(error).__name__,
        ) from error
    if text is None:
        raise KeyUnavailableError(
            "the system's keyring holds no key for this site; restore it, or set {name}", name=KEY_VARIABLE
        )
    return _decoded(text, "keyring")


def _identity(site: SiteDirectory, create: bool) -> str:
    path = site.root / _ID_FILE
    if create and not path.exists():
        write_bytes(path, secrets.token_hex(8).encode())
    if not path.exists():
        raise KeyUnavailableError(
            "{name} is missing from the site; it was not copied completely", name=_ID_FILE
        )
    return hashlib.sha256(path.read_bytes().strip()).hexdigest()[:16]


def _decoded(text: str, place: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise KeyUnavailableError("the key in {place} is not 32 bytes in base64", place=place)
    return key
