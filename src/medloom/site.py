"""A site: the directory that holds everything one hospital owns, with the verbs of the loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from medloom.foundation.errors import InputError
from medloom.foundation.files import replacing
from medloom.foundation.site import SiteDirectory, SiteSettings, create_site, find_site
from medloom.record.keys import site_key
from medloom.record.record import Record
from medloom.tasks import library, models
from medloom.tasks.external import from_meds_labels, to_meds_labels
from medloom.tasks.labelling import Cohort, apply
from medloom.tasks.model import Model
from medloom.tasks.models import ModelName
from medloom.tasks.samples import Samples
from medloom.tasks.task import TASK_NAME


class Site:
    """One hospital's records, tasks and models.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> site = Site.create(Path(folder.name) / "st-mary")
    >>> site.record.n_subjects
    0
    """

    def __init__(self, directory: SiteDirectory) -> None:
        self.directory = directory
        self.settings = directory.settings()
        self.record = Record.open(directory)

    @classmethod
    def create(cls, path: str | Path, settings: SiteSettings | None = None) -> Site:
        """Make an empty site in a new folder, and its key outside of it.

        Raises:
            InputError: the folder has something in it.
        """
        root = Path(path)
        directory = create_site(root, settings or SiteSettings(name=root.name or "site"))
        if directory.settings().key != "env":
            site_key(directory, create=True)
        return cls(directory)

    @classmethod
    def open(cls, path: str | Path | None = None) -> Site:
        """Open a site: as named, else MEDLOOM_SITE, else the current directory.

        Raises:
            NotFoundError: there is none.
        """
        return cls(find_site(path))

    def task(self, name: str) -> SiteTask:
        """Find a task by path, in the site's `tasks/`, or among those that ship with Medloom.

        Raises:
            NotFoundError: there is none.
            InputError: its file is not valid, or two tasks have this name.
        """
        labels = self._labels(name)
        if labels.is_file():
            if name in library.own(self.directory):
                raise InputError(
                    "there are a task file and labels named {name!r} in tasks/; rename one of them", name=name
                )
            return SiteTask(self, lambda: Cohort(from_meds_labels(labels, self.record, name), ()))
        task = library.find(name, self.directory)
        path = Path(name) if name.endswith((".yaml", ".yml")) else None
        return SiteTask(self, lambda: apply(task, self.record), path)

    def keep_labels(self, name: str, labels: str | Path) -> Samples:
        """Keep MEDS labels that were made elsewhere as the task `name`; gives its samples, as they were kept.

        Raises:
            InputError: `name` is no task's name or taken, or the labels do not fit the record.
        """
        if not TASK_NAME.fullmatch(name):
            raise InputError(
                "{name!r} is not a task's name: lower-case letters, digits and hyphens", name=name
            )
        if name in {*library.shipped(), *library.own(self.directory)}:
            raise InputError(
                "there is a task {name!r} already; keep the labels under another name", name=name
            )
        samples = from_meds_labels(Path(labels), self.record, name)
        final = self._labels(name)
        with replacing(final) as incoming:
            to_meds_labels(samples, incoming)
            kept = from_meds_labels(incoming, self.record, name)
            if final.is_file() and not kept.frame.equals(from_meds_labels(final, self.record, name).frame):
                raise InputError(
                    "other labels are kept as {name!r}; keep these under another name, or remove tasks/{file}",
                    name=name,
                    file=final.name,
                )
        return kept

    def _labels(self, name: str) -> Path:
        return self.directory.tasks / f"{name}{library.LABELS}"

    def model(self, name: str) -> Model:
        """Load a model, `TASK.LEARNER[@N]`; its sums are checked first."""
        return models.load(self.directory, self.model_name(name))

    def model_name(self, name: str) -> ModelName:
        """Find a model's full name; the latest version unless one is named."""
        return models.find(self.directory, name)

    @property
    def models(self) -> list[ModelName]:
        """List the site's models."""
        return models.names_in(self.directory)


class SiteTask:
    """A task put to a site's record, once, when first asked for."""

    def __init__(self, site: Site, ask: Callable[[], Cohort], path: Path | None = None) -> None:
        self.site = site
        self._ask = ask
        self._path = path

    def keep(self) -> None:
        """Copy a task that was named by its path into the site; its models are put to it by name.

        Raises:
            InputError: the site has another task of this name.
        """
        if self._path is not None:
            library.keep(self._path, self.site.directory)

    @cached_property
    def cohort(self) -> Cohort:
        """Give the samples and how they came about."""
        return self._ask()

    @property
    def samples(self) -> Samples:
        """Give the task's samples, all splits."""
        return self.cohort.samples
