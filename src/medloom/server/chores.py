"""What can be done in the background: imports, the quality report, compaction of what arrived live, evaluations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from medloom import dossier, importers
from medloom.care.notes import tagging
from medloom.database.engine import Database
from medloom.database.metadata import as_utc_text
from medloom.database.tables.work import alert_read
from medloom.loop.releases import Actor
from medloom.loop.serving import Serving
from medloom.record.live_tail import Extent
from medloom.record.quality import assess
from medloom.server.jobs import Jobs, Work
from medloom.server.uploads import Uploads
from medloom.site import Site

QUALITY_PAGE: Final = "quality.html"
MACHINE: Final = Actor("medloom", "")
_MANY: Final = 1000  # facts that wait
_LONG: Final = timedelta(minutes=5)
_PAUSE: Final = 60.0  # seconds between two compactions
_DAY: Final = timedelta(days=1)
_JOBS_KEPT: Final = timedelta(days=90)
_ALERTS_KEPT: Final = timedelta(days=365)


def chores(
    site: Site, database: Database, serving: Serving, uploads: Uploads, clock: Callable[[], datetime]
) -> dict[str, Work]:
    """Give each kind of job what does it."""

    def import_(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        upload = str(arguments["upload"])
        try:
            given = {"system": arguments["system"]} if arguments.get("system") else {}
            if arguments.get("mapping"):
                given["mapping"] = str(uploads.mapping_of(upload))
            importer = importers.named(arguments["format"], uploads.source(upload), **given)
            report = site.record.add(importer, clock())
        finally:
            uploads.remove(upload)
        serving.changed(None)
        return {name: value for name, value in report.to_json().items() if name != "importer"}

    def quality(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        report = assess(site.record, clock())
        report.to_html(quality_page(site))
        warned = [check for check in report.checks if check.status != "ok"]
        return {
            "status": report.status,
            "checks": len(report.checks),
            "warnings": sum(check.status == "warning" for check in warned),
            "notices": sum(check.status == "notice" for check in warned),
            "subjects": report.overview.subjects,
            "events": report.overview.events,
            "record": report.record,
        }

    def compact(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        report = site.record.compact(clock())
        return {} if report is None else report.to_json()

    def evaluate(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        made = dossier.evaluate(site, arguments["model"], arguments.get("split") or "held_out")
        found = made.evaluation.to_json()
        return {name: found[name] for name in ("n", "n_subjects", "metrics") if name in found}

    def ask_notes(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"notes": tagging.ask_of_all(site, serving, database, clock())}

    return {
        "import": import_,
        "quality": quality,
        "compact": compact,
        "evaluate": evaluate,
        "ask-notes": ask_notes,
    }


def quality_page(site: Site) -> Path:
    """Place the quality report that was made last."""
    return site.directory.reports / QUALITY_PAGE


class Housekeeping:
    """What is seen to between jobs: facts that wait for long or are many go into the record, old uploads go.

    Once a day go jobs that ended 90 days ago, and notes a year old of who has read an alert that stands no more.

    Args:
        site: of the record.
        database: of the site.
        serving: its released models.
        uploads: of the site.
        clock: the site's wall clock.
    """

    def __init__(
        self,
        site: Site,
        database: Database,
        serving: Serving,
        uploads: Uploads,
        clock: Callable[[], datetime],
    ) -> None:
        self._site = site
        self._database = database
        self._serving = serving
        self._uploads = uploads
        self._clock = clock
        self._asked: tuple[int, str] | None = (
            None  # the last fact when compaction was last asked for, and its job
        )
        self._again = 0.0
        self._purged = -math.inf

    def see_to(self, jobs: Jobs) -> None:
        """Do what is due."""
        self._uploads.sweep({str(one.arguments.get("upload")) for one in jobs.open("import")})
        waiting = self._site.record.waiting()
        if self._is_due(waiting, jobs) and not jobs.open("compact"):
            self._asked = waiting.last, jobs.ask("compact", MACHINE).id
            self._again = time.monotonic() + _PAUSE
        if time.monotonic() - self._purged > _DAY.total_seconds():
            self._purged = time.monotonic()
            self._asked = None  # its job may go too
            jobs.purge(as_utc_text(datetime.now(UTC) - _JOBS_KEPT))
            self._purge_alerts(as_utc_text(datetime.now(UTC) - _ALERTS_KEPT))

    def _purge_alerts(self, before: str) -> None:
        with self._database.reading() as connection:
            old = connection.execute(select(alert_read).where(alert_read.c.time < before)).mappings().all()
        if not old:
            return
        board = self._serving.board().select("subject_id", "model", "prediction_time")
        standing = {(subject, model, moment.isoformat()) for subject, model, moment in board.iter_rows()}
        gone = [
            one for one in old if (one["subject_id"], one["model"], one["prediction_time"]) not in standing
        ]

        def work(connection: Connection) -> None:
            for one in gone:
                connection.execute(delete(alert_read).filter_by(**one))

        self._database.write(work)

    def _is_due(self, waiting: Extent, jobs: Jobs) -> bool:
        aged = waiting.since is not None and self._clock() - waiting.since >= _LONG
        if not waiting.facts or time.monotonic() < self._again or not (waiting.facts >= _MANY or aged):
            return False
        if self._asked is None or self._asked[0] != waiting.last:
            return True
        # what a compaction has left waits for the end of an encounter
        return jobs.find(self._asked[1]).state != "done"
