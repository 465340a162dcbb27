"""A search as it was asked: which parameters were understood, and which page is wanted (R4 § 3.1.1)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

import orjson

from medloom.knowledge.fhir_terms import Json
from medloom.server.fhir.outcomes import RefusedError

_USUAL: Final = 50
_MOST: Final = 500
_LONGEST: Final = 2000  # characters of a value
# Of every search; `_cursor` is ours and opaque.
_CONTROL: Final = ("_count", "_cursor")
_SILENT: Final = ("_format", "_pretty")


@dataclass(frozen=True)
class Place:
    """Where in the results a page begins, and as of when they were found, so that later facts move nothing."""

    offset: int
    now: datetime
    mark: str  # UTC: what the server itself made later is not among them


@dataclass(frozen=True)
class Query:
    """What was asked.

    Attributes:
        kind: type of the resources.
        values: (name, value) pairs that were understood; all of them must hold.
        count: resources on a page.
        place: where the page begins.
        base: address of the server's FHIR interface.
        secret: whether the values came in a body, as they may not stand in an address.
    """

    kind: str
    values: tuple[tuple[str, str], ...]
    count: int
    place: Place
    base: str
    secret: bool = False

    @classmethod
    def of(
        cls,
        kind: str,
        asked: Iterable[tuple[str, str]],
        known: Collection[str],
        place: Place,
        base: str,
        *,
        strict: bool,
        secret: bool = False,
    ) -> Query:
        """Read the parameters of a search.

        Args:
            kind: type of the resources.
            asked: (name, value) pairs as they came.
            known: parameters of this type beside those of every search.
            place: the first page.
            base: address of the FHIR interface.
            strict: whether a parameter that is not known is an error; else it is left out of `values`.
            secret: whether they came in a body.

        Raises:
            RefusedError: a value cannot be read, a modifier is not known, or, strictly, a parameter is not.
        """
        values: list[tuple[str, str]] = []
        count = _USUAL
        for full, value in asked:
            name, _, modifier = full.partition(":")
            if name in _SILENT:
                continue
            if name == "_count":
                count = _count(value)
            elif name == "_cursor":
                place = _read_cursor(value, place)
            elif name in known:
                if modifier and not (name in ("patient", "subject") and modifier == "Patient"):
                    raise RefusedError(
                        "modifier {modifier!r} of a search is not known here", modifier=modifier[:40]
                    )
                if len(value) > _LONGEST:
                    raise RefusedError("a value of {name!r} is too long", name=name)
                if value:
                    values.append((name, value))
            elif strict:
                raise RefusedError(
                    "{kind} cannot be searched by {name!r}; it can by {known}",
                    kind=kind,
                    name=name[:40],
                    known=[*sorted(known), *_CONTROL],
                )
        return cls(kind, tuple(values), count, place, base, secret)

    def all_of(self, *names: str) -> list[str]:
        """Give the values of a parameter, under any of its names."""
        return [value for name, value in self.values if name in names]

    def alternatives(self, *names: str) -> list[list[str]]:
        """Give the values of a parameter, each as the alternatives between its commas."""
        return [alternatives(value) for value in self.all_of(*names)]

    def bundle(self, total: int, page: Callable[[int, int], Sequence[Json]]) -> Json:
        """Give the searchset: one page, and how to get the next.

        Args:
            total: how many resources were found.
            page: gives those from an offset on, so many at most.
        """
        offset = min(self.place.offset, total)
        found = page(offset, self.count) if self.count else []
        made: Json = {"resourceType": "Bundle", "type": "searchset", "total": total}
        made["link"] = [{"relation": "self", "url": self._address(self.place if offset else None)}]
        after = offset + len(found)
        if found and after < total and not self.secret:
            following = Place(after, self.place.now, self.place.mark)
            made["link"].append({"relation": "next", "url": self._address(following)})
        entries = [
            {
                "fullUrl": f"{self.base}/{one['resourceType']}/{one['id']}",
                "resource": one,
                "search": {"mode": "match"},
            }
            for one in found
        ]
        return made | ({"entry": entries} if entries else {})

    def _address(self, place: Place | None) -> str:
        if self.secret:
            return f"{self.base}/{self.kind}/_search"
        pairs = [*self.values, ("_count", str(self.count))]
        if place is not None:
            pairs.append(("_cursor", _cursor(place)))
        return f"{self.base}/{self.kind}?{urlencode(pairs, quote_via=quote, safe='/|,:')}"


def alternatives(value: str) -> list[str]:
    r"""Split a value at its commas, of which `\,` is none (R4 § 3.1.1.4.1).

    >>> alternatives(r"a,b\,c")
    ['a', 'b,c']
    """
    pieces = value.replace("\\\\", "\0").replace("\\,", "\1").split(",")
    plain = (piece.replace("\1", ",").replace("\\|", "|").replace("\\$", "$") for piece in pieces)
    return [piece.replace("\0", "\\") for piece in plain if piece]


def _count(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 9):
        raise RefusedError("_count is a number of resources")
    return min(int(value), _MOST)


def _cursor(place: Place) -> str:
    content = [place.offset, place.now.isoformat(), place.mark]
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


def _read_cursor(text: str, first: Place) -> Place:
    try:
        offset, now, mark = orjson.loads(base64.urlsafe_b64decode(text[:200] + "=" * (-len(text) % 4)))
        if not (isinstance(offset, int) and 0 <= offset < 2**40 and isinstance(mark, str)):
            raise ValueError
        moment = datetime.fromisoformat(now)
        if moment.tzinfo is not None:
            raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise RefusedError("_cursor is not one that was given out here") from None
    # nobody turns pages into what is to come
    return Place(offset, min(moment, first.now), min(mark, first.mark))
