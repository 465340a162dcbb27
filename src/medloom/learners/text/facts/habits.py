"""Smoking and drinking, by rules: whether, and how many pack-years, in English and Chinese.

LOINC 72166-2 is whether somebody smokes, 8664-5 pack-years, 11331-6 whether somebody drinks.
"""

from __future__ import annotations

import re
from typing import Final

from medloom.learners.text.facts.mentions import Mention

SMOKING: Final = "LOINC//72166-2"
PACK_YEARS: Final = "LOINC//8664-5"
ALCOHOL: Final = "LOINC//11331-6"


def habits(low: str) -> list[Mention]:
    """Find what a folded text says of smoking and drinking; `status` is `current`, `former` or `never`.

    >>> said = "former smoker (20 pack-years), denies alcohol."
    >>> [(one.code, one.details or one.value) for one in habits(said)]
    [('LOINC//72166-2', {'status': 'former'}), ('LOINC//8664-5', 20.0), ('LOINC//11331-6', {'status': 'never'})]
    """
    found = [*_statuses(low, SMOKING, _SMOKING), *_pack_years(low), *_statuses(low, ALCOHOL, _DRINKING)]
    return sorted(found, key=lambda one: one.start)


def _statuses(low: str, code: str, pattern: re.Pattern[str]) -> list[Mention]:
    found: list[Mention] = []
    for match in pattern.finditer(low):
        status = match.lastgroup
        if status in ("current", "former", "never"):
            if status == "former" and found and match.start() - found[-1].end < _NEAR:
                found.pop()  # `smoked for 20 years, quit in 2019` is one thing
            found.append(Mention("social", (match.span(),), code, _SURE, details={"status": status}))
    return found


def _pack_years(low: str) -> list[Mention]:
    found = []
    for match in _PACK_YEARS.finditer(low):
        told = {name: float(value) for name, value in match.groupdict().items() if value is not None}
        value = told.get("whole")
        if value is None:
            packs = told.get("packs", 0.0) or told.get("zh_packs", 0.0) or told.get("zh_sticks", 0.0) / 20
            value = packs * (told.get("years") or told.get("zh_years") or 0.0)
        if 0 < value <= _MOST:
            found.append(Mention("social", (match.span(),), PACK_YEARS, _SURE, value, "{PackYears}"))
    return found


_SURE: Final = 0.85
_NEAR: Final = 60
_MOST: Final = 300.0
"""Pack-years that a life may hold."""

_SMOKING: Final = re.compile(
    r"(?P<never>\b(?:never (?:a )?smoke[dr]?|never[- ]smoker|has never smoked|lifelong non-?smoker|non-?smoker|"
    r"(?:denies|no|denied)(?: any)?(?: history of)? (?:smoking|tobacco|cigarettes?)(?: use| history)?|"
    r"(?:does not|doesn't) smoke|no tobacco)\b|(?:从不|从未|不|无|否认)(?:有)?(?:吸烟|抽烟)(?:史|嗜好)?|"
    r"无烟酒嗜好|否认烟酒(?:嗜好|史)?)|"
    r"(?P<former>\b(?:former|ex|previous|past)[- ]?smoker\b|\b(?:quit|stopped) (?:smoking|tobacco)\b|"
    r"\bused to smoke\b|"
    r"\bsmoked\b|(?:已)?戒烟)|"
    r"(?P<current>\b(?:current(?:ly)?|active|heavy|daily)(?: every ?day)? smok(?:er|es|ing)\b|\bsmokes\b|"
    r"\bcontinues to smoke\b|"
    r"\bsmoker\b|吸烟(?!(?:史)?(?:[:： ]*(?:无|否认)))(?:史)?|抽烟)"
)
_DRINKING: Final = re.compile(
    r"(?P<never>\b(?:never drinks?|non-?drinker|teetotal(?:er|ler)?|"
    r"(?:denies|no|denied)(?: any)?(?: history of)? (?:alcohol|etoh|drinking)(?: use| abuse| consumption)?|"
    r"(?:does not|doesn't) drink(?: alcohol)?)\b|(?:从不|从未|不|无|否认)(?:有)?(?:饮酒|喝酒)(?:史|嗜好)?)|"
    r"(?P<former>\b(?:former|ex|previous|past)[- ]?drinker\b|\b(?:quit|stopped) drinking\b|(?:已)?戒酒)|"
    r"(?P<current>\b(?:social(?:ly)?|occasional(?:ly)?|current|heavy|moderate) (?:alcohol(?: use)?|"
    r"drink(?:er|s|ing))\b|"
    r"\bdrinks (?:alcohol|socially|occasionally|\d)|\balcohol use\b(?! disorder)|\betoh use\b|"
    r"饮酒(?!(?:史)?(?:[:： ]*(?:无|否认)))(?:史)?|喝酒)"
)
_N: Final = r"\d{1,3}(?:\.\d)?"
_PACK_YEARS: Final = re.compile(
    rf"(?P<whole>{_N})\s*-?\s*(?:pack[\s-]*years?|pk[\s-]*yrs?|py\b|包年|年包)|"
    rf"(?P<packs>{_N})\s*(?:ppd|packs? (?:per|a|/) ?day|packs?/day)\s*(?:for|x|×|"
    rf"over)\s*(?P<years>{_N})\s*(?:years?|yrs?)|"
    rf"(?:吸烟|抽烟)史?\s*(?P<zh_years>{_N})\s*余?年\s*[,、;]?\s*(?:约|平均)?(?:每日|每天|日均)?\s*"
    rf"(?:(?P<zh_sticks>{_N})\s*支|(?P<zh_packs>{_N})\s*包)(?:/日|/天|/d)?"
)
