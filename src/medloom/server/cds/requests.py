"""What clients send: calls of a service and feedback, as CDS Hooks 2.0 has them.

Of `fhirServer` and `fhirAuthorization` nothing is read: this server fetches from no address that a caller names.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from medloom.foundation.errors import InputError

Hook = Literal["patient-view", "order-select", "order-sign"]
Text = Annotated[str, Field(min_length=1, max_length=200)]

_MOST_FEEDBACK: Final = 100


class RefusedError(InputError):
    """A call that cannot be answered, and the status (RFC 9110) that says why."""

    def __init__(self, template: str, /, *, status: int = 400, **values: object) -> None:
        super().__init__(template, **values)
        self.status = status


class _Sent(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")


class Bundle(_Sent):
    """A FHIR Bundle, as far as a context holds one."""

    resource_type: Literal["Bundle"]
    entry: list[dict[str, Any]] = Field(default_factory=list)


class Context(_Sent):
    """Where in its work somebody is; hook `patient-view` says no more (hook version 1.0)."""

    user_id: Text
    patient_id: Text
    encounter_id: Text | None = None


class SignContext(Context):
    """Hook `order-sign`: orders that are about to be signed (hook version 1.1)."""

    draft_orders: Bundle


class SelectContext(SignContext):
    """Hook `order-select`: some of the orders were just chosen (hook version 1.0)."""

    selections: Annotated[list[Text], Field(min_length=1)]


class Call(_Sent):
    """A call of a service (section "Calling a CDS Service"); `context` is read by hook: see `context_of`."""

    hook: Text
    hook_instance: UUID
    context: dict[str, Any]
    prefetch: dict[str, Any] | None = None


class _Coding(_Sent):
    code: Text
    system: Text | None = None
    display: Text | None = None


class _OverrideReason(_Sent):
    reason: _Coding | None = None
    user_comment: Annotated[str, Field(max_length=4000)] | None = None


class _Accepted(_Sent):
    id: Text


class Entry(_Sent):
    """What was done with one card (section "Feedback")."""

    card: UUID
    outcome: Literal["accepted", "overridden"]
    accepted_suggestions: list[_Accepted] | None = None
    override_reason: _OverrideReason | None = None
    outcome_timestamp: AwareDatetime


class Feedback(_Sent):
    """What was done with some cards."""

    feedback: Annotated[list[Entry], Field(min_length=1, max_length=_MOST_FEEDBACK)]


CONTEXTS: Final[dict[Hook, type[Context]]] = {
    "patient-view": Context,
    "order-select": SelectContext,
    "order-sign": SignContext,
}
"""What a service is told, by its hook."""

Model = TypeVar("Model", bound=BaseModel)


def read(kind: type[Model], body: bytes) -> Model:
    """Read a body.

    Raises:
        RefusedError: 400: it is no JSON, or not what it should be; the message names places, never values.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusedError("the body is not valid JSON") from None
    return _valid(kind, content)


def context_of(call: Call, hook: Hook) -> Context:
    """Read the context of a call to a service of this hook.

    Raises:
        RefusedError: 400: the call is of another hook, or its context lacks what the hook tells.
    """
    if call.hook != hook:
        raise RefusedError("this service is for hook {hook}", hook=hook)
    return _valid(CONTEXTS[hook], call.context, "context.")


def _valid(kind: type[Model], content: Any, within: str = "") -> Model:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        # values may be a patient's, and keys of a prefetch a sender's own: of both nothing is repeated
        places = sorted(
            {within + ".".join(map(str, one["loc"])) for one in error.errors(include_input=False)}
        )
        raise RefusedError(
            "the request is not as CDS Hooks 2.0 has it; missing or of another type: {places}",
            places=places[:5] or "(root)",
        ) from None
