"""FHIR R4 (4.0.1, https://hl7.org/fhir/R4): the record as resources, advice as risk assessments, Bundles in."""
