"""Finding tasks: a file, the site's own, or one that ships with Medloom."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.files import write_text
from medloom.foundation.site import SiteDirectory
from medloom.foundation.yaml import read_yaml
from medloom.tasks.task import Task

LABELS: Final = ".labels.parquet"  # how the files of labels made elsewhere end


def find(name: str, site: SiteDirectory | None = None) -> Task:
    """Find a task: by path (ending in .yaml), in the site's `tasks/`, or among the shipped ones.

    Raises:
        NotFoundError: there is none of this name; the message lists those there are.
        InputError: its file is not valid, or lies in the site under another name than the task's.

    >>> find("readmission-30d").kind
    'binary'
    """
    if name.endswith((".yaml", ".yml")):
        return read_yaml(Path(name), Task, "task")
    if site is not None and (site.tasks / f"{name}.yaml").is_file():
        task = read_yaml(site.tasks / f"{name}.yaml", Task, "task")
        if task.name != name:
            raise InputError(
                "task file {file!r} says name: {name}; its models could not be found again: "
                "give file and task one name",
                file=f"{name}.yaml",
                name=task.name,
            )
        return task
    if name not in shipped():
        raise NotFoundError(
            "there is no task {name!r}; there are: {names}",
            name=name,
            names=sorted({*shipped(), *own(site), *labelled(site)}),
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
    """Name the task files of a site."""
    return [] if site is None else sorted(path.stem for path in site.tasks.glob("*.yaml"))


def labelled(site: SiteDirectory | None) -> list[str]:
    """Name the tasks of a site that are kept as labels made elsewhere."""
    if site is None:
        return []
    return sorted(path.name.removesuffix(LABELS) for path in site.tasks.glob(f"*{LABELS}"))


def keep(path: Path, site: SiteDirectory) -> None:
    """Copy a task file into the site's `tasks/`, so that its models can be put to it again.

    Raises:
        InputError: the file is not valid, or another task of this name is there.
    """
    task = read_yaml(path, Task, "task")
    kept = site.tasks / f"{task.name}.yaml"
    if task.name in labelled(site) or (kept.is_file() and read_yaml(kept, Task, "task") != task):
        raise InputError(
            "the site has another task {name!r}; give this one a name of its own", name=task.name
        )
    if not kept.is_file():
        write_text(kept, path.read_text(encoding="utf-8"))
