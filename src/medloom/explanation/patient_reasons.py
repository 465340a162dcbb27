"""The reasons of one patient's answer in words: the inputs about one thing together, strongest first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp, isfinite
from typing import Any, Final

import polars as pl

from medloom.explanation.answer_drawing import bar_drawing
from medloom.explanation.image_places import place_of
from medloom.explanation.numbers import logit, percent, share, times
from medloom.explanation.patient import PatientPage
from medloom.explanation.windowed import RHYTHM, recorded
from medloom.explanation.wording import REST, Phrase, amount, fill, joined, phrase, same
from medloom.foundation.messages import Text2, text2

_MOST_REASONS: Final = 8


@dataclass(frozen=True)
class Reason:
    """What the page says of one thing: its inputs taken together, for a reader knows one osteoarthritis."""

    code: str | None
    name: Text2
    detail: Text2
    contribution: float


def reasons_of(page: PatientPage) -> list[Reason]:
    """Take the inputs about one thing together, strongest first, the rest last."""
    rows = page.reasons
    if isinstance(page.answer, Mapping) and "output" in rows.columns and rows["output"].n_unique() > 1:
        rows = rows.filter(pl.col("output") == page.likeliest)
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
        said = phrase(row["input"], row["value"], page.descriptions, page.units, page.is_adult)
        if place_of(row["input"]) is not None:  # a region is told as a whole; the picture shows the rest
            key, said = said.name.en, replace(said, detail=Text2("", ""))
        gathered.setdefault(key, []).append((said, contribution, code))
    reasons = [_together(group) for group in gathered.values()]
    reasons.sort(key=lambda reason: -abs(reason.contribution))
    rest += sum(reason.contribution for reason in reasons[_MOST_REASONS:])
    reasons = reasons[:_MOST_REASONS]
    if rest:
        reasons.append(Reason(None, phrase(REST, None, {}, {}).name, Text2("", ""), rest))
    return reasons


def bars_of(page: PatientPage, reasons: list[Reason]) -> list[dict[str, Any]]:
    """Give each reason its bar and how much it moves the answer, as the template wants them."""
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


def starting(page: PatientPage) -> Text2:
    """Say where the reasons start from; a score of one class among several means nothing to a reader."""
    if (isinstance(page.answer, Mapping) and page.scale == "log-odds") or adjustment(page) is not None:
        return Text2("", "")
    if page.curves is not None:  # a curve has no one number to start from
        return Text2("", "")
    if page.scale in ("log-odds", "probability"):
        start = share(page.baseline) if page.scale == "log-odds" else page.baseline
        said = same(percent(start))
    else:
        said = amount(page.baseline, page.question.unit or page.scale)
    if starts_from_nobody(page):
        return fill(
            text2("The model starts from what it answers of somebody of whom nothing is known, {start}."),
            start=said,
        )
    return fill(text2("The model starts from its average answer, {start}."), start=said)


def starts_from_nobody(page: PatientPage) -> bool:
    """Tell whether reasons are facts one by one, which start from a patient of whom nothing is known."""
    return any(one == RHYTHM or recorded(one) is not None for one in page.reasons["input"])


def adjustment(page: PatientPage) -> Text2 | None:
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


def why_note(page: PatientPage) -> Text2:
    """Say what the figures beside the reasons are."""
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


def _together(group: list[tuple[Phrase, float, str | None]]) -> Reason:
    group = sorted(group, key=lambda one: -abs(one[1]))
    absences = [said.detail for said, _, _ in group if said.absent]
    # Absent at all says that it is absent in the last week too.
    absence = min(absences, key=lambda detail: len(detail.en), default=None)
    details: list[Text2] = []
    for said, _, _ in group:
        detail = absence if said.absent and absence is not None else said.detail
        if detail not in details:
            details.append(detail)
    return Reason(group[0][2], group[0][0].name, joined(details[:2]), sum(c for _, c, _ in group))


def _effect(page: PatientPage, contribution: float) -> Text2:
    """Say a contribution so that it means something: points of risk, or the unit of the answer."""
    if page.scale == "log-odds":
        if isinstance(page.answer, Mapping):
            return text2("odds × {factor}", factor=times(exp(contribution)))
        odds = logit(page.answer)
        return _points(100 * (page.answer - share(odds - contribution)))
    if page.scale == "probability":
        return _points(100 * contribution)
    if page.curves is not None and page.scale.startswith("log"):
        return text2("rate × {factor}", factor=times(exp(contribution)))
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
