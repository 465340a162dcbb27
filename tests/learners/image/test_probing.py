"""What a pretrained body knows is used before it learns anything itself."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medloom.features.images import Framing, framed_together  # noqa: E402
from medloom.learners.image.bodies import PlainCnn  # noqa: E402
from medloom.learners.image.classifiers import CnnLearner, EfficientNetLearner  # noqa: E402
from medloom.learners.image.learner import ImageLearner  # noqa: E402
from medloom.learners.image.network import ImageNetwork, mean_loss  # noqa: E402
from medloom.learners.image.probing import learn_head  # noqa: E402
from medloom.training.answer_heads import AnswerForm, Emphasis  # noqa: E402
from tests.learners.image.worlds import SIDE, samples_of  # noqa: E402


def a_network(k: int = 1) -> ImageNetwork:
    torch.manual_seed(0)
    return ImageNetwork(PlainCnn(2, 1, [8, 16]), k)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_a_head_answers_by_what_the_body_knows(kind: str) -> None:
    samples = samples_of(kind)
    learned, other = samples.among(range(100)), samples.among(range(100, 160))
    framing = Framing.of(learned, (SIDE, SIDE))
    form = AnswerForm.of(samples.question, learned)
    network, emphasis = a_network(form.k), Emphasis()
    before = {name: value.clone() for name, value in network.body.state_dict().items()}
    seen = framed_together(other, framing)

    def loss() -> float:
        with torch.inference_mode():
            return mean_loss(network.eval(), seen, form.targets(other))

    at_first = loss()
    learn_head(network, framed_together(learned, framing), form.targets(learned), emphasis)
    assert loss() < 0.9 * at_first
    for name, value in network.body.state_dict().items():
        assert torch.equal(value, before[name])


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
