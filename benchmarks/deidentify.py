"""Identifiers in notes: those of notes that were made up with known ones, in English and Chinese, found by rules.

Rules were made by templates of development; the held-out templates were written before them, have names and streets
of their own, and their errors were not looked at. What is found is what `medloom deidentify`
replaces: an identifier is found where each letter and digit of it lies in a place that was marked, whatever its name.
"""

from __future__ import annotations

import sys

from medloom.cli.bench import Bench


def run(bench: Bench) -> None:
    """Measure each part; a part fills in figures of its own."""
    sys.path.append(str(bench.folder))
    from _deidentify_rules import alarms, rules, speed  # type: ignore[import-not-found]  # beside this one

    for part in (rules, alarms, speed):
        part(bench)
