"""Pretraining: one body, learned from timelines without labels; kept as a package that any task starts from."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from medloom.features.token_vocabulary import TokenVocabulary
from medloom.features.tokens import encode, nobodys_tokens, write_tokens
from medloom.foundation.errors import InputError
from medloom.foundation.hashing import digest
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive, generator
from medloom.learners.timeline.batches import Gathering, Timelines
from medloom.learners.timeline.body import BodyConfig, TimelineBody, size_named
from medloom.learners.timeline.model import LIBRARIES, Reading
from medloom.learners.timeline.objectives import (
    OBJECTIVES,
    Objective,
    PretrainingRows,
    Shown,
    objectives_named,
)
from medloom.tasks import package
from medloom.tasks.model import Origin, check_none_held_out
from medloom.tasks.samples import Samples
from medloom.training.checkpoints import Course
from medloom.training.fitting import fit
from medloom.training.schedule import Schedule
from medloom.training.seeding import seeded
from medloom.training.tensors import read_weights, write_weights

_log = logging.getLogger(__name__)

LEARNER: Final = "timeline"
_SPECIFICATION: Final = "encoder.json"
_WEIGHTS: Final = "encoder.safetensors"
_JUDGED_ROWS: Final = 512
_SCHEDULE: Final = Schedule(epochs=10, batch=64, learning_rate=2e-3, patience=None)


@dataclass(frozen=True)
class Pretraining:
    """What is pretrained and how.

    Attributes:
        objective: one, or several joined by `+`.
        size: of the body.
        step: hours whose facts are one step; 0: those of one moment; None: each fact.
        most: steps of a timeline at most.
        schedule: how long and how fast.
        recompute: whether memory is saved by working out twice what blocks make of a batch.
    """

    objective: str = "next-event+time-to-event"
    size: str = "nano"
    step: float | None = 0.0
    most: int = 512
    schedule: Schedule = _SCHEDULE
    recompute: bool = False


class PretrainedNetwork(nn.Module):
    """A body with the heads of its objectives."""

    def __init__(self, body: TimelineBody, heads: dict[str, Objective]) -> None:
        super().__init__()
        self.body = body
        self.heads = nn.ModuleDict({name.replace("-", "_"): head for name, head in heads.items()})

    def forward(self, shown: Shown) -> Tensor:
        """Give the loss of each row: (b,)."""
        read = self.body(shown.batch)
        losses = [head(self.body, shown, read) for head in self.heads.values()]
        return torch.stack(losses).sum(0)


@dataclass(frozen=True)
class Encoder:
    """A pretrained body.

    Attributes:
        origin: where it comes from.
        reading: of samples.
        network: body and heads, in 32 bits.
        config: of the body.
        objectives: it was pretrained by.
        digest: of its package; empty before it was saved or loaded.
        course: of its training; None once it was loaded.
        learned_from: how many `patients` and `facts`; empty where its package does not tell.
    """

    origin: Origin
    reading: Reading
    network: PretrainedNetwork
    config: BodyConfig
    objectives: tuple[str, ...]
    digest: str = ""
    course: Course | None = None
    learned_from: dict[str, int] = field(default_factory=dict)

    def body(self) -> TimelineBody:
        """Give a body of one's own, to adapt."""
        made = TimelineBody(self.config)
        made.load_state_dict({name: value.clone() for name, value in self.network.body.state_dict().items()})
        return made

    def save(self, directory: Path) -> Encoder:
        """Write a package, and give the encoder that knows its digest."""

        def write(folder: Path) -> None:
            content = {
                "reading": self.reading.to_json(),
                "config": self.config.to_json(),
                "objectives": self.objectives,
            }
            text = json.dumps(content, ensure_ascii=False, sort_keys=True)
            (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
            write_weights(folder / _WEIGHTS, self.network)

        named = package.write(
            directory,
            self.origin,
            write,
            libraries=LIBRARIES,
            kind="encoder",
            extra={"learned_from": self.learned_from},
        )
        return replace(self, digest=named)


def load_encoder(directory: Path) -> Encoder:
    """Check a package and load its encoder.

    Raises:
        NotFoundError: there is no package.
        IntegrityError: it was altered.
        InputError: it holds no encoder, or one of an older network.
    """
    content = package.check(directory)
    if content["kind"] != "encoder":
        raise InputError(
            "{name} is a {kind}, not an encoder; pretrain one with: medloom pretrain",
            name=directory.name,
            kind=content["kind"],
        )
    told = json.loads((directory / "weights" / _SPECIFICATION).read_text(encoding="utf-8"))
    reading, config = Reading.from_json(told["reading"]), BodyConfig.from_json(told["config"])
    nobody = Timelines(nobodys_tokens(), reading.vocabulary, reading.gathering)
    names = tuple(told["objectives"])
    network = _network(config, names, nobody)
    try:
        network.load_state_dict(read_weights(directory / "weights" / _WEIGHTS))
    except RuntimeError:  # other names or shapes of weights
        raise InputError(
            "the encoder in {path!r} was pretrained by a Medloom whose network was another; pretrain it anew with: "
            "medloom pretrain",
            path=str(directory),
        ) from None
    named = package.package_digest(directory)
    learned_from = content["extra"].get("learned_from", {})
    origin = package.origin_in(directory)
    return Encoder(origin, reading, network.eval(), config, names, named, learned_from=learned_from)


def pretrain(
    train: Samples,
    tuning: Samples,
    how: Pretraining = Pretraining(),
    *,
    seed: int = 0,
    folder: Path | None = None,
    noted: Callable[[int, float, float | None], None] | None = None,
) -> Encoder:
    """Pretrain a body on timelines; labels are not looked at.

    Args:
        train: one or more timelines a subject, of the training split alone.
        tuning: on which it is judged; empty: it is not.
        how: what and how long.
        seed: of everything random.
        folder: where tokens and checkpoints are kept; a training that was stopped goes on from there. None: in memory.
        noted: called at each judgement with step, loss and judged loss.

    Raises:
        InputError: an objective or a size has another name, there is nothing to learn from, or the checkpoint is of
            another training.
        LeakageError: a sample is held out.
    """
    check_none_held_out(train, tuning)
    names, size = objectives_named(how.objective), size_named(how.size)
    if how.schedule.strategy == "fsdp" and "contrastive" in names:
        raise InputError(
            "weights that are shared out cannot read two windows at once; train contrastive with ddp"
        )
    drawn = derive(seed, "pretraining")
    reading = Reading(TokenVocabulary.fit(train, seed=drawn), Gathering(how.step, how.most))
    vocabulary = reading.vocabulary
    if folder is None:
        tokens = encode(train, vocabulary)
    else:
        tokens = write_tokens(folder / "tokens", train, vocabulary)
    if not tokens.lengths.any():
        raise InputError(
            "no patient to learn from has a fact; import a record, or check who is held out of it"
        )
    rows = Timelines(tokens, vocabulary, reading.gathering, train.catalogue)
    config = BodyConfig.of(size, vocabulary, causal=names != ("masked",))
    with seeded(drawn):
        network = _network(config, names, rows)
    network.body.recomputing = how.recompute
    parameters = asdict(how)
    fitted = fit(
        network,
        PretrainingRows(rows, names),
        lambda net, shown: net(shown),
        how.schedule,
        seed=drawn,
        judged=_judge(reading, tuning, names, drawn) if len(tuning) else None,
        folder=None if folder is None else folder / "checkpoints",
        of=digest([train.digest(), tuning.digest(), asdict(_what(how)), vocabulary.to_json(), seed]),
        doing=tr("Pretraining"),
        noted=noted,
    )
    _log.info(
        "pretrained objective=%s steps=%d rows_per_s=%.0f",
        how.objective,
        fitted.course.step,
        fitted.rows_per_s,
    )
    data = digest([train.digest(), tuning.digest()])
    origin = Origin(train.question, LEARNER, parameters, seed, data, train.split_rule)
    patients = np.unique(train.subject_ids[tokens.lengths > 0])
    learned_from = {"patients": len(patients), "facts": int(tokens.lengths.sum())}
    return Encoder(
        origin, reading, network.eval(), config, names, course=fitted.course, learned_from=learned_from
    )


def _what(how: Pretraining) -> Pretraining:
    """Leave out what may be another when a training goes on: memory, time, and processes."""
    usual = Schedule()
    schedule = replace(
        how.schedule, pieces=usual.pieces, minutes=None, devices=usual.devices, strategy=usual.strategy
    )
    return replace(how, schedule=schedule, recompute=False)


def _network(config: BodyConfig, names: tuple[str, ...], rows: Timelines) -> PretrainedNetwork:
    body = TimelineBody(config)
    return PretrainedNetwork(body, {name: OBJECTIVES[name](body, rows) for name in names})


def _judge(
    reading: Reading, tuning: Samples, names: tuple[str, ...], seed: int
) -> Callable[[nn.Module], float]:
    """Give the mean loss on tuning rows that are always cut alike."""
    source = PretrainingRows(reading.timelines(tuning), names)
    rows = np.arange(min(len(source.lengths), _JUDGED_ROWS))
    batches = [
        source.batch(part, generator(seed, "judged", str(part[0])))
        for part in np.array_split(rows, max(1, len(rows) // 64))
        if len(part)
    ]

    def judged(network: nn.Module) -> float:
        device = next(network.parameters()).device
        with seeded(seed, device):
            return float(torch.cat([network(shown.to(device)) for shown in batches]).mean())

    return judged
