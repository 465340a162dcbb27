"""Few images are learned from for long enough, and what is not learned of a body stays as it came."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medloom.learners.image.bodies import PlainCnn  # noqa: E402
from medloom.learners.image.classifiers import CnnLearner, EfficientNetLearner  # noqa: E402
from medloom.learners.image.learner import ImageLearner  # noqa: E402
from medloom.learners.image.network import ImageNetwork  # noqa: E402
from tests.learners.image.worlds import SIDE  # noqa: E402


def a_network() -> ImageNetwork:
    torch.manual_seed(0)
    return ImageNetwork(PlainCnn(2, 1, [8, 16]), 1)


def test_norms_that_are_not_learned_keep_what_they_came_with() -> None:
    x = torch.rand(8, 1, SIDE, SIDE)
    for learns in (True, False):
        network = a_network()
        network.body.requires_grad_(learns)
        network.train()
        before = {name: value.clone() for name, value in network.body.named_buffers()}
        network(x)
        moved = [not torch.equal(value, before[name]) for name, value in network.body.named_buffers()]
        assert any(moved) == learns


@pytest.mark.parametrize(
    ("learner", "images", "epochs"),
    [(CnnLearner(), 32, 300), (CnnLearner(), 3200, 20), (EfficientNetLearner(), 3200, 10)],
)
def test_few_images_are_gone_through_more_often(learner: ImageLearner, images: int, epochs: int) -> None:
    assert learner._schedule(images).epochs == epochs


def test_as_often_as_is_asked_for_and_patience_is_at_least_a_hundred_steps() -> None:
    schedule = CnnLearner(epochs=3, patience=2)._schedule(320)
    assert schedule.epochs == 3 and schedule.patience == 10
    assert CnnLearner(patience=7)._schedule(32 * 200).patience == 7
