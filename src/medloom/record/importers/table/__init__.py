"""Tables: CSV, TSV and Parquet, read through a mapping (`mapping.py` says how one is written)."""

from medloom.record.importers.table.importer import TableImporter
from medloom.record.importers.table.mapping import Mapping, load_mapping, shipped_mappings
from medloom.record.importers.table.suggesting import suggest

__all__ = ["Mapping", "TableImporter", "load_mapping", "shipped_mappings", "suggest"]
