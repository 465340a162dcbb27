"""Model packages: a directory that can be read, checked and loaded without running code from it.

model.json      kind, question, learner, parameters, seed, data digest, library versions
weights/        safetensors, ONNX, LightGBM text, skops, JSON; never pickle
SHA256SUMS      of every other file; its digest names the package
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from medloom.foundation import registry
from medloom.foundation.errors import InputError, IntegrityError, NotFoundError
from medloom.foundation.files import storage_errors, sync
from medloom.foundation.hashing import sha256_bytes, sha256_file
from medloom.foundation.site import SiteDirectory
from medloom.tasks.model import Model, Origin
from medloom.tasks.question import Question

FORMAT: Final = 1
PackageKind = Literal["model", "encoder", "adapter", "generator"]
_MODEL_FILE: Final = "model.json"
SUMS: Final = "SHA256SUMS"
_IN_SITE: Final = "site:"


def write(
    directory: Path,
    origin: Origin,
    write_weights: Callable[[Path], None],
    *,
    libraries: Sequence[str],
    kind: PackageKind = "model",
    base_digest: str | None = None,
    extra: dict[str, Any] | None = None,
    wrapper: str | None = None,
) -> str:
    """Write a package and give its digest.

    Args:
        directory: new or empty.
        origin: where the model comes from.
        write_weights: writes files into the folder it is given; the same model writes the same bytes.
        libraries: distributions whose versions matter for loading.
        kind: what is in it.
        base_digest: of an adapter's base package.
        extra: what the learner wants to keep in `model.json` (JSON values only).
        wrapper: as registered, of a model that holds another one; None: the learner's own model.

    Raises:
        InputError: the directory has something in it.
    """
    if directory.exists() and any(directory.iterdir()):
        raise InputError("{path!r} is not empty; a model package needs a new directory", path=str(directory))
    weights = directory / "weights"
    with storage_errors(directory):
        weights.mkdir(parents=True)
        write_weights(weights)
        content = {
            "format": FORMAT,
            "kind": kind,
            "base_digest": base_digest,
            "question": origin.question.model_dump(mode="json"),
            "learner": origin.learner,
            "parameters": _told(origin.parameters, directory),
            "seed": origin.seed,
            "data_digest": origin.data_digest,
            "split_rule": origin.split_rule,
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in sorted(libraries)},
            },
            "extra": extra or {},
            **({} if wrapper is None else {"wrapper": wrapper}),
        }
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
        (directory / _MODEL_FILE).write_text(text + "\n", encoding="utf-8")
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        sums = "".join(f"{sha256_file(path)}  {path.relative_to(directory).as_posix()}\n" for path in files)
        (directory / SUMS).write_text(sums, encoding="ascii")
        for path in [*files, directory / SUMS, weights, directory]:
            sync(path)
    return sha256_bytes(sums.encode())


def load(directory: Path, digest: str | None = None) -> Model:
    """Check a package and load its model.

    Args:
        directory: the package.
        digest: what the release says its digest is; None: any.

    Raises:
        NotFoundError: there is no package.
        IntegrityError: a file was altered, added or removed, or the package was written by a newer Medloom.
    """
    content = check(directory, digest)
    wrapper = content.get("wrapper")
    group: registry.Group = "medloom.learners" if wrapper is None else "medloom.wrappers"
    kind: Any = registry.load(group, content["learner"] if wrapper is None else wrapper)
    model: Model = kind.load(directory)
    return model


def check(directory: Path, digest: str | None = None) -> dict[str, Any]:
    """Check a package's sums and give the content of its `model.json`; raises as `load`."""
    sums_path = directory / SUMS
    if not sums_path.is_file():
        raise NotFoundError("there is no model package in {path!r}", path=str(directory))
    sums = sums_path.read_bytes()
    if digest is not None and sha256_bytes(sums) != digest:
        raise IntegrityError(
            "model package {name} is not the one that was released; restore it from a copy",
            name=directory.name,
        )
    listed: dict[str, str] = {}
    for line in sums.decode("ascii", errors="replace").splitlines():
        expected, _, name = line.partition("  ")
        listed[name] = expected
    present = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()} - {
        SUMS
    }
    if present != set(listed):
        raise IntegrityError(
            "model package {name} has files added or missing; restore it from a copy", name=directory.name
        )
    for name, expected in listed.items():
        if sha256_file(directory / name) != expected:
            raise IntegrityError(
                "model package {name}: {file} was altered after it was written; restore it from a copy",
                name=directory.name,
                file=name,
            )
    content: dict[str, Any] = json.loads((directory / _MODEL_FILE).read_text(encoding="utf-8"))
    if content["format"] > FORMAT:
        raise IntegrityError(
            "model package {name} was written by a newer Medloom; upgrade with: pip install -U medloom",
            name=directory.name,
        )
    return content


def package_digest(directory: Path) -> str:
    """Name a package's content."""
    return sha256_file(directory / SUMS)


def origin_in(directory: Path) -> Origin:
    """Read where a model comes from, without checking or loading its package.

    Raises:
        NotFoundError: there is no package.
    """
    content = _content(directory)
    try:
        question = Question.model_validate(content["question"])
    except ValidationError as error:
        raise IntegrityError("model.json does not describe a question this version understands") from error
    return Origin(
        question,
        content["learner"],
        _found(content["parameters"], directory),
        content["seed"],
        content["data_digest"],
        content.get("split_rule", ""),
    )


def extra_in(directory: Path) -> dict[str, Any]:
    """Read what a learner kept beside its origin, without checking or loading the package.

    Raises:
        NotFoundError: there is no package.
    """
    extra: dict[str, Any] = _content(directory)["extra"]
    return extra


def _content(directory: Path) -> dict[str, Any]:
    path = directory / _MODEL_FILE
    if not path.is_file():
        raise NotFoundError("there is no model package in {path!r}", path=str(directory))
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _told(value: Any, package: Path) -> Any:
    """Write paths within the site that a package lies in as the site sees them, so that it can be moved."""
    site = SiteDirectory.around(package)
    if site is None:
        return value

    def told(text: str) -> str:
        path = Path(text)
        within = path.is_absolute() and path.resolve().is_relative_to(site.root)
        return _IN_SITE + path.resolve().relative_to(site.root).as_posix() if within else text

    return _with_texts(value, told)


def _found(value: Any, package: Path) -> Any:
    """Place what `_told` wrote."""
    site = SiteDirectory.around(package)
    if site is None:
        return value

    def found(text: str) -> str:
        return str(site.root / text.removeprefix(_IN_SITE)) if text.startswith(_IN_SITE) else text

    return _with_texts(value, found)


def _with_texts(value: Any, changed: Callable[[str], str]) -> Any:
    """Change every text in parameters."""
    if isinstance(value, str):
        return changed(value)
    if isinstance(value, Mapping):
        return {key: _with_texts(one, changed) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_texts(one, changed) for one in value]
    return value
