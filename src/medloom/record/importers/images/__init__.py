"""Images as files: pictures and volumes in folders, or named by a table."""

from medloom.record.importers.images.importer import ImagesImporter, NiftiImporter

__all__ = ["ImagesImporter", "NiftiImporter"]
