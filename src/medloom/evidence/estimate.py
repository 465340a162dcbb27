"""One measured number with its 95 % interval, or the reason why there is none."""

from dataclasses import dataclass

from medloom.foundation.messages import Text2


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; `value` None means not estimable, and `reason` says why.

    >>> print(Estimate(0.65, 0.59, 0.71))
    0.650 (0.590–0.710)
    >>> Estimate(None).to_json()
    {'value': None, 'low': None, 'high': None}
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: Text2 | None = None

    def to_json(self) -> dict[str, float | None]:
        """Answer {"value", "low", "high"}; the reason is reported beside, under "reasons"."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def said(self, digits: int = 3) -> str:
        """Write the number and its interval with `digits` decimals; a dash where there is no number.

        >>> Estimate(0.5, 0.25, 0.75).said(2)
        '0.50 (0.25–0.75)'
        """
        if self.value is None:
            return "–"
        if self.low is None or self.high is None:
            return _fixed(self.value, digits)
        # An en dash between negative bounds would read as a minus sign.
        between = " to " if self.low < 0 else "–"
        return (
            f"{_fixed(self.value, digits)} ({_fixed(self.low, digits)}{between}{_fixed(self.high, digits)})"
        )

    def __str__(self) -> str:
        return self.said()


def _fixed(value: float, digits: int) -> str:
    # + 0.0 turns -0.0 into 0.0 after rounding.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
