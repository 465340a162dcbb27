"""Units: spellings, conversions computed by hand, and properties that hold for all of them."""

from __future__ import annotations

import os
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.knowledge import ucum
from medloom.knowledge.loinc import Observable, observables
from medloom.knowledge.units import canonical, convert, factor, preferred

SPELLINGS = {
    "mm[Hg]": ["mmHg", "mm Hg", "MMHG", "mmHg.", "㎜Hg", "毫米汞柱", "mm[Hg]"],
    "mg/dL": ["MG/DL", "mg/dl", "mg / dL", "mg%", "毫克/分升", "Mg/dL"],
    "g/dL": ["G/DL", "gm/dl", "g%"],
    "mmol/L": ["mmol/L", "MMOL/L", "Mmol/L", "mM", "毫摩尔/升", "ＭＭＯＬ／Ｌ"],
    "umol/L": ["µmol/L", "μmol/L", "umol/L", "UMOL/L", "mcmol/L", "uM", "微摩尔/升"],
    "meq/L": ["mEq/L", "MEQ/L", "meq/l"],
    "meq": ["mEq", "mEq."],
    "/min": [
        "bpm",
        "BPM",
        "beats/min",
        "beats/minute",
        "{beats}/min",
        "breaths/min",
        "insp/min",
        "次/分",
        "次/min",
    ],
    "10*3/uL": [
        "K/uL",
        "k/ul",
        "10^3/uL",
        "x10^3/µL",
        "x10e3/uL",
        "thou/mm3",
        "K/cumm",
        "1000/uL",
        "10*3/mm3",
    ],
    "10*6/uL": ["M/uL", "10^6/uL", "mil/uL", "million/mm3"],
    "10*9/L": ["x10^9/L", "×10⁹/L", "10⁹/L", "10^9/l", "10E9/L", "x10(9)/L", "10**9/L", "10^9/升", "*10^9/L"],
    "10*12/L": ["T/L", "10^12/L", "×10¹²/L"],
    "/uL": ["/mm3", "cells/uL", "个/μL"],
    "/[HPF]": ["/HPF", "/hpf", "个/HP"],
    "mL": ["ml", "ML", "cc", "毫升", "mL"],
    "L": ["l", "L", "Liters", "升"],
    "g": ["gm", "Gm", "gram", "grams", "克"],
    "mg": ["MG", "Mg", "毫克", "㎎"],
    "ug": ["mcg", "µg", "ug", "微克"],
    "kg": ["Kg", "KG", "公斤", "千克"],
    "[lb_av]": ["lbs", "lb", "pounds"],
    "[oz_av]": ["Ounces", "oz"],
    "[in_i]": ["in", "Inch", "inches"],
    "Cel": ["℃", "°C", "C", "deg C", "摄氏度", "Degrees Celsius"],
    "[degF]": ["deg F", "°F", "F", "℉", "Fahrenheit"],
    "U/L": ["U/L", "u/l", "units/L"],
    "U/h": ["units/hour", "Units/hr"],
    "[IU]/L": ["IU/L", "iu/l", "[iU]/L", "国际单位/升"],
    "m[IU]/L": ["mIU/L", "MIU/L", "m[iU]/L"],
    "u[IU]/mL": ["uIU/mL", "µIU/ml"],
    "s": ["sec", "sec.", "seconds", "S", "秒"],
    "mm/h": ["mm/hr", "MM/H", "mm/hour"],
    "mg/d": ["mg/24h", "mg/24 hr", "mg/day"],
    "ug/kg/min": ["mcg/kg/min", "µg/kg/min"],
    "kg/m2": ["kg/m²", "kg/m^2", "kg/m**2", "kg/sq m"],
    "mL/min/{1.73_m2}": ["mL/min/1.73m2", "mL/min/1.73 m²", "ml/min/1.73m^2", "mL/min/{1.73_m2}"],
    "%": ["%", "％", "percent"],
    "[pH]": ["pH", "PH", "units of pH"],
    "{score}": ["score", "(score)", "{score}", "分"],
    "{INR}": ["INR"],
    "cm[H2O]": ["cmH2O", "cm H2O"],
    "mosm/kg": ["mOsm/kg", "mosmol/kg", "mOsm/kg H2O"],
    "ug/mL": ["ug/mL FEU", "ug/mL{FEU}"],
    "dyn.s/cm5": ["dynes*sec/cm5"],
    "mL/h": ["mL per hour", "ml/hr", "mL/hour"],
    "a": ["years", "岁", "yrs"],
}


@pytest.mark.parametrize(("spelling", "code"), [(s, code) for code, all_ in SPELLINGS.items() for s in all_])
def test_a_hospitals_spelling_becomes_its_ucum_code(spelling: str, code: str) -> None:
    assert canonical(spelling) == code


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("109/L", "10*9/L"),
        ("x109/L", "10*9/L"),
        ("10 9/L", "10*9/L"),
        ("103/uL", "10*3/uL"),
        ("106/µL", "10*6/uL"),
        ("1012/L", "10*12/L"),
        ("109 cells/L", None),
        ("104/uL", None),
        ("1010/L", None),
        ("cells/109", None),
        ("100/L", "100/L"),
        ("1000/L", "1000/L"),
    ],
)
def test_a_power_of_ten_without_its_superscript_is_no_number(spelling: str, code: str | None) -> None:
    assert canonical(spelling) == code


def test_counts_whose_superscript_was_lost_convert_as_what_they_are() -> None:
    assert factor("109/L", "10*3/uL", "LOINC//6690-2") == (1.0, 0.0)


@pytest.mark.parametrize("unit", ["MBQ", "MHZ", "Mhz", "MPA", "MPA.S", "PA", "Mbq/kg", "MOHM"])
def test_mega_never_becomes_milli(unit: str) -> None:
    assert canonical(unit) is None


@pytest.mark.parametrize(
    ("unit", "code"), [("MHz", "MHz"), ("MBq", "MBq"), ("mhz", "mHz"), ("KPA", "kPa"), ("MMOL/L", "mmol/L")]
)
def test_a_prefix_whose_case_is_right_is_read(unit: str, code: str) -> None:
    assert canonical(unit) == code


@pytest.mark.parametrize("unit", ["G/L", "M", "D", "MU", "度", "gr"])
def test_a_spelling_with_two_readings_has_no_code(unit: str) -> None:
    assert canonical(unit) is None


@pytest.mark.parametrize(
    "unit", ["", " ", "None", "Date", "-", "mg PE", "% of current infusion rate", "furlong", "(" * 500]
)
def test_what_is_no_unit_has_no_code(unit: str) -> None:
    assert canonical(unit) is None


@pytest.mark.parametrize(
    ("value", "source", "target", "code", "expected"),
    [
        (90.0, "mg/dL", "mmol/L", "LOINC//2345-7", 4.9957),  # 900 mg/L / 180.156 g/mol
        (5.0, "mmol/L", "mg/dL", "LOINC//2345-7", 90.078),
        (1.0, "mg/dL", "umol/L", "LOINC//2160-0", 88.40),  # 10 mg/L / 113.12 g/mol
        (14.0, "mg/dL", "mmol/L", "LOINC//3094-0", 4.9975),  # 140 mg/L of nitrogen / 28.014
        (200.0, "mg/dL", "mmol/L", "LOINC//2093-3", 5.1726),
        (150.0, "mg/dL", "mmol/L", "LOINC//2571-8", 1.6941),
        (1.0, "mg/dL", "umol/L", "LOINC//1975-2", 17.104),
        (10.0, "mg/dL", "mmol/L", "LOINC//17861-6", 2.4951),
        (15.0, "g/dL", "mmol/L", "LOINC//718-7", 9.308),
        (140.0, "meq/L", "mmol/L", "LOINC//2951-2", 140.0),
        (1.6, "meq/L", "mmol/L", "LOINC//2601-3", 0.8),  # magnesium has two charges
        (5.0, "meq/L", "mg/dL", "LOINC//17861-6", 10.0195),
        (30.0, "mg/g", "mg/mmol", "LOINC//14959-1", 3.3936),
        (60.0, "U/L", "ukat/L", "LOINC//1742-6", 1.0),
        (40.0, "[IU]/L", "U/L", "LOINC//1742-6", 40.0),
        (2.5, "uU/mL", "m[IU]/L", "LOINC//3016-3", 2.5),
        (53.0, "mmol/mol", "%", "LOINC//4548-4", 7.0004),  # 0.09148 · 53 + 2.152
        (98.6, "[degF]", "Cel", None, 37.0),
        (37.0, "Cel", "K", None, 310.15),
        (-40.0, "Cel", "[degF]", None, -40.0),
        (120.0, "mm[Hg]", "kPa", None, 15.99864),
        (10.0, "cm[H2O]", "mm[Hg]", None, 7.3556),
        (150.0, "[lb_av]", "kg", None, 68.0389),
        (70.0, "[in_i]", "cm", None, 177.8),
        (0.45, "1", "%", None, 45.0),
        (0.45, "L/L", "%", None, 45.0),
        (2.0, "h", "min", None, 120.0),
        (1.5, "ug/kg/min", "mg/kg/h", None, 0.09),
        (7.5, "10*3/uL", "10*9/L", None, 7.5),
        (7500.0, "/uL", "10*9/L", None, 7.5),
        (4.5, "10*6/uL", "10*12/L", None, 4.5),
        (3.0, "ug/mL", "ng/mL", None, 3000.0),
        (1.0, "g/(24.h)", "mg/d", None, 1000.0),
    ],
)
def test_conversions_agree_with_those_computed_by_hand(
    value: float, source: str, target: str, code: str | None, expected: float
) -> None:
    found = convert(np.array([value]), source, target, code)
    assert found is not None
    assert found[0] == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        ("mg/dL", "mmol/L", None),  # of what?
        ("mg/dL", "mmol/L", "LOINC//1988-5"),  # CRP has no agreed molar mass
        ("meq/L", "mmol/L", None),  # 1 or 0.5, by the ion
        ("meq/L", "mmol/L", "LOINC//2777-1"),  # phosphate's charge depends on pH
        ("[IU]/L", "U/L", None),
        ("10*9/L", "mol/L", None),  # UCUM's mole is a number; ours is not
        ("mL/min", "mL/min/{1.73_m2}", None),
        ("{score}", "%", None),
        ("{score}", "{tbl}", None),
        ("[pH]", "1", None),
        ("mg", "mL", "LOINC//2345-7"),
        ("Cel", "mm[Hg]", None),
        ("nonsense", "mg", None),
        ("10*30.10*30.10*30.10*30.10*30", "10*-30.10*-30.10*-30.10*-30.10*-30.10*-30", None),
    ],
)
def test_units_that_do_not_convert_are_refused(source: str, target: str, code: str | None) -> None:
    assert factor(source, target, code) is None
    assert convert(np.array([1.0]), source, target, code) is None


def test_a_thousand_per_microlitre_is_exactly_a_milliard_per_litre() -> None:
    assert factor("K/uL", "10*9/L") == (1.0, 0.0)


def test_missing_values_stay_missing_and_shapes_stay() -> None:
    found = convert(np.array([[1.0, np.nan], [np.inf, 2.0]]), "g", "mg")
    assert found is not None
    np.testing.assert_array_equal(found, [[1000.0, np.nan], [np.inf, 2000.0]])


def test_converting_leaves_its_input_alone() -> None:
    values = np.array([1.0])
    found = convert(values, "mg", "mg")
    assert found is not None
    assert found is not values


def test_annotations_change_no_value_and_division_runs_from_the_left() -> None:
    assert ucum.parse("mg{creat}/dL") == ucum.parse("mg/dL")
    assert ucum.parse("g/m.s2") == ucum.parse("g.s2/m")
    assert ucum.parse("g/(m.s2)") == ucum.parse("g.m-1.s-2")


def test_every_preferred_unit_is_canonical_ucum() -> None:
    for code, row in observables().items():
        assert preferred(f"LOINC//{code}") == row.unit
        assert canonical(row.unit) == row.unit, code
        assert ucum.parse(row.unit) is not None, code


def test_an_unknown_code_has_no_preferred_unit() -> None:
    assert preferred("LOINC//0000-0") is None
    assert preferred("SNOMED//8480-6") is None


_ATOMS = st.sampled_from(
    sorted([*ucum.BASE, *ucum.METRIC, *ucum.CUSTOMARY, *ucum.ARBITRARY - {"{1.73_m2}"}, "10*3", "10*9"])
)
_COMPOUNDS = st.lists(_ATOMS, min_size=1, max_size=4).flatmap(
    lambda atoms: st.lists(st.sampled_from("./"), min_size=len(atoms), max_size=len(atoms)).map(
        lambda signs: "".join(a + s for a, s in zip(atoms, signs, strict=True))[:-1]
    )
)


@given(
    st.text(max_size=12)
    | st.text(alphabet="mkgLludUIC%/.*^10 3x()[]{}µ次分毫克HhFPpM-", max_size=12)
    | _COMPOUNDS
)
def test_canonical_never_raises_and_applying_it_twice_changes_nothing(unit: str) -> None:
    code = canonical(unit)
    if code is not None:
        assert canonical(code) == code
        assert ucum.parse(code) is not None
        assert factor(unit, code) == (1.0, 0.0)


@given(_COMPOUNDS)
def test_a_valid_ucum_code_keeps_its_meaning(unit: str) -> None:
    code = canonical(unit)
    if code is not None and unit not in ("C", "F"):
        assert ucum.parse(code) == ucum.parse(unit)


_DIMENSIONS = [
    ["mg", "g", "ug", "kg", "[lb_av]", "[oz_av]"],
    ["Cel", "[degF]", "K"],
    ["mm[Hg]", "kPa", "cm[H2O]", "[psi]", "bar"],
    ["s", "min", "h", "d", "wk", "a"],
    ["mg/dL", "g/L", "ng/mL", "ug/L"],
    ["10*3/uL", "10*9/L", "/uL"],
    ["%", "1", "[ppm]"],
]
_PAIRS = st.sampled_from(_DIMENSIONS).flatmap(
    lambda units: st.tuples(st.sampled_from(units), st.sampled_from(units))
)


@given(st.floats(-1e6, 1e6), _PAIRS)
def test_a_conversion_there_and_back_is_no_conversion(value: float, pair: tuple[str, str]) -> None:
    source, target = pair
    there = convert(np.array([value]), source, target)
    assert there is not None
    back = convert(there, target, source)
    assert back is not None
    assert back[0] == pytest.approx(value, rel=1e-9, abs=1e-6)


@given(
    st.floats(0, 1e4),
    st.sampled_from([r for r in observables().values() if r.molar_mass and "/dL" in r.unit]),
)
def test_mass_to_moles_and_back_is_no_conversion(value: float, row: Observable) -> None:
    code, unit = f"LOINC//{row.code}", row.unit
    there = convert(np.array([value]), unit, "umol/L", code)
    assert there is not None
    back = convert(there, "umol/L", unit, code)
    assert back is not None
    assert back[0] == pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.skipif("MEDLOOM_MIRROR" not in os.environ, reason="needs the UCUM tables: set MEDLOOM_MIRROR")
def test_every_atom_agrees_with_the_published_ucum_table() -> None:
    archive = Path(os.environ["MEDLOOM_MIRROR"]) / "knowledge/ucum/ucum.tar.xz"
    if not archive.exists():
        pytest.skip("the mirror has no UCUM tables")
    with tarfile.open(archive) as packed:
        member = next(m for m in packed.getmembers() if m.name.endswith("ucum-essence.xml"))
        content = packed.extractfile(member)
        assert content is not None
        root = ElementTree.parse(content).getroot()
    space = root.tag.partition("}")[0] + "}"
    defined = {
        unit.get("Code"): (value.get("value"), value.get("Unit"))
        for unit in root.iter(f"{space}unit")
        if (value := unit.find(f"{space}value")) is not None and unit.get("isSpecial") != "yes"
    }

    ours_all = {*ucum.METRIC, *ucum.CUSTOMARY}

    def size(code: str) -> float | None:
        """Evaluate a published definition down to atoms both sides know."""
        if code in ours_all or (code in defined and ucum.parse(code) is None):
            value, unit = defined[code]
            assert value is not None
            assert unit is not None
            inner = ucum.parse(unit)
            if inner is not None and unit not in defined:
                return float(value) * float(inner.scale)
            if unit in defined:
                below = size(unit)
                return None if below is None else float(value) * below
        known = ucum.parse(code)
        return None if known is None else float(known.scale)

    compared = 0
    for atom in ours_all:
        ours, theirs = ucum.parse(atom), size(atom)
        assert ours is not None
        if theirs is not None:
            assert float(ours.scale) == pytest.approx(theirs, rel=1e-9), atom
            compared += 1
    assert compared >= 35
