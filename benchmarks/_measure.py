"""Run a command and print, as JSON, its seconds, its processor seconds, its peak memory and what it printed last.

A process of its own, and a small one: Linux counts the memory of the process that starts another towards the
other's peak.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

INTERVAL_S = 0.1


def main() -> None:
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    done = threading.Event()
    together = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, done, together))
    watcher.start()
    printed = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if status:
        sys.exit(f"{' '.join(sys.argv[1:3])} failed with status {status}")
    largest_mb = usage.ru_maxrss / 1024  # exact: of the command and what it waited for
    found = {
        "seconds_s": seconds,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": max(together[0], largest_mb),
        "largest_process_mb": largest_mb,
    }
    json.dump(found | {"printed": printed[-1] if printed else ""}, sys.stdout)


def _watch(pid: int, done: threading.Event, together: list[float]) -> None:
    """Note the most memory that a process and its descendants held together, in MB; shared pages count once."""
    while not done.wait(INTERVAL_S):
        family = _family(pid)
        if len(family) > 1:
            together[0] = max(together[0], sum(map(_proportional_mb, family)))


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:  # it has just ended
                continue
    return found


def _proportional_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
