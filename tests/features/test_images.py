"""Images of any kind become arrays of one shape, scaled as others scale them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medloom.features.images import Framing
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image


def test_a_picture_is_scaled_as_with_antialiasing_and_filled_up_with_black() -> None:
    grey = np.random.default_rng(0).integers(0, 255, (1, 100, 60), np.uint8)
    framed = Framing((50, 50)).framed(Image(grey))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(grey / 255.0)[None], (50, 30), mode="bilinear", antialias=True
    )[0].numpy()
    np.testing.assert_allclose(framed[:, :, 10:40], expected, atol=1e-5)
    assert not framed[:, :, :10].any() and not framed[:, :, 40:].any()


def test_squeezed_where_the_shape_may_change() -> None:
    framed = Framing((4, 4), keep_shape=False).framed(Image(np.full((1, 8, 2), 255, np.uint8)))
    np.testing.assert_allclose(framed, 1.0)


def test_hounsfield_units_are_lit_alike_and_others_each_by_its_own_range() -> None:
    dark, bright = (Image(np.full((1, 2, 2), value, np.int16), unit="HU") for value in (-1000, 0))
    framing = Framing((2, 2), 1, -1000.0, 1000.0, "HU")
    assert framing.framed(dark).max() == 0.0 and framing.framed(bright).max() == pytest.approx(0.5)
    twelve_bits = Image(np.array([[[0, 4095], [0, 4095]]], np.uint16))
    assert Framing((2, 2)).framed(twelve_bits).max() == 1.0
    with pytest.raises(InputError, match="images in HU are read"):
        framing.framed(twelve_bits)


def test_colours_become_grey_and_grey_three_colours() -> None:
    colours = Image(np.stack([np.full((2, 2), one, np.uint8) for one in (255, 0, 0)]))
    assert Framing((2, 2), 1).framed(colours).max() == pytest.approx(0.299, abs=1e-3)
    assert Framing((2, 2), 3).framed(Image(np.zeros((1, 2, 2), np.uint8))).shape == (3, 2, 2)


def test_a_volume_of_one_slice_is_a_picture_and_another_is_refused() -> None:
    framing = Framing((4, 4))
    assert framing.framed(Image(np.zeros((1, 1, 4, 4), np.uint8))).shape == (1, 4, 4)
    with pytest.raises(InputError, match="3 axes in space where 2"):
        framing.framed(Image(np.zeros((1, 5, 4, 4), np.uint8)))


@pytest.mark.parametrize("value", [0, 7])
def test_an_even_image_and_one_with_holes_give_finite_numbers(value: int) -> None:
    even = np.full((1, 5, 5), value, np.float32)
    even[0, 0, 0] = np.nan
    assert np.isfinite(Framing((5, 5)).framed(Image(even))).all()
    assert np.isfinite(Framing((5, 5)).framed(Image(np.full((1, 5, 5), np.nan, np.float32)))).all()


def test_a_volume_keeps_its_middle() -> None:
    volume = np.zeros((1, 20, 30, 30), np.int16)
    volume[0, 8:12, 13:17, 13:17] = 100
    framed = Framing((10, 15, 15)).framed(Image(volume))
    peak = np.unravel_index(framed[0].argmax(), framed[0].shape)
    assert np.abs(np.array(peak) - np.array([4.5, 7, 7])).max() <= 1
