"""Several questions learned together: one body, a layer of answers each (Caruana, Machine Learning 1997;28:41-75)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medloom.foundation.errors import InputError, LeakageError
from medloom.foundation.hashing import digest
from medloom.foundation.seeds import derive
from medloom.learners.timeline.batches import TimelineBatch
from medloom.learners.timeline.hardened import losses_of
from medloom.learners.timeline.learner import LabelledRows
from medloom.learners.timeline.model import TimelineModel
from medloom.learners.timeline.network import TimelineNetwork, mean_loss
from medloom.learners.timeline.pretrained import FEW_SHOT, TimelineLearner
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm, Emphasis
from medloom.training.fitting import fit
from medloom.training.learning import divided, origin_of_fit
from medloom.training.robust import Hardening
from medloom.training.seeding import seeded

Rows = NDArray[np.int64]
Part = tuple[int, TimelineBatch, Tensor | None, Rows]


def fit_together(
    learner: TimelineLearner, questions: Sequence[tuple[Samples, Samples]], seed: int = 0
) -> list[TimelineModel]:
    """Adapt one body to several questions at once; each gets a model of its own, which is saved like any other.

    Each sample counts the same, so that a question of many samples counts more. Training stops by the mean of the
    questions' losses on their tuning samples. A body that is pretrained for it sees the timelines of the first one.

    Args:
        learner: how; not by `prototype` or `probe`, which learn nothing that could be shared.
        questions: training and tuning samples of each; all split alike.
        seed: of everything random.

    Raises:
        InputError: there is nothing to learn together, or samples cannot be learned from.
        LeakageError: they are split by different rules, or a patient is learned from in one and judged by in another.
    """
    if not questions or learner.adapt in FEW_SHOT or learner.networks > 1 or learner.refit:
        raise InputError(
            "name one question or more to learn together, and a way to adapt that shares what it learns, by one "
            "network and once"
        )
    for train, tuning in questions:
        learner._check(train, tuning)
    _check_split_alike(questions)
    drawn = derive(seed, learner.modality, learner.name)
    forms = [AnswerForm.of(train.question, train) for train, _ in questions]
    parts = [divided(train, tuning, drawn) for train, tuning in questions]
    with seeded(drawn):
        start = learner._start(learner._basis(*parts[0], drawn))
        networks = _Together([TimelineNetwork(start.body, form.k) for form in forms])
    targets = [form.targets(train) for form, (train, _) in zip(forms, parts, strict=True)]
    aims = [form.targets(tuning) for form, (_, tuning) in zip(forms, parts, strict=True)]
    for network, form, (train, _) in zip(networks.each, forms, parts, strict=True):
        learner._begin(network, form, start.reading, train, drawn)
    watched = [start.reading.timelines(tuning) for _, tuning in parts]
    joined = _RowsTogether(
        [LabelledRows(start.reading.timelines(train), learner.hidden_facts) for train, _ in parts]
    )
    emphasis = Emphasis(learner.smoothing, learner.focal, learner.balanced)
    hardening = Hardening(learner.adversarial, learner.radius, learner.mixup)

    def losses(made: _Together, given: list[Part]) -> Tensor:
        each = [
            losses_of(made.each[number], (batch, shown, rows), targets[number], emphasis, hardening)
            for number, batch, shown, rows in given
        ]
        return start.beside(torch.cat(each))

    def judged(made: _Together) -> float:
        return float(np.mean([mean_loss(*one) for one in zip(made.each, watched, aims, strict=True)]))

    fit(networks, joined, losses, learner._schedule(), seed=drawn, judged=judged, on_step=start.on_step)
    learned_from = digest([digest([train.digest(), tuning.digest()]) for train, tuning in questions])
    return [
        learner._model(
            replace(origin_of_fit(learner, train, tuning, seed), data_digest=learned_from),
            start,
            form,
            network,
        ).knowing(train)
        for (train, tuning), form, network in zip(questions, forms, networks.each, strict=True)
    ]


class _Together(nn.Module):
    """Networks that have one body."""

    def __init__(self, each: Sequence[TimelineNetwork]) -> None:
        super().__init__()
        self.each = nn.ModuleList(each)


@dataclass(frozen=True)
class _RowsTogether:
    """Training samples of several questions, one behind the other, as rows of the engine."""

    each: Sequence[LabelledRows]

    @property
    def lengths(self) -> Rows:
        return np.concatenate([one.lengths for one in self.each])

    def batch(self, rows: Rows, rng: np.random.Generator) -> list[Part]:
        ends = np.cumsum([len(one.lengths) for one in self.each])
        of = np.searchsorted(ends, rows, "right")
        parts: list[Part] = []
        for number in np.unique(of):
            places = rows[of == number] - (ends[number - 1] if number else 0)
            parts.append((int(number), *self.each[number].batch(places, rng)))
        return parts


def _check_split_alike(questions: Sequence[tuple[Samples, Samples]]) -> None:
    for (first, _), (second, _) in combinations(questions, 2):
        if first.split_rule != second.split_rule:
            raise LeakageError(
                "tasks {first!r} and {second!r} split patients by different rules; who is held out in one would be "
                "learned from in the other",
                first=first.question.task,
                second=second.question.task,
            )
    for (train, _), (_, tuning) in permutations(questions, 2):
        shared = np.intersect1d(train.groups, tuning.groups)
        if len(shared):
            raise LeakageError(
                "{n} patients are learned from in one question and judged by in another; split all of them alike",
                n=len(shared),
            )
