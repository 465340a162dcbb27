"""What was found out about made-up rows, in words and tables; and as a page in both languages."""

from __future__ import annotations

from pathlib import Path

from medloom.evidence.section import Said, Section, table
from medloom.evidence.synthetic import SyntheticEvidence
from medloom.foundation.files import write_text
from medloom.foundation.messages import Text2, text2
from medloom.foundation.pages import render_page

_SHOWN = 20  # columns, those that differ most


def synthetic_section(found: SyntheticEvidence) -> Section:
    """Give it as a section."""
    rows: list[tuple[Said, ...]] = [
        (
            text2("distance to the nearest patient learned from, over that of unseen patients"),
            found.distance_ratio,
            text2("1: no nearer than a new patient is; well below 1: too near"),
        ),
        (
            text2("who was learned from, told by distance: AUROC"),
            found.membership,
            text2("0.5: an attacker guesses; above: patients can be told"),
        ),
        (
            text2("rows that stood in the original just so, left out"),
            found.copies,
            text2("what is given away holds none"),
        ),
    ]
    names = {
        "real": text2("learned from real rows, tested on unseen real ones: AUROC"),
        "synthetic": text2("learned from made-up rows, tested on unseen real ones: AUROC"),
    }
    useful = text2("the nearer both are, the more made-up rows are worth")
    rows += [(names[name], one, useful) for name, one in found.utility.items()]
    rows.append(
        (
            text2("mean difference of correlations"),
            f"{found.correlation:.3f}",
            text2("0: columns hang together as they did"),
        )
    )
    columns = sorted(found.columns.items(), key=lambda one: -one[1])[:_SHOWN]
    head = (text2("column"), text2("difference in spread, 0 to 1"))
    return Section(
        "synthetic",
        text2("Made-up patients beside real ones"),
        sentences=found.doubts or (text2("Nothing was found that would tell who was learned from."),),
        tables=(
            table((text2("measure"), text2("value (95 % interval)"), text2("what it means")), rows, (2,)),
            table(head, [(name, f"{value:.3f}") for name, value in columns]),
        ),
        note=text2(
            "These are attacks that were tried, no proof: what is made up may still tell something of those it was"
            " learned from. No bound such as differential privacy is claimed."
        ),
    )


def write_synthetic_page(path: Path, found: SyntheticEvidence) -> None:
    """Write the page, replacing it whole."""
    names = {
        "train": text2("learned from"),
        "held_out": text2("unseen"),
        "synthetic": text2("made up"),
    }
    html = render_page(
        "medloom.evidence",
        "sections.html.j2",
        "report.css",
        title=text2("Synthetic data: privacy and utility"),
        facts=[(names[name], Text2(f"{n:,}", f"{n:,}")) for name, n in found.rows.items()],
        kind=text2("Synthetic data"),
        sections=[synthetic_section(found)],
    )
    write_text(path, html)
