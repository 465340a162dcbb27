"""Systems that may ask by CDS Hooks: each is one issuer of tokens, with the public keys that sign them.

Keys come from a file when a client is added, never from an address in a token: nothing that a caller says is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError as NotUniqueError

from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import utc_now
from medloom.database.tables.cds import cds_client
from medloom.foundation.errors import InputError, NotFoundError
from medloom.loop.releases import Actor

Jwk = Mapping[str, Any]

# What may sign, by the kind of key (RFC 7518 section 3.1); what is not here never verifies.
_ALGORITHMS: Final = {
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("RSA", None): ("RS256", "RS384"),
}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,59}")
_SHORTEST_RSA: Final = 2048  # bits, NIST SP 800-131A
_LONGEST_ISSUER: Final = 400


@dataclass(frozen=True)
class Client:
    """A registered system.

    Attributes:
        name: what it is called here; stands in the audit log as `cds:NAME`.
        issuer: `iss` of its tokens.
        keys: `kid` → public key (RFC 7517).
        system: namespace in which its Patient.id are identifiers of the record; None: the record knows none of them.
        created: when it was registered, UTC.
    """

    name: str
    issuer: str
    keys: Mapping[str, Jwk]
    system: str | None
    created: str

    @property
    def actor(self) -> Actor:
        """Give who acts, for the audit log and reviews."""
        return Actor(f"cds:{self.name}", "clinician")


def add(
    database: Database, by: Actor, name: str, issuer: str, keys: bytes, system: str | None = None
) -> Client:
    """Register a client.

    Args:
        database: of the site.
        by: who registers it.
        name: lower-case letters, digits, dots and hyphens.
        issuer: `iss` of its tokens, to the letter.
        keys: its JWK set in JSON.
        system: see `Client`.

    Raises:
        InputError: name or issuer are taken or no such, or the keys cannot be used; the message says which and why.
    """
    if not _NAME.fullmatch(name):
        raise InputError("the name of a client has lower-case letters, digits, dots and hyphens")
    if not 0 < len(issuer) <= _LONGEST_ISSUER or not issuer.isprintable():
        raise InputError(
            "the issuer of a client is what its tokens carry as iss, such as https://ehr.example.org"
        )
    values = {
        "name": name,
        "issuer": issuer,
        "keys": json.dumps({"keys": list(key_set(keys).values())}),
        "system": system,
        "created": utc_now(),
    }

    def work(connection: Connection) -> None:
        try:
            connection.execute(insert(cds_client), values)
        except NotUniqueError:
            raise InputError("there is a client with this name or issuer already") from None
        database.audit.append(connection, Entry(by.name, by.role, "cds-client.added", target=name))

    database.write(work)
    return next(one for one in every(database) if one.name == name)


def every(database: Database) -> list[Client]:
    """List all clients by name."""
    with database.reading() as connection:
        return [_client(row) for row in connection.execute(select(cds_client).order_by(cds_client.c.name))]


def of_issuer(database: Database, issuer: str) -> Client | None:
    """Find the client whose tokens carry this `iss`."""
    with database.reading() as connection:
        row = connection.execute(select(cds_client).where(cds_client.c.issuer == issuer)).first()
    return None if row is None else _client(row)


def remove(database: Database, by: Actor, name: str) -> None:
    """Let a client ask no more, from its next call on; what it was advised stays.

    Raises:
        NotFoundError: there is none of this name.
    """

    def work(connection: Connection) -> None:
        if not connection.execute(delete(cds_client).where(cds_client.c.name == name)).rowcount:
            raise NotFoundError("there is no client {name!r}", name=name)
        database.audit.append(connection, Entry(by.name, by.role, "cds-client.removed", target=name))

    database.write(work)


def key_set(data: bytes) -> dict[str, Jwk]:
    """Read a JWK set (RFC 7517 section 5): `kid` → key.

    Raises:
        InputError: it is none, holds a private or symmetric key, one without a name of its own, or of another kind
            than EC P-256, EC P-384 and RSA of 2048 bits or more.
    """
    try:
        content = orjson.loads(data)
        listed = content["keys"]
        kids = [key["kid"] for key in listed]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InputError("a JWK set is JSON with keys, each of which has a kid") from None
    if not kids or not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) < len(kids):
        raise InputError("a JWK set has at least one key, and each a kid of its own")
    for key in listed:
        _check(key)
    return dict(zip(kids, listed, strict=True))


def algorithms(key: Jwk) -> tuple[str, ...]:
    """Name the algorithms that a key may have signed with; its own `alg` alone where it says one.

    >>> algorithms({"kty": "EC", "crv": "P-384"}), algorithms({"kty": "oct", "alg": "HS256"})
    (('ES384',), ())
    """
    fitting = _ALGORITHMS.get((str(key.get("kty")), key.get("crv")), ())
    return tuple(one for one in fitting if key.get("alg") in (None, one))


def public_key(key: Jwk) -> Any:
    """Give the key that verifies signatures.

    Raises:
        jwt.PyJWTError: it is not valid.
    """
    return jwt.PyJWK(dict(key), algorithms(key)[0]).key


def _check(key: Jwk) -> None:
    if "d" in key or "k" in key:
        raise InputError("key {kid!r} is secret; hand over the public keys alone", kid=key["kid"])
    if not algorithms(key) or key.get("use") not in (None, "sig"):
        raise InputError(
            "key {kid!r} cannot verify tokens here; use ES256, ES384, RS256 or RS384",
            kid=key["kid"],
        )
    try:
        usable = public_key(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InputError("key {kid!r} is not a valid JWK", kid=key["kid"]) from None
    if isinstance(usable, RSAPublicKey) and usable.key_size < _SHORTEST_RSA:
        raise InputError("key {kid!r} is too short; RSA keys have 2048 bits or more", kid=key["kid"])


def _client(row: Row[Any]) -> Client:
    return Client(row.name, row.issuer, key_set(row.keys.encode()), row.system, row.created)
