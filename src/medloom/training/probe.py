"""A linear probe: the layer of answers alone, shrunk as much as other labelled samples say (Alain and Bengio, 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.seeds import generator
from medloom.training.linear_heads import LinearHead, Standard

if TYPE_CHECKING:
    from torch import Tensor

    from medloom.training.answer_heads import Targets

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_STRENGTHS: Final = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # strongest first
_FOLDS: Final = 5
_STEPS: Final = 50


def probe(x: Floats, targets: Targets, groups: Rows, seed: int, rows: Rows | None = None) -> LinearHead:
    """Find the layer with the least loss, where long weights cost; how much they do is chosen by cross-validation.

    Args:
        x: (n, d) representations; of (m, d) copies of samples, `rows` tells whose.
        targets: labels of the n samples, of any kind.
        groups: (n,) what must not be split.
        seed: of the folds.
        rows: (m,) the sample that each is a copy of; None: each sample is there once.
    """
    standard = Standard.of(x)
    z = standard.applied(x)
    of = np.arange(len(x)) if rows is None else rows
    different, group = np.unique(groups[of], return_inverse=True)
    folds = min(_FOLDS, len(different))
    fold = (generator(seed, "probe").permutation(len(different)) % folds)[group]
    missed = np.zeros(len(_STRENGTHS))
    if folds > 1:
        for one in range(folds):
            inside, outside = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
            missed += [_loss(z, targets, of, outside, head) for head in _path(z, targets, of, inside)]
    chosen = int(missed.argmin())
    *_, head = _path(z, targets, of, np.arange(len(z)), _STRENGTHS[: chosen + 1])
    return standard.undone(head)


def _path(
    z: Floats, targets: Targets, of: Rows, rows: Rows, strengths: tuple[float, ...] = _STRENGTHS
) -> list[LinearHead]:
    """Fit one layer a strength; each begins where the one before ended."""
    import torch

    inputs = torch.from_numpy(z[rows])
    weight = torch.zeros(len(targets.level), z.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(targets.level, dtype=torch.float64, requires_grad=True)
    heads = []
    for strength in strengths:
        descent = torch.optim.LBFGS(
            [weight, bias], max_iter=_STEPS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
        )

        def cost(strength: float = strength, descent: torch.optim.LBFGS = descent) -> Tensor:
            descent.zero_grad()
            loss = targets.losses(inputs @ weight.T + bias, of[rows]).mean()
            total: Tensor = loss + strength / 2 * weight.square().sum()
            total.backward()
            return total

        descent.step(cost)
        heads.append(LinearHead(weight.detach().numpy().copy(), bias.detach().numpy().copy()))
    return heads


def _loss(z: Floats, targets: Targets, of: Rows, rows: Rows, head: LinearHead) -> float:
    import torch

    with torch.no_grad():
        return float(targets.losses(torch.from_numpy(head.scores(z[rows])), of[rows]).sum())
