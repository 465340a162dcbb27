"""A site's models: `models/TASK.LEARNER/N/`, named `TASK.LEARNER[@N]`, the latest by default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import remove
from medloom.foundation.site import SiteDirectory
from medloom.tasks import package
from medloom.tasks.model import Model

_NAME: Final = re.compile(
    r"(?P<task>[a-z0-9][a-z0-9_-]*)\.(?P<learner>[a-z0-9][a-z0-9_-]*)(@(?P<version>[1-9][0-9]*))?"
)


@dataclass(frozen=True, order=True)
class ModelName:
    """`TASK.LEARNER@N`.

    >>> str(ModelName("aki-48h", "gbdt", 3))
    'aki-48h.gbdt@3'
    """

    task: str
    learner: str
    version: int

    def __str__(self) -> str:
        return f"{self.task}.{self.learner}@{self.version}"


def save(site: SiteDirectory, model: Model) -> ModelName:
    """Save a model as the next version of its name."""
    folder = site.models / f"{model.origin.question.task}.{model.origin.learner}"
    versions = _versions(folder)
    name = ModelName(model.origin.question.task, model.origin.learner, (versions[-1] if versions else 0) + 1)
    final = folder / str(name.version) / "package"
    incoming = folder / f".incoming-{name.version}"
    remove(incoming)
    model.save(incoming / "package")
    incoming.replace(final.parent)
    return name


def find(site: SiteDirectory, text: str) -> ModelName:
    """Find a model by its name, the latest version unless one is named.

    Raises:
        InputError: not a model's name.
        NotFoundError: there is no such model; the message lists those there are.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise InputError(
            "{name!r} is not a model's name; it looks like aki-48h.gbdt or aki-48h.gbdt@2", name=text
        )
    versions = _versions(site.models / f"{match['task']}.{match['learner']}")
    version = int(match["version"]) if match["version"] else (versions[-1] if versions else 0)
    if version not in versions:
        names = names_in(site) or "-"
        raise NotFoundError("this site has no model {name!r}; it has: {names}", name=text, names=names)
    return ModelName(match["task"], match["learner"], version)


def load(site: SiteDirectory, name: ModelName) -> Model:
    """Check and load a model."""
    return package.load(directory(site, name))


def directory(site: SiteDirectory, name: ModelName) -> Path:
    """Place a model's package; its evidence lies beside it, in `evidence/`."""
    return site.models / f"{name.task}.{name.learner}" / str(name.version) / "package"


def evidence_directory(site: SiteDirectory, name: ModelName) -> Path:
    """Place what was found out about a model."""
    return directory(site, name).parent / "evidence"


def names_in(site: SiteDirectory) -> list[ModelName]:
    """List all models and versions of a site."""
    names = []
    for folder in site.models.glob("*.*"):
        if match := _NAME.fullmatch(folder.name):
            names += [ModelName(match["task"], match["learner"], version) for version in _versions(folder)]
    return sorted(names)


def _versions(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())
