"""The directory that holds everything one hospital owns: its places and its settings."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import write_text

SETTINGS_FILE = "site.toml"


class SplitShares(BaseModel):
    """Shares of the subjects in each split; they sum to one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: float = Field(0.7, ge=0, le=1)
    tuning: float = Field(0.1, ge=0, le=1)
    calibration: float = Field(0.0, ge=0, le=1)
    held_out: float = Field(0.2, ge=0, le=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.train + self.tuning + self.calibration + self.held_out - 1) > 1e-6:
            raise ValueError("the shares must sum to one; those not named are 0.7, 0.1, 0, 0.2")
        return self


class SiteSettings(BaseModel):
    """What `site.toml` says; every key has a default, unknown keys are refused.

    >>> SiteSettings(name="St. Mary").time_zone
    'UTC'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("site", min_length=1, max_length=80)
    time_zone: str = "UTC"
    split_seed: int = 0
    split: SplitShares = SplitShares()
    subjects_per_shard: int = Field(1000, ge=1)
    keep_generations: int = Field(3, ge=1)
    encrypt_at_rest: bool = False
    key: str = Field("file", pattern=r"^(file|keyring|env)$")
    language_model: str = Field("", pattern=r"^$|^https?://[^/?#@\s]+(/[^?#@\s]*)?$|\.gguf$", max_length=500)
    language_model_name: str = Field("", max_length=200)
    language_model_timeout_s: float = Field(120, gt=0, le=3600)

    @model_validator(mode="before")
    @classmethod
    def _without_languages(cls, data: object) -> object:
        """Leave out `languages`, which sites made before 0.1 still have and nothing reads."""
        return {k: v for k, v in data.items() if k != "languages"} if isinstance(data, dict) else data

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in _time_zones():
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Paris or Asia/Shanghai")
        return value


@cache
def _time_zones() -> frozenset[str]:
    # listing them walks through 600 files: 20 ms, at every look at the settings
    return frozenset(available_timezones())


@dataclass(frozen=True)
class SiteDirectory:
    """Places in a site's directory; holds no data and opens nothing.

    >>> SiteDirectory(Path("st-mary")).tasks.as_posix()
    'st-mary/tasks'
    """

    root: Path

    @classmethod
    def around(cls, path: Path) -> Self | None:
        """Give the site that a path lies in; None: in none."""
        return next((cls(one) for one in path.resolve().parents if (one / SETTINGS_FILE).is_file()), None)

    @property
    def record(self) -> Path:
        """The current generation (a symbolic link)."""
        return self.root / "record"

    @property
    def generations(self) -> Path:
        return self.root / "generations"

    @property
    def assets(self) -> Path:
        return self.root / "assets"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def vault(self) -> Path:
        return self.root / "vault.db"

    @property
    def live(self) -> Path:
        return self.root / "live.db"

    @property
    def doubtful(self) -> Path:
        return self.root / "doubtful.db"

    @property
    def tasks(self) -> Path:
        return self.root / "tasks"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    def settings(self) -> SiteSettings:
        """Read `site.toml`.

        Raises:
            NotFoundError: this is not a site.
            InputError: the file is not valid; the message names the key.
        """
        path = self.root / SETTINGS_FILE
        if not path.is_file():
            raise NotFoundError(
                "{path!r} is not a site (it has no site.toml);"
                " create one with: medloom init {new}, or name yours: --site FOLDER",
                path=str(self.root),
                # `init` takes no folder that has something in it.
                new="my-hospital" if self.root.exists() else str(self.root),
            )
        try:
            return SiteSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError("site.toml cannot be read: {reason}", reason=str(error)) from error
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                "site.toml: {key}: {reason}", key=".".join(map(str, first["loc"])), reason=first["msg"]
            ) from error


def create_site(root: Path, settings: SiteSettings) -> SiteDirectory:
    """Make an empty site at `root`.

    Raises:
        InputError: `root` already is a site, or is a file, or a folder with something in it.
    """
    directory = SiteDirectory(root)
    if root.exists() and not root.is_dir():
        raise InputError("{path!r} is a file; choose a new folder for the site", path=str(root))
    if root.exists() and any(root.iterdir()):
        raise InputError("{path!r} is not empty; choose a new folder for the site", path=str(root))
    for place in (
        directory.generations,
        directory.quarantine,
        directory.tasks,
        directory.models,
        directory.reports,
    ):
        place.mkdir(parents=True, exist_ok=True)
    write_text(root / SETTINGS_FILE, _as_toml(settings))
    root.chmod(0o700)
    return directory


def find_site(named: str | Path | None = None) -> SiteDirectory:
    """Find the site: as named, else MEDLOOM_SITE, else the current directory.

    Raises:
        NotFoundError: there is no site there.
    """
    directory = SiteDirectory(Path(named or os.environ.get("MEDLOOM_SITE") or "."))
    directory.settings()
    return directory


def _as_toml(settings: SiteSettings) -> str:
    lines = ["# Settings of this site. Unknown keys are refused; see docs/site.md."]
    tables: list[str] = []
    for key, value in settings.model_dump(mode="json").items():
        if isinstance(value, dict):
            tables += ["", f"[{key}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())]
        else:
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join([*lines, *tables, ""])
