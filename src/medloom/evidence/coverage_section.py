"""What was found of ranges, sets, bounds and bands, as a section of the report."""

from __future__ import annotations

from medloom.evidence.coverage import THIRDS, Coverage
from medloom.evidence.estimate import Estimate
from medloom.evidence.section import Cell, Section, cell, table
from medloom.evidence.words import subgroup_name
from medloom.foundation.messages import Text2, text2


def coverage_section(found: Coverage) -> Section:
    """Tell whether the truth lay where predictions said it would, for whom, and how wide they had to be.

    >>> told = (("low", 0.1), ("observed", 0.2), ("high", 0.3), ("width", 0.2))
    >>> one = {name: Estimate(value) for name, value in told}
    >>> coverage_section(Coverage(None, 50, 50, one, {})).sentences[0].en
    'Risks were said to lie between 10.0% and 30.0% on average; the outcome came true in 20.0%.'
    """
    names = list(found.metrics)
    head = [text2("patients"), *(_metric(name, found.unit) for name in names)]
    rows = [[cell(text2("all")), *(_cell(name, found.metrics[name], found) for name in names)]]
    for dimension, parts in found.subgroups.items():
        for name, part in parts.items():
            said = _third(name) if dimension == "risk" else subgroup_name(dimension, name)
            rows.append([cell(said), *(_cell(one, part[one], found) for one in names)])
    return Section(
        "coverage",
        text2("How sure it is, and whether that is true"),
        sentences=tuple(_sentences(found)),
        tables=(table(head, rows),),
        note=_note(found),
    )


def _sentences(found: Coverage) -> list[Text2]:
    one = {name: estimate.value for name, estimate in found.metrics.items()}
    if found.kind in ("regression", "multiclass"):
        if one.get("coverage") is None:
            return []
        promised = {"level": f"{found.level:.0%}", "held": f"{one['coverage']:.1%}"}
        if found.kind == "regression":
            return [
                text2(
                    "Ranges were to hold the truth of {level} of patients; they held that of {held}.",
                    **promised,
                )
            ]
        return [
            text2(
                "Sets of answers were to hold the true one for {level} of patients; they held it for {held}.",
                **promised,
            )
        ]
    said = []
    for name in one:
        event, _, own = name.rpartition(": ")
        kind, dot, horizon = own.partition(".")
        before = f"{event}: " if event else ""
        ends = [one.get(f"{before}{which}{dot}{horizon}") for which in ("low", "high", "observed")]
        if kind != "low" or any(value is None for value in ends):
            continue
        low, high, seen = (f"{value:.1%}" for value in ends)
        if not dot:
            said.append(
                text2(
                    "Risks were said to lie between {low} and {high} on average; the outcome came true in {seen}.",
                    low=low,
                    high=high,
                    seen=seen,
                )
            )
            said += _missed(found)
        else:
            said.append(
                text2(
                    "By {horizon} {unit}, risks were said to lie between {low} and {high} on average; the event{event}"
                    " came in {seen}.",
                    horizon=horizon,
                    unit=found.unit or "",
                    event=f" ({event})" if event else "",
                    low=low,
                    high=high,
                    seen=seen,
                )
            )
    return said


def _missed(found: Coverage) -> list[Text2]:
    """Name the thirds of risk in which the outcome surely came true more, or less, often than was said."""
    out = []
    for name, part in found.subgroups.get("risk", {}).items():
        low, seen, high = (part[key] for key in ("low", "observed", "high"))
        if None in (low.value, seen.value, seen.low, seen.high, high.value):
            continue
        assert seen.low is not None and seen.high is not None
        assert low.value is not None and high.value is not None and seen.value is not None
        if low.value <= seen.high and seen.low <= high.value:
            continue
        template = text2(
            "Not so in one part: said {low} to {high}, observed {seen}.",
            low=f"{low.value:.1%}",
            high=f"{high.value:.1%}",
            seen=f"{seen.value:.1%} ({seen.low:.1%}–{seen.high:.1%})",
        )
        part_of = _third(name)
        out.append(Text2(f"{template.en[:-1]} ({part_of.en}).", f"{template.zh[:-1]}（{part_of.zh}）。"))
    return out


def _metric(name: str, unit: str | None) -> Text2:
    event, _, own = name.rpartition(": ")
    kind, _, horizon = own.partition(".")
    names = {
        "coverage": text2("held the truth"),
        "width": text2("mean width"),
        "interval_score": text2("interval score (less is better)"),
        "set_size": text2("answers in a set, on average"),
        "singletons": text2("sets of one answer"),
        "low": text2("mean low end"),
        "observed": text2("observed"),
        "high": text2("mean high end"),
    }
    said = names[kind]
    if horizon:
        said = text2("{what}, by {time}", what=said.en, time=f"{horizon} {unit or ''}".strip())
        said = Text2(
            said.en, text2("{what}, by {time}", what=names[kind].zh, time=f"{horizon} {unit or ''}").zh
        )
    return Text2(f"{event}: {said.en}", f"{event}：{said.zh}") if event else said


def _cell(name: str, one: Estimate, found: Coverage) -> Cell:
    plain = found.kind == "regression" and name in ("width", "interval_score")
    return cell(one, 3 if not plain or (one.value or 0) < 10 else 1)


def _third(name: str) -> Text2:
    return dict(
        zip(
            THIRDS,
            (text2("lowest third of risk"), text2("middle third"), text2("highest third")),
            strict=True,
        )
    )[name]


def _note(found: Coverage) -> Text2:
    if found.kind in ("regression", "multiclass"):
        return text2(
            "The promise holds for patients from where those came from whom it was learned, on the whole and not for"
            " each. A group in which much fewer are held is told too narrow a range."
        )
    if found.kind == "survival":
        return text2(
            "Low and high are limits ({level:.0%}) of how often patients with such a predicted risk had the event,"
            " as seen in patients the model had not learned from, widened to hold its answer. What was observed should"
            " lie between them in every third of risk.",
            level=found.level or 0,
        )
    return text2(
        "Low and high hold two calibrated risks (Venn-Abers) and the model's answer; they are no 95 % interval."
        " What was observed should lie between them in every third of risk, as far as its own interval tells."
    )
