"""FHIR R4 as the record's facts."""

from __future__ import annotations

from medloom.record.importers.fhir.importer import FhirImporter

__all__ = ["FhirImporter"]
