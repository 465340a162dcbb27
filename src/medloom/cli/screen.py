"""What the command line shows: text and tables; progress on standard error; with `--json` one object, no more."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from medloom.evidence.section import Section
from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.foundation.files import write_text
from medloom.foundation.messages import LANGUAGES, Text2, language, tr
from medloom.foundation.progress import Advance, listening

_json_file: ContextVar[Path | None] = ContextVar("medloom_json_file", default=None)


def out() -> Console:
    """Give the console of standard output."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def say(text: str = "") -> None:
    """Print a line, as it is."""
    out().print(text, markup=False)


def spoken(text: Text2) -> str:
    """Give a text in the current language."""
    return text[LANGUAGES.index(language())]


def command(text: str) -> None:
    """Print a command to be copied: in one line whatever the width."""
    out().print(f"    {text}", markup=False, soft_wrap=True)


def program() -> str:
    """Say how to start Medloom again: by its name where the shell finds this one, else as it was started."""
    started = sys.argv[0]
    name = Path(started).name
    found = shutil.which(name)
    ours = found is not None and Path(found).resolve() == Path(started).resolve()
    return name if ours or name == started else started


def heading(text: str) -> None:
    """Print a heading."""
    console = out()
    console.print()
    console.print(text, style="bold", markup=False)


def error(text: str) -> None:
    """Print an error, in one line whatever the width."""
    Console(stderr=True, highlight=False).print(f"medloom: {text}", style="red", markup=False, soft_wrap=True)


def warning(text: str) -> None:
    """Print what is probably not meant, in one line whatever the width."""
    said = tr("Warning: {text}", text=text)
    Console(stderr=True, highlight=False).print(said, style="yellow", markup=False, soft_wrap=True)


def json(value: object) -> None:
    """Print one JSON object and nothing else; or write it, where `--json` named a file."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    text = orjson.dumps(value, option=options, default=str).decode() + "\n"
    file = _json_file.get()
    if file is None:
        sys.stdout.write(text)
    else:
        write_text(file, text)


@contextmanager
def json_goes_to(file: Path | None) -> Iterator[None]:
    """Let `json` write into a file inside the block; None: to standard output."""
    token = _json_file.set(file)
    try:
        yield
    finally:
        _json_file.reset(token)


def loaded(group: registry.Group) -> Iterator[tuple[str, Any]]:
    """Give what is registered, by name; what cannot be loaded is warned of and left out."""
    for name in registry.registered(group):
        try:
            yield name, registry.load(group, name)
        except InputError as error:
            warning(str(error))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()) -> None:
    """Print a table; `right` names the columns of numbers."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        drawn.add_column(column, justify="right" if position in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*("" if cell is None else str(cell) for cell in row))
    out().print(drawn)


def section(shown: Section) -> None:
    """Print what was found out: its sentences and its tables."""
    for sentence in shown.sentences:
        say(spoken(sentence))
    for one in shown.tables:
        say()
        rows = [
            [spoken(each.text) + (f" ({spoken(each.detail)})" if each.detail else "") for each in row]
            for row in one.rows
        ]
        table([spoken(name) for name in one.head], rows)


@contextmanager
def showing_progress(quiet: bool = False) -> Iterator[None]:
    """Show the progress of all work inside the block on standard error, when a person looks."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        TextColumn(tr("time left")),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:

        @contextmanager
        def listener(description: str, total: float | None) -> Iterator[Advance]:
            bar = bars.add_task(description, total=total)
            try:
                yield lambda units: bars.advance(bar, units)
            finally:
                bars.remove_task(bar)

        with listening(listener):
            yield
