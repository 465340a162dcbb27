"""Made-up identifiers as English notes write them: people, places, numbers with right checks, dates in many forms."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Final

_FIRST: Final = (
    "James Mary Robert Patricia Michael Linda David Barbara Priya Susan Joseph Jessica Tomasz Karen Carlos Sarah "
    "Anthony Nancy Mateo Lisa Daniel Betty Matthew Sandra Olga Ashley Steven Kimberly Andrew Emily Kenneth Donna "
    "Joshua Michelle Kevin Carol Brian Amanda George Dorothy Yusuf Melissa Ronald Deborah Ingrid "
    "Rebecca Jason Sharon "
    "Jeffrey Laura Ryan Cynthia Jacob Amy Gary Kathleen Nicholas Angela Eric Shirley Bjorn Fatima "
    "Hiroshi Chidi".split()
)
_LAST: Final = (
    "Smith Johnson Williams Brown Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson "
    "Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker "
    "Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell "
    "Carter Roberts Okonkwo Kowalski Patel O'Brien O'Connor McCarthy MacDonald Jones-Hart "
    "Smith-Lopez Yamamoto Ivanov "
    "Bergström Müller Abdullah Hussain Chowdhury Fitzgerald Rosenberg Castellanos Whitcomb Ashdown Pemberton".split()
)
_CITIES: Final = (
    "Springfield;Riverton;Maple Falls;Oakdale;Fort Landon;Cedar Rapids;Lakewood;San Marco;Bloomfield;Ashton;"
    "Port Harmon;Greenville;North Haven;Winslow;Harrisport;St. Clair;Bellmont;Dunmore;El Pinar;Grand Ridge"
).split(";")
_STATES: Final = "PA OH TX CA NY FL IL WA GA MA VT OR".split()
_ROADS: Final = (
    "Maple;Oak Hill;Washington;Lincoln;Cedar Creek;Sunset;Main;Elm;Willow;Old Mill;Church;Highland;Park;River;"
    "Martin Luther King;Juniper;Fairview;2nd;14th;Prospect"
).split(";")
_ENDS: Final = (
    "Street St St. Avenue Ave Road Rd Lane Ln Drive Dr Boulevard Blvd Court Ct Way Place Terrace Circle Pkwy "
    "Highway".split()
)
_HOSPITALS: Final = (
    "Mercy General Hospital;St. Agnes Medical Center;Lakeside Community Hospital;Ridgeview "
    "Clinic;Hope Valley Hospital;"
    "Northern Plains Medical Centre;Good Samaritan Hospital;Harbor View Rehabilitation Center;Sacred Heart Hospital;"
    "University of Landon Medical Center;Bayside Children's Hospital;Pine Grove Nursing Home;"
    "Veterans Memorial Hospital;Three Rivers Health Center;Dunmore Regional Medical Center;Ashton Family Practice"
).split(";")
_ORGANISATIONS: Final = (
    "Halvorsen Steel Inc.;Brightwater Logistics LLC;Oakdale Elementary School;Tri-County Electric Company;"
    "Penrose Insurance Group;Landon State University;Maple Falls Fire Department;Kestrel Software Corp.;"
    "Whitcomb & Sons Ltd.;Riverton High School;Dunmore Transit Authority;Cobalt Mining Company"
).split(";")
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)


def half(values: list[str], held_out: bool) -> list[str]:
    """Give every other value: no name of a held-out note stands in a note of development."""
    return values[1::2] if held_out else values[::2]


def person(rng: Random, held_out: bool) -> dict[str, str]:
    """Make somebody up, with every way the name is written."""
    first, last = rng.choice(half(_FIRST, held_out)), rng.choice(half(_LAST, held_out))
    middle = rng.choice(string.ascii_uppercase)
    full = rng.choice(
        (f"{first} {last}", f"{first} {last}", f"{first} {middle}. {last}", f"{first} {middle} {last}")
    )
    turned = rng.choice((f"{last}, {first}", f"{last}, {first} {middle}", f"{last.upper()}, {first.upper()}"))
    return {"first": first, "last": last, "full": full, "lastfirst": turned}


def day(rng: Random) -> date:
    """Draw a day of the last years."""
    return date(2015, 1, 1) + timedelta(rng.randrange(3_900))


def written(when: date, rng: Random) -> str:
    """Write a day in one of the forms that notes have."""
    month, short = _MONTHS[when.month - 1], _MONTHS[when.month - 1][:3]
    th = "th" if 10 < when.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(when.day % 10, "th")
    return rng.choice(
        (
            f"{when.month}/{when.day}/{when.year}",
            f"{when:%m/%d/%Y}",
            f"{when:%m/%d/%y}",
            f"{when:%Y-%m-%d}",
            f"{when:%Y/%m/%d}",
            f"{when:%m-%d-%Y}",
            f"{when:%d.%m.%Y}",
            f"{month} {when.day}, {when.year}",
            f"{short}. {when.day}, {when.year}",
            f"{short} {when.day} {when.year}",
            f"{when.day} {month} {when.year}",
            f"{when.day} {short} {when.year}",
            f"{when:%d}-{short}-{when.year}",
            f"{when:%d}-{short.upper()}-{when:%y}",
            f"{month} {when.day}{th}, {when.year}",
            f"{when.day}{th} of {month} {when.year}",
        )
    )


def _digits(rng: Random, n: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(n))


def _letters(rng: Random, n: int) -> str:
    return "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(n))


def _month_day(rng: Random) -> str:
    when = day(rng)
    month = _MONTHS[when.month - 1]
    return rng.choice(
        (f"{month} {when.day}", f"{month[:3]} {when.day}", f"{when.day} {month}", f"{month} {when.day}th")
    )


def _month_year(rng: Random) -> str:
    when = day(rng)
    month = _MONTHS[when.month - 1]
    return rng.choice(
        (f"{month} {when.year}", f"{month[:3]} {when.year}", f"{when:%m/%Y}", f"{month} of {when.year}")
    )


def _phone(rng: Random) -> str:
    a, b, c = f"{rng.randrange(201, 990)}", f"{rng.randrange(200, 1000)}", _digits(rng, 4)
    return rng.choice(
        (
            f"({a}) {b}-{c}",
            f"({a}){b}-{c}",
            f"{a}-{b}-{c}",
            f"{a}.{b}.{c}",
            f"{a} {b} {c}",
            f"{a}{b}{c}",
            f"1-{a}-{b}-{c}",
            f"+1 {a} {b} {c}",
            f"{a}-{b}-{c} x{rng.randrange(10, 9999)}",
            f"{a}-{b}-{c} ext. {rng.randrange(10, 9999)}",
        )
    )


def _street(rng: Random, held_out: bool) -> str:
    road = f"{rng.choice(half(_ROADS, held_out))} {rng.choice(_ENDS)}"
    side = rng.choice(("", "", "", "N. ", "West ", "SE "))
    flat = rng.choice(
        (
            "",
            "",
            "",
            f", Apt {rng.randrange(1, 90)}",
            f" Apt. {rng.randrange(1, 30)}B",
            f", Unit {rng.randrange(1, 20)}",
        )
    )
    number = rng.randrange(1, 19_999)
    return rng.choice((f"{number} {side}{road}{flat}",) * 9 + (f"P.O. Box {number}",))


def luhn(digits: str) -> str:
    """Add the last digit that makes a number right by Luhn's check (ISO/IEC 7812-1)."""
    doubled = [int(one) * (2 - place % 2) for place, one in enumerate(reversed(digits))]
    total = sum(one - 9 if one > 9 else one for one in doubled)
    return digits + str(-total % 10)


def _npi(rng: Random) -> str:
    return luhn("80840" + rng.choice("12") + _digits(rng, 8))[5:]


def _card(rng: Random) -> str:
    number = luhn(rng.choice(("4", "51", "6011")).ljust(4, "7") + _digits(rng, 11))
    return rng.choice((number, " ".join(number[at : at + 4] for at in range(0, 16, 4))))


def _vin(rng: Random) -> str:
    """Draw a vehicle's number with its check digit at the ninth place (49 CFR 565.15(c))."""
    worth = dict(
        zip(
            "ABCDEFGHJKLMNPRSTUVWXYZ0123456789",
            [*range(1, 9), 1, 2, 3, 4, 5, 7, 9, *range(2, 10), *range(10)],
            strict=True,
        )
    )
    made = [rng.choice("123JW"), *(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(16))]
    made[11:] = list(_digits(rng, 6))
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    rest = sum(worth[one] * weight for one, weight in zip(made, weights, strict=True)) % 11
    return "".join([*made[:8], "X" if rest == 10 else str(rest), *made[9:]])


def _dea(rng: Random) -> str:
    number = _digits(rng, 6)
    odd, even = sum(map(int, number[::2])), sum(map(int, number[1::2]))
    return f"{rng.choice('ABFGM')}{_letters(rng, 1)}{number}{(odd + 2 * even) % 10}"


def _ssn(rng: Random) -> str:
    area, group, serial = rng.randrange(1, 666), rng.randrange(1, 100), rng.randrange(1, 10_000)
    return f"{area:03}-{group:02}-{serial:04}"


def _email(rng: Random, held_out: bool) -> str:
    first, last = (
        rng.choice(half(_FIRST, held_out)).lower(),
        rng.choice("abcdefgh") + str(rng.randrange(1, 99)),
    )
    return f"{first}{rng.choice('._-')}{last}@{rng.choice(('example.com', 'mail.example.org', 'post.example.co.uk'))}"


def _url(rng: Random) -> str:
    tail = f"{_letters(rng, 4).lower()}{rng.randrange(999)}"
    return rng.choice(
        (
            f"https://www.example.com/{tail}",
            f"http://{tail}.example.org",
            f"www.{tail}.com/p?id={rng.randrange(9999)}",
        )
    )


def drawn(patterns: str, rng: Random) -> str:
    """Draw a value by one of several patterns: 9 stands for a digit, A for a letter, all else for itself.

    >>> drawn("99-A", Random(1)) != "99-A"
    True
    """
    pattern = rng.choice(patterns.split("|"))
    return "".join(
        rng.choice(string.digits) if one == "9" else _letters(rng, 1) if one == "A" else one
        for one in pattern
    )


def _of(values: list[str]) -> Callable[[Random, bool], str]:
    return lambda rng, held_out: rng.choice(half(values, held_out))


VALUES: Final[dict[str, tuple[str | None, str | Callable[[Random, bool], str]]]] = {
    "age": (None, lambda rng, _: str(rng.randrange(18, 89))),
    "old": ("age", lambda rng, _: str(rng.randrange(90, 104))),
    "date": ("date", lambda rng, _: written(day(rng), rng)),
    "dob": ("date", lambda rng, _: written(day(rng) - timedelta(rng.randrange(9_000, 30_000)), rng)),
    "monthday": ("date", lambda rng, _: _month_day(rng)),
    "monthyear": ("date", lambda rng, _: _month_year(rng)),
    "phone": ("phone", lambda rng, _: _phone(rng)),
    "pager": ("phone", lambda rng, _: rng.choice((_digits(rng, 5), _phone(rng)))),
    "fax": ("fax", lambda rng, _: _phone(rng)),
    "email": ("email", _email),
    "url": ("url", lambda rng, _: _url(rng)),
    "ip": ("ip", lambda rng, _: ".".join(str(rng.randrange(1, 255)) for _ in range(4))),
    "ssn": ("social_security", lambda rng, _: _ssn(rng)),
    "mrn": ("record_number", "99999999|9999999|A999999|99-99-999"),
    "accession": ("record_number", "A24-99999|AA-999999|999999999|S19-99999"),
    "job": ("record_number", "9999999"),
    "rx": ("record_number", "9999999"),
    "study": ("record_number", "AAA-9999"),
    "plan": ("health_plan", "AAA999999999|9999999999|AA-9999999"),
    "medicare": ("health_plan", "4AA9-AA9-AA99"),
    "group": ("health_plan", "999999"),
    "account": ("account", "999999999|999999999999|9999-999999"),
    "card": ("account", lambda rng, _: _card(rng)),
    "licence": ("licence", "A9999999|99999999|AA999999"),
    "certificate": ("licence", "AA-999999"),
    "npi": ("licence", lambda rng, _: _npi(rng)),
    "dea": ("licence", lambda rng, _: _dea(rng)),
    "passport": ("passport", "999999999|A99999999"),
    "plate": ("vehicle", "AAA-9999|4AAA999|AAA 999"),
    "vin": ("vehicle", lambda rng, _: _vin(rng)),
    "serial": ("device", "AA9999999|SN-999999|AAA9999A"),
    "lot": ("device", "AA9999"),
    "udi": ("device", "(01)99999999999999(21)A999999"),
    "biometric": ("biometric", "AA99999999"),
    "street": ("address", _street),
    "city": ("address", _of(_CITIES)),
    "state": (None, lambda rng, _: rng.choice(_STATES)),
    "zip": ("postcode", "99999|99999-9999"),
    "hospital": ("hospital", _of(_HOSPITALS)),
    "org": ("organisation", _of(_ORGANISATIONS)),
}
"""Name of a slot: kind of identifier (None: none is one), and what draws a value."""
