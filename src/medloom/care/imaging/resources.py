"""A reading as FHIR R4: ImagingStudy, an Observation a measurement, and a DiagnosticReport that is preliminary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from medloom.care.imaging import coded
from medloom.care.imaging.measurements import Group, Measure, groups, left_out
from medloom.care.imaging.objects import modalities
from medloom.care.imaging.reading import Reading, is_chance
from medloom.foundation.clock import Clock
from medloom.foundation.hashing import digest
from medloom.foundation.messages import Text2, text2, tr
from medloom.knowledge.fhir_terms import HL7, OWN, Json, coding, concept, device_id, extension, quantity, said
from medloom.loop.advice import Answer

if TYPE_CHECKING:
    from pydicom import Dataset

_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_UIDS: Final = "urn:dicom:uid"
_RADIOLOGY: Final = coding(HL7 + "v2-0074", "RAD", "Radiology")
_IMAGING: Final = coding(HL7 + "observation-category", "imaging", "Imaging")
_STUDY: Final = "LOINC//18748-4"  # Diagnostic imaging study
_SIDES: Final = {"left": coded.LEFT, "right": coded.RIGHT}


def bundle(reading: Reading, clock: Clock, derived: Sequence[Dataset] = ()) -> Json:
    """Give a reading as a collection: the report first, then the study it is of, then what was measured.

    Patients are told by their pseudonyms, as everywhere in Medloom's FHIR; of an image that is no DICOM there is no
    ImagingStudy.

    Args:
        reading: of an image.
        clock: of the site.
        derived: DICOM objects that were made of the reading; the study lists them.
    """
    observations = _observations(reading, clock)
    study = [] if not reading.source.is_dicom else [imaging_study(reading, clock, derived)]
    made = [diagnostic_report(reading, clock, observations), *study, *observations]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": clock.written(reading.made),
        "entry": [{"fullUrl": f"{OWN}{one['resourceType']}:{one['id']}", "resource": one} for one in made],
    }


def imaging_study(reading: Reading, clock: Clock, derived: Sequence[Dataset] = ()) -> Json:
    """Tell of the study that the image is of, with its own series and those that were made of it."""
    instances = reading.source.instances
    series = [_series(instances)]
    by_series: dict[str, list[Dataset]] = {}
    for one in derived:
        by_series.setdefault(str(one.SeriesInstanceUID), []).append(one)
    series += [_series(some, described=True) for some in by_series.values()]
    made: Json = {
        "resourceType": "ImagingStudy",
        "id": _id("study", str(instances[0].StudyInstanceUID)),
        "identifier": [{"system": _UIDS, "value": f"urn:oid:{instances[0].StudyInstanceUID}"}],
        "status": "available",
        "modality": [coding(_DCM, modalities(instances))],
        "subject": _subject(reading),
        "numberOfSeries": len(series),
        "numberOfInstances": sum(one["numberOfInstances"] for one in series),
        "series": series,
    }
    if reading.taken is not None:
        made["started"] = clock.written(reading.taken)
    return made


def diagnostic_report(reading: Reading, clock: Clock, observations: Sequence[Json]) -> Json:
    """Tell what was found in words; preliminary, for nobody has verified it."""
    made: Json = {
        "resourceType": "DiagnosticReport",
        "id": _id("report", *reading.identity),
        "extension": [
            extension("model", valueString=reading.reader.model),
            extension("package", valueString=reading.reader.package),
        ],
        "status": "preliminary",
        "category": [{"coding": [_RADIOLOGY]}],
        "code": concept(_STUDY, {_STUDY: "Diagnostic imaging study"}),
        "subject": _subject(reading),
        "effectiveDateTime": clock.written(reading.taken or reading.made),
        "issued": clock.written(reading.made),
        "conclusion": "\n".join(map(said, conclusion(reading))),
    }
    if observations:
        made["result"] = [{"reference": f"Observation/{one['id']}"} for one in observations]
    if reading.source.is_dicom:
        study = _id("study", str(reading.source.instances[0].StudyInstanceUID))
        made["imagingStudy"] = [{"reference": f"ImagingStudy/{study}"}]
    return made


def conclusion(reading: Reading) -> list[Text2]:
    """Say what was found, a sentence a thing, and what that is worth."""
    sentences = [_in_words(one) for one in groups(reading)]
    title = Text2(reading.question.title.en, reading.question.title.zh)
    sentences += [_answer_in_words(reading, title, one) for one in reading.answers]
    return [
        *sentences,
        *left_out(reading),
        *([_approximate()] if reading.approximate and groups(reading) else []),
        text2("Read by {model}; a clinician decides.", model=reading.reader.model),
        text2("For research and evaluation, not cleared as a medical device."),
    ]


def _approximate() -> Text2:
    return text2(
        "Marks are approximate ellipses or ellipsoids around what was found, not outlines; sizes are those of the"
        " marks."
    )


def _observations(reading: Reading, clock: Clock) -> list[Json]:
    made = [_observation(reading, clock, group, one) for group in groups(reading) for one in group.measures]
    return made + [_answer(reading, clock, one) for one in reading.answers]


def _observation(reading: Reading, clock: Clock, group: Group, one: Measure) -> Json:
    name = one.term if one.derivation is None else coded.own(f"{one.derivation.meaning} {one.term.meaning}")
    code = name.concept()
    code["text"] = f"{group.name}: {name.meaning}"
    made = _begun(reading, clock, "measure", group.tracking, name.code) | {
        "code": code,
        "valueQuantity": quantity(one.value, one.unit),
    }
    kind = group.structure.type
    site = group.structure.site
    side = [] if group.side is None else [_SIDES[group.side].concept()["coding"][0]]
    if site is not None:
        made["bodySite"] = {
            "coding": [*site.concept()["coding"], *side],
            "text": site.meaning if group.side is None else f"{group.side} {site.meaning.lower()}",
        }
    made["component"] = [
        {"code": coded.own("Finding").concept(), "valueCodeableConcept": kind.concept()},
        {"code": coded.own("Tracking").concept(), "valueString": group.tracking},
    ]
    if reading.approximate:
        made["note"] = [{"text": said(_approximate())}]
    return made


def _answer(reading: Reading, clock: Clock, one: Answer) -> Json:
    question = reading.question
    own = question.task if one.output in ("true", "value") else f"{question.task}: {one.output}"
    percent = is_chance(question)
    factor, unit = (100.0, "%") if percent else (1.0, question.unit or "1")
    made = _begun(reading, clock, "answer", *reading.identity, one.output) | {
        "code": {
            "coding": [coding(f"{OWN}task:{question.task}", one.output)],
            "text": said(Text2(question.title.en, question.title.zh)) if own == question.task else own,
        },
        "valueQuantity": quantity(one.value * factor, unit),
    }
    if one.low is not None and one.high is not None:
        limits = {"low": quantity(one.low * factor, unit), "high": quantity(one.high * factor, unit)}
        made["extension"] = [extension("prediction-range", valueRange=limits)]
    return made


def _begun(reading: Reading, clock: Clock, *what: object) -> Json:
    made: Json = {
        "resourceType": "Observation",
        "id": _id(*what),
        "status": "preliminary",
        "category": [{"coding": [_IMAGING]}],
        "subject": _subject(reading),
        "effectiveDateTime": clock.written(reading.taken or reading.made),
        "issued": clock.written(reading.made),
        "device": {
            "reference": f"Device/{device_id(reading.reader.model)}",
            "display": reading.reader.model,
        },
        "note": [{"text": tr("It proposes; a clinician decides.")}],
    }
    if reading.source.is_dicom:
        study = _id("study", str(reading.source.instances[0].StudyInstanceUID))
        made["derivedFrom"] = [{"reference": f"ImagingStudy/{study}"}]
    return made


def _series(instances: Sequence[Dataset], described: bool = False) -> Json:
    first = instances[0]
    made: Json = {
        "uid": str(first.SeriesInstanceUID),
        "modality": coding(_DCM, modalities(instances)),
        "numberOfInstances": len(instances),
        "instance": [
            {
                "uid": str(one.SOPInstanceUID),
                "sopClass": coding("urn:ietf:rfc:3986", f"urn:oid:{one.SOPClassUID}"),
            }
            for one in instances
        ],
    }
    if str(first.get("SeriesNumber", "") or "").isdecimal():
        made["number"] = int(first.SeriesNumber)
    if described and first.get("SeriesDescription"):
        made["description"] = str(first.SeriesDescription)
    return made


def _subject(reading: Reading) -> Json:
    if reading.subject_id is None:
        return {"display": tr("a person who is not named")}
    return {"reference": f"Patient/{reading.subject_id}"}


def _id(*what: object) -> str:
    return digest([str(one) for one in what])[:32]


def _in_words(group: Group) -> Text2:
    sizes = [
        f"{one.term.meaning.lower()} {one.value:.3g} {_read(one.unit)}"
        for one in group.measures
        if one.derivation is None
    ]
    name = group.name if group.side is None or group.side in group.name else f"{group.name} ({group.side})"
    return Text2(f"{name}: {', '.join(sizes)}.", f"{name}：{'，'.join(sizes)}。")


def _answer_in_words(reading: Reading, title: Text2, one: Answer) -> Text2:
    name = "" if one.output in ("true", "value") else f" ({one.output})"
    unit = reading.question.unit or ""
    shown = f"{one.value:.1%}" if is_chance(reading.question) else f"{one.value:.3g} {unit}".strip()
    return Text2(f"{title.en}{name}: {shown}.", f"{title.zh}{name}：{shown}。")


def _read(unit: str) -> str:
    return {"mm3": "mm³", "mm2": "mm²"}.get(unit, unit)
