import json

import numpy as np
import pytest

from medloom.features.image_recipe import Fingerprint, Recipe, fingerprint, normalised, recipe
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image


def ct(values: np.ndarray, spacing: tuple[float, ...]) -> Image:
    return Image(values[None], spacing, modality="CT", unit="HU")


def test_absolute_values_are_cut_to_what_the_training_foreground_has() -> None:
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(3):
        values = rng.normal(50, 10, (16, 20, 20))
        values[:4] = -1000  # air, which nobody outlined
        labels = np.zeros(values.shape, np.uint8)
        labels[6:12] = 1
        cases.append((ct(values, (3.0, 1.0, 1.0)), labels))
    found = recipe(fingerprint(cases))
    assert found.brightness is not None
    assert found.brightness[0].mean == pytest.approx(50, abs=1)
    made = normalised(cases[0][0].pixels, found)
    assert made.min() == pytest.approx((found.brightness[0].low - 50) / 10, abs=0.1)
    assert made[0, 8].std() == pytest.approx(1, abs=0.1)


def test_relative_values_are_brought_to_each_images_own_spread() -> None:
    labels = np.ones((16, 16), np.uint8)
    images = [Image(np.arange(256.0).reshape(1, 16, 16) * by) for by in (1, 1e6)]
    found = recipe(fingerprint([(one, labels) for one in images]))
    assert found.brightness is None
    dark, bright = (normalised(one.pixels, found) for one in images)
    assert np.allclose(dark, bright) and dark.std() == pytest.approx(1)


def test_an_image_of_one_value_becomes_nothing() -> None:
    found = recipe(Fingerprint(np.array([[16, 16]]), np.ones((1, 2)), 1, False, ()))
    assert not normalised(np.full((1, 16, 16), 7), found).any()


def test_coarse_slices_are_halved_last_and_looked_at_flat_first() -> None:
    found = recipe(Fingerprint(np.array([[24, 256, 256]] * 3), np.array([[5.0, 0.7, 0.7]] * 3), 1, False, ()))
    assert found.strides[1:4] == ((1, 2, 2), (1, 2, 2), (2, 2, 2))
    assert found.kernels[0] == (1, 3, 3) and found.kernels[-1] == (3, 3, 3)
    assert all(size % by == 0 for size, by in zip(found.patch, found.divisor, strict=True))


def test_large_images_are_learned_from_in_patches() -> None:
    found = recipe(Fingerprint(np.array([[300, 512, 512]]), np.array([[1.0, 0.8, 0.8]]), 1, True, ()))
    assert np.prod(found.patch) <= 112**3 and found.batch == 2


def test_small_images_get_three_levels_too() -> None:
    found = recipe(Fingerprint(np.array([[9, 7]]), np.ones((1, 2)), 3, False, ()))
    assert len(found.strides) == 3 and found.patch == (10, 8) and found.channels == 3


def test_the_usual_spacing_is_chosen() -> None:
    spacings = np.array([[1.0, 1.0], [1.0, 1.0], [4.0, 4.0]])
    assert recipe(Fingerprint(np.array([[64, 64]] * 3), spacings, 1, False, ())).spacing == (1.0, 1.0)


def test_a_recipe_survives_json() -> None:
    plain = recipe(Fingerprint(np.array([[40, 40, 40]]), np.ones((1, 3)), 1, False, ()))
    values = np.random.default_rng(0).normal(size=(16, 16, 16))
    absolute = recipe(fingerprint([(ct(values, (1, 1, 1)), np.ones(values.shape, np.uint8))]))
    for one in (plain, absolute):
        assert Recipe.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_pictures_among_volumes_are_refused() -> None:
    flat = Image(np.zeros((1, 8, 8))), np.ones((8, 8), np.uint8)
    deep = Image(np.zeros((1, 8, 8, 8))), np.ones((8, 8, 8), np.uint8)
    with pytest.raises(InputError, match="same number of axes"):
        fingerprint([flat, deep])
