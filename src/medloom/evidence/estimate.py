"""One measured number with its 95 % interval, or the reason why there is none."""

from dataclasses import dataclass

from medloom.foundation.messages import LANGUAGES, Text2, speaking, tr


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
        """Write the number and its interval in the current language; a dash where there is no number.

        >>> Estimate(0.5, 0.25, 0.75).said(2)
        '0.50 (0.25–0.75)'
        """
        if self.value is None:
            return "–"
        if self.low is None or self.high is None:
            return _fixed(self.value, digits)
        # An en dash between negative bounds would read as a minus sign.
        between = tr(" to ") if self.low < 0 else "–"
        return (
            f"{_fixed(self.value, digits)} ({_fixed(self.low, digits)}{between}{_fixed(self.high, digits)})"
        )

    def said2(self, digits: int = 3) -> Text2:
        """Write it as `said` does, in both languages.

        >>> Estimate(0.1, -0.2, 0.4).said2(1)
        Text2(en='0.1 (−0.2 to 0.4)', zh='0.1 (−0.2 至 0.4)')
        """
        both = []
        for spoken in LANGUAGES:
            with speaking(spoken):
                both.append(self.said(digits))
        return Text2(*both)

    @property
    def outside(self) -> bool:
        """Whether the value lies outside of its own interval, as a measure of distance may: resamples repeat people."""
        if self.value is None or self.low is None or self.high is None:
            return False
        return not self.low <= self.value <= self.high

    def __str__(self) -> str:
        return self.said()


def _fixed(value: float, digits: int) -> str:
    # + 0.0 turns -0.0 into 0.0 after rounding.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
