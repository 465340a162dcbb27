"""Pretrained bodies in memory: their weights once, however many adapted models answer with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from medloom.foundation.errors import NotFoundError
from medloom.foundation.site import SiteDirectory
from medloom.learners.timeline.body import BodyConfig, TimelineBody
from medloom.learners.timeline.model import Reading
from medloom.learners.timeline.pretraining import Encoder, load_encoder
from medloom.tasks import encoders
from medloom.tasks.package import SUMS, package_digest
from medloom.training.adaptation import Places

FOLDER_VARIABLE: Final = "MEDLOOM_ENCODERS"


@dataclass(frozen=True, eq=False)
class Base:
    """A pretrained body that models share.

    Attributes:
        digest: of the encoder's package.
        reading: of samples.
        config: of the body.
        weights: numbers of 64 bits; nothing writes to them.
    """

    digest: str
    reading: Reading
    config: BodyConfig
    weights: dict[str, Tensor]

    def body(self) -> TimelineBody:
        """Give a body with these very weights, not copies of them."""
        with torch.device("meta"):
            made = TimelineBody(self.config)
        made.load_state_dict(self.weights, assign=True)
        frozen: TimelineBody = made.requires_grad_(False).eval()
        return frozen


# weak: a base leaves memory with the last model that answers with it
_held: Final[WeakValueDictionary[str, Base]] = WeakValueDictionary()
_lock: Final = Lock()


def base_of(encoder: Encoder) -> Base:
    """Give the base of an encoder that was saved: the one in memory, where there is one."""
    with _lock:
        base = _held.get(encoder.digest)
        if base is None:
            state = encoder.network.body.state_dict()
            weights = {name: value.detach().float().double() for name, value in state.items()}
            base = _held[encoder.digest] = Base(encoder.digest, encoder.reading, encoder.config, weights)
    return base


def find_base(digest: str, name: str, package: Path, named: str | None) -> Base:
    """Find the encoder that an adapter was learned on, and load it unless it is in memory.

    It is looked for among the encoders of the site that the adapter lies in, where the adapter's parameters say, and in
    the folder that MEDLOOM_ENCODERS names.

    Args:
        digest: of the encoder's package.
        name: by which people know it.
        package: the adapter's.
        named: folder of the encoder's package when the adapter was learned.

    Raises:
        NotFoundError: it is nowhere there.
        IntegrityError: it was altered.
    """
    base = _held.get(digest)
    if base is not None:
        return base
    for directory in _candidates(digest, package, named):
        if (directory / SUMS).is_file() and package_digest(directory) == digest:
            return base_of(load_encoder(directory))
    raise NotFoundError(
        "the model in {path!r} was learned on encoder {name} ({digest}), which is not here; copy its package to"
        " encoders/NAME/1/package of the site, or name a folder that has it: {variable}=FOLDER",
        path=str(package),
        name=name,
        digest=digest[:12],
        variable=FOLDER_VARIABLE,
    )


def name_of(package: Path) -> str:
    """Name an encoder by where its package lies: `NAME@N` in a site, else its folder."""
    if package.name == "package" and package.parent.name.isdigit():
        return f"{package.parent.parent.name}@{package.parent.name}"
    return package.name


def places_of(body: TimelineBody) -> Places:
    """Name what can be adapted: every linear layer (Dettmers et al., NeurIPS 2023), and the ends of its branches."""
    linear = tuple(name for name, module in body.named_modules() if isinstance(module, nn.Linear))
    return Places(linear, tuple(name for name in linear if name.endswith((".out", ".down", "chart.bent"))))


def _candidates(digest: str, package: Path, named: str | None) -> Iterator[Path]:
    site = SiteDirectory.around(package)
    if site is not None and (found := encoders.of_digest(site, digest)) is not None:
        yield found
    if named is not None:
        yield Path(named)
    if folder_named := os.environ.get(FOLDER_VARIABLE):
        yield from sorted(path.parent for path in Path(folder_named).rglob(SUMS))
