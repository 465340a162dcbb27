"""A site's pretrained encoders: `encoders/NAME/N/`, named `NAME[@N]`, the latest by default."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import remove
from medloom.foundation.site import SiteDirectory
from medloom.tasks.package import SUMS, extra_in, origin_in, package_digest

_NAME: Final = re.compile(r"(?P<name>[a-z0-9][a-z0-9_-]*)(@(?P<version>[1-9][0-9]*))?")


class Saved(Protocol):
    """What can be written as a package."""

    def save(self, directory: Path) -> object:
        """Write a package into an empty or new directory."""
        ...


@dataclass(frozen=True, order=True)
class EncoderName:
    """`NAME@N`.

    >>> str(EncoderName("timelines", 2))
    'timelines@2'
    """

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class About:
    """What a site's encoder is.

    Attributes:
        learner: whose body it is: `timeline`, or a learner of images.
        size: of its body; of images that of the images, in pixels.
        objectives: it was pretrained by.
        step: hours whose facts it reads together; 0: those of one moment; None: each fact, or images.
        patients, facts: it was learned from; of images these; None: its package does not tell.
        saved: when its package was written, as the disk has it.
    """

    name: EncoderName
    learner: str
    size: str
    objectives: tuple[str, ...]
    step: float | None
    patients: int | None
    facts: int | None
    saved: datetime

    @property
    def foresees(self) -> bool:
        """Tell whether it can sample futures."""
        return foresees(self.objectives, self.step)


def foresees(objectives: Sequence[str], step: float | None) -> bool:
    """Tell whether an encoder can sample futures: it was pretrained to foresee the next event, fact by fact.

    >>> foresees(("next-event",), None), foresees(("next-event",), 1.0)
    (True, False)
    """
    return "next-event" in objectives and step is None


def save(site: SiteDirectory, name: str, encoder: Saved) -> EncoderName:
    """Save an encoder as the next version of a name.

    Raises:
        InputError: this is no name.
    """
    check_name(name)
    root = folder(site, name)
    versions = _versions(root)
    saved = EncoderName(name, (versions[-1] if versions else 0) + 1)
    incoming = root / f".incoming-{saved.version}"
    remove(incoming)
    encoder.save(incoming / "package")
    incoming.replace(root / str(saved.version))
    return saved


def check_name(name: str) -> None:
    """Refuse what is no encoder's name.

    Raises:
        InputError: it is none.
    """
    match = _NAME.fullmatch(name)
    if match is None or match["version"]:
        raise InputError(
            "{name!r} is not an encoder's name: lower-case letters, digits and hyphens", name=name
        )


def find(site: SiteDirectory, text: str) -> EncoderName:
    """Find an encoder by its name, the latest version unless one is named.

    Raises:
        NotFoundError: there is no such encoder; the message lists those there are.
    """
    match = _NAME.fullmatch(text)
    versions = _versions(_root(site) / match["name"]) if match else []
    version = int(match["version"]) if match and match["version"] else (versions[-1] if versions else 0)
    if match is None or version not in versions:
        names = names_in(site)
        if not names:
            raise NotFoundError("There is no encoder yet; pretrain one with: medloom pretrain")
        raise NotFoundError(
            "this site has no encoder {name!r}; it has: {names}; pretrain one with: medloom pretrain",
            name=text,
            names=names,
        )
    return EncoderName(match["name"], version)


def folder(site: SiteDirectory, name: str) -> Path:
    """Place all versions of a name."""
    return _root(site) / name


def unfinished(site: SiteDirectory, name: str) -> Path:
    """Place what a training that has not ended keeps.

    Raises:
        InputError: this is no name.
    """
    check_name(name)
    return folder(site, name) / ".training"


def directory(site: SiteDirectory, name: EncoderName) -> Path:
    """Place an encoder's package."""
    return _root(site) / name.name / str(name.version) / "package"


def place_of(encoder: str | Path, site: SiteDirectory | None = None) -> Path:
    """Place the package of an encoder: its folder, or that of the site's of this name.

    Raises:
        NotFoundError: the site has none of this name.
    """
    if site is None or Path(encoder).is_dir():
        return Path(encoder)
    return directory(site, find(site, str(encoder)))


def of_digest(site: SiteDirectory, digest: str) -> Path | None:
    """Find the package that has a digest; None: the site has none."""
    return next(
        (path for name in names_in(site) if package_digest(path := directory(site, name)) == digest), None
    )


def names_in(site: SiteDirectory) -> list[EncoderName]:
    """List all encoders and versions of a site."""
    roots = [path for path in _root(site).glob("*") if _NAME.fullmatch(path.name)]
    return sorted(EncoderName(root.name, version) for root in roots for version in _versions(root))


def about(site: SiteDirectory, name: EncoderName) -> About:
    """Tell what an encoder is, without loading it.

    Raises:
        NotFoundError: there is no package.
    """
    package = directory(site, name)
    origin, extra = origin_in(package), extra_in(package)
    how, learned_from = origin.parameters, extra.get("learned_from", {})
    return About(
        name,
        origin.learner,
        extra.get("size") or how["size"],
        tuple(extra.get("objective", how.get("objective", "")).split("+")),
        how.get("step"),
        learned_from.get("patients"),
        learned_from.get("facts"),
        datetime.fromtimestamp((package / SUMS).stat().st_mtime, UTC),
    )


def _root(site: SiteDirectory) -> Path:
    return site.root / "encoders"


def _versions(root: Path) -> list[int]:
    return sorted(int(path.name) for path in root.glob("[0-9]*") if path.name.isdigit())
