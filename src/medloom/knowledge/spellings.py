"""How hospitals spell units, and the UCUM code each spelling means.

Three tables, tried in this order by `units.canonical`: whole strings, parts of a
compound in exact case, parts in any case. A spelling with two plausible readings
(G/L: giga or gram a litre) is in `AMBIGUOUS` and has no code: a wrong factor of a
thousand is worse than a unit that stays as it was.
"""

from __future__ import annotations

from functools import cache

from medloom.knowledge import ucum

AMBIGUOUS = frozenset(("G/L", "M", "D", "P", "MU", "度", "gr", "GR"))

WHOLE: dict[str, str] = {  # in exact case
    "T/L": "10*12/L",
    "Tpt/L": "10*12/L",
    "Gpt/L": "10*9/L",
    "MU/L": "mU/L",
    "MU/ML": "mU/mL",
    "分": "{score}",
    "评分": "{score}",
    "比值": "1",
    "-log(H+)": "[pH]",
    "万": "10*4",
}

WHOLE_FOLDED: dict[str, str] = {  # in any case
    "bpm": "/min",
    "brpm": "/min",
    "rpm": "/min",
    "ratio": "1",
    "fraction": "1",
    "inr": "{INR}",
    "score": "{score}",
    "(score)": "{score}",
    "points": "{score}",
    "count": "{count}",
    "index": "{index}",
    "s/co": "{s_co}",
    "coi": "{coi}",
    "unitsofph": "[pH]",
    "phunits": "[pH]",
    "ph": "[pH]",
    "dose": "{dose}",
    "doses": "{dose}",
    "tab": "{tbl}",
    "tabs": "{tbl}",
    "tablet": "{tbl}",
    "tablets": "{tbl}",
    "片": "{tbl}",
    "cap": "{capsule}",
    "caps": "{capsule}",
    "capsule": "{capsule}",
    "capsules": "{capsule}",
    "粒": "{capsule}",
    "支": "{ampule}",
    "puff": "{puff}",
    "puffs": "{puff}",
    "giga/l": "10*9/L",
    "tera/l": "10*12/L",
}

PARTS: dict[str, str] = {  # in exact case
    "C": "Cel",
    "F": "[degF]",
    "Gm": "g",
    "M": "",  # never guessed inside a compound either
    "mM": "mmol/L",
    "uM": "umol/L",
    "nM": "nmol/L",
    "pM": "pmol/L",
    "PA": "",  # pascal or picoampere
    '"': "[in_i]",
}

_SPELLED: dict[str, str] = {  # UCUM part: spellings, in any case
    "g": "gm gms gram grams 克",
    "mg": "mgs mgm milligram milligrams 毫克",
    "ug": "mcg mcgs ugm microgram micrograms 微克",
    "ng": "nanogram nanograms 纳克",
    "pg": "picogram picograms 皮克",
    "kg": "kgs kilo kilos kilogram kilograms kgh2o 千克 公斤",
    "L": "liter liters litre litres ltr 升",
    "dL": "deciliter deciliters decilitre decilitres 分升",
    "mL": "cc ccs mls milliliter milliliters millilitre millilitres 毫升",
    "uL": "mcl microliter microliters microlitre microlitres 微升 mm3 cumm cmm",
    "fL": "femtoliter femtoliters 飞升",
    "m": "meter meters metre metres 米",
    "cm": "cms centimeter centimeters centimetre centimetres 厘米 公分",
    "mm": "mms millimeter millimeters millimetre millimetres 毫米",
    "m2": "sqm 平方米",
    "[in_i]": "in inch inches 英寸",
    "[ft_i]": "ft foot feet 英尺",
    "[lb_av]": "lb lbs pound pounds 磅",
    "[oz_av]": "oz ounce ounces 盎司",
    "[foz_us]": "floz",
    "[tsp_us]": "tsp teaspoon teaspoons",
    "[tbs_us]": "tbsp tablespoon tablespoons",
    "[drp]": "gtt gtts drop drops 滴",
    "mol": "mole moles 摩尔",
    "mmol": "millimole millimoles mmole mmoles mmols 毫摩尔",
    "umol": "mcmol micromole micromoles umole umoles umols 微摩尔",
    "nmol": "nanomole nanomoles 纳摩尔",
    "pmol": "picomole picomoles 皮摩尔",
    "meq": "meqs mval milliequivalent milliequivalents 毫当量",
    "mosm": "mosmol mosmole mosmoles mosmols 毫渗量",
    "s": "sec secs second seconds 秒 秒钟",
    "ms": "msec msecs millisecond milliseconds 毫秒",
    "min": "mins minute minutes 分 分钟",
    "h": "hr hrs hour hours 时 小时",
    "d": "day days 24h 24hr 24hrs 24hour 24hours 天 日 24小时",
    "wk": "week weeks 周",
    "mo": "mos month months 月",
    "a": "y yr yrs year years 岁 年",
    "Cel": "°c degc degreec degreesc celsius degcelsius degreescelsius 摄氏度",
    "[degF]": "°f degf degreef degreesf fahrenheit degfahrenheit degreesfahrenheit 华氏度",
    "deg": "° degree degrees",
    "mm[Hg]": "mmhg torr 毫米汞柱",
    "cm[H2O]": "cmh2o cmh20 cmwater 厘米水柱",
    "kPa": "千帕",
    "[psi]": "psi",
    "dyn": "dyne dynes",
    "W": "watt watts",
    "Ohm": "ohms 欧姆",
    "mV": "millivolt millivolts 毫伏",
    "kcal": "千卡 大卡",
    "[diop]": "diopter diopters dioptre dioptres",
    "[MET]": "met mets",
    "U": "u unit units 单位",
    "mU": "mu milliunit milliunits",
    "uU": "mcu microunit microunits",
    "kU": "kua kua1",
    "[IU]": "iu iunit iunits internationalunit internationalunits 国际单位",
    "m[IU]": "miu 毫国际单位",
    "u[IU]": "uiu mciu 微国际单位",
    "k[IU]": "kiu",
    "[arb'U]": "au arbitraryunits",
    "[CFU]": "cfu cfus",
    "[HPF]": "hpf hp 高倍视野",
    "[LPF]": "lpf lp 低倍视野",
    "%": "percent pct 百分比",
    "[ppm]": "ppm",
    "[ppb]": "ppb",
    "g/dL": "g% gm%",
    "mg/dL": "mg%",
    "10*4.U": "万u 万单位",
    "10*4.[IU]": "万iu",
}

UNITY = frozenset(  # what is counted needs no unit, UCUM § 6
    word
    for words in ("beat beats breath breaths insp resp", "cell cells copy copies count counts", "次 个 拷贝")
    for word in words.split()
)

CELLS: dict[str, str] = {  # before a volume, in any case: K/uL
    "k": "10*3",
    "th": "10*3",
    "thou": "10*3",
    "thous": "10*3",
    "thousand": "10*3",
    "thousands": "10*3",
    "tsd": "10*3",
    "1000": "10*3",
    "千": "10*3",
    "万": "10*4",
    "m": "10*6",
    "mil": "10*6",
    "mill": "10*6",
    "mio": "10*6",
    "million": "10*6",
    "millions": "10*6",
    "百万": "10*6",
    "b": "10*9",
    "bil": "10*9",
    "billion": "10*9",
    "10亿": "10*9",
}


@cache
def parts_folded() -> dict[str, str]:
    """Map each part of a unit, case folded, to its UCUM code.

    Besides the spellings: every usual prefix on every atom, so that MG and
    KPA are read. Large prefixes are not among them: MG is no megagram.

    >>> parts_folded()["mmol"], parts_folded()["kpa"], parts_folded()["mcg"]
    ('mmol', 'kPa', 'ug')
    """
    table = {spelling: code for code, spellings in _SPELLED.items() for spelling in spellings.split()}
    for atom in sorted(ucum.METRIC.keys() | ucum.BASE | {"[IU]"}):
        table.setdefault(atom.casefold(), atom)
        for prefix in ("k", "d", "c", "m", "u", "n", "p", "f"):
            table.setdefault((prefix + atom).casefold(), prefix + atom)
    for atom in (*ucum.CUSTOMARY, *ucum.SPECIAL, *ucum.ARBITRARY, "deg"):
        table.setdefault(atom.casefold(), atom)
    for word in ("m", "d", "p"):  # in upper case ambiguous, in lower case never folded
        table.pop(word, None)
    return table
