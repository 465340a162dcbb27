"""What happens when everyone at or above a risk is flagged."""

import numpy as np

from medloom.evidence.tally import Floats, Tally, ratio

AT_THRESHOLD = (
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "f1",
    "min_se_ppv",
    "flagged_per_100",
    "number_needed_to_evaluate",
)
"""Names of what `at_threshold` answers."""


def at_threshold(counted: Tally, threshold: float) -> dict[str, Floats]:
    """Flag predictions ≥ `threshold` and count who was found, missed and flagged in vain.

    `min_se_ppv` is the smaller of sensitivity and PPV, the first score of the PhysioNet
    Challenge 2012; `number_needed_to_evaluate` how many of the flagged are looked at for one
    found. NaN where a share has no denominator (nobody flagged has no PPV).

    >>> from medloom.evidence.tally import tally
    >>> found = at_threshold(tally([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 0.35)
    >>> {name: round(float(found[name]), 3) for name in ("sensitivity", "specificity", "ppv", "npv")}
    {'sensitivity': 1.0, 'specificity': 0.5, 'ppv': 0.667, 'npv': 1.0}
    """
    first = int(np.searchsorted(counted.score, threshold, side="left"))
    false_negative, true_negative = (
        up_to[..., first - 1] if first else np.zeros(up_to.shape[:-1])
        for up_to in (counted.positive_up_to, counted.negative_up_to)
    )
    true_positive = counted.positive_up_to[..., -1] - false_negative
    false_positive = counted.negative_up_to[..., -1] - true_negative
    sensitivity = ratio(true_positive, true_positive + false_negative)
    ppv = ratio(true_positive, true_positive + false_positive)
    everyone = true_positive + false_positive + false_negative + true_negative
    return {
        "sensitivity": sensitivity,
        "specificity": ratio(true_negative, true_negative + false_positive),
        "ppv": ppv,
        "npv": ratio(true_negative, true_negative + false_negative),
        "f1": ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative),
        "min_se_ppv": np.minimum(sensitivity, ppv),
        "flagged_per_100": 100 * ratio(true_positive + false_positive, everyone),
        "number_needed_to_evaluate": ratio(true_positive + false_positive, true_positive),
    }


def balanced_threshold(counted: Tally) -> float:
    """Choose the threshold at which the smaller of sensitivity and PPV is largest.

    Choose it on training or tuning data and hand it to `evaluate`; chosen on the
    evaluated data it would flatter the model. `counted` has no leading axes.

    >>> from medloom.evidence.tally import tally
    >>> balanced_threshold(tally([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))
    0.35
    """
    true = np.cumsum(counted.positive[::-1])[::-1]
    flagged = np.cumsum(counted.total[::-1])[::-1]
    smaller = np.minimum(ratio(true, np.broadcast_to(true[:1], true.shape)), ratio(true, flagged))
    return float(counted.score[int(np.nanargmax(smaller))])
