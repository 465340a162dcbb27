"""Accounts, for administrators."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from medloom.foundation.errors import InputError
from medloom.server import accounts
from medloom.server.access import Permission, Person, Role, may
from medloom.server.accounts import Account
from medloom.server.api.needs import BackendOf, Sent, answer
from medloom.server.api.repeats import OnceOf

router = APIRouter(tags=["accounts"])

Admin = Annotated[Person, Depends(may(Permission.MANAGE_ACCOUNTS))]
NamePath = Annotated[str, Path(max_length=80)]
_ACCOUNT: Final[dict[str, Any]] = {
    "id": 4,
    "name": "dr-lin",
    "display": "Dr. Lin",
    "role": "clinician",
    "language": "zh",
    "sees_all": False,
    "must_change": True,
    "disabled": False,
    "locked_until": None,
    "created": "2026-01-07T08:00:00.000000Z",
}


class AccountSaid(BaseModel):
    """An account; `must_change`: its password was given by somebody else."""

    model_config = ConfigDict(json_schema_extra={"example": _ACCOUNT})

    id: int
    name: str
    display: str
    role: Role
    language: str
    sees_all: bool
    must_change: bool
    disabled: bool
    locked_until: str | None
    created: str


class AccountList(BaseModel):
    """All accounts by name."""

    model_config = ConfigDict(json_schema_extra={"example": {"accounts": [_ACCOUNT]}})

    accounts: list[AccountSaid]


class AccountSent(Sent):
    """A new account; its owner chooses another password at the first sign-in."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"name": "dr-lin", "role": "clinician", "password": "a long sentence here"}
        },
    )

    name: str = Field(max_length=80)
    role: Role
    password: str = Field(max_length=1024)
    display: str = Field("", max_length=120)
    language: Literal["en", "zh"] = "en"
    sees_all: bool = False


class AccountChange(Sent):
    """What is to be different; what is not named stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"disabled": True}})

    role: Role | None = None
    display: str | None = Field(None, min_length=1, max_length=120)
    language: Literal["en", "zh"] | None = None
    sees_all: bool | None = None
    disabled: bool | None = None


class PasswordSent(Sent):
    """Another password; its owner chooses another one at the next sign-in."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"password": "another long sentence"}}
    )

    password: str = Field(max_length=1024)


class TeamSent(Sent):
    """Whose patients an account sees."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"subject_ids": [4711, 4712]}})

    subject_ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(max_length=100_000)


class TeamSaid(BaseModel):
    """Whose patients an account sees, without those it broke glass for."""

    model_config = ConfigDict(json_schema_extra={"example": {"subject_ids": [4711, 4712]}})

    subject_ids: list[int]


@router.get("/accounts", response_model=AccountList)
def list_accounts(backend: BackendOf, person: Admin) -> Response:
    """List the accounts."""
    return answer({"accounts": accounts.every(backend.database)})


@router.post("/accounts", status_code=201, response_model=AccountSaid)
def create_account(backend: BackendOf, person: Admin, sent: AccountSent, once: OnceOf) -> Response:
    """Make an account."""

    def work() -> Response:
        made = accounts.create(
            backend.database,
            person.actor,
            sent.name,
            sent.role,
            sent.password,
            display=sent.display,
            language=sent.language,
            sees_all=sent.sees_all,
        )
        return answer(made, 201, {"location": f"/api/v1/accounts/{made.name}"})

    return once.first(work)


@router.get("/accounts/{name}", response_model=AccountSaid)
def read_account(backend: BackendOf, person: Admin, name: NamePath) -> Response:
    """Read an account."""
    return answer(accounts.find(backend.database, name))


@router.patch("/accounts/{name}", response_model=AccountSaid)
def change_account(backend: BackendOf, person: Admin, name: NamePath, sent: AccountChange) -> Response:
    """Change an account; another role, or being disabled, ends its sessions and tokens."""
    values = sent.model_dump(exclude_none=True)
    if not values:
        raise InputError("say what is to be different")
    if values.get("disabled") and name == person.login:
        raise InputError("you cannot disable your own account")
    changed: Account = accounts.change(backend.database, person.actor, name, **values)
    backend.accounts_changed()
    return answer(changed)


@router.put("/accounts/{name}/password", status_code=204)
def set_password(backend: BackendOf, person: Admin, name: NamePath, sent: PasswordSent) -> Response:
    """Give an account another password; ends its sessions."""
    accounts.set_password(backend.database, person.actor, name, sent.password, must_change=True)
    backend.accounts_changed()
    return Response(status_code=204)


@router.post("/accounts/{name}/unlock", status_code=204)
def unlock_account(backend: BackendOf, person: Admin, name: NamePath) -> Response:
    """Let an account try again that is locked after failures."""
    accounts.unlock(backend.database, person.actor, name)
    backend.accounts_changed()
    return Response(status_code=204)


@router.get("/accounts/{name}/team", response_model=TeamSaid)
def read_team(backend: BackendOf, person: Admin, name: NamePath) -> Response:
    """Tell whose patients an account sees."""
    one = accounts.find(backend.database, name)
    return answer({"subject_ids": sorted(accounts.care_team_of(backend.database, one.id))})


@router.put("/accounts/{name}/team", response_model=TeamSaid)
def set_team(backend: BackendOf, person: Admin, name: NamePath, sent: TeamSent) -> Response:
    """Say whose patients an account sees; replaces what was said before."""
    known = set(backend.site.record.subject_ids.tolist())
    unknown = sorted(set(sent.subject_ids) - known)
    if unknown:
        raise InputError("there are no such patients: {which}", which=unknown[:10])
    accounts.set_team(backend.database, person.actor, name, sent.subject_ids)
    backend.accounts_changed()
    return answer({"subject_ids": sorted(set(sent.subject_ids))})
