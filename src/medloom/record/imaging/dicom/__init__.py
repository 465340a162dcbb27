"""DICOM: files and series become images; what tells who they are of is taken out."""

from medloom.record.imaging.dicom.deidentification import Deidentifier

__all__ = ["Deidentifier"]
