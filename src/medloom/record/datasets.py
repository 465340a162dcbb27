"""Public data sets for benchmarks and examples: from a mirror or their owner, checked, in a cache.

A data set is an entry in `datasets.toml`; adding one needs no code. Its folder
appears whole and checked, or not at all.
"""

from __future__ import annotations

import gzip
import logging
import os
import re
import shutil
import tempfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, Field

from medloom.foundation.archives import DamagedArchiveError, archive_damage, members
from medloom.foundation.errors import IntegrityError, NotFoundError
from medloom.foundation.files import locked, remove, replacing, storage_errors, write_text
from medloom.foundation.hashing import digest, sha256_bytes, sha256_file
from medloom.foundation.messages import tr
from medloom.foundation.progress import progress, track

logger = logging.getLogger(__name__)

BLOCK = 1 << 20
TIMEOUT_S = 60


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Packaging(_Part):
    """One way an archive is served."""

    mirror: str = Field("", description="File in the data set's folder of a mirror.")
    url: str = Field("", pattern=r"^(https?://.+)?$", description="The owner's address.")
    sha256: str = Field("", description="Sum of this packaging; empty: unknown, only the content is checked.")
    inside: str = Field(description="Folder in the archive whose files are taken.")


class Archive(_Part):
    """Many files that come as one."""

    path: str = Field(description="Folder of the data set that they are unpacked to.")
    count: int = Field(description="How many files.")
    content: str = Field(description="Digest of their names and contents; see `content_digest`.")
    json_files: bool = Field(False, description="JSON files whose white space does not count and is removed.")
    members: str = Field("", description="Text file beside this module with the names taken; empty: all.")
    packagings: tuple[Packaging, ...]


class Dataset(_Part):
    """A public data set: what it is, whose it is, and how to get and check it."""

    name: str
    title: str
    licence: str
    citation: str
    home: str = Field(description="The owner's page.")
    importer: str = Field("", description="Importer that reads it; empty: its scripts do.")
    mapping: str = Field("", description="Mapping for the table importer.")
    mirror: str = Field(description="Its folder below MEDLOOM_MIRROR.")
    base: str = Field("", description="The owner's address of the single files.")
    files: dict[str, str] = Field(default_factory=dict, description="Single files: name -> SHA-256.")
    addresses: dict[str, str] = Field(
        default_factory=dict, description="Where a file is below `base`, if elsewhere."
    )
    mirrored: dict[str, str] = Field(
        default_factory=dict, description="Where a file is below the mirror, if elsewhere; `.gz` is unpacked."
    )
    archives: tuple[Archive, ...] = ()


def available() -> list[Dataset]:
    """List the data sets, by name.

    >>> [one.name for one in available()]
    ['aci-bench', 'ade-corpus', 'bc5cdr', 'breastmnist', 'chestxray-kermany', 'drugbank-vocabulary',
     'hippocampus', 'meddocan', 'mimic-iv-demo-fhir', 'ncbi-disease', 'negex', 'physionet2012', 'pneumoniamnist',
     'support2', 'survival', 'synthea-fhir-r4', 'tabular-classics']
    """
    return list(_registry().values())


def get(name: str, into: Path | None = None) -> Path:
    """Give the folder of a data set; fetch and check it first if it is not there yet.

    It is taken from the folder MEDLOOM_MIRROR, else from its owner, into
    `into`/`name` or the cache (MEDLOOM_CACHE, or medloom in XDG_CACHE_HOME).

    Raises:
        NotFoundError: there is no such data set, or neither mirror nor network has it.
        IntegrityError: what came is not what was expected.
        StorageError: the disk refuses.
    """
    registry = _registry()
    if name not in registry:
        raise NotFoundError(
            "no data set is called {name!r}; there are: {names}", name=name, names=list(registry)
        )
    return fetch(registry[name], into if into is not None else cache_folder() / "data")


def fetch(dataset: Dataset, into: Path, mirror: Path | None = None) -> Path:
    """Fetch a data set into `into`/its name, unless it is there; see `get`."""
    if mirror is None and os.environ.get("MEDLOOM_MIRROR"):
        mirror = Path(os.environ["MEDLOOM_MIRROR"])
    folder, stamp = into / dataset.name, into / f".{dataset.name}.complete"
    content = digest([dataset.files, [(archive.path, archive.content) for archive in dataset.archives]])
    with storage_errors(into), locked(into / f".{dataset.name}.lock", f"data set {dataset.name}"):
        if folder.is_dir() and stamp.is_file() and stamp.read_text() == content:
            return folder
        downloads = into / f".{dataset.name}.downloads"
        downloads.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=into) as temporary:
            incoming = Path(temporary) / dataset.name
            incoming.mkdir()
            for name, expected in track(
                dataset.files.items(), tr("Fetching {name}", name=dataset.name), len(dataset.files)
            ):
                source = _file(dataset, name, expected, mirror, downloads)
                (incoming / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, incoming / name)
            for archive in dataset.archives:
                _archive(dataset, archive, incoming / archive.path, mirror, downloads)
            remove(stamp)
            remove(folder)
            incoming.rename(folder)
        write_text(stamp, content)
        remove(downloads)
    logger.info("dataset=%s fetched", dataset.name)
    return folder


def cache_folder() -> Path:
    """Name the user's cache: MEDLOOM_CACHE, else medloom in XDG_CACHE_HOME, else ~/.cache/medloom."""
    if chosen := os.environ.get("MEDLOOM_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medloom"


def content_digest(folder: Path, as_json: bool = False) -> tuple[int, str]:
    """Count the files below a folder and digest their names and contents, in the order of names.

    The digest is of lines `SHA-256  name`; with `as_json` the sums are of the canonical
    JSON, so that white space and the order of keys do not count.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    sums = (
        digest(orjson.loads((folder / n).read_bytes())) if as_json else sha256_file(folder / n) for n in names
    )
    text = "".join(f"{total}  {name}\n" for total, name in zip(sums, names, strict=True))
    return len(names), sha256_bytes(text.encode())


@cache
def _registry() -> Mapping[str, Dataset]:
    document = tomllib.loads((files("medloom.record") / "datasets.toml").read_text(encoding="utf-8"))
    sets = [Dataset(name=name, **entry) for name, entry in document.items()]
    return {one.name: one for one in sorted(sets, key=lambda one: one.name)}


def _file(dataset: Dataset, name: str, expected: str, mirror: Path | None, downloads: Path) -> Path:
    """Find a single file in the mirror or download it, and check it."""
    copy = _mirrored(dataset, dataset.mirrored.get(name, name), mirror)
    if copy is not None and copy.suffix == ".gz" and not name.endswith(".gz"):
        copy = _unzipped(copy, downloads / name)
    path = copy or _downloaded(dataset, dataset.base + dataset.addresses.get(name, name), name, downloads)
    _check(path, expected, name, downloaded=copy is None)
    return path


def _archive(dataset: Dataset, archive: Archive, target: Path, mirror: Path | None, downloads: Path) -> None:
    """Find an archive in the mirror or download it, unpack it, and check what is in it."""
    for packaging in archive.packagings:
        if packaging.mirror and (copy := _mirrored(dataset, packaging.mirror, mirror)):
            chosen, path = packaging, copy
            break
    else:
        chosen = next(p for p in archive.packagings if p.url)
        wanted = next((p.mirror for p in archive.packagings if p.mirror), archive.path)
        path = _downloaded(dataset, chosen.url, wanted, downloads)
    if chosen.sha256:
        _check(path, chosen.sha256, path.name, downloaded=path.parent == downloads)
    _unpack(path, chosen.inside, target, archive)
    count, content = content_digest(target, archive.json_files)
    if (count, content) != (archive.count, archive.content):
        if path.parent == downloads:
            remove(path)
        raise IntegrityError(
            "data set {name!r}: {path} holds {count} files that are not the {expected} expected; "
            "get it again, or from another source",
            name=dataset.name,
            path=archive.path,
            count=count,
            expected=archive.count,
        )


def _mirrored(dataset: Dataset, name: str, mirror: Path | None) -> Path | None:
    path = None if mirror is None else mirror / dataset.mirror / name
    return path if path is not None and path.is_file() else None


def _unzipped(path: Path, into: Path) -> Path:
    into.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path) as packed, replacing(into) as temporary, temporary.open("wb") as target:
        shutil.copyfileobj(packed, target)
    return into


def _check(path: Path, expected: str, name: str, downloaded: bool) -> None:
    if sha256_file(path) == expected:
        return
    if downloaded:
        remove(path)  # or it would be taken for complete the next time
    raise IntegrityError(
        "{name!r} has another SHA-256 than expected; get it again, or from another source", name=name
    )


def _downloaded(dataset: Dataset, url: str, name: str, downloads: Path) -> Path:
    """Download an address, or go on where the last attempt ended."""
    path = downloads / sha256_bytes(url.encode())[:16]
    if path.is_file():
        return path
    partial = path.with_suffix(".part")
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(
        url, headers={"User-Agent": "medloom"} | ({"Range": f"bytes={have}-"} if have else {})
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            goes_on = answer.status == 206
            size = answer.headers.get("Content-Length")
            total = int(size) + (have if goes_on else 0) if size else None
            with (
                progress(tr("Downloading {name}", name=name), total) as advance,
                partial.open("ab" if goes_on else "wb") as file,
            ):
                advance(have if goes_on else 0)
                while block := answer.read(BLOCK):
                    file.write(block)
                    advance(len(block))
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is longer than the file: begin again
            remove(partial)
            return _downloaded(dataset, url, name, downloads)
        raise _out_of_reach(dataset, url, name, f"HTTP {error.code}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise _out_of_reach(dataset, url, name, str(getattr(error, "reason", error))) from error
    if total is not None and partial.stat().st_size != total:
        raise _out_of_reach(dataset, url, name, "connection lost")
    partial.rename(path)
    return path


def _out_of_reach(dataset: Dataset, url: str, name: str, reason: str) -> NotFoundError:
    return NotFoundError(
        "data set {name!r} is not on this machine and {url} cannot be reached ({reason}); connect to the "
        "network and repeat (a download goes on where it stopped), or set MEDLOOM_MIRROR to a folder that "
        "holds {file}",
        name=dataset.name,
        url=url,
        reason=reason,
        file=f"{dataset.mirror}/{name}",
    )


def _unpack(path: Path, inside: str, target: Path, archive: Archive) -> None:
    """Unpack the wanted regular files below `inside`, and nothing that points elsewhere."""
    wanted = re.compile(rf"(?:.*/)?{re.escape(inside)}/(?P<name>[^/]+)")
    names = (
        set((files("medloom.record") / archive.members).read_text(encoding="utf-8").split("\n"))
        if archive.members
        else None
    )
    target.mkdir(parents=True)
    try:
        with archive_damage(), progress(tr("Unpacking {name}", name=archive.path), archive.count) as advance:
            for address, stream in members(path):
                found = wanted.fullmatch(address)
                if found is None or (names is not None and found["name"] not in names):
                    continue
                data = stream.read()
                # one file name without a slash: it cannot leave `target`
                (target / found["name"]).write_bytes(
                    orjson.dumps(orjson.loads(data)) if archive.json_files else data
                )
                advance(1)
    except (DamagedArchiveError, orjson.JSONDecodeError) as error:
        raise IntegrityError("{name!r} is not a complete archive; get it again", name=archive.path) from error
