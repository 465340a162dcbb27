"""The command `explain`: why a model answers as it does for one patient, and what it rests on as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import polars as pl
import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SeedOption, SiteOption
from medloom.cli.overall import OVERALL, Whole, on_the_whole
from medloom.cli.people import PatientOption, SystemOption, TimeOption, at_time, subject_of
from medloom.cli.placed import places_told, show_places
from medloom.cli.predicted import at_times
from medloom.cli.told import Names, Told
from medloom.explanation import counterfactual, similar
from medloom.explanation.attention import ATTENTION, attention_note
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.site import Site
from medloom.tasks.kinds import POSITIVE
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples

if TYPE_CHECKING:
    from medloom.api import Trained

REASONS: Final = ("own", "shap", "kernel", "lime", "rollout")
ONE_PATIENT: Final = (*REASONS, "counterfactual", "similar")
_SHOWN: Final = 12


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "explain",
        help=tr("Tell why a model answers as it does for one subject, or what it rests on overall."),
    )(explain)


def explain(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    subject: Annotated[str | None, typer.Option(help=tr("The subject's pseudonym (subject_id)."))] = None,
    patient: PatientOption = None,
    system: SystemOption = "",
    time: TimeOption = None,
    method: Annotated[
        str, typer.Option(help="own, shap, kernel, lime, rollout, counterfactual, similar")
    ] = "own",
    below: Annotated[
        float | None,
        typer.Option(help=tr("For counterfactual: what would take the answer below this (0.2, or a value).")),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            help=tr("For counterfactual: a code that can change; else measurements with known limits.")
        ),
    ] = None,
    overall: Annotated[
        str | None,
        typer.Option(help=tr("Explain the model, not a subject: permutation, ale, surrogate, deletion")),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", help=tr("For ale: an input by its name; else those that matter most.")),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(help=tr("Which of several answers is meant; for a subject else the likeliest.")),
    ] = None,
    site: SiteOption = None,
    page: Annotated[Path | None, typer.Option(help=tr("Write a page for a clinician (HTML) too."))] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Explain."""
    from medloom import api, dossier
    from medloom.stressing import unlike

    _check(method, overall, below)
    opened = Site.open(site)
    if overall is not None:
        if subject is not None or patient is not None:
            raise InputError(
                "--overall explains the model and not a subject; leave out --subject and --patient"
            )
        trained = api.trained(opened, model)
        with screen.showing_progress(json):
            told = on_the_whole(overall, Whole(trained, Names.of(opened), answer, seed), input or [])
        if json:
            screen.json({"model": str(trained.name), "overall": overall, **told.content})
        else:
            told.show()
        return
    person = subject_of(opened.record, subject, patient, system)
    trained = api.trained(opened, model)
    samples = trained.samples.where(pl.col("subject_id") == person)
    if not len(samples):
        raise InputError(
            "task {task!r} does not ask subject {subject}",
            task=trained.samples.question.task,
            subject=person,
        )
    chosen = at_time(samples, time)
    sample_id = int(chosen.frame["sample_id"][0])
    predictions = trained.predict(chosen)
    if trained.samples.question.kind in ("tagging", "relations"):
        if json:
            screen.json(
                {
                    "model": str(trained.name),
                    "subject_id": person,
                    "prediction_time": chosen.frame["prediction_time"][0].isoformat(),
                    "places": places_told(predictions.frame, chosen),
                }
            )
        else:
            show_places(predictions.frame, chosen)
        return
    output = predictions.largest(sample_id) if answer is None else answer
    asked = _Asked(trained, chosen, output, Names.of(opened), seed)
    with screen.showing_progress(json):
        if method == "counterfactual":
            told = _counterfactual(asked, below, change)
        else:
            told = _similar(asked) if method == "similar" else _reasons(asked, method)
    if page is not None and trained.samples.question.kind in ("segmentation", "detection"):
        raise InputError(
            "outlines and found objects have no patient's page; see them in the viewer, or with: medloom report"
        )
    if page is not None:
        dossier.patient_page(opened, trained, chosen, page)
    if json:
        screen.json(
            {
                "model": str(trained.name),
                "subject_id": person,
                "prediction_time": chosen.frame["prediction_time"][0].isoformat(),
                "prediction_times": [
                    one.isoformat() for one in samples.frame["prediction_time"].unique().sort()
                ],
                "answer": predictions.frame.select("output", "value").to_dicts(),
                "explained": output,
                **_far(trained, chosen),
                **told.content,
            }
        )
        return
    _say_answers(trained.model.origin.question, predictions.frame, samples, chosen)
    far = unlike(trained, chosen, asked.names.descriptions, asked.names.units)
    if far is not None and far.caution is not None:
        screen.warning(screen.spoken(far.caution))
    if predictions.frame.height > 1 and method in REASONS:
        screen.say(tr("Why {output}:", output=output))
    told.show()


def _far(trained: Trained, sample: Samples) -> dict[str, Any]:
    """Tell programs how unusual a patient is, and what makes it so."""
    from medloom.stressing import tells_unusual, unusual

    if not tells_unusual(trained.model):
        return {}
    _, percentile, inputs, values = unusual(trained, sample).row(0)
    return {"unusual": {"percentile": percentile, "inputs": dict(zip(inputs, values, strict=True))}}


def show_reasons(site: Site, top: pl.DataFrame, scale: str) -> None:
    """Print why, strongest first."""
    _show_reasons(Names.of(site), top, scale)


@dataclass(frozen=True)
class _Asked:
    """One patient's sample, and the answer that is explained."""

    trained: Trained
    sample: Samples
    output: str
    names: Names
    seed: int


def _check(method: str, overall: str | None, below: float | None) -> None:
    if method not in ONE_PATIENT:
        raise InputError(
            "there is no method {method!r}; there are: {methods}",
            method=method,
            methods=ONE_PATIENT,
        )
    if overall is not None and overall not in OVERALL:
        raise InputError(
            "a model can be explained overall by {methods}, not by {method!r}",
            methods=OVERALL,
            method=overall,
        )
    if method == "counterfactual" and below is None and overall is None:
        raise InputError("a counterfactual needs the answer that should be gone below: --below 0.2")


def _reasons(asked: _Asked, method: str) -> Told:
    from medloom import explaining

    found = explaining.reasons(
        asked.trained,
        asked.sample,
        method,  # type: ignore[arg-type]
        seed=asked.seed,
    )
    explanation = found.explanation
    top = explanation.top(int(asked.sample.frame["sample_id"][0]), _SHOWN, asked.output)
    fidelity = None
    if found.fidelity is not None:
        fidelity = found.fidelity.filter(pl.col("output") == asked.output)["fidelity"][0]

    def show() -> None:
        _show_reasons(asked.names, top, explanation.scale)
        if not explanation.additive:
            screen.say()
            screen.say(screen.spoken(attention_note()))
        if found.fidelity is not None:
            screen.say()
            screen.say(
                tr("The small model behind these reasons cannot be judged here.")
                if fidelity is None
                else tr(
                    "The small model behind these reasons follows the large one with R² {r2:.2f}.",
                    r2=fidelity,
                )
            )

    content = {
        "method": explanation.method,
        "scale": explanation.scale,
        "additive": explanation.additive,
        "baseline": explanation.baseline.to_dicts(),
        "reasons": top.select("output", "input", "value", "contribution").to_dicts(),
    }
    return Told(content if found.fidelity is None else {**content, "fidelity": fidelity}, show)


def _show_reasons(names: Names, top: pl.DataFrame, scale: str) -> None:
    shares: dict[str, float] = {}  # what reads the same to a person is said once
    for name, value, contribution in top.select("input", "value", "contribution").iter_rows():
        words = names.said(name, value)
        shares[words] = shares.get(words, 0.0) + contribution
    looks = scale == ATTENTION
    rows = [(f"{share:.1%}" if looks else f"{share:+.3f}", words) for words, share in shares.items()]
    head = tr("share of the attention") if looks else tr("share of the answer ({scale})", scale=scale)
    screen.table([head, tr("looked at") if looks else tr("because")], rows, right=[0])


def _counterfactual(asked: _Asked, below: float | None, change: list[str] | None) -> Told:
    from medloom import explaining

    assert below is not None
    question = asked.trained.samples.question
    (found,) = explaining.counterfactuals(
        asked.trained,
        asked.sample,
        below,
        output=asked.output,
        may_change=change,
        units=asked.names.units,
        seed=asked.seed,
    )
    is_risk = question.kind != "regression"

    def show() -> None:
        for way in found.found:
            said = counterfactual.in_words(
                found, way, asked.names.input, asked.names.unit, answer_unit=question.unit, is_risk=is_risk
            )
            screen.say(f"- {screen.spoken(said)}")
        if found.why_none is not None:
            screen.say(screen.spoken(found.why_none))
        screen.say()
        screen.say(screen.spoken(counterfactual.caution()))

    content = {
        "method": "counterfactual",
        "below": below,
        "ways": found.frame().to_dicts(),
        "why_none": None if found.why_none is None else found.why_none.en,
        "caution": counterfactual.caution().en,
    }
    return Told(content, show)


def _similar(asked: _Asked) -> Told:
    from medloom import explaining

    (found,) = explaining.similar(asked.trained, asked.sample, output=asked.output, seed=asked.seed)
    said = similar.in_words(found, asked.trained.samples.question)
    content: dict[str, Any] = {
        "method": "similar",
        "n": found.n,
        "remoteness": found.remoteness,
        "outcomes": found.outcomes.to_dicts(),
        "said": said.en,
    }
    if found.median is not None:
        content |= {
            name: getattr(found, name) for name in ("median", "low", "high", "quarter", "three_quarters")
        }
    return Told(content, lambda: screen.say(screen.spoken(said)))


def _say_answers(question: Question, answers: pl.DataFrame, samples: Samples, chosen: Samples) -> None:
    """Say when the patient was asked about, and what was answered."""
    asked = chosen.frame["prediction_time"][0]
    if len(samples) > 1:
        screen.say(
            tr(
                "asked at {time:%Y-%m-%d %H:%M}, one of {n} prediction times; --time chooses another",
                time=asked,
                n=len(samples),
            )
        )
    else:
        screen.say(tr("asked at {time:%Y-%m-%d %H:%M}", time=asked))
    told = at_times(answers, question.horizons).select("output", "value", "end")
    for name, value, end in told.iter_rows():
        if end is not None:
            screen.say(
                tr(
                    "{output} by {time:g} {unit}: {risk:.1%}",
                    output=name,
                    time=end,
                    unit=question.unit or "",
                    risk=value,
                )
            )
        elif name == POSITIVE:
            screen.say(tr("risk {risk:.1%}", risk=value))
        else:
            screen.say(tr("answer {output}: {value:.3f}", output=name, value=value))
    screen.say()
