"""The command that makes a model smaller or faster: compress."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SeedOption, SiteOption
from medloom.foundation.messages import tr
from medloom.site import Site
from medloom.training.compression.plan import METHODS, Plan

_TARGETS = ", ".join(METHODS)
_WAYS = "; ".join(f"{to}: {', '.join(ways)}" for to, ways in METHODS.items() if len(ways) > 1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compress", help=tr("Make a model smaller or faster to answer."))(compress)


def compress(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    to: Annotated[str, typer.Option(help=_TARGETS)],
    method: Annotated[str, typer.Option(help=_WAYS)] = "",
    share: Annotated[
        float, typer.Option(help=tr("Of heads and units, or of weights, that go: pruned."))
    ] = 0.5,
    size: Annotated[
        str, typer.Option(help=tr("Of the network that learns from it: distilled; else half the width."))
    ] = "",
    epochs: Annotated[int, typer.Option(help=tr("Passes over the samples, where it learns again."))] = 5,
    minutes: Annotated[float | None, typer.Option(help=tr("After which learning again stops."))] = None,
    most_lost: Annotated[
        float | None,
        typer.Option(
            help=tr("AUROC, or F1 of places, it may lose on the tuning samples; else it is not kept.")
        ),
    ] = None,
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Compress."""
    from medloom import api, compressing

    opened = Site.open(site)
    plan = Plan(to, method, share, size, epochs, minutes=minutes)
    plan.check()
    with screen.showing_progress(json):
        done = compressing.compress(
            api.trained(opened, model), plan, most_lost=most_lost, site=opened, seed=seed
        )
    made, name = done.made, done.trained.name
    if json:
        why_not = None if done.without_ranges is None else done.without_ranges.en
        screen.json({"model": str(name), **made.to_json(), "without_ranges": why_not})
        return
    screen.table(
        [tr("figure"), tr("before"), tr("after")],
        [
            (label, _shown(getattr(made.before, field), form), _shown(getattr(made.after, field), form))
            for label, field, form in _rows()
            if any(getattr(one, field) is not None for one in (made.before, made.after))
        ],
        right=[1, 2],
    )
    screen.say(tr("On the {n:,} tuning samples; times on one thread of this machine.", n=made.n))
    screen.say(tr("Kept as {model}, made from {digest}.", model=name, digest=_base(done)[:12]))
    if done.without_ranges is not None:
        screen.warning(
            tr("Its predictions come without ranges: {why}", why=screen.spoken(done.without_ranges))
        )
    screen.say(tr("Next: medloom evaluate {model}", model=name))


def _base(done: Any) -> str:
    from medloom.training.compression.model import CompressedModel
    from medloom.training.wrapping import layer

    found = layer(done.trained.model, CompressedModel)
    assert found is not None
    return found.base_digest


def _rows() -> list[tuple[str, str, str]]:
    return [
        (tr("size, bytes"), "bytes", ",.0f"),
        (tr("to answer one, median, ms"), "p50_ms", ".2f"),
        (tr("to answer one, 95th percentile, ms"), "p95_ms", ".2f"),
        (tr("from the record, median, ms"), "whole_p50_ms", ".1f"),
        (tr("from the record, 95th percentile, ms"), "whole_p95_ms", ".1f"),
        ("AUROC", "auroc", ".4f"),
        (tr("F1, strict"), "f1", ".4f"),
        (tr("calibration error (ECE)"), "ece", ".4f"),
        (tr("calibration slope"), "slope", ".2f"),
    ]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
