"""Importers by name: `medloom.importers.fhir("export/")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medloom.foundation import registry
from medloom.record.importing import Importer


def __getattr__(name: str) -> Callable[..., Importer]:
    if name.startswith("_") or name not in registry.registered("medloom.importers"):
        raise AttributeError(f"module 'medloom.importers' has no importer {name!r}")
    return registry.load("medloom.importers", name)


def __dir__() -> list[str]:
    return list(registry.registered("medloom.importers"))


def named(name: str, *args: Any, **parameters: Any) -> Importer:
    """Make a registered importer.

    Raises:
        NotFoundError: none of that name is registered; the message lists those there are.
    """
    made: Importer = registry.load("medloom.importers", name)(*args, **parameters)
    return made
