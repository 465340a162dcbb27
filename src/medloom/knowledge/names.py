"""Short names that a clinician would write on a chart, in English and Chinese."""

from __future__ import annotations

from medloom.knowledge.loinc import observable

_NAMES: dict[str, tuple[str, str]] = {
    "MEDS_BIRTH": ("Birth", "出生"),
    "MEDS_DEATH": ("Death", "死亡"),
    "GENDER//F": ("Female", "女"),
    "GENDER//M": ("Male", "男"),
    "GENDER//other": ("Other gender", "其他性别"),
    "GENDER//unknown": ("Gender unknown", "性别不详"),
    "LOINC//55284-4": ("Blood pressure", "血压"),
    "LOINC//85354-9": ("Blood pressure", "血压"),
    "LOINC//72166-2": ("Smoking status", "吸烟状况"),
    "LOINC//8884-9": ("Heart rhythm", "心律"),
    "LOINC//8661-1": ("Chief complaint", "主诉"),
}
_ENCOUNTERS: dict[str, tuple[str, str]] = {
    "inpatient": ("Hospital stay", "住院"),
    "emergency": ("Emergency visit", "急诊"),
    "outpatient": ("Outpatient visit", "门诊"),
    "icu": ("Intensive care", "重症监护"),
    "home": ("Home visit", "居家诊疗"),
    "virtual": ("Remote visit", "远程诊疗"),
    "other": ("Other encounter", "其他就诊"),
}
_BOUNDS: dict[str, tuple[str, str]] = {"START": ("start", "开始"), "END": ("end", "结束")}


def name(code: str, language: str = "en") -> str | None:
    """Give the short name of a code, or None where none is known.

    `language` is 'en' or begins with 'zh'; anything else is answered in English.

    >>> name("LOINC//2160-0"), name("LOINC//2160-0", "zh")
    ('Creatinine', '肌酐')
    >>> name("ENCOUNTER//icu//START", "zh")
    '重症监护：开始'
    >>> name("ICD10CM//I10") is None
    True
    """
    chinese = language.lower().startswith("zh")
    pair = _NAMES.get(code)
    if pair is not None:
        return pair[chinese]
    if code.startswith("ENCOUNTER//"):
        return _encounter(code, chinese)
    row = observable(code) if code.startswith("LOINC//") else None
    if row is None:
        return None
    return row.zh if chinese else row.en


def _encounter(code: str, chinese: bool) -> str | None:
    _, kind, bound = [*code.split("//", 2), ""][:3]
    what, when = _ENCOUNTERS.get(kind), _BOUNDS.get(bound)
    if what is None or (bound and when is None):
        return None
    if when is None:
        return what[chinese]
    return f"{what[chinese]}{'：' if chinese else ': '}{when[chinese]}"
