"""What was said of images and notes: the answers of tasks about them, whenever it was said; the last word counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from medloom.foundation.messages import Text2, text2
from medloom.knowledge.systems import REJECTED
from medloom.tasks.moments import Facts
from medloom.tasks.relations import Entity, Relation, as_relation_label, ends_of
from medloom.tasks.scales import Scales
from medloom.tasks.spans import Span, as_label, parts_of
from medloom.tasks.task import Task
from medloom.tasks.task_codes import TaskCodes

Step = Callable[[Text2, pl.DataFrame], pl.DataFrame]
"""Counts those who are left after a step of the cohort flow, and gives them on."""

_NOT: Final = "NOT//"
_REJECTED: Final = f"{REJECTED}//"
_READ: Final = "^(READ|REVIEW)//"
"""Of a fact that says that somebody read a note to its end."""
_PLACED: Final = ("tagging", "relations")
_NOTHING: Final = {"tagging": as_label(()), "relations": as_relation_label((), ())}


def label_items(
    task: Task, codes: TaskCodes, scales: Scales, facts: Facts, asked: pl.DataFrame, tally: Step
) -> pl.DataFrame:
    """Add `label`: what people said of each image or note; null where nobody said anything.

    What was derived from it by a model is no answer; a note of which models took facts counts as read, for places and
    relations, where a fact `READ//…` or `REVIEW//…` says so: who accepted one fact has not looked for others. Of a
    binary question the last of the event and its denial, `NOT//…`, counts; where something else was said of it, but
    neither, the answer is no. A span that was denied or rejected, `REJECTED//…`, at its very place is none, and a
    relation counts where both of its places are named. A question that names denials, `NOT//…`, is told of what was
    denied, and not of what was rejected.
    """
    said = _read_in_full(facts, _said(facts)) if task.kind in _PLACED else _said(facts)
    described = asked.join(said, on=["subject_id", "item"], how="semi", maintain_order="left")
    step = (
        text2("notes that somebody read") if task.about == "note" else text2("images that somebody described")
    )
    described = tally(step, described)
    names = {code: name for name, some in codes.predict.items() for code in some}
    answers = _answers(said, names)
    one = ["subject_id", "item", "answer", *(["span"] if task.kind in _PLACED else [])]
    last = answers.unique(one, keep="last", maintain_order=True)
    found = _found(task, scales, last)
    labelled = described.join(found, on=["subject_id", "item"], how="left", maintain_order="left")
    if task.kind == "binary":
        return labelled.with_columns(pl.col("label").fill_null(False))
    if task.kind in _NOTHING:
        return labelled.with_columns(pl.col("label").fill_null(_NOTHING[task.kind]))
    return labelled.with_columns(pl.col("label").fill_null([])) if task.kind == "multilabel" else labelled


def _said(facts: Facts) -> pl.DataFrame:
    """Give what people said of images and notes, oldest first, as it stands."""
    by_people = pl.col("derived_from").is_not_null() & pl.col("model").is_null()
    said = facts.facts.filter(by_people & pl.col("known_until").is_null())
    return said.sort("subject_id", "visible", maintain_order=True).with_columns(
        item=pl.col("derived_from").cast(pl.String)
    )


def _read_in_full(facts: Facts, said: pl.DataFrame) -> pl.DataFrame:
    """Leave out notes of which a model took facts and people judged some, but did not say that they read it all."""
    taken = facts.facts.filter(pl.col("derived_from").is_not_null() & pl.col("model").is_not_null())
    taken = taken.select("subject_id", item=pl.col("derived_from").cast(pl.String)).unique()
    read = said.filter(pl.col("code").cast(pl.String).str.contains(_READ))
    item = ["subject_id", "item"]
    open_ones = taken.join(read, on=item, how="anti")
    return said.join(open_ones, on=item, how="anti", maintain_order="left")


def _answers(said: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Give what each fact says of each answer, oldest first: `said` with `answer`, its `code`, and whether `denied`.

    That something is so says that it is not denied, and the other way round; a rejection says that it is neither.
    """
    code = pl.col("code").cast(pl.String)
    rejected, whole = code.str.starts_with(_REJECTED), code.str.strip_prefix(_REJECTED)
    negated = whole.str.starts_with(_NOT)
    bare = whole.str.strip_prefix(_NOT)
    told = said.with_row_index("_row").with_columns(code=bare, denied=rejected | negated)
    denials = said.with_row_index("_row").with_columns(code=pl.lit(_NOT) + bare, denied=rejected | ~negated)
    found = pl.concat([told, denials]).filter(pl.col("code").is_in(list(names)))
    found = found.with_columns(answer=pl.col("code").replace_strict(names, return_dtype=pl.String))
    # of a fact that bears on an answer both ways, as where the answer names a thing and its denial: that it holds
    return found.sort("_row", "denied").unique(["_row", "answer"], keep="first", maintain_order=True)


def _found(task: Task, scales: Scales, last: pl.DataFrame) -> pl.DataFrame:
    """Give the answer of each image or note: frame of `subject_id`, `item`, `label`."""
    item = ["subject_id", "item"]
    if task.kind == "binary":
        return last.select(*item, label=~pl.col("denied"))
    held = last.filter(~pl.col("denied"))
    if task.kind == "tagging":
        return _spans(held)
    if task.kind == "relations":
        return _relations(task, held)
    if task.predict.outline is not None:
        return held.select(*item, label=pl.col("asset").cast(pl.String))
    if task.predict.value is not None:
        return held.select(*item, label=scales.applied())
    grouped = held.group_by(item, maintain_order=True)
    if task.kind == "multilabel":
        return grouped.agg(label=pl.col("answer").unique().sort())
    return grouped.agg(label=pl.col("answer").last())


def _spans(held: pl.DataFrame) -> pl.DataFrame:
    """Put the spans of each note together: frame of `subject_id`, `item`, `label`."""
    found: dict[tuple[int, str], list[Span]] = {}
    placed = held.filter(pl.col("span").is_not_null()).select("subject_id", "item", "span", "answer")
    for subject, item, place, name in placed.iter_rows():
        found.setdefault((subject, item), []).append(Span(parts_of(place), name))
    return _labels(held, [(*item, as_label(spans)) for item, spans in found.items()])


def _relations(task: Task, held: pl.DataFrame) -> pl.DataFrame:
    """Put entities and relations of each note together: frame of `subject_id`, `item`, `label`."""
    by_code, names = task.predict.entities == "code", task.predict.relations or {}
    placed = held.filter(pl.col("span").is_not_null()).sort("subject_id", "item", maintain_order=True)
    rows = []
    for (subject, item), facts in placed.group_by("subject_id", "item", maintain_order=True):
        told = list(facts.select("answer", "code", "span").iter_rows())
        things: dict[tuple[str, str], set[Span]] = {}
        for name, code, place in told:
            if name not in names:
                things.setdefault((name, code if by_code else place), set()).add(Span(parts_of(place), name))
        entities = [Entity(tuple(sorted(one))) for one in things.values()]
        whose = {mention: one for one in entities for mention in one.mentions}
        related = []
        for name, _, place in told:
            if name in names:
                ends = (names[name].head, names[name].tail)
                between = [whose.get(Span(at, end)) for at, end in zip(ends_of(place), ends, strict=True)]
                related += [Relation(name, head, tail) for head, tail in [between] if head and tail]
        rows.append((subject, item, as_relation_label(entities, related)))
    return _labels(held, rows)


def _labels(held: pl.DataFrame, rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema={**held.select("subject_id", "item").schema, "label": pl.String}, orient="row"
    )
