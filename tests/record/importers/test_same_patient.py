"""The same patient, told in FHIR and in OMOP, has the same codes, times and values where the source has them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

import medloom as ml

SYSTEMS = {
    "SNOMED": "http://snomed.info/sct",
    "LOINC": "http://loinc.org",
    "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
}
# concept id, vocabulary, code, name
CONCEPTS = [
    (201826, "SNOMED", "44054006", "Type 2 diabetes mellitus"),
    (3004249, "LOINC", "8480-6", "Systolic blood pressure"),
    (3016723, "LOINC", "2160-0", "Creatinine"),
    (1503297, "RxNorm", "6809", "metformin"),
    (4273131, "SNOMED", "301807007", "Removal of contraceptive"),
]


def fhir(folder: Path) -> Path:
    def coded(vocabulary: str, code: str) -> dict[str, object]:
        return {"coding": [{"system": SYSTEMS[vocabulary], "code": code}]}

    subject = {"subject": {"reference": "Patient/p"}}
    resources = [
        {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1960-05-04"},
        {
            **subject,
            "resourceType": "Encounter",
            "id": "e",
            "status": "finished",
            "class": {"code": "IMP"},
            "period": {"start": "2020-01-01T08:00:00Z", "end": "2020-01-03T10:00:00Z"},
        },
        {
            **subject,
            "resourceType": "Condition",
            "id": "c",
            "code": coded("SNOMED", "44054006"),
            "onsetDateTime": "2020-01-01T09:30:00Z",
        },
        {
            **subject,
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": coded("LOINC", "8480-6"),
            "effectiveDateTime": "2020-01-01T10:15:00Z",
            "valueQuantity": {"value": 145, "code": "mm[Hg]"},
        },
        {
            **subject,
            "resourceType": "Observation",
            "id": "o2",
            "status": "final",
            "code": coded("LOINC", "2160-0"),
            "effectiveDateTime": "2020-01-02T07:00:00Z",
            "valueQuantity": {"value": 88.42, "code": "umol/L"},
        },
        {
            **subject,
            "resourceType": "MedicationRequest",
            "id": "m",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": coded("RxNorm", "6809"),
            "authoredOn": "2020-01-02T12:00:00Z",
        },
        {
            **subject,
            "resourceType": "Procedure",
            "id": "r",
            "status": "completed",
            "code": coded("SNOMED", "301807007"),
            "performedDateTime": "2020-01-02T14:00:00Z",
        },
    ]
    folder.mkdir()
    text = "\n".join(json.dumps(resource) for resource in resources)
    (folder / "export.ndjson").write_text(text + "\n", encoding="utf-8")
    return folder


def omop(folder: Path) -> Path:
    tables = {
        "person": "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,race_concept_id,"
        "ethnicity_concept_id\n1,8532,1960,5,4,0,0",
        "visit_occurrence": "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_start_datetime,"
        "visit_end_date,visit_end_datetime,visit_type_concept_id\n"
        "1,1,9201,2020-01-01,2020-01-01 08:00:00,2020-01-03,2020-01-03 10:00:00,0",
        "condition_occurrence": "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,"
        "condition_start_datetime,condition_type_concept_id\n1,1,201826,2020-01-01,2020-01-01 09:30:00,0",
        "measurement": "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,"
        "measurement_type_concept_id,value_as_number,unit_source_value\n"
        "1,1,3004249,2020-01-01,2020-01-01 10:15:00,0,145,mmHg\n2,1,3016723,2020-01-02,2020-01-02 07:00:00,0,1.0,mg/dl",
        "drug_exposure": "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,"
        "drug_exposure_start_datetime,drug_exposure_end_date,drug_type_concept_id\n"
        "1,1,1503297,2020-01-02,2020-01-02 12:00:00,2020-01-30,38000177",
        "procedure_occurrence": "procedure_occurrence_id,person_id,procedure_concept_id,procedure_date,"
        "procedure_datetime,procedure_type_concept_id\n1,1,4273131,2020-01-02,2020-01-02 14:00:00,0",
        "concept": "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code,"
        "valid_start_date,valid_end_date,invalid_reason\n"
        + "\n".join(
            f"{n},{name},,{vocabulary},,S,{code},1970-01-01,2099-12-31,"
            for n, vocabulary, code, name in CONCEPTS
        ),
    }
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
    return folder


def told(site: ml.Site) -> pl.DataFrame:
    return site.record.events().select("code", "time", pl.col("numeric_value").round(2)).sort("code", "time")


def test_the_same_patient_by_fhir_and_by_omop(tmp_path: Path) -> None:
    by_fhir = ml.Site.create(tmp_path / "by-fhir")
    by_fhir.record.add(ml.importers.fhir(fhir(tmp_path / "fhir")))
    by_omop = ml.Site.create(tmp_path / "by-omop")
    by_omop.record.add(ml.importers.omop(omop(tmp_path / "omop")))
    left, right = told(by_fhir), told(by_omop)
    assert left.height == 9
    assert left.rows() == right.rows()
