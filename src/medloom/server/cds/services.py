"""Which services there are: each released model at each hook, and what of a patient it asks to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from medloom.foundation.messages import Language, tr
from medloom.knowledge import systems, vocabularies
from medloom.loop.serving import Served
from medloom.server.cds.requests import Hook
from medloom.tasks.task_codes import TaskCodes

HOOKS: Final[tuple[Hook, ...]] = get_args(Hook)

_ALL: Final = (
    "Encounter",
    "Condition",
    "Observation",
    "Procedure",
    "MedicationRequest",
    "MedicationAdministration",
    "MedicationStatement",
    "AllergyIntolerance",
    "Immunization",
)
_DIAGNOSES: Final = ("Condition",)
_PROCEDURES: Final = ("Procedure",)
_DRUGS: Final = ("MedicationRequest", "MedicationAdministration", "MedicationStatement")
# Vocabulary → resources that may hold a code of it, beside the patient; of others all may.
_HOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "MEDS_BIRTH": (),
    "MEDS_DEATH": (),
    "GENDER": (),
    "RACE": (),
    "ETHNICITY": (),
    "LANGUAGE": (),
    "MARITAL": (),
    "ENCOUNTER": ("Encounter",),
    "DISCHARGE": ("Encounter",),
    "LOINC": ("Observation",),
    "SNOMED": ("Condition", "Procedure", "Observation"),
    "ICD10": _DIAGNOSES,
    "ICD10CM": _DIAGNOSES,
    "ICD10CN": _DIAGNOSES,
    "ICD10GM": _DIAGNOSES,
    "ICD9CM": _DIAGNOSES,
    "ICD10PCS": _PROCEDURES,
    "ICD9Proc": _PROCEDURES,
    "CPT4": _PROCEDURES,
    "HCPCS": _PROCEDURES,
    "RxNorm": _DRUGS,
    "ATC": _DRUGS,
    "NDC": _DRUGS,
    "CVX": ("Immunization",),
}
_WRITTEN_ALIKE: Final = frozenset(("LOINC", "SNOMED", "RxNorm", "ATC", "CVX"))
# The search parameter (R4) of the resource's code.
_SEARCHED_BY: Final[Mapping[str, str]] = {
    "AllergyIntolerance": "code",
    "Condition": "code",
    "Immunization": "vaccine-code",
    "MedicationAdministration": "code",
    "MedicationRequest": "code",
    "MedicationStatement": "code",
    "Observation": "code",
    "Procedure": "code",
}
_NAMED_AT_MOST: Final = 40  # codes in a search; of more, all are asked for


@dataclass(frozen=True)
class Service:
    """A released model at a hook."""

    served: Served
    hook: Hook

    @property
    def id(self) -> str:
        """Name it in addresses; the next version of the model has the same."""
        return service_id(self.served.name.task, self.hook)

    def prefetch(self) -> dict[str, str]:
        """Name what has to be sent: key → FHIR query (section "Prefetch Template").

        Asked for is what may hold a code that the model or its task looks at, and no more.
        """
        wanted = needed_codes(self.served)
        kinds = {kind for code in wanted for kind in _holders(code)} if self.served.model.codes else {*_ALL}
        templates = {"patient": "Patient/{{context.patientId}}"}
        for kind in sorted(kinds):
            templates[kind[0].lower() + kind[1:]] = (
                f"{kind}?patient={{{{context.patientId}}}}{_only(kind, wanted)}"
            )
        return templates

    def describe(self, language: Language) -> dict[str, Any]:
        """Give the entry of discovery."""
        task = self.served.asker.task
        title = getattr(task.title, language)
        description = getattr(task.description, language) if task.description else title
        return {
            "hook": self.hook,
            "title": title,
            "description": description,
            "id": self.id,
            "prefetch": self.prefetch(),
            "usageRequirements": tr(
                "The client is registered with this server. All prefetch is sent, in FHIR R4; nothing is fetched."
            ),
        }


def service_id(task: str, hook: Hook) -> str:
    """Name a service.

    >>> service_id("aki-48h", "order-sign")
    'aki-48h-order-sign'
    """
    return f"{task}-{hook}"


def every(served: Iterable[Served]) -> Iterator[Service]:
    """List the services of the released models."""
    for one in served:
        for hook in HOOKS:
            yield Service(one, hook)


def needed_codes(served: Served) -> frozenset[str]:
    """Give the codes of the record that a model looks at, or its task in asking."""
    task = TaskCodes.resolve(served.asker.task, served.asker.record).all
    return served.model.codes | task


def _holders(code: str) -> tuple[str, ...]:
    _, system, _ = systems.split(code)
    return _HOLDERS.get(system, _ALL)


def _only(kind: str, wanted: Iterable[str]) -> str:
    """Restrict a search to the codes by name, where they are few and every system writes them alike."""
    named = [systems.split(code)[1:] for code in wanted if kind in _holders(code)]
    if (
        kind not in _SEARCHED_BY
        or len(named) > _NAMED_AT_MOST
        or {system for system, _ in named} - _WRITTEN_ALIKE
    ):
        return ""
    tokens = sorted({f"{vocabularies.address(system)}|{value}" for system, value in named})
    return f"&{_SEARCHED_BY[kind]}={','.join(tokens)}"
