"""Texts on how an image was made, in known words only (Clean Descriptors Option, PS3.15 section E.3.5)."""

from __future__ import annotations

import re
from typing import Final

_KNOWN: Final = frozenset(
    """
    abd abdomen adc angio angiogram ankle anterior ap aorta apex arm arterial artery axial b0 base basic body bone
    bolus bowel brain breast bright c cad calcium cardiac cc cerebral cervical chest clavicle contrast cor coronal
    coronary cr cranial ct cta cube delayed derived diffusion dixon dose dx dwi dynamic echo elbow enhanced epi ep2d
    ex expiration ext extremity face fast fat fatsat femur fiesta film finger first flair flash foot forearm fov fse
    frontal fs full gd gradient gre hand head heart helical hip hippocampus hires hr hrct humerus iliac in
    inspiration inverted iterative iv joint kidney knee kub l large lat lateral left leg liver lo localizer loc low
    lower lumbar lung lungs magnitude mammo mammogram mammography map mask max maximum mean mediastinum medium min
    minimum mip mlo mm mpr mprage mr mra mri multiphase neck non none noncontrast nm o oblique of on opposed oral
    orbit out pa parallel pd pe pelvic pelvis perfusion pet phase pituitary portal portable post posterior pre
    projection prone prostate proton pulmonary quick r radius raw reconstruction reformat reformatted renal rest rib
    ribs right routine s sag sagittal scan scout screening se series shoulder sinus skull small soft space spgr spin
    spine spiral spleen standard std stir stress study supine survey swi t1 t2 t1w t2w t2star tof thick thin
    thoracic thorax thyroid tibia tissue topogram tra trace transverse tse ultrasound upper us vein venous vibe view
    volume w w1 wo with without whole window wrist xr xray 2d 3d 4d
    """.split()
)
_WORD: Final = re.compile(r"[A-Za-z0-9.]+|[+/&()-]")
_MEASURE: Final = re.compile(r"\d{1,2}(\.\d{1,2})?(mm|cm|s|kv|t)")


def clean(text: str) -> str:
    """Keep the words of a text that are known to say how an image was made, and lengths; leave out all others.

    >>> clean("CT Chest w/o contrast 1.25mm Mr Miller 4711")
    'CT Chest w o contrast 1.25mm Mr'
    """
    words = [word for word in _WORD.findall(text) if word.isascii()]
    kept = [one for one in words if one.lower() in _KNOWN or _MEASURE.fullmatch(one.lower())]
    return " ".join(kept)[:64]
