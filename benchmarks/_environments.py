"""Environments of peers: what cannot be installed beside Medloom is installed beside the benchmark's work."""

from __future__ import annotations

import json
import subprocess
import venv
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medloom.cli.bench import Bench

_VERSIONS = """
import json, sys
from importlib.metadata import version
json.dump({name: version(name) for name in sys.argv[1:]}, sys.stdout)
"""


def peer_python(bench: Bench, name: str, requirements: Sequence[str]) -> Path:
    """Make an environment with a peer in it, or find it again; gives its Python.

    The versions go into the result: `NAME`, and `NAME/PACKAGE` for what else is pinned.

    Args:
        bench: the run, in whose folder the environment stays for the next time.
        name: of the environment.
        requirements: exact pins, `meds-tab==0.2.0`; other pins make another environment.
    """
    folder = bench.work / "environments" / f"{name}-{sha256(' '.join(requirements).encode()).hexdigest()[:8]}"
    python = folder / "bin" / "python"
    stamp = folder / ".complete"
    if not stamp.is_file():
        venv.create(folder, clear=True, with_pip=True)
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *requirements,
        ]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        stamp.touch()
    names = [requirement.partition("==")[0] for requirement in requirements]
    found = subprocess.run([str(python), "-c", _VERSIONS, *names], check=True, stdout=subprocess.PIPE)
    for package, version in json.loads(found.stdout).items():
        bench.versions[package if package == name else f"{name}/{package}"] = version
    return python
