"""Timelines as tokens: each visible fact as a code's number, a value, and a time; kept on disk once, read in place."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.features.reading import of_histories
from medloom.features.token_vocabulary import TokenVocabulary, named_facts
from medloom.foundation.errors import IntegrityError
from medloom.foundation.files import storage_errors
from medloom.foundation.hashing import digest
from medloom.record.schema import BIRTH
from medloom.tasks.history import HOURS_PER_YEAR, MICROSECONDS_PER_HOUR, STATIC, History
from medloom.tasks.samples import Samples

_FACTS: Final = {"code": np.int32, "value": np.float32, "tenth": np.uint8, "hours": np.float32}
_SAMPLES: Final = {"length": np.int64, "age": np.float32}
_AT_ONCE: Final = 20_000  # samples whose tokens are in memory at a time while they are being written
_OPEN: Final = "tokens.json"


@dataclass(frozen=True)
class Tokens:
    """The facts of m samples, n in all; sorted by sample, static ones first, then by time.

    Attributes:
        offsets: (m + 1,) where each sample's facts begin and end.
        code: (n,) numbers of a `TokenVocabulary`; from its length + 1 on, places in `strangers`.
        value: (n,) distance from the code's median in units of its spread; 0: no value, or an ordinary one.
        tenth: (n,) of the code's values in which the value lies, from 1; 0: no value.
        hours: (n,) before the prediction time; NaN: static.
        age: (m,) years at the prediction time; NaN: unknown.
        strangers: codes that the vocabulary does not have.
    """

    offsets: NDArray[np.int64]
    code: NDArray[np.int32]
    value: NDArray[np.float32]
    tenth: NDArray[np.uint8]
    hours: NDArray[np.float32]
    age: NDArray[np.float32]
    strangers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.age)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Count the facts of each sample: (m,)."""
        return np.diff(self.offsets)


def encode(samples: Samples, vocabulary: TokenVocabulary) -> Tokens:
    """Turn the histories of samples into tokens, in memory; codes that are not known come as strangers."""
    size = len(vocabulary)
    strangers: dict[str, int] = {}
    parts = list(of_histories(samples, ("text_value",), partial(_encoded, vocabulary)))
    codes = [_renumbered(part, size, strangers) for part in parts]
    if not parts:
        nothing = nobodys_tokens()
        return replace(nothing, offsets=nothing.offsets[:1], age=nothing.age[:0])
    lengths = np.concatenate([part.lengths for part in parts])
    facts = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in _FACTS if name != "code"
    }
    age = np.concatenate([part.age for part in parts])
    offsets = np.append(0, np.cumsum(lengths))
    return Tokens(offsets, np.concatenate(codes), **facts, age=age, strangers=tuple(strangers))


def write_tokens(folder: Path, samples: Samples, vocabulary: TokenVocabulary) -> Tokens:
    """Write the tokens of samples, part by part, and open them; what was written for the same samples is taken as is.

    Facts whose codes the vocabulary does not have are left out: a model cannot learn anything from them.

    Args:
        folder: may exist; whatever stops while it is written leaves nothing that would be taken for whole.
        samples: of any number; memory holds the histories of a part of them at a time.
        vocabulary: of the codes.

    Raises:
        StorageError: the disk is full.
    """
    named = digest([samples.digest(), vocabulary.to_json()])
    if (folder / _OPEN).is_file() and json.loads((folder / _OPEN).read_text("utf-8"))["of"] == named:
        return open_tokens(folder)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _OPEN).unlink(missing_ok=True)
        with ExitStack() as opened:
            files = {
                name: opened.enter_context((folder / f"{name}.bin").open("wb"))
                for name in (*_FACTS, *_SAMPLES)
            }
            for part in of_histories(samples, ("text_value",), partial(_known, vocabulary), _AT_ONCE):
                columns = {name: getattr(part, name) for name in _FACTS}
                for name, column in {**columns, "length": part.lengths, "age": part.age}.items():
                    files[name].write(np.ascontiguousarray(column).data)
        (folder / _OPEN).write_text(json.dumps({"of": named}), encoding="utf-8")
    return open_tokens(folder)


def open_tokens(folder: Path) -> Tokens:
    """Open what `write_tokens` wrote; facts stay on disk until they are looked at.

    Raises:
        IntegrityError: the files do not fit together.
    """
    read: dict[str, Any] = {}
    for name, kind in {**_FACTS, **_SAMPLES}.items():
        path = folder / f"{name}.bin"
        size = path.stat().st_size // np.dtype(kind).itemsize
        read[name] = np.memmap(path, dtype=kind, mode="r") if size else np.empty(0, kind)
    offsets = np.concatenate([[0], np.cumsum(read["length"])])
    if any(len(read[name]) != offsets[-1] for name in _FACTS) or len(read["age"]) != len(read["length"]):
        raise IntegrityError("the tokens in {path!r} were cut off; remove the folder", path=str(folder))
    return Tokens(offsets, **{name: read[name] for name in _FACTS}, age=read["age"])


def nobodys_tokens() -> Tokens:
    """Give the tokens of one sample of whom nothing is known."""
    nothing = np.empty(0, np.float32)
    return Tokens(
        np.zeros(2, np.int64),
        nothing.astype(np.int32),
        nothing,
        nothing.astype(np.uint8),
        nothing,
        np.full(1, np.nan, np.float32),
    )


def _known(vocabulary: TokenVocabulary, samples: Samples, history: History) -> Tokens:
    """Encode one history, without codes that the vocabulary does not have."""
    tokens = _encoded(vocabulary, samples, history)
    known = tokens.code <= len(vocabulary)
    if known.all():
        return tokens
    kept = np.concatenate([[0], np.cumsum(known)])[tokens.offsets]
    return Tokens(kept, **{name: getattr(tokens, name)[known] for name in _FACTS}, age=tokens.age)


def _encoded(vocabulary: TokenVocabulary, _samples: Samples, history: History) -> Tokens:
    """Encode one history."""
    named = named_facts(history)
    numbers = vocabulary.numbered(named.names)
    occurring = np.bincount(named.code, minlength=len(numbers)) > 0
    strange = np.flatnonzero(occurring & (numbers == 0))
    numbers[strange] = len(vocabulary) + 1 + np.arange(len(strange))
    code = numbers[named.code]
    known = np.where(code <= len(vocabulary), code, 0) if len(strange) else code
    value, tenth = vocabulary.standardised(known, history.value[named.rows])
    sample, time = history.sample[named.rows], history.time[named.rows]
    hours = ((history.prediction_time[sample] - time) / MICROSECONDS_PER_HOUR).astype(np.float32)
    hours[time == STATIC] = np.nan
    offsets = np.searchsorted(sample, np.arange(history.n_samples + 1))
    strangers = tuple(named.names[place] for place in strange)
    return Tokens(offsets, code, value, tenth, hours, _ages(history), strangers)


def _renumbered(part: Tokens, size: int, strangers: dict[str, int]) -> NDArray[np.int32]:
    """Give a part's codes (n,) with its strangers at their places among those of all parts, which grow."""
    places = [strangers.setdefault(name, len(strangers)) for name in part.strangers]
    numbers = np.concatenate([np.arange(size + 1), size + 1 + np.array(places, np.int64)]).astype(np.int32)
    return numbers[part.code] if part.strangers else part.code


def _ages(history: History) -> NDArray[np.float32]:
    ages = np.full(history.n_samples, np.nan, np.float32)
    if BIRTH in history.vocabulary:
        rows = np.flatnonzero(history.code == history.vocabulary.index(BIRTH))
        rows = rows[history.time[rows] != STATIC]
        lived = history.prediction_time[history.sample[rows]] - history.time[rows]
        ages[history.sample[rows]] = lived / (MICROSECONDS_PER_HOUR * HOURS_PER_YEAR)
    return ages
