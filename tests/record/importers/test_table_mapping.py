"""A mapping is checked before anything is read, and says where it is wrong and what mends it."""

import json

import jsonschema
import pytest
import yaml

from medloom.foundation.errors import InputError, NotFoundError
from medloom.record.importers.table import Mapping, load_mapping, shipped_mappings
from medloom.record.importers.table.conditions import parse_condition
from medloom.record.importers.table.mapping import parse_mapping

GOOD = """\
code_system: LAB
tables:
  - files: [{glob: "*.csv"}]
    subject: {column: id}
    time: {column: when}
    columns:
      hr: {code: LOINC//8867-4, unit: /min}
"""


def failure(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_mapping(text, "lab.yaml")
    return str(caught.value)


def test_a_small_mapping_is_enough() -> None:
    mapping = parse_mapping(GOOD)
    assert mapping.tables[0].columns["hr"].unit == "/min"


def test_an_unknown_key_is_refused_with_its_line_and_the_known_ones() -> None:
    message = failure(GOOD.replace("unit: /min", "units: /min"))
    assert "line 7" in message
    assert "columns.hr.units" in message
    assert "unit" in message.split("known here:")[1]


@pytest.mark.parametrize(
    ("change", "line", "remedy"),
    [
        (("time: {column: when}", "time: {column: when, format: today}"), 5, "%Y-%m-%d"),
        (("time: {column: when}", "time: {column: when, offset: hours}"), 3, "base"),
        (("time: {column: when}", "time: {}"), 5, "exactly one of column, after"),
        (("    time: {column: when}\n", ""), 3, "need time"),
        (("subject: {column: id}", "subject: {column: id, file: x}"), 4, "exactly one"),
        (("unit: /min", "role: guess"), 7, "observation"),
        (("unit: /min", "when: hr over 5"), 7, "column == value"),
        (("unit: /min", "when: hr > high"), 7, "not a number"),
        (("unit: /min", "static: perhaps"), 7, "must be true or false"),
        (("code_system: LAB", "code_system: my lab"), 1, "'my lab' has characters that cannot stand here"),
        (("subject: {column: id}", "subjct: {column: id}"), 4, "unknown key; did you mean subject?"),
    ],
)
def test_what_is_wrong_is_named_by_line_with_a_remedy(
    change: tuple[str, str], line: int, remedy: str
) -> None:
    message = failure(GOOD.replace(*change))
    assert f"line {line}:" in message
    assert remedy in message


def test_broken_yaml_is_named_by_line() -> None:
    assert "line 3 is not valid YAML" in failure("code_system: LAB\ntables:\n  - files: [}\n")


def test_a_key_that_stands_twice_is_refused() -> None:
    assert "line 8: 'hr' stands twice" in failure(GOOD + "      hr: {code: OTHER}\n")


def test_scalars_are_texts_so_that_codes_keep_their_spelling() -> None:
    text = GOOD.replace(
        "unit: /min", "values: {0: A//no, no: A//off, 007: A//bond}, missing: [-1, null, 1.0]"
    )
    item = parse_mapping(text).tables[0].columns["hr"]
    assert item.values == {"0": "A//no", "no": "A//off", "007": "A//bond"}
    assert item.missing == ("-1", "null", "1.0")


def test_a_name_that_is_no_mapping_lists_the_shipped_ones() -> None:
    with pytest.raises(NotFoundError, match="physionet2012"):
        load_mapping("physionet2021")
    with pytest.raises(NotFoundError, match=r"there is no mapping file"):
        load_mapping("physionet2021.yaml")


@pytest.mark.parametrize("name", shipped_mappings())
def test_shipped_mappings_are_valid(name: str) -> None:
    assert load_mapping(name).name


@pytest.mark.parametrize("name", shipped_mappings())
def test_shipped_mappings_fit_the_json_schema_once_their_scalars_are_typed(name: str) -> None:
    schema = Mapping.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    typed = json.loads(load_mapping(name).model_dump_json(exclude_none=True))
    jsonschema.validate(typed, schema)
    assert yaml.safe_load(shipped_mappings()[name])["tables"]


def test_every_field_of_the_json_schema_is_described() -> None:
    schema = Mapping.model_json_schema()
    for name, part in {"Mapping": schema, **schema["$defs"]}.items():
        for field, said in part.get("properties", {}).items():
            assert said.get("description"), f"{name}.{field}"


@pytest.mark.parametrize(
    ("text", "column", "operator", "values"),
    [
        ("In-hospital_death == 1", "In-hospital_death", "==", ("1",)),
        ("Length of stay >= 0", "Length of stay", ">=", ("0",)),
        ("结果 != '未查'", "结果", "!=", ("未查",)),
        ("status in final, corrected", "status", "in", ("final", "corrected")),
        ("note is missing", "note", "is missing", ()),
        ("note is not missing", "note", "is not missing", ()),
    ],
)
def test_conditions_are_read(text: str, column: str, operator: str, values: tuple[str, ...]) -> None:
    condition = parse_condition(text)
    assert (condition.column, condition.operator, condition.values) == (column, operator, values)
