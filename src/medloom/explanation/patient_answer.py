"""The answer about one patient in words and drawings: how likely, compared with what, how sure."""

from collections.abc import Mapping
from typing import Any, Final

from medloom.explanation.answer_drawing import Reading, people_drawing, scale_drawing
from medloom.explanation.curve_answer import answer_of_curves
from medloom.explanation.numbers import percent, ratio, share
from medloom.explanation.patient import PatientPage
from medloom.explanation.patient_reasons import adjustment, starts_from_nobody
from medloom.explanation.range_end import why_it_ends_there
from medloom.explanation.wording import amount, clean, fill, number, same
from medloom.foundation.messages import Text2, text2

_MOST_CLASSES: Final = 8
# A difference that a reader should not take for one: the risk within a seventh of the average.
_ALIKE: Final = 1.15


def answer_in_words(page: PatientPage) -> dict[str, Any]:
    """Say the answer as the template wants it: `big`, `headline`, `direction`, `compared`, `sentences`, `figures`."""
    if page.curves is not None:
        return answer_of_curves(page, page.curves)
    if isinstance(page.answer, Mapping):
        return _answer_of_classes(page, page.answer)
    if page.is_risk:
        return _answer_of_risk(page, page.answer)
    return _answer_of_value(page, page.answer)


def known_before(page: PatientPage) -> list[Text2]:
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


def _answer_of_risk(page: PatientPage, risk: float) -> dict[str, Any]:
    affected, of = _frequency(risk)
    if affected == 0:
        said = text2("The model expects fewer than 1 of 1,000 patients like this one to have this outcome.")
    elif affected == of:
        said = text2("The model expects more than 99 of 100 patients like this one to have this outcome.")
    else:
        said = text2(
            "Of {of} patients like this one, the model expects about {n} to have this outcome.",
            n=affected,
            of=f"{of:,}",
        )
    figures = [people_drawing(of, affected)]
    usual = _usual(page)
    figures.append(
        scale_drawing(Reading(risk, page.low, page.high, usual, True, percent, _short_usual(page)))
    )
    return {
        "big": same(percent(risk)),
        "headline": said,
        "direction": _direction(risk, usual),
        "compared": _compared(page, risk, usual),
        "sentences": [*_range(page, risk, percent), *_rank(page)],
        "figures": figures,
        "classes": [],
    }


def _answer_of_value(page: PatientPage, value: float) -> dict[str, Any]:
    unit = page.question.unit
    average = _usual(page)
    reading = Reading(value, page.low, page.high, average, False, number, _short_usual(page))
    said = amount(value, unit)
    sentences = [*_range(page, value, lambda v: amount(v, unit).en), *_rank(page)]
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
    if page.in_set and page.level is not None:
        sentences.append(
            text2(
                "Of {level} of patients the true answer is in their set; this patient's set: {names}.",
                level=f"{page.level:.0%}",
                names=[clean(one) for one in page.in_set],
            )
        )
    if len(ranked) > len(shown):
        sentences.append(text2("{n} less likely answers are not shown.", n=len(ranked) - len(shown)))
    return {
        "big": same(f"{name} {percent(share)}"),
        "headline": text2("The most likely answer is {name}.", name=name),
        "direction": 0,
        "compared": None,
        "sentences": sentences,
        "figures": [],
        "classes": [
            (clean(label), _with_bounds(page, label, p), 100 * p, label == best) for label, p in shown
        ],
    }


def _with_bounds(page: PatientPage, label: str, risk: float) -> str:
    if label not in page.bounds:
        return percent(risk)
    low, high = map(percent, page.bounds[label])
    return f"{percent(risk)} ({low} – {high})"


def _direction(risk: float, average: float | None) -> int:
    if not average:
        return 0
    return 1 if risk / average >= _ALIKE else -1 if risk / average <= 1 / _ALIKE else 0


def _compared(page: PatientPage, risk: float, usual: float | None) -> Text2 | None:
    if not usual:
        return None
    named = {"name": _usual_name(page), "usual": same(percent(usual))}
    direction = _direction(risk, usual)
    if direction > 0:
        n = ratio(risk / usual)
        said = fill(text2("Above {name} ({usual}): {n} times as high"), n=Text2(n, n), **named)
    elif direction < 0:
        said = fill(text2("Below {name} ({usual}): {part} as high"), part=_part_of(risk / usual), **named)
    else:
        return fill(text2("About {name} ({usual})"), **named)
    if page.low is not None and page.high is not None and page.low <= usual <= page.high:
        return fill(text2("{said}, but its range includes that"), said=said)
    return said


def _usual(page: PatientPage) -> float | None:
    """Give what the answer is compared with: one number, the same for the drawing, the words and the reasons.

    It is where the reasons start, the model's average answer. Where the answer was adjusted after its reasons,
    both are on different scales, and where they start from nobody, that is no average; then it is the average of the
    patients the model learned from.
    """
    if isinstance(page.answer, Mapping):
        return None
    if not _starts_from_average(page):
        return page.average
    return share(page.baseline) if page.scale == "log-odds" else page.baseline


def _usual_name(page: PatientPage) -> Text2:
    if _starts_from_average(page):
        return text2("the model's average answer")
    return text2("the average of the patients it learned from")


def _short_usual(page: PatientPage) -> Text2:
    return text2("average answer") if _starts_from_average(page) else text2("average patient")


def _starts_from_average(page: PatientPage) -> bool:
    return page.reasons.height > 0 and adjustment(page) is None and not starts_from_nobody(page)


def _range(page: PatientPage, value: float, write: Any) -> list[Text2]:
    if page.low is None or page.high is None:
        return []
    ends = {"low": write(page.low), "high": write(page.high)}
    if page.is_risk:  # no interval that holds some share of patients
        why = why_it_ends_there(value, page.low, page.high)
        return [
            text2(
                "Among the patients it was checked on while it was made, such answers stood for risks between {low}"
                " and {high}; others may differ.",
                **ends,
            ),
            *([] if why is None else [why]),
        ]
    if page.level is None:
        return [text2("Plausible range: {low} to {high}.", **ends)]
    return [
        text2("Range: {low} to {high}; such ranges hold the truth of {level} of patients.", **ends,
              level=f"{page.level:.0%}")
    ]  # fmt: skip


def _rank(page: PatientPage) -> list[Text2]:
    if page.percentile is None or known_before(page):
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


def _part_of(ratio: float) -> Text2:
    """Say a ratio below one as people do.

    >>> _part_of(0.52).en, _part_of(0.31).zh, _part_of(0.04).en
    ('about half', '约为其三分之一', 'less than a tenth')
    """
    if ratio < 0.08:
        return text2("less than a tenth")
    parts = (
        (0.8, text2("about four fifths")),
        (0.75, text2("about three quarters")),
        (2 / 3, text2("about two thirds")),
        (0.5, text2("about half")),
        (1 / 3, text2("about a third")),
        (0.25, text2("about a quarter")),
        (0.2, text2("about a fifth")),
        (0.1, text2("about a tenth")),
    )
    return min(parts, key=lambda part: abs(part[0] - ratio))[1]
