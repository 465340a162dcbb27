"""Images as they could have been taken otherwise: on their own scale, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from medloom.features.acquisition import Shift, shifts
from medloom.record.imaging.image import Image

EVERY = [pytest.param(one, id=one.name.en) for one in shifts()]


def image(kind: type[np.generic]) -> Image:
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(0, 120, 40), np.linspace(0, 90, 40)) + rng.normal(0, 4, (40, 40))
    return Image((smooth * (4 if kind is not np.uint8 else 1)).clip(0).astype(kind)[None])


@pytest.mark.parametrize("shift", EVERY)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_a_changed_image_has_the_shape_and_scale_of_the_image(shift: Shift, kind: type[np.generic]) -> None:
    before = image(kind)
    after = shift(before)
    assert after.pixels.shape == before.pixels.shape and after.pixels.dtype == before.pixels.dtype
    assert not np.array_equal(after.pixels, before.pixels)
    np.testing.assert_array_equal(after.pixels, shift(before).pixels)
    low, high = (0, 255) if kind is np.uint8 else (before.pixels.min(), before.pixels.max())
    assert after.pixels.min() >= low and after.pixels.max() <= high


def test_darker_is_darker_and_blurred_is_smoother() -> None:
    before = image(np.uint8)
    by_name = {one.name.en: one(before).pixels.astype(float) for one in shifts()}
    grey = before.pixels.astype(float)
    assert by_name["darker: gamma 1.7"].mean() < by_name["darker: gamma 1.3"].mean() < grey.mean()
    assert by_name["lighter: gamma 0.59"].mean() > grey.mean()
    assert np.abs(np.diff(by_name["25% of the resolution"])).mean() < np.abs(np.diff(grey)).mean()
    assert by_name["50% of the contrast"].std() == pytest.approx(grey.std() / 2, rel=0.05)


def test_a_volume_is_changed_too_and_an_even_one_stays() -> None:
    for shift in shifts():
        assert shift(Image(np.full((1, 6, 8, 8), 7, np.int16))).pixels.shape == (1, 6, 8, 8)
