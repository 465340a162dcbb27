"""How a page says numbers: risks, ratios, moments."""

from datetime import datetime
from math import exp, log


def moment(time: datetime) -> str:
    """Write a moment; the very start or end of a day stands for the day.

    >>> moment(datetime(2013, 3, 21, 23, 59, 59, 999999)), moment(datetime(2013, 3, 21, 8, 30))
    ('2013-03-21', '2013-03-21 08:30')
    """
    whole_day = time.time().isoformat(timespec="seconds") in ("00:00:00", "23:59:59")
    return time.strftime("%Y-%m-%d" if whole_day else "%Y-%m-%d %H:%M")


def percent(share: float) -> str:
    """Write a share in percent, never as certain.

    >>> [percent(share) for share in (0.184, 0.043, 0.0002, 0.0, 0.9999)]
    ['18 %', '4.3 %', '< 0.1 %', '0 %', '> 99 %']
    """
    percent = 100 * share
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.5 <= percent < 100:
        return "> 99 %"
    return f"{percent:.0f} %" if percent >= 9.95 or percent == round(percent) else f"{percent:.1f} %"


def times(factor: float) -> str:
    """Write by how many times one risk is another."""
    return f"{factor:.0f}" if factor >= 9.95 else f"{factor:.1f}" if factor >= 0.95 else f"{factor:.2g}"


def ratio(odds: float) -> str:
    """Write an odds ratio."""
    return f"{odds:.0f}" if odds >= 9.95 else f"{odds:.1f}" if odds >= 0.095 else f"{odds:.1g}"


def logit(share: float) -> float:
    """Give the log-odds of a share, kept away from 0 and 1."""
    inside = min(max(share, 1e-9), 1 - 1e-9)
    return log(inside / (1 - inside))


def share(odds: float) -> float:
    """Give the share whose log-odds these are."""
    return 1 / (1 + exp(-min(max(odds, -700.0), 700.0)))
