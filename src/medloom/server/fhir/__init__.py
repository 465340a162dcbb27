"""FHIR R4 (4.0.1, https://hl7.org/fhir/R4): the record as resources, advice as risk assessments, Bundles in."""

from medloom.server.errors import speaks
from medloom.server.fhir.outcomes import say
from medloom.server.fhir.router import router

speaks("/fhir", say)

__all__ = ["router"]
