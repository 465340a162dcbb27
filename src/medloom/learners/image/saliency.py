"""Where a network looks: maps, of the size of the image, of what on it speaks for an answer."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import product
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import Tensor

from medloom.explanation.heat_maps import likeness
from medloom.explanation.image_places import Spacing
from medloom.foundation.errors import InputError
from medloom.foundation.seeds import derive
from medloom.learners.image.model import ImageModel
from medloom.learners.image.network import ImageNetwork
from medloom.tasks.samples import Samples
from medloom.training.seeding import seeded

Floats = NDArray[np.float64]

SALIENCY: Final[dict[str, str]] = {
    "cam": "class activation mapping (Zhou et al., CVPR 2016)",
    "grad-cam++": "Grad-CAM++ (Chattopadhay et al., WACV 2018)",
    "integrated-gradients": "integrated gradients (Sundararajan et al., ICML 2017), from black",
    "occlusion": "occlusion (Zeiler and Fergus, ECCV 2014)",
}
"""Ways to make a map, with their sources."""

_PATH: Final = 16  # points of Gauss and Legendre on the way from black
_PATCHES: Final = 14  # a side, that are covered one after another; of volumes half as many


def heat_maps(
    model: ImageModel, samples: Samples, method: str = "grad-cam++", output: int = 0
) -> list[Floats]:
    """Map, for each sample, what speaks for an answer: (height, width) or (depth, height, width) as it is framed.

    Args:
        model: of images.
        samples: some.
        method: one of `SALIENCY`.
        output: place of the answer among the question's.

    Raises:
        InputError: there is no such method.
    """
    if method not in SALIENCY:
        raise InputError(
            "there is no method {method!r}; there are: {methods}", method=method, methods=list(SALIENCY)
        )
    return [_MADE[method](model, x, output) for x in model.read(samples)]


def sanity(
    model: ImageModel,
    samples: Samples,
    method: str = "grad-cam++",
    output: int = 0,
    seed: int = 0,
    draws: int = 5,
) -> float:
    """Tell how alike maps remain once all weights are drawn anew: mean rank correlation over draws; 0 should be left.

    Adebayo et al., NeurIPS 2018: a map that randomised weights do not destroy explains the picture, not the network.
    """
    mine = heat_maps(model, samples, method, output)
    found = []
    for number in range(draws):
        with seeded(derive(seed, "sanity", str(number))):
            network = _drawn_anew(model.network)
        other = replace(model, network=network)
        found += [
            likeness(one, drawn)
            for one, drawn in zip(mine, heat_maps(other, samples, method, output), strict=True)
        ]
    return float(np.mean(found))


def _drawn_anew(network: ImageNetwork) -> ImageNetwork:
    made = deepcopy(network)
    for module in made.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
    drawn: ImageNetwork = made.eval().requires_grad_(False)
    return drawn


def _cam(model: ImageModel, x: Tensor, output: int) -> Floats:
    with torch.inference_mode():
        maps = model.network.maps(x)
        shares = model.network.shares(maps)
    if model.form.kind == "multiclass":
        shares = shares - shares.mean(1, keepdim=True)
    return _enlarged(shares[:, output : output + 1], x, model.spacing)


def _grad_cam_pp(model: ImageModel, x: Tensor, output: int) -> Floats:
    """Weigh maps by positive slopes of the answer; the weights of its places are of equation 19 of the paper."""
    maps = model.network.maps(x).detach().requires_grad_()
    scores = model.network.head(maps.flatten(2).mean(2))
    told = model.form.told(model.origin.question, scores)[:, output].sum()
    (slope,) = torch.autograd.grad(told, maps)
    summed = maps.flatten(2).sum(2)[(...,) + (None,) * (maps.ndim - 2)]
    below = 2 * slope**2 + summed * slope**3
    alpha = torch.where(below != 0, slope**2 / torch.where(below != 0, below, 1.0), 0.0)
    weights = (alpha * torch.relu(slope)).flatten(2).sum(2)
    heat = torch.relu((weights[(...,) + (None,) * (maps.ndim - 2)] * maps).sum(1, keepdim=True))
    return _enlarged(heat.detach(), x, model.spacing)


def _integrated(model: ImageModel, x: Tensor, output: int) -> Floats:
    points, lengths = np.polynomial.legendre.leggauss(_PATH)
    total = torch.zeros_like(x)
    for point, length in zip((points + 1) / 2, lengths / 2, strict=True):
        there = (x * float(point)).detach().requires_grad_()
        (slope,) = torch.autograd.grad(model.told(there)[:, output].sum(), there)
        total += slope * float(length)
    shares: Floats = (total * x).sum(1)[0].double().numpy()
    return shares


def _occlusion(model: ImageModel, x: Tensor, output: int) -> Floats:
    """Cover one patch after another with the image's mean: how far the answer falls is what the patch was worth."""
    sides = x.shape[2:]
    patches = _PATCHES if len(sides) == 2 else _PATCHES // 2
    edges = [np.linspace(0, n, min(patches, n) + 1).astype(int) for n in sides]
    heat = np.zeros(tuple(sides))
    with torch.inference_mode():
        whole = float(model.told(x)[0, output])
        for place in product(*(range(len(edge) - 1) for edge in edges)):
            where = tuple(slice(edge[n], edge[n + 1]) for edge, n in zip(edges, place, strict=True))
            covered = x.clone()
            covered[(slice(None), slice(None), *where)] = x.mean()
            heat[where] = whole - float(model.told(covered)[0, output])
    return heat


def _enlarged(maps: Tensor, x: Tensor, spacing: Spacing) -> Floats:
    """Interpolate a map between the middles of its places; beyond the last ones it goes on as it is there."""
    axes = [spacing.place(np.arange(n, dtype=np.float64)) for n in x.shape[2:]]
    grid = np.meshgrid(*axes, indexing="ij")
    large: Floats = map_coordinates(maps[0, 0].double().numpy(), grid, order=1, mode="nearest")
    return large


_MADE: Final[dict[str, Callable[[ImageModel, Tensor, int], Floats]]] = {
    "cam": _cam,
    "grad-cam++": _grad_cam_pp,
    "integrated-gradients": _integrated,
    "occlusion": _occlusion,
}
