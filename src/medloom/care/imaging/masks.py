"""Outlines as files that need no DICOM: NIfTI of volumes, PNG of pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medloom.care.imaging.reading import Reading
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image
from medloom.record.imaging.nifti import as_nifti
from medloom.record.imaging.pictures import as_png


def nifti_mask(reading: Reading) -> bytes:
    """Write an outline as NIfTI, packed by gzip: numbers of structures where the image lies.

    Raises:
        InputError: nothing was outlined.
    """
    if reading.labels is None:
        raise InputError("nothing was outlined in this image, so that there is no mask to write")
    return as_nifti(_volume(reading.labels), affine_of(reading.source.image))


def mask_of(reading: Reading, structure: int) -> bytes:
    """Write one structure, 1 inside and 0 outside, as the record keeps outlines: NIfTI, of a picture PNG."""
    assert reading.labels is not None
    mask = (reading.labels == structure).astype(np.uint8)
    return as_png(mask[None]) if mask.ndim == 2 else as_nifti(mask, affine_of(reading.source.image))


def affine_of(image: Image) -> NDArray[np.float64]:
    """Tell where an image lies; of one that does not tell it, as if it lay at the origin along the patient's axes.

    >>> affine_of(Image(np.zeros((1, 2, 2, 2)), spacing=(3.0, 2.0, 1.0)))[:3, :3].tolist()
    [[0.0, 0.0, 1.0], [0.0, 2.0, 0.0], [3.0, 0.0, 0.0]]
    """
    if image.affine is not None:
        return image.affine
    spacing = (1.0, 1.0, 1.0, *(image.spacing or (1.0, 1.0, 1.0)))[-3:]
    made = np.zeros((4, 4))
    made[[2, 1, 0], [0, 1, 2]] = spacing
    made[3, 3] = 1.0
    return made


def _volume(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return labels if labels.ndim == 3 else labels[None]
