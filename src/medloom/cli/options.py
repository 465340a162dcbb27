"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloom.foundation.messages import tr

SiteOption = Annotated[
    Path | None,
    typer.Option("--site", "-s", help=tr("The site's folder; else MEDLOOM_SITE or the current directory.")),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help=tr("Print one JSON object and nothing else; or write it: --json FILE.json")),
]
SeedOption = Annotated[int, typer.Option("--seed", help=tr("Of everything random."))]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", help=tr("key=value for the learner."))
]
EngineOption = Annotated[
    str, typer.Option("--engine", help=tr("local, or ray: work is shared out among its workers."))
]
AddressOption = Annotated[
    str | None, typer.Option("--address", help=tr("Of a Ray cluster; else Ray is started on this machine."))
]
