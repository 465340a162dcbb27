"""Tokens of clients: what is let in, and everything that is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from medloom.database.audit import AuditLog
from medloom.database.engine import Database
from medloom.foundation.errors import InputError, NotFoundError
from medloom.loop.releases import Actor
from medloom.server.cds import clients, tokens
from medloom.server.cds.tokens import BadTokenError
from tests.server.cds.ehr import ISSUER, Ehr

HERE = "https://site.example.org/cds-services/aki-patient-view"
ADMIN = Actor("root", "admin")
RSA_KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path_factory.mktemp('site') / 'site.db'}", AuditLog(b"k" * 32))
    yield made
    made.close()


@pytest.fixture(scope="module")
def ehr(database: Database) -> Ehr:
    made = Ehr()
    clients.add(database, ADMIN, "ehr", ISSUER, made.jwks())
    return made


def test_a_signed_token_tells_whose_it_is(database: Database, ehr: Ehr) -> None:
    assert tokens.verify(database, ehr.token(HERE), [HERE]).name == "ehr"
    assert tokens.verify(database, ehr.token(["https://other", HERE]), [HERE]).name == "ehr"


@pytest.mark.parametrize("algorithm", ["RS256", "RS384"])
def test_rsa_keys_verify_by_both_digests(database: Database, algorithm: str) -> None:
    other = Ehr(f"https://{algorithm}.example.org", "r", algorithm, RSA_KEY)
    clients.add(database, ADMIN, algorithm.lower(), other.issuer, other.jwks())
    assert tokens.verify(database, other.token(HERE), [HERE]).name == algorithm.lower()


def test_a_token_is_good_once_also_after_a_restart(database: Database, ehr: Ehr, tmp_path: Path) -> None:
    used = ehr.token(HERE)
    first = Database(f"sqlite:///{tmp_path / 'site.db'}", AuditLog(b"k" * 32))
    clients.add(first, ADMIN, "ehr", ISSUER, ehr.jwks())
    tokens.verify(first, used, [HERE])
    first.close()
    again = Database(f"sqlite:///{tmp_path / 'site.db'}", AuditLog(b"k" * 32))
    with pytest.raises(BadTokenError, match="used already"):
        tokens.verify(again, used, [HERE])
    again.close()


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": int(time.time()) + 86_400}, "lives too long"),
        ({"exp": 1e400}, "not valid"),
        ({"iat": int(time.time()) + 86_400}, "not valid"),
        ({"nbf": int(time.time()) + 86_400}, "not valid"),
        ({"iss": "https://stranger.example.org"}, "not registered"),
        ({"iss": None}, "no issuer"),
        ({"aud": "https://elsewhere.example.org/cds-services/x"}, "another address"),
        ({"aud": None}, "another address|lacks"),
        ({"jti": None}, "lacks"),
        ({"iat": None}, "lacks"),
        ({"exp": None}, "lacks"),
    ],
)
def test_what_is_stale_or_not_meant_for_us_is_refused(
    database: Database, ehr: Ehr, claims: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadTokenError, match=why):
        tokens.verify(database, ehr.token(HERE, **claims), [HERE])


def test_forged_tokens_are_refused(database: Database, ehr: Ehr) -> None:
    forger = Ehr()  # the same names, another key
    good = ehr.token(HERE).split(".")
    pem = ehr.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = jwt.decode(ehr.token(HERE), options={"verify_signature": False})
    unsigned = encoded({"alg": "none", "kid": "k1", "typ": "JWT"}) + "." + good[1] + "."
    by_public_key = symmetric(claims, pem)
    pointing = forger.token(HERE, {"jku": "https://attacker.example.org/keys", "jwk": forger.jwk()})
    for token in (
        forger.token(HERE),
        unsigned,
        by_public_key,
        pointing,
        ".".join((good[0], encoded({**claims, "jti": "x"}), good[2])),
        ehr.token(HERE, {"kid": "unknown"}),
        "",
        "a.b.c",
        "x" * 10_000,
    ):
        with pytest.raises(BadTokenError):
            tokens.verify(database, token, [HERE])


def test_a_key_verifies_with_its_own_algorithm_alone(database: Database) -> None:
    other = Ehr("https://strict.example.org", "r", "RS256", RSA_KEY)
    keys = json.dumps({"keys": [{**other.jwk(), "alg": "RS384"}]}).encode()
    clients.add(database, ADMIN, "strict", other.issuer, keys)
    with pytest.raises(BadTokenError):
        tokens.verify(database, other.token(HERE), [HERE])


def test_a_removed_client_is_let_in_no_more(database: Database) -> None:
    other = Ehr("https://gone.example.org")
    clients.add(database, ADMIN, "gone", other.issuer, other.jwks())
    clients.remove(database, ADMIN, "gone")
    with pytest.raises(BadTokenError, match="not registered"):
        tokens.verify(database, other.token(HERE), [HERE])
    with pytest.raises(NotFoundError):
        clients.remove(database, ADMIN, "gone")


def bad_sets() -> list[tuple[bytes, str]]:
    ehr = Ehr()
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ehr.private))
    short = Ehr(private=rsa.generate_private_key(65537, 1024))
    odd = Ehr(private=ec.generate_private_key(ec.SECP521R1()))
    return [
        (b"{", "JWK set"),
        (b"[]", "JWK set"),
        (b'{"keys": []}', "at least one"),
        (b'{"keys": [{"kty": "EC"}]}', "kid"),
        (json.dumps({"keys": [ehr.jwk(), ehr.jwk()]}).encode(), "of its own"),
        (json.dumps({"keys": [{**private, "kid": "p"}]}).encode(), "secret"),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}]}).encode(), "secret"),
        (json.dumps({"keys": [{**ehr.jwk(), "use": "enc"}]}).encode(), "cannot verify"),
        (json.dumps({"keys": [{**ehr.jwk(), "alg": "HS256"}]}).encode(), "cannot verify"),
        (json.dumps({"keys": [{**ehr.jwk(), "x": "AA"}]}).encode(), "not a valid"),
        (short.jwks(), "too short"),
        (odd.jwks(), "cannot verify"),
    ]


@pytest.mark.parametrize(("keys", "why"), bad_sets(), ids=lambda one: one if isinstance(one, str) else "")
def test_keys_that_cannot_be_used_are_refused_when_they_are_added(
    database: Database, keys: bytes, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        clients.add(database, ADMIN, "bad", "https://bad.example.org", keys)


def test_an_issuer_is_one_client(database: Database, ehr: Ehr) -> None:
    with pytest.raises(InputError, match="already"):
        clients.add(database, ADMIN, "second", ISSUER, ehr.jwks())


def encoded(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def symmetric(claims: dict[str, Any], secret: bytes) -> str:
    signed = encoded({"alg": "HS256", "kid": "k1", "typ": "JWT"}) + "." + encoded(claims)
    seal = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return signed + "." + base64.urlsafe_b64encode(seal).rstrip(b"=").decode()
