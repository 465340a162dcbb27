"""FHIR to record: resources a second on one core, file to Parquet, beside fhir.resources; memory at ten times the data.

Every measurement is a process of its own, bound to one core, with one thread a library.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medloom.cli.bench import Bench

RUNS = 3
COPIES = 10
PEER = "fhir.resources"
PEER_PACKAGES = (f"{PEER}==8.3.0", "orjson==3.13.0")


def run(bench: Bench) -> None:
    """Import both sets several times and the peer once; then one copy and ten."""
    from medloom.foundation.files import remove
    from medloom.record.datasets import get

    sets = {"synthea": get("synthea-fhir-r4"), "mimic": get("mimic-iv-demo-fhir")}
    runs = [
        _measured(sys.executable, Path(__file__), "import", *map(str, sets.values())) for _ in range(RUNS)
    ]
    resources = {name: runs[0]["imports"][place]["resources"] for place, name in enumerate(sets)}
    bench.data |= {name: {"resources": resources[name]} for name in sets}
    figures = bench.figures
    for place, name in enumerate(sets):
        seconds = statistics.median(one["imports"][place]["seconds"] for one in runs)
        figures[f"{name}.medloom.resources_per_s"] = resources[name] / seconds
    seconds = [sum(one["seconds"] for one in each["imports"]) for each in runs]
    ours = sum(resources.values()) / statistics.median(seconds)
    figures |= {
        "medloom.resources_per_s": ours,
        "medloom.resources_per_s.low": sum(resources.values()) / max(seconds),
        "medloom.resources_per_s.high": sum(resources.values()) / min(seconds),
        "medloom.facts_per_s": sum(one["facts"] for one in runs[0]["imports"]) / statistics.median(seconds),
        "medloom.peak_mb": max(one["peak_mb"] for one in runs),
    }
    peer = _peer(bench, list(sets.values()))
    theirs = (peer["parsed"] + peer["refused"]) / peer["seconds"]
    figures |= {
        f"peer.{PEER}.resources_per_s": theirs,
        f"peer.{PEER}.refused": peer["refused"],
        f"medloom.resources_per_s_vs_{PEER}": ours / theirs,
    }
    copies = bench.work / "copies"
    remove(copies)
    try:
        one = _measured(sys.executable, Path(__file__), "import", str(_copied(sets, copies / "one", 1)))
        ten = _measured(sys.executable, Path(__file__), "import", str(_copied(sets, copies / "ten", COPIES)))
    finally:
        remove(copies)
    assert ten["imports"][0]["resources"] == COPIES * one["imports"][0]["resources"]
    assert ten["imports"][0]["subjects"] == COPIES * one["imports"][0]["subjects"]
    figures |= {
        "onefold.peak_mb": one["peak_mb"],
        "tenfold.peak_mb": ten["peak_mb"],
        "tenfold.peak_ratio": ten["peak_mb"] / one["peak_mb"],
        "tenfold.medloom.resources_per_s": ten["imports"][0]["resources"] / ten["imports"][0]["seconds"],
    }


def import_all(paths: Sequence[str]) -> dict[str, Any]:
    """Import each path into one fresh site; give sizes, seconds and the peak of this process's memory."""
    from medloom.record.importers.fhir import FhirImporter
    from medloom.site import Site

    imports = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDLOOM_KEY_FILE"] = str(Path(folder) / "key")
        site = Site.create(Path(folder) / "site")
        for path in paths:
            started = time.perf_counter()
            report = site.record.add(FhirImporter(path))
            seconds = time.perf_counter() - started
            assert report.balanced
            assert report.quarantined == 0
            imports.append(
                {
                    "resources": report.records,
                    "facts": report.written,
                    "subjects": report.new_subjects,
                    "seconds": seconds,
                }
            )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"imports": imports, "peak_mb": peak_mb}


def _measured(python: str, script: Path, *arguments: str) -> dict[str, Any]:
    """Run a script on one core with single-threaded libraries; give the JSON it prints."""
    core = max(os.sched_getaffinity(0))
    single = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [python, str(script), *arguments],
        env={**os.environ, **single},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _peer(bench: Bench, folders: Sequence[Path]) -> dict[str, Any]:
    """Parse the same files with the peer, in an environment of its own that stays for the next time."""
    sys.path.insert(0, str(bench.folder))
    from _environments import peer_python  # type: ignore[import-not-found]  # beside this script

    python = peer_python(bench, PEER, PEER_PACKAGES)
    return _measured(str(python), Path(__file__).with_name("_fhir_resources_peer.py"), *map(str, folders))


_UUID = re.compile(rb"\b([0-9a-f]{2})(?=[0-9a-f]{6}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)")


def _copied(sets: Mapping[str, Path], folder: Path, copies: int) -> Path:
    """Write copies of the files, compressed; every identifier (all are UUIDs) is another one in each copy."""
    for name, source in sets.items():
        files = [path for path in sorted(source.rglob("*")) if path.name.endswith((".json", ".ndjson.gz"))]
        for path in files:
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
            for copy in range(copies):
                # adding to the first byte is one to one, so that references keep together
                shifted = {b"%02x" % byte: b"%02x" % ((byte + copy * 25) % 256) for byte in range(256)}
                renamed = _UUID.sub(lambda found, to=shifted: to[found[1]], content)
                target = folder / name / str(copy) / (path.name.removesuffix(".gz") + ".gz")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(gzip.compress(renamed, 1))
    return folder


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["import", *paths]:
            json.dump(import_all(paths), sys.stdout)
        case _:
            sys.exit("run it with: medloom bench fhir-import")
