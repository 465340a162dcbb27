"""Measurements as Comprehensive 3D SR, read back by highdicom and pydicom."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from medloom.care.imaging import coded
from medloom.care.imaging.measurement_report import measurement_report
from medloom.care.imaging.objects import APPROXIMATE, as_bytes
from medloom.care.imaging.reading import Reading
from medloom.care.imaging.segmentation_object import segmentation
from medloom.care.imaging.source import source_of
from medloom.foundation.errors import InputError
from medloom.loop.advice import Answer
from medloom.tasks.question import Question, Title
from tests.care.imaging import readings
from tests.record.imaging import dicom_files


def read_back(reading: Reading) -> Any:
    made = measurement_report(reading, None if reading.labels is None else segmentation(reading))
    content = as_bytes(made)
    pydicom.dcmread(io.BytesIO(content))
    found = hd.sr.srread(io.BytesIO(content))
    assert isinstance(found, hd.sr.Comprehensive3DSR)
    return found


def values(group: Any) -> dict[str, tuple[float, str]]:
    return {one.name.meaning: (float(one.value), one.unit.value) for one in group.get_measurements()}


def test_measurements_read_by_highdicom_are_those_of_the_outline() -> None:
    found = read_back(readings.reading())
    whole = {one.tracking_identifier: one for one in found.content.get_volumetric_roi_measurement_groups()}
    assert set(whole) == {"left lung", "lung nodule"}
    lung = values(whole["left lung"])
    # 4 x 8 x 6 voxels of 2 x 0.5 x 0.75 mm; slices 2 to 5 hold 1000 + 10 * number - 1024 HU
    assert lung["Volume"] == (144.0, "mm3")
    assert lung["Attenuation Coefficient"] == (11.0, "[hnsf'U]")
    long, short = lung["Long axis"][0], lung["Short axis"][0]
    assert lung["Long axis"][1] == lung["Short axis"][1] == "mm"
    assert readings.reading().outlined.lesions[0].long_axis.length == pytest.approx(long)  # type: ignore[union-attr]
    assert 4.0 < short <= long < 6.1
    nodule = values(whole["lung nodule"])
    assert nodule["Volume"] == (17 * 0.75, "mm3") and "Long axis" not in nodule
    segment = whole["left lung"].referenced_segment
    assert segment.has_source_images() is False
    assert whole["lung nodule"].finding_type == codes.SCT.Nodule
    assert whole["left lung"].finding_sites[0].topographical_modifier is None
    assert whole["left lung"].finding_sites[0].laterality == codes.SCT.Left


def test_each_of_several_lesions_is_a_group_of_its_own_with_its_axes_in_the_patient() -> None:
    reading = readings.reading(readings.source(readings.OBLIQUE))
    found = read_back(reading)
    single = {one.tracking_identifier: one for one in found.content.get_image_measurement_groups()}
    assert set(single) == {"lung nodule 1", "lung nodule 2"}
    assert values(single["lung nodule 1"])["Volume"] == (12.0, "mm3")
    assert values(single["lung nodule 2"])["Volume"] == (0.75, "mm3")
    uids = {one.tracking_uid for one in single.values()}
    assert len(uids) == 2 and all(one.startswith("2.25.") for one in uids)
    (long,) = single["lung nodule 1"].get_measurements(name=codes.SCT.LongAxis)
    line = long.referenced_coordinates[0].value
    assert np.linalg.norm(line[1] - line[0]) == pytest.approx(long.value, rel=1e-5)


def test_it_refers_to_the_segmentation_and_the_series_and_is_not_final() -> None:
    reading = readings.reading()
    outline = segmentation(reading)
    made = measurement_report(reading, outline)
    assert (made.CompletionFlag, made.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    told = {
        one.ReferencedSOPInstanceUID
        for study in [*made.get("CurrentRequestedProcedureEvidenceSequence", ())]
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert str(outline.SOPInstanceUID) in told
    group = hd.sr.srread(io.BytesIO(as_bytes(made))).content.get_volumetric_roi_measurement_groups()[0]
    segment = group.referenced_segment
    assert segment.referenced_sop_instance_uid == outline.SOPInstanceUID
    assert segment.source_series_for_segmentation.value == "1.2.3.4"
    assert made.PatientID == "4711" and made.PatientIdentityRemoved == "YES"
    assert as_bytes(made) == as_bytes(measurement_report(reading, outline))


def test_a_picture_is_measured_in_its_plane() -> None:
    of = source_of(dicom_files.as_bytes(readings.series()[0]))
    labels = np.zeros((24, 32), np.uint8)
    labels[4:8, 4:12] = 1
    found = read_back(readings.reading(of, labels))
    (group,) = found.content.get_planar_roi_measurement_groups()
    assert values(group)["Area"] == (12.0, "mm2")


def test_an_answer_is_reported_with_its_range() -> None:
    asked = Question(task="pneumonia", kind="binary", title=Title(en="Pneumonia", zh="肺炎"), about="image")
    answered = replace(
        readings.reading(),
        question=asked,
        labels=None,
        outlined=None,
        answers=(Answer("true", 0.75, 0.5, 0.875),),
        output="true",
    )
    found = read_back(answered)
    (group,) = found.content.get_image_measurement_groups()
    (said,) = group.get_measurements()
    assert (said.name.meaning, said.value) == ("pneumonia", 0.75)
    limits = {
        one.ConceptNameCodeSequence[0].CodeMeaning: float(one.MeasuredValueSequence[0].NumericValue)
        for one in said[0].ContentSequence
        if one.ValueType == "NUM"
    }
    assert limits == {
        "+, range of upper measurement uncertainty": 0.125,
        "-, range of lower measurement uncertainty": 0.25,
    }


def test_nothing_to_report_is_said() -> None:
    reading = readings.reading(labels=np.zeros(readings.SHAPE, np.uint8))
    with pytest.raises(InputError, match="nothing to write as SR"):
        measurement_report(reading)


def test_a_group_of_a_model_that_finds_objects_says_that_it_is_approximate() -> None:
    def told(one: Reading) -> list[list[str]]:
        content = read_back(one).content
        groups = [*content.get_volumetric_roi_measurement_groups(), *content.get_image_measurement_groups()]
        name = coded.own("Outline").coded()
        return [[said.value.meaning for said in group.get_qualitative_evaluations(name)] for group in groups]

    reading = readings.reading()
    assert not any(told(reading))
    found = told(replace(reading, approximate=True))
    assert len(found) > 2 and all(one == [APPROXIMATE] for one in found)
    outline = segmentation(replace(reading, approximate=True))
    assert outline.SeriesDescription.startswith("Marks by")
    assert outline.SegmentSequence[0].SegmentDescription == APPROXIMATE
