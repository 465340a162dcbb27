"""DICOM: folders, media, archives of a scanner's files."""

from medloom.record.importers.dicom.importer import DicomImporter

__all__ = ["DicomImporter"]
