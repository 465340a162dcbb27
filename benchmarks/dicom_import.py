"""DICOM to record: files a second on one core, with de-identification, beside the package dicom-anonymizer.

A CT series of 512 × 512 is made up: every file has about a hundred attributes, names and dates among them, private
ones and sequences. Every measurement is a process of its own, bound to one core, with one thread a library.
"""

from __future__ import annotations

import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medloom.cli.bench import Bench

RUNS = 3
FILES = 600
PEER_FILES = 60
PEER = "dicom-anonymizer"


def run(bench: Bench) -> None:
    """Make the series, import it several times, and de-identify a part of it with the peer."""
    sys.path.append(str(bench.folder))
    from _ct_series import write_series  # type: ignore[import-not-found]  # beside this one

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "series"
        write_series(folder, FILES, bench.seed)
        bench.data["generated"] = {
            "files": FILES,
            "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        }
        runs = [_measured("import", str(folder)) for _ in range(RUNS)]
        peer = _measured("peer", str(folder))
    bench.versions |= {name: version(name) for name in ("pydicom", PEER)}
    seconds = [one["seconds"] for one in runs]
    bench.figures |= {
        "medloom.files_per_s": FILES / statistics.median(seconds),
        "medloom.files_per_s.low": FILES / max(seconds),
        "medloom.files_per_s.high": FILES / min(seconds),
        "medloom.cpu.files_per_s": FILES / statistics.median(one["cpu_s"] for one in runs),
        "medloom.deidentify.files_per_s": FILES / statistics.median(one["deidentify_s"] for one in runs),
        "medloom.read_volume_s": statistics.median(one["read_s"] for one in runs),
        "medloom.import.peak_mb": max(one["peak_mb"] for one in runs),
        "medloom.pixels_untouched": float(all(one["untouched"] for one in runs)),
        f"peer.{PEER}.files_per_s": PEER_FILES / peer["seconds"],
    }
    ours = bench.figures["medloom.deidentify.files_per_s"]
    bench.figures[f"medloom.deidentify.files_per_s_vs_{PEER}"] = ours * peer["seconds"] / PEER_FILES


def import_series(folder: Path) -> dict[str, Any]:
    """Import a folder into a fresh site; then look at what was kept."""
    from medloom.record.imaging.dicom import Deidentifier, read_series_archive
    from medloom.record.importers.dicom import DicomImporter
    from medloom.site import Site

    with tempfile.TemporaryDirectory() as work:
        os.environ["MEDLOOM_KEY_FILE"] = str(Path(work) / "key")
        site = Site.create(Path(work) / "site")
        started, worked = time.perf_counter(), time.process_time()
        report = site.record.add(DicomImporter(folder))
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - worked
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        assert report.balanced
        assert report.quarantined == 0
        (kept,) = [path for path in (Path(work) / "site" / "assets").rglob("*") if path.is_file()]
        untouched = _untouched(folder, kept)
        started = time.perf_counter()
        with kept.open("rb") as file:
            image = read_series_archive(file)
        read_s = time.perf_counter() - started
        assert image.shape == (FILES, 512, 512)
        assert image.notes == ()
    deidentifier = Deidentifier(b"a key of the benchmark")
    started = time.perf_counter()
    for path in sorted(folder.iterdir()):
        deidentifier(path.read_bytes())
    found = {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "deidentify_s": time.perf_counter() - started,
        "read_s": read_s,
    }
    return found | {"peak_mb": peak_mb, "untouched": untouched}


def peer(folder: Path) -> dict[str, Any]:
    """De-identify some of the same files with the peer."""
    from dicomanonymizer import anonymize_dicom_file

    with tempfile.TemporaryDirectory() as work:
        paths = sorted(folder.iterdir())[:PEER_FILES]
        started = time.perf_counter()
        for path in paths:
            anonymize_dicom_file(str(path), str(Path(work) / path.name))
        return {"seconds": time.perf_counter() - started}


def _untouched(folder: Path, kept: Path) -> bool:
    """Compare the pixels in the archive with those of the source, byte by byte, slice by slice."""
    import zipfile

    from pydicom import dcmread

    with zipfile.ZipFile(kept) as archive:
        ours = (dcmread(io.BytesIO(archive.read(name))).PixelData for name in sorted(archive.namelist()))
        paths = sorted(folder.iterdir())  # they are named in the order of their slices
        return all(new == dcmread(path).PixelData for path, new in zip(paths, ours, strict=True))


def _measured(*arguments: str) -> dict[str, Any]:
    """Run this script on one core with single-threaded libraries; give the JSON it prints."""
    core = max(os.sched_getaffinity(0))
    single = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env={**os.environ, **single},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["import", folder]:
            print(json.dumps(import_series(Path(folder))))
        case ["peer", folder]:
            print(json.dumps(peer(Path(folder))))
        case _:
            sys.exit("run it with: medloom bench dicom-import")
