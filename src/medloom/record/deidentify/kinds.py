"""The kinds of what could name a person, and a place in a text that does.

They are the eighteen of HIPAA's Safe Harbor (45 CFR 164.514(b)(2)(i)(A)-(R)), as far as a text can hold them, and
China's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal[
    "name",  # (A)
    "organisation",  # an employer, a school: (R)
    "hospital",
    "address",  # (B)
    "postcode",
    "date",  # (C)
    "age",
    "phone",  # (D)
    "fax",  # (E)
    "email",  # (F)
    "social_security",  # (G)
    "citizen_number",
    "passport",
    "record_number",  # (H), and any other number by which a person's papers are kept: (R)
    "health_plan",  # (I)
    "account",  # (J)
    "licence",  # (K)
    "vehicle",  # (L)
    "device",  # (M)
    "url",  # (N)
    "ip",  # (O)
    "biometric",  # (P)
    "handle",  # a name in a network of messages: (R)
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, order=True)
class Identifier:
    """A place in a text that could name a person.

    Attributes:
        start: of it, in characters.
        end: of it.
        kind: of identifier.
    """

    start: int
    end: int
    kind: Kind
