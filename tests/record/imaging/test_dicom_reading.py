"""Files and series become images: values by hand, places as SimpleITK has them, refusals in words."""

import io
import logging
import os
import random
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_file, get_testdata_files
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom import geometry, read_dicom, read_series, read_series_archive
from medloom.record.imaging.image import Image
from tests.record.imaging.dicom_files import as_bytes, ct_slice, with_pixels

PROVIDED = [Path(one) for one in get_testdata_files("**/*.dcm")]


def read(made: Dataset, **syntax: Any) -> Image:
    return read_dicom(io.BytesIO(as_bytes(made, **syntax)))


def series(*made: Dataset) -> Image:
    return read_series([io.BytesIO(as_bytes(one)) for one in made])


def test_ct_is_read_in_hounsfield_units_and_its_window_is_told_not_applied() -> None:
    image = read(ct_slice())
    assert image.unit == "HU" and image.modality == "CT" and image.window == (40.0, 400.0)
    assert image.pixels.shape == (1, 4, 5)
    assert image.pixels[0].tolist() == [[-24 + 5 * row + column for column in range(5)] for row in range(4)]
    assert image.spacing == (0.5, 0.75)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_however_a_file_is_written_its_pixels_are_the_same(syntax: str) -> None:
    made = ct_slice()
    if syntax == ExplicitVRBigEndian:
        made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
        made["PixelData"].VR = "OW"
    np.testing.assert_array_equal(read(made, syntax=syntax).pixels, read(ct_slice()).pixels)


def test_monochrome1_is_turned_so_that_higher_is_brighter() -> None:
    made = with_pixels(ct_slice(), np.array([[0, 255], [10, 100]], np.uint8), photometric="MONOCHROME1")
    made.Modality, made.WindowCenter, made.WindowWidth = "DX", 100, 50
    del made.RescaleSlope, made.RescaleIntercept
    image = read(made)
    assert image.pixels[0].tolist() == [[255, 0], [245, 155]]
    assert image.window == (155.0, 50.0)


def test_slopes_that_are_no_whole_numbers_give_floating_values() -> None:
    image = read(ct_slice(Modality="PT", RescaleSlope="0.5", RescaleIntercept="1", Units="BQML"))
    assert image.pixels.dtype == np.float32 and image.unit == "BQML"
    assert image.pixels[0, 0, :3].tolist() == [501.0, 501.5, 502.0]


def test_a_table_of_values_is_applied() -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 1, 16]
    table.LUTData = [10, 20, 40, 80]
    table.ModalityLUTType = "US"
    made = with_pixels(
        ct_slice(ModalityLUTSequence=Sequence([table])), np.array([[0, 1, 2], [3, 4, 9]], np.uint8)
    )
    del made.RescaleSlope, made.RescaleIntercept
    made["ModalityLUTSequence"].value[0]["LUTDescriptor"].VR = "US"
    made["ModalityLUTSequence"].value[0]["LUTData"].VR = "US"
    assert read(made).pixels[0].tolist() == [[10, 10, 20], [40, 80, 80]]


def test_padding_becomes_air_and_what_old_files_keep_above_the_bits_is_left_out() -> None:
    made = with_pixels(ct_slice(), np.array([[-2000, 0], [24, 1064]], np.int16))
    made.add_new(0x00280120, "SS", -2000)
    assert read(made).pixels[0].tolist() == [[-1000, -1024], [-1000, 40]]
    overlaid = with_pixels(ct_slice(), np.array([[0xF000 | 1024, 1025]], np.uint16), bits=12)
    assert read(overlaid).pixels[0].tolist() == [[0, 1]]


def test_colours_become_red_green_and_blue() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    made = with_pixels(ct_slice(Modality="OP"), picture, photometric="RGB")
    np.testing.assert_array_equal(read(made).pixels, picture.transpose(2, 0, 1))


def test_a_series_in_any_order_is_put_in_the_order_of_its_slices() -> None:
    made = [ct_slice(number) for number in range(6)]
    random.Random(0).shuffle(made)
    image = series(*made)
    assert image.pixels[0, :, 0, 0].tolist() == [-24 + 100 * n for n in range(6)]
    assert image.spacing == (2.0, 0.5, 0.75) and image.notes == ()
    assert image.affine is not None
    np.testing.assert_allclose(image.affine @ [3, 2, 4, 1], [-10 + 4 * 0.75, -20 + 2 * 0.5, 36, 1])


@pytest.mark.parametrize(
    ("places", "notes"),
    [
        ((0, 1, 2, 4, 5), (geometry.MISSING,)),
        ((0, 1, 2, 3.5, 4.5), (geometry.UNEVEN,)),
        ((0, 1, 1, 2), (geometry.TWICE,)),
        ((0, 1.001, 2, 2.999), ()),
    ],
)
def test_what_is_odd_about_slices_is_told(places: tuple[float, ...], notes: tuple[str, ...]) -> None:
    made = [ct_slice(n, ImagePositionPatient=[0, 0, 2.0 * place]) for n, place in enumerate(places)]
    image = series(*made)
    assert image.notes == notes
    assert image.spacing is not None and image.spacing[0] == pytest.approx(2, abs=0.01)
    assert image.shape[0] == len(set(places))


@pytest.mark.parametrize(
    "told", ["AcquisitionNumber", "TemporalPositionIdentifier", "DiffusionBValue", "EchoTime", "TriggerTime"]
)
def test_of_several_volumes_at_the_same_places_one_is_read_and_none_are_mixed(told: str) -> None:
    made = []
    for place in range(4):
        for volume in (0, 1):
            number = 2 * place + (volume + place) % 2  # which comes first changes from place to place
            one = ct_slice(number, ImagePositionPatient=[0, 0, 2.0 * place], RescaleIntercept=10_000 * volume)
            setattr(one, told, 1 + volume)
            made.append(one)
    image = series(*made)
    assert image.notes == (geometry.TWICE,) and image.shape[0] == 4
    assert image.pixels.max() < 5000


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.107"]
)
def test_videos_are_refused_in_words(syntax: str) -> None:
    made = ct_slice()
    made.PixelData = pydicom.encaps.encapsulate([bytes(64)])
    made["PixelData"].is_undefined_length = True
    with pytest.raises(InputError, match="video"):
        read(made, syntax=syntax)


def test_slides_of_a_microscope_are_refused_in_words() -> None:
    made = ct_slice()
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
    with pytest.raises(InputError, match="microscope"):
        read(made)


def test_pictures_of_another_orientation_or_size_are_left_out_and_told() -> None:
    made = [ct_slice(number) for number in range(3)]
    scout = ct_slice(7, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    small = with_pixels(ct_slice(8), np.zeros((2, 2), np.uint16))
    for other in (scout, small):
        image = series(*made, other)
        assert image.shape == (3, 4, 5) and image.notes == (geometry.OTHERS,)


def test_files_of_two_series_are_refused() -> None:
    with pytest.raises(InputError, match="2 series"):
        series(ct_slice(0), ct_slice(1, series="1.2.3.5"))


def test_a_tilted_series_lies_where_simpleitk_says(tmp_path: Path) -> None:
    import SimpleITK

    angle = np.deg2rad(20)
    across, down = np.array([1, 0, 0]), np.array([0, np.cos(angle), np.sin(angle)])
    normal = np.cross(across, down)
    for number in range(5):
        made = ct_slice(number)
        made.ImageOrientationPatient = [*across.tolist(), *(f"{one:.10f}" for one in down)]
        made.ImagePositionPatient = [f"{one:.8f}" for one in np.array([3, -7, 11]) + 2.5 * number * normal]
        (tmp_path / f"{9 - number}.dcm").write_bytes(as_bytes(made))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    theirs = reader.Execute()
    ours = read_series([path.open("rb") for path in sorted(tmp_path.iterdir())])
    np.testing.assert_array_equal(ours.pixels[0], SimpleITK.GetArrayFromImage(theirs))
    assert ours.spacing == pytest.approx(theirs.GetSpacing()[::-1], abs=1e-4)
    assert ours.affine is not None
    for place in ((0, 0, 0), (4, 3, 2), (1, 0, 4)):
        point = theirs.TransformContinuousIndexToPhysicalPoint([float(one) for one in place[::-1]])
        np.testing.assert_allclose((ours.affine @ [*place, 1])[:3], point, atol=1e-3)


def test_an_enhanced_file_is_read_by_its_functional_groups() -> None:
    made = with_pixels(ct_slice(), np.arange(3 * 4, dtype=np.uint16).reshape(3, 2, 2), bits=12)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(made, name)
    del made.RescaleIntercept, made.RescaleType
    shared, measures, turned, scale = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.5, 1.25], 3
    turned.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 2, -1000, "HU"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([turned])
    shared.PixelValueTransformationSequence = Sequence([scale])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for height in (6.0, 0.0, 3.0):
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, height]
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    image = read(made)
    assert image.unit == "HU" and image.spacing == (3.0, 1.5, 1.25) and image.notes == ()
    assert image.pixels[0, :, 0, 0].tolist() == [-992, -984, -1000]


def test_an_archive_of_a_series_is_read_and_a_damaged_one_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.dcm", as_bytes(ct_slice(number)))
    assert read_series_archive(file).shape == (3, 4, 5)
    with pytest.raises(InputError, match="archive of a series is damaged"):
        read_series_archive(io.BytesIO(file.getvalue()[:-30]))


def test_a_header_of_4_gb_with_1_kb_of_data_is_refused_without_reserving_memory() -> None:
    made = ct_slice()
    made.Rows = made.Columns = 2048
    made.NumberOfFrames = 512
    made.PixelData = bytes(1024)
    content = as_bytes(made)
    claimed = bytearray(content)
    place = content.rindex(b"\xe0\x7f\x10\x00") + 8
    claimed[place : place + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    for one in (content, bytes(claimed)):
        tracemalloc.start()
        with pytest.raises(InputError, match="cut short"):
            read_dicom(io.BytesIO(one))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


def test_memory_holds_one_volume_and_one_slice() -> None:
    big = [with_pixels(ct_slice(n), np.full((256, 256), n, np.int16)) for n in range(40)]
    files = [io.BytesIO(as_bytes(one)) for one in big]
    read_series(files[:2])
    tracemalloc.start()
    image = read_series(files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.pixels.nbytes + 12 * 256 * 256 * 2


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 a JPEG", bytes(128) + b"DICM", b"hello" * 100])
def test_what_is_no_dicom_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(InputError, match="DICOM"):
        read_dicom(io.BytesIO(content))


def test_pixels_cut_short_are_refused() -> None:
    with pytest.raises(InputError, match="cut short"):
        read_dicom(io.BytesIO(as_bytes(ct_slice())[:-10]))
    with pytest.raises(InputError, match="pixels of a DICOM file are cut short"):
        read(ct_slice(PixelData=bytes(20)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", PROVIDED, ids=lambda path: path.name)
def test_pydicoms_files_are_read_as_pydicom_reads_them_or_refused_in_words(path: Path) -> None:
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    try:
        expected = np.atleast_3d(pydicom.dcmread(path, force=True).pixel_array)
    except (AttributeError, RuntimeError, ValueError, NotImplementedError):
        with pytest.raises(InputError):
            read_dicom(path.open("rb"))
        return
    image = read_dicom(path.open("rb"))
    assert image.pixels.size in (expected.size, 3 * expected.size)  # with its palette


def test_compressed_pixels_are_those_of_the_plain_file() -> None:
    plain = read_dicom(io.BytesIO(Path(str(get_testdata_file("MR_small.dcm", download=False))).read_bytes()))
    for kind in ("RLE", "jp2klossless", "jpeg_ls_lossless", "bigendian", "implicit"):
        packed = Path(str(get_testdata_file(f"MR_small_{kind}.dcm", download=False)))
        np.testing.assert_array_equal(read_dicom(packed.open("rb")).pixels, plain.pixels)


@pytest.mark.skipif("MEDLOOM_MIRROR" not in os.environ, reason="needs MEDLOOM_MIRROR")
@pytest.mark.filterwarnings("ignore")
def test_samples_of_series_are_read(tmp_path: Path) -> None:
    archive = Path(os.environ["MEDLOOM_MIRROR"]) / "image" / "dicom_samples" / "dicom_samples.tar.xz"
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    folders = sorted((tmp_path / "dicom_samples" / "hippocrop_series").glob("*/*"))
    slices = {read_series([path.open("rb") for path in folder.iterdir()]).shape[0] for folder in folders}
    assert slices == {32, 35, 40}
