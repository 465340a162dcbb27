"""The service `risk`: a released model's answer about one patient, made into advice, stored, and made again."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import orjson
from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from medloom import api
from medloom.database.audit import Entry
from medloom.database.engine import Database
from medloom.database.metadata import utc_now
from medloom.database.tables.serving import advice as advice_table
from medloom.database.tables.serving import advice_input
from medloom.explanation.image_places import in_ninths
from medloom.explanation.pushes import as_many
from medloom.explanation.wording import readable
from medloom.foundation.errors import IntegrityError, NotFoundError
from medloom.foundation.messages import Text2, text2
from medloom.loop.advice import Advice, Answer, Reason
from medloom.loop.board import main_answers
from medloom.loop.releases import Actor
from medloom.loop.serving import Served
from medloom.site import Site
from medloom.stressing import unlike
from medloom.tasks import library, models
from medloom.tasks.asking import Asker
from medloom.tasks.history import History
from medloom.tasks.model import Model
from medloom.tasks.package import package_digest
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples

SERVICE: Final = "risk"
_LOOKED_THROUGH: Final = 20  # advice about one input, some of it asked for without reasons
_KNOWN: Final = select(advice_input.c.digest).where(
    advice_input.c.digest.in_(bindparam("digests", expanding=True))
)
_KEEP_INPUT: Final = {
    "sqlite": sqlite.insert(advice_input).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(advice_input).on_conflict_do_nothing(),
}
_KEEP: Final = insert(advice_table)
_CLOSE: Final = 1e-9  # answers on another machine may differ in the last digits


@dataclass(frozen=True)
class Given:
    """Advice and the input it was made from."""

    advice: Advice
    history: History

    @cached_property
    def content(self) -> dict[str, Any]:
        """Give the advice as JSON."""
        return self.advice.to_json()


def advise(
    served: Served,
    sample: Samples,
    against: tuple[Text2, ...] = (),
    *,
    explain: bool = True,
    record_digest: str = "",
) -> Given:
    """Let a released model answer about one sample; as `advise_each`."""
    (given,) = advise_each(served, sample, against, explain=explain, record_digest=record_digest)
    return given


def advise_each(
    served: Served,
    samples: Samples,
    against: tuple[Text2, ...] = (),
    *,
    explain: bool = True,
    record_digest: str = "",
) -> list[Given]:
    """Let a released model answer about some samples, and say of each what a reader needs to weigh the answer.

    Advice about one is the same whoever else is asked about.

    Args:
        served: the model.
        samples: of each patient one; in memory at once.
        against: why the task itself would not ask now, where it would not.
        explain: whether to say why, and how unlike those it learned from the patient is.
        record_digest: of the record asked; empty: found here, which takes a while on large records.
    """
    held = samples.held()
    histories = held.history().each()
    predictions = served.model.predict(held)
    answers = _answers(predictions, len(held))
    mains = _mains(answers, predictions, held)
    made, threshold = utc_now(), served.release.threshold
    rows = (held.frame[name].to_list() for name in ("subject_id", "prediction_time", "split"))
    given = []
    for place, (subject, moment, split) in enumerate(zip(*rows, strict=True)):
        output, value = mains[place]
        advice = Advice(
            id=secrets.token_hex(16),
            service=SERVICE,
            model=str(served.name),
            package=served.release.package,
            question=held.question,
            subject_id=subject,
            prediction_time=moment,
            made=made,
            answers=answers[place],
            output=output,
            input_digest=histories[place].digest(),
            record_digest=record_digest or held.record_digest,
            evidence=served.evidence,
            alert=None if threshold is None else value >= threshold,
            cautions=(*against, *_met_before(split), *_tested(served, held, value)),
        )
        if explain:
            advice = _explained(served, held.at(place), advice)
        given.append(Given(advice, histories[place]))
    return given


def keep(
    database: Database, given: Given, by: Actor, via: str, *, audited: bool = True
) -> Callable[[Connection], None]:
    """Give the work that stores advice with its input, and tells of it in the audit log; hand it to `write`.

    Args:
        database: to be written into.
        given: what is kept.
        by: who asked.
        via: by which way.
        audited: whether the log tells of it here.
    """
    return keep_each(database, [(given, by, via)], audited=audited)


def keep_each(
    database: Database, given: Sequence[tuple[Given, Actor, str]], *, audited: bool = True
) -> Callable[[Connection], None]:
    """Give the work that stores advice of several, with who asked and by which way; as `keep`."""
    # in the same order in every process, so that none waits for another that waits for it
    inputs = dict(sorted({one.advice.input_digest: one.history for one, _, _ in given}.items()))
    rows = [_row(one, by, via) for one, by, via in given]
    entries = [
        Entry(
            by.name, by.role, "advice.given", one.advice.subject_id, target=one.advice.id, detail={"via": via}
        )
        for one, by, via in given
    ]

    def work(connection: Connection) -> None:
        known = set(connection.execute(_KNOWN, {"digests": list(inputs)}).scalars())
        new = [
            {"digest": digest, "content": history.to_bytes()}
            for digest, history in inputs.items()
            if digest not in known
        ]
        if new:
            # another process may be keeping the same
            connection.execute(_KEEP_INPUT[connection.dialect.name], new)
        connection.execute(_KEEP, rows)
        if audited:
            database.audit.append(connection, *entries)

    return work


def find(database: Database, advice_id: str) -> Advice:
    """Find stored advice.

    Raises:
        NotFoundError: there is none.
    """
    with database.reading() as connection:
        content = connection.execute(
            select(advice_table.c.content).where(advice_table.c.id == advice_id)
        ).scalar()
    if content is None:
        raise NotFoundError("there is no advice {advice!r}", advice=advice_id)
    return Advice.from_json(json.loads(content))


def standing(database: Database, served: Served, sample: Samples) -> Advice | None:
    """Find the latest advice, with reasons, that this release gave from this very input: nobody is told the same twice.

    Args:
        database: where advice is stored.
        served: the model.
        sample: exactly one.
    """
    held = sample.held()
    query = (
        select(advice_table.c.content)
        .where(
            advice_table.c.subject_id == int(held.frame["subject_id"][0]),
            advice_table.c.model == str(served.name),
            advice_table.c.package == served.release.package,
            advice_table.c.prediction_time == held.frame["prediction_time"][0].isoformat(),
            advice_table.c.input == held.history().digest(),
        )
        .order_by(advice_table.c.made.desc())
        .limit(_LOOKED_THROUGH)
    )
    with database.reading() as connection:
        contents = connection.execute(query).scalars().all()
    threshold = served.release.threshold
    for content in contents:
        told = Advice.from_json(json.loads(content))
        alert = None if threshold is None else told.answer.value >= threshold
        if told.baseline is not None and told.alert == alert:
            return told
    return None


@dataclass(frozen=True)
class Reproduced:
    """What came out when stored advice was made again.

    Attributes:
        advice: as it was given.
        answers: as they come out now, from the input that was stored.
        same: whether they are the same, up to rounding.
        record_says_the_same: whether the record, asked about the same moment, still gives this input; facts that
            came late or were corrected change it. None: the patient is no longer in it.
    """

    advice: Advice
    answers: tuple[Answer, ...]
    same: bool
    record_says_the_same: bool | None


def reproduce(site: Site, database: Database, advice_id: str) -> Reproduced:
    """Make stored advice again, from the model and the input that were used.

    Raises:
        NotFoundError: there is no such advice, or its model is gone.
        IntegrityError: the model's package or the stored input is another one.
    """
    told = find(database, advice_id)
    name = site.model_name(told.model)
    if package_digest(models.directory(site.directory, name)) != told.package:
        raise IntegrityError("the package of {model} is not the one that gave this advice", model=told.model)
    with database.reading() as connection:
        content = connection.execute(
            select(advice_input.c.content).where(advice_input.c.digest == told.input_digest)
        ).scalar()
    if content is None:
        raise NotFoundError("the input of advice {advice!r} is not stored", advice=advice_id)
    history = History.from_bytes(content)
    if history.digest() != told.input_digest:
        raise IntegrityError("the stored input of advice {advice!r} was altered", advice=advice_id)
    asker = Asker(library.find(name.task, site.directory), site.record)
    answers = _answers_again(models.load(site.directory, name), asker, told, history)
    return Reproduced(told, answers, _alike(answers, told.answers), _still(asker, told))


def _answers_again(model: Model, asker: Asker, told: Advice, history: History) -> tuple[Answer, ...]:
    sample = asker.with_history(told.prediction_time, told.subject_id, history)
    predictions = model.predict(sample)
    (answers,) = _answers(predictions, 1)
    return answers


def _still(asker: Asker, told: Advice) -> bool | None:
    try:
        sample, _ = asker.at(told.prediction_time, told.subject_id)
    except NotFoundError:
        return None
    return sample.held().history().digest() == told.input_digest


def _alike(first: tuple[Answer, ...], second: tuple[Answer, ...]) -> bool:
    return len(first) == len(second) and all(
        a.output == b.output
        and a.end == b.end
        and math.isclose(a.value, b.value, rel_tol=_CLOSE, abs_tol=_CLOSE)
        for a, b in zip(first, second, strict=True)
    )


def _explained(served: Served, held: Samples, made: Advice) -> Advice:
    explanation = served.model.explain(held)
    explanation = replace(explanation, frame=in_ninths(explanation.frame))
    catalogue = served.site.record.catalogue
    descriptions, units = catalogue.descriptions(), catalogue.units()
    top = explanation.top(int(held.frame["sample_id"][0]), as_many(explanation.frame), made.output)
    baseline = dict(explanation.baseline.select("output", "value").iter_rows())
    trained = api.Trained(served.model, held, served.name)
    far = unlike(trained, held, descriptions, units)
    return replace(
        made,
        reasons=tuple(
            Reason(
                row["input"],
                row["code"],
                row["value"],
                row["contribution"],
                readable(row["input"], row["value"], descriptions, units),
            )
            for row in top.iter_rows(named=True)
        ),
        baseline=baseline[made.output],
        scale=explanation.scale,
        unlike=None if far is None else far.said,
        cautions=made.cautions if far is None or far.caution is None else (*made.cautions, far.caution),
    )


def _row(given: Given, by: Actor, via: str) -> dict[str, Any]:
    advice = given.advice
    return {
        "id": advice.id,
        "made": advice.made,
        "service": advice.service,
        "model": advice.model,
        "package": advice.package,
        "subject_id": advice.subject_id,
        "prediction_time": advice.prediction_time.isoformat(),
        "output": advice.output,
        "value": advice.answer.value,
        "input": advice.input_digest,
        "asked_by": by.name,
        "via": via,
        "content": orjson.dumps(given.content).decode(),
    }


def _answers(predictions: Predictions, n: int) -> list[tuple[Answer, ...]]:
    """Give the answers about each of n samples: all have as many."""
    columns = (
        predictions.frame[name].to_list() for name in ("output", "value", "low", "high", "in_set", "end")
    )
    rows = list(zip(*columns, strict=True))
    each = len(rows) // max(n, 1)
    return [tuple(Answer(*row) for row in rows[place * each : (place + 1) * each]) for place in range(n)]


def _mains(
    answers: Sequence[tuple[Answer, ...]], predictions: Predictions, samples: Samples
) -> list[tuple[str, float]]:
    """Give of each sample the output that stands for all, and its value."""
    if all(len(one) == 1 for one in answers):
        return [(one.output, one.value) for (one,) in answers]
    main = main_answers(predictions, samples).select("sample_id", "output", "value")
    of_sample = {number: (output, value) for number, output, value in main.iter_rows()}
    return [of_sample[number] for number in samples.frame["sample_id"]]


def _met_before(split: str) -> list[Text2]:
    """Warn where the model learned from this very patient."""
    if split == "held_out":
        return []
    return [text2("The model may have been made with this patient's record: its answer may be too sure.")]


def _tested(served: Served, samples: Samples, value: float) -> list[Text2]:
    """Say what testing found of such risks."""
    if samples.question.kind != "binary" or served.tested is None:
        return []
    caveat = served.tested.caveat(value)
    return [] if caveat is None else [caveat]
