"""Histories to tokens, on disk: events a second on one core, and memory that does not grow with the record.

Every measurement is a process of its own, bound to one core, with one thread a library. The generated record is
written by an importer, batch by batch: patients over years, a Zipf-like choice among codes, most with values. The
larger one has ten times as many events as the smaller one; tokens are written part by part, and read back in place.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from medloom.record.importing import Batch, ImportContext, Importer

if TYPE_CHECKING:
    from medloom.cli.bench import Bench
    from medloom.site import Site

RUNS = 3
SMALLER, LARGER = 2_000_000, 20_000_000  # events
EACH: Final = 500  # of a patient
CODES: Final = 1_500
AT_ONCE: Final = 100  # patients a batch


def run(bench: Bench) -> None:
    """Import once; then tokens of PhysioNet 2012 several times, and of both generated records."""
    from medloom import importers
    from medloom.record.datasets import get

    source = get("physionet2012")
    os.environ["MEDLOOM_KEY_FILE"] = str(bench.work / "key")
    sites = {
        "physionet2012": _site(bench.work / "physionet2012", importers.table(source, mapping="physionet2012"))
    }
    for name, events in (("smaller", SMALLER), ("larger", LARGER)):
        sites[name] = _site(bench.work / name, Generated(events, bench.seed))
    for name, site in sites.items():
        bench.data[name] = {"subjects": site.record.n_subjects, "events": site.record.n_events}
    figures = bench.figures
    for name in sites:
        runs = [_measured(bench.work / name) for _ in range(RUNS if name == "physionet2012" else 1)]
        best = min(runs, key=lambda one: float(one["encode_s"]))
        figures |= {
            f"{name}.encode.events_per_s": best["facts"] / best["encode_s"],
            f"{name}.vocabulary.events_per_s": best["facts"] / best["vocabulary_s"],
            f"{name}.read_back.events_per_s": best["facts"] / best["read_back_s"],
            f"{name}.encode.peak_mb": max(one["peak_mb"] for one in runs),
            f"{name}.bytes_per_event": best["bytes"] / best["facts"],
        }
    figures |= {
        "encode.events_per_s": figures["larger.encode.events_per_s"],
        "encode.peak_mb": max(figures[f"{name}.encode.peak_mb"] for name in sites),
        "encode.peak_ratio": figures["larger.encode.peak_mb"] / figures["smaller.encode.peak_mb"],
    }


def encode_all(site: Path, tokens: Path) -> dict[str, Any]:
    """Learn the vocabulary of all timelines, write their tokens, and read every one of them back."""
    from medloom.features.token_vocabulary import TokenVocabulary
    from medloom.features.tokens import write_tokens
    from medloom.site import Site
    from medloom.tasks.timelines import timelines

    samples = timelines(Site.open(site).record)
    clock = [time.perf_counter()]
    vocabulary = TokenVocabulary.fit(samples)
    clock.append(time.perf_counter())
    written = write_tokens(tokens, samples, vocabulary)
    clock.append(time.perf_counter())
    total = 0.0
    for first in range(0, len(written), 1000):
        part = slice(*written.offsets[[first, min(first + 1000, len(written))]])
        total += sum(float(column[part].sum()) for column in (written.code, written.value, written.tenth))
        total += float(np.nansum(written.hours[part]))
    clock.append(time.perf_counter())
    assert np.isfinite(total)
    seconds = dict(zip(("vocabulary_s", "encode_s", "read_back_s"), np.diff(clock).tolist(), strict=True))
    size = sum(path.stat().st_size for path in tokens.glob("*.bin"))
    return {"facts": int(written.offsets[-1]), "bytes": size, **seconds}


class Generated(Importer):
    """Hands over patients with years of codes and values, batch by batch."""

    name = "generated"

    def __init__(self, events: int, seed: int) -> None:
        self.events, self.seed = events, seed

    def sources(self) -> list[Path]:
        return []

    def batches(self, context: ImportContext) -> Iterator[Batch]:
        names = np.array([f"LOCAL//{number}" for number in range(CODES)])
        share = 1 / np.arange(10, CODES + 10)
        for first in range(0, self.events // EACH, AT_ONCE):
            rng = np.random.default_rng((self.seed, first))
            patient = np.repeat(np.arange(first, first + AT_ONCE), EACH)
            code = rng.choice(CODES, len(patient), p=share / share.sum())
            value = np.where(code % 3 > 0, rng.lognormal(code % 7, 0.5), np.nan)
            minutes = rng.integers(0, 60 * 24 * 365 * 10, len(patient))
            frame = pl.DataFrame(
                {
                    "patient": pl.Series(patient).cast(pl.String),
                    "time": pl.Series(minutes * 60_000_000 + 1_262_304_000_000_000).cast(pl.Datetime("us")),
                    "code": names[code],
                    "numeric_value": pl.Series(value).fill_nan(None),
                }
            )
            yield Batch(frame, len(frame))


def _site(folder: Path, importer: Importer) -> Site:
    """Make a site with the importer's facts, unless it is there from the last time."""
    from medloom.foundation.files import remove
    from medloom.site import Site

    if not (folder / "record").exists():
        remove(folder)
        Site.create(folder).record.add(importer)
    return Site.open(folder)


def _measured(site: Path) -> dict[str, Any]:
    """Encode a site's record in a process of its own, on one core."""
    from medloom.foundation.files import remove

    tokens = site.with_name(f"{site.name}-tokens")
    remove(tokens)
    single = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    core = max(os.sched_getaffinity(0))
    measure = Path(__file__).with_name("_measure.py")
    done = subprocess.run(
        [sys.executable, str(measure), sys.executable, __file__, str(site), str(tokens)],
        env={**os.environ, **single},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    remove(tokens)
    return json.loads(found["printed"]) | {"peak_mb": found["peak_mb"]}


if __name__ == "__main__":
    print(json.dumps(encode_all(Path(sys.argv[1]), Path(sys.argv[2]))))
