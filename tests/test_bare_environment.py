"""The core works where nothing but the core is installed: no PyTorch, no tools of development.

The proof is a fresh environment made by the command that the README gives. Beside it stand two quick
checks that need no network: what `import medloom` must not load, and that refusing every extra harms nothing.
"""

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

EXTRAS = (
    "torch lightning transformers peft captum opacus monai nibabel pydicom onnx onnxruntime spacy jieba "
    "presidio_analyzer wfdb neurokit2 gymnasium econml rdkit chemprop pyhpo flwr ray mlflow"
).split()
TOOLS = "pytest hypothesis mypy ruff importlinter coverage xdist".split()
SLOW_TO_IMPORT = (
    "fastapi uvicorn optuna sqlalchemy lightgbm sklearn scipy.stats matplotlib shap numba lifelines duckdb"
).split()

REFUSE = f"""
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {set(EXTRAS + TOOLS)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusal())
"""

TRAIN = """
import numpy as np
import pandas as pd
import medloom as ml

rng = np.random.default_rng(0)
frame = pd.DataFrame({"lactate": rng.gamma(2.0, 1.0, 600), "age": rng.integers(18, 95, 600)})
frame["death"] = (frame["lactate"] + frame["age"] / 40 + rng.normal(0, 0.5, 600) > 4).astype(int)
model = ml.train(frame, label="death", learner="gbdt", seed=0)
print(ml.evaluate(model, split="held_out"))
"""

OFFLINE = re.compile(
    r"NewConnectionError|ConnectTimeout|NameResolutionError|Temporary failure in name resolution"
    r"|Network is unreachable|Failed to establish a new connection|ProxyError|Max retries exceeded",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, outer_environment: Mapping[str, str]) -> Path:
    """Install the core from constraints.txt into a new environment; give the folder of its commands."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    venv.create(folder, with_pip=False)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    done = _pip(
        commands,
        outer_environment,
        *("install", "--quiet", "--no-compile", "-c", str(ROOT / "constraints.txt"), str(ROOT)),
    )
    if done.returncode != 0 and OFFLINE.search(done.stderr):
        pytest.skip("needs the package registry, which cannot be reached from here")
    assert done.returncode == 0, done.stderr[-4000:]
    return commands


@pytest.mark.timeout(900)
def test_a_bare_environment_has_exactly_the_pinned_core(
    bare: Path, outer_environment: Mapping[str, str]
) -> None:
    listed = _pip(bare, outer_environment, "list", "--format=json")
    installed = {f"{_normal(p['name'])}=={p['version']}" for p in json.loads(listed.stdout)}
    installed = {package for package in installed if not package.startswith("medloom==")}
    assert installed <= set(_core_pins()), "constraints.txt does not pin what was installed"
    assert not [name for name in EXTRAS + TOOLS if _has(bare, name)]


@pytest.mark.timeout(900)
def test_a_bare_environment_has_every_file_of_the_package(bare: Path) -> None:
    found = _run([str(bare / "python"), "-c", "import medloom; print(medloom.__path__[0])"], cwd=bare)
    installed = Path(found.strip())
    assert ROOT not in installed.parents
    assert not sorted(set(_package_files(ROOT / "src" / "medloom")) - set(_package_files(installed)))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("arguments", ["--version", "--help", "learners", "importers"])
def test_the_command_line_works_in_a_bare_environment(bare: Path, arguments: str) -> None:
    assert _run([str(bare / "medloom"), *arguments.split()], cwd=bare).strip()


@pytest.mark.timeout(900)
def test_a_model_is_trained_and_evaluated_in_a_bare_environment(bare: Path, tmp_path: Path) -> None:
    assert "auroc" in _run([str(bare / "python"), "-c", TRAIN], cwd=tmp_path).lower()


@pytest.mark.parametrize("arguments", ["--version", "--help", "learners", "importers"])
def test_the_command_line_needs_no_extra(arguments: str, tmp_path: Path) -> None:
    command = f"sys.argv = ['medloom', *{arguments.split()!r}]\nfrom medloom.cli import main\nmain()"
    assert _run([sys.executable, "-c", f"{REFUSE}\n{command}"], cwd=tmp_path).strip()


def test_training_needs_no_extra(tmp_path: Path) -> None:
    assert "auroc" in _run([sys.executable, "-c", REFUSE + TRAIN], cwd=tmp_path).lower()


def test_importing_the_package_loads_nothing_slow(tmp_path: Path) -> None:
    loaded = _run([sys.executable, "-c", "import sys, medloom; print(*sys.modules)"], cwd=tmp_path).split()
    assert not [name for name in [*SLOW_TO_IMPORT, *EXTRAS] if name in loaded]


def _pip(commands: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    # The pip of this interpreter serves the other one, with the user's own index and cache.
    return subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(commands / "python"), *arguments],
        env=_plain(environment) | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
    )


def _run(command: list[str], cwd: Path) -> str:
    done = subprocess.run(command, env=_plain(os.environ), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would let another environment's packages in, or keep byte code from being kept."""
    left_out = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}
    return {name: value for name, value in environment.items() if name not in left_out}


def _has(commands: Path, name: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    return subprocess.run([str(commands / "python"), "-c", code], env=_plain(os.environ)).returncode == 0


def _core_pins() -> Iterator[str]:
    section = (ROOT / "constraints.txt").read_text().partition("\n# core")[2].partition("\n# dev")[0]
    for line in section.splitlines()[1:]:
        if line:
            name, version = line.split("==")
            yield f"{_normal(name)}=={version}"


def _package_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
