"""References to resources as bare identifiers: `Patient/7`, `urn:uuid:…` and absolute addresses alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ANOTHER_TYPE: Final = ""  # the reference is to a resource of another type than the one asked for


class Identifiers(dict[str, str | None]):
    """Reference → identifier of one type of resource, worked out when first asked for.

    `aliases` are the current Bundle's fullUrls whose resources have an identifier of their own.

    >>> patients = Identifiers("Patient", {})
    >>> [patients[r] for r in ("Patient/7", "https://h.org/r4/Patient/7/_history/2", "urn:uuid:7", "Group/1")]
    ['7', '7', '7', '']
    """

    def __init__(self, kind: str, aliases: Mapping[str, str]) -> None:
        super().__init__()
        self._kind = kind
        self._aliases = aliases

    def __missing__(self, reference: str) -> str | None:
        identifier = self[reference] = bare(reference, self._kind, self._aliases)
        return identifier


def bare(reference: str, kind: str, aliases: Mapping[str, str]) -> str | None:
    """Give the identifier; None if there is none in it (a search, a contained resource)."""
    if reference in aliases:
        return aliases[reference]
    if reference.startswith("urn:"):
        return reference.rpartition(":")[2] or None
    if "?" in reference or reference.startswith("#"):
        return None
    parts = reference.partition("/_history/")[0].split("/")
    if len(parts) > 1 and parts[-2] != kind:
        return ANOTHER_TYPE
    return parts[-1] or None
