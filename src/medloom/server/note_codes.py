"""Which codes a reviewer may mean: by name, in either language, or written out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from medloom.explanation.wording import code_name
from medloom.foundation.errors import InputError, MedloomError
from medloom.foundation.messages import here, language
from medloom.knowledge import systems
from medloom.learners.text.facts.dictionary import dictionary, name_of
from medloom.record.catalogue import CodeCatalogue
from medloom.site import Site
from medloom.tasks import library
from medloom.tasks.task import Task

_LONGEST: Final = 200
_OFFERED: Final = 400  # codes that a page lists


def code_meant(catalogue: CodeCatalogue, said: str, assertion: str = "") -> str:
    """Give the code of a thing, by its name or written out, with what the note says of it.

    Args:
        catalogue: of the record, whose names count too.
        said: `ICD10CM//I10`, or a name such as hypertension or 高血压.
        assertion: `NOT POSSIBLE FAMILY HISTORY PLANNED`, or nothing.

    Raises:
        InputError: it is neither, or the assertion is none.
    """
    said = " ".join(said.split())
    if assertion not in ("", *systems.ASSERTION_PREFIXES):
        raise InputError("choose what the note says of it")
    if not said or len(said) > _LONGEST:
        raise InputError("say what it is: a name, or a code such as ICD10CM//I10")
    return systems.asserted(assertion or None, _written(said) or _named(catalogue, said))


def name_shown(catalogue: CodeCatalogue, code: str) -> str:
    """Name a code without a prefix, in the reader's language where that is known.

    >>> from medloom.foundation.messages import speaking
    >>> from medloom.record.record import Record
    >>> import polars as pl
    >>> events = pl.DataFrame({"subject_id": [1], "time": [None], "code": ["A"]})
    >>> catalogue = Record.from_events(events).catalogue
    >>> with speaking("zh"):
    ...     name_shown(catalogue, "ICD10CM//I48.91")
    '心房颤动'
    """
    own = name_of(code, chinese=True) if language() == "zh" else None
    if own is not None:
        return own
    told, english = catalogue.descriptions(), name_of(code)
    return here(code_name(code, told if english is None else {code: english, **told}))


def offered(catalogue: CodeCatalogue, tasks: Iterable[Task], codes: Iterable[str]) -> list[tuple[str, str]]:
    """List codes to choose from, with their names: those that tasks ask for, then those of the note."""
    asked = [code for task in tasks for some in (task.predict.spans or {}).values() for code in some]
    plain = [code for code in asked if not code.endswith("*")]
    wanted = dict.fromkeys([*plain, *codes])
    return [(code, name_shown(catalogue, code)) for code in list(wanted)[:_OFFERED]]


def tagging_tasks(site: Site) -> list[Task]:
    """List the site's tasks that name places in notes, by name; those that cannot be read are left out."""
    found = []
    for name in library.own(site.directory):
        try:
            task = library.find(name, site.directory)
        except MedloomError:
            continue
        if task.about == "note" and task.kind == "tagging":
            found.append(task)
    return found


def _written(said: str) -> str | None:
    system, parted, value = said.partition("//")
    if not parted:
        return None
    if system in systems.PREFIXES:
        raise InputError(
            "write the code without {prefix}//; what the note says of it is chosen beside", prefix=system
        )
    return systems.code(system, value)


def _named(catalogue: CodeCatalogue, said: str) -> str:
    meanings = dictionary().meanings(said)
    if meanings:
        code = meanings[0].code
        return code.split("|")[0]
    low = said.casefold()
    for code, name in catalogue.descriptions().items():
        if name.casefold() == low and systems.split(code)[0] is None:
            return code
    raise InputError("no code is known by this name; write one, such as ICD10CM//I10 or LOCAL//name")
