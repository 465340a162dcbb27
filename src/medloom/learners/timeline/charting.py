"""What the chart of a row says of each code; the same for networks and for graphs."""

from __future__ import annotations

from typing import Final

MOST_CHARTED: Final = 256  # codes, the most frequent
COLUMNS: Final = 8
"""Of a code: log(1 + how often), mean, lowest, highest, first and last value, spread, and how recent the last is."""

RECENT: Final = 6.0
"""Hours after which the last fact counts half as recent."""

LEAST_SPREAD: Final = 1e-2
"""Added to a spread before its root is taken, whose slope would else have no end."""
