"""Command `bench`: run a benchmark of the source checkout and keep its figures as JSON."""

from __future__ import annotations

import importlib.util
import json as jsonlib
import os
import platform
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final

import typer

from medloom.cli import screen
from medloom.cli.options import JsonOption, SeedOption
from medloom.foundation.errors import NotFoundError
from medloom.foundation.files import write_text
from medloom.foundation.messages import tr

FOLDER_VARIABLE: Final = "MEDLOOM_BENCHMARKS"
_LOOKS: Final = "looks"  # in the folder that stays
_LIBRARIES: Final = (
    "medloom",
    "numpy",
    "polars",
    "pyarrow",
    "scikit-learn",
    "lightgbm",
    "scipy",
    "orjson",
    "duckdb",
    "torch",
    "lightning",
    "peft",
    "onnxruntime",
    "ray",
)


@dataclass
class Bench:
    """One run of a benchmark; its script fills in figures.

    Attributes:
        name: of the script.
        seed: of everything random.
        folder: of the scripts.
        work: a folder that stays, for what a run that was cut off goes on from, and for peers' environments.
        figures: flat, name → number: `LEARNER.metric`, `SET.LEARNER.metric`, `peer.NAME.metric`.
        references: published figures, with their source.
        data: which data sets, with digest or version.
        evaluations: how often the test set was looked at before, as the committed result says.
    """

    name: str
    seed: int
    folder: Path
    work: Path
    figures: dict[str, float] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    evaluations: int = 0

    def looked(self) -> None:
        """Count a look at the test set; it counts at once, whether or not this run's figures are kept."""
        write_text(self.work / _LOOKS, f"{self.looks() + 1}\n")

    def looks(self) -> int:
        """Tell how often the test set was looked at in all: by the committed result, or here where that is more."""
        counted = self.work / _LOOKS
        return max(self.evaluations, int(counted.read_text(encoding="utf-8")) if counted.is_file() else 0)

    def to_json(self, seconds: float) -> dict[str, Any]:
        """Give the documented object."""
        peak_kb = max(
            resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return {
            "bench": self.name,
            "figures": {key: _rounded(value) for key, value in self.figures.items()},
            "references": self.references,
            "data": self.data,
            "evaluations": self.looks(),
            "machine": machine(),
            "versions": {"python": platform.python_version(), **_versions(_LIBRARIES), **self.versions},
            "seed": self.seed,
            "seconds": round(seconds, 1),
            "peak_mb": round(peak_kb / 1024, 1),
        }


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench", help=tr("Run a benchmark of the source checkout."))(bench)


def bench(
    name: Annotated[str, typer.Argument(help=tr("A benchmark; without, they are listed."))] = "",
    seed: SeedOption = 0,
    keep: Annotated[bool, typer.Option("--keep", help=tr("Write benchmarks/results/NAME.json."))] = False,
    json: JsonOption = False,
) -> None:
    """Run a benchmark."""
    folder = benchmarks_folder()
    if not name:
        for path in sorted(folder.glob("[a-z]*.py")):
            screen.say(path.stem.replace("_", "-"))
        return
    script = _script(folder, name)
    name = name.replace("_", "-")  # one benchmark, one result and one count of looks
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    results = folder / "results" / f"{name}.json"
    before = jsonlib.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    looks = int(before.get("evaluations", 0))
    run = Bench(name, seed, folder, cache / "medloom" / "bench" / name, evaluations=looks)
    run.work.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with screen.showing_progress(json):
        script.run(run)
    found = run.to_json(time.perf_counter() - started)
    if keep:
        write_text(results, jsonlib.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if json:
        screen.json(found)
        return
    screen.table(
        [tr("figure"), tr("value")],
        [(key, f"{value:,.4g}") for key, value in found["figures"].items()],
        right=[1],
    )


def benchmarks_folder() -> Path:
    """Find the folder of benchmark scripts: MEDLOOM_BENCHMARKS, the current directory's, or the checkout's.

    Raises:
        NotFoundError: Medloom was installed without its source.
    """
    candidates = [Path("benchmarks"), Path(__file__).parents[3] / "benchmarks"]
    if named := os.environ.get(FOLDER_VARIABLE):
        candidates.insert(0, Path(named))
    for folder in candidates:
        if (folder / "results").is_dir():
            return folder
    raise NotFoundError(
        "benchmarks come with the source checkout; run this inside it, or set {name}", name=FOLDER_VARIABLE
    )


def machine() -> dict[str, Any]:
    """Describe the machine in terms that matter for speed."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "system": platform.system(),
        "machine": platform.machine(),
    }


def _script(folder: Path, name: str) -> ModuleType:
    path = folder / f"{name.replace('-', '_')}.py"
    if not path.is_file():
        names = sorted(one.stem.replace("_", "-") for one in folder.glob("[a-z]*.py"))
        raise NotFoundError("there is no benchmark {name!r}; there are: {names}", name=name, names=names)
    spec = importlib.util.spec_from_file_location(f"medloom_benchmark_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _versions(names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
