"""Places of an image are told in words, and drawn where they are."""

from __future__ import annotations

import base64
import io

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from medloom.explanation.heat_maps import likeness, overlaid, points_into
from medloom.explanation.image_places import heat_of, in_ninths, picture_with_heat, place_of
from medloom.explanation.wording import readable
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image


@pytest.mark.parametrize(
    ("input", "region"),
    [
        ("row 1 of 7, column 1 of 7", "upper left of the picture"),
        ("row 4 of 7, column 4 of 7", "middle of the picture"),
        ("row 7 of 7, column 4 of 7", "lower middle of the picture"),
        ("slice 2 of 9, row 1 of 2, column 2 of 2", "upper right of the picture"),
    ],
)
def test_a_place_is_said_as_a_region(input: str, region: str) -> None:
    place = place_of(input)
    assert place is not None and place.region.en == region
    assert readable(input, None, {}, {}).en.lower().startswith(region)


def test_shares_stand_where_their_places_are_and_are_drawn_there() -> None:
    rows = pl.DataFrame(
        {
            "input": [f"row {r} of 2, column {c} of 2" for r in (1, 2) for c in (1, 2)],
            "contribution": [0.0, 5.0, -1.0, 0.0],
        }
    )
    heat = heat_of(rows)
    np.testing.assert_array_equal(heat, [[0.0, 5.0], [-1.0, 0.0]])
    drawn = picture_with_heat(Image(np.full((1, 40, 40), 100, np.uint8)), heat, (40, 40))
    pixels = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(drawn.partition(",")[2]))), float)
    coloured = np.abs(pixels - 100).sum(-1)
    assert coloured[:10, 30:].mean() > 50 and coloured[30:, :10].max() == 0


def test_places_are_summed_by_ninths_and_other_rows_stay() -> None:
    rows = pl.DataFrame(
        {
            "sample_id": [1] * 4,
            "input": [
                "row 1 of 6, column 1 of 6",
                "row 2 of 6, column 2 of 6",
                "row 6 of 6, column 6 of 6",
                "age",
            ],
            "contribution": [1.0, 2.0, 4.0, 8.0],
        }
    )
    assert in_ninths(rows)["contribution"].to_list() == [3.0, 4.0, 8.0]
    assert in_ninths(rows)["input"].to_list() == [
        "row 1 of 3, column 1 of 3",
        "row 3 of 3, column 3 of 3",
        "age",
    ]


def test_of_a_volume_the_slice_with_most_is_drawn() -> None:
    volume = np.zeros((1, 9, 12, 12), np.uint8)
    volume[0, 7] = 200
    heat = np.zeros((3, 2, 2))
    heat[2, 0, 0] = 1.0
    drawn = picture_with_heat(Image(volume), heat, volume.shape[1:])
    pixels = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(drawn.partition(",")[2]))), float)
    assert pixels[-1, -1].mean() == 200


def test_maps_are_compared_only_where_they_can_be() -> None:
    assert likeness(np.zeros((2, 2)), np.eye(2)) == 0.0
    assert not points_into(np.array([[9, 0], [0, 0]]), np.array([[0, 0], [0, 1]]))
    assert points_into(np.array([[9, 0], [0, 0]]), np.array([[0, 0], [0, 1]]), tolerance=1)
    for wrong in (likeness, points_into):
        with pytest.raises(InputError, match="shape"):
            wrong(np.zeros((2, 2)), np.zeros((2, 3)))
    assert overlaid(np.zeros((2, 2)), np.zeros((2, 2))).max() == 0
