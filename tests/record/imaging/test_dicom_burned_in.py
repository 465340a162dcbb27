"""Text burned into pictures is found and blanked; anatomy stays."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_file
from scipy import ndimage

from medloom.record.imaging.dicom import Deidentifier
from medloom.record.imaging.dicom.burned_in import text_boxes
from tests.record.imaging.dicom_files import as_bytes, ct_slice, with_pixels

KEY = b"a key for tests"
TEXTS = (
    "SMITH JOHN",
    "1961-03-14",
    "ID 4711-22",
    "St Mary Hospital",
    "AP SUPINE",
    "KV 120 MAS 80",
    "12:04:33",
)
RECALL = 0.9  # of texts of which nearly all is covered


def anatomy(seed: int, side: int = 384) -> NDArray[np.uint8]:
    """Make up a picture of ellipses, ribs and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    grey = np.zeros((side, side))
    for _ in range(10):
        cy, cx = random.uniform(0.2, 0.8, 2)
        sy, sx = random.uniform(0.03, 0.3, 2)
        grey += random.uniform(20, 60) * (((y - cy) / sy) ** 2 + ((x - cx) / sx) ** 2 < 1)
    for rib in range(8):
        grey += 40 * (np.abs(y - 0.2 - 0.08 * rib - 0.1 * (x - 0.5) ** 2) < 0.008)
    noise = ndimage.gaussian_filter(random.normal(0, 1, (side, side)), 1)
    return np.clip(ndimage.gaussian_filter(grey, 1.5) + 8 * noise, 0, 200).astype(np.uint8)


def written(picture: NDArray[np.uint8], text: str, place: tuple[int, int], size: int) -> NDArray[np.uint8]:
    drawn = Picture.fromarray(picture)
    ImageDraw.Draw(drawn).text(place, text, fill=255, font=ImageFont.load_default(size))
    return np.array(drawn)


def test_most_text_is_found_whatever_its_size_and_place() -> None:
    found = []
    for seed in range(6):
        before = anatomy(seed)
        for size in (12, 16, 24, 32):
            text = TEXTS[(seed + size) % len(TEXTS)]
            place = ((10, 10), (120, 20), (60, 340), (80, 180))[(seed + size // 4) % 4]
            after = written(before, text, place, size)
            strokes = np.abs(after.astype(int) - before) > 40
            covered = np.zeros(strokes.shape, bool)
            for top, left, bottom, right in text_boxes(after):
                covered[top:bottom, left:right] = True
            found.append((strokes & covered).sum() / strokes.sum() > 0.98)
    assert np.mean(found) >= RECALL


def test_anatomy_is_not_taken_for_text() -> None:
    assert [text_boxes(anatomy(seed)) for seed in range(12)] == [[]] * 12
    for name in ("CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm"):
        path = get_testdata_file(name, download=False)
        assert text_boxes(pydicom.dcmread(str(path)).pixel_array) == []


def test_text_is_blanked_in_the_file_and_whether_some_is_left_is_not_claimed() -> None:
    before = anatomy(1)
    made = with_pixels(ct_slice(Modality="DX"), written(before, "SMITH JOHN", (10, 10), 24))
    by = Deidentifier(KEY, clean_pixels=True)
    read = pydicom.dcmread(io.BytesIO(by(as_bytes(made))))
    assert by.blanked == 1 and "BurnedInAnnotation" not in read
    assert [one.CodeValue for one in read.DeidentificationMethodCodeSequence][1] == "113101"
    changed = read.pixel_array != made.pixel_array
    assert not (read.pixel_array > 210).any()
    assert not changed[60:].any()


def test_pictures_without_text_stay_byte_for_byte_though_text_was_looked_for() -> None:
    made = with_pixels(ct_slice(), anatomy(2))
    by = Deidentifier(KEY, clean_pixels=True)
    assert pydicom.dcmread(io.BytesIO(by(as_bytes(made)))).PixelData == made.PixelData
    assert by.blanked == 0


def test_ultrasound_is_blanked_outside_its_regions() -> None:
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 100, 50
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 299, 349
    made = with_pixels(ct_slice(Modality="US"), np.full((384, 384), 90, np.uint8))
    made.SequenceOfUltrasoundRegions = Sequence([region])
    picture = pydicom.dcmread(io.BytesIO(Deidentifier(KEY, clean_pixels=True)(as_bytes(made)))).pixel_array
    expected = np.full((384, 384), picture[0, 0])
    expected[50:350, 100:300] = 90
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["examples_jpeg2k.dcm", "examples_rgb_color.dcm", "examples_palette.dcm"])
def test_compressed_and_coloured_pictures_are_blanked_too(name: str) -> None:
    content = Path(str(get_testdata_file(name, download=False))).read_bytes()
    by = Deidentifier(KEY, clean_pixels=True)
    read = pydicom.dcmread(io.BytesIO(by(content)))
    assert by.blanked == 1
    assert not read.file_meta.TransferSyntaxUID.is_compressed
    assert read.pixel_array.shape == pydicom.dcmread(io.BytesIO(content)).pixel_array.shape


def test_text_in_the_colours_of_a_palette_is_found_as_it_is_shown() -> None:
    path = get_testdata_file("examples_palette.dcm", download=False)
    by = Deidentifier(KEY, clean_pixels=True)
    read = pydicom.dcmread(io.BytesIO(by(Path(str(path)).read_bytes())))
    date, time = read.pixel_array[8:24, 670:772], read.pixel_array[35:51, 670:780]
    assert len(np.unique(date)) == len(np.unique(time)) == 1
    before = pydicom.dcmread(str(path)).pixel_array
    assert (read.pixel_array[66:300, 340:590] == before[66:300, 340:590]).all()  # the image itself
