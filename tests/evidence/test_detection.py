import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from medloom.evidence.detection import average_precision, estimates, sensitivity_at
from medloom.features.marks import Marks, hits, overlapping, within


def points(truth: list[float], said: list[float], score: list[float]) -> Marks:
    return Marks(np.array(truth, float).reshape(-1, 1), np.array(said, float).reshape(-1, 1), np.array(score))


def test_a_truth_is_hit_once_by_the_surest_mark() -> None:
    found = hits([points([0, 10], [0.5, 0.1, 30], [0.6, 0.9, 0.7])], within(1))
    assert found.score.tolist() == [0.9, 0.7, 0.6]
    assert found.hit.tolist() == [True, False, False]


def test_where_every_truth_is_marked_average_precision_is_at_least_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = list(range(0, 200, 10))
    right = rng.normal(1, 1, len(truth))
    wrong = rng.normal(0, 1, 30)
    marks = points(truth, [*truth, *range(1000, 1300, 10)], [*right, *wrong])
    found = float(average_precision(hits([marks], within(1))))
    plain = average_precision_score([1] * 20 + [0] * 30, [*right, *wrong])
    assert plain <= found < plain + 0.05  # precision is made to fall


def test_boxes_hit_by_the_share_of_their_union() -> None:
    boxes = Marks(
        np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 10, 5], [50, 50, 60, 60]]), np.array([0.5, 0.9])
    )
    assert hits([boxes], overlapping(0.5)).hit.tolist() == [False, True]
    assert hits([boxes], overlapping(0.6)).hit.tolist() == [False, False]


def test_sensitivity_at_a_rate_of_false_positives() -> None:
    images = [points([0], [0, 9], [0.8, 0.9]), points([0], [0], [0.1])]
    found = hits(images, within(1))
    # the false positive comes first: half a false positive an image from the beginning
    assert sensitivity_at(found, (0.25, 0.5)).tolist() == [0.0, 1.0]


def test_marks_that_are_as_sure_as_each_other_count_together() -> None:
    images = [points([0], [0, 9], [0.5, 0.5])]
    assert float(average_precision(hits(images, within(1)))) == pytest.approx(0.5)


def test_images_without_marks_or_truths_count_too() -> None:
    images = [points([0], [0], [0.5]), points([], [3], [0.7]), points([4], [], []), points([], [], [])]
    found = estimates(images, within(1), np.arange(4), replicates=50)
    assert found["sensitivity_at_0.25"].value == pytest.approx(0.5)
    assert found["average_precision"].value == pytest.approx(0.25)


def test_where_there_is_no_truth_nothing_is_measured() -> None:
    found = estimates([points([], [3], [0.7])], within(1), np.arange(1), replicates=10)
    assert found["average_precision"].value is None
