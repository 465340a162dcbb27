"""A conditional Wasserstein network of generator and critic for tables.

Loss and penalty on gradients: Gulrajani et al., NeurIPS 2017. Conditional sampling, so that rare choices are learned
too, and rows judged several together against collapse: Xu et al., NeurIPS 2019, 4.3 and 4.4 (CTGAN).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medloom.foundation.messages import tr
from medloom.foundation.progress import progress
from medloom.learners.synthetic.columns import TableForm
from medloom.training.seeding import seeded

Integers = NDArray[np.int64]

_TOGETHER: Final = 5  # rows that the critic judges as one
_PENALTY: Final = 10.0
_WARMTH: Final = 0.2  # of drawn choices


@dataclass(frozen=True)
class Contest:
    """How generator and critic learn.

    Attributes:
        epochs: passes over the rows.
        batch: rows a step, a multiple of 5.
        width: of both networks' two layers.
        noise: numbers from which a row is made.
        learning_rate: of Adam, of both; it falls along a cosine.
        average: decay of the moving average of the generator's weights, which is kept.
    """

    epochs: int = 300
    batch: int = 100
    width: int = 128
    noise: int = 64
    learning_rate: float = 1e-3
    average: float = 0.995


class RowMaker(nn.Module):
    """Noise and a condition → rows as `TableForm` encodes them."""

    def __init__(self, form: TableForm, contest: Contest) -> None:
        super().__init__()
        self.form, self.noise = form, contest.noise
        conditions = sum(len(column.choices) for _, column in form.choices)
        inner = contest.width
        first = contest.noise + conditions
        self.first, self.second = _Residual(first, inner), _Residual(first + inner, inner)
        self.last = nn.Linear(first + 2 * inner, sum(map(sum, form.widths)))

    def scores(self, condition: Tensor) -> Tensor:
        """Give what choices are drawn from and where values lie: (b, width) for conditions (b, c)."""
        noise = torch.randn(len(condition), self.noise)
        made: Tensor = self.last(self.second(self.first(torch.cat([noise, condition], 1))))
        return made

    def rows(self, scores: Tensor) -> Tensor:
        """Draw rows from scores: (b, width)."""
        parts, start = [], 0
        for inside, chosen in self.form.widths:
            parts.append(scores[:, start : start + inside].tanh())
            start += inside
            parts.append(F.gumbel_softmax(scores[:, start : start + chosen], tau=_WARMTH))
            start += chosen
        return torch.cat(parts, 1)


class _Residual(nn.Module):
    def __init__(self, before: int, inner: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(before, inner), nn.BatchNorm1d(inner)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.relu(self.norm(self.linear(x))), x], 1)


class _Critic(nn.Module):
    """Tells how real rows look, five together."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width * _TOGETHER, inner),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.5),
            nn.Linear(inner, inner),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.5),
            nn.Linear(inner, 1),
        )

    def forward(self, rows: Tensor) -> Tensor:
        judged: Tensor = self.layers(rows.view(len(rows) // _TOGETHER, -1))
        return judged


class Conditions:
    """Draws which choice of which column a row is to have."""

    def __init__(self, form: TableForm) -> None:
        self.starts = [start for start, _ in form.choices]
        self.sizes = [len(column.choices) for _, column in form.choices]
        self.shares = [np.array(column.shares) / sum(column.shares) for _, column in form.choices]
        self.edges = np.cumsum([0, *self.sizes])

    def drawn(
        self, n: int, rng: np.random.Generator, *, evenly: bool
    ) -> tuple[NDArray[np.float32], Integers, Integers]:
        """Give conditions (n, c), with column and choice (n,); `evenly`: rare choices more often, by logarithms."""
        condition = np.zeros((n, self.edges[-1]), np.float32)
        column = rng.integers(max(len(self.sizes), 1), size=n)
        choice = np.zeros(n, np.int64)
        for place, shares in enumerate(self.shares):
            rows = np.flatnonzero(column == place)
            weights = np.log1p(shares * 1e4) if evenly else shares
            choice[rows] = rng.choice(len(shares), len(rows), p=weights / weights.sum())
            condition[rows, self.edges[place] + choice[rows]] = 1
        return condition, column, choice


def learn(form: TableForm, coded: NDArray[np.float32], contest: Contest, seed: int) -> RowMaker:
    """Learn to make rows like those of a table.

    Args:
        form: of the table.
        coded: (n, width), at least ten rows.
        contest: how.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    batch = min(contest.batch, len(coded)) // _TOGETHER * _TOGETHER
    conditions, holding = Conditions(form), _holding(form, coded)
    with seeded(seed):
        maker = RowMaker(form, contest)
        critic = _Critic(coded.shape[1] + int(conditions.edges[-1]), contest.width)
        rate, betas = contest.learning_rate, (0.5, 0.9)
        making = torch.optim.Adam(maker.parameters(), rate, betas, weight_decay=1e-6)
        judging = torch.optim.Adam(critic.parameters(), rate, betas)
        steps = contest.epochs * max(1, len(coded) // batch)
        falling = [torch.optim.lr_scheduler.CosineAnnealingLR(one, steps) for one in (making, judging)]
        kept = {name: value.detach().clone() for name, value in maker.state_dict().items()}
        with progress(tr("Learning to make rows"), total=steps) as advance:
            for _ in range(steps):
                condition, column, choice = conditions.drawn(batch, rng, evenly=True)
                given, order = torch.from_numpy(condition), rng.permutation(batch)
                real = torch.from_numpy(coded[_rows_with(holding, column, choice, len(coded), rng)[order]])
                with torch.no_grad():
                    made = maker.rows(maker.scores(given))
                true, false = torch.cat([real, given[order]], 1), torch.cat([made, given], 1)
                worse = critic(false).mean() - critic(true).mean() + _penalty(critic, true, false)
                judging.zero_grad(set_to_none=True)
                worse.backward()
                judging.step()
                condition, column, choice = conditions.drawn(batch, rng, evenly=True)
                given = torch.from_numpy(condition)
                scores = maker.scores(given)
                loss = -critic(torch.cat([maker.rows(scores), given], 1)).mean()
                loss = loss + _disobedience(scores, conditions, column, choice)
                making.zero_grad(set_to_none=True)
                loss.backward()
                making.step()
                for one in falling:
                    one.step()
                for name, value in maker.state_dict().items():
                    if value.dtype.is_floating_point:
                        kept[name].lerp_(value, 1 - contest.average)
                advance(1)
        maker.load_state_dict(kept)
    learned: RowMaker = maker.eval().requires_grad_(False)
    return learned


def make(maker: RowMaker, n: int, seed: int) -> NDArray[np.float32]:
    """Make rows: (n, width); choices as frequent as they were."""
    conditions, rng = Conditions(maker.form), np.random.default_rng(seed)
    with seeded(seed), torch.inference_mode():
        condition, _, _ = conditions.drawn(n, rng, evenly=False)
        made: NDArray[np.float32] = maker.rows(maker.scores(torch.from_numpy(condition))).numpy()
    return made


def _holding(form: TableForm, coded: NDArray[np.float32]) -> list[list[Integers]]:
    """List the rows that have each choice of each column."""
    return [
        [np.flatnonzero(coded[:, start + place] > 0) for place in range(len(column.choices))]
        for start, column in form.choices
    ]


def _rows_with(
    holding: list[list[Integers]], column: Integers, choice: Integers, n: int, rng: np.random.Generator
) -> Integers:
    """Draw a row that has each choice: (b,)."""
    if not holding:
        return rng.integers(n, size=len(column))
    rows = (holding[of][chosen] for of, chosen in zip(column, choice, strict=True))
    return np.array([one[rng.integers(len(one))] for one in rows])


def _penalty(critic: _Critic, true: Tensor, false: Tensor) -> Tensor:
    """Hold the critic's slope between true and false rows near 1."""
    share = torch.rand(len(true) // _TOGETHER, 1).repeat_interleave(_TOGETHER, 0)
    between = (share * true + (1 - share) * false).requires_grad_()
    slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
    steep = slope.reshape(len(slope) // _TOGETHER, -1).norm(dim=1)
    return _PENALTY * ((steep - 1) ** 2).mean()


def _disobedience(scores: Tensor, conditions: Conditions, column: Integers, choice: Integers) -> Tensor:
    """Tell how little rows have the choices that they were to have."""
    lost = scores.new_zeros(())
    for place, (start, size) in enumerate(zip(conditions.starts, conditions.sizes, strict=True)):
        rows = np.flatnonzero(column == place)
        if len(rows):
            said = scores[torch.from_numpy(rows), start : start + size]
            lost = lost + F.cross_entropy(said, torch.from_numpy(choice[rows]), reduction="sum")
    return lost / len(scores)
