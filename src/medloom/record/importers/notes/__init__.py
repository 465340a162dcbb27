"""Notes as files in folders, or named by a table."""

from medloom.record.importers.notes.importer import NotesImporter

__all__ = ["NotesImporter"]
