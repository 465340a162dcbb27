"""One process that serves a site: workbench, HTTP API, FHIR, CDS Hooks."""
