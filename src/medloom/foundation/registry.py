"""What is plugged in: importers, learners, wrappers of models and services, found by entry point."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import tr

Group = Literal["medloom.importers", "medloom.learners", "medloom.wrappers", "medloom.services"]


def registered(group: Group) -> dict[str, EntryPoint]:
    """List what is registered under `group`, by name, importing nothing.

    >>> "gbdt" in registered("medloom.learners")
    True
    """
    return {entry.name: entry for entry in sorted(entry_points(group=group), key=lambda e: e.name)}


def load(group: Group, name: str) -> type:
    """Import the class registered as `name`.

    Raises:
        NotFoundError: nothing of that name is registered; the message lists what is.
    """
    entries = registered(group)
    if name not in entries:
        raise NotFoundError(
            "no {kind} is called {name!r}; there are: {names}",
            kind=group.removeprefix("medloom.").removesuffix("s"),
            name=name,
            names=list(entries),
        )
    loaded: type = entries[name].load()
    return loaded


def summary(found: type) -> str:
    """Say in a line what a registered class is: its docstring's first line, in the reader's language.

    >>> summary(load("medloom.learners", "forest"))
    'A random forest (Breiman 2001).'
    """
    lines = (inspect.getdoc(found) or "").splitlines()
    return tr(lines[0]) if lines else ""
