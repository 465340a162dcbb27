"""Run a command and print, as JSON, its seconds, its processor seconds, its peak memory and what it printed last.

A process of its own, and a small one: Linux counts the memory of the process that starts another towards the
other's peak.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{sys.argv[1:3]} failed with status {status}")
    # of the largest process among the command's own and those it waited for
    found = {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}
    json.dump(found | {"printed": printed[-1] if printed else ""}, sys.stdout)


if __name__ == "__main__":
    main()
