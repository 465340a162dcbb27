"""How unlike the patients a model learned from somebody is, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Final

from medloom.explanation.wording import fill, joined
from medloom.foundation.messages import Text2, text2

FAR: Final = 99.0
"""Percentile of training patients from which on a reader is warned."""

_UNUSUAL: Final = 95.0


@dataclass(frozen=True)
class Unlike:
    """What is said of it.

    Attributes:
        said: for whoever looks it up.
        caution: for everybody; None: there is nothing to warn of.
    """

    said: Text2
    caution: Text2 | None = None


def unlike_in_words(percentile: float, because: Sequence[Text2]) -> Unlike:
    """Say where somebody lies among the patients a model learned from.

    Args:
        percentile: how many of 100 of them lie closer to their middle.
        because: what makes it so, the strongest first.

    >>> unlike_in_words(40, []).said.en, unlike_in_words(40, []).caution
    ('40 of 100 patients it learned from are more usual', None)
    >>> unlike_in_words(99.94, [Text2("creatinine 900", "肌酐 900")]).caution.en  # doctest: +ELLIPSIS
    'Further from the patients the model learned from than 99.9 % of them. Its answer may not hold. Most unusual: ...'
    """
    # rounded down: nobody is further out than all
    share = f"{floor(percentile * 10) / 10:.1f}" if percentile >= FAR else f"{floor(percentile)}"
    named = (
        fill(text2(" Most unusual: {inputs}."), inputs=joined(list(because))) if because else Text2("", "")
    )
    if percentile < _UNUSUAL:
        return Unlike(text2("{share} of 100 patients it learned from are more usual", share=share))
    said = text2("Further from the patients the model learned from than {share} % of them", share=share)
    if percentile < FAR:
        return Unlike(fill(text2("{said}.{more}"), said=said, more=named))
    warned = fill(text2("{said}. Its answer may not hold."), said=said)
    return Unlike(said, Text2(warned.en + named.en, warned.zh + named.zh))
