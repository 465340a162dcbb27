"""An image: its pixels, and where in the patient they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError


@dataclass(frozen=True)
class Image:
    """A picture or a volume.

    Attributes:
        pixels: (channels, height, width) or (channels, depth, height, width), of any number type: one channel of grey,
            higher is brighter, in `unit`; three of red, green and blue, 0 … 255.
        spacing: mm between pixels, an axis each of height and width, or of depth, height and width; None: not known.
        affine: (4, 4) from places (slice, row, column, 1), counted from 0, to mm in the patient: left, posterior,
            superior (DICOM PS3.3 C.7.6.2.1.1); None: not known.
        modality: as DICOM names them (PS3.16 CID 33): `CT`, `MR`, `DX`, …; `OT`: not known.
        unit: of the pixels of one channel; `HU`: Hounsfield units; empty: those of the machine.
        window: centre and width, in `unit`, that its maker shows it with; None: not told.
        notes: what a reader should know, in English, such as missing slices; nothing of the patient.

    Raises:
        InputError: pixels have other axes, or there are none.
    """

    pixels: NDArray[Any] = field(repr=False)
    spacing: tuple[float, ...] | None = None
    affine: NDArray[np.float64] | None = field(default=None, repr=False)
    modality: str = "OT"
    unit: str = ""
    window: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim not in (3, 4) or not self.pixels.size:
            raise InputError(
                "an image has channels, height and width, or channels, depth, height and width, not the shape {shape}",
                shape=self.pixels.shape,
            )

    @property
    def dimensions(self) -> int:
        """Count the axes in space: 2 or 3."""
        return self.pixels.ndim - 1

    @property
    def channels(self) -> int:
        """Count the channels: 1 of grey, 3 of colour."""
        return int(self.pixels.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Give the size in space: (height, width) or (depth, height, width)."""
        return tuple(int(n) for n in self.pixels.shape[1:])
