"""Units: a hospital's spelling to UCUM, and one UCUM unit to another.

Source: the Unified Code for Units of Measure 2.1, https://ucum.org/ucum.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.spelling import nearest
from medloom.knowledge import spellings, ucum
from medloom.knowledge.loinc import Observable, observable, observables


@lru_cache(maxsize=65_536)
def canonical(unit: str) -> str | None:
    """Normalise a spelling to its UCUM code; None if it is unknown or ambiguous.

    Annotations are dropped, as they change no value (UCUM § 6), unless they are all there is.

    >>> [canonical(u) for u in ("mmHg", "MG/DL", "K/uL", "x10^9/L", "µmol/L", "℃", "次/分")]
    ['mm[Hg]', 'mg/dL', '10*3/uL', '10*9/L', 'umol/L', 'Cel', '/min']
    >>> canonical("109/L")  # a superscript was lost
    '10*9/L'
    >>> canonical("G/L") is None  # giga or gram?
    True
    """
    if len(unit) > ucum.LONGEST:
        return None
    text = _tidied(unit)
    if not text or text in spellings.AMBIGUOUS:
        return None
    folded = text.casefold()
    whole = spellings.WHOLE.get(text) or spellings.WHOLE_FOLDED.get(folded) or _cell_count(folded)
    if whole is not None:
        return whole
    if _is_note(text):
        return text
    spelled = _compound(text)
    return spelled if spelled is not None and ucum.parse(spelled) is not None else None


@lru_cache(maxsize=65_536)
def factor(source: str, target: str, code: str | None = None) -> tuple[float, float] | None:
    """Give (scale, offset) with target = value · scale + offset, or None if there is none.

    With the LOINC `code` of an analyte also mass ↔ amount of substance (by its molar
    mass), equivalents ↔ moles (by its valence), U ↔ [IU], and for HbA1c NGSP ↔ IFCC
    (Hoelzel et al., Clin Chem 2004;50:166-74: NGSP = 0.09148 · IFCC + 2.152).

    >>> factor("10*3/uL", "10*9/L")
    (1.0, 0.0)
    >>> factor("mg/dL", "mmol/L") is None
    True
    >>> round(factor("mg/dL", "umol/L", "LOINC//2160-0")[0], 1)
    88.4
    """
    source_code, target_code = canonical(source), canonical(target)
    if source_code is None or target_code is None:
        return None
    if source_code == target_code:
        return 1.0, 0.0
    if code is not None and code.removeprefix("LOINC//") in GLYCATED:
        special = _GLYCATED_UNITS.get((source_code, target_code))
        if special is not None:
            return special
    have, want = ucum.parse(source_code), ucum.parse(target_code)
    if have is None or want is None or not _labels_agree(have, want, source_code, target_code):
        return None
    row = observable(code) if code is not None else None
    bridge = _bridge(ucum.combined(have.dimension, want.dimension, -1), row)
    if bridge is None:
        return None
    try:
        return float(have.scale * bridge / want.scale), float((have.offset - want.offset) / want.scale)
    except OverflowError:  # 10*30.10*30.… and other units that nobody measures in
        return None


def convert(
    values: NDArray[np.float64], source: str, target: str, code: str | None = None
) -> NDArray[np.float64] | None:
    """Convert values of any shape from one unit to another; None if there is no conversion.

    >>> convert(np.array([98.6, np.nan]), "[degF]", "Cel").round(6)
    array([37., nan])
    >>> convert(np.array([90.0]), "mg/dL", "mmol/L", "LOINC//2345-7").round(3)
    array([4.996])
    >>> convert(np.array([1.0]), "mg/dL", "mm[Hg]") is None
    True
    """
    found = factor(source, target, code)
    if found is None:
        return None
    scale, offset = found
    return np.asarray(values, dtype=np.float64) * scale + offset


def preferred(code: str) -> str | None:
    """Give the UCUM unit in which values of a code are kept; None if none is agreed.

    >>> preferred("LOINC//8480-6"), preferred("LOINC//14749-6")
    ('mm[Hg]', 'mmol/L')
    """
    row = observable(code)
    return row.unit if row is not None else None


def similar(unit: str, most: int = 3) -> list[str]:
    """List UCUM units that somebody who wrote an unknown one may have meant, the nearest in spelling first.

    >>> similar("mg/dll")[0], similar("bananas")
    ('mg/dL', [])
    """
    known = {row.unit for row in observables().values() if row.unit} | {*spellings.WHOLE.values()}
    known |= {*spellings.WHOLE_FOLDED.values()}
    return nearest(unit, sorted(known), most)


_SUPERSCRIPT_POWER = re.compile("10([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_POWER_OF_TEN = re.compile(r"^[x×*·.]?10(?:\*\*|\^|\*|e)?\(?(?<=[*^e(])\+?(-?\d+)\)?", re.IGNORECASE)
_BARE_POWER = re.compile(r"^[eE](\d{1,2})(?=/)")
# 109/L is 10⁹/L whose superscript a system has lost: nobody counts by the 109 litres
_FLAT_POWER = re.compile(r"^[x×*·.]?10(3|6|9|12)(?=/)", re.IGNORECASE)
_FLATTENED = re.compile(r"10[1-9]\d?")  # what else may be a power without its superscript
_BODY_SURFACE = re.compile(r"/?[({]?1\.73[._]?(?:sqm|m(?:\^|\*\*?)?2)[)}]?", re.IGNORECASE)
_ANTIGEN_UNITS = re.compile(r"[{(]?(?:FEU|DDU)[})]?$", re.IGNORECASE)


def _tidied(unit: str) -> str:
    """Fold typography: width, micro signs, superscripts, spaces, powers, stray full stops."""
    text = _SUPERSCRIPT_POWER.sub(lambda found: "10*" + found.group(1), unit.strip())
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-").replace("\u03bc", "u").replace("⁄", "/")
    text = re.sub(r"(?<=\S)\s+per\s+(?=\S)", "/", text, flags=re.IGNORECASE)
    text = re.sub("[\\s\u200b\ufeff]+", "", text)
    text = re.sub(r"\.(?=/|$)", "", text).replace("·", ".")
    text = _POWER_OF_TEN.sub(r"10*\1", text)
    text = _BARE_POWER.sub(r"10*\1", text)
    text = _FLAT_POWER.sub(r"10*\1", text)
    text = _BODY_SURFACE.sub("/{1.73_m2}", text)
    if len(text) > 3:
        text = _ANTIGEN_UNITS.sub("", text)
    text = re.sub(r"(?<=[A-Za-z])(?:\^|\*\*?)(?=-?\d)", "", text)
    return re.sub(r"(?<!10)\*", ".", text)


def _is_note(text: str) -> bool:
    return re.fullmatch(r"\{[^{}]+\}", text) is not None and text not in ucum.ARBITRARY


_VOLUMES = frozenset(("ul", "mcl", "mm3", "cumm", "cmm", "微升"))


def _cell_count(folded: str) -> str | None:
    """Read K/uL and the like, where K is a thousand and not a kelvin."""
    number, slash, volume = folded.partition("/")
    power = spellings.CELLS.get(number)
    if not slash or power is None:
        return None
    if volume in _VOLUMES:
        return f"{power}/uL"
    return f"{power}/L" if volume == "l" and power == "10*9" else None


_SEPARATED = re.compile(r"([./()])(?![^\[{]*[\]}])")


def _compound(text: str) -> str | None:
    """Spell each part of a compound and put it together again; None if one part is unknown."""
    written: list[str] = []
    for piece in _SEPARATED.split(text):
        if not piece:
            continue
        if piece in "./()":
            written.append(piece)
            continue
        part = _part(piece)
        if part is None:
            return None
        if "/" in part and "/" in written:
            part = f"({part})"
        written.append(part)
    return _without_gaps(written)


def _without_gaps(written: list[str]) -> str | None:
    """Join parts, leaving out those that are unity: 'mL' '/' '' is mL, '' '/' 'min' is /min."""
    kept: list[str] = []
    for part in written:
        if part == "" and kept and kept[-1] in (".", "/"):
            kept.pop()
        elif part == "." and (not kept or kept[-1] in ("(", "/")):
            continue
        elif part != "":
            kept.append(part)
    return "".join(kept) or None


_PART = re.compile(r"(?P<symbol>.*?)(?P<exponent>[+-]?\d+)?(?P<note>\{[^{}]*\})?", re.DOTALL)
_LARGE_PREFIXES_ON = frozenset(("Hz", "Bq", "Pa", "W", "J", "V", "Ohm", "cal", "[IU]", "U"))
_ENZYMES = frozenset(("[IU]", "U"))  # counted in thousandths: MIU/L is shouted


def _part(piece: str) -> str | None:
    """Give the UCUM code of one part ('' for unity), or None."""
    if piece == "{1.73_m2}" or re.fullmatch(r"10\*-?\d+", piece):
        return piece
    found = _PART.fullmatch(piece)
    if found is None:
        return None
    plain = piece.removesuffix(found["note"] or "")
    if not plain or plain.casefold() in spellings.UNITY:
        return ""
    if plain in spellings.PARTS:
        return spellings.PARTS[plain] or None
    folded = spellings.parts_folded()
    symbol, exponent = found["symbol"], found["exponent"] or ""
    if plain.isdigit():
        return None if _FLATTENED.fullmatch(plain) else plain
    if _is_unambiguous(symbol):
        return folded.get(plain.casefold(), _rendered(symbol) + exponent) if exponent else _rendered(symbol)
    if _hides_mega(symbol, folded):
        return None
    if plain.casefold() in folded:
        return folded[plain.casefold()]
    if symbol.casefold() in folded and ucum.parse(folded[symbol.casefold()] + exponent) is not None:
        return folded[symbol.casefold()] + exponent
    return None


def _is_unambiguous(symbol: str) -> bool:
    """Tell whether a symbol is UCUM and not more likely a shout: ML is no megalitre."""
    if symbol in ucum.SPECIAL:
        return True
    parts = ucum.split_symbol(symbol)
    if parts is None:
        return False
    prefix, atom = parts
    return prefix not in ("M", "G", "T") or atom in _LARGE_PREFIXES_ON


def _hides_mega(symbol: str, folded: Mapping[str, str]) -> bool:
    """Tell whether folding the case would turn a unit that is used with mega into its thousand-millionth: MBQ."""
    unit = folded.get(symbol.casefold(), "")
    return symbol[:1] == "M" and unit[:1] == "m" and unit[1:] in _LARGE_PREFIXES_ON - _ENZYMES


def _rendered(symbol: str) -> str:
    """Give UCUM's two litres and two international units one spelling each."""
    if symbol.endswith("[iU]"):
        return symbol.removesuffix("[iU]") + "[IU]"
    prefix, atom = ucum.split_symbol(symbol) or ("", symbol)
    return f"{prefix}L" if atom == "l" else symbol


GLYCATED = frozenset(("4548-4", "17856-6", "59261-8"))
"""Bare LOINC codes of HbA1c."""
_GLYCATED_UNITS = {
    ("mmol/mol", "%"): (0.09148, 2.152),
    ("%", "mmol/mol"): (1 / 0.09148, -2.152 / 0.09148),
}


def _labels_agree(have: ucum.Unit, want: ucum.Unit, source: str, target: str) -> bool:
    """Tell whether two units, one of them a bare annotation, count the same thing.

    {score} is 1 as far as UCUM goes, but a score is no percentage and no tablet.
    """
    if not have.label and not want.label:
        return True
    return "1" in (source, target) or have.label == want.label


def _bridge(difference: ucum.Dimension, row: Observable | None) -> Fraction | None:
    """Give what turns the source's dimension into the target's for this analyte; None if nothing does."""
    if not difference:
        return Fraction(1)
    if row is None:
        return None
    powers = dict(difference)
    scale = Fraction(1)
    if row.activity and abs(powers.get("[IU]", 0)) == 1:  # U is umol/min, UCUM table 12
        sign = powers.pop("[IU]")
        powers = {k: v for k, v in {**powers, "mol": powers.get("mol", 0) + sign}.items() if v}
        powers = {k: v for k, v in {**powers, "s": powers.get("s", 0) - sign}.items() if v}
        scale *= Fraction(1, 60 * 10**6) ** sign
    mass, equivalents, amount = powers.pop("g", 0), powers.pop("eq", 0), powers.pop("mol", 0)
    if powers or mass + equivalents + amount != 0 or max(abs(mass), abs(equivalents), abs(amount)) > 1:
        return None
    if (mass and row.molar_mass is None) or (equivalents and row.valence is None):
        return None
    if mass:
        scale /= Fraction(str(row.molar_mass)) ** mass
    if equivalents:
        scale /= Fraction(row.valence or 1) ** equivalents
    return scale
