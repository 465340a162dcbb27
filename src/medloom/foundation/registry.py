"""What is plugged in: importers, learners, wrappers of models and services, found by entry point."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from medloom.foundation.errors import InputError, NotFoundError
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
        InputError: what is registered cannot be imported.
    """
    entries = registered(group)
    if name not in entries:
        raise NotFoundError(
            "no {kind} is called {name!r}; there are: {names}",
            kind=group.removeprefix("medloom.").removesuffix("s"),
            name=name,
            names=list(entries),
        )
    entry = entries[name]
    try:
        loaded: type = entry.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            "{name!r} is registered by {package}, but cannot be loaded; install that package again",
            name=name,
            package=entry.dist.name if entry.dist is not None else entry.value,
        ) from error
    return loaded


def summary(found: type) -> str:
    """Say in a line what a registered class is: its docstring's first line, in the reader's language.

    >>> summary(load("medloom.learners", "forest"))
    'A random forest (Breiman 2001).'
    """
    lines = (inspect.getdoc(found) or "").splitlines()
    return tr(lines[0]) if lines else ""
