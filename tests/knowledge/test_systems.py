"""Code systems: one spelling each, applied twice the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloom.foundation.errors import InputError
from medloom.foundation.messages import speaking
from medloom.knowledge.systems import (
    ASSERTION_PREFIXES,
    asserted,
    code,
    encounter_class,
    gender,
    split,
    vocabulary,
)

MIMIC = "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://loinc.org", "LOINC"),
        ("https://loinc.org/", "LOINC"),
        ("http://loinc.org|2.77", "LOINC"),
        ("urn:oid:2.16.840.1.113883.6.1", "LOINC"),
        ("2.16.840.1.113883.6.96", "SNOMED"),
        ("http://snomed.info/sct", "SNOMED"),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "RxNorm"),
        ("http://hl7.org/fhir/sid/icd-10-cm", "ICD10CM"),
        ("http://hl7.org/fhir/sid/icd-10", "ICD10"),
        ("http://hl7.org/fhir/sid/icd-9-cm", "ICD9CM"),
        ("http://www.cms.gov/Medicare/Coding/ICD10", "ICD10PCS"),
        ("http://www.ama-assn.org/go/cpt", "CPT4"),
        ("http://hl7.org/fhir/sid/ndc", "NDC"),
        ("http://hl7.org/fhir/sid/cvx", "CVX"),
        ("http://www.whocc.no/atc", "ATC"),
        ("http://human-phenotype-ontology.org", "HPO"),
        ("http://unitsofmeasure.org", "UCUM"),
        ("urn:oid:2.16.840.1.113883.6.238", "Race"),
        (MIMIC + "diagnosis-icd9", "ICD9CM"),
        (MIMIC + "diagnosis-icd10", "ICD10CM"),
        (MIMIC + "procedure-icd9", "ICD9Proc"),
        (MIMIC + "procedure-icd10", "ICD10PCS"),
        (MIMIC + "medication-ndc", "NDC"),
        (MIMIC + "d-items", "MIMIC-D-ITEMS"),
        ("icd-10-cm", "ICD10CM"),
        ("RxNorm Extension", "RxNorm Extension"),
        ("http://his.cn/%E6%A3%80%E9%AA%8C", "检验"),
        ("urn:oid:1.2.3.4", "OID-1.2.3.4"),
        ("Lab codes", "LAB-CODES"),
    ],
)
def test_a_system_gets_its_omop_vocabulary(uri: str, expected: str) -> None:
    assert vocabulary(uri) == expected


@pytest.mark.parametrize("last", ["loinc", "ICD-10-CM", "history", "not", "gender", "encounter"])
def test_a_local_list_does_not_pass_for_a_standard_or_for_the_records_own_words(last: str) -> None:
    assert vocabulary(f"https://st-mary.org/CodeSystem/{last}").startswith("ST-MARY.ORG-")


@pytest.mark.parametrize(
    ("system", "value", "expected"),
    [
        ("ICD10CM", "E119", "ICD10CM//E11.9"),
        ("ICD10CM", " e11.9 ", "ICD10CM//E11.9"),
        ("ICD10CM", "I10", "ICD10CM//I10"),
        ("ICD10CM", "Z87891", "ICD10CM//Z87.891"),
        ("ICD10CM", "S72001A", "ICD10CM//S72.001A"),
        ("ICD10", "I10.x00x002", "ICD10//I10.X00X002"),
        ("ICD10", "M49.0*", "ICD10//M49.0"),
        ("ICD10", "A00-B99", "ICD10//A00-B99"),
        ("ICD9CM", "4019", "ICD9CM//401.9"),
        ("ICD9CM", "0383", "ICD9CM//038.3"),
        ("ICD9CM", "486", "ICD9CM//486"),
        ("ICD9CM", "V1582", "ICD9CM//V15.82"),
        ("ICD9CM", "E8889", "ICD9CM//E888.9"),
        ("ICD9CM", "8.45", "ICD9CM//008.45"),
        ("ICD9Proc", "3893", "ICD9Proc//38.93"),
        ("ICD9Proc", "966", "ICD9Proc//96.6"),
        ("ICD9Proc", "3.95", "ICD9Proc//03.95"),
        ("ICD10PCS", "02hv33z", "ICD10PCS//02HV33Z"),
        ("NDC", "00002143380", "NDC//00002143380"),
        ("NDC", "0002-1433-80", "NDC//00002143380"),
        ("NDC", "50242-040-62", "NDC//50242004062"),
        ("NDC", "50242-0040-1", "NDC//50242004001"),
        ("NDC", "1234567890", "NDC//1234567890"),
        ("NDC", "0", "NDC//0"),
        ("SNOMED", "44054006", "SNOMED//44054006"),
        ("LOINC", "LA2-8", "LOINC//LA2-8"),
        ("GENDER", "F", "GENDER//F"),
        (MIMIC + "diagnosis-icd10", "N179", "ICD10CM//N17.9"),
        (MIMIC + "d-items", "220045", "MIMIC-D-ITEMS//220045"),
    ],
)
def test_a_code_gets_the_spelling_of_its_system(system: str, value: str, expected: str) -> None:
    assert code(system, value) == expected


@pytest.mark.parametrize(("system", "value"), [("LOINC", ""), ("LOINC", "  "), ("", "x"), ("/", "x")])
def test_an_empty_code_or_system_is_refused(system: str, value: str) -> None:
    with pytest.raises(InputError):
        code(system, value)


def test_the_refusal_speaks_chinese() -> None:
    with speaking("zh"), pytest.raises(InputError) as caught:
        code("LOINC", "")
    with speaking("zh"):
        assert "编码为空" in str(caught.value)


_SYSTEMS = st.sampled_from(["ICD10CM", "ICD10", "ICD9CM", "ICD9Proc", "ICD10PCS", "NDC", "LOINC", "local"])
_CODELIKE = st.text(alphabet="0123456789AEVZbx.-*+† /", min_size=1, max_size=12) | st.text(
    min_size=1, max_size=12
)


@given(_SYSTEMS, _CODELIKE.filter(str.strip))
def test_spelling_a_code_twice_changes_nothing_and_it_splits_again(system: str, value: str) -> None:
    once = code(system, value)
    prefix, name, rest = split(once)
    assert prefix is None
    assert name == vocabulary(system)
    assert code(name, rest) == once


@given(st.text(max_size=40) | st.text(alphabet="htp:/urnoid.123#|%[]é字", max_size=30))
def test_naming_a_system_twice_changes_nothing(uri: str) -> None:
    try:
        name = vocabulary(uri)
    except InputError:
        return
    assert vocabulary(name) == name
    assert "//" not in name
    assert name not in ASSERTION_PREFIXES


@pytest.mark.parametrize("prefix", ASSERTION_PREFIXES)
def test_an_assertion_is_put_on_and_read_back(prefix: str) -> None:
    marked = asserted(prefix, "ICD10CM//I10")
    assert marked == f"{prefix}//ICD10CM//I10"
    assert split(marked) == (prefix, "ICD10CM", "I10")
    assert asserted(prefix, marked) == marked


def test_no_assertion_leaves_the_code_alone() -> None:
    assert asserted(None, "ICD10CM//I10") == "ICD10CM//I10"


def test_an_unknown_or_a_second_assertion_is_refused() -> None:
    with pytest.raises(InputError, match="MAYBE"):
        asserted("MAYBE", "ICD10CM//I10")
    with pytest.raises(InputError, match="FAMILY"):
        asserted("NOT", "FAMILY//ICD10CM//I10")


def test_a_code_of_the_record_without_a_system_splits() -> None:
    assert split("MEDS_BIRTH") == (None, "MEDS_BIRTH", "")
    assert split("NOT//MEDS_BIRTH") == ("NOT", "MEDS_BIRTH", "")
    assert split("ENCOUNTER//inpatient//START") == (None, "ENCOUNTER", "inpatient//START")


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("IMP", "inpatient"),
        ("ACUTE", "inpatient"),
        ("NONAC", "inpatient"),
        ("SS", "inpatient"),
        ("OBSENC", "inpatient"),
        ("AMB", "outpatient"),
        ("EMER", "emergency"),
        ("HH", "home"),
        ("VR", "virtual"),
        ("FLD", "other"),
        ("9201", "inpatient"),
        ("9202", "outpatient"),
        ("9203", "emergency"),
        ("262", "inpatient"),
        ("32037", "icu"),
        ("581476", "home"),
        ("5083", "virtual"),
        ("Emergency Room and Inpatient Visit", "inpatient"),
        (" intensive care ", "icu"),
        ("门诊", "outpatient"),
        ("急诊", "emergency"),
        ("", "other"),
        ("0", "other"),
    ],
)
def test_an_encounter_gets_one_of_seven_classes(given_: str, expected: str) -> None:
    assert encounter_class(given_) == expected


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("male", "M"),
        ("Female", "F"),
        ("M", "M"),
        ("f", "F"),
        ("8507", "M"),
        ("8532", "F"),
        ("男", "M"),
        ("女性", "F"),
        ("other", "other"),
        ("UNKNOWN", "unknown"),
        ("不详", "unknown"),
        ("0", None),
        ("1", None),
        ("2", None),
        ("", None),
        ("yes", None),
    ],
)
def test_gender_is_read_where_it_is_certain(given_: str, expected: str | None) -> None:
    assert gender(given_) == expected
