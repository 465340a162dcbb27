"""Whether a model was developed on enough people, after Riley's criteria.

Riley et al., BMJ 2020;368:m441; binary outcomes: Stat Med 2019;38:1276-1296; continuous ones: Stat Med
2019;38:1262-1275. They are about regression without penalty: boosted trees and networks need more (van der Ploeg et
al., BMC Med Res Methodol 2014;14:137), penalised regression fewer.
"""

from dataclasses import dataclass
from math import ceil, exp, log, log1p
from typing import Final

_SHRINKAGE: Final = 0.9  # expected calibration slope on new people, at least
_OPTIMISM: Final = 0.05  # in R², at most
_MARGIN: Final = 0.05  # of the overall risk
_Z: Final = 1.959963984540054
_FEWEST_RESIDUAL: Final = 234  # for a residual standard deviation within 10 % (Riley 2019, criterion iii)


@dataclass(frozen=True)
class SampleSize:
    """How many people each criterion asks for, and how many there were.

    Attributes:
        n: people the model was developed on.
        parameters: inputs offered to it, each counted once however little it weighs.
        needed: criterion → people needed: `shrinkage` (slope ≥ 0.9 on new people), `optimism` (R² within 0.05),
            `overall` (mean risk or residual known within a margin).
        expected_slope: what n people and so many parameters lead to expect, without penalty.
    """

    n: int
    parameters: int
    needed: dict[str, int]
    expected_slope: float

    @property
    def enough(self) -> bool:
        """Tell whether all criteria are met."""
        return self.n >= max(self.needed.values())


def for_binary(n: int, parameters: int, prevalence: float, r2: float) -> SampleSize:
    """Check the development data of a binary outcome.

    Args:
        n: people, or samples, it was developed on.
        parameters: inputs offered.
        prevalence: share with the outcome.
        r2: Cox and Snell's R² that may be expected, as held-out people show it (`cox_snell`).

    Raises:
        ValueError: the prevalence is 0 or 1, or R² is not above 0: there is nothing to plan by.

    >>> found = for_binary(1000, 24, 0.174, 0.288)
    >>> found.needed
    {'shrinkage': 623, 'optimism': 662, 'overall': 221}
    """
    if not 0 < prevalence < 1 or not 0 < r2 < 1:
        raise ValueError("a prevalence between 0 and 1 and an R² above 0 are needed")
    most = highest_cox_snell(prevalence)
    needed = {
        "shrinkage": _people(parameters, r2, _SHRINKAGE),
        "optimism": _people(parameters, r2, r2 / (r2 + _OPTIMISM * most)),
        "overall": ceil((_Z / _MARGIN) ** 2 * prevalence * (1 - prevalence)),
    }
    return SampleSize(n, parameters, needed, _expected_slope(n, parameters, r2))


def for_regression(n: int, parameters: int, r2: float) -> SampleSize:
    """Check the development data of a continuous outcome; arguments as in `for_binary`, `r2` the usual one.

    >>> for_regression(500, 20, 0.4).needed
    {'shrinkage': 341, 'optimism': 241, 'overall': 254}
    """
    if not 0 < r2 < 1:
        raise ValueError("an R² above 0 is needed")
    needed = {
        "shrinkage": _people(parameters, r2, _SHRINKAGE),
        "optimism": ceil(1 + parameters * (1 - r2) / _OPTIMISM),
        "overall": _FEWEST_RESIDUAL + parameters,
    }
    return SampleSize(n, parameters, needed, _expected_slope(n, parameters, r2))


def cox_snell(log_loss: float, prevalence: float) -> float:
    """Give Cox and Snell's R² of predictions from their mean log loss (nats).

    >>> round(cox_snell(0.325, 0.174), 3)
    0.24
    """
    null = -(prevalence * log(prevalence) + (1 - prevalence) * log(1 - prevalence))
    return 1 - exp(-2 * (null - log_loss))


def highest_cox_snell(prevalence: float) -> float:
    """Give the R² that a perfect model reaches, which for a binary outcome is below 1.

    >>> round(highest_cox_snell(0.5), 2)
    0.75
    """
    return 1 - exp(2 * (prevalence * log(prevalence) + (1 - prevalence) * log(1 - prevalence)))


def _people(parameters: int, r2: float, shrinkage: float) -> int:
    return (
        ceil(parameters / ((shrinkage - 1) * log(1 - r2 / shrinkage))) if r2 < shrinkage else parameters + 2
    )


def _expected_slope(n: int, parameters: int, r2: float) -> float:
    """Find the shrinkage for which n people are just enough; the people needed grow with it."""
    from scipy.optimize import brentq

    def missing(shrinkage: float) -> float:
        return parameters / ((shrinkage - 1) * log1p(-r2 / shrinkage)) - n

    low, high = r2 * (1 + 1e-9), 1 - 1e-9
    return float(brentq(missing, low, high)) if missing(low) < 0 < missing(high) else low
