"""What can be wrong with a DICOM file, and what a reader should know of an import, in words.

English templates; their translations are in `foundation/locales/zh/imaging-dicom.json`. What is wrong inside a file is
said by whoever reads it (`record.imaging.dicom`); what is odd about slices, by `record.imaging.dicom.geometry`.
"""

from __future__ import annotations

from typing import Final

# Problems: the fact goes to quarantine.
NO_PATIENT: Final = "a DICOM file names no patient (PatientID)"
NO_IDENTITY: Final = "a DICOM file has no SeriesInstanceUID or no SOPInstanceUID"
NO_DATE: Final = "a series has no date: neither of acquisition, series nor study"
SAME_UID: Final = "another file of other content has the same SOPInstanceUID"
ABSENT: Final = "the DICOMDIR names a file that is not there"
UNREADABLE: Final = "a file cannot be opened, or changed while it was read"
# Records passed over: they hold no fact.
NO_DICOM: Final = "file that is not DICOM"
NO_IMAGE: Final = "DICOM object without an image: report, plan, outlines or the like"
DIRECTORY: Final = "directory of a medium (DICOMDIR)"
TWICE: Final = "DICOM file that is there twice"
# Notes: counted, nothing is lost.
REMOVED: Final = "de-identification: attributes removed"
EMPTIED: Final = "de-identification: attributes emptied"
DUMMIED: Final = "de-identification: attributes replaced by a value that says nothing"
RENAMED: Final = "de-identification: UIDs replaced"
CLEANED: Final = "de-identification: descriptions kept in known words only"
SHIFTED: Final = "de-identification: dates shifted by the patient's own number of days"
PSEUDONYMS: Final = "de-identification: names and numbers of patients replaced by pseudonyms"
BLANKED: Final = "de-identification: files in whose pictures text was blanked; some may be left, look at each"
BURNED_IN: Final = "image that may show text burned in; clean_pixels=True looks for it"
DATE_ONLY: Final = "series dated by the day alone"
