"""What making a model fairer changed and cost, as a section of a report and as text for the terminal."""

from collections.abc import Callable

from medloom.evidence import words
from medloom.evidence.estimate import Estimate
from medloom.evidence.mitigation import GAPS, GOALS, PRICED, Change, Price
from medloom.evidence.section import Cell, Section, Table, cell, marked, table
from medloom.evidence.table import aligned
from medloom.foundation.messages import LANGUAGES, Text2, language, text2

_WITHIN = (
    "selection_rate",
    "sensitivity",
    "false_positive_rate",
    "ppv",
    "net_benefit",
    "observed_to_expected",
)


def mitigation_section(found: Price) -> Section:
    """Tell what was done, how far its gap closed, and the price for all and within each group."""
    return Section(
        "mitigation",
        text2("Made fairer, and at what price"),
        (_done(found), _goal(found), caution(found)),
        tables=(_gaps(found), _overall(found), _within(found)),
        note=text2(
            "Before and after are measured on the same {n:,} samples of {subjects:,} subjects, from whom neither the"
            " model nor a threshold was learned. A difference is after less before, paired. Net benefit weighs a false"
            " alarm by the threshold of {risk} in both.",
            n=found.n,
            subjects=found.n_subjects,
            risk=f"{found.threshold:.1%}",
        ),
    )


def caution(found: Price) -> Text2:
    """Say what people must decide before this is used."""
    named = words.dimension_name(found.by)
    if found.thresholds:
        return _both(
            lambda at: text2(
                "Whom it flags now depends on a protected attribute ({by}) beside the risk. That may be unlawful where"
                " the model is used, whatever the aim. Whether it is done is for people to decide, and whoever sees"
                " a flag must be told.",
                by=named[at].lower(),
            )
        )
    return _both(
        lambda at: text2(
            "It was learned as if the outcome were as frequent in all groups by {by}. Where it is not, the risks"
            " within groups are off: see observed / expected. Whether that is a fair price is for people to decide.",
            by=named[at].lower(),
        )
    )


def as_text(found: Price) -> str:
    """Write the price as aligned text in the current language."""
    section, at = mitigation_section(found), LANGUAGES.index(language())

    def said(one: Cell) -> str:
        return one.text[at] if one.detail is None else f"{one.text[at]} ({one.detail[at]})"

    blocks = [
        aligned([[name[at] for name in one.head], *([said(each) for each in row] for row in one.rows)])
        for one in section.tables
    ]
    note = [] if section.note is None else [section.note[at]]
    return "\n\n".join([section.title[at], "\n".join(one[at] for one in section.sentences), *blocks, *note])


def _done(found: Price) -> Text2:
    named = words.dimension_name(found.by)
    if not found.thresholds:
        return _both(
            lambda at: text2(
                "The model was learned anew from samples reweighed by {by} and outcome; flagged is a risk of {risk} or"
                " more, as before.",
                by=named[at].lower(),
                risk=f"{found.threshold:.1%}",
            )
        )
    return _both(
        lambda at: text2(
            "The risks are the same; instead of {risk} for all, flagged is from: {thresholds}.",
            risk=f"{found.threshold:.1%}",
            thresholds=(", ", "、")[at].join(
                f"{words.subgroup_name(found.by, name)[at]} {value:.1%}"
                for name, value in found.thresholds.items()
            ),
        )
    )


def _goal(found: Price) -> Text2:
    """Say how the gap that was to close has changed."""
    rate = GOALS[found.aim]
    one, name = found.gaps[rate], words.metric_name(rate)
    if one.before.value is None or one.after.value is None:
        reason = one.difference.reason or text2("fewer than two groups can be compared")
        return _both(
            lambda at: text2(
                "Whether the gap closed ({gap}) cannot be said: {reason}.", gap=name[at], reason=reason[at]
            )
        )
    before, after = one.before.said2(2), one.after.said2(2)
    return _both(
        lambda at: text2(
            "Gap in {gap}: {before} before, {after} after.",
            gap=name[at],
            before=before[at],
            after=after[at],
        )
    )


def _gaps(found: Price) -> Table:
    rows: list[tuple[Text2 | Cell | Estimate, ...]] = []
    for rate in GAPS:
        one, pairs = found.gaps[rate], found.between.get(rate)
        row = [cell(getattr(one, when), 2) for when in ("before", "after")]
        if pairs is not None:
            row = [_with(made, words.between(found.by, *pair)) for made, pair in zip(row, pairs, strict=True)]
        row.append(cell(one.difference, 2))
        if rate == GOALS[found.aim]:
            row = [marked(made) for made in row]
        rows.append((words.metric_name(rate), *row))
    return table(_head(text2("gap between groups")), rows)


def _overall(found: Price) -> Table:
    rows: list[tuple[Text2 | Cell, ...]] = [
        (words.metric_name(rate), *(cell(each, 3) for each in (one.before, one.after, one.difference)))
        for rate in PRICED
        for one in (found.overall[rate],)
    ]
    return table(_head(text2("all together")), rows)


def _within(found: Price) -> Table:
    rows: list[tuple[Text2 | Cell, ...]] = [
        (words.subgroup_name(found.by, group), *(_change(rates[rate]) for rate in _WITHIN))
        for group, rates in found.groups.items()
    ]
    return table((text2("within: before → after"), *map(words.metric_name, _WITHIN)), rows)


def _change(one: Change) -> Cell:
    """Both numbers, and beneath them the interval of their difference."""
    if one.before.value is None or one.after.value is None:
        return cell(one.difference)
    if one.difference.value == one.difference.low == one.difference.high == 0:
        return Cell(Text2(*[one.before.said(2).partition(" (")[0]] * 2))
    both = f"{one.before.said(2).partition(' (')[0]} → {one.after.said(2).partition(' (')[0]}"
    return Cell(Text2(both, both), one.difference.said2(2))


def _head(first: Text2) -> tuple[Text2, ...]:
    return first, text2("before"), text2("after"), text2("difference (after − before)")


def _with(made: Cell, who: Text2) -> Cell:
    span = made.detail
    return Cell(made.text, who if span is None else Text2(f"{span.en}; {who.en}", f"{span.zh}；{who.zh}"))


def _both(said: Callable[[int], str | Text2]) -> Text2:
    """Say something that holds names in both languages."""
    return Text2(*(one if isinstance(one := said(at), str) else one[at] for at in (0, 1)))
