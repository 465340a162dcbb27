"""Databases for tests: SQLite always, and a PostgreSQL server of its own where one is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from medloom.database.audit import AuditLog
from medloom.database.engine import Database

KEY = b"k" * 32


def opened(url: str) -> Database:
    """Open a database with a key for tests."""
    return Database(url, AuditLog(KEY))


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a PostgreSQL server that listens on a socket alone; gives the folder of the socket."""
    bin = _binaries()
    # no longer than a socket's path may be, and where the server's own user may write
    folder = Path(tempfile.mkdtemp(prefix="mlpg-", dir="/tmp"))
    user = None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "postgres"
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        subprocess.run(
            [bin / "initdb", "-D", data, "-A", "trust", "-U", "medloom", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(folder)]
        server = subprocess.Popen(
            [bin / "postgres", "-D", data, *options],
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(folder)
            yield str(folder)
        finally:
            server.send_signal(signal.SIGINT)  # does not wait for who is connected
            server.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(socket: str) -> str:
    """Make an empty database; gives its URL."""
    name = f"m{uuid.uuid4().hex}"
    with psycopg.connect(host=socket, user="medloom", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"postgresql+psycopg://medloom@/{name}?host={socket}"


def _binaries() -> Path:
    for place in (
        shutil.which("postgres"),
        *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres"))),
    ):
        if place and (Path(place).resolve().parent / "initdb").exists():
            return Path(place).resolve().parent
    pytest.skip("PostgreSQL is not installed")


def _wait_for(folder: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(host=str(folder), user="medloom", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
