"""What becomes of each attribute: the Basic Application Level Confidentiality Profile (PS3.15 Annex E, Table E.1-1).

The table itself comes from the package `dicom-anonymizer`, as the standard had it in 2026c. Where it leaves a choice
(`X/Z`: removed unless the object would no longer be valid), the choice that keeps every object valid is taken.
"""

from __future__ import annotations

from typing import Final, Literal

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom.elements import vr_of

Dates = Literal["remove", "shift", "keep"]
Action = Literal["keep", "remove", "empty", "dummy", "uid", "clean", "shift", "pseudonym", "rewrite"]

PATIENT: Final = frozenset({0x00100010, 0x00100020})
"""PatientName, PatientID."""

REWRITTEN: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""PatientIdentityRemoved, DeidentificationMethod and its code sequence, LongitudinalTemporalInformationModified."""

_BIRTH: Final = frozenset({0x00100030, 0x00100032})  # stay out of the options on dates
# Clean Descriptors Option: what tells how an image was made; the other free texts are removed all the same.
_DESCRIPTORS: Final = frozenset(
    {
        0x00081030,  # StudyDescription
        0x0008103E,  # SeriesDescription
        0x00082111,  # DerivationDescription
        0x00180010,  # ContrastBolusAgent
        0x00181030,  # ProtocolName
        0x00181400,  # AcquisitionDeviceProcessingDescription
        0x00189424,  # AcquisitionProtocolDescription
        0x00321060,  # RequestedProcedureDescription
        0x00400007,  # ScheduledProcedureStepDescription
        0x00400254,  # PerformedProcedureStepDescription
    }
)
_LISTS: Final[tuple[tuple[str, Action], ...]] = (
    ("D_TAGS", "dummy"),
    ("Z_TAGS", "empty"),
    ("X_TAGS", "remove"),
    ("U_TAGS", "uid"),
    ("Z_D_TAGS", "dummy"),
    ("X_Z_TAGS", "empty"),
    ("X_D_TAGS", "dummy"),
    ("X_Z_D_TAGS", "dummy"),
    ("X_Z_U_STAR_TAGS", "keep"),  # sequences of references: kept, the UIDs in them replaced
)


class Profile(dict[int, Action]):
    """What becomes of an attribute, by its tag; found out when first asked.

    Args:
        clean_descriptors: texts on how an image was made are kept in known words, not removed.
        dates: `remove`, `shift` by the patient's own number of days, or `keep`.

    Raises:
        InputError: `dates` is none of these.

    >>> profile = Profile(clean_descriptors=False, dates="remove")
    >>> profile[0x00100010], profile[0x0020000D], profile[0x00280010], profile[0x00091001]
    ('pseudonym', 'uid', 'keep', 'remove')
    """

    def __init__(self, *, clean_descriptors: bool, dates: Dates) -> None:
        super().__init__()
        if dates not in ("remove", "shift", "keep"):
            raise InputError(
                "dates={dates!r} is unknown; choose remove, shift (by a number of days of the patient's own) or keep",
                dates=dates,
            )
        self._clean_descriptors = clean_descriptors
        self._dates = dates
        self._exact, self._masked = _table()

    def __missing__(self, tag: int) -> Action:
        self[tag] = action = self._found(tag)
        return action

    def _found(self, tag: int) -> Action:
        group, number = tag >> 16, tag & 0xFFFF
        if tag in PATIENT:
            return "pseudonym"
        if tag in REWRITTEN or not number:
            return "rewrite"
        if group & 1 or group >> 8 in (0x50, 0x60):
            return "remove"  # private; curves and overlays, which are drawn over the picture
        listed = self._exact.get(tag) or next(
            (action for g, n, gs, ns, action in self._masked if group & gs == g and number & ns == n), None
        )
        vr = vr_of(tag)
        if self._dates != "remove" and tag not in _BIRTH and vr in ("DA", "DT", "TM"):
            return "keep" if self._dates == "keep" or vr == "TM" else "shift"
        if listed and self._clean_descriptors and tag in _DESCRIPTORS:
            return "clean"
        if listed:
            return listed
        if vr == "UN":
            return "remove"  # the standard does not know it: what it may hold, nobody knows
        return "empty" if vr in ("PN", "DA", "DT") else "keep"


def _table() -> tuple[dict[int, Action], list[tuple[int, int, int, int, Action]]]:
    from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table

    exact: dict[int, Action] = {}
    masked: list[tuple[int, int, int, int, Action]] = []
    for name, action in _LISTS:
        for entry in getattr(table, name):
            if len(entry) == 2:
                exact[entry[0] << 16 | entry[1]] = action
            else:
                masked.append((*entry, action))
    return exact, masked
