"""OMOP CDM 5.3 and 5.4, from a DuckDB file or a folder of Parquet or CSV: one file a table."""

from medloom.record.importers.omop.importer import OmopImporter

__all__ = ["OmopImporter"]
