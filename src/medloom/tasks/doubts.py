"""What a task and its answers make doubtful: codes that the record does not have, answers that nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from medloom.foundation.messages import Text2, text2
from medloom.foundation.spelling import nearest
from medloom.record.catalogue import CodeCatalogue
from medloom.tasks.task import Task

_NAMED: Final = 5  # codes that a line names, of many
_ALIKE: Final = 0.75


def doubts(task: Task, catalogue: CodeCatalogue, labels: pl.Series) -> tuple[Text2, ...]:
    """Say what is probably not meant: answers that no sample has, and codes that never occur in the record."""
    return (*_answers(task, labels), *_codes(task, catalogue))


def near_codes(code: str, catalogue: CodeCatalogue, but: Sequence[str] = ()) -> str:
    """Name the record's codes that somebody may have meant by one that it lacks, with descriptions; '' for none.

    They are of the same system and spelled nearly alike, or the same in another system.

    >>> events = pl.DataFrame({"code": ["X//outcome", "LAB//crp"], "time": [None, None]})
    >>> near_codes("X//outcom", CodeCatalogue.of_events(events))
    'X//outcome'
    """
    system, rest = _parted(code.removesuffix("*"))
    parts = {one: _parted(one) for one in catalogue.frame["code"] if one not in but}
    siblings: dict[str, list[str]] = {}
    for one, (its_system, its_rest) in parts.items():
        if its_system == system or its_rest == rest:
            siblings.setdefault(its_rest, []).append(one)
    found = [one for spelled in nearest(rest, siblings, alike=_ALIKE) for one in siblings[spelled]]
    descriptions = catalogue.descriptions()
    return ", ".join(f"{one} ({descriptions[one]})" if one in descriptions else one for one in found[:_NAMED])


def _parted(code: str) -> tuple[str, str]:
    """Part a code into its system and the rest, without regard to case and to how many slashes part them."""
    system, _, rest = code.casefold().partition("/")
    return (system, rest.lstrip("/")) if rest else ("", system)


def _answers(task: Task, labels: pl.Series) -> Iterator[Text2]:
    if task.kind == "binary" and not labels.any():
        yield text2("no sample has the outcome: nothing can be learned from these answers")
    elif task.kind == "binary" and labels.all():
        yield text2("every sample has the outcome: nothing can be learned from these answers")
    elif task.predict.classes is not None and labels.dtype in (pl.String, pl.List(pl.String)):
        given = labels if labels.dtype == pl.String else labels.explode(empty_as_null=False)
        absent = [name for name in task.predict.classes if name not in set(given)]
        if absent:
            yield text2("no sample has the answer {classes}", classes=absent)


def _codes(task: Task, catalogue: CodeCatalogue) -> Iterator[Text2]:
    """Say which codes never occur: all of a list, which is probably a mistake, or some of several spellings."""
    known = set(catalogue.frame["code"])
    parents = set(catalogue.frame["parent_codes"].explode(empty_as_null=False).drop_nulls())

    def occurs(code: str) -> bool:
        if code.endswith("*"):
            return any(one.startswith(code[:-1]) for one in known)
        return code in known or code in parents

    for key, codes in _lists(task):
        absent = [code for code in codes if not occurs(code)]
        unlike: list[str] = []
        for place, code in enumerate(absent):
            near = near_codes(code, catalogue, but=codes) if place < _NAMED else ""
            if near:
                yield text2(
                    "{key}: {code} does not occur in the record; nearest: {near}",
                    key=key,
                    code=code,
                    near=near,
                )
            else:
                unlike.append(code)
        named = unlike[:_NAMED]
        if len(unlike) > _NAMED:
            named[-1] += " …"
        if unlike and len(unlike) == len(codes):
            yield text2("{key}: no code ({codes}) occurs in the record", key=key, codes=named)
        elif unlike:
            yield text2(
                "{key}: {n} of {total} codes do not occur in the record: {codes}",
                key=key,
                n=len(unlike),
                total=len(codes),
                codes=named,
            )


def _lists(task: Task) -> Iterator[tuple[str, Sequence[str]]]:
    """Name every list of codes in a task that asks or answers, as its file does."""
    when, predict = task.prediction_time, task.predict
    yield "prediction_time.event", when.event
    yield "prediction_time.until", when.until or ()
    yield "population.has", task.population.has or ()
    for place, exclude in enumerate(task.exclude):
        yield f"exclude.{place}.event", exclude.event
    yield "observe.only", task.observe.only or ()
    yield "observe.without", task.observe.without or ()
    for key in ("event", "value", "time_to", "until"):
        yield f"predict.{key}", getattr(predict, key) or ()
    key = "classes" if predict.classes is not None else "spans"
    for name, codes in predict.named.items():
        of = "relations" if name in (predict.relations or {}) else key
        yield f"predict.{of}.{name}", codes
    if task.censor is not None:
        yield "censor.follow_up", task.censor.follow_up or ()
