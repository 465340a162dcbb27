"""Commands as processes of their own that begin at once: a process that has imported libraries forks for each.

Most of a short command is the import of libraries. What a command does, its exit code, what it prints and what it
leaves behind are those of `medloom` itself; nothing of one command is seen by the next.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

# Nothing of `medloom.cli`, whose help speaks the language of the command, and nothing that begins threads.
_IMPORTED = (
    "polars pyarrow.parquet pydantic typer rich.console sklearn.linear_model sklearn.ensemble lightgbm scipy.stats"
    " sqlalchemy cryptography matplotlib.pyplot medloom.site medloom.api medloom.dossier medloom.validation"
    " medloom.importers medloom.explaining medloom.loop.serving"
).split()


class Forker:
    """Asks the process that forks."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def run(
        self, arguments: list[str], folder: Path, text: str, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as kept:
            files = [Path(kept) / name for name in ("in", "out", "error")]
            files[0].write_text(text, encoding="utf-8")
            asked = {"arguments": arguments, "folder": str(folder), "environment": environment}
            self._process.stdin.write(json.dumps(asked | {"files": list(map(str, files))}) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            printed, said = (path.read_text(encoding="utf-8") for path in files[1:])
        return subprocess.CompletedProcess(arguments, code, printed, said)


@cache
def forker() -> Forker:
    """Give the one of this process."""
    return Forker()


def serve() -> None:
    """Fork for each line that comes, and answer with the command's exit code."""
    for name in _IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _command(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _command(asked: dict[str, Any]) -> NoReturn:
    """Become `medloom`."""
    for number, path in enumerate(asked["files"]):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["medloom", *asked["arguments"]]
    os._exit(_main())  # threads of libraries are not in this process: to wait for them would take for ever


def _main() -> int:
    from medloom.cli import main

    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - printed, as Python does at the end of a process
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
