"""What the machine offers to a fit."""

import os


def threads() -> int:
    """Tell how many threads to use: OMP_NUM_THREADS, else one a core."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) else os.cpu_count() or 1
