"""Where a network looks is where the disc is, and not where it would look without having learned."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from medloom.explanation.heat_maps import points_into
from medloom.features.images import image_of
from medloom.foundation.errors import InputError
from medloom.learners.image.classifiers import CnnLearner
from medloom.learners.image.saliency import SALIENCY, heat_maps, sanity
from medloom.tasks.samples import Samples
from tests.learners.image.test_contract import learned, unseen
from tests.learners.image.worlds import SIDE


def _marked() -> tuple[Samples, list[NDArray[np.bool_]]]:
    samples = unseen().where(pl.col("label"))
    return samples, [image_of(samples, place).pixels[0] > 150 for place in range(len(samples))]


@pytest.mark.parametrize("method", list(SALIENCY))
def test_the_brightest_place_of_a_map_lies_in_the_disc(method: str) -> None:
    samples, masks = _marked()
    heat = heat_maps(learned(CnnLearner), samples, method)
    assert all(one.shape == (SIDE, SIDE) for one in heat)
    hits = [points_into(one, mask, tolerance=2) for one, mask in zip(heat, masks, strict=True)]
    assert np.mean(hits) > 0.8


@pytest.mark.parametrize("method", ["cam", "integrated-gradients"])
def test_weights_drawn_anew_destroy_the_map(method: str) -> None:
    samples, _ = _marked()
    some = samples.where(pl.int_range(pl.len()) < 4)
    assert abs(sanity(learned(CnnLearner), some, method)) < 0.35


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    samples, _ = _marked()
    with pytest.raises(InputError, match=r"grad-cam\+\+"):
        heat_maps(learned(CnnLearner), samples, "guess")
