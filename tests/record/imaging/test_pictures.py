"""Pictures of any depth are read as they are, and carry nothing but their pixels into the record."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from medloom.foundation.errors import InputError
from medloom.record.imaging.pictures import as_png, read_picture, without_remarks
from medloom.record.imaging.reading import kind_of, read_image


def written(picture: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_sixteen_bits_of_grey_stay_sixteen() -> None:
    grey = np.array([[[0, 1000], [40_000, 65_535]]], np.uint16)
    read = read_picture(io.BytesIO(as_png(grey)))
    assert read.pixels.dtype == np.uint16
    np.testing.assert_array_equal(read.pixels, grey)


def test_equal_colours_are_grey_and_others_have_three_channels() -> None:
    grey = Pillow.fromarray(np.full((4, 5, 3), 7, np.uint8))
    colour = Pillow.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    assert read_picture(io.BytesIO(written(grey, "PNG"))).pixels.shape == (1, 4, 5)
    assert read_picture(io.BytesIO(written(colour, "PNG"))).pixels.shape == (3, 4, 5)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_remarks_are_left_out_and_pixels_stay(kind: str) -> None:
    picture = Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8))
    if kind == "PNG":
        told = PngInfo()
        told.add_text("Patient", "Erika Mustermann")
        content = written(picture, kind, pnginfo=told)
    else:
        exif = Pillow.Exif()
        exif[0x010E] = "Erika Mustermann"
        content = written(picture, kind, exif=exif, comment=b"Erika Mustermann")
    kept = without_remarks(content)
    assert b"Erika" in content and b"Erika" not in kept
    np.testing.assert_array_equal(
        read_picture(io.BytesIO(kept)).pixels, read_picture(io.BytesIO(content)).pixels
    )


def test_another_kind_is_written_anew_as_png() -> None:
    picture = Pillow.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert without_remarks(written(picture, "TIFF")).startswith(b"\x89PNG")


@pytest.mark.parametrize("kept", [0.3, 0.7])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_cut_short_is_refused(kind: str, kept: float) -> None:
    content = written(Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)), kind)
    with pytest.raises(InputError, match="damaged or cut short"):
        read_picture(io.BytesIO(content[: int(len(content) * kept)]))


def test_content_tells_the_kind_not_the_name() -> None:
    assert kind_of(io.BytesIO(as_png(np.zeros((1, 2, 2), np.uint8)))) == "picture"
    assert kind_of(io.BytesIO(bytes(128) + b"DICM")) == "dicom"
    with pytest.raises(InputError, match="no image that can be read"):
        read_image(io.BytesIO(b"a text"))
