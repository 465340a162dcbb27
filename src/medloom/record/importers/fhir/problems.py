"""What can be wrong with a resource, and what a reader should know of an import, in words.

English templates; their translations are in `foundation/locales/zh/fhir.json`,
and whoever shows an import's report translates them.
"""

from __future__ import annotations

from typing import Final

# Problems: the fact goes to quarantine.
NO_PATIENT: Final = "no patient: the resource names no subject"
NO_CODE: Final = "no code"
NO_PERIOD_START: Final = "the encounter has no start"
DEATH_WITHOUT_DATE: Final = "death without a date"
UNREADABLE_DATE: Final = "a date cannot be read; FHIR writes 2020-01-31 or 2020-01-31T08:30:00+08:00"
MEDICATION_NOT_FOUND: Final = "the medication referred to is not in the source"
NOT_FHIR: Final = "not a FHIR R4 resource: it has no resourceType"
MALFORMED: Final = "the resource is not built as FHIR R4 says"
NOT_JSON: Final = "line or entry is not valid JSON"
FILE_NOT_JSON: Final = "the file is not valid JSON; what stands before the fault was used"
NOT_UTF8: Final = "the text is not UTF-8; convert the file to UTF-8"
GBK: Final = "the text is GBK, not UTF-8; convert the file with: iconv -f GB18030 -t UTF-8"
TRUNCATED: Final = "the file ends early; what could be read of it was used"
CORRUPT: Final = "the compressed file is damaged; what could be read of it was used"
UNREADABLE_TEXT: Final = "the attached text cannot be decoded"

# Notes: counted, nothing is lost.
EMPTY_FILE: Final = "empty file"
EXPORT_MANIFEST: Final = "manifest of a bulk export, holds no resources"
CANCELLED: Final = "cancelled, so nothing was observed or took place"
OTHER_SUBJECT: Final = "about a group, device or place, not a patient"
NO_TEXT: Final = "document without text that can be read (another format, or only an address)"
WITHOUT_RESOURCE: Final = "Bundle entry without a resource"
