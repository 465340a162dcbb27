"""Tokens of CDS Hooks clients: signed by a registered key, for this address, fresh, and used once.

CDS Hooks 2.0, section "Trusting CDS Clients"; JWT is RFC 7519, its safe use RFC 8725.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError as NotUniqueError

from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text, utc_now
from medloom.database.tables.cds import cds_seen
from medloom.server.access import NotSignedInError
from medloom.server.cds import clients
from medloom.server.cds.clients import Client

_LEEWAY: Final = 30  # seconds that two clocks may differ
# A token is remembered until it has expired: one that lives long would have to be for long.
_LONGEST_LIFE: Final = 3600
_LONGEST: Final = 8192  # characters
_NEEDED: Final = ["iss", "aud", "exp", "iat", "jti"]


class BadTokenError(NotSignedInError):
    """The call carries no token that is good here; `client` is the registered one that it names, if it does."""

    def __init__(self, template: str, /, client: Client | None = None, **values: object) -> None:
        super().__init__(template, **values)
        self.client = client


def verify(database: Database, token: str, audiences: Sequence[str]) -> Client:
    """Tell whose token this is, and remember that it was used.

    Args:
        database: of the site: who is registered, and which tokens were used, also before the last start.
        token: a JWT, compact.
        audiences: the addresses of which it must name one.

    Raises:
        BadTokenError: it is not good; the message says why, and no more than its sender knows.
    """
    claimed, kid = _unverified(token)
    client = clients.of_issuer(database, claimed)
    if client is None:
        raise BadTokenError("the token's issuer is not registered here; see: medloom cds-client add")
    key = client.keys.get(kid)
    if key is None:
        raise BadTokenError("the token is signed with a key that is not registered", client)
    claims = _claims(token, client, key, audiences)
    if claims["exp"] > time.time() + _LONGEST_LIFE + _LEEWAY:
        raise BadTokenError("the token lives too long; let it expire within an hour", client)
    if not _is_first(database, f"{client.issuer}\x1f{claims['jti']}", claims["exp"]):
        raise BadTokenError("this token was used already; every call needs one of its own", client)
    return client


def _unverified(token: str) -> tuple[str, str]:
    """Give what a token says of itself: issuer and name of the key; nothing of it is believed yet."""
    if len(token) > _LONGEST:
        raise BadTokenError("this is not a JSON web token")
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise BadTokenError("this is not a JSON web token") from None
    issuer, kid = claims.get("iss"), header.get("kid")
    if not isinstance(issuer, str) or not isinstance(kid, str):
        raise BadTokenError("the token names no issuer (iss) or no key (kid)")
    return issuer, kid


def _claims(token: str, client: Client, key: clients.Jwk, audiences: Sequence[str]) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            clients.public_key(key),
            algorithms=list(clients.algorithms(key)),
            audience=list(audiences),
            issuer=client.issuer,
            leeway=_LEEWAY,
            options={"require": _NEEDED},
        )
        return claims | {"exp": int(claims["exp"])}
    except jwt.ExpiredSignatureError:
        raise BadTokenError("the token has expired", client) from None
    except jwt.InvalidAudienceError:
        raise BadTokenError(
            "the token is for another address; aud must be: {address}", client, address=audiences[0]
        ) from None
    except jwt.MissingRequiredClaimError:
        raise BadTokenError("the token lacks one of: {needed}", client, needed=_NEEDED) from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        raise BadTokenError("the token's signature or one of its claims is not valid", client) from None


def _is_first(database: Database, name: str, expires: int) -> bool:
    """Remember a token until it has expired; tell whether it had not been seen."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    until = as_utc_text(datetime.fromtimestamp(expires + _LEEWAY, UTC))

    def work(connection: Connection) -> bool:
        connection.execute(delete(cds_seen).where(cds_seen.c.expires < utc_now()))
        if connection.execute(select(cds_seen.c.digest).where(cds_seen.c.digest == digest)).first():
            return False
        connection.execute(insert(cds_seen).values(digest=digest, expires=until))
        return True

    try:
        return database.write(work)
    except NotUniqueError:  # another process was faster
        return False
