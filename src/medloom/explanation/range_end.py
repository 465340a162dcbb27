"""Why the range of a risk ends at the risk itself."""

from medloom.foundation.messages import Text2, text2


def why_it_ends_there(value: float, low: float | None, high: float | None) -> Text2 | None:
    """Say why the range of a risk ends at the risk itself; None: it does not, or no risk lies beyond.

    >>> why_it_ends_there(0.2, 0.1, 0.3)
    >>> why_it_ends_there(0.0, 0.0, 0.3)
    """
    if low is None or high is None or low == high or value not in {low, high} - {0.0, 1.0}:
        return None
    return text2(
        "A range that ends at the answer: what was seen in patients with such answers lies on one side of it, and the"
        " range is widened to hold the answer."
    )
