"""Outlines as DICOM Segmentation, read back by highdicom, by SimpleITK, and by pydicom."""

from __future__ import annotations

import io
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK

from medloom.care.imaging.objects import as_bytes
from medloom.care.imaging.reading import outlined_reading
from medloom.care.imaging.segmentation_object import segmentation
from medloom.care.imaging.source import source_of
from medloom.foundation.errors import InputError
from tests.care.imaging import readings
from tests.record.imaging import dicom_files


@pytest.mark.parametrize("orientation", [None, readings.OBLIQUE, [0, 1, 0, 0, 0, -1]])
def test_a_segmentation_read_by_highdicom_is_what_was_outlined(orientation: list[float] | None) -> None:
    of = readings.source(orientation)
    content = as_bytes(segmentation(readings.reading(of)))
    found = hd.seg.segread(io.BytesIO(content))
    assert [one.segment_label for one in map(found.get_segment_description, (1, 2, 3))] == [
        "left lung",
        "lung nodule",
        "thing",
    ]
    volume = found.get_volume(combine_segments=True, segment_numbers=[1, 2])
    labels = readings.outline()
    # highdicom gives the slices that hold something
    there = np.flatnonzero(labels.any((1, 2)))
    assert volume.array.sum() == labels.sum() and (volume.array == 2).sum() == 17
    assert of.image.affine is not None
    for value in (1, 2):
        mine = np.argwhere(labels == value) @ of.image.affine[:3, :3].T + of.image.affine[:3, 3]
        theirs = np.argwhere(volume.array == value) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        np.testing.assert_allclose(
            mine[np.lexsort(mine.round(3).T)], theirs[np.lexsort(theirs.round(3).T)], atol=1e-4
        )
    assert len(there) == 5 and float(np.prod(volume.spacing)) == pytest.approx(0.75)


@pytest.mark.parametrize("orientation", [None, readings.OBLIQUE])
def test_a_segmentation_read_by_simpleitk_has_the_same_volume_and_place(
    orientation: list[float] | None, tmp_path: Path
) -> None:
    of = readings.source(orientation)
    labels = np.zeros(readings.SHAPE, np.uint8)
    labels[2:6, 4:12, 3:9] = 1
    asked = readings.question("left lung")
    made = outlined_reading(of, labels, readings.READER, asked, readings.MADE)
    path = tmp_path / "seg.dcm"
    path.write_bytes(as_bytes(segmentation(made)))
    image = SimpleITK.ReadImage(str(path))
    found = SimpleITK.GetArrayFromImage(image)
    assert found.shape == readings.SHAPE and (found > 0).sum() == 192
    volume = float((found > 0).sum() * np.prod(image.GetSpacing()))
    assert made.outlined is not None
    assert volume == pytest.approx(192 * 0.75) == pytest.approx(made.outlined.lesions[0].volume)
    assert of.image.affine is not None
    np.testing.assert_array_equal(found > 0, labels > 0)
    for place in ([0, 0, 0], [2, 4, 3], [9, 23, 31]):
        there = of.image.affine @ [*place, 1]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(place[::-1]), there[:3], atol=1e-4)


def test_it_says_whose_it_is_who_made_it_and_what_it_is_of() -> None:
    made = segmentation(readings.reading())
    read = pydicom.dcmread(io.BytesIO(as_bytes(made)))
    assert read.PatientID == "4711" and read.PatientIdentityRemoved == "YES"
    assert read.StudyInstanceUID == "1.2.3" and read.SeriesInstanceUID.startswith("2.25.")
    assert read.FrameOfReferenceUID == "1.2.3.9"
    assert {
        one.ReferencedSOPInstanceUID for one in read.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    } == {f"1.2.3.4.{number}" for number in range(1, 11)}
    lung, nodule, thing = read.SegmentSequence
    assert lung.SegmentedPropertyTypeCodeSequence[0].CodeValue == "39607008"
    side = lung.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert side.CodeMeaning == "Left"
    assert nodule.SegmentedPropertyTypeCodeSequence[0].CodeValue == "27925004"
    assert nodule.AnatomicRegionSequence[0].CodeMeaning == "Lung"
    assert thing.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "99MEDLOOM"
    algorithm = lung.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("lungs.unet@1", "ab" * 32)
    assert read.ContentDate == "20210504"


@pytest.mark.filterwarnings("error")
def test_a_pseudonym_is_no_name_to_be_warned_of() -> None:
    instances = readings.series()
    for one in instances:
        one.PatientName = "P7745EFA18C77071"
    made = segmentation(readings.reading(source_of(readings.packed(instances))))
    assert str(made.PatientName) == "P7745EFA18C77071"


def test_the_same_reading_gives_the_same_bytes() -> None:
    once, again = (as_bytes(segmentation(readings.reading())) for _ in range(2))
    assert once == again
    other = readings.outline()
    other[0, 0, 0] = 1
    assert (
        segmentation(readings.reading(labels=other)).SOPInstanceUID
        != segmentation(readings.reading()).SOPInstanceUID
    )


def test_frames_of_one_multi_frame_file_are_referred_to() -> None:
    of = source_of(dicom_files.as_bytes(readings.enhanced()))
    assert of.frames == ((0, 2), (0, 1), (0, 0))
    labels = np.zeros(of.image.shape, np.uint8)
    labels[0, 10:15, 5:9] = 1
    asked = readings.question("lesion", "nodule")
    made = segmentation(outlined_reading(of, labels, readings.READER, asked, readings.MADE))
    found = hd.seg.segread(io.BytesIO(as_bytes(made))).get_volume(combine_segments=True)
    assert found.array.sum() == 20
    assert of.image.affine is not None
    place = found.affine @ [*np.argwhere(found.array)[0], 1]
    np.testing.assert_allclose(place[:3], (of.image.affine @ [0, 10, 5, 1])[:3], atol=1e-3)


def test_a_picture_of_nowhere_gets_a_segmentation_too() -> None:
    from pydicom.uid import ComputedRadiographyImageStorage

    one = readings.series()[0]
    for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(one, keyword)
    one.Modality, one.SOPClassUID = "CR", ComputedRadiographyImageStorage
    of = source_of(dicom_files.as_bytes(one))
    labels = np.zeros((24, 32), np.uint8)
    labels[4:8, 4:8] = 1
    asked = readings.question("lesion")
    made = segmentation(outlined_reading(of, labels, readings.READER, asked, readings.MADE))
    found = hd.seg.segread(io.BytesIO(as_bytes(made)))
    assert found.pixel_array.sum() == 16


def test_what_no_segmentation_can_be_made_of_is_said() -> None:
    with pytest.raises(InputError, match="nothing to write as SEG"):
        segmentation(readings.reading(labels=np.zeros(readings.SHAPE, np.uint8)))
    with pytest.raises(InputError, match="is of size"):
        readings.reading(labels=np.zeros((9, 24, 32), np.uint8))
    with pytest.raises(InputError, match="no structure"):
        readings.reading(labels=np.full(readings.SHAPE, 4, np.uint8))
    with pytest.raises(InputError, match="is none; of it can be written: nifti, png, fhir"):
        segmentation(readings.reading(readings.nifti_source()))
    instances = readings.series(modality="MR")
    for one in instances:
        for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient"):
            delattr(one, keyword)
    nowhere = source_of(readings.packed(instances))
    with pytest.raises(InputError, match="where its slices lie"):
        segmentation(readings.reading(nowhere))
