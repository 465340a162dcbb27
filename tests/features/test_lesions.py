import numpy as np
import pytest
from numpy.typing import NDArray

from medloom.features.lesion_change import change, response, targets
from medloom.features.lesion_shape import diameters, principal_axes, surface_area
from medloom.features.lesions import Outlined, lesions
from medloom.foundation.errors import InputError
from medloom.record.imaging.image import Image

# slices go up, rows backwards, columns to the left, as in an axial series of DICOM
AXIAL = np.array([[0, 0, 1, -20], [0, 1, 0, -20], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64)


def image(shape: tuple[int, ...], spacing: tuple[float, ...] | None = None, **more: object) -> Image:
    return Image(np.zeros((1, *shape)), spacing or (1.0,) * len(shape), **more)  # type: ignore[arg-type]


def with_boxes(shape: tuple[int, ...], *boxes: tuple[slice, ...]) -> NDArray[np.uint8]:
    labels = np.zeros(shape, np.uint8)
    for box in boxes:
        labels[box] = 1
    return labels


def test_a_lesion_lies_where_it_is_in_the_patient_and_on_its_side() -> None:
    labels = with_boxes((4, 41, 41), (slice(1, 3), slice(20, 21), slice(0, 11)))
    found = lesions(labels, image((4, 41, 41), affine=AXIAL)).lesions[0]
    assert found.position == (-15.0, 0.0, 1.5)
    assert (found.side, found.plane) == ("right", "axial")
    assert lesions(labels, image((4, 41, 41), affine=AXIAL), midline=-16.0).lesions[0].side == "left"
    assert lesions(labels, image((4, 41, 41))).lesions[0].side is None


def test_axes_are_those_of_the_slice_with_the_longest_diameter() -> None:
    labels = with_boxes(
        (3, 20, 20),
        (slice(0, 1), slice(2, 6), slice(2, 14)),  # 12 long, 4 wide
        (slice(1, 2), slice(2, 10), slice(2, 6)),
    )
    found = lesions(labels, image((3, 20, 20), (5.0, 1.0, 1.0))).lesions[0]
    assert found.long_axis is not None and found.short_axis is not None
    # between the middles of faces of a box of 12 x 4: 12 along and 3 across, or 11 and 4
    assert found.long_axis.length == pytest.approx(np.hypot(12, 3))
    assert {end[0] for end in found.long_axis.ends} == {0.0}
    assert found.area == 48.0
    along = np.subtract(*found.long_axis.ends)
    across = np.subtract(*found.short_axis.ends)
    assert np.dot(along, across) == pytest.approx(0)
    assert 4 <= found.short_axis.length <= 4.3


def test_an_ellipse_has_its_axes_at_any_angle_and_spacing() -> None:
    rows, columns = np.mgrid[-60:61, -60:61] * 0.5
    for angle in (0.0, 0.4, 1.1):
        along = rows * np.cos(angle) + columns * np.sin(angle)
        across = columns * np.cos(angle) - rows * np.sin(angle)
        long, short, area = diameters((along / 20) ** 2 + (across / 8) ** 2 <= 1, (0.5, 0.5), None)
        assert long.length == pytest.approx(40, abs=0.6)
        assert short.length == pytest.approx(16, abs=0.8)
        assert area == pytest.approx(np.pi * 20 * 8, rel=0.01)


def test_the_surface_of_a_ball_is_right_at_any_spacing() -> None:
    for spacing in ((1.0, 1.0, 1.0), (2.0, 0.7, 0.7)):
        axes = [np.arange(-15, 15.01, mm) ** 2 for mm in spacing]
        ball = np.add.outer(np.add.outer(axes[0], axes[1]), axes[2]) <= 12**2
        assert surface_area(ball, spacing) == pytest.approx(4 * np.pi * 12**2, rel=0.03)


def test_a_ball_is_round_and_a_rod_is_not() -> None:
    r = np.arange(-9.0, 10.0) ** 2
    ball = (np.add.outer(np.add.outer(r, r), r) <= 64).astype(np.uint8)
    rod = with_boxes((3, 3, 30), (slice(1, 2), slice(1, 2), slice(2, 28)))
    round_one = lesions(ball, image(ball.shape)).lesions[0]
    long_one = lesions(rod, image(rod.shape)).lesions[0]
    assert round_one.sphericity is not None and round_one.sphericity > 0.95
    assert round_one.elongation == pytest.approx(1) and round_one.flatness == pytest.approx(1)
    assert long_one.sphericity is not None and long_one.sphericity < 0.7
    assert long_one.flatness == pytest.approx(1 / 26)
    assert round_one.diameter == pytest.approx(17, abs=0.1)


def test_main_axes_do_not_depend_on_the_cut() -> None:
    wide = np.pad(np.ones((4, 3, 2), bool), 5)
    assert np.allclose(principal_axes(wide, (1, 2, 3)), principal_axes(np.ones((4, 3, 2), bool), (1, 2, 3)))


def test_intensities_are_of_the_lesion_alone() -> None:
    pixels = np.zeros((1, 2, 3))
    pixels[0, 0] = 1, 2, 6
    labels = np.array([[1, 1, 1], [0, 0, 0]], np.uint8)
    found = lesions(labels, Image(pixels)).lesions[0].intensity
    assert found is not None
    assert (found.mean, found.least, found.most, found.median) == (3, 1, 6, 2)


def test_without_a_spacing_nothing_is_said_in_mm() -> None:
    found = lesions(np.ones((2, 2), np.uint8), Image(np.zeros((1, 2, 2)))).lesions[0]
    assert found.voxels == 4
    assert found.long_axis is None and found.area is None and found.volume is None


def test_small_lesions_are_left_out_and_the_largest_comes_first() -> None:
    labels = np.zeros((1, 20), np.uint8)
    labels[0, [0, 5, 6, 7, 12, 13]] = 1
    found = lesions(labels, image((1, 20)), fewest=2)
    assert [one.voxels for one in found.lesions] == [3, 2]
    assert found.components[0, [0, 5, 12]].tolist() == [0, 1, 2]


def test_an_outline_of_another_image_is_refused() -> None:
    with pytest.raises(InputError, match="outline this image"):
        lesions(np.zeros((2, 2), np.uint8), image((3, 3)))
    with pytest.raises(InputError, match="whole numbers"):
        lesions(np.zeros((3, 3)), image((3, 3)))


def studied(shift: float, *boxes: tuple[slice, ...], spacing: float = 1.0) -> Outlined:
    shape = (1, 60, 60)
    affine = np.diag([spacing, spacing, 1.0, 1.0])[:, [2, 1, 0, 3]].copy()
    affine[0, 3] = shift
    made = Image(np.zeros((1, *shape)), (1.0, spacing, spacing), affine)
    return lesions(with_boxes(shape, *boxes), made)


FLAT = slice(0, 1)


def test_lesions_are_matched_by_where_they_are_in_the_patient_not_in_the_array() -> None:
    before = studied(0.0, (FLAT, slice(10, 30), slice(30, 42)))
    now = studied(20.0, (FLAT, slice(10, 30), slice(10, 22)), (FLAT, slice(40, 44), slice(50, 54)))
    found = change(before, now)
    assert [pair.overlap for pair in found.pairs] == [1.0]
    assert len(found.new) == 1 and found.response == "progressive"


def test_a_lesion_that_moved_a_little_is_the_nearest_one() -> None:
    before = studied(0.0, (FLAT, slice(10, 22), slice(10, 22)))
    now = studied(0.0, (FLAT, slice(10, 22), slice(24, 36)))
    found = change(before, now)
    assert len(found.pairs) == 1 and found.pairs[0].overlap == 0
    assert found.response == "stable"
    far = change(before, studied(0.0, (FLAT, slice(40, 52), slice(45, 57))))
    assert len(far.new) == len(far.gone) == 1


def test_what_is_gone_is_a_complete_response() -> None:
    found = change(studied(0.0, (FLAT, slice(10, 30), slice(10, 30))), studied(0.0))
    assert (found.response, found.sum_now) == ("complete", 0.0)


def test_a_lymph_node_that_became_normal_is_a_complete_response() -> None:
    before = studied(0.0, (FLAT, slice(10, 30), slice(10, 26)))
    now = studied(0.0, (FLAT, slice(10, 30), slice(10, 18)))
    assert change(before, now, nodes=[1]).response == "complete"
    assert change(before, now).response == "stable"


def test_progression_needs_a_fifth_and_five_mm_above_the_least_sum() -> None:
    assert response(12, 10, 10) == "stable"  # a fifth, but 2 mm
    assert response(105, 100, 100) == "stable"  # 5 mm, but a twentieth
    assert response(60, 100, 50) == "progressive"
    assert response(70, 100, 100) == "partial"


def test_targets_are_the_largest_two_of_a_structure() -> None:
    found = studied(
        0.0,
        (FLAT, slice(0, 4), slice(0, 30)),
        (FLAT, slice(10, 14), slice(0, 20)),
        (FLAT, slice(20, 24), slice(0, 12)),
        (FLAT, slice(30, 32), slice(0, 4)),
    )
    assert [one.voxels for one in targets(found.lesions)] == [120, 80]


def test_studies_of_which_one_has_no_place_are_not_compared() -> None:
    known = studied(0.0, (FLAT, slice(10, 30), slice(10, 30)))
    unknown = lesions(np.ones((1, 5, 5), np.uint8), image((1, 5, 5)))
    with pytest.raises(InputError, match="place in the patient"):
        change(known, unknown)
