"""Several processes of one machine that train together: forked, so that all share what is in memory already."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final, TypeVar

from medloom.foundation.errors import InputError, MedloomError, WorkerError

_log = logging.getLogger(__name__)

T = TypeVar("T")
Tell = Callable[..., None]
"""Says something, plain values, to the process that waits."""

_DONE, _FAILED = "done", "failed"
_LAST_WORDS: Final = 2.0  # seconds in which others may say why they failed


def together(n: int, work: Callable[[int, Tell], T], heard: Tell) -> T:
    """Do work in n processes that are joined by PyTorch's collectives; give what the first of them found.

    Args:
        n: processes; on a machine without accelerators of one thread each.
        work: called in each with its rank and a function that tells; what it gives is plain.
        heard: called in this process with what the first process tells.

    Raises:
        WorkerError: one of them was stopped from outside.
        InputError: there are fewer accelerators than processes, or this process uses one already.
    """
    _check_accelerators(n)
    context = multiprocessing.get_context("fork")
    processes, listening = list[Any](), dict[Connection, int]()
    with tempfile.TemporaryDirectory(prefix="medloom-") as meeting:
        try:
            for rank in range(n):
                ours, theirs = context.Pipe(duplex=False)
                listening[ours] = rank
                place = (rank, n, Path(meeting) / "store")
                processes.append(
                    context.Process(target=_take_part, args=(place, work, theirs, list(listening)))
                )
                processes[-1].start()
                theirs.close()
            return _listen(listening, heard)  # type: ignore[no-any-return]
        finally:
            for process in processes:
                process.kill()
                process.join()


def _listen(listening: dict[Connection, int], heard: Tell) -> Any:
    """Hear all processes out; where one fails, the others cannot go on without it."""
    found: Any = None
    failed: list[BaseException] = []
    until: float | None = None
    while listening and (until is None or time.monotonic() < until):
        ready = wait(list(listening), None if until is None else until - time.monotonic())
        for one in ready:
            assert isinstance(one, Connection)
            rank = listening[one]
            try:
                what, *told = one.recv()
            except EOFError:
                what, told = _FAILED, [_stopped()]
            if what == _DONE:
                found = told[0] if rank == 0 else found
            elif what == _FAILED:
                failed.append(told[0])
                until = until or time.monotonic() + _LAST_WORDS
            else:
                heard(what, *told)
            if what in (_DONE, _FAILED):
                del listening[one]
    if failed:
        # what one says on purpose explains what others only suffered
        raise min(failed, key=lambda error: (isinstance(error, RuntimeError), isinstance(error, WorkerError)))
    return found


def _take_part(
    place: tuple[int, int, Path],
    work: Callable[[int, Tell], Any],
    telling: Connection,
    others: list[Connection],
) -> None:
    """Do one process's part of the work."""
    rank, n, store = place
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits ends this one
    for one in others:
        one.close()
    try:
        _join(rank, n, store)
        telling.send((_DONE, work(rank, lambda *told: telling.send(told) if rank == 0 else None)))
    except BrokenPipeError:
        return  # nobody waits any more
    except (MedloomError, RuntimeError) as error:
        telling.send((_FAILED, error))


def _join(rank: int, n: int, store: Path) -> None:
    """Meet the other processes; they find each other by a file, and talk over this machine's loopback alone."""
    import torch
    import torch.distributed as distributed

    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    if sys.platform == "linux":
        os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=n)


def _check_accelerators(n: int) -> None:
    import torch

    there = torch.cuda.device_count()
    if there and there < n:
        raise InputError("there are {there} accelerators, not {n}; name fewer devices", there=there, n=n)
    if torch.cuda.is_initialized():
        raise InputError(
            "this process uses an accelerator already, so that it cannot be shared out; train with several devices "
            "in a process of its own, such as: medloom train"
        )


def _stopped() -> WorkerError:
    return WorkerError(
        "one of the processes that train together was stopped, perhaps because memory ran out; start again: the "
        "training goes on from its last checkpoint"
    )
