"""`$evaluate-risk`: released models are asked about one patient, and what they answer is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from medloom.care.answering import Inquiry
from medloom.care.risk import Given
from medloom.foundation.errors import InputError
from medloom.record.importers.fhir.times import wall_clock
from medloom.server.access import Person
from medloom.server.backend import Backend
from medloom.server.fhir.assessments import Kept
from medloom.server.fhir.outcomes import RefusedError

_NAMES: Final = ("model", "at", "explain")


@dataclass(frozen=True)
class Wanted:
    """What is asked: which model (None: all), about which moment (None: the task's latest), and whether to say why."""

    model: str | None
    at: str | None
    explain: bool

    @classmethod
    def of(cls, document: Any, address: Mapping[str, str]) -> Wanted:
        """Read what the address says, and Parameters if there are any.

        Raises:
            RefusedError: it is no Parameters resource, or one of them is not known.
        """
        given: dict[str, Any] = {name: address[name] for name in _NAMES if name in address}
        if document is not None:
            parameters = document.get("parameter", []) if isinstance(document, dict) else None
            if not isinstance(parameters, list) or document.get("resourceType") != "Parameters":
                raise RefusedError("send Parameters here")
            for one in parameters:
                if not isinstance(one, dict) or one.get("name") not in _NAMES:
                    raise RefusedError("parameters here are model, at and explain")
                values = [value for name, value in one.items() if name.startswith("value")]
                given[one["name"]] = values[0] if values else None
        model, at = given.get("model"), given.get("at")
        return cls(
            None if model is None else str(model),
            None if at is None else str(at),
            str(given.get("explain", "true")).lower() != "false",
        )


def advised(backend: Backend, person: Person, subject: int, wanted: Wanted) -> list[Kept]:
    """Let the models answer; what they answer is stored.

    Raises:
        RefusedError: the moment cannot be read.
        NotFoundError: no such model is released, or there is no such patient.
        InputError: the model's task does not ask this patient; or none does.
    """
    serving = backend.serving
    at = None if wanted.at is None else _moment(wanted.at, backend)
    served = serving.served if wanted.model is None else [serving.find(wanted.model)]
    inquiries = [Inquiry(str(one.name), subject, person.actor, "fhir", at) for one in served]
    kept = []
    for given in backend.asking.answer(inquiries, explain=wanted.explain):
        if isinstance(given, Given):
            kept.append(Kept(given.advice, person.login, "fhir"))
        elif not isinstance(given, InputError) or wanted.model is not None or at is not None:
            raise given
    if not kept:
        raise InputError("no released model asks about this patient now; name a model and a moment")
    return kept


def _moment(text: str, backend: Backend) -> datetime:
    # a plus sign that was not escaped in an address is a space
    written = text.replace(" ", "+")
    time, until = wall_clock(pl.Series([written]), backend.site.settings.time_zone).row(0)
    if time is None:
        raise RefusedError("at is a moment such as 2020-01-31T08:30:00+08:00")
    found: datetime = until or time
    return found
