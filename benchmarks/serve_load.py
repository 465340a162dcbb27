"""The server under load: predictions and worklist pages a second on two cores, with `wrk` on the same machine.

10,000 generated patients of whom the worklist tells; each prediction authenticated, its advice with its input stored
and audited. Beside it an empty stack of the same libraries (FastAPI, LightGBM, a hash chain, a commit in SQLite): what
is left to gain.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from medloom.cli.bench import Bench
    from medloom.record.importing import Batch, ImportContext

PATIENTS: Final = 10_000
CONNECTIONS: Final = 16
SECONDS: Final = 60
MANY: Final = 100_000  # requests, over which memory must stay
NOW: Final = datetime(2024, 3, 4, 12)
TASK: Final = """\
name: deterioration
title: {en: Deterioration within 24 hours, zh: 24小时内病情恶化}
kind: binary
prediction_time: {event: [ENCOUNTER//inpatient//START], which: every, offset: 12h, every: 12h,
  until: [ENCOUNTER//inpatient//END], at_most: 20}
predict: {event: [X//deterioration], within: 24h}
"""
_LABS: Final = (
    "LOINC//2160-0",
    "LOINC//2345-7",
    "LOINC//8867-4",
    "LOINC//8480-6",
    "LOINC//9279-1",
    "LOINC//2524-7",
)
_WRK: Final = """\
local ids = {}
for line in io.lines(%(ids)s) do ids[#ids + 1] = line end
function init(arguments) math.randomseed(tonumber(arguments[1] or "1")) end
function request()
  local id = ids[math.random(#ids)]
  local headers = {["Authorization"] = "Bearer %(token)s", ["Content-Type"] = "application/json"}
  %(ask)s
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %%d, "seconds": %%f, "p50": %%f, "p95": %%f, "p99": %%f, "failed": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(95) / 1e6,
    latency:percentile(99) / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
"""
_PREDICT: Final = """\
return wrk.format("POST", "/api/v1/predictions", headers,
    string.format('{"model": "deterioration", "subject_id": %s, "explain": false}', id))"""
_PAGE: Final = """\
return wrk.format("GET", "/worklist?start=" .. (50 * math.random(0, 150)), headers)"""
_EMPTY: Final = """\
return wrk.format("POST", "/", headers, string.format('{"subject_id": %s}', id))"""


def run(bench: Bench) -> None:
    """Measure predictions, pages, memory, and the empty stack."""
    if shutil.which("wrk") is None:
        from medloom.foundation.errors import NotFoundError

        raise NotFoundError("this benchmark needs wrk; install it with: apt install wrk")
    site, token = _site(bench)
    figures = bench.figures
    ids = bench.work / "ids.txt"
    with _served(site) as (port, pid):
        single = _wrk(bench.work, port, ids, token, _PREDICT, SECONDS)
        figures |= _figures("single", "predictions_per_s", single)
        pages = _wrk(bench.work, port, ids, token, _PAGE, SECONDS)
        figures |= _figures("worklist", "pages_per_s", pages)
        figures["memory.before_mb"] = _memory(pid)
        asked, peak = 0, 0.0
        while asked < MANY:
            asked += _wrk(bench.work, port, ids, token, _PREDICT, SECONDS)["requests"]
            peak = max(peak, _memory(pid))
        figures |= {"memory.requests": asked, "memory.after_mb": _memory(pid), "memory.most_mb": peak}
        figures["memory.growth_ratio"] = figures["memory.after_mb"] / figures["memory.before_mb"]
    figures |= _kept(site)
    with _empty_stack(bench.work) as port:
        figures |= _figures(
            "peer.empty-stack", "predictions_per_s", _wrk(bench.work, port, ids, token, _EMPTY, SECONDS // 4)
        )
    bench.versions["wrk"] = _wrk_version()


def _site(bench: Bench) -> tuple[Path, str]:
    """Make the site anew: patients, a gbdt with its ranges, released by two, and a token of a clinician."""
    import polars as pl

    from medloom import api, dossier
    from medloom.database.engine import Database
    from medloom.foundation.files import remove
    from medloom.loop import releases
    from medloom.loop.releases import Actor
    from medloom.server import accounts
    from medloom.server.access import ROLES, Permission, Person
    from medloom.server.sessions import Sessions
    from medloom.site import Site

    folder = bench.work / "site"
    remove(folder)
    os.environ["MEDLOOM_KEY_FILE"] = str(bench.work / "key")
    site = Site.create(folder)
    site.record.add(_importer(bench.seed))
    bench.data["generated"] = {"patients": PATIENTS, "facts": site.record.n_events}
    (site.directory.tasks / "deterioration.yaml").write_text(TASK, encoding="utf-8")
    trained = api.train(site.task("deterioration"), "gbdt", seed=bench.seed)
    assert trained.without_ranges is None
    dossier.evaluate(site, str(trained.name), seed=bench.seed)
    pl.Series(site.record.subject_ids.astype(str)).to_frame().write_csv(
        bench.work / "ids.txt", include_header=False
    )
    database = Database.of(site.directory)
    for name, role in (("scientist", "data_scientist"), ("lead", "governance"), ("doctor", "clinician")):
        accounts.create(
            database,
            Actor("bench", ""),
            name,
            role,
            "a sentence of this benchmark",
            sees_all=True,
            must_change=False,
        )
    proposal = releases.propose(site, database, str(trained.name), Actor("scientist", "data_scientist"))
    releases.sign(database, proposal.id, Actor("lead", "governance"))
    doctor = accounts.find(database, "doctor")
    person = Person(doctor.id, doctor.name, doctor.name, "clinician", ROLES["clinician"], "en", True)
    token = Sessions(database).new_token(person, "wrk", [Permission.ASK, Permission.READ_PATIENTS], 1)
    database.close()
    return folder, token


def _importer(seed: int) -> Any:
    """Hand over stays of a few days, six measurements every four hours, two drugs, and what became of them."""
    import numpy as np
    import polars as pl

    from medloom.record.importing import Batch, Importer

    class Stays(Importer):
        name = "stays"

        def sources(self) -> list[Path]:
            return []

        def batches(self, context: ImportContext) -> Iterator[Batch]:
            rng = np.random.default_rng(seed)
            for first in range(0, PATIENTS, 1000):
                rows = [row for place in range(first, first + 1000) for row in _stay(rng, place)]
                names = ["patient", "time", "code", "numeric_value"]
                yield Batch(pl.DataFrame(rows, schema=names, orient="row"), 1000)

    return Stays()


def _stay(rng: Any, place: int) -> list[tuple[str, datetime | None, str, float | None]]:
    patient = f"P{place}"
    admitted = NOW - timedelta(hours=float(rng.uniform(13, 96)))
    rows: list[tuple[str, datetime | None, str, float | None]] = [
        (patient, None, f"GENDER//{'FM'[place % 2]}", None),
        (patient, datetime(1930 + place % 70, 1 + place % 12, 1), "MEDS_BIRTH", None),
        (patient, admitted, "ENCOUNTER//inpatient//START", None),
    ]
    severity = float(rng.normal())
    for hour in range(0, 96, 4):
        at = admitted + timedelta(hours=hour + float(rng.uniform(0, 1)))
        if at > NOW:
            break
        rows += [(patient, at, code, float(rng.normal() + severity)) for code in _LABS if rng.random() < 0.7]
    rows += [
        (patient, admitted + timedelta(hours=2), f"ATC//{code}", None) for code in ("C03CA01", "N02BE01")
    ]
    if severity + float(rng.normal()) > 1:
        rows.append(
            (patient, admitted + timedelta(hours=float(rng.uniform(13, 40))), "X//deterioration", None)
        )
    if rng.random() < 0.5:
        rows.append(
            (patient, NOW + timedelta(hours=float(rng.uniform(1, 48))), "ENCOUNTER//inpatient//END", None)
        )
    return rows


@contextmanager
def _served(site: Path) -> Iterator[tuple[int, int]]:
    port = _free_port()
    started = "from medloom.cli import main; main()"
    command = [sys.executable, "-c", started, "serve", "--site", str(site), "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--as-of", NOW.isoformat()],
        env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@contextmanager
def _empty_stack(folder: Path) -> Iterator[int]:
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, __file__, "empty", str(folder), str(port)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _serve_empty_stack(folder: Path, port: int) -> None:
    """Predict with 100 trees of 60 inputs, chain a hash, and commit; nothing is checked, nothing can be made again."""
    import hashlib

    import lightgbm as lgb
    import numpy as np
    import uvicorn
    from fastapi import FastAPI

    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 60))
    booster = lgb.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lgb.Dataset(x, x[:, 0] > 0))
    path = folder / "empty.db"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE said (subject, value, digest)")
    app, last = FastAPI(), [""]

    @app.post("/")
    async def predict(asked: dict[str, int]) -> dict[str, float]:
        value = float(booster.predict(x[asked["subject_id"] % 5000][None], num_threads=1)[0])
        last[0] = hashlib.sha256(f"{last[0]}{asked['subject_id']}{value}".encode()).hexdigest()
        connection.execute("INSERT INTO said VALUES (?, ?, ?)", (asked["subject_id"], value, last[0]))
        return {"value": value}

    uvicorn.run(app, port=port, log_level="error", access_log=False)


def _wrk(work: Path, port: int, ids: Path, token: str, ask: str, seconds: int) -> dict[str, Any]:
    script = work / "ask.lua"
    script.write_text(_WRK % {"ids": json.dumps(str(ids)), "token": token, "ask": ask}, encoding="utf-8")
    script.chmod(0o600)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["failed"] == 0, done.stdout
    return found


def _figures(name: str, rate: str, found: dict[str, Any]) -> dict[str, float]:
    return {
        f"{name}.{rate}": found["requests"] / found["seconds"],
        **{f"{name}.{p}_s": found[p] for p in ("p50", "p95", "p99")},
    }


def _kept(site: Path) -> dict[str, float]:
    """Count what was stored, and verify the audit log."""
    from medloom.database.engine import Database
    from medloom.site import Site

    started = time.perf_counter()
    database = Database.of(Site.open(site).directory)
    with database.reading() as connection:
        entries = database.audit.verify(connection).entries
        advice = connection.exec_driver_sql("SELECT count(*) FROM advice").scalar() or 0
    database.close()
    return {
        "kept.advice": advice,
        "kept.audit_entries": entries,
        "kept.audit_verified_s": time.perf_counter() - started,
        "kept.site_db_mb": (site / "site.db").stat().st_size / 1024**2,
    }


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not start")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wrk_version() -> str:
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return said.split()[1] if said else "?"


def main(arguments: Sequence[str]) -> None:
    """Serve the empty stack."""
    _, folder, port = arguments
    _serve_empty_stack(Path(folder), int(port))


if __name__ == "__main__":
    main(sys.argv[1:])
