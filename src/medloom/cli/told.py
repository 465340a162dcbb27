"""What a command on explanations tells, and how it calls what a model looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medloom.cli import screen
from medloom.explanation.windowed import unit_of
from medloom.explanation.wording import REST, input_name, readable
from medloom.foundation.messages import Text2, tr
from medloom.site import Site


@dataclass(frozen=True)
class Told:
    """What was found: for programs, and how a person is shown it."""

    content: dict[str, Any]
    show: Callable[[], None]


@dataclass(frozen=True)
class Names:
    """How the record calls what a model looks at."""

    descriptions: Mapping[str, str]
    units: Mapping[str, str]

    @classmethod
    def of(cls, site: Site) -> Names:
        catalogue = site.record.catalogue
        return cls(catalogue.descriptions(), catalogue.units())

    def input(self, name: str) -> Text2:
        return input_name(name, self.descriptions, self.units)

    def unit(self, name: str) -> str | None:
        return unit_of(name, self.units)

    def said(self, name: str, value: float | None) -> str:
        """Say an input with its value in the current language."""
        if name == REST:
            return tr("all other inputs together")
        return screen.spoken(readable(name, value, self.descriptions, self.units))
