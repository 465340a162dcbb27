"""What routes of the API have in common: what they work with, how lists are paged, how answers are written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import sha256_bytes
from medloom.foundation.messages import Text2
from medloom.server.backend import Backend
from medloom.server.backend import BackendOf as BackendOf

MOST: Final = 1000
_LARGEST: Final = 2**63 - 1


Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
CursorOf = Annotated[
    str | None, Query(max_length=500, description="`next` of the page before; begin without one.")
]
SubjectId = Annotated[int, Path(ge=1, le=_LARGEST, description="The patient's pseudonym.")]
AdviceId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Wall = Annotated[str, Field(description="On the site's wall clock, without a time zone.")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class Sent(BaseModel):
    """A body that is sent to the API: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Said(BaseModel):
    """A text in both languages."""

    en: str
    zh: str

    @classmethod
    def of(cls, text: Text2) -> Said:
        """Take a text of ours."""
        return cls(en=text.en, zh=text.zh)


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON; data classes are written as objects, texts of both languages too."""
    return Response(json_of(content), status, dict(headers or {}), media_type="application/json")


def tagged(request: Request, content: Any) -> Response:
    """Answer with JSON and an ETag; 304 where the caller has it already."""
    body = json_of(content)
    tag = f'"{sha256_bytes(body)[:32]}"'
    asked = request.headers.get("if-none-match", "")
    if tag in (one.strip().removeprefix("W/") for one in asked.split(",")):
        return Response(status_code=304, headers={"etag": tag})
    return Response(body, 200, {"etag": tag, "cache-control": "private, no-cache"}, "application/json")


def json_of(content: Any) -> bytes:
    """Write JSON."""
    return orjson.dumps(content, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def wall(backend: Backend, moment: datetime | None) -> datetime | None:
    """Give a moment on the site's wall clock; one without a time zone is taken to be on it.

    Raises:
        InputError: it is beyond what a calendar holds.
    """
    if moment is None or moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(ZoneInfo(backend.site.settings.time_zone)).replace(tzinfo=None)
    except OverflowError:
        raise InputError("a moment is beyond what a calendar holds") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Text2):
        return value._asdict()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)
