import numpy as np
import polars as pl
import pytest
from scipy import ndimage

from medloom.evidence.segmentation import agreement, compare, estimates, lesionwise
from medloom.foundation.errors import InputError

ROW = np.zeros((1, 8), bool)


def row(*places: int) -> np.ndarray:
    made = ROW.copy()
    made[0, list(places)] = True
    return made


def blob(seed: int, shape: tuple[int, ...] = (18, 20, 22)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.normal(size=shape), 2.5) > 0.02


def test_two_masks_of_two_by_two() -> None:
    truth, said = np.array([[1, 1], [0, 0]], bool), np.array([[0, 1], [0, 1]], bool)
    found = agreement(truth, said, (1, 1))
    assert (found.dice, found.iou) == (0.5, 1 / 3)
    assert found.asd == 0.5  # 1, 0, 0, 1
    assert (found.volume_error, found.volume) == (0, 2)


def test_the_same_outline_is_perfect() -> None:
    one = blob(0)
    found = agreement(one, one, (1, 2, 3))
    assert (found.dice, found.iou, found.hd95, found.asd, found.nsd) == (1, 1, 0, 0, 1)


def test_a_structure_in_neither_is_not_measured_and_in_one_is_as_bad_as_can_be() -> None:
    neither = agreement(ROW, ROW, (3, 4))
    assert np.isnan(neither.dice) and np.isnan(neither.hd95) and neither.empty == "both"
    missed = agreement(row(2), ROW, (4, 0.375))
    assert (missed.dice, missed.hd95, missed.nsd, missed.empty) == (0, 5.0, 0, "said")  # 4 x 3 mm
    assert agreement(ROW, row(2, 3), (1, 2)).volume_error == 4


def test_hd95_of_random_outlines_is_that_of_monai_and_simpleitk() -> None:
    monai = pytest.importorskip("monai.metrics")
    sitk = pytest.importorskip("SimpleITK")
    torch = pytest.importorskip("torch")
    spacing = (2.0, 1.0, 0.5)
    for seed in range(4):
        truth, said = blob(seed), blob(seed + 100)
        found = agreement(truth, said, spacing, tolerance=1.0)
        a, b = (torch.from_numpy(one)[None, None].float() for one in (said, truth))
        hd95 = monai.compute_hausdorff_distance(a, b, percentile=95, spacing=spacing)
        asd = monai.compute_average_surface_distance(a, b, symmetric=True, spacing=spacing)
        nsd = monai.compute_surface_dice(a, b, [1.0], spacing=spacing)
        dice = monai.compute_dice(a, b)
        assert found.hd95 == pytest.approx(float(hd95), abs=1e-5)
        assert found.asd == pytest.approx(float(asd), abs=1e-5)
        assert found.nsd == pytest.approx(float(nsd), abs=1e-6)
        assert found.dice == pytest.approx(float(dice), abs=1e-6)
        measured = sitk.LabelOverlapMeasuresImageFilter()
        measured.Execute(*(sitk.GetImageFromArray(one.astype(np.uint8)) for one in (truth, said)))
        assert found.dice == pytest.approx(measured.GetDiceCoefficient(), abs=1e-9)
        assert found.iou == pytest.approx(measured.GetJaccardCoefficient(), abs=1e-9)


def test_what_lies_outside_of_both_outlines_changes_nothing() -> None:
    truth, said = blob(1), blob(2)
    wide = [np.pad(one, 7) for one in (truth, said)]
    inner = [np.pad(one, 1) for one in (truth, said)]
    assert agreement(*wide, (1, 1, 2)) == agreement(*inner, (1, 1, 2))


def test_outlines_of_unlike_size_are_refused() -> None:
    with pytest.raises(InputError, match="outline this image"):
        agreement(np.zeros((2, 2), bool), np.zeros((2, 3), bool), (1, 1))


def test_a_mark_over_two_lesions_finds_one_of_them() -> None:
    assert lesionwise(row(0, 2), row(0, 1, 2)) == (1, 2, 0)
    assert lesionwise(ROW, row(1)) == (0, 0, 1)
    assert lesionwise(row(1), ROW) == (0, 1, 0)


def test_means_leave_out_what_cannot_be_measured_and_count_it() -> None:
    labels = {1: "liver", 2: "tumour"}
    plain = np.ones((2, 2), int)
    both = np.array([[1, 2], [1, 1]])
    cases = pl.concat(
        [
            compare(plain, plain, (1, 1), labels, case=0),
            compare(both, plain, (1, 1), labels, case=1),
            compare(both, both, (1, 1), labels, case=2),
            compare(plain, both, (1, 1), labels, case=3),
        ]
    )
    found = estimates(cases, np.arange(4), replicates=200)
    tumour = found["tumour"]
    assert tumour["dice"].value == pytest.approx(1 / 3)  # 0, 1 and 0; the first has none
    assert tumour["lesion_sensitivity"].value == pytest.approx(1 / 2)
    assert tumour["false_positives"].value == pytest.approx(1 / 4)
    assert tumour["absent"].value == pytest.approx(1 / 2)
    assert found["liver"]["dice"].value == pytest.approx((1 + 6 / 7 + 1 + 6 / 7) / 4)
    assert found[""]["dice"].value == pytest.approx((1 + 3 / 7 + 1 + 3 / 7) / 4)


def test_intervals_are_resampled_by_group() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for case in range(60):
        truth = np.zeros((1, 20), int)
        truth[0, :10] = 1
        said = np.zeros((1, 20), int)
        said[0, : 10 + rng.integers(0, 8)] = 1
        frames.append(compare(truth, said, (1, 1), {1: "organ"}, case=case))
    cases = pl.concat(frames)
    alone = estimates(cases, np.arange(60), replicates=300)["organ"]["dice"]
    together = estimates(cases, np.arange(60) // 20, replicates=300)["organ"]["dice"]
    assert alone.value == together.value
    assert alone.low is not None and alone.high is not None and alone.value is not None
    assert alone.low < alone.value < alone.high
    assert (together.low, together.high) != (alone.low, alone.high)
