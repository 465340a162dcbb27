"""A model that is a pretrained body with a little added: its package holds what was added, and names the encoder."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from medloom.learners.timeline.bases import Base, find_base
from medloom.learners.timeline.model import LIBRARIES, TimelineModel, exact
from medloom.learners.timeline.network import TimelineNetwork
from medloom.tasks import package
from medloom.tasks.model import Origin
from medloom.training.additions import added_weights, described, folded, put_in
from medloom.training.answer_heads import AnswerForm
from medloom.training.novelty import Novelty
from medloom.training.tensors import read_weights, write_tensors

_SPECIFICATION: Final = "adapter.json"
_WEIGHTS: Final = "adapter.safetensors"
_HEAD: Final = "head."
_BODY: Final = "body."


@dataclass(frozen=True)
class AdaptedModel(TimelineModel):
    """Answers with a body that it shares.

    Attributes:
        base: the body, as it was pretrained.
        encoder: name by which people know it.
    """

    base: Base
    encoder: str

    @classmethod
    def of(
        cls, origin: Origin, form: AnswerForm, network: TimelineNetwork, base: Base, encoder: str
    ) -> AdaptedModel:
        """Put onto a shared body what a network has beside it."""
        return _put_together(origin, form, described(network.body), _added(network), base, encoder)

    @property
    def shared_bytes(self) -> int:
        """Count the bytes of the body, 32 bits a number."""
        numbers: int = sum(one.numel() for one in self.base.weights.values())
        return 4 * numbers

    def alone(self) -> TimelineModel:
        """Give a model that answers the same with weights of its own: for what changes them, such as compression."""
        network = deepcopy(self.network)
        folded(network.body)
        built = self.base.config.to_json()
        if added := described(network.body):
            built["added"] = added
        return TimelineModel(
            self.origin, self.reading, self.form, exact(network), built, novelty=self.novelty
        )

    def save(self, directory: Path) -> str:
        """Write a package of what was added to the body; give its digest."""
        return package.write(
            directory,
            self.origin,
            self._write,
            libraries=LIBRARIES,
            kind="adapter",
            base_digest=self.base.digest,
            extra={"encoder": self.encoder},
        )

    def _write(self, folder: Path) -> None:
        content = {"form": asdict(self.form), "added": described(self.network.body)}
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        (folder / _SPECIFICATION).write_text(text + "\n", encoding="utf-8")
        write_tensors(folder / _WEIGHTS, _added(self.network))
        self._write_novelty(folder)


def load_adapted(directory: Path, content: dict[str, Any]) -> AdaptedModel:
    """Load a package that an `AdaptedModel` wrote, whose sums have been checked, and the encoder that it names.

    Raises:
        NotFoundError: the encoder is not found.
        IntegrityError: the encoder was altered.
    """
    origin = package.origin_in(directory)
    told = json.loads((directory / "weights" / _SPECIFICATION).read_text(encoding="utf-8"))
    encoder = content["extra"]["encoder"]
    base = find_base(content["base_digest"], encoder, directory, origin.parameters.get("encoder"))
    form, weights = AnswerForm.from_json(told["form"]), read_weights(directory / "weights" / _WEIGHTS)
    made = _put_together(origin, form, told["added"], weights, base, encoder)
    return replace(made, novelty=Novelty.read(directory / "weights"))


def _put_together(
    origin: Origin,
    form: AnswerForm,
    what: list[list[Any]],
    weights: dict[str, Tensor],
    base: Base,
    encoder: str,
) -> AdaptedModel:
    body = base.body()
    put_in(body, what, _within(weights, _BODY))
    network = TimelineNetwork(body, form.k)
    network.head.load_state_dict(_within(weights, _HEAD))
    network.head.double()
    built = base.config.to_json()
    if what:
        built["added"] = what
    network.eval().requires_grad_(False)
    return AdaptedModel(origin, base.reading, form, network, built, base, encoder)


def _added(network: TimelineNetwork) -> dict[str, Tensor]:
    """Give, in 32 bits, the weights of a network that are not its base's."""
    named = {_BODY + name: value for name, value in added_weights(network.body).items()}
    named |= {_HEAD + name: value for name, value in network.head.state_dict().items()}
    return {name: value.detach().float() for name, value in named.items()}


def _within(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(part): value for name, value in weights.items() if name.startswith(part)}
