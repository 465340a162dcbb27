"""Identifiers that a tagger learned to find, beside the rules: bare names, or notes in another language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from medloom.foundation.errors import InputError
from medloom.record.deidentify.kinds import KINDS, Identifier
from medloom.tasks.tagging import Tagging

_KNOWN: Final = {str(kind): kind for kind in KINDS}


@dataclass(frozen=True)
class IdentityFinder:
    """Finds what could name a person as a tagger does whose places are called by kinds of identifiers.

    Attributes:
        tagging: the tagger.
    """

    tagging: Tagging

    def __call__(self, text: str) -> list[Identifier]:
        """Give the places in a text that could name a person.

        >>> from medloom.tasks.spans import span
        >>> from medloom.tasks.tagging import Tagged
        >>> class Told:
        ...     def tag(self, texts):
        ...         return [(Tagged(span(0, 3, "name"), 0.9),) for _ in texts]
        >>> IdentityFinder(Told())("Ann left.")
        [Identifier(start=0, end=3, kind='name')]
        """
        (found,) = self.tagging.tag([text])
        return [
            Identifier(start, end, _KNOWN[one.span.name]) for one in found for start, end in one.span.parts
        ]


def check_identities(names: Sequence[str]) -> None:
    """Check that places are called by kinds of identifiers.

    Raises:
        InputError: one is not; with the kinds that there are.
    """
    unknown = sorted(set(names) - set(KINDS))
    if unknown:
        raise InputError(
            "the model names {names}, which are no kinds of identifiers; there are: {known}",
            names=", ".join(unknown),
            known=", ".join(KINDS),
        )
