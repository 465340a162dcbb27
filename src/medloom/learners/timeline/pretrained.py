"""`timeline`: a body pretrained without labels, adapted to a question with few."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from medloom.features.tokens import encode
from medloom.foundation.errors import InputError, LeakageError
from medloom.foundation.messages import tr
from medloom.foundation.seeds import derive
from medloom.learners.timeline.learner import NeuralTimelineLearner, Start
from medloom.tasks.model import Origin
from medloom.tasks.samples import Samples
from medloom.training.adaptation import WAYS, adapt, settle
from medloom.training.answer_heads import AnswerForm
from medloom.training.answers import labels_as_numbers
from medloom.training.learning import origin_of_fit
from medloom.training.parameters import check_parameter
from medloom.training.schedule import Schedule
from medloom.training.seeding import seeded

if TYPE_CHECKING:
    from torch import nn

    from medloom.learners.timeline.model import Reading, TimelineModel
    from medloom.learners.timeline.network import TimelineNetwork
    from medloom.learners.timeline.pretraining import Encoder

FEW_SHOT: Final = ("prototype", "probe")
ADAPTATIONS: Final = (*WAYS, *FEW_SHOT)
# Few weights, or new ones, learn at higher rates than all of a body's.
_FASTER: Final = {"head": 10.0, "lora": 6.0, "adalora": 10.0, "adapter": 6.0}
_LOOKED_AT: Final = 200  # samples, of whose facts an encoder must know a share
_LEAST_KNOWN: Final = 0.1


@dataclass(frozen=True)
class TimelineLearner(NeuralTimelineLearner):
    """Adapts a pretrained body; without one it pretrains its own, on the training samples' timelines.

    Args:
        encoder: folder of a package that `medloom pretrain` wrote; None: pretrain first.
        adapt: what is learned: `full` (all weights), `head` (the layer of answers alone), `lora`, `adalora` and
            `adapter` (few weights that are added to the body); or, for few labels and without descent into the body,
            `prototype` (the nearest class answers) and `probe` (a linear layer whose strength is cross-validated).
        rank: how narrow what is added is.
        objective: of pretraining, where it pretrains: one or several of `next-event`, `masked`, `time-to-event` and
            `contrastive`, joined by `+`.
        size: of the body, where it pretrains.
        pretraining_epochs: passes over the timelines, where it pretrains.
        learning_rate: of AdamW at its highest, for all weights; `adapter`, `lora`, `head` and `adalora` learn 6 to 10
            times as fast.
    """

    name: ClassVar = "timeline"

    encoder: str | None = None
    adapt: str = "full"
    rank: int = 4
    objective: str = "next-event+time-to-event"
    size: str = "nano"
    pretraining_epochs: int = 30
    learning_rate: float = 0.0005

    def fit(self, train: Samples, tuning: Samples, seed: int = 0) -> TimelineModel:
        """Learn from `train`; stop on `tuning`, as all networks do, unless there is no descent to stop.

        Raises:
            InputError: the samples cannot be learned from, or PyTorch is not installed; with the remedy.
            LeakageError: a patient is in both, or a sample is held out.
        """
        if self.adapt not in FEW_SHOT:
            return super().fit(train, tuning, seed)
        self._check(train, tuning)
        from medloom.learners.timeline.network import TimelineNetwork

        drawn = derive(seed, self.modality, self.name)
        form = AnswerForm.of(train.question, train)
        with seeded(drawn):
            start = self._start(self._basis(train, tuning, drawn))
            network = TimelineNetwork(start.body, form.k)
        self._begin(network, form, start.reading, train, drawn)
        return self._model(origin_of_fit(self, train, tuning, seed), start, form, network).knowing(train)

    @classmethod
    def load(cls, directory: Path) -> TimelineModel:
        """Load a package this learner's model wrote; of an adapter, with the encoder that it names."""
        content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        if content["kind"] != "adapter":
            return super().load(directory)
        from medloom.learners.timeline.adapted import load_adapted

        return load_adapted(directory, content)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        from medloom.learners.timeline.body import size_named
        from medloom.learners.timeline.objectives import objectives_named

        check_parameter(self.name, "adapt", self.adapt, self.adapt in ADAPTATIONS, ", ".join(ADAPTATIONS))
        for one in ("rank", "pretraining_epochs"):
            check_parameter(self.name, one, getattr(self, one), getattr(self, one) >= 1, tr("1 or more"))
        alone = self.networks == 1 or self.adapt == "full"
        check_parameter(self.name, "networks", self.networks, alone, tr("1, unless all weights are adapted"))
        descends = not self.refit or self.adapt not in FEW_SHOT
        check_parameter(self.name, "refit", self.refit, descends, tr("false, where nothing tells how long"))
        size_named(self.size)
        objectives_named(self.objective)

    @property
    def starts_from_patients(self) -> bool:
        """Tell whether an encoder has read training patients' timelines before."""
        return self.encoder is not None

    def _start(self, basis: Encoder) -> Start:
        from medloom.learners.timeline.bases import places_of

        body = basis.body()
        way = "head" if self.adapt in FEW_SHOT else self.adapt
        adapting = adapt(body, places_of(body), way, self.rank)
        return _Pretrained(
            basis.reading,
            body,
            basis.config.to_json(),
            adapting.on_step,
            adapting.penalty,
            encoder=basis,
        )

    def _basis(self, train: Samples, tuning: Samples, seed: int) -> Encoder:
        from medloom.learners.timeline.pretraining import Pretraining, load_encoder, pretrain

        if self.encoder is None:
            how = Pretraining(self.objective, self.size, self.step, self.most)
            schedule = replace(
                how.schedule, epochs=self.pretraining_epochs, precision=self.precision, devices=self.devices
            )
            return pretrain(train, tuning, replace(how, schedule=schedule), seed=seed)
        encoder = load_encoder(Path(self.encoder))
        if encoder.origin.split_rule != train.split_rule:
            raise LeakageError(
                "the encoder was pretrained under another split, perhaps on patients that task {task!r} tests on; "
                "pretrain anew for this task, or let each model pretrain its own: encoder=None (-p encoder=None)",
                task=train.question.task,
            )
        _check_known(encoder, train)
        return encoder

    def _schedule(self) -> Schedule:
        schedule = super()._schedule()
        rate = self.learning_rate * _FASTER.get(self.adapt, 1.0)
        # an average of weights would bring back the ranks that AdaLoRA's budget took
        average = None if self.adapt == "adalora" else schedule.average
        return replace(schedule, learning_rate=rate, average=average)

    def _begin(
        self, network: TimelineNetwork, form: AnswerForm, reading: Reading, train: Samples, seed: int
    ) -> None:
        """Begin with the layer of answers that suits the body as it is (Kumar et al., ICLR 2022: probe, then tune)."""
        import torch

        from medloom.learners.timeline.network import represented
        from medloom.training.probe import probe
        from medloom.training.prototypes import prototypes

        known = represented(network.body.double(), reading.timelines(train))
        network.body.float().train()
        if self.adapt == "prototype":
            head = prototypes(form.kind, known, labels_as_numbers(train))
        else:
            head = probe(known, form.targets(train), train.groups, seed)
        with torch.no_grad():
            network.head.weight.copy_(torch.from_numpy(head.weight))
            network.head.bias.copy_(torch.from_numpy(head.bias))

    def _model(
        self, origin: Origin, start: Start, form: AnswerForm, network: TimelineNetwork
    ) -> TimelineModel:
        from medloom.learners.timeline.adapted import AdaptedModel
        from medloom.learners.timeline.bases import base_of, name_of
        from medloom.training.additions import described

        if self.adapt in ("lora", "adalora"):
            settle(network.body)
        assert isinstance(start, _Pretrained)
        if self.adapt == "full" or self.encoder is None:
            added = described(network.body)
            built = start.built | ({"added": added} if added else {})
            return super()._model(origin, replace(start, built=built), form, network)
        base, name = base_of(start.encoder), name_of(Path(self.encoder))
        return AdaptedModel.of(origin, form, network, base, name)

    @classmethod
    def _built(cls, reading: Reading, built: dict[str, Any]) -> nn.Module:
        from medloom.learners.timeline.body import BodyConfig, TimelineBody
        from medloom.training.additions import put_in

        body = TimelineBody(BodyConfig.from_json({k: v for k, v in built.items() if k != "added"}))
        put_in(body, built.get("added", ()))
        return body


@dataclass(frozen=True)
class _Pretrained(Start):
    """A start from an encoder."""

    encoder: Encoder = field(kw_only=True)


def _check_known(encoder: Encoder, train: Samples) -> None:
    """Refuse an encoder that does not know what is recorded here; of strangers it reads no values."""
    vocabulary = encoder.reading.vocabulary
    code = encode(train.where(pl.int_range(pl.len()) < _LOOKED_AT), vocabulary).code
    share = float((code <= len(vocabulary)).mean()) if len(code) else 1.0
    if share < _LEAST_KNOWN:
        raise InputError(
            "the encoder knows {share:.0%} of the facts of these patients, for it was pretrained on other codes; "
            "pretrain one on this record: medloom pretrain",
            share=share,
        )
