"""A page about one patient for a clinician: the answer, why, and what the record holds.

One HTML file in both languages that needs nothing else: no script, nothing from
elsewhere. Its first screen says how likely, compared with what, and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp, isfinite
from pathlib import Path
from typing import Any, Final

import polars as pl

from medloom.explanation.drawing import (
    Reading,
    bar_drawing,
    lanes_drawing,
    legend,
    people_drawing,
    scale_drawing,
)
from medloom.explanation.lanes import Lanes, arrange
from medloom.explanation.numbers import logit, moment, percent, ratio, share, times
from medloom.explanation.wording import (
    REST,
    Phrase,
    amount,
    clean,
    fill,
    joined,
    number,
    part_of,
    phrase,
    readable,
)
from medloom.foundation.errors import InputError
from medloom.foundation.files import write_text
from medloom.foundation.messages import Text2, text2
from medloom.foundation.pages import render_page
from medloom.tasks.question import Question

__all__ = ["PatientPage", "patient_html", "readable", "write_patient_page"]

_MOST_REASONS: Final = 8
_MOST_CLASSES: Final = 8
_MOST_ENTRIES: Final = 60
_ADULT: Final = 18.0
# A difference that a reader should not take for one: the risk within a seventh of the average.
_ALIKE: Final = 1.15


@dataclass(frozen=True)
class PatientPage:
    """What a page about one patient tells.

    Attributes:
        question: what was asked.
        subject_id: the pseudonym.
        prediction_time: naive wall clock; nothing after it is shown.
        sex: `F`, `M`, `other`, `unknown`.
        age: years.
        answer: a risk from 0 to 1 (binary), a value in the question's unit, or class → probability.
        low, high: the answer's interval.
        average: the outcome's share, or mean value, among training patients; said where the reasons do not add up
            to the answer, for then the model's own average answer cannot be compared with it.
        percentile: how many of 100 held-out patients have a lower answer.
        reasons: rows of `Explanation.top`, for the likeliest class where there are several.
        baseline: the model's average answer, from which the reasons start, on `scale`.
        scale: `log-odds`, `probability` or a unit.
        events: this subject's visible events: time, code, numeric_value, text_value, role.
        descriptions, units: of codes, from the record's catalogue.
        model: its name.
        evidence: how good it is, in one line; None: it was not tested.
        cautions: what a reader must know.
        caveat: what testing found of such answers, where it was not as they say; stands at the drawing.
        split: the patient's: `train`, `tuning`, `calibration`, `held_out`; None: new to the model.
        truth: what really happened, for demonstrations; shown on request.
    """

    question: Question
    subject_id: int
    prediction_time: datetime
    sex: str | None
    age: float | None
    answer: float | Mapping[str, float]
    reasons: pl.DataFrame
    baseline: float
    scale: str
    events: pl.DataFrame
    model: str
    low: float | None = None
    high: float | None = None
    average: float | None = None
    percentile: float | None = None
    descriptions: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    evidence: Text2 | str | None = None
    cautions: tuple[Text2, ...] = ()
    caveat: Text2 | None = None
    split: str | None = None
    truth: str | None = None


def write_patient_page(path: Path, page: PatientPage) -> None:
    """Write the page to `path`, replacing it whole.

    Raises:
        InputError: the answer, the reasons or the events are not what the page needs.
    """
    write_text(path, patient_html(page))


def patient_html(page: PatientPage) -> str:
    """Compose the page; raises as `write_patient_page`."""
    _check(page)
    reasons = _reasons(page)
    effects = {reason.code: reason.contribution for reason in reasons if reason.code}
    lanes = arrange(
        page.events, page.prediction_time, page.descriptions, page.units, effects, _adult(page)
    )  # fmt: skip
    summary = _summary(lanes) if lanes else text2("The record holds nothing with a date before this moment.")
    return render_page(
        "medloom.explanation",
        "patient.html.j2",
        "patient.css",
        words=_words(page),
        title=Text2(clean(page.question.title.en), clean(page.question.title.zh)),
        facts=_facts(page),
        answer=_answer(page),
        cautions=[
            Text2(clean(caution.en), clean(caution.zh)) for caution in (*_known_before(page), *page.cautions)
        ],
        caveat=page.caveat,
        evidence=_evidence(page),
        model=clean(page.model),
        reasons=_bars(page, reasons),
        starting=_starting(page),
        adjusted=_adjusted(page),
        timeline=lanes_drawing(lanes, summary) if lanes else None,
        narrow_timeline=lanes_drawing(lanes, summary, narrow=True) if lanes else None,
        summary=summary,
        legend=legend(lanes) if lanes else [],
        entries=_entries(lanes) if lanes else None,
        truth=_truth(page),
    )


@dataclass(frozen=True)
class _Reason:
    """What the page says of one thing: its inputs taken together, for a reader knows one osteoarthritis."""

    code: str | None
    name: Text2
    detail: Text2
    contribution: float


def _check(page: PatientPage) -> None:
    several = isinstance(page.answer, Mapping)
    values = list(page.answer.values()) if isinstance(page.answer, Mapping) else [page.answer]
    if not values or not all(isfinite(value) for value in values):
        raise InputError("a patient's page needs an answer that is a number, or at least one class with one")
    if (several or page.question.kind == "binary") and not all(0 <= value <= 1 for value in values):
        raise InputError(
            "the answer to a {kind} question is a probability from 0 to 1", kind=page.question.kind
        )
    missing = {"input", "value", "contribution"} - set(page.reasons.columns)
    if missing:
        raise InputError("the reasons lack the columns {missing}", missing=", ".join(sorted(missing)))
    if page.percentile is not None and not 0 <= page.percentile <= 100:
        raise InputError("the percentile is a number from 0 to 100: how many of 100 have a lower answer")


def _words(page: PatientPage) -> dict[str, Text2]:
    risk = _is_risk(page)
    return {
        "kind": text2("What a model says of one patient"),
        "answer": text2("Estimated risk") if risk else text2("Estimate"),
        "why": _why(page),
        "lowers": text2("lowers"),
        "raises": text2("raises"),
        "why_note": _why_note(page),
        "no_reasons": text2("The model gave no reasons."),
        "record": text2("What the record holds"),
        "entries": text2("The last entries as a table"),
        "when": text2("when"),
        "what_kind": text2("kind"),
        "what": text2("what"),
        "value": text2("value"),
        "about": text2("About this estimate"),
        "model": text2("Model"),
        "tested": text2("Tested"),
        "truth": text2("What really happened (for demonstration)"),
        "limits": text2(
            "It speaks of groups of patients with such records, not of what will happen to this one."
            " A clinician decides."
        ),
    }


def _why(page: PatientPage) -> Text2:
    if isinstance(page.answer, Mapping):
        return text2("Why {name}", name=clean(_likeliest(page.answer)))
    return text2("Why")


def _likeliest(answer: Mapping[str, float]) -> str:
    return max(answer, key=lambda label: answer[label])


def _facts(page: PatientPage) -> list[tuple[Text2, Text2]]:
    sexes = {"F": text2("female"), "M": text2("male"), "other": text2("other sex")}
    facts = [(text2("Patient (pseudonym)"), Text2(str(page.subject_id), str(page.subject_id)))]
    if page.sex is not None:
        facts.append((text2("Sex"), sexes.get(page.sex, text2("not known"))))
    if page.age is not None and isfinite(page.age):
        facts.append((text2("Age"), phrase("age", page.age, {}, {}).detail))
    facts.append((text2("Prediction time"), Text2(*[moment(page.prediction_time)] * 2)))
    return facts


def _answer(page: PatientPage) -> dict[str, Any]:
    if isinstance(page.answer, Mapping):
        return _answer_of_classes(page, page.answer)
    if _is_risk(page):
        return _answer_of_risk(page, page.answer)
    return _answer_of_value(page, page.answer)


def _answer_of_risk(page: PatientPage, risk: float) -> dict[str, Any]:
    affected, of = _frequency(risk)
    if affected == 0:
        said = text2("Fewer than 1 of 1,000 patients like this one would have this outcome.")
    elif affected == of:
        said = text2("More than 99 of 100 patients like this one would have this outcome.")
    else:
        said = text2(
            "Of {of} patients like this one, about {n} would have this outcome.", n=affected, of=f"{of:,}"
        )
    figures = [people_drawing(of, affected)]
    usual = _usual(page)
    figures.append(
        scale_drawing(Reading(risk, page.low, page.high, usual, True, percent, _short_usual(page)))
    )
    return {
        "big": Text2(*[percent(risk)] * 2),
        "headline": said,
        "direction": _direction(risk, usual),
        "compared": _compared(page, risk, usual),
        "sentences": [*_range(page, percent), *_rank(page)],
        "figures": figures,
        "classes": [],
    }


def _answer_of_value(page: PatientPage, value: float) -> dict[str, Any]:
    unit = page.question.unit
    average = _usual(page)
    reading = Reading(value, page.low, page.high, average, False, number, _short_usual(page))
    said = amount(value, unit)
    sentences = [*_range(page, lambda v: amount(v, unit).en), *_rank(page)]
    headline = fill(text2("The model expects {value}."), value=said)
    if average is not None:
        headline = fill(
            text2("The model expects {value}; {its_average} is {usual}."),
            value=said,
            its_average=_usual_name(page),
            usual=amount(average, unit),
        )
    return {
        "big": said,
        "headline": headline,
        "direction": 0,
        "compared": None,
        "sentences": sentences,
        "figures": [scale_drawing(reading)],
        "classes": [],
    }


def _answer_of_classes(page: PatientPage, answer: Mapping[str, float]) -> dict[str, Any]:
    ranked = sorted(answer.items(), key=lambda item: -item[1])
    (best, share), shown = ranked[0], ranked[:_MOST_CLASSES]
    name = clean(best)
    sentences = []
    if len(ranked) > 1 and share - ranked[1][1] < 0.1:
        second = clean(ranked[1][0])
        sentences.append(
            text2("{name} is almost as likely ({share}).", name=second, share=percent(ranked[1][1]))
        )
    if len(ranked) > len(shown):
        sentences.append(text2("{n} less likely answers are not shown.", n=len(ranked) - len(shown)))
    return {
        "big": Text2(*[f"{name} {percent(share)}"] * 2),
        "headline": text2("The most likely answer is {name}.", name=name),
        "direction": 0,
        "compared": None,
        "sentences": sentences,
        "figures": [],
        "classes": [(clean(label), percent(p), 100 * p, label == best) for label, p in shown],
    }


def _direction(risk: float, average: float | None) -> int:
    if not average:
        return 0
    return 1 if risk / average >= _ALIKE else -1 if risk / average <= 1 / _ALIKE else 0


def _compared(page: PatientPage, risk: float, usual: float | None) -> Text2 | None:
    if not usual:
        return None
    named = {"name": _usual_name(page), "usual": Text2(*[percent(usual)] * 2)}
    direction = _direction(risk, usual)
    if direction > 0:
        n = ratio(risk / usual)
        said = fill(text2("Above {name} ({usual}): {n} times as high"), n=Text2(n, n), **named)
    elif direction < 0:
        said = fill(text2("Below {name} ({usual}): {part} as high"), part=part_of(risk / usual), **named)
    else:
        return fill(text2("About {name} ({usual})"), **named)
    if page.low is not None and page.high is not None and page.low <= usual <= page.high:
        return fill(text2("{said}, but its range includes that"), said=said)
    return said


def _usual(page: PatientPage) -> float | None:
    """Give what the answer is compared with: one number, the same for the drawing, the words and the reasons.

    It is where the reasons start, the model's average answer. Where the answer was adjusted after its reasons,
    both are on different scales; then it is the average of the patients the model learned from.
    """
    if isinstance(page.answer, Mapping):
        return None
    if not _reasons_reach_the_answer(page):
        return page.average
    return share(page.baseline) if page.scale == "log-odds" else page.baseline


def _usual_name(page: PatientPage) -> Text2:
    if _reasons_reach_the_answer(page):
        return text2("the model's average answer")
    return text2("the average of the patients it learned from")


def _short_usual(page: PatientPage) -> Text2:
    return text2("average answer") if _reasons_reach_the_answer(page) else text2("average patient")


def _reasons_reach_the_answer(page: PatientPage) -> bool:
    return page.reasons.height > 0 and _adjusted(page) is None


def _known_before(page: PatientPage) -> list[Text2]:
    """Warn where the model met this patient while it was made."""
    said = {
        "train": text2(
            "This patient is in the split {split}: the model learned from this patient, and its answer is too sure.",
            split="train",
        ),
        "tuning": text2(
            "This patient is in the split {split}: the model was tuned on this patient,"
            " and its answer may be too sure.",
            split="tuning",
        ),
        "calibration": text2(
            "This patient is in the split {split}: the model's risks were adjusted on this patient,"
            " and its answer may be too sure.",
            split="calibration",
        ),
    }
    return [said[page.split]] if page.split in said else []


def _evidence(page: PatientPage) -> Text2:
    if not page.evidence:
        return text2("not tested; how good it is, is not known")
    both = (page.evidence, page.evidence) if isinstance(page.evidence, str) else page.evidence
    return Text2(*(clean(one) for one in both))


def _truth(page: PatientPage) -> Text2 | None:
    if not page.truth:
        return None
    known = {"True": text2("The outcome happened."), "False": text2("The outcome did not happen.")}
    said = clean(page.truth)
    return known.get(said, Text2(said, said)) if _is_risk(page) else Text2(said, said)


def _range(page: PatientPage, write: Any) -> list[Text2]:
    if page.low is None or page.high is None:
        return []
    ends = {"low": write(page.low), "high": write(page.high)}
    if _is_risk(page):  # two calibrated bounds, which are no interval that holds some share of patients
        return [
            text2(
                "Calibrated between {low} and {high}: the closer, the more like patients were known.", **ends
            )
        ]
    return [text2("Plausible range: {low} to {high}.", **ends)]


def _rank(page: PatientPage) -> list[Text2]:
    if page.percentile is None or _known_before(page):
        return []
    if page.percentile > 99:
        return [text2("Higher than for at least 99 of 100 patients it did not learn from.")]
    if page.percentile < 1:
        return [text2("Higher than for fewer than 1 of 100 patients it did not learn from.")]
    return [text2("Higher than for {n} of 100 patients it did not learn from.", n=f"{page.percentile:.0f}")]


def _frequency(risk: float) -> tuple[int, int]:
    """Say a risk as so many of so many.

    >>> _frequency(0.184), _frequency(0.004), _frequency(0.0001), _frequency(0.999)
    ((18, 100), (4, 1000), (0, 1000), (100, 100))
    """
    of = 100 if risk >= 0.01 else 1000
    return round(risk * of), of


def _reasons(page: PatientPage) -> list[_Reason]:
    """Take the inputs about one thing together, strongest first, the rest last."""
    rows = page.reasons
    if isinstance(page.answer, Mapping) and "output" in rows.columns and rows["output"].n_unique() > 1:
        rows = rows.filter(pl.col("output") == _likeliest(page.answer))
    gathered: dict[str, list[tuple[Phrase, float, str | None]]] = {}
    rest = 0.0
    for row in rows.iter_rows(named=True):
        contribution = row["contribution"]
        if contribution is None or not isfinite(contribution):
            continue
        if row["input"] == REST:
            rest += contribution
            continue
        code = row.get("code")
        key = "sex" if row["input"].startswith("GENDER//") else code or row["input"]
        said = phrase(row["input"], row["value"], page.descriptions, page.units, _adult(page))
        gathered.setdefault(key, []).append((said, contribution, code))
    reasons = [_together(group) for group in gathered.values()]
    reasons.sort(key=lambda reason: -abs(reason.contribution))
    rest += sum(reason.contribution for reason in reasons[_MOST_REASONS:])
    reasons = reasons[:_MOST_REASONS]
    if rest:
        reasons.append(_Reason(None, phrase(REST, None, {}, {}).name, Text2("", ""), rest))
    return reasons


def _together(group: list[tuple[Phrase, float, str | None]]) -> _Reason:
    group = sorted(group, key=lambda one: -abs(one[1]))
    absences = [said.detail for said, _, _ in group if said.absent]
    # Absent at all says that it is absent in the last week too.
    absence = min(absences, key=lambda detail: len(detail.en), default=None)
    details: list[Text2] = []
    for said, _, _ in group:
        detail = absence if said.absent and absence is not None else said.detail
        if detail not in details:
            details.append(detail)
    return _Reason(group[0][2], group[0][0].name, joined(details[:2]), sum(c for _, c, _ in group))


def _bars(page: PatientPage, reasons: list[_Reason]) -> list[dict[str, Any]]:
    longest = max((abs(reason.contribution) for reason in reasons), default=0.0) or 1.0
    return [
        {
            "name": reason.name,
            "detail": reason.detail,
            "bar": bar_drawing(reason.contribution / longest),
            "up": reason.contribution > 0,
            "effect": _effect(page, reason.contribution),
            "factor": _factor(page, reason.contribution),
        }
        for reason in reasons
    ]


def _effect(page: PatientPage, contribution: float) -> Text2:
    """Say a contribution so that it means something: points of risk, or the unit of the answer."""
    if page.scale == "log-odds":
        if isinstance(page.answer, Mapping):
            return text2("odds × {factor}", factor=times(exp(contribution)))
        odds = logit(page.answer)
        return _points(100 * (page.answer - share(odds - contribution)))
    if page.scale == "probability":
        return _points(100 * contribution)
    said = amount(abs(contribution), page.question.unit or page.scale)
    return Text2(*((("+" if contribution > 0 else "−") + one) for one in said))


def _factor(page: PatientPage, contribution: float) -> Text2 | None:
    if page.scale != "log-odds" or isinstance(page.answer, Mapping):
        return None
    return text2("odds × {factor}", factor=times(exp(contribution)))


def _points(points: float) -> Text2:
    size = abs(points)
    if size < 0.05:
        return text2("less than 0.1 points")
    said = f"{size:.0f}" if size >= 9.95 else f"{size:.1f}"
    return text2("{points} points", points=("+" if points > 0 else "−") + said)


def _starting(page: PatientPage) -> Text2:
    """Say where the reasons start from; a score of one class among several means nothing to a reader."""
    if (isinstance(page.answer, Mapping) and page.scale == "log-odds") or _adjusted(page) is not None:
        return Text2("", "")
    if page.scale in ("log-odds", "probability"):
        start = share(page.baseline) if page.scale == "log-odds" else page.baseline
        return text2("The model starts from its average answer, {start}.", start=percent(start))
    said = amount(page.baseline, page.question.unit or page.scale)
    return fill(text2("The model starts from its average answer, {start}."), start=said)


def _adjusted(page: PatientPage) -> Text2 | None:
    """Say so where reasons do not add up to the answer, because it was calibrated afterwards."""
    if isinstance(page.answer, Mapping) or not page.reasons.height:
        return None
    total = page.baseline + float(page.reasons["contribution"].fill_nan(None).sum())
    if page.scale == "log-odds":
        if abs(total - logit(page.answer)) < 0.1:
            return None
        raw, final = percent(share(total)), percent(page.answer)
    elif page.scale == "probability":
        if abs(total - page.answer) < 0.01:
            return None
        raw, final = percent(min(max(total, 0.0), 1.0)), percent(page.answer)
    else:
        return None
    return text2(
        "The reasons add up to {raw}; afterwards this was adjusted to {final} so that risks come true.",
        raw=raw,
        final=final,
    )


def _why_note(page: PatientPage) -> Text2:
    if page.scale == "log-odds" and not isinstance(page.answer, Mapping):
        return text2(
            "Points: how much the risk would change if this entry counted as for the average patient."
            " Points do not add up; odds multiply."
            " Entries are associated with the outcome; nothing here shows that they cause it."
        )
    return text2(
        "How much each entry moves the estimate away from that of the average patient."
        " Entries are associated with the outcome; nothing here shows that they cause it."
    )


def _summary(lanes: Lanes) -> Text2:
    days = (lanes.until - lanes.first) / timedelta(days=1)
    form = "%Y-%m-%d" if lanes.dated or days > 7 else "%Y-%m-%d %H:%M"
    values = {"n": f"{lanes.total:,}", "first": lanes.first.strftime(form)}
    if lanes.total == 1:
        return text2("1 entry, {first}.", first=values["first"])
    if lanes.whole:
        return text2("{n} entries since {first}.", **values)
    return text2(
        "{n} entries since {first} (bars, heights as square roots); the part since {start} is shown large.",
        **values,
        start=lanes.start.strftime(form),
    )


def _entries(lanes: Lanes) -> dict[str, Any]:
    form = "%Y-%m-%d" if lanes.dated else "%Y-%m-%d %H:%M"
    shown = lanes.entries[:_MOST_ENTRIES]
    more = text2("The last {n} of {total}.", n=len(shown), total=f"{lanes.total:,}")
    return {
        "rows": [(one.time.strftime(form), one.kind, one.name, one.value) for one in shown],
        "more": more if len(shown) < lanes.total else None,
    }


def _is_risk(page: PatientPage) -> bool:
    return page.question.kind == "binary"


def _adult(page: PatientPage) -> bool:
    return page.age is not None and page.age >= _ADULT
