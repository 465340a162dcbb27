"""One quantile of a value, by LightGBM: the value that a given share of like patients stays below."""

from dataclasses import dataclass
from typing import Any, ClassVar

from medloom.foundation.messages import tr
from medloom.learners.tabular.gbdt import GbdtLearner
from medloom.tasks.kinds import Kind
from medloom.training.parameters import check_parameter


@dataclass(frozen=True)
class QuantileLearner(GbdtLearner):
    """Boosted trees for one quantile of a value (pinball loss, Koenker and Bassett 1978).

    Two of them, a low and a high one, are what conformalised quantile regression starts from
    (`medloom.training.conformal`). All other arguments are those of `gbdt`.

    Args:
        quantile: share of like patients whose value is to lie below.
    """

    name: ClassVar = "quantile"
    kinds: ClassVar = frozenset({"regression"})

    quantile: float = 0.5

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_parameter(
            self.name, "quantile", self.quantile, 0 < self.quantile < 1, tr("above 0 and below 1")
        )

    def _objective(self, kind: Kind) -> dict[str, Any]:
        return {"objective": "quantile", "alpha": self.quantile}
