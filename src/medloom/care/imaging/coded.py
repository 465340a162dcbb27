"""Codes of what is outlined and measured: SNOMED CT and DICOM's own where we know one, else a scheme of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from medloom.foundation.hashing import digest
from medloom.knowledge.fhir_terms import OWN, Json, coding

SCHEME: Final = "99MEDLOOM"
"""A private coding scheme (PS3.3 section 8.2)."""

_SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    SCHEME: f"{OWN}structure",
}
_LONGEST_CODE: Final = 16
_LONGEST_MEANING: Final = 64


@dataclass(frozen=True)
class Term:
    """A coded word: scheme, code and meaning, as DICOM's code sequences have them."""

    scheme: str
    code: str
    meaning: str

    def coded(self) -> Any:
        """Give it as pydicom and highdicom take it."""
        from pydicom.sr.coding import Code

        return Code(self.code, self.scheme, self.meaning)

    def concept(self) -> Json:
        """Give it as a FHIR CodeableConcept."""
        return {"coding": [coding(_SYSTEMS[self.scheme], self.code, self.meaning)], "text": self.meaning}


@dataclass(frozen=True)
class Structure:
    """What an outline is of.

    Attributes:
        name: as the task has it.
        category: of the segment (PS3.16 CID 7150).
        type: of the segment (CID 7151 and below).
        site: where in the body it is; None: not known.
        side: that its name tells; None: it tells none.
    """

    name: str
    category: Term
    type: Term
    site: Term | None = None
    side: str | None = None


ANATOMICAL: Final = Term("SCT", "91723000", "Anatomical Structure")
ABNORMAL: Final = Term("SCT", "49755003", "Morphologically Abnormal Structure")
LEFT: Final = Term("SCT", "7771000", "Left")
RIGHT: Final = Term("SCT", "24028007", "Right")
VOLUME: Final = Term("SCT", "118565006", "Volume")
AREA: Final = Term("SCT", "42798000", "Area")
LONG_AXIS: Final = Term("SCT", "103339001", "Long axis")
SHORT_AXIS: Final = Term("SCT", "103340004", "Short axis")
MEAN: Final = Term("SCT", "373098007", "Mean")
_INTENSITIES: Final = {
    "CT": Term("DCM", "112031", "Attenuation Coefficient"),
    "MR": Term("DCM", "110852", "MR signal intensity"),
}
_PROCEDURES: Final = {
    "CT": Term("SCT", "77477000", "Computed tomography"),
    "MR": Term("SCT", "113091000", "Magnetic resonance imaging"),
    "US": Term("SCT", "16310003", "Diagnostic ultrasonography"),
    "MG": Term("SCT", "71651007", "Mammography"),
    **dict.fromkeys(("DX", "CR"), Term("SCT", "168537006", "Plain radiography")),
}
_IMAGING: Final = Term("SCT", "363679005", "Imaging")
_ORGANS: Final = {
    "aorta": Term("SCT", "15825003", "Aorta"),
    "bladder": Term("SCT", "89837001", "Bladder"),
    "brain": Term("SCT", "12738006", "Brain"),
    "heart": Term("SCT", "80891009", "Heart"),
    "hippocampus": Term("SCT", "5366008", "Hippocampus"),
    "kidney": Term("SCT", "64033007", "Kidney"),
    "liver": Term("SCT", "10200004", "Liver"),
    "lung": Term("SCT", "39607008", "Lung"),
    "pancreas": Term("SCT", "15776009", "Pancreas"),
    "prostate": Term("SCT", "41216001", "Prostate"),
    "spleen": Term("SCT", "78961009", "Spleen"),
    "vertebra": Term("SCT", "51282000", "Vertebra"),
}
_LESIONS: Final = {
    "edema": Term("SCT", "79654002", "Edema"),
    "hemorrhage": Term("SCT", "50960005", "Hemorrhage"),
    "lesion": Term("SCT", "52988006", "Lesion"),
    "necrosis": Term("SCT", "6574001", "Necrosis"),
    "nodule": Term("SCT", "27925004", "Nodule"),
    "tumor": Term("SCT", "108369006", "Neoplasm"),
}
_SPELLINGS: Final = {
    "tumour": "tumor",
    "neoplasm": "tumor",
    "oedema": "edema",
    "haemorrhage": "hemorrhage",
    "kidneys": "kidney",
    "lungs": "lung",
    "lesions": "lesion",
    "nodules": "nodule",
    "tumours": "tumor",
    "tumors": "tumor",
}


def structure(name: str) -> Structure:
    """Find the codes of a structure by the words in its name.

    An organ is coded where its name is that organ and a side; a lesion where its name says so, with the organ as its
    site. What else a name says, such as a part of an organ, is no code of the whole: it gets a code of ours, with the
    organ as its site.

    >>> structure("left hippocampus").type.meaning, structure("left hippocampus").side
    ('Hippocampus', 'left')
    >>> found = structure("lung-nodule")
    >>> found.type.meaning, found.site.meaning, found.category.meaning
    ('Nodule', 'Lung', 'Morphologically Abnormal Structure')
    >>> structure("hippocampus anterior").type.scheme, structure("hippocampus anterior").site.meaning
    ('99MEDLOOM', 'Hippocampus')
    """
    words = [_SPELLINGS.get(word, word) for word in re.findall(r"[a-z]+", name.lower())]
    sides = [word for word in words if word in ("left", "right")]
    side = sides[0] if len(sides) == 1 else None
    rest = [word for word in words if word not in ("left", "right")]
    organ = next((_ORGANS[word] for word in rest if word in _ORGANS), None)
    kind = next((_LESIONS[word] for word in rest if word in _LESIONS), None)
    if kind is not None:
        return Structure(name, ABNORMAL, kind, organ, side)
    if organ is not None and len(rest) == 1:
        return Structure(name, ANATOMICAL, organ, organ, side)
    return Structure(name, ANATOMICAL, own(name), organ, side)


def own(name: str) -> Term:
    """Make a code of ours of a name, short enough for DICOM (VR SH and LO).

    >>> own("Tumour core"), len(own("a name that is longer than a code can be").code)
    (Term(scheme='99MEDLOOM', code='TUMOUR-CORE', meaning='Tumour core'), 16)
    """
    code = re.sub(r"[^A-Z0-9]+", "-", name.upper()).strip("-")
    if not code or len(code) > _LONGEST_CODE or not name.isascii():
        code = digest(name)[:_LONGEST_CODE].upper()
    return Term(SCHEME, code, name[:_LONGEST_MEANING])


def intensity(modality: str) -> Term:
    """Name what the pixels of a modality measure (CID 7180), or the pixel value as such."""
    return _INTENSITIES.get(modality, own("Pixel value"))


def procedure(modality: str) -> Term:
    """Name how images of a modality are made (CID 100)."""
    return _PROCEDURES.get(modality, _IMAGING)


def unit(ucum: str) -> Any:
    """Give a unit as DICOM codes it (PS3.16 section 7.2.2)."""
    from pydicom.sr.coding import Code

    meanings = {"mm3": "mm3", "mm2": "mm2", "mm": "mm", "[hnsf'U]": "Hounsfield unit", "1": "no units"}
    return Code(ucum, "UCUM", meanings.get(ucum, ucum))
