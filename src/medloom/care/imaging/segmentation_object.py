"""An outline as DICOM Segmentation (PS3.3 section A.51): binary, a segment a structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.care.imaging import coded
from medloom.care.imaging.identity import uid
from medloom.care.imaging.objects import (
    APPROXIMATE,
    CAUTION,
    MANUFACTURER,
    about,
    check_dicom,
    equipment,
    finished,
    instances_of,
)
from medloom.care.imaging.reading import Reading
from medloom.foundation.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_LABEL: Final = "MEDLOOM"  # VR CS
_SIDES: Final = {"left": coded.LEFT, "right": coded.RIGHT}
_LONGEST_NAME: Final = 64


def segmentation(reading: Reading) -> Dataset:
    """Make a segmentation of an outline; its pixels lie on those of the source, slice by slice.

    Every structure of the question is a segment, whether it was found or not, so that numbers mean the same in all of
    a model's segmentations.

    Raises:
        InputError: the image is no DICOM, nothing was found, or it is not told where several slices lie.
    """
    check_dicom(reading)
    labels, source = reading.labels, reading.source
    if labels is None or not labels.any():
        raise InputError("no structure was found in this image, so that there is nothing to write as SEG")
    if len(source.frames) > 1 and "FrameOfReferenceUID" not in source.instances[0]:
        raise InputError(
            "the series does not tell where its slices lie in the patient, which a SEG has to say; write nifti or png"
        )
    from highdicom.seg import Segmentation, SegmentationTypeValues

    made = Segmentation(
        source_images=instances_of(reading),
        pixel_array=_frames(reading, labels),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(reading, at, name) for at, name in enumerate(reading.structures, 1)],
        instance_number=1,
        # of one structure all slices are kept, so that readers that take frames for a stack have the source's volume
        omit_empty_frames=len(reading.structures) > 1,
        content_label=_LABEL,
        content_description=CAUTION,
        content_creator_name=f"{MANUFACTURER}^",
        **about(reading, "seg"),
        **equipment(reading),
    )
    _in_order(made)
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = organised = uid(
        "dimensions", *reading.identity
    )
    for one in made.DimensionIndexSequence:
        one.DimensionOrganizationUID = organised
    finished(made, reading, f"{'Marks' if reading.approximate else 'Outline'} by {reading.reader.model}")
    return made


def _in_order(made: Dataset) -> None:
    """Turn the frames of each segment into the order in which rows times columns point (PS3.3 section C.7.6.2.1.1).

    highdicom has them the other way round. Each frame tells its place, but readers that take frames for a stack, as ITK
    does, go from the first one along that direction.
    """
    if "PlaneOrientationSequence" not in made.SharedFunctionalGroupsSequence[0]:
        return
    along = made.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    normal = np.cross(np.array(along[:3], float), np.array(along[3:], float))
    frames = list(made.PerFrameFunctionalGroupsSequence)
    places = [
        float(np.dot(np.array(one.PlanePositionSequence[0].ImagePositionPatient, float), normal))
        for one in frames
    ]
    numbers = [_segment(made, one) for one in frames]
    order = sorted(range(len(frames)), key=lambda at: (numbers[at], places[at]))
    size = made.Rows * made.Columns
    bits = np.unpackbits(np.frombuffer(made.PixelData, np.uint8), bitorder="little", count=len(frames) * size)
    packed = np.packbits(bits.reshape(len(frames), size)[order].ravel(), bitorder="little").tobytes()
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    levels = {place: at for at, place in enumerate(sorted(set(np.round(places, 3).tolist())), 1)}
    for at, one in enumerate(frames):
        content = one.FrameContentSequence[0]
        content.DimensionIndexValues = [numbers[at], levels[round(places[at], 3)]]
    made.PerFrameFunctionalGroupsSequence = [frames[at] for at in order]


def _segment(made: Dataset, frame: Dataset) -> int:
    """Tell which segment a frame is of; where there is one alone, all frames share it."""
    told = frame if "SegmentIdentificationSequence" in frame else made.SharedFunctionalGroupsSequence[0]
    return int(told.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _frames(reading: Reading, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay the outline out as the source's own frames: (frames, height, width)."""
    slices = labels if labels.ndim == 3 else labels[None]
    source = reading.source
    if len(source.instances) > 1:
        if any(frame for _, frame in source.frames):
            raise InputError(
                "a series of several multi-frame files cannot be referred to by one SEG; write nifti"
            )
        return slices
    n = int(source.instances[0].get("NumberOfFrames", 1) or 1)
    frames = np.zeros((n, *slices.shape[1:]), np.uint8)
    for place, (_, frame) in enumerate(source.frames):
        frames[frame] = slices[place]
    return frames


def _described(reading: Reading, number: int, name: str) -> Any:
    import highdicom as hd
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    known = coded.structure(name)
    made = SegmentDescription(
        segment_number=number,
        segment_label=name[:_LONGEST_NAME],
        segmented_property_category=known.category.coded(),
        segmented_property_type=known.type.coded(),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=reading.reader.model[:_LONGEST_NAME],
            family=codes.cid7162.ArtificialIntelligence,
            version=reading.reader.package[:_LONGEST_NAME],
            source=MANUFACTURER,
        ),
        tracking_uid=uid("segment", *reading.identity, name),
        tracking_id=name[:_LONGEST_NAME],
        anatomic_regions=[known.site.coded()] if known.site is not None else None,
    )
    if reading.approximate:
        made.SegmentDescription = APPROXIMATE
    if known.side is not None:
        side = hd.sr.CodedConcept.from_code(_SIDES[known.side].coded())
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return made
