"""Facts that somebody sends: kept together with the entries of the audit log that tell of them.

Facts are in `live.db` and the audit log is in `site.db`; no transaction spans both. So the log is written first, while
the facts are ready and not yet kept: a fact that is in the record is in the log, whatever happens between. The other
way round the log may tell of facts that are not there: nobody was told that they were kept, and whoever sends them
again finds them new.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from medloom.database.audit import Entry
from medloom.foundation.errors import MedloomError
from medloom.record.importing import CodeInfo
from medloom.record.live import Arrival
from medloom.server.access import Person
from medloom.server.backend import Backend


def keep(
    backend: Backend,
    person: Person,
    facts: pl.DataFrame,
    via: str,
    *,
    codes: Mapping[str, CodeInfo] | None = None,
    whole: bool = False,
) -> Arrival:
    """Keep facts and tell of them in the audit log, once for each patient and once for all; readers see them at once.

    Args:
        backend: of the server.
        person: who sends them.
        facts: columns of `BATCH_SCHEMA`, and `system`, the namespace of the patients' identifiers.
        via: by which way they come.
        codes: what is said of their codes.
        whole: keep none, and tell of none, if one cannot be used.

    Raises:
        StorageError: the disk or a database refuses; nothing was kept.
        LockedError: an import is running, and one of the patients is new.
    """
    told = False

    def tell(arrival: Arrival) -> None:
        nonlocal told
        counts = {
            "written": arrival.written,
            "duplicates": arrival.duplicates,
            "rejected": arrival.quarantined,
            "via": via,
        }
        backend.told(
            *(Entry(person.login, person.role, "events.written", subject) for subject in arrival.subjects),
            Entry(person.login, person.role, "events.sent", detail=counts),
        )
        told = True

    try:
        arrival = backend.site.record.append(facts, now=backend.now(), codes=codes, whole=whole, telling=tell)
    except MedloomError:
        if told:  # and yet not kept
            backend.told(
                Entry(person.login, person.role, "events.sent", outcome="failed", detail={"via": via})
            )
        raise
    backend.serving.changed(arrival.subjects)
    backend.jobs.wake()  # enough may wait to be compacted
    return arrival
