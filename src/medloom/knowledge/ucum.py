"""A parser for the Unified Code for Units of Measure, over the units hospitals use.

Prefixes × atoms × exponents with '.', '/' and brackets, as in the UCUM
specification 2.1 (https://ucum.org/ucum, §§ 4-10 syntax, §§ 27-46 tables).

Three departures, each on the side of refusing a conversion:

- `mol`, `eq` and `osm` are dimensions of their own. UCUM counts a mole as the
  number 6.02e23 and an equivalent as a mole, which would turn 10*9/L into mol/L
  and halve a magnesium; `units.factor` converts them when it knows the analyte.
- `{1.73_m2}` is not unity: mL/min and mL/min/{1.73_m2} are different quantities.
- Atoms that no clinical record uses are left out, above all those that collide
  with hospital spellings (G gauss, C coulomb, F farad, S siemens, H henry).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

Dimension = tuple[tuple[str, int], ...]
LONGEST = 80  # characters; what is longer is a remark, not a unit


@dataclass(frozen=True, slots=True)
class Unit:
    """A parsed unit: value in base units = value · scale + offset.

    `dimension` lists base units with their exponents, sorted, without zeros.
    `label` is the annotation of a unit that is nothing else, such as '{score}'.
    """

    scale: Fraction
    dimension: Dimension
    offset: Fraction = Fraction(0)
    label: str = ""


PREFIXES: dict[str, Fraction] = {  # UCUM table 1
    "T": Fraction(10**12),
    "G": Fraction(10**9),
    "M": Fraction(10**6),
    "k": Fraction(1000),
    "h": Fraction(100),
    "da": Fraction(10),
    "d": Fraction(1, 10),
    "c": Fraction(1, 100),
    "m": Fraction(1, 1000),
    "u": Fraction(1, 10**6),
    "n": Fraction(1, 10**9),
    "p": Fraction(1, 10**12),
    "f": Fraction(1, 10**15),
}

BASE = frozenset(("m", "s", "g", "K", "rad", "V", "A", "mol", "eq", "osm"))
ARBITRARY = frozenset(("[IU]", "[arb'U]", "[CFU]", "[pH]", "{1.73_m2}"))  # UCUM § 24: only into themselves

METRIC: dict[str, tuple[str, str]] = {  # atom: (value, unit), UCUM tables 3-21; these take prefixes
    "L": ("1", "dm3"),
    "l": ("1", "dm3"),
    "Hz": ("1", "s-1"),
    "N": ("1", "kg.m/s2"),
    "Pa": ("1", "N/m2"),
    "J": ("1", "N.m"),
    "W": ("1", "J/s"),
    "Ohm": ("1", "V/A"),
    "Bq": ("1", "s-1"),
    "Gy": ("1", "J/kg"),
    "Sv": ("1", "J/kg"),
    "bar": ("1e5", "Pa"),
    "dyn": ("1", "g.cm/s2"),
    "cal": ("4.184", "J"),
    "m[Hg]": ("133.3220", "kPa"),
    "m[H2O]": ("9.80665", "kPa"),
    "kat": ("1", "mol/s"),
    "U": ("1", "umol/min"),
    "[iU]": ("1", "[IU]"),
}

CUSTOMARY: dict[str, tuple[str, str]] = {  # these take none
    "atm": ("101325", "Pa"),
    "[psi]": ("6.894757293168", "kPa"),
    "min": ("60", "s"),
    "h": ("60", "min"),
    "d": ("24", "h"),
    "wk": ("7", "d"),
    "mo": ("30.4375", "d"),
    "a": ("365.25", "d"),
    "[in_i]": ("2.54", "cm"),
    "[ft_i]": ("12", "[in_i]"),
    "[gr]": ("64.79891", "mg"),
    "[lb_av]": ("7000", "[gr]"),
    "[oz_av]": ("437.5", "[gr]"),
    "[foz_us]": ("29.5735295625", "mL"),
    "[cup_us]": ("8", "[foz_us]"),
    "[tbs_us]": ("0.5", "[foz_us]"),
    "[tsp_us]": ("4.92892159375", "mL"),
    "[drp]": ("0.05", "mL"),
    "[MET]": ("3.5", "mL/min/kg"),
    "[diop]": ("1", "/m"),
    "%": ("0.01", "1"),
    "[ppth]": ("0.001", "1"),
    "[ppm]": ("0.000001", "1"),
    "[ppb]": ("0.000000001", "1"),
    "[HPF]": ("1", "1"),
    "[LPF]": ("100", "1"),
}

ANGLE_DEGREE = Unit(Fraction("0.017453292519943295"), (("rad", 1),))
SPECIAL: dict[str, Unit] = {  # UCUM § 22: on an offset scale, so neither prefixed nor multiplied
    "Cel": Unit(Fraction(1), (("K", 1),), Fraction("273.15")),
    "[degF]": Unit(Fraction(5, 9), (("K", 1),), Fraction("459.67") * Fraction(5, 9)),
}


@lru_cache(maxsize=16_384)
def parse(unit: str) -> Unit | None:
    """Parse a UCUM code; None if it is none that is known here.

    Source: UCUM 2.1, § 11 (grammar), evaluated from left to right.

    >>> float(parse("mg/dL").scale)  # in g/m3
    10.0
    >>> parse("mg/dl") == parse("10.ug/mL") == parse("g/L/100")
    True
    >>> parse("furlong") is None
    True
    """
    text = unit.strip()
    if text in SPECIAL:
        return SPECIAL[text]
    if text.startswith("{") and text.count("{") == 1 and text.endswith("}") and text not in ARBITRARY:
        return Unit(Fraction(1), (), label=text)
    tokens = _tokens(text) if len(text) <= LONGEST else None
    if not tokens:
        return None
    parsed, rest = _term(tokens, 0)
    return parsed if rest == len(tokens) else None


def split_symbol(symbol: str) -> tuple[str, str] | None:
    """Split a simple unit into prefix and atom; None if it is not one.

    >>> split_symbol("mmol"), split_symbol("min"), split_symbol("mm[Hg]"), split_symbol("hour")
    (('m', 'mol'), ('', 'min'), ('m', 'm[Hg]'), None)
    """
    if takes_prefix(symbol) or symbol in CUSTOMARY or symbol in ARBITRARY or symbol == "deg":
        return "", symbol
    for prefix in PREFIXES:
        atom = symbol[len(prefix) :]
        if symbol.startswith(prefix) and takes_prefix(atom):
            return prefix, atom
    return None


def takes_prefix(atom: str) -> bool:
    """Tell whether an atom is metric: mL is a unit, mmin is not.

    >>> takes_prefix("L"), takes_prefix("min")
    (True, False)
    """
    return atom in BASE or atom in METRIC or atom == "[IU]"


_TOKEN = re.compile(
    r"(?P<op>[./()])|(?P<power>10[*^](?P<power_exp>[+-]?\d+)?)|(?P<note>\{[^{}]*\})"
    r"|(?P<symbol>(?:[A-Za-z%'_]|\[[^\[\]\s]+\])+)(?P<exp>[+-]?\d+)?|(?P<number>\d+)"
)
_MAX_EXPONENT = 30  # beyond it a typing error, and a power too long to compute


def _tokens(text: str) -> list[re.Match[str]] | None:
    found: list[re.Match[str]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        found.append(match)
        at = match.end()
    return found


def _term(tokens: list[re.Match[str]], at: int) -> tuple[Unit | None, int]:
    """Read [/] component {(. | /) component}; return the unit and where reading stopped."""
    total: Unit | None = Unit(Fraction(1), ())
    sign = 1
    if at < len(tokens) and tokens[at].group() == "/":
        sign, at = -1, at + 1
    while True:
        part, at = _component(tokens, at)
        if part is None or total is None:
            return None, at
        total = _times(total, part, sign)
        if at >= len(tokens) or tokens[at].group() not in (".", "/"):
            return total, at
        sign = 1 if tokens[at].group() == "." else -1
        at += 1


def _component(tokens: list[re.Match[str]], at: int) -> tuple[Unit | None, int]:
    if at >= len(tokens):
        return None, at
    token = tokens[at]
    if token.group() == "(":
        inside, at = _term(tokens, at + 1)
        closed = at < len(tokens) and tokens[at].group() == ")"
        return (inside, at + 1) if closed else (None, at)
    value = _value(token)
    at += 1
    if value is not None and token["note"] is None and at < len(tokens) and tokens[at]["note"] is not None:
        if tokens[at]["note"] in ARBITRARY:  # written without '/', it says nothing definite
            return None, at
        at += 1  # an annotation changes no value, UCUM § 6
    return value, at


def _value(token: re.Match[str]) -> Unit | None:
    if token["note"] is not None:
        note = token["note"]
        return Unit(Fraction(1), ((note, 1),) if note in ARBITRARY else ())
    if token["number"] is not None:
        number = int(token["number"][:_MAX_EXPONENT])
        return Unit(Fraction(number), ()) if number else None
    exponent = int((token["power_exp"] or token["exp"] or "1")[:4])
    if abs(exponent) > _MAX_EXPONENT or exponent == 0:
        return None
    if token["power"] is not None:
        return Unit(Fraction(10) ** exponent, ())
    return _raised(_simple(token["symbol"] or ""), exponent)


@lru_cache(maxsize=4096)
def _simple(symbol: str) -> Unit | None:
    parts = split_symbol(symbol)
    if parts is None:
        return None
    prefix, atom = parts
    size = PREFIXES.get(prefix, Fraction(1))
    if atom == "deg":
        return ANGLE_DEGREE
    if atom in BASE or atom in ARBITRARY:
        return Unit(size, ((atom, 1),))
    value, definition = METRIC.get(atom) or CUSTOMARY[atom]
    defined = parse(definition)
    assert defined is not None
    return Unit(size * Fraction(value) * defined.scale, defined.dimension)


def _raised(unit: Unit | None, exponent: int) -> Unit | None:
    if unit is None:
        return None
    return Unit(unit.scale**exponent, tuple((name, power * exponent) for name, power in unit.dimension))


def _times(left: Unit, right: Unit, sign: int) -> Unit:
    return Unit(left.scale * right.scale**sign, combined(left.dimension, right.dimension, sign))


def combined(left: Dimension, right: Dimension, sign: int) -> Dimension:
    """Add (sign 1) or subtract (sign -1) the exponents of two dimensions.

    >>> combined((("g", 1), ("m", -3)), (("m", -3), ("mol", 1)), -1)
    (('g', 1), ('mol', -1))
    """
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + sign * power
    return tuple(sorted((name, power) for name, power in powers.items() if power))
