"""What is measured within groups of a survival question, when groups are compared."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from medloom.evidence.group_rates import Groups
from medloom.evidence.survival import Censoring, SurvivalMeasure
from medloom.evidence.tally import Floats
from medloom.foundation.messages import Text2
from medloom.training.nonparametric import Timeline

_COMPARED: Final = ("c_index", "ibs", "observed_expected")


class Part(Protocol):
    """Some samples with their outcomes and curves.

    Attributes:
        timeline: of the outcomes.
        until: up to when errors are integrated.
        names: of all metrics.
    """

    timeline: Timeline
    until: float

    @property
    def names(self) -> tuple[str, ...]:
        """List the metrics."""

    def prepared(self) -> tuple[Mapping[str, SurvivalMeasure], Mapping[str, Text2]]:
        """Give a measure for each event, by the beginning of its names, and why others cannot be estimated."""


class SurvivalRates:
    """Concordance, integrated error, and observed against expected events by each horizon, within groups.

    Args:
        parts: the samples of each group; errors are integrated over the time that all usable ones are followed.
        groups: (n,) bool each, of all samples.
    """

    odds: tuple[tuple[str, str], ...] = ()

    def __init__(self, parts: Mapping[str, Part], groups: Groups) -> None:
        names: Sequence[str] = next((part.names for part in parts.values()), ())
        self.rates = tuple(name for name in names if name.rpartition(": ")[2].partition(".")[0] in _COMPARED)
        usable = [part for part in parts.values() if part.prepared()[0]]
        until = min((part.until for part in usable), default=0.0)
        reasons_of: dict[str, Mapping[str, Text2]] = {}
        self._parts: dict[str, tuple[Part, Mapping[str, SurvivalMeasure]]] = {}
        for name, part in parts.items():
            if part in usable:
                part.until = until
            measures, reasons = part.prepared()
            reasons_of[name] = {rate: reasons[rate] for rate in self.rates if rate in reasons}
            if measures:
                self._parts[name] = part, measures
        self.reasons: Mapping[str, Mapping[str, Text2]] = reasons_of
        self._groups = groups

    def __call__(self, weight: Floats) -> dict[tuple[str, str], Floats]:
        """Measure; see `GroupRates`."""
        out: dict[tuple[str, str], Floats] = {}
        for name, (part, measures) in self._parts.items():
            own = weight[:, self._groups[name]]
            censoring = Censoring.of(part.timeline, own)
            found = {
                prefix + rate: value
                for prefix, measure in measures.items()
                for rate, value in measure(censoring, own).items()
            }
            out |= {(rate, name): found[rate] for rate in self.rates if rate not in self.reasons[name]}
        return out
