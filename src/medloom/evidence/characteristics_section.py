"""Who the patients are and what is known of them, as sections of a report."""

from collections.abc import Callable, Sequence
from typing import Final

from medloom.evidence import words
from medloom.evidence.characteristics import Covariate, DemographicSummary, People
from medloom.evidence.counts import FEW
from medloom.evidence.section import Cell, Section, cell, table
from medloom.explanation.wording import fill
from medloom.foundation.messages import Text2, text2

_SHOWN: Final = 25
_COMMON: Final = 0.1  # share of samples; inputs that fewer have come behind


def people_section(found: DemographicSummary, splits: Sequence[str]) -> Section:
    """Tell who the patients of some splits are, side by side, with and without the outcome."""
    shown = [
        (split, key, one)
        for split in dict.fromkeys(splits)
        if split in found.splits
        for key, one in found.splits[split].items()
    ]
    titles = _titles()
    head = [
        fill(text2("{split}: {who}"), split=words.split_name(split), who=titles[key])
        for split, key, _ in shown
    ]
    rows: list[list[Cell]] = [
        [cell(text2("persons")), *(cell(one.persons.shown) for *_, one in shown)],
        [cell(text2("age, years: mean (SD)")), *(_age(one) for *_, one in shown)],
    ]
    for dimension, groups in (shown[0][2].groups if shown else {}).items():
        for name in groups:
            label = Cell(words.subgroup_name(dimension, name), words.dimension_name(dimension))
            rows.append([label, *(_share(one, dimension, name) for *_, one in shown)])
    return Section(
        "people",
        text2("Who the patients are"),
        tables=(table(("", *head), rows),),
        note=text2(
            "Persons, counted once in each column, at the moment of prediction. Fewer than ten are not told (<10);"
            " where others would tell them, neither are these (≥10). Other splits: characteristics.json."
        ),
    )


def inputs_section(found: Sequence[Covariate], n: int, name_of: Callable[[str], Text2]) -> Section:
    """Tell what is known of those the model learned from, the inputs that differ most with the outcome first.

    Arguments:
        found: all inputs.
        n: samples they were described over.
        name_of: an input's name for people.
    """
    outcome = any("with" in one.mean for one in found)
    ranked = sorted(
        found, key=lambda one: (_rare(one), -abs((one.smd if outcome else one.shift) or 0.0), one.name)
    )
    ranked = ranked[:_SHOWN]
    columns = ("with", "without") if outcome else ("all",)
    titles = _titles()
    head = (
        text2("input"),
        text2("known of"),
        *(fill(text2("{who}, mean (SD)"), who=titles[key]) for key in columns),
        *((text2("difference, in SD"),) if outcome else ()),
        text2("evaluated − learned from, in SD"),
    )
    rows = [
        [
            cell(name_of(one.name)),
            cell(FEW if one.present is None else f"{one.present:.0%}"),
            *(_mean(one, key) for key in columns),
            *((cell(_signed(one.smd)),) if outcome else ()),
            cell(_signed(one.shift)),
        ]
        for one in ranked
    ]
    return Section(
        "characteristics",
        text2("What is known of them"),
        tables=(table(head, rows),),
        note=text2(
            "{shown} of {p:,} inputs, over {n:,} samples the model learned from; all of them are in"
            " characteristics.json. A difference of 0.1 standard deviations and less is usually called small"
            " (Austin 2009).",
            shown=len(ranked),
            p=len(found),
            n=n,
        ),
    )


def _rare(one: Covariate) -> bool:
    """Tell of an input that few have: how it differs with the outcome says little of the patients."""
    return one.present is None or one.present < _COMMON


def _titles() -> dict[str, Text2]:
    return {"all": text2("all"), "with": text2("with the outcome"), "without": text2("without the outcome")}


def _age(one: People) -> Cell:
    return cell(None if one.age is None else f"{one.age[0]:.1f} ({one.age[1]:.1f})")


def _share(one: People, dimension: str, name: str) -> Cell:
    count = one.groups[dimension].get(name)
    if count is None:
        return cell(None)
    if count.n is None or not one.persons.n:
        return cell(count.shown)
    share = f"{count.n / one.persons.n:.1%}"
    return cell(count.shown, detail=Text2(share, share))


def _mean(one: Covariate, key: str) -> Cell:
    mean, sd = one.mean[key], one.sd[key]
    if mean is None or sd is None:
        return cell(FEW)
    said = f"{_rounded(mean)} ({_rounded(sd)})"
    return cell(said)


def _rounded(value: float) -> str:
    """Write a number with three significant digits, not in powers of ten.

    >>> _rounded(0.01234), _rounded(123456.0), _rounded(-2.5)
    ('0.0123', '123,456', '−2.50')
    """
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:,.{digits}f}".replace("-", "−")


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+.2f}".replace("-", "−")
