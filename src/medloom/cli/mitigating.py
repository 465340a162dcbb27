"""The command that makes a model fairer and shows the price: mitigate."""

from __future__ import annotations

from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SeedOption, SiteOption
from medloom.foundation.files import write_json
from medloom.foundation.messages import tr
from medloom.site import Site
from medloom.tasks import models


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mitigate", help=tr("Make a model fairer between groups, and show at what price."))(mitigate)


def mitigate(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    by: Annotated[str, typer.Option(help="sex, age, race, ethnicity, language, insurance, site")],
    method: Annotated[str, typer.Option(help="thresholds, reweighing")] = "thresholds",
    aim: Annotated[
        str, typer.Option(help="equalised_odds, equal_opportunity, demographic_parity")
    ] = "equalised_odds",
    threshold: Annotated[
        float | None,
        typer.Option(help=tr("The risk from which all are flagged; else the share with the outcome.")),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help=tr("For answers out of fold, where the site sets no patients aside."))
    ] = None,
    site: SiteOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Mitigate."""
    from medloom import api, dossier, mitigating
    from medloom.evidence.mitigation_section import mitigation_section

    opened = Site.open(site)
    with screen.showing_progress(json):
        made = mitigating.mitigate(
            api.trained(opened, model),
            by,
            method,  # type: ignore[arg-type]
            aim,  # type: ignore[arg-type]
            threshold=threshold,
            folds=folds,
            site=opened,
            seed=seed,
        )
    name = made.trained.name
    assert name is not None
    dossier.keep_section(opened, name, mitigation_section(made.price))
    path = models.evidence_directory(opened.directory, name) / "mitigation.json"
    write_json(path, made.price.to_json())
    if json:
        screen.json(made.price.to_json())
        return
    screen.say(str(made))
    screen.say()
    screen.say(tr("Kept as {model}; the price in {path}", model=name, path=path))
    screen.say(tr("Next: medloom evaluate {model}", model=name))
