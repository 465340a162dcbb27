"""How a drug is given: dose, route, frequency and duration behind its name, in English and Chinese."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from medloom.knowledge import units
from medloom.learners.text.facts.numerals import NUMERALS

REACH: Final = 120
"""Characters behind a drug's name in which it is told how it is given."""


@dataclass(frozen=True)
class Dosing:
    """How a drug is given.

    Attributes:
        end: of the last word that tells of it.
        value: of the dose.
        unit: of the dose, UCUM.
        details: `dose`, `route` (in English), `frequency` (times a day), `duration` and `as_needed`, where told.
    """

    end: int
    value: float | None
    unit: str | None
    details: dict[str, str]


def dosing_after(low: str, end: int, limit: int | None = None) -> Dosing:
    """Read how a drug is given, from where its name ends on.

    Args:
        low: the text, folded.
        end: of the drug's name.
        limit: where something else begins; None: nothing does.

    >>> dosing_after("metformin 500 mg p.o. b.i.d. for 2 weeks.", 9)
    Dosing(end=40, value=500.0, unit='mg', details={'dose': '500 mg', 'route': 'oral', 'frequency': '2 /d',
     'duration': '2 wk'})
    >>> dosing_after("阿司匹林肠溶片 100mg 口服 每日一次", 7).details
    {'dose': '100 mg', 'route': 'oral', 'frequency': '1 /d'}
    """
    window = low[end : min(end + REACH, len(low) if limit is None else limit)]
    found: dict[str, str] = {}
    value, unit, at, last = None, None, 0, 0
    while True:
        at = _match_end(_BETWEEN, window, at)
        for name, pattern in _PATTERNS:
            match = pattern.match(window, at)
            if match is None or match.end() == at:
                continue
            told = _told(name, match)
            if told is None:
                continue
            if name == "dose" and value is None:
                number, _, spelled = told.partition(" ")
                value, unit = float(number), spelled
            found.setdefault(name, told)
            at = last = match.end()
            break
        else:
            return Dosing(end + last, value, unit, found)


def dosing_before(low: str, start: int) -> tuple[int, float, str] | None:
    """Read a dose before a drug's name (`500 mg of metformin`): where it begins, its value, its unit in UCUM."""
    match = _BEFORE.search(low, max(0, start - 30), start)
    if match is None:
        return None
    unit = _unit(match.group("unit"))
    return None if unit is None else (match.start(), _number(match.group("number")), unit)


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _told(name: str, match: re.Match[str]) -> str | None:
    """Say what was read in one spelling; None: it is none after all."""
    if name == "dose":
        unit = _unit(match.group("unit"))
        return None if unit is None else f"{_number(match.group('number')):g} {unit}"
    if name == "route":
        return _ROUTE_OF[match.group().replace(".", "").strip()]
    if name == "frequency":
        times = _per_day(match)
        return f"{times:.3g} /d"
    if name == "duration":
        unit = _unit(match.group("unit"))
        return None if unit is None else f"{_number(match.group('number')):g} {unit}"
    return "yes"


def _per_day(match: re.Match[str]) -> float:
    """Give how often a day; two numbers, such as in `q4-6h`, count as the first."""
    found = {name: told for name, told in match.groupdict().items() if told is not None}
    if "word" in found:
        return _WORDS[" ".join(found["word"].replace(".", "").replace("-", " ").split())]
    if "slash" in found:
        return 1.0
    if "times_daily" in found:
        return _number(found["times_daily"])
    if (every := found.get("every") or found.get("zh_every")) is not None:
        return 1 / (_number(every.split("-")[0]) * _days(found.get("span") or found["zh_span"]))
    times = found.get("times") or found.get("zh_times") or found["zh_count"]
    return _number(times) / _days(found.get("a") or found.get("zh_a") or found["zh_day"])


def _days(word: str) -> float:
    if word[0] == "h" or "时" in word:
        return 1 / 24
    return 7.0 if word[0] == "w" or word in ("周", "星期") else 1.0


def _number(text: str) -> float:
    if text in _TIMES:
        return _TIMES[text]
    return float(text.replace(",", ""))


def _unit(text: str) -> str | None:
    spelled = text.strip().rstrip(".")
    return _UNITS.get(spelled) or units.canonical(spelled)


_TIMES: Final = {**NUMERALS, "半": 0.5, "half": 0.5, "once": 1, "twice": 2, "thrice": 3, "other": 2}
_DIGITS: Final = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,6}(?:\.\d{1,4})?"
_ZH: Final = "半一两二三四五六七八九十"
_UNITS: Final = {
    **dict.fromkeys(("mcg", "ug", "μg", "微克"), "ug"),
    **dict.fromkeys(("片", "tab", "tabs", "tablet", "tablets", "pill", "pills"), "{tbl}"),
    **dict.fromkeys(("粒", "cap", "caps", "capsule", "capsules"), "{capsule}"),
    **dict.fromkeys(("支", "amp", "ampule", "ampoule"), "{ampule}"),
    **dict.fromkeys(("喷", "吸", "揿", "puff", "puffs", "spray", "sprays"), "{puff}"),
    **dict.fromkeys(("滴", "drop", "drops", "gtt"), "[drp]"),
    **dict.fromkeys(("袋", "包", "sachet", "packet"), "{packet}"),
    **dict.fromkeys(("丸",), "{pill}"),
    **dict.fromkeys(("patch", "patches", "贴"), "{patch}"),
    **dict.fromkeys(("unit", "units", "u", "单位"), "U"),
    **dict.fromkeys(("iu", "国际单位"), "[IU]"),
    **dict.fromkeys(("万u", "万单位"), "10*4.U"),
    **dict.fromkeys(("天", "日", "day", "days", "d"), "d"),
    **dict.fromkeys(("周", "星期", "week", "weeks", "wk", "wks", "w"), "wk"),
    **dict.fromkeys(("月", "个月", "month", "months", "mo"), "mo"),
    **dict.fromkeys(("年", "year", "years"), "a"),
    **dict.fromkeys(("小时", "hour", "hours", "hr", "hrs", "h"), "h"),
}
_DOSE_UNITS: Final = (
    r"mg/kg|mcg/kg|mg/m2|mg|mcg|ug|μg|g|kg|ml|l|meq|mmol|units?|iu|u|%|tab(?:let)?s?|cap(?:sule)?s?|pills?|"
    r"puffs?|sprays?|"
    r"drops?|gtt|amp(?:oule|ule)?s?|patch(?:es)?|sachet|packet|毫克|微克|克|毫升|国际单位|万单位|万u|单位|"
    r"片|粒|支|袋|包|丸|滴|"
    r"喷|吸|揿|贴"
)
_DOSE: Final = re.compile(
    rf"(?:每次|一次|各|单次|首剂)?\s*(?P<number>{_DIGITS}|(?:half|one|two|three|a|[{_ZH}])(?=\s*\D))"
    rf"(?:\s?-\s?(?:{_DIGITS}))?\s*-?(?P<unit>{_DOSE_UNITS})(?![a-z])\.?(?:\s*/\s*(?:次|dose))?"
)
_BEFORE: Final = re.compile(
    rf"(?<![\d.])(?P<number>{_DIGITS})\s*(?P<unit>{_DOSE_UNITS})(?![a-z])\s*(?:of\s+)?(?:iv\s+|po\s+|oral\s+)?$"
)

_ROUTES: Final = {
    "oral": "po|p.o.|per os|orally|oral|by mouth|口服|内服|餐前口服|餐后口服|嚼服",
    "intravenous": "iv|i.v.|ivp|ivpb|intravenous|intravenously|iv drip|ivgtt|"
    "静脉滴注|静滴|静脉注射|静注|静推|静脉泵入|静脉输注|静脉",
    "intramuscular": "im|i.m.|intramuscular|intramuscularly|肌肉注射|肌内注射|肌注",
    "subcutaneous": "sc|s.c.|sq|subq|sub-q|subcut|subcutaneous|subcutaneously|皮下注射|皮下",
    "inhaled": "inh|inhaled|inhalation|via inhaler|by inhalation|nebulized|neb|雾化吸入|雾化|吸入",
    "sublingual": "sl|s.l.|sublingual|sublingually|舌下含服|舌下|含服",
    "rectal": "pr|p.r.|rectally|rectal|直肠给药|纳肛|灌肠",
    "topical": "topical|topically|top|外用|外涂|涂抹",
    "nasal": "intranasal|intranasally|nasal|鼻喷|喷鼻",
    "ophthalmic": "ophthalmic|in both eyes|in each eye|滴眼",
    "transdermal": "transdermal|transdermally|透皮",
    "tube": "per tube|via g-tube|per g-tube|via ng tube|per ng tube|鼻饲|胃管注入",
}
_ROUTE_OF: Final = {
    word.replace(".", ""): route for route, words in _ROUTES.items() for word in words.split("|")
}
_ROUTE: Final = re.compile(
    "|".join(
        re.escape(word) + (r"(?![a-z])" if word.isascii() else "")
        for word in sorted(
            (one for words in _ROUTES.values() for one in words.split("|")), key=len, reverse=True
        )
    )
)

_WORDS: Final = {
    **dict.fromkeys(
        ("qd", "daily", "qday", "qam", "qpm", "qhs", "hs", "nightly", "qn", "every day", "each day"), 1.0
    ),
    **dict.fromkeys(
        ("every morning", "every evening", "every night", "in the morning", "in the evening"), 1.0
    ),
    **dict.fromkeys(
        (
            "at bedtime",
            "at night",
            "qdaily",
            "bedtime",
            "night",
            "睡前",
            "每晚",
            "每早",
            "晨起",
            "每天",
            "每日",
        ),
        1.0,
    ),
    **dict.fromkeys(("bid", "twice daily", "twice a day", "日二次", "早晚各一次"), 2.0),
    **dict.fromkeys(("tid", "three times daily", "three times a day", "thrice daily", "日三次"), 3.0),
    **dict.fromkeys(("qid", "four times daily", "four times a day"), 4.0),
    **dict.fromkeys(("qod", "every other day", "隔日一次", "隔日1次", "隔日", "隔天一次"), 0.5),
    **dict.fromkeys(("weekly", "qw", "qweek", "once weekly", "once a week", "every week"), 1 / 7),
    **dict.fromkeys(("biw", "twice weekly", "twice a week"), 2 / 7),
    **dict.fromkeys(("tiw", "three times weekly", "three times a week"), 3 / 7),
    **dict.fromkeys(("monthly", "once monthly", "once a month"), 1 / 30.4375),
    **dict.fromkeys(("once daily", "once a day", "once per day"), 1.0),
}
_DOTTED: Final = (
    r"q\.d\.?|b\.i\.d\.?|t\.i\.d\.?|q\.i\.d\.?|q\.o\.d\.?|q\.h\.s\.?|h\.s\.|q\.a\.m\.?|q\.p\.m\.?"
)
_FREQUENCY: Final = re.compile(
    rf"(?P<word>{_DOTTED}|"
    + "|".join(
        re.escape(word).replace(r"\ ", r"[\s-]") + (r"(?![a-z])" if word.isascii() else "")
        for word in sorted(_WORDS, key=len, reverse=True)
        if word not in ("每天", "每日")
    )
    + r"|(?:每天|每日)(?!\s*[\d一两二三四五六]))(?:一次|1次)?"
    rf"|(?:q\.?\s?|every\s+)(?P<every>\d{{1,2}}(?:-\d{{1,2}})?|two|three|four|six|eight)\s*-?"
    r"(?P<span>h\.?(?:ours?|rs?)?|d(?:ays?)?|w(?:eeks?|k)?)(?![a-z])\.?"
    r"|(?P<times>\d|once|twice|two|three|four|five|six)\s*(?:times?|x)?\s*(?:/|a\s|per\s|each\s)\s*"
    r"(?P<a>day|week|d|wk)(?![a-z])"
    r"|/\s*(?P<slash>day|d|日|天)(?![a-z])"
    r"|(?P<times_daily>\d)\s*(?:times|x)\s*daily"
    rf"|(?P<zh_times>[\d{_ZH}]{{1,2}})\s*次\s*/\s*(?P<zh_a>日|天|周|d|w)"
    rf"|(?:每|一|1)\s*(?P<zh_day>日|天|周|星期)\s*(?P<zh_count>[\d{_ZH}]{{1,2}})\s*次"
    rf"|每隔?\s*(?P<zh_every>[\d{_ZH}]{{1,2}})\s*个?(?P<zh_span>小时|h|天|日|周)\s*(?:一次|1次)?"
)
_DURATION: Final = re.compile(
    rf"(?:for(?: the next| a total of)?|x|×|during|连用|连服|连续服用|连续|共用|共|疗程为?|服用|使用|用)\s*"
    rf"(?P<number>{_DIGITS}|one|two|three|four|five|six|seven|eight|ten|a|[{_ZH}])\s*-?"
    r"(?P<unit>days?|d|weeks?|wks?|months?|mo|years?|hours?|hrs?|天|日|周|星期|个月|月|年|小时)(?![a-z])"
)
_AS_NEEDED: Final = re.compile(r"p\.?r\.?n(?![a-z])\.?|as needed|if needed|必要时|需要时|按需")
_BETWEEN: Final = re.compile(
    r"(?:[ \t,、:()（）@;-]|,|/(?=\s)|\b(?:take|takes|taking|dose|dosed|at|and|then|given|tablets?|tabs?|"
    r"inhaler|was|is|of|"
    r"capsules?|solution|suspension|injection|hydrochloride|xr|er|sr|ec)(?![a-z])|给予|予|剂量|"
    r"服用(?![\d一二两三])|治疗|注射液|"
    r"注射用|缓释片|肠溶片|胶囊|片(?=\s*[\d,])|针(?=\s*\d)|后)*"
)
_PATTERNS: Final = (
    ("frequency", _FREQUENCY),
    ("duration", _DURATION),
    ("dose", _DOSE),
    ("route", _ROUTE),
    ("as_needed", _AS_NEEDED),
)
