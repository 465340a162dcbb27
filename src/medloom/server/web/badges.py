"""A risk with its range, as figures and on a scale: in lists it is drawn hundreds of times a page."""

from __future__ import annotations

from markupsafe import Markup

from medloom.explanation.numbers import percent
from medloom.explanation.range_end import why_it_ends_there
from medloom.foundation.messages import here, tr

_RARE, _RARER = 75, 90  # of 100 patients have a lower risk


def risk_badge(
    value: float,
    low: float | None = None,
    high: float | None = None,
    rank: float | None = None,
    most: float = 1.0,
) -> Markup:
    """Draw a risk.

    Args:
        value, low, high: the risk and the ends of its range, from 0 to 1.
        rank: how many of 100 patients have a lower one.
        most: where the scale ends.

    >>> "28 %" in risk_badge(0.28, 0.2, 0.4)
    True
    """
    kind = "" if rank is None or rank < _RARE else "raised" if rank < _RARER else "most"
    at = min(max(100 * value / most - 1.5, 0), 97)
    between = said = higher = ""
    if low is not None and high is not None:
        width = max(100 * (min(high, most) - low) / most, 1)
        between = f'<rect class="between" x="{100 * low / most:.1f}" y="2" width="{width:.1f}" height="6"/>'
        why = why_it_ends_there(value, low, high)
        title = "" if why is None else f' title="{here(why)}"'
        said = (
            f'<span class="range"{title}><span class="unseen">{tr("range")} </span>'
            f"{percent(low)} – {percent(high)}</span>"
        )
    if rank is not None:
        higher = f'<span class="unseen">{tr("higher than for {n} of 100 patients", n=int(rank))}</span>'
    # numbers of ours and texts of ours: nothing in it comes from a record
    return Markup(
        f'<span class="risk {kind}"><b>{percent(value)}</b>'
        '<svg class="scale" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="3" width="100" height="4"/>'
        f'{between}<rect class="at" x="{at:.1f}" y="0" width="3" height="10"/></svg>{said}{higher}</span>'
    )
