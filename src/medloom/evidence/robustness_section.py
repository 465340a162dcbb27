"""What was tried of a model, in words, tables and drawings."""

from __future__ import annotations

from collections.abc import Sequence

from medloom.evidence import detection_words, segmentation_words, words
from medloom.evidence.changes import INPUTS
from medloom.evidence.estimate import Estimate
from medloom.evidence.judging import LESS_IS_BETTER
from medloom.evidence.robustness import Robustness
from medloom.evidence.section import Cell, Figure, Section, Table, cell, marked, table
from medloom.evidence.trial import Family
from medloom.explanation.wording import fill, same
from medloom.foundation.charts import Axis, Guide, Line, line_chart, nice_high
from medloom.foundation.messages import Text2, text2


def robustness_section(found: Robustness) -> Section:
    """Give what was tried as a section of the report."""
    figures = [
        _line(found, "missing", text2("With less known"), text2("share of what is known withheld")),
        _line(found, "noise", text2("With values off"), text2("standard deviations")),
        _distances(found),
    ]
    tables = [_changes(found), _prevalence(found), _parts(found)]
    return Section(
        "robustness",
        text2("What if things are not as they were"),
        sentences=tuple(_sentences(found)),
        figures=tuple(one for one in figures if one is not None),
        tables=tuple(one for one in tables if one is not None),
        note=_note(found),
    )


def worst_in_words(found: Robustness) -> Text2:
    """Say in one sentence what costs most."""
    metric = _named(found, found.primary)
    worst = found.worst
    if worst is None:
        reason = found.whole.difference.reason
        if reason is not None:
            return fill(text2("Robustness could not be estimated: {reason}."), reason=reason)
        return fill(text2("Nothing that was tried surely changed {metric}."), metric=metric)
    return fill(
        text2("What costs most: {change}. Then {metric} is {after}, not {before}."),
        change=worst.name,
        metric=metric,
        after=_said(worst.metrics[found.primary]),
        before=_number(found.whole.metrics[found.primary]),
    )


def _note(found: Robustness) -> Text2:
    if found.kind in ("segmentation", "detection"):
        return text2(
            "{n:,} images of {subjects:,} subjects were changed; differences are of the same images. Where an image is"
            " turned, what the expert drew is turned with it. Set off: what surely got worse.",
            n=found.n,
            subjects=found.n_subjects,
        )
    note = text2(
        "Inputs were changed of {n:,} samples of {subjects:,} subjects; differences are paired. All that is known"
        " of a code goes, or moves, together. Rarer or commoner outcomes are the same patients weighed otherwise.",
        n=found.n,
        subjects=found.n_subjects,
    )
    if found.threshold is None:
        return note
    at = text2(" Decisions, and PPV, are at a risk of {risk}.", risk=f"{found.threshold:.0%}")
    return Text2(note.en + at.en, note.zh + at.zh)


def _sentences(found: Robustness) -> list[Text2]:
    said = [worst_in_words(found)]
    unusual = found.trials.get("unusual", ())
    if len(unusual) == 2 and unusual[1].metrics[found.primary].value is not None:
        said.append(
            fill(
                text2(
                    "For the tenth of patients least like those it learned from, {metric} is {inside};"
                    " for the others {rest}."
                ),
                metric=words.metric_name(found.primary),
                inside=_said(unusual[1].metrics[found.primary]),
                rest=_said(unusual[0].metrics[found.primary]),
            )
        )
    if 99 in found.beyond and found.beyond[99].value is not None:
        share = found.beyond[99]
        said.append(
            text2(
                "{share:.1%} ({low:.1%}–{high:.1%}) of the patients lie further out"
                " than 99 % of those it learned from.",
                share=share.value,
                low=share.low if share.low is not None else share.value,
                high=share.high if share.high is not None else share.value,
            )
        )
    attacks = found.trials.get("attack", ())
    if attacks and attacks[-1].crossed is not None and attacks[-1].crossed.value is not None:
        said.append(
            fill(
                text2(
                    "Were {change}, as would harm most, at least {share} of the decisions could be turned."
                ),
                change=attacks[-1].name,
                share=same(f"{attacks[-1].crossed.value:.0%}"),
            )
        )
    said += [
        fill(text2("Not estimable, {what}: {reason}."), what=_family(family), reason=reason)
        for family, reason in found.reasons.items()
        if reason != found.whole.difference.reason
    ]
    return said


def _line(
    found: Robustness, family: Family, title: Text2, label: Text2, percent: bool = False
) -> Figure | None:
    """Draw the first metric against the strength of a change."""
    trials = [one for one in found.trials.get(family, ()) if one.metrics[found.primary].value is not None]
    if not trials:
        return None
    points = [found.whole.metrics[found.primary], *(one.metrics[found.primary] for one in trials)]
    x = [0.0, *(one.strength or 0.0 for one in trials)]
    metric = words.metric_name(found.primary)
    low, high = _ends(points, found.primary)
    whole = points[0].value or 0.0
    svg = line_chart(
        title,
        fill(text2("{metric} against the strength of the change."), metric=metric),
        [
            Line(
                text2("model, with 95 % band"),
                x,
                [one.value for one in points],
                [one.low for one in points],
                [one.high for one in points],
            )
        ],
        Axis(label, 0.0, x[-1], "percent" if family == "missing" else "number"),
        Axis(metric, low, high),
        [Guide(text2("as it is"), 0.0, whole, x[-1], whole)],
    )
    last = trials[-1]
    reading = fill(text2("{change}: {value}."), change=last.name, value=_said(last.metrics[found.primary]))
    return Figure(title, svg, reading)


def _ends(points: Sequence[Estimate], metric: str) -> tuple[float, float]:
    seen = [end for one in points for end in (one.low, one.value, one.high) if end is not None]
    if metric.startswith(("auroc", "c_index")):
        return min(0.5, *(round(end - 0.05, 1) for end in seen)), 1.0
    return 0.0, nice_high(max(seen, default=1.0))


def _distances(found: Robustness) -> Figure | None:
    """Draw how many of the patients lie in each tenth of training patients."""
    if not found.deciles:
        return None
    title = text2("How unusual the patients are")
    top = nice_high(max(found.deciles))
    svg = line_chart(
        title,
        text2("Share of the patients in each tenth of those it learned from, the usual first."),
        [
            Line(
                text2("these patients"),
                [at / 10 for at in range(11)],
                [*found.deciles, found.deciles[-1]],
                step=True,
            )
        ],
        Axis(text2("closer to the middle than so many it learned from"), 0.0, 1.0, "percent"),
        Axis(text2("share of these patients"), 0.0, top, "percent"),
        [Guide(text2("as those it learned from"), 0.0, 0.1, 1.0, 0.1)],
    )
    return Figure(
        title, svg, text2("Higher at the right than dotted: patients come whom it has seldom seen.")
    )


def _changes(found: Robustness) -> Table | None:
    trials = [one for family in INPUTS for one in found.trials.get(family, ())]
    if not trials:
        return None
    crossing = any(one.crossed is not None for one in trials)
    beside = list(found.whole.beside)
    names = [_named(found, name) for name in found.metrics]
    compared = [_difference(_named(found, name)) for name in (found.primary, *beside)]
    head = [text2("change"), *names, *compared]
    rows = []
    for one in [found.whole, *trials]:
        row: list[Cell] = [cell(one.name), *(cell(one.metrics[name]) for name in found.metrics)]
        differences = {found.primary: one.difference, **one.beside}
        row += [
            cell(None) if one is found.whole else _set_off(found, name, differences[name])
            for name in (found.primary, *beside)
        ]
        if crossing:
            row.append(_percent(one.crossed if one is not found.whole else None))
        rows.append(row)
    return table([*head, text2("decisions turned")] if crossing else head, rows)


def _prevalence(found: Robustness) -> Table | None:
    trials = found.trials.get("prevalence", ())
    if not trials:
        return None
    names = list(trials[0].metrics)
    head = [text2("if the outcome were rarer or commoner"), *map(words.metric_name, names)]
    return table(head, [[one.name, *(one.metrics[name] for name in names)] for one in trials])


def _parts(found: Robustness) -> Table | None:
    trials = [*found.trials.get("periods", ()), *found.trials.get("unusual", ())]
    if not trials:
        return None
    head = [
        text2("when, and whom"),
        *map(words.metric_name, found.metrics),
        text2("difference from the first"),
    ]
    rows = []
    for each in (found.trials.get("periods", ()), found.trials.get("unusual", ())):
        for at, one in enumerate(each):
            difference = None if at == 0 else one.difference
            rows.append(
                [cell(one.name), *(cell(one.metrics[name]) for name in found.metrics), cell(difference)]
            )
    return table(head, rows)


def _percent(one: Estimate | None) -> Cell:
    if one is None or one.value is None:
        return cell(None)
    detail = None if one.low is None or one.high is None else same(f"{one.low:.1%}–{one.high:.1%}")
    return cell(f"{one.value:.1%}", detail=detail)


def _set_off(found: Robustness, metric: str, difference: Estimate) -> Cell:
    """Say by how much it differs; where an outline, or what is found, surely got worse, set off from the others."""
    said = cell(difference)
    if found.kind not in ("segmentation", "detection") or difference.low is None or difference.high is None:
        return said
    worse = difference.low > 0 if metric in LESS_IS_BETTER else difference.high < 0
    return marked(said) if worse else said


def _named(found: Robustness, metric: str) -> Text2:
    if found.kind == "segmentation":
        return segmentation_words.metric_name(metric)
    if found.kind == "detection":
        return detection_words.metric_name(metric)
    return words.metric_name(metric)


def _difference(metric: Text2) -> Text2:
    return fill(text2("difference in {metric}"), metric=metric)


def _said(one: Estimate) -> Text2:
    return one.said2(2)


def _number(one: Estimate) -> Text2:
    return same("–" if one.value is None else f"{one.value:.2f}")


def _family(family: Family) -> Text2:
    return {
        "missing": text2("facts withheld"),
        "lost": text2("lost sources"),
        "noise": text2("values that are off"),
        "units": text2("wrong units"),
        "attack": text2("harmful changes"),
        "acquisition": text2("images taken otherwise"),
        "prevalence": text2("another prevalence"),
        "periods": text2("later calendar time"),
        "unusual": text2("unusual patients"),
    }[family]
