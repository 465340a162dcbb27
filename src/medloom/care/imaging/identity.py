"""Names of what is written: unique, and the same wherever the same is written again."""

from __future__ import annotations

import uuid

from medloom.foundation.hashing import digest


def uid(*what: object) -> str:
    """Derive a DICOM UID from what it names (PS3.5 section B.2).

    >>> uid("a", 1) == uid("a", 1), uid("a", 1) == uid("a", 2), uid("a")[:5], len(uid("a")) <= 64
    (True, False, '2.25.', True)
    """
    return f"2.25.{uuid.UUID(hex=digest(list(what))[:32], version=5).int}"
