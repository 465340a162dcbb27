"""What every test stands on: nothing of the user's is read or touched, nothing comes from the network."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

OUTER_ENVIRONMENT: Mapping[str, str] = dict(os.environ)
"""The environment as the user has it, for the one test that runs pip."""

_home = tempfile.TemporaryDirectory(prefix="medloom-tests-")


def _isolate() -> None:
    """Give this process and its children a home of their own and fixed settings.

    Done at import: collecting doctests already imports the package.
    """
    home = Path(_home.name)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    mirror = os.environ.get("MEDLOOM_MIRROR")
    for name in [name for name in os.environ if name.startswith("MEDLOOM_")]:
        del os.environ[name]
    if mirror:
        os.environ["MEDLOOM_MIRROR"] = str(Path(mirror).resolve())
    # Fonts are listed once a machine, not once a run.
    os.environ.setdefault("MPLCONFIGDIR", str(caches / "matplotlib"))
    os.environ.update(
        HOME=str(home),
        USERPROFILE=str(home),
        XDG_CONFIG_HOME=str(home / "config"),
        XDG_DATA_HOME=str(home / "data"),
        XDG_CACHE_HOME=str(home / "cache"),
        XDG_STATE_HOME=str(home / "state"),
        # A test that wants a keyring sets one of its own; none writes into the user's.
        PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
        MEDLOOM_LANG="en",
        MPLBACKEND="Agg",
        NO_COLOR="1",
        COLUMNS="120",
        OMP_NUM_THREADS="1",
        HF_HUB_OFFLINE="1",
        FLWR_TELEMETRY_ENABLED="0",
        RAY_USAGE_STATS_ENABLED="0",
        MLFLOW_DISABLE_TELEMETRY="1",
    )


_isolate()

# A deadline measures the machine, not the code.
settings.register_profile("medloom", deadline=None, print_blob=True)
settings.load_profile("medloom")


# Files that take longest, for they install, demonstrate or follow something to its end. Workers share the tests file by
# file: what is long begins first, or one worker waits for the other at the end.
LONG = (
    "tests/cli/test_demo.py",
    "tests/test_docs.py",
    "tests/test_bare_environment.py",
    "tests/learners/tabular/test_contract.py",
    "tests/server/web/test_browser.py",
    "tests/cli/test_modelling.py",
    "tests/test_examples.py",
    "tests/record/test_interrupted_import.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what is long begin first."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(LONG)))


@pytest.fixture(scope="session")
def mirror() -> Callable[[str], Path]:
    """Find a folder of the mirror of public data sets, `mirror("ehr/physionet2012")`, or skip the test."""

    def folder(name: str) -> Path:
        root = os.environ.get("MEDLOOM_MIRROR")
        if not root:
            pytest.skip(f"needs {name}: set MEDLOOM_MIRROR to a mirror of the data sets")
        found = Path(root) / name
        if not found.is_dir():
            pytest.skip(f"needs {name}: the mirror in MEDLOOM_MIRROR does not have it")
        return found

    return folder


@pytest.fixture(scope="session")
def outer_environment() -> Mapping[str, str]:
    """Hand out the environment as the user has it, with their pip settings and cache."""
    return OUTER_ENVIRONMENT
