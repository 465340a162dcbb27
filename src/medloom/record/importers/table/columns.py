"""What a column seems to hold: told from its name, in English or Chinese, and its cells."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import polars as pl

from medloom.record.importers.table import problems
from medloom.record.importers.table.mapping import MISSING
from medloom.record.importers.table.moments import read_dates, read_offsets
from medloom.record.importers.table.numbers import read_numbers

# In the order of asking: what is specific stands before what is general.
_AT = r"(_?(date|time|datetime|at))?$"
_NAMES = {
    "person": r"(^|_)(first|last|family|given|patient)_?name$|^name$|phone|address|email|^ssn$"
    r"|姓名|电话|手机|身份证|地址|住址|联系",
    "birth": r"birth|^dob$|出生|生日",
    "death": r"death_?(date|time|at$|on$|day$|dt$)|(date|time|day)_?of_?death"
    r"|(^|_)(died|deceased|death)_?(date|time|datetime|at|on|dt)$|^dod(_|$)|(死亡|去世|逝世)(日期|时间|时刻|日$)",
    # what only the end of a stay tells: a model that sees it before needs no prediction
    "outcome": r"^(?!.*(risk|score|predict|prob|history))(?:.*_)?(death|dead|died|deceased|mortality|outcome"
    r"|survived|survivor|survival|alive|vital_status|expire_flag|expired|los)(_|$)"
    r"|length_?of_?stay|(time|days|hours)_to_(death|event)"
    r"|^discharge_?(status|disposition|location|destination|type|condition)"
    r"|^(?!.*(风险|评分|预测|史)).*(死亡|结局|转归|离院方式|存活|生存|住院(天数|日数|时长)|出院(方式|情况|去向))",
    "at discharge": r"(discharge|final)_?(diagnos|dx|icd|summary|note|medication|drug)"
    r"|出院.{0,4}诊断|出院(小结|记录|带药|医嘱)",
    "admission": rf"^(admission|admit|admitted|admittime|adm){_AT}|入院(日期|时间)",
    "discharge": rf"^(discharge|discharged|disch|dischtime){_AT}|出院(日期|时间)",
    "admission number": r"住院号|住院流水号",
    "encounter": r"^(encounter|visit|admission|hadm|stay|icustay|hospitalization)_?(id|no|number|nr)$"
    r"|就诊号|就诊流水号|住院次数",
    "subject": r"^(subject|patient|pat|person|case|record|participant|client|member)"
    r"(_?(id|no|nr|num|number|identifier|key|nbr))?$"
    r"|^(mrn|pid|ptid|usubjid|subjid|study_?id|record_?id)$"
    r"|病历号|病案号|门诊号|(患者|病人|受试者)(编号|id|号|标识)?$|登记号|就诊卡号|诊疗卡号",
    "known": r"^(store|result|report|reported|issued?|verified|entry|recorded)_?(time|date|datetime|at)$"
    r"|报告(时间|日期)|审核(时间|日期)|发布时间|录入时间",
    "time": rf"^(measured|measurement|observed|observation|collected|collection|sampled|sample|specimen|drawn"
    rf"|charted|chart|performed){_AT}"
    r"|time|date|^when$|^taken|^hours?$|^minutes?$|^days?$|timestamp|时间|日期|时刻",
    "sex": r"^(sex|gender)$|性别",
    "age": r"^age$|^age_?(years|y|at.*)$|^年龄",
    "unit": r"^(unit|units|uom|valueuom|result_?units?|unit_?of_?measure)$|单位",
    "code": r"^(code|test|test_?name|item|item_?name|item_?id|parameter|param|analyte|measurement|measure"
    r"|variable|concept|concept_?code|label|lab|lab_?test|lab_?name|vital|vital_?sign|observation|loinc"
    r"|component)$|项目|指标|检验名称|检查名称|代码|编码",
    "value": r"^(value|values|result|results|result_?value|value_?num|valuenum|numeric_?value|reading"
    r"|amount|val)$|结果|数值|检验值|测定值|^值$",
}
_OFFSETS = {"hours": r"hour|小时", "minutes": r"minute|分钟", "days": r"day|天", "seconds": r"second|秒"}
_MARKS = frozenset(
    (
        ".",
        "-",
        "--",
        "---",
        "?",
        "*",
        "—",
        "——",
        "/",
        "x",
        "X",
        "unknown",
        "Unknown",
        "missing",
        "not done",
        "无",
        "不详",
        "未知",
    )
)
_PLACEHOLDERS = ("-1", "-9", "-99", "-999", "-9999")


@dataclass(frozen=True)
class Profile:
    """What is known of one column of a sample."""

    name: str
    kind: str  # a key of the names above, "moment" (another date) or "data"
    mostly_empty: bool
    empty: bool
    values: tuple[str, ...]  # the commonest cells
    dates: bool  # nearly all cells are dates
    slashed: bool  # like 03/04/2021, so that a format must be named
    month_first: bool
    ambiguous: bool  # no cell tells the month from the day
    clock: str  # the format of the time of day in slashed dates
    offset: str  # unit, if the cells can be offsets
    marks: tuple[str, ...]  # texts among numbers that look like `missing`
    negative_mark: str  # -1, -99 … among numbers that are never negative
    comma_decimals: int
    point_decimals: int
    comma_groups: int
    point_groups: int

    def taken_as(self, kind: str) -> Profile:
        """Give the same column another part to play."""
        return replace(self, kind=kind)

    @staticmethod
    def kind_of_name(name: str) -> str:
        """Guess from a name.

        >>> Profile.kind_of_name("病历号"), Profile.kind_of_name("RecordID"), Profile.kind_of_name("hr")
        ('subject', 'subject', 'data')
        """
        plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
        plain = re.sub(r"[\s\-./]+", "_", plain).lower()
        plain = re.sub(r"[_]*[(（\[].*$", "", plain)
        return next((kind for kind, pattern in _NAMES.items() if re.search(pattern, plain)), "data")


def profile(frame: pl.DataFrame, name: str) -> Profile:
    """Look at a column of trimmed text cells."""
    cells = frame[name].filter(~frame[name].is_in(list(MISSING)) & frame[name].is_not_null())
    n = max(len(cells), 1)
    kind = Profile.kind_of_name(name)
    numbers = read_numbers(cells)
    numeric = int(numbers["number"].is_not_null().sum())
    dates = read_dates(cells)
    slashed = int(cells.str.contains(r"^\d{1,2}[/-]\d{1,2}[/-]\d{4}").sum()) >= 0.9 * n
    unread = int((dates["problem"] == problems.UNREADABLE).fill_null(False).sum())
    # 20210305 is a date only where the name says so; otherwise it is a number
    are_dates = (
        len(cells) > 0
        and unread <= 0.1 * n
        and (numeric < n or kind in ("time", "birth", "death", "known", "admission", "discharge"))
    )
    first, second = (cells.str.extract(r"^(\d{1,2})[/-](\d{1,2})[/-]", g).cast(pl.Int32) for g in (1, 2))
    month_first, day_first = bool((second > 12).any()), bool((first > 12).any())
    mostly_empty = len(cells) <= 0.5 * frame.height
    kind = _settled(kind, name, are_dates, mostly_empty)
    values = cells.value_counts(sort=True)[name].head(20).to_list()
    negative = numbers["number"].filter(numbers["number"] < 0)
    placeholders = (m for m in _PLACEHOLDERS if len(negative) and bool((negative == float(m)).all()))
    negative_mark = next(placeholders, "") if len(cells) > 2 * len(negative) else ""
    return Profile(
        name=name,
        kind=kind,
        mostly_empty=mostly_empty,
        empty=len(cells) == 0,
        values=tuple(values),
        dates=are_dates,
        slashed=are_dates and slashed,
        month_first=month_first or not day_first,
        ambiguous=slashed and not (month_first or day_first),
        clock=_clock(cells) if slashed else "",
        offset=_offset(name, cells) if kind == "time" and not are_dates else "",
        marks=tuple(v for v in values if v in _MARKS) if numeric >= 0.5 * n else (),
        negative_mark=negative_mark if kind in ("data", "age", "sex") else "",
        comma_decimals=int(cells.str.contains(r"^[+-]?\d+(?:\.\d{3})*,(?:\d{1,2}|\d{4,})$").sum()),
        point_decimals=int(cells.str.contains(r"^[+-]?[\d,]+\.\d+$").sum()),
        comma_groups=int(cells.str.contains(r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$").sum()),
        point_groups=int(cells.str.contains(r"^[+-]?\d{1,3}(?:\.\d{3})+,\d+$").sum()),
    )


def _settled(kind: str, name: str, dates: bool, mostly_empty: bool) -> str:
    """Take back what a name promises and the cells do not keep."""
    if dates:
        of_death = re.search(r"death|dead|died|deceased|死亡", name.lower())
        changed = {"data": "moment", "at discharge": "moment", "outcome": "death" if of_death else "moment"}
        return changed.get(kind, kind)
    return "outcome" if kind in ("death", "discharge") and not mostly_empty else kind


def slashed_format(column: Profile) -> list[str]:
    """Write the formats of a column of dates like 03/25/2021."""
    mark = "-" if column.values and "-" in column.values[0][:3] else "/"
    date = mark.join(("%m", "%d", "%Y") if column.month_first else ("%d", "%m", "%Y"))
    return [f"{date} {column.clock}", date] if column.clock else [date]


def _clock(cells: pl.Series) -> str:
    for pattern, clock in (
        (r" \d{1,2}:\d\d:\d\d [AaPp][Mm]$", "%I:%M:%S %p"),
        (r" \d{1,2}:\d\d [AaPp][Mm]$", "%I:%M %p"),
    ):
        if cells.str.contains(pattern).any():
            return clock
    if cells.str.contains(r" \d{1,2}:\d\d:\d\d").any():
        return "%H:%M:%S"
    return "%H:%M" if cells.str.contains(r" \d{1,2}:\d\d").any() else ""


def _offset(name: str, cells: pl.Series) -> str:
    if not len(cells):
        return ""
    if read_offsets(cells, "HH:MM")["problem"].null_count() >= 0.9 * len(cells):
        return "HH:MM"
    if read_offsets(cells, "hours")["problem"].null_count() >= 0.9 * len(cells):
        return next((unit for unit, pattern in _OFFSETS.items() if re.search(pattern, name.lower())), "hours")
    return ""
