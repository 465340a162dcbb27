"""DICOM: files and series become images; what tells who they are of is taken out."""

from medloom.record.imaging.dicom.deidentification import Deidentifier
from medloom.record.imaging.dicom.series import Place, read_dicom, read_series, read_series_archive, slices_of

__all__ = ["Deidentifier", "Place", "read_dicom", "read_series", "read_series_archive", "slices_of"]
