"""Where many tasks of a kind are done: in this process, one after the other, or by the workers of a Ray cluster.

Work asks for `each(...)`; who started it says where, with `engine(...)`. Nothing here imports Ray before it is named.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from copy import deepcopy
from typing import Any, Final, Protocol, TypeVar

from medloom.foundation.errors import InputError, MedloomError, MissingExtraError, WorkerError

T = TypeVar("T")
R = TypeVar("R")

ENGINES: Final = ("local", "ray")
_AGAIN: Final = 5  # times a task is begun anew whose worker was stopped
_AHEAD: Final = 2  # tasks a worker that are handed out before the first result is taken

# Ray binds to the address by which other machines would reach it, unless it is told that there is no cluster; the
# token keeps other users of this machine out.
_ALONE: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}


class Engine(Protocol):
    """Does tasks."""

    def each(self, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Do each task; results come in the order of the tasks."""
        ...


_engine: ContextVar[Engine | None] = ContextVar("medloom_engine", default=None)


@contextmanager
def engine(name: str = "local", address: str | None = None, workers: int | None = None) -> Iterator[None]:
    """Have tasks inside the block done by an engine.

    Ray without an address starts on this machine, heard on its loopback alone, and ends with the block. With an
    address it is a cluster's: its machines must have the same version of Medloom, and see the site under the same
    path; who reaches a Ray cluster can run anything there, so keep its ports to yourself.

    Args:
        name: `local` or `ray`.
        address: of a Ray cluster that runs; None: Ray is started here.
        workers: of a Ray that is started here; None: as many as there are processors.

    Raises:
        InputError: there is no such engine, an address beside `local`, no cluster at the address, or Ray was imported
            before it could be told to keep to this machine.
        MissingExtraError: Ray is not installed.
    """
    if name not in ENGINES or (name == "local" and address is not None):
        raise InputError(
            "there is no engine {name!r} with address {address!r}; there are: {engines}; ray alone takes an address",
            name=name,
            address=address or "",
            engines=ENGINES,
        )
    with nullcontext() if name == "local" else _ray(address, workers) as started:
        token = _engine.set(started)
        try:
            yield
        finally:
            _engine.reset(token)


def is_shared() -> bool:
    """Tell whether tasks are done elsewhere, so that it is worth cutting work into them."""
    return _engine.get() is not None


def each(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """Do each task where the engine in force does it; results come in the order of the tasks.

    Args:
        work: what is done; it depends on nothing but the task, and changes nothing.
        tasks: taken a few ahead of the results, so that not all are in memory.

    Raises:
        WorkerError: a worker was stopped, and so was each that began its task anew.

    >>> list(each(abs, [-1, 2]))
    [1, 2]
    """
    chosen = _engine.get()
    if chosen is None:
        return (work(task) for task in tasks)
    return chosen.each(work, tasks)


class _Ray:
    """The workers of a Ray cluster."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        # a worker that is killed is replaced, and its task begun anew; what a task says on purpose is not tried again
        self._do = ray.remote(max_retries=_AGAIN)(_done)
        self._ahead = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))

    def each(self, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        held, waiting = self._ray.put(work), deque[Any]()
        try:
            for task in tasks:
                waiting.append(self._do.remote(held, task))
                if len(waiting) >= self._ahead:
                    yield self._taken(waiting.popleft())
            while waiting:
                yield self._taken(waiting.popleft())
        finally:
            for one in waiting:
                self._ray.cancel(one)

    def _taken(self, result: Any) -> Any:
        failures = self._ray.exceptions
        try:
            return deepcopy(self._ray.get(result))  # to be written to, as in `_done`
        except failures.RayTaskError as error:
            if isinstance(error.cause, MedloomError):
                raise error.cause from None
            raise
        except (failures.WorkerCrashedError, failures.OutOfMemoryError, failures.NodeDiedError) as error:
            raise WorkerError(
                "a worker of the engine was stopped {n} times, perhaps because memory ran out; take fewer workers",
                n=_AGAIN + 1,
            ) from error


@contextmanager
def _ray(address: str | None, workers: int | None) -> Iterator[_Ray]:
    # all of this is read when Ray is imported
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    if address is None:
        if "ray" in sys.modules and not _ALONE.items() <= os.environ.items():
            raise InputError(
                "Ray was imported before it could be told to listen to this machine alone; start the engine first, or "
                "name the address of a cluster"
            )
        os.environ |= _ALONE
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "engine {name!r} needs Ray; install it with: pip install {extra}",
            name="ray",
            extra='"medloom[distributed]"',
        ) from error
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError("no Ray cluster answers at {address!r}", address=address) from error
    else:
        ray.init(
            address="local",
            num_cpus=workers or len(os.sched_getaffinity(0)),
            num_gpus=0,
            include_dashboard=False,
            **quiet,
        )
    try:
        yield _Ray(ray)
    finally:
        ray.shutdown()


def _done(work: Callable[[T], R], task: T) -> R:
    # arrays that Ray hands out cannot be written to, which some libraries insist on
    return deepcopy(work)(deepcopy(task))
