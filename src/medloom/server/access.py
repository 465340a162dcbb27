"""Who may do what: roles, what each is permitted, and how a route says what it needs. Nothing is allowed by default."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from fastapi import Request

from medloom.explanation.wording import AGED
from medloom.foundation.errors import MedloomError
from medloom.foundation.messages import Language, Text2, text2
from medloom.loop.releases import Actor


class ForbiddenError(MedloomError):
    """The person is known, and may not do this."""


class NotSignedInError(MedloomError):
    """Nobody is signed in, or no longer."""


class Permission(StrEnum):
    """What a route may need."""

    READ_PATIENTS = "read-patients"  # records and advice, by pseudonym, within the care team
    SEE_IMAGES = "see-images"  # of patients of the care team, with what was said of them and drawn on them
    SEE_NOTES = "see-notes"  # the text of notes of the care team's patients, with what was taken from them
    REVIEW_NOTES = "review-notes"  # accept, correct, reject and add what was taken from notes
    SEE_IDENTIFIERS = "see-identifiers"  # birth dates, the hospital's identifiers
    ASK = "ask"  # let a released model answer
    ANSWER = "answer"  # accept or override advice
    REVIEW = "review"  # read cases of the experts' queue
    ADJUDICATE = "adjudicate"
    READ_MODELS = "read-models"  # evidence, cards, releases
    PROPOSE_RELEASE = "propose-release"
    SIGN_RELEASE = "sign-release"  # and refuse, retire, roll back
    READ_DATA = "read-data"  # imports, quality
    IMPORT = "import"
    WRITE_EVENTS = "write-events"  # facts, live
    EXPORT = "export"
    MANAGE_ACCOUNTS = "manage-accounts"
    READ_AUDIT = "read-audit"
    OWN_ACCOUNT = "own-account"  # one's password, language, tokens
    KNOW_ONESELF = "know-oneself"  # who one is to the server; every token has it


_TELLING: Final = 90
"""Years from which an age may tell who somebody is (45 CFR 164.514(b)(2)(i)(C))."""

Role = Literal["clinician", "expert", "data_scientist", "governance", "admin"]

OWN: Final = frozenset({Permission.OWN_ACCOUNT, Permission.KNOW_ONESELF})
"""What everybody may, and what is no scope of a token."""

_P = Permission
ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    "clinician": frozenset(
        {
            _P.READ_PATIENTS,
            _P.SEE_IMAGES,
            _P.SEE_NOTES,
            _P.REVIEW_NOTES,
            _P.SEE_IDENTIFIERS,
            _P.ASK,
            _P.ANSWER,
            _P.READ_MODELS,
            *OWN,
        }
    ),
    "expert": frozenset(
        {
            _P.REVIEW,
            _P.SEE_IMAGES,
            _P.SEE_NOTES,
            _P.REVIEW_NOTES,
            _P.ADJUDICATE,
            _P.READ_MODELS,
            *OWN,
        }
    ),
    "data_scientist": frozenset(
        {
            _P.READ_PATIENTS,
            _P.SEE_IMAGES,
            _P.ASK,
            _P.READ_MODELS,
            _P.PROPOSE_RELEASE,
            _P.READ_DATA,
            _P.IMPORT,
            _P.WRITE_EVENTS,
            _P.EXPORT,
            *OWN,
        }
    ),
    "governance": frozenset({_P.READ_MODELS, _P.SIGN_RELEASE, _P.READ_DATA, _P.READ_AUDIT, _P.EXPORT, *OWN}),
    "admin": frozenset({_P.MANAGE_ACCOUNTS, _P.READ_AUDIT, *OWN}),
}


def role_name(role: str) -> Text2:
    """Name a role for people."""
    return {
        "clinician": text2("clinician"),
        "expert": text2("expert reviewer"),
        "data_scientist": text2("data scientist"),
        "governance": text2("governance lead"),
        "admin": text2("administrator"),
    }[role]


@dataclass(frozen=True)
class Person:
    """Who acts in a request.

    Attributes:
        account_id: number of the account.
        login: what they sign in with; stands in the audit log.
        name: how pages call them.
        role: one of `ROLES`.
        permissions: of the role; of a token, those of its scopes alone.
        language: of their pages.
        sees_all: patients beyond their care team too.
        csrf: what forms of their session carry; None: they came with a token, which no browser sends by itself.
        session: digest of the session, or None.
        must_change: whether to choose a password of their own before anything else.
    """

    account_id: int
    login: str
    name: str
    role: Role
    permissions: frozenset[Permission]
    language: Language
    sees_all: bool
    csrf: str | None = None
    session: str | None = None
    must_change: bool = False

    @property
    def actor(self) -> Actor:
        """Give who acts, for the audit log."""
        return Actor(self.login, self.role)

    def age_shown(self, years: float | None) -> float | None:
        """Give an age in years as this person may see it, `AGED` for 90 years and more: it may tell who somebody is."""
        hidden = Permission.SEE_IDENTIFIERS not in self.permissions
        return AGED if hidden and years is not None and years >= _TELLING else years


Guard = Callable[[Request], Awaitable[Person]]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def may(permission: Permission) -> Guard:
    """Give the dependency of a route that needs a permission; every route that is not public has exactly one.

    Raises, in a request:
        NotSignedInError: nobody is signed in.
        ForbiddenError: the person may not, or the form is not of their session.
    """

    async def guard(request: Request) -> Person:
        person = signed_in(request)
        if permission not in person.permissions:
            raise ForbiddenError("your role does not permit this ({permission})", permission=permission.value)
        if person.must_change and permission is not Permission.OWN_ACCOUNT:
            raise ForbiddenError("choose a password of your own first")
        if person.csrf is not None and request.method not in _SAFE:
            await _check_form(request, person.csrf)
        return person

    guard.permission = permission  # type: ignore[attr-defined]
    return guard


def signed_in(request: Request) -> Person:
    """Tell who is signed in; raises NotSignedInError."""
    person: Person | None = request.scope.get("person")
    if person is None:
        raise NotSignedInError("sign in first")
    return person


async def _check_form(request: Request, csrf: str) -> None:
    sent = request.headers.get("x-csrf-token")
    if sent is None:
        kind = request.headers.get("content-type", "")
        if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
            sent = str((await request.form()).get("csrf") or "")
    if not hmac.compare_digest((sent or "").encode(), csrf.encode()):
        raise ForbiddenError("this form is not of your session, or too old; load the page again")
