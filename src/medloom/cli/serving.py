"""Commands of the server: `serve`, `release`, `reproduce`, `account`, `audit`."""

from __future__ import annotations

import gc
import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SiteOption
from medloom.foundation.errors import InputError
from medloom.foundation.messages import tr
from medloom.site import Site

if TYPE_CHECKING:
    from medloom.database.engine import Database
    from medloom.loop.releases import Actor
    from medloom.server.running import Address
    from medloom.server.settings import ServerSettings

PasswordOption = Annotated[
    bool, typer.Option("--password-stdin", help=tr("Read passwords from standard input, a line each."))
]

_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve", help=tr("Serve the site: workbench, HTTP API, FHIR, CDS Hooks."))(serve)
    app.command("release", help=tr("Propose a model for patients, or sign a proposal of somebody else."))(
        release
    )
    app.command("reproduce", help=tr("Make stored advice again, from the model and input that were used."))(
        reproduce
    )
    accounts = typer.Typer(help=tr("Who may come in."), no_args_is_help=True, rich_markup_mode=None)
    accounts.command("add", help=tr("Make an account."))(account_add)
    accounts.command("list", help=tr("List the accounts."))(account_list)
    accounts.command("password", help=tr("Give an account another password."))(account_password)
    accounts.command("disable", help=tr("Let an account in no more."))(account_disable)
    app.add_typer(accounts, name="account")
    audit = typer.Typer(
        help=tr("Who saw or changed what, and why."), no_args_is_help=True, rich_markup_mode=None
    )
    audit.command("verify", help=tr("Verify that nothing in the audit log was changed."))(audit_verify)
    app.add_typer(audit, name="audit")


def serve(
    site: SiteOption = None,
    host: Annotated[str, typer.Option(help=tr("Address to listen on."))] = "127.0.0.1",
    port: Annotated[int, typer.Option(help=tr("Port to listen on."))] = 8000,
    host_name: Annotated[
        list[str] | None, typer.Option(help=tr("A further name under which the server is reached."))
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help=tr("Certificate (PEM) for TLS."))] = None,
    tls_key: Annotated[Path | None, typer.Option(help=tr("Its key (PEM)."))] = None,
    tls_self_signed: Annotated[
        bool, typer.Option("--tls-self-signed", help=tr("Make a certificate of its own."))
    ] = False,
    behind_tls: Annotated[
        bool, typer.Option("--behind-tls", help=tr("A proxy in front of it speaks TLS."))
    ] = False,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help=tr("Plain HTTP beyond this machine: on your own risk."))
    ] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=_MOMENTS, help=tr("For demonstrations: the moment that is now.")),
    ] = None,
) -> None:
    """Serve."""
    from medloom.server.running import Address
    from medloom.server.settings import ServerSettings

    address = Address(
        host, port, tuple(host_name or ()), tls_cert, tls_key, tls_self_signed, behind_tls, insecure_http
    )
    run(Site.open(site), address, ServerSettings(as_of=as_of))


def run(site: Site, address: Address, settings: ServerSettings) -> None:
    """Serve until interrupted."""
    from medloom.server.running import server

    made, url = server(site, address, settings)
    screen.say(tr("{site} is served at {url} (stop with Ctrl-C)", site=site.settings.name, url=url))
    # what was loaded stays: walking through all of it again and again would keep those waiting who ask
    gc.collect()
    gc.freeze()
    made.run()


def release(
    model: Annotated[str, typer.Argument(help="TASK.LEARNER[@N]")],
    account: Annotated[str, typer.Option("--as", help=tr("The account that acts; asks for its password."))],
    sign: Annotated[
        bool, typer.Option("--sign", help=tr("Sign the proposal of somebody else, so that it answers."))
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help=tr("The answer from which on somebody is alerted."))
    ] = None,
    note: Annotated[str, typer.Option(help=tr("Why."))] = "",
    site: SiteOption = None,
    password_stdin: PasswordOption = False,
    json: JsonOption = False,
) -> None:
    """Propose or sign."""
    from medloom.cli.database import operating
    from medloom.loop import releases
    from medloom.server.access import ROLES, Permission

    opened = Site.open(site)
    with operating(opened) as database:
        actor = _acting(database, account, password_stdin)
        needed = Permission.SIGN_RELEASE if sign else Permission.PROPOSE_RELEASE
        if needed not in ROLES[actor.role]:  # type: ignore[index]
            raise InputError(
                "the role {role} of {account} does not permit this", role=actor.role, account=account
            )
        if sign:
            name = str(opened.model_name(model))
            waiting = [
                one for one in releases.every(database) if one.model == name and one.state == "proposed"
            ]
            if not waiting:
                raise InputError("{model} is not proposed; propose it first", model=name)
            done = releases.sign(database, waiting[0].id, actor)
        else:
            done = releases.propose(opened, database, model, actor, note, threshold)
    if json:
        screen.json({"release": done.id, "model": done.model, "state": done.state})
    elif done.state == "active":
        screen.say(tr("{model} answers now.", model=done.model))
    else:
        screen.say(tr("{model} is proposed; it answers when somebody else has signed it.", model=done.model))


def reproduce(
    advice: Annotated[str, typer.Argument(help=tr("The advice's number, 32 characters."))],
    site: SiteOption = None,
    json: JsonOption = False,
) -> None:
    """Reproduce."""
    from medloom.care import risk
    from medloom.cli.database import OPERATOR, operating
    from medloom.database.audit import Entry

    opened = Site.open(site)
    with operating(opened) as database:
        made = risk.reproduce(opened, database, advice)
        entry = Entry(
            OPERATOR.name,
            OPERATOR.role,
            "advice.reproduced",
            made.advice.subject_id,
            advice,
            detail={"same": made.same},
        )
        database.write(lambda connection: database.audit.append(connection, entry))
    if json:
        screen.json(
            {
                "advice": made.advice.id,
                "model": made.advice.model,
                "same": made.same,
                "record_says_the_same": made.record_says_the_same,
                "given": [[one.output, one.end, one.value] for one in made.advice.answers],
                "now": [[one.output, one.end, one.value] for one in made.answers],
            }
        )
    else:
        screen.table(
            [tr("answer"), tr("given"), tr("now")],
            [
                (given.output, f"{given.value:.6g}", f"{now.value:.6g}")
                for given, now in zip(made.advice.answers, made.answers, strict=True)
            ],
            right=(1, 2),
        )
        screen.say(tr("The same.") if made.same else tr("NOT the same."))
        screen.say(
            {
                True: tr("The record still says what the model looked at."),
                False: tr(
                    "The record says something else of that moment now: facts came late, or were corrected."
                ),
                None: tr("The patient is no longer in the record."),
            }[made.record_says_the_same]
        )
    if not made.same:
        raise typer.Exit(1)


def account_add(
    name: Annotated[str, typer.Argument(help=tr("What they sign in with."))],
    role: Annotated[str, typer.Option(help="clinician, expert, data_scientist, governance, admin")],
    display: Annotated[str, typer.Option(help=tr("How pages call them."))] = "",
    language: Annotated[str, typer.Option(help="en, zh")] = "en",
    sees_all: Annotated[
        bool, typer.Option("--sees-all", help=tr("Sees patients beyond the own care team."))
    ] = False,
    site: SiteOption = None,
    password_stdin: PasswordOption = False,
) -> None:
    """Add an account."""
    from medloom.cli.database import OPERATOR, operating
    from medloom.server import accounts

    with operating(Site.open(site)) as database:
        password = _password(tr("Password for {name}: ", name=name), password_stdin, twice=True)
        made = accounts.create(
            database,
            OPERATOR,
            name,
            role,
            password,
            display=display,
            language=language,
            sees_all=sees_all,
        )
    screen.say(tr("{name} may sign in as {role}.", name=made.name, role=made.role))


def account_list(site: SiteOption = None, json: JsonOption = False) -> None:
    """List accounts."""
    from medloom.cli.database import operating
    from medloom.server import accounts

    with operating(Site.open(site)) as database:
        found = accounts.every(database)
    if json:
        screen.json(
            {"accounts": [{"name": one.name, "role": one.role, "disabled": one.disabled} for one in found]}
        )
        return
    screen.table(
        [tr("name"), tr("role"), tr("called"), ""],
        [(one.name, one.role, one.display, tr("disabled") if one.disabled else "") for one in found],
    )


def account_password(
    name: Annotated[str, typer.Argument(help=tr("What they sign in with."))],
    site: SiteOption = None,
    password_stdin: PasswordOption = False,
) -> None:
    """Set a password; its owner chooses another one at the next sign-in."""
    from medloom.cli.database import OPERATOR, operating
    from medloom.server import accounts

    with operating(Site.open(site)) as database:
        accounts.find(database, name)
        password = _password(tr("Password for {name}: ", name=name), password_stdin, twice=True)
        accounts.set_password(database, OPERATOR, name, password, must_change=True)
    screen.say(tr("Done. {name} chooses another one at the next sign-in.", name=name))


def account_disable(
    name: Annotated[str, typer.Argument(help=tr("What they sign in with."))], site: SiteOption = None
) -> None:
    """Disable an account."""
    from medloom.cli.database import OPERATOR, operating
    from medloom.server import accounts

    with operating(Site.open(site)) as database:
        accounts.change(database, OPERATOR, name, disabled=True)
    screen.say(tr("{name} is let in no more; sessions and tokens have ended.", name=name))


def audit_verify(
    head: Annotated[
        str | None, typer.Option(help=tr("A seal noted earlier, which must still be in the log."))
    ] = None,
    site: SiteOption = None,
    json: JsonOption = False,
) -> None:
    """Verify the audit log."""
    from medloom.cli.database import operating

    with operating(Site.open(site)) as database, database.reading() as connection:
        found = database.audit.verify(connection, head)
    if json:
        screen.json({"entries": found.entries, "head": found.head, "noted": found.noted})
        return
    screen.say(tr("{n:,} entries, none was changed.", n=found.entries))
    if found.noted is not None:
        screen.say(tr("The seal you noted was found: it is that of entry {n:,}.", n=found.noted))
    screen.say(tr("Note this seal elsewhere, so that nothing can be cut off: {head}", head=found.head))


def _acting(database: Database, name: str, from_stdin: bool) -> Actor:
    from medloom.loop.releases import Actor
    from medloom.server import accounts

    password = _password(tr("Password for {name}: ", name=name), from_stdin)
    found = accounts.authenticate(database, name, password)
    if found is None:
        raise InputError("name or password is wrong, or the account is locked")
    if found.must_change:
        raise InputError(
            "{name} has not chosen a password of their own yet; sign in to the workbench", name=name
        )
    return Actor(found.name, found.role)


def _password(question: str, from_stdin: bool, *, twice: bool = False) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(question)
    if twice and getpass.getpass(tr("Once more: ")) != first:
        raise InputError("the two passwords differ")
    return first
