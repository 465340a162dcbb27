"""Measurements as DICOM Comprehensive 3D SR: template TID 1500 (PS3.16), not complete until a person verified it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medloom.care.imaging import coded
from medloom.care.imaging.identity import uid
from medloom.care.imaging.measurements import Group, Measure, groups
from medloom.care.imaging.objects import (
    APPROXIMATE,
    CAUTION,
    MANUFACTURER,
    about,
    check_dicom,
    finished,
    instances_of,
    modalities,
)
from medloom.care.imaging.reading import Reading, is_chance
from medloom.foundation.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_SIDES: Final = {"left": coded.LEFT, "right": coded.RIGHT}
_LONGEST: Final = 64
_MOST_SHOWN: Final = 16  # source images that a classification refers to


def measurement_report(reading: Reading, segmentation: Dataset | None = None) -> Dataset:
    """Make a report of what was measured and answered.

    A structure, or the only lesion there is of it, is a group that refers to its segment (TID 1411; of a picture TID
    1410); further lesions of a structure are groups of their own (TID 1501) whose axes are lines in the patient.
    Answers are measurements of the image, their ranges limits of uncertainty. Groups of a model that finds objects say
    that they are about an approximate ellipsoid.

    Args:
        reading: of a DICOM image.
        segmentation: made of the same reading; what was outlined is referred to there.

    Raises:
        InputError: the image is no DICOM, or there is nothing to report.
    """
    check_dicom(reading)
    found = groups(reading) if segmentation is not None else []
    if not found and not reading.answers:
        raise InputError(
            "nothing was found or answered in this image, so that there is nothing to write as SR"
        )
    from highdicom import sr
    from pydicom.sr.codedict import codes

    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid("device", reading.reader.model, reading.reader.package),
        name=reading.reader.model[:_LONGEST],
        manufacturer_name=MANUFACTURER,
        model_name=reading.reader.model[:_LONGEST],
        serial_number=reading.reader.package[:_LONGEST] or None,
    )
    observer = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    described: list[Any] = []
    for group in found:
        assert segmentation is not None
        described.append(_described(reading, group, segmentation))
    if reading.answers:
        described.append(_answered(reading))
    instances = instances_of(reading)
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=coded.procedure(modalities(instances)).coded(),
        imaging_measurements=described,
    )
    made: Dataset = sr.Comprehensive3DSR(
        evidence=[*instances, *([] if segmentation is None else [segmentation])],
        content=content,
        instance_number=1,
        is_complete=False,
        is_final=False,
        is_verified=False,
        specific_character_set="ISO_IR 192",
        **about(reading, "sr"),
    )
    made.CompletionFlagDescription = CAUTION
    return finished(made, reading, f"Measurements by {reading.reader.model}")


def _described(reading: Reading, group: Group, segmentation: Dataset) -> Any:
    from highdicom import sr

    known = group.structure
    told = {
        "tracking_identifier": sr.TrackingIdentifier(uid=group.tracking, identifier=group.name[:_LONGEST]),
        "finding_type": known.type.coded(),
        "finding_category": known.category.coded(),
        "algorithm_id": _algorithm(reading),
        "finding_sites": _sites(group),
        "measurements": [_measured(reading, one, placed=not group.alone) for one in group.measures],
    }
    if reading.approximate:
        of_what = sr.QualitativeEvaluation(coded.own("Outline").coded(), coded.own(APPROXIMATE).coded())
        told["qualitative_evaluations"] = [of_what]
    if not group.alone:
        images = _shown(reading, [round(_middle_slice(reading, group))])
        return sr.MeasurementsAndQualitativeEvaluations(**told, source_images=images)
    if reading.source.image.dimensions == 2:
        first = reading.source.instances[0]
        segment = sr.ReferencedSegmentationFrame(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            frame_number=_frames_of(segmentation, group.segment)[0],
            segment_number=group.segment,
            source_image=sr.SourceImageForSegmentation(first.SOPClassUID, first.SOPInstanceUID),
        )
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **told)
    series = sr.SourceSeriesForSegmentation(reading.source.instances[0].SeriesInstanceUID)
    volume = sr.ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=group.segment,
        source_series=series,
    )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=volume, **told)


def _answered(reading: Reading) -> Any:
    """Tell the answers to the question as a whole: of the image, not of a place on it."""
    from highdicom import sr

    question = reading.question
    unit = "1" if is_chance(question) or not question.unit else question.unit
    measurements = []
    for one in reading.answers:
        name = question.task if one.output in ("true", "value") else one.output
        measurements.append(
            sr.Measurement(
                name=coded.own(name).coded(),
                value=one.value,
                unit=coded.unit(unit),
                properties=_range(one.value, one.low, one.high),
            )
        )
    last = len(reading.source.frames)
    shown = sorted(set(np.linspace(0, last - 1, min(last, _MOST_SHOWN)).astype(int).tolist()))
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=uid("answer", *reading.identity), identifier=question.task[:_LONGEST]
        ),
        finding_type=coded.own(question.title.en).coded(),
        algorithm_id=_algorithm(reading),
        measurements=measurements,
        source_images=_shown(reading, shown),
    )


def _range(value: float, low: float | None, high: float | None) -> Any:
    """Give how far a value may be off, as `upper` and `lower` measurement uncertainty (TID 310)."""
    if low is None or high is None:
        return None
    from highdicom import sr

    return sr.MeasurementProperties(
        upper_measurement_uncertainty=max(0.0, high - value),
        lower_measurement_uncertainty=max(0.0, value - low),
    )


def _measured(reading: Reading, one: Measure, *, placed: bool) -> Any:
    """Give a measurement; `placed`: with the line it was measured along, which TID 1410 and 1411 do not take."""
    from highdicom import sr

    frame = str(reading.source.instances[0].get("FrameOfReferenceUID", ""))
    line = None
    if placed and one.line is not None and frame:
        line = [sr.CoordinatesForMeasurement3D(sr.GraphicTypeValues3D.POLYLINE, one.line, frame)]
    return sr.Measurement(
        name=one.term.coded(),
        value=one.value,
        unit=coded.unit(one.unit),
        derivation=None if one.derivation is None else one.derivation.coded(),
        referenced_coordinates=line,
    )


def _algorithm(reading: Reading) -> Any:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    return sr.AlgorithmIdentification(
        name=reading.reader.model[:_LONGEST],
        version=reading.reader.package[:_LONGEST],
        family=codes.cid7162.ArtificialIntelligence,
        manufacturer=MANUFACTURER,
    )


def _sites(group: Group) -> list[Any] | None:
    from highdicom import sr

    site = group.structure.site
    if site is None:
        return None
    side = None if group.side is None else _SIDES[group.side].coded()
    return [sr.FindingSite(anatomic_location=site.coded(), laterality=side)]


def _shown(reading: Reading, slices: Sequence[int]) -> list[Any]:
    """Refer to the instances that some slices are in."""
    from highdicom import sr

    source = reading.source
    made = []
    for place in slices:
        file, frame = source.frames[place]
        one = source.instances[file]
        frames = [frame + 1] if int(one.get("NumberOfFrames", 1) or 1) > 1 else None
        made.append(sr.SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID, frames))
    return made


def _middle_slice(reading: Reading, group: Group) -> float:
    assert reading.outlined is not None
    one = next(
        one
        for one in reading.outlined.lesions
        if (one.structure, one.number) == (group.segment, group.lesion)
    )
    return one.place[0] if len(one.place) == 3 else 0.0


def _frames_of(segmentation: Dataset, segment: int) -> list[int]:
    """List the frames of a segment, counted from 1; one that all frames share has them all."""
    found = []
    for number, one in enumerate(segmentation.PerFrameFunctionalGroupsSequence, 1):
        told = (
            one if "SegmentIdentificationSequence" in one else segmentation.SharedFunctionalGroupsSequence[0]
        )
        if int(told.SegmentIdentificationSequence[0].ReferencedSegmentNumber) == segment:
            found.append(number)
    return found
