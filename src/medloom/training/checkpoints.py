"""Where a training stands, on disk: it goes on from there to the step, and nothing that is read could run.

FOLDER/000400/    weights.safetensors   the network's, and what the optimizer remembers
                  course.json           step, curve, what is best so far; sum of the other file

The last two are kept: where the last one is broken, the one before is used.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medloom.foundation.errors import InputError
from medloom.foundation.files import remove, storage_errors, sync
from medloom.foundation.hashing import sha256_file

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)

_KEPT: Final = 2
_TENSORS: Final = "tensors.safetensors"
_COURSE: Final = "course.json"


@dataclass
class Course:
    """How a training has gone so far.

    Attributes:
        of: what is trained on what and how: a training goes on only from a checkpoint of its own.
        step: steps done.
        curve: step, mean loss since the last judgement, loss on the rows it is judged by (NaN: none).
        best: the least judged loss.
        best_step: when it was reached.
        since: judgements without gain.
        seconds: spent so far.
    """

    of: str
    step: int = 0
    curve: list[tuple[int, float, float | None]] = field(default_factory=list)
    best: float | None = None
    best_step: int = 0
    since: int = 0
    seconds: float = 0.0


def save_checkpoint(folder: Path, course: Course, tensors: dict[str, Tensor]) -> None:
    """Write a checkpoint whole, then let go of all but the last two.

    Raises:
        StorageError: the disk is full; those written before are still there.
    """
    from safetensors.torch import save_file

    final = folder / f"{course.step:09d}"
    incoming = folder / ".incoming"
    with storage_errors(folder):
        remove(incoming)
        incoming.mkdir(parents=True)
        save_file(tensors, incoming / _TENSORS)
        content = asdict(course) | {"sha256": sha256_file(incoming / _TENSORS)}
        (incoming / _COURSE).write_text(json.dumps(content), encoding="utf-8")
        for path in (incoming / _TENSORS, incoming / _COURSE, incoming):
            sync(path)
        remove(final)
        incoming.replace(final)
        sync(folder)
    for old in _there(folder)[:-_KEPT]:
        remove(old)


def load_checkpoint(folder: Path, of: str) -> tuple[Course, dict[str, Tensor]] | None:
    """Read the last checkpoint that is whole; None: there is none.

    Raises:
        InputError: it is of another training: other data, another network, or another schedule.
    """
    for path in reversed(_there(folder)):
        read = _read(path)
        if read is None:
            _log.warning("broken checkpoint=%s; the one before is used", path.name)
            continue
        course, tensors = read
        if course.of != of:
            raise InputError(
                "the training kept in {folder!r} is another one: of other data, another vocabulary, or with other "
                "settings; name another folder, or remove this one",
                folder=str(folder),
            )
        return course, tensors
    return None


def _there(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def _read(path: Path) -> tuple[Course, dict[str, Tensor]] | None:
    from safetensors.torch import load_file

    try:
        content: dict[str, Any] = json.loads((path / _COURSE).read_text(encoding="utf-8"))
        if sha256_file(path / _TENSORS) != content.pop("sha256"):
            return None
        course = Course(**content)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    course.curve = [(step, loss, judged) for step, loss, judged in course.curve]
    return course, load_file(path / _TENSORS)
