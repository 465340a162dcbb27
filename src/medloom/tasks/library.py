"""Finding tasks: a file, the site's own, or one that ships with Medloom."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from medloom.foundation.errors import NotFoundError
from medloom.foundation.site import SiteDirectory
from medloom.foundation.yaml import read_yaml
from medloom.tasks.task import Task


def find(name: str, site: SiteDirectory | None = None) -> Task:
    """Find a task: by path (ending in .yaml), in the site's `tasks/`, or among the shipped ones.

    Raises:
        NotFoundError: there is none of this name; the message lists those there are.
        InputError: its file is not valid.

    >>> find("readmission-30d").kind
    'binary'
    """
    if name.endswith((".yaml", ".yml")):
        return read_yaml(Path(name), Task, "task")
    if site is not None and (site.tasks / f"{name}.yaml").is_file():
        return read_yaml(site.tasks / f"{name}.yaml", Task, "task")
    if name not in shipped():
        raise NotFoundError(
            "there is no task {name!r}; there are: {names}",
            name=name,
            names=", ".join(sorted({*shipped(), *own(site)})),
        )
    with as_file(files("medloom.tasks") / "shipped" / f"{name}.yaml") as path:
        return read_yaml(path, Task, "task")


def shipped() -> list[str]:
    """Name the tasks that ship with Medloom."""
    folder = files("medloom.tasks") / "shipped"
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def own(site: SiteDirectory | None) -> list[str]:
    """Name the tasks of a site."""
    return [] if site is None else sorted(path.stem for path in site.tasks.glob("*.yaml"))
