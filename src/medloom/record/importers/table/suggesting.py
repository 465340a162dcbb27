"""A first draft of a mapping, from a table's header and a sample of its rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import polars as pl

from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.record.importers.table.columns import Profile, profile, slashed_format
from medloom.record.importers.table.mapping import MISSING, parse_mapping
from medloom.record.importers.table.reading import Dialect, read_head, read_rows
from medloom.record.importers.table.sources import SourceFile, Sources

SAMPLE_FILES = 20
SAMPLE_ROWS = 20_000
_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet")

_SEXES = {
    "GENDER//F": ("f", "female", "w", "weiblich", "女", "女性"),
    "GENDER//M": ("m", "male", "männlich", "男", "男性"),
}


def suggest(path: str | Path) -> str:
    """Draft the mapping of a file, folder or archive as YAML; comments say what was guessed.

    The draft is a valid mapping. In common cases (identifier, time, and a column
    a measurement or a row a measurement) it imports the file as it is.

    Raises:
        NotFoundError: there is nothing at `path`.
        InputError: no table was found there, or it is empty.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "lab.csv"
    >>> _ = file.write_text("patient_id,time,test,result\\n1,2020-01-01 08:00,Na,140\\n1,2020-01-02,K,4\\n")
    >>> print(suggest(file))
    # ...
        subject: {column: patient_id}
        time: {column: time}
        long:
          code: test
          value: result
    <BLANKLINE>
    """
    table = _sample(Path(path))
    text = "\n".join([*_opening(table), *_body(table), ""])
    parse_mapping(text, "draft")
    return text


@dataclass(frozen=True)
class _Sample:
    """What was looked at."""

    pattern: str
    many: bool
    parquet: bool
    encoding: str
    delimiter: str
    frame: pl.DataFrame  # trimmed text cells and `$file`
    columns: tuple[Profile, ...]

    def named(self, *kinds: str) -> list[Profile]:
        return [c for kind in kinds for c in self.columns if c.kind == kind]

    def first(self, *kinds: str) -> Profile | None:
        return next(iter(self.named(*kinds)), None)


def _sample(path: Path) -> _Sample:
    sources = Sources(path)
    sources.check()
    patterns = [f"**/*{ending}" for ending in _ENDINGS]
    if path.is_file() and not sources.archive:
        patterns = ["*"]
    paths = sources.paths(patterns)
    ordinals = {p: n for n, p in enumerate(paths)}
    files = list(islice(sources.files(patterns, ordinals), SAMPLE_FILES))
    if not files:
        raise InputError(
            "there is no table in {path!r}; looked for: {endings}",
            path=str(path),
            endings=_ENDINGS,
        )
    parquet = files[0].name.lower().endswith(".parquet")
    encoding, delimiter, header = ("", "", []) if parquet else read_head(files[0], Dialect())
    alike = [file for file in files if not parquet and file.size and read_head(file, Dialect())[2] == header]
    frame = _rows(alike or files[:1], encoding, delimiter)
    if not frame.height:
        raise InputError("there is not one row in {path!r}; is it the right file?", path=str(path))
    ending = next(
        (e for e in sorted(_ENDINGS, key=len, reverse=True) if files[0].name.lower().endswith(e)), ""
    )
    folder = PurePosixPath(files[0].name).parent
    many = len(paths) > 1 or len(files) > 1
    pattern = f"*{ending}" if str(folder) == "." else f"{folder}/*{ending}"
    if not ending:
        pattern = "*"
    columns = tuple(profile(frame, name) for name in frame.columns if name != "$file")
    return _Sample(pattern, many, parquet, encoding, delimiter, frame, _without_doubles(columns, frame))


def _rows(files: Sequence[SourceFile], encoding: str, delimiter: str) -> pl.DataFrame:
    frames: list[pl.DataFrame] = []
    height = 0
    dialect = Dialect(encoding or "auto", delimiter or "auto")
    for rows in read_rows(files, dialect, lambda header, _: list(header)):
        if not rows.frame.width:
            continue
        names = pl.Series("$file", [file.name for file in rows.files]).gather(rows.place.astype("uint32"))
        frames.append(rows.frame.select(pl.all().str.strip_chars()).with_columns(names))
        height += rows.frame.height
        if height >= SAMPLE_ROWS:
            break
    return pl.concat(frames).head(SAMPLE_ROWS) if frames else pl.DataFrame()


def _without_doubles(columns: Iterable[Profile], frame: pl.DataFrame) -> tuple[Profile, ...]:
    """Let one column be the subject, one the code and so on; the others are columns like any other."""
    seen: set[str] = set()
    kept = []
    for column in columns:
        single = column.kind in ("subject", "time", "known", "code", "value", "unit", "encounter")
        if column.kind == "admission number":  # a patient's, unless another column names the patient
            others = any(c.kind == "subject" for c in columns)
            column = column.taken_as("encounter" if others else "subject")
        elif single and column.kind in seen:
            column = column.taken_as("moment" if column.dates else "data")
        seen.add(column.kind)
        kept.append(column)
    if not {"code", "value"} <= seen:
        kept = [c.taken_as("data") if c.kind in ("code", "value", "unit") else c for c in kept]
    return tuple(kept)


def _opening(table: _Sample) -> list[str]:
    lines = [
        "# "
        + tr(
            "Draft of a mapping, made from the header and {n} sample rows. Check what is marked with (?).",
            n=table.frame.height,
        ),
        "# " + tr("Codes without a system become LOCAL//...: name your site here."),
        "code_system: LOCAL",
    ]
    extra = sorted({mark for column in table.columns for mark in column.marks})
    if extra:
        lines += [
            "# "
            + tr(
                "(?) These cells stand among numbers and were taken for missing: {marks}",
                marks=" ".join(extra),
            ),
            f"missing: [{', '.join(map(_quoted, [*MISSING, *extra]))}]",
        ]
    lines += ["tables:", f"  - files: [{{glob: {_quoted(table.pattern)}}}]"]
    if not table.parquet:
        if table.encoding not in ("utf-8", "utf-8-sig"):
            lines.append(f"    encoding: {table.encoding}")
        lines.append(f"    delimiter: {_quoted('tab' if table.delimiter == chr(9) else table.delimiter)}")
    numeric = [c for c in table.columns if c.kind in ("value", "data", "age")]
    if sum(c.comma_decimals for c in numeric) > sum(c.point_decimals for c in numeric):
        lines += ["    # " + tr("(?) Numbers like 1,5 were taken for decimal commas."), '    decimal: ","']
        if any(c.point_groups for c in numeric):
            lines.append('    thousands: "."')
    elif any(c.comma_groups for c in numeric):
        lines += [
            "    # " + tr("(?) Commas in numbers like 1,234 were taken for thousands."),
            '    thousands: ","',
        ]
    return lines


def _body(table: _Sample) -> list[str]:
    lines: list[str] = []
    subject = _subject(table, lines)
    encounter = table.first("encounter")
    time = _time(table, lines)
    if (known := table.first("known")) and known.dates and time is not None and time.name != known.name:
        lines.append(f"    known: {_moment(known)}")
    if encounter is not None:
        lines.append(f"    encounter: {_quoted(encounter.name)}")
    code, value = table.first("code"), table.first("value")
    if code and value:
        lines += ["    long:", f"      code: {_quoted(code.name)}", f"      value: {_quoted(value.name)}"]
        if unit := table.first("unit"):
            lines.append(f"      unit: {_quoted(unit.name)}")
    used = {c.name for c in (subject, encounter, time, known if time else None) if c}
    used |= {c.name for c in table.named("code", "value", "unit")} if code and value else set()
    rest = [c for c in table.columns if c.name not in used]
    return lines + _columns(table, rest, subject, time) + _events(rest, time, encounter)


def _subject(table: _Sample, lines: list[str]) -> Profile | None:
    column = table.first("subject")
    if column is not None:
        lines.append(f"    subject: {{column: {_quoted(column.name)}}}")
        return column
    code, value = table.first("code"), table.first("value")
    if code and value:
        names = table.frame[code.name].unique().to_list()
        if row := next((n for n in names if n and Profile.kind_of_name(n) == "subject"), None):
            lines.append("    # " + tr("(?) The patient was taken from the row of this name in each file."))
            lines.append(f"    subject: {{row: {_quoted(row)}}}")
            return None
    if table.many and table.frame["$file"].str.contains(r"\d").all():
        lines.append(
            "    # " + tr("(?) No column names the patient: the number in the file's name was taken.")
        )
        lines.append(r"    subject: {file: '(\d+)[^/\d]*$'}")
        return None
    column = table.columns[0]
    lines.append("    # " + tr("(?) No column names the patient: the first one was taken."))
    lines.append(f"    subject: {{column: {_quoted(column.name)}}}")
    return column


def _time(table: _Sample, lines: list[str]) -> Profile | None:
    dated = [c for c in table.columns if c.dates and c.kind in ("time", "admission", "moment", "known")]
    if dated:
        column = min(dated, key=lambda c: ("time", "admission", "moment", "known").index(c.kind))
        if column.ambiguous:
            lines.append(
                "    # " + tr("(?) Is the month or the day first? Check the format of every date below.")
            )
        if column.kind == "admission":
            lines.append(
                "    # "
                + tr(
                    "(?) Rows are dated at admission; what became known later needs its own time, or `known`."
                )
            )
        lines.append(f"    time: {_moment(column)}")
        return column
    counted = next((c for c in table.named("time") if c.offset), None)
    if counted is None:
        lines.append(
            "    # " + tr("(?) No time was found: every column is taken for static, for what holds always.")
        )
        return None
    lines.append("    # " + tr("(?) Times count from an unknown moment: every patient is set to begin here."))
    lines.append("    base: {at: 2000-01-01T00:00}")
    lines.append(f"    time: {{column: {_quoted(counted.name)}, offset: {_quoted(counted.offset)}}}")
    return counted


def _columns(table: _Sample, rest: list[Profile], subject: Profile | None, time: Profile | None) -> list[str]:
    items: list[str] = []
    for column in rest:
        if column.kind == "person":
            items.append("      # " + tr("Identifies a person: left out."))
            items.append(f"      {_quoted(column.name)}: {{ignore: true}}")
            continue
        if _happens(column) or (column.kind == "at discharge" and _discharge(rest)):
            continue
        if column.kind in ("outcome", "at discharge"):
            items.append(
                "      # "
                + (
                    tr("(?) Known only at the end: give it its own time, or ignore it.")
                    if column.kind == "outcome"
                    else tr("(?) Known at discharge: give it the time of discharge, or ignore it.")
                )
            )
            items.append(f"      {_quoted(column.name)}: {{ignore: true}}")
            continue
        parts: list[str] = []
        static = time is None or column.kind in ("sex", "age") or _constant(table, column, subject)
        if column.kind == "sex":
            parts.append(f"code: {_quoted('GENDER//{value}')}")
            known = {v.lower(): code for code, spellings in _SEXES.items() for v in spellings}
            values = {v: known[v.lower()] for v in column.values if v.lower() in known}
            if values:
                parts.append(
                    "values: {" + ", ".join(f"{_quoted(v)}: {code}" for v, code in values.items()) + "}"
                )
            else:
                items.append("      # " + tr("(?) Say which value is GENDER//F and which GENDER//M."))
        if column.kind == "age":
            parts.append("unit: a")
        if static:
            parts.append("static: true")
        if column.negative_mark:
            parts.append(f"missing: [{column.negative_mark}]")
        items.append(f"      {_quoted(column.name)}: {{{', '.join(parts)}}}")
    return ["    columns:", *items] if items else []


def _happens(column: Profile) -> bool:
    """Tell whether a column says when something happened, be it empty in the sample."""
    if column.kind in ("birth", "death", "admission", "discharge") and column.mostly_empty:
        return True
    return column.dates and not column.empty and column.kind != "person"


def _discharge(rest: list[Profile]) -> Profile | None:
    return next((c for c in rest if c.kind == "discharge" and _happens(c)), None)


def _events(rest: list[Profile], time: Profile | None, encounter: Profile | None) -> list[str]:
    codes = {
        "birth": "MEDS_BIRTH",
        "death": "MEDS_DEATH",
        "admission": "ENCOUNTER//inpatient//START",
        "discharge": "ENCOUNTER//inpatient//END",
    }
    items: list[str] = []
    dated = [c for c in rest if _happens(c)]
    if time is not None and time.kind == "admission":
        dated = [time, *dated]
    for column in dated:
        parts = [f"code: {_quoted(codes.get(column.kind, column.name))}", f"at: {_moment(column)}"]
        if column.kind in ("birth", "death"):
            parts += ["each: subject", "role: demographic"]
        if column.kind in ("admission", "discharge") and encounter is not None:
            parts.append("each: encounter")
        if column.kind == "death":
            items.append(
                "      # " + tr("(?) Taken for the time of death; of a patient the first one counts.")
            )
        items.append(f"      - {{{', '.join(parts)}}}")
    discharge = _discharge(rest)
    for column in (c for c in rest if c.kind == "at discharge" and discharge is not None):
        assert discharge is not None
        parts = [
            f"code: {_quoted(column.name)}",
            f"at: {_moment(discharge)}",
            f"value: {_quoted(column.name)}",
        ]
        if re.search(r"diagnos|dx|icd|诊断", column.name.lower()):
            parts.append("role: condition")
        # each row: a stay may have several, and those that are repeated are duplicates
        items.append("      # " + tr("(?) Known at discharge, so dated there."))
        items.append(f"      - {{{', '.join(parts)}}}")
    return ["    events:", *items] if items else []


def _moment(column: Profile) -> str:
    if column.slashed:
        formats = ", ".join(_quoted(f) for f in slashed_format(column))
        return f"{{column: {_quoted(column.name)}, format: [{formats}]}}"
    return f"{{column: {_quoted(column.name)}}}"


def _constant(table: _Sample, column: Profile, subject: Profile | None) -> bool:
    """Tell whether a column never changes within a subject, where subjects have several rows."""
    whose = subject.name if subject else "$file"
    if whose == column.name or column.empty:
        return False
    counts = (
        table.frame.filter(pl.col(column.name) != "")
        .group_by(whose)
        .agg(n=pl.len(), distinct=pl.col(column.name).n_unique())
    )
    several = counts.filter(pl.col("n") > 1)
    return several.height >= 3 and several["distinct"].max() == 1 and counts.height * 1.5 <= counts["n"].sum()


def _quoted(text: str) -> str:
    """Write a text as a YAML scalar."""
    return (
        text
        if re.fullmatch(r"[A-Za-z\u4e00-\u9fff][\w\u4e00-\u9fff]*", text)
        else json.dumps(text, ensure_ascii=False)
    )
