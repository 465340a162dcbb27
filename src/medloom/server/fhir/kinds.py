"""The types of resource that come from the record: how each is made, and by what it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from medloom.knowledge.fhir_terms import Json
from medloom.server.fhir import clinical, medications
from medloom.server.fhir.chart import Chart, Fact


@dataclass(frozen=True)
class Kind:
    """One type of resource made of facts.

    Attributes:
        make: turns a fact into the resource.
        patient: names of the search parameters that say whose it is.
        date: the search parameter of when it happened.
        recorded: the search parameter of when it became known.
        categories: whether `category` finds it.
        encounter: the search parameter of the encounter.
    """

    make: Callable[[Fact, Chart], Json]
    date: str
    patient: tuple[str, ...] = ("patient", "subject")
    code: str = "code"
    encounter: str | None = "encounter"
    recorded: str | None = None
    categories: bool = False


# Names of search parameters: the R4 search parameter registry.
KINDS: Final[Mapping[str, Kind]] = {
    "Condition": Kind(clinical.condition, "onset-date", recorded="recorded-date"),
    "Observation": Kind(clinical.observation, "date", categories=True),
    "DiagnosticReport": Kind(clinical.report, "date"),
    "MedicationRequest": Kind(medications.medication_request, "authoredon"),
    "MedicationAdministration": Kind(medications.administration, "effective-time", encounter="context"),
    "MedicationStatement": Kind(medications.statement, "effective", encounter="context"),
    "MedicationDispense": Kind(medications.dispense, "whenhandedover", encounter="context"),
    "ServiceRequest": Kind(medications.service_request, "authored"),
    "Procedure": Kind(clinical.procedure, "date"),
    "AllergyIntolerance": Kind(
        clinical.allergy, "onset", patient=("patient",), encounter=None, recorded="date"
    ),
    "Immunization": Kind(
        clinical.immunization, "date", patient=("patient",), code="vaccine-code", encounter=None
    ),
}


def resource(fact: Fact, chart: Chart) -> Json:
    """Make the resource that a fact is."""
    return KINDS[fact.type].make(fact, chart)
