"""The commands `cds-client`: which record systems may ask by CDS Hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SiteOption
from medloom.foundation.errors import NotFoundError
from medloom.foundation.messages import tr
from medloom.site import Site

_MOST_KEYS = 1 << 20  # bytes

NameArgument = Annotated[str, typer.Argument(help=tr("What the client is called here."))]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help=tr("Which record systems may ask by CDS Hooks."), no_args_is_help=True, rich_markup_mode=None
    )
    group.command("add", help=tr("Let a record system ask: by the issuer and public keys of its tokens."))(
        add
    )
    group.command("list", help=tr("List the record systems that may ask."))(every)
    group.command("remove", help=tr("Let a record system ask no more."))(remove)
    app.add_typer(group, name="cds-client")


def add(
    name: NameArgument,
    issuer: Annotated[str, typer.Option(help=tr("What its tokens carry as iss."))],
    keys: Annotated[Path, typer.Option(help=tr("Its public keys: a JWK set in JSON."))],
    system: Annotated[
        str | None,
        typer.Option(
            help=tr(
                "Namespace, as given at the import, in which its Patient.id are the record's identifiers ('': none was"
                " given); without it the record knows none of its patients."
            )
        ),
    ] = None,
    site: SiteOption = None,
) -> None:
    """Add a client."""
    from medloom.cli.database import OPERATOR, operating
    from medloom.server.cds import clients

    if not keys.is_file() or keys.stat().st_size > _MOST_KEYS:
        raise NotFoundError("{name!r} is no file of keys", name=keys.name)
    with operating(Site.open(site)) as database:
        made = clients.add(database, OPERATOR, name, issuer, keys.read_bytes(), system)
    screen.say(tr("{name} may ask; its keys: {keys}", name=made.name, keys=list(made.keys)))


def every(site: SiteOption = None, json: JsonOption = False) -> None:
    """List clients."""
    from medloom.cli.database import operating
    from medloom.server.cds import clients

    with operating(Site.open(site)) as database:
        found = clients.every(database)
    if json:
        listed = [
            {"name": one.name, "issuer": one.issuer, "keys": list(one.keys), "system": one.system}
            for one in found
        ]
        screen.json({"clients": listed})
        return
    screen.table(
        [tr("name"), tr("issuer"), tr("keys")], [(one.name, one.issuer, ", ".join(one.keys)) for one in found]
    )


def remove(name: NameArgument, site: SiteOption = None) -> None:
    """Remove a client."""
    from medloom.cli.database import OPERATOR, operating
    from medloom.server.cds import clients

    with operating(Site.open(site)) as database:
        clients.remove(database, OPERATOR, name)
    screen.say(tr("{name} may ask no more.", name=name))
