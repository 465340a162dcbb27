"""Keys of names: how names are written that mean the same, the plainer the later.

Case, width, accents, Greek letters, hyphens, British spelling and plurals tell no names apart; neither, in the end, do
the order of words, words such as `of` and endings such as `-ive` and `-ion`. Chinese names are read by characters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

LEVELS: Final = 3


@lru_cache(maxsize=1 << 16)
def keys(name: str) -> tuple[str, str, str]:
    """Give the keys of a name: as it is read, by its words in any order, by the stems of its words.

    >>> keys("Tumours of the β-cells")
    ('tumor of the beta cell', 'beta cell tumor', 'beta cell tum')
    >>> keys("ⅡＩ型糖尿病")[0]
    '2 i 型 糖 尿 病'
    """
    said = words(name)
    told = [one for one in said if one not in _SILENT] or said
    return " ".join(said), " ".join(sorted(told)), " ".join(sorted({_stem(one) for one in told}))


def words(name: str) -> list[str]:
    """Give the words of a name, one spelling each; a Chinese character is a word.

    >>> words("Oedema, Ischaemic; HIV-1 infections")
    ['edema', 'ischemic', 'hiv', '1', 'infection']
    """
    plain = unicodedata.normalize("NFKD", name.translate(_ROMAN)).casefold()
    plain = "".join(_GREEK.get(one, one) for one in plain if not unicodedata.combining(one))
    return [_spelled(one) for one in _WORD.findall(_POSSESSIVE.sub("", plain))]


def grams(name: str) -> list[str]:
    """Give the pieces of a name that likeness is measured by: three letters; Chinese characters, alone and in pairs.

    >>> grams("renal")
    [' re', 'ren', 'ena', 'nal', 'al ']
    >>> grams("肺炎")
    ['肺', '炎', '肺炎']
    """
    found: list[str] = []
    before = ""
    for word in words(name):
        if _HAN.fullmatch(word):
            found += [word, before + word] if before else [word]
            before = word
            continue
        before = ""
        padded = f" {word} "
        found += [padded[at : at + 3] for at in range(max(len(padded) - 2, 1))]
    return sorted(found, key=len) if _HAN.search(name) else found


def is_short_form(name: str) -> bool:
    """Tell whether a name is written as abbreviations are: short, and mostly in capitals.

    >>> [is_short_form(one) for one in ("HT", "DOX", "NaCl", "Lead", "5-HT", "renal failure")]
    [True, True, True, False, True, False]
    """
    letters = [one for one in name if one.isascii() and one.isalpha()]
    capitals = sum(one.isupper() for one in letters)
    return 0 < len(name) <= 10 and " " not in name and len(letters) > 0 and 2 * capitals >= len(letters)


@lru_cache(maxsize=1 << 16)
def _spelled(word: str) -> str:
    """Spell a word as Americans do, in the singular."""
    if len(word) < 4 or not word.isalpha() or not word.isascii():
        return word
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    word = _OUR.sub("or", word)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    found = _ENDING.sub("", word)
    return found if len(found) >= 3 else word


_ROMAN: Final = str.maketrans({"Ⅰ": " 1 ", "Ⅱ": " 2 ", "Ⅲ": " 3 ", "Ⅳ": " 4 ", "Ⅴ": " 5 "})
_GREEK: Final = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "ζ": "zeta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "π": "pi",
    "σ": "sigma",
    "τ": "tau",
    "ω": "omega",
}
_WORD: Final = re.compile(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]+|\d+(?:\.\d+)*")
_HAN: Final = re.compile(r"[\u3400-\u9fff]")
_POSSESSIVE: Final = re.compile(r"['’]s\b")
_SPELLINGS: Final = (("ae", "e"), ("oe", "e"), ("sulph", "sulf"), ("yse", "yze"), ("isation", "ization"))
_OUR: Final = re.compile(r"(?<=[mvbl])our(?=s?$)")
_SILENT: Final = frozenset("of the and in a an to with by due nos other".split())
_ENDING: Final = re.compile(
    r"(?:izations?|ations?|ative|itions?|ions?|ives?|icals?|ically|ics?|als?|ous|or|ial|ia|ias|ism|is|ity|ness|ed|ing"
    r"|es|e|y|um|ary)$"
)
