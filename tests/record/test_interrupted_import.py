"""An import that is killed, starved or locked out leaves the record as it was, and can be repeated."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medloom.foundation.errors import LockedError
from medloom.foundation.site import SiteDirectory
from medloom.record.quarantine import quarantine_files
from medloom.record.record import Record
from tests.record.sources import KEY, Listed, content, facts, glucose, new_site

ROOT = Path(__file__).parents[2]

BEFORE = [glucose(f"p{n}", day) for n in range(6) for day in (1, 2)] + [glucose("p0", 3, key="Observation/1")]
AFTER = [glucose(f"p{n}", day) for n in range(3, 12) for day in (2, 3)]
AFTER += [glucose("p0", 3, 99.0, key="Observation/1"), glucose("p1", 1, code="")]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)


@pytest.fixture
def site(tmp_path: Path) -> SiteDirectory:
    site = new_site(tmp_path)
    Record.open(site).add(Listed(facts(*BEFORE)))
    return site


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[object], list[object]]]:
    """The record's content before and after the second import, undisturbed."""
    os.environ["MEDLOOM_KEY"] = KEY
    record = Record.open(new_site(tmp_path_factory.mktemp("undisturbed")))
    record.add(Listed(facts(*BEFORE)))
    before = content(record, ())
    record.add(Listed(facts(*AFTER)))
    yield before, content(record, ())
    del os.environ["MEDLOOM_KEY"]


def importing(site: SiteDirectory, prelude: str = "", *, rows: str = "AFTER") -> subprocess.Popen[str]:
    """Start a process that runs `prelude`, says that it is ready and imports AFTER."""
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from medloom.foundation.site import SiteDirectory
        from medloom.record import commit, generation, ingest, quarantine, vault
        from medloom.record.record import Record
        from tests.record import test_interrupted_import as here
        from tests.record.sources import Listed, facts
        record = Record.open(SiteDirectory(Path(sys.argv[1])))
        """
    )
    script += textwrap.dedent(prelude)
    script += f"\nprint('ready', flush=True)\nrecord.add(Listed(facts(*here.{rows})))\n"
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", script, str(site.root)]
    pipe = subprocess.PIPE  # of stdin too: it must not end before the test lets it
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def assert_unharmed(site: SiteDirectory, states: tuple[list[object], list[object]]) -> None:
    """The record opens, unchanged or complete; the import repeated gives the same as ever, and no litter is left."""
    before, after = states
    record = Record.open(site)
    assert content(record, ()) in (before, after)
    record.add(Listed(facts(*AFTER)))
    assert content(record, ()) == after
    assert not [path for path in site.generations.iterdir() if not path.name.isdigit()]
    assert len(quarantine_files(site)) == len(record.imports) - 1  # the first import had none


POINTS = [
    "vault.Vault.assign",
    "ingest.Spill.close",
    "commit.write_shard",
    "ingest.merge",
    "commit.link_shards",
    "quarantine.Quarantine.write",
    "commit.Metadata.write",
    "generation.publish",
    "generation.replace_symlink",
    "generation.sync",
]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_step_of_the_import(
    site: SiteDirectory, states: tuple[list[object], list[object]], point: str, moment: str
) -> None:
    owner, _, name = point.rpartition(".")
    killer = f"""
    original = {point}
    def killed(*arguments, **keywords):
        if "{moment}" == "after":
            original(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)
    {owner}.{name} = killed
    """
    process = importing(site, killer)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors
    assert_unharmed(site, states)


def test_killed_at_any_moment(tmp_path: Path, states: tuple[list[object], list[object]]) -> None:
    site = new_site(tmp_path)
    Record.open(site).add(Listed(facts(*BEFORE)))
    pristine = tmp_path / "pristine"
    shutil.copytree(site.root, pristine, symlinks=True)
    whole = importing(site)
    assert whole.stdout is not None
    whole.stdout.readline()
    began = time.perf_counter()
    whole.communicate(timeout=120)
    lasted = time.perf_counter() - began
    rng = random.Random(0)
    killed = 0
    for _ in range(8):
        shutil.rmtree(site.root)
        shutil.copytree(pristine, site.root, symlinks=True)
        process = importing(site)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, lasted))
        process.kill()
        process.communicate(timeout=120)
        killed += process.returncode == -signal.SIGKILL
        assert_unharmed(site, states)
    assert killed


def test_two_imports_at_once_are_refused(site: SiteDirectory) -> None:
    wait = """
    original = ingest.Spill.close
    def waiting(self):
        print("inside", flush=True)
        sys.stdin.readline()
        original(self)
    ingest.Spill.close = waiting
    """
    script_waits = importing(site, wait)
    assert script_waits.stdout is not None
    assert script_waits.stdout.readline() == "ready\n"
    assert script_waits.stdout.readline() == "inside\n"
    try:
        with pytest.raises(LockedError, match=str(script_waits.pid)):
            Record.open(site).add(Listed(facts(glucose("z", 1))))
        assert Record.open(site).n_events == len(BEFORE)
    finally:
        script_waits.kill()
        script_waits.communicate()
    assert Record.open(site).add(Listed(facts(glucose("z", 1)))).written == 1


MANY = [
    glucose(f"p{n % 50}", 1 + n % 28, n / 7, text_value=hashlib.sha512(str(n).encode()).hexdigest())
    for n in range(20_000)
]


@pytest.mark.parametrize(
    "prelude", ["", "commit.ROWS_IN_MEMORY = 5_000"], ids=["in memory", "through the disk"]
)
def test_a_full_disk_leaves_the_record_as_it_was(tmp_path: Path, prelude: str) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount]).returncode
    ):
        pytest.skip("needs the right to mount a small file system")
    try:
        site = new_site(mount)
        record = Record.open(site)
        record.add(Listed(facts(*BEFORE)))
        before = content(record, ())
        process = importing(site, prelude, rows="MANY")
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "StorageError: the disk that holds" in errors
        assert "nothing was changed" in errors
        assert content(Record.open(site), ()) == before
        assert not [path for path in site.generations.iterdir() if not path.name.isdigit()]
        assert Record.open(site).add(Listed(facts(glucose("q", 1)))).written == 1
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_limit_on_file_size_leaves_the_record_as_it_was(site: SiteDirectory) -> None:
    before = content(Record.open(site), ())
    limit = """
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    """
    process = importing(site, limit, rows="MANY")
    process.communicate(timeout=120)
    assert process.returncode == 1
    assert content(Record.open(site), ()) == before
    assert not [path for path in site.generations.iterdir() if not path.name.isdigit()]


def test_a_folder_without_permission_is_said(site: SiteDirectory, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        site.generations.chmod(0o500)
        prelude = ""
    else:
        # root may write anywhere: become nobody, for whom all but one folder is open
        for path in [tmp_path, *tmp_path.parents]:
            if path != Path("/") and path.stat().st_uid == 0 and path.stat().st_mode & 0o005 != 0o005:
                path.chmod(path.stat().st_mode | 0o055)
        subprocess.run(["chown", "-R", "65534", site.root], check=True)
        os.chown(site.generations, 0, 0)
        site.generations.chmod(0o755)
        prelude = "os.setgid(65534); os.setuid(65534)"
    before = content(Record.open(site), ())
    process = importing(site, prelude)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "StorageError: no permission to read or write in 'generations'" in errors
    site.generations.chmod(0o755)
    assert content(Record.open(site), ()) == before
