"""Which files of a folder are images of whom, with what labels: told by the folders' names, or by a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from medloom.foundation.errors import InputError, NotFoundError

SETS: Final = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "tuning", "held_out"}
)
"""Names of folders that say who is learned from, not what is seen."""

_TOLD: Final = ("file", "patient", "time", "set", "sex", "label", "labels", "outline")
_IMAGES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".nii", ".nii.gz")
_YES: Final = frozenset({"1", "1.0", "true", "yes", "y"})
_NO: Final = frozenset({"0", "0.0", "false", "no", "n"})


@dataclass(frozen=True)
class Listed:
    """One file.

    Attributes:
        path: of the image.
        name: of the file, from the folder on.
        patient: whose; empty: not told.
        time: as told; empty: not told.
        group: the set it is of, such as `train`; empty: none.
        sex: as told; empty: not told.
        codes: of labels; with `NOT//` before those that do not hold.
        outline: file of its outlines; None: none.
        row: of the table, or place in the folder, from 1.
    """

    path: Path
    name: str
    patient: str = ""
    time: str = ""
    group: str = ""
    sex: str = ""
    codes: tuple[str, ...] = ()
    outline: Path | None = None
    row: int = 0


@dataclass(frozen=True)
class Folder:
    """Files below a folder; the folder a file lies in is its class, unless it is called like a set.

    Attributes:
        root: of all.
        patient: pattern whose groups, found in a file's name from the root on, name its patient; empty: none does.
        outlines: folder below the root, or beside each image's, with outlines of the same names; empty: none.
        labelled: whether folders are classes.
    """

    root: Path
    patient: str = ""
    outlines: str = ""
    labelled: bool = True
    _pattern: re.Pattern[str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "_pattern", re.compile(self.patient) if self.patient else None)
        except re.error:
            raise InputError(
                "patient={pattern!r} is no regular expression; write one such as (person[0-9]+)",
                pattern=self.patient,
            ) from None

    def files(self) -> list[Path]:
        """List all files, by name, hidden ones and outlines left out."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path for path in found if not self._left_out(path.relative_to(self.root)))

    def listed(self) -> Iterator[Listed]:
        """Give each file with what its name tells."""
        for row, path in enumerate(self.files(), 1):
            within = path.relative_to(self.root)
            folders = within.parts[:-1]
            groups = [one for one in folders if one.lower() in SETS]
            classes = [one for one in folders if one.lower() not in SETS]
            codes = (f"FINDING//{classes[-1]}",) if classes and self.labelled else ()
            yield Listed(
                path,
                within.as_posix(),
                self._patient(within.as_posix()),
                group=groups[0].lower() if groups else "",
                codes=codes,
                outline=self._outline(path),
                row=row,
            )

    def _left_out(self, within: Path) -> bool:
        hidden = any(part.startswith((".", "__MACOSX")) for part in within.parts)
        return hidden or (bool(self.outlines) and self.outlines in within.parts[:-1])

    def _patient(self, name: str) -> str:
        found = self._pattern.search(name) if self._pattern else None
        if found is None:
            return ""
        return "/".join(one for one in found.groups() if one) or found.group()

    def _outline(self, path: Path) -> Path | None:
        if not self.outlines:
            return None
        stem = path.name.split(".")[0]
        for folder in (
            self.root / self.outlines,
            path.parent.parent / self.outlines,
            path.parent / self.outlines,
        ):
            for found in sorted(folder.glob(f"{stem}.*")) if folder.is_dir() else ():
                return found
        return None


def listed_by(table: Path) -> Iterator[Listed]:
    """Give the files that a table names: CSV with a column `file`, and as wanted `patient`, `time`, `set`, `sex`.

    `label` names a class, `labels` several with `|` between them, `outline` a file; any other column is a finding of
    its own where its cells say yes or no, 1 or 0. Files are found from the table's folder on.

    Raises:
        InputError: it cannot be read, or has no column `file`.
        NotFoundError: there is no such table.
    """
    if not table.is_file():
        raise NotFoundError("there is no table {path!r}", path=str(table))
    if table.name.lower().endswith(_IMAGES):
        raise InputError(
            "{path!r} is a picture or a volume, not a table; name the folder it lies in", path=table.name
        )
    try:
        frame = pl.read_csv(table, infer_schema=False, encoding="utf8-lossy")
    except (pl.exceptions.PolarsError, OSError):
        raise InputError("{path!r} cannot be read as CSV with a header", path=str(table)) from None
    frame = frame.rename({name: name.strip() for name in frame.columns}).fill_null("")
    if "file" not in frame.columns:
        raise InputError(
            "{path!r} has no column `file`; it has: {columns}", path=table.name, columns=frame.columns
        )
    findings = [name for name in frame.columns if name not in _TOLD]
    for row, cells in enumerate(frame.iter_rows(named=True), 1):
        told = {name: str(cells.get(name, "")).strip() for name in _TOLD}
        classes = [told["label"], *(one.strip() for one in told["labels"].split("|"))]
        codes = [f"FINDING//{one}" for one in classes if one]
        for name in findings:
            said = str(cells[name]).strip().lower()
            if said in _YES or said in _NO:
                codes.append(f"FINDING//{name}" if said in _YES else f"NOT//FINDING//{name}")
        outline = table.parent / told["outline"] if told["outline"] else None
        yield Listed(
            table.parent / told["file"],
            told["file"],
            told["patient"],
            told["time"],
            told["set"].lower(),
            told["sex"],
            tuple(codes),
            outline,
            row,
        )
