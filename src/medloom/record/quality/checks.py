"""The questions put to a record, each answered by a number, its denominator and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from medloom.foundation.messages import Text2, text2
from medloom.knowledge import systems, vocabularies
from medloom.knowledge.names import name as short_name
from medloom.record.quality.report import Check, Finding, Kind, Status, UnitMixUp
from medloom.record.quality.tally import Tally
from medloom.record.quarantine import in_words
from medloom.record.record import Record

Named = Callable[[str], Text2]

_SHOWN: Final = 10  # findings a check
_OWN_WORDS: Final = frozenset(
    "GENDER RACE ETHNICITY ENCOUNTER OBSERVATION_PERIOD MEDS_BIRTH MEDS_DEATH MODEL".split()
)
_NEIGHBOURS: Final = 6  # months on either side
_QUIET: Final = 0.2  # of what the neighbours have
_EXPECTED: Final = 30  # events a month, fewer say nothing


def all_checks(tally: Tally, record: Record, mix_ups: Sequence[UnitMixUp], named: Named) -> Iterable[Check]:
    """Put every question, in Kahn's order: conformance, completeness, plausibility."""
    yield from _conformance(tally, record, named)
    yield from _completeness(tally, record)
    yield from _plausibility(tally, mix_ups, named)


def _conformance(tally: Tally, record: Record, named: Named) -> Iterable[Check]:
    reasons: Counter[str] = Counter()
    read = 0  # each fact once, however often it was imported
    for one in record.imports:
        listed, facts = one.get("quarantined", {}), one.get("facts_written", 0)
        reasons.update(
            {str(reason): int(n) for reason, n in listed.items()} if isinstance(listed, dict) else {}
        )
        read += facts if isinstance(facts, int) else 0
    read += reasons.total()
    yield Check(
        "quarantined",
        "conformance",
        _status(reasons.total(), read, warning=0.01),
        text2("facts set aside because they could not be used"),
        reasons.total(),
        read,
        text2("They are kept in quarantine/ with their reason; mend them at the source and import again."),
        tuple(Finding(in_words(reason), n, read) for reason, n in reasons.most_common(_SHOWN)),
    )
    codes = {code: one for code, one in tally.codes.items() if one.events}
    units = tally.catalogue.units()
    numeric = {code: one for code, one in codes.items() if one.numeric}
    values = sum(one.numeric for one in numeric.values())
    unitless = {code: one.numeric for code, one in numeric.items() if code not in units}
    yield _by_code(
        "without_unit",
        "conformance",
        text2("numbers whose code has no unit"),
        text2(
            "Nobody can tell whether they are comparable; name the unit in the source or in the import's mapping."
        ),
        unitless,
        values,
        named,
        warning=0.05,
    )
    described = tally.catalogue.descriptions()
    nameless = {
        code: one.events
        for code, one in codes.items()
        if code not in described and short_name(code) is None and systems.split(code)[1] not in _OWN_WORDS
    }
    yield _by_code(
        "undescribed",
        "conformance",
        text2("events whose code nobody described"),
        text2("Reports can show only the bare code; import the source's dictionary of codes with it."),
        nameless,
        tally.events,
        named,
        warning=0.5,
    )
    known = set(vocabularies.by_name().values()) | _OWN_WORDS
    local = {code: one.events for code, one in codes.items() if systems.split(code)[1] not in known}
    yield _by_code(
        "local_codes",
        "conformance",
        text2("events with a code of this hospital only"),
        text2(
            "Models that use them work here and nowhere else; map the most frequent ones to a standard vocabulary."
        ),
        local,
        tally.events,
        named,
        warning=None,
    )
    yield Check(
        "undated",
        "conformance",
        "ok",
        text2("facts without a time"),
        tally.events - tally.dated,
        tally.events,
        text2("They count as true of the whole life; a model sees them only if their code is marked static."),
        _findings({code: one.undated for code, one in codes.items()}, tally.events, named),
    )
    total = tally.events + tally.ended
    yield Check(
        "ended",
        "conformance",
        "ok",
        text2("facts that a newer version or a retraction has ended"),
        tally.ended,
        total,
        text2("They are kept for what was known when, and left out of everything else in this report."),
    )


def _completeness(tally: Tally, record: Record) -> Iterable[Check]:
    subjects = record.n_subjects
    counted = sum(len(counts) for counts in tally.per_subject)
    silent = subjects - counted + sum(int((counts == 0).sum()) for counts in tally.per_subject)
    yield Check(
        "silent_subjects",
        "completeness",
        _status(silent, subjects, warning=0.05),
        text2("subjects without any event"),
        silent,
        subjects,
        text2("Their facts are in quarantine or were not exported; they cannot enter any cohort."),
    )
    yield Check(
        "without_birth",
        "completeness",
        _status(subjects - tally.born, subjects, warning=0.05),
        text2("subjects without a date of birth"),
        subjects - tally.born,
        subjects,
        text2("Age is missing for them; a task that asks for adults leaves them out."),
    )
    yield Check(
        "without_gender",
        "completeness",
        _status(subjects - tally.with_gender, subjects, warning=0.05),
        text2("subjects without a gender"),
        subjects - tally.with_gender,
        subjects,
        text2("Subgroups by sex leave them out; export the field with the demographics."),
    )
    known = sum(one.known for one in tally.codes.values())
    unknown = tally.dated - known
    yield Check(
        "without_known_time",
        "completeness",
        _status(unknown, tally.dated, warning=None),
        text2("dated facts that do not say when they became known"),
        unknown,
        tally.dated,
        text2(
            "They count as known when they happened; what is coded afterwards, as diagnoses are, may then leak."
        ),
    )
    gaps = _gaps(tally.months)
    months = max(tally.months) - min(tally.months) + 1 if tally.months else 0
    yield Check(
        "gaps",
        "completeness",
        _status(len(gaps), months, warning=0.05),
        text2("months with far fewer events than the months around them"),
        len(gaps),
        months,
        text2(
            "An export may be missing; compare with the hospital's own numbers before training on these months."
        ),
        tuple(Finding(_same(month), count, expected) for month, count, expected in gaps[:_SHOWN]),
    )


def _plausibility(tally: Tally, mix_ups: Sequence[UnitMixUp], named: Named) -> Iterable[Check]:
    codes = {code: one for code, one in tally.codes.items() if one.events}
    mixed = sum(one.count for one in mix_ups)
    sure = any(one.likely_unit is not None for one in mix_ups)
    yield Check(
        "mixed_units",
        "plausibility",
        "warning" if sure else "notice" if mix_ups else "ok",
        text2("values that seem to be in another unit than the rest of their code"),
        mixed,
        sum(one.of for one in mix_ups) or sum(one.numeric for one in codes.values()),
        text2(
            "Two groups of values lie a known factor apart; give the unit of each value in the import's mapping."
        ),
        tuple(Finding(_mix_up(one), one.count, one.of) for one in mix_ups[:_SHOWN]),
    )
    limited = sum(one.numeric for one in codes.values() if one.limited)
    yield _by_code(
        "outside_limits",
        "plausibility",
        text2("values that no living person can have"),
        text2("Errors of entry, unit or device; look at the codes below, and mend the unit or the mapping."),
        {code: one.below + one.above for code, one in codes.items()},
        limited,
        named,
        warning=0.005,
        denominators={code: one.numeric for code, one in codes.items()},
    )
    repeated = {code: one.repeated for code, one in codes.items()}
    yield _by_code(
        "repeated",
        "plausibility",
        text2("events that repeat another in subject, time, code and value"),
        text2(
            "Counts are inflated; two tables overlap, one export was imported under two names, "
            "or each row of a table repeats what holds once a stay (in its mapping: each: encounter)."
        ),
        repeated,
        tally.events,
        named,
        warning=0.01,
        denominators={code: one.events for code, one in codes.items()},
    )
    early = {code: one.before_birth for code, one in codes.items()}
    yield _by_code(
        "before_birth",
        "plausibility",
        text2("events before the day of birth"),
        text2(
            "A wrong date of birth, or a mother's facts in her child's record; look at the subjects in the source."
        ),
        early,
        tally.dated,
        named,
        warning=0.001,
    )
    late = {code: one.after_death for code, one in codes.items()}
    yield _by_code(
        "after_death",
        "plausibility",
        text2("events after the day of death"),
        text2("Reports and bills may follow a death; after measurements, suspect the date or the person."),
        late,
        tally.dated,
        named,
        warning=0.01,
    )
    unsure = tally.dead_undated + tally.dead_twice
    yield Check(
        "uncertain_deaths",
        "plausibility",
        _status(unsure, tally.dead, warning=0.01),
        text2("deaths without a date, or with several"),
        unsure,
        tally.dead,
        text2(
            "Survival and in-hospital death cannot be told for them; let one source say when a patient died."
        ),
    )
    yield _by_code(
        "future",
        "plausibility",
        text2("events in the future"),
        text2(
            "Nothing to do if dates were shifted for de-identification or these are plans; else the year is wrong."
        ),
        {code: one.future for code, one in codes.items()},
        tally.dated,
        named,
        warning=None,
    )
    foreseen = {code: one.foreseen for code, one in codes.items()}
    yield _by_code(
        "foreseen",
        "plausibility",
        text2("facts that were known before they happened"),
        text2(
            "A model sees them from the later of both times on, so nothing leaks; the source's clocks or fields differ."
        ),
        foreseen,
        sum(one.known for one in codes.values()),
        named,
        warning=None,
    )


def _by_code(
    name: str,
    kind: Kind,
    title: Text2,
    meaning: Text2,
    counts: dict[str, int],
    of: int,
    named: Named,
    warning: float | None,
    denominators: dict[str, int] | None = None,
) -> Check:
    total = sum(counts.values())
    status = _status(total, of, warning)
    return Check(name, kind, status, title, total, of, meaning, _findings(counts, of, named, denominators))


def _findings(
    counts: dict[str, int], of: int, named: Named, denominators: dict[str, int] | None = None
) -> tuple[Finding, ...]:
    most = Counter({code: count for code, count in counts.items() if count}).most_common(_SHOWN)
    return tuple(
        Finding(_code_text(code, named), count, denominators[code] if denominators else of)
        for code, count in most
    )


def _code_text(code: str, named: Named) -> Text2:
    called = named(code)
    if called.en == code:
        return called
    return Text2(f"{called.en} ({code})", f"{called.zh}（{code}）")


def _mix_up(one: UnitMixUp) -> Text2:
    called = _code_text(one.code, lambda _: one.name)
    values = {"main": f"{one.main:.3g}", "other": f"{one.other:.3g}", "unit": one.likely_unit}
    if one.likely_unit is None:
        said = text2(
            "around {other} where others are around {main}", main=values["main"], other=values["other"]
        )
    elif one.again:
        said = text2(
            "around {other} where others are around {main}, as if converted from {unit} twice", **values
        )
    else:
        said = text2("around {other} where others are around {main}, as if in {unit}", **values)
    return Text2(f"{called.en}: {said.en}", f"{called.zh}：{said.zh}")


def _status(count: int, of: int, warning: float | None) -> Status:
    """Judge a count: none is fine, more than a share of `warning` is not; None: never worse than a notice."""
    if not count:
        return "ok"
    return "warning" if warning is not None and count > warning * of else "notice"


def _gaps(months: Counter[int]) -> list[tuple[str, int, int]]:
    """Find months with less than a fifth of what both sides have: (month, events, events expected).

    >>> _gaps(Counter({month: 100 for month in range(600, 624) if month != 610}))
    [('2020-11', 0, 100)]
    """
    if not months:
        return []
    first, last = min(months), max(months)
    counts = np.array([months.get(month, 0) for month in range(first, last + 1)])
    gaps = []
    for at in range(1, len(counts) - 1):
        before, after = counts[max(at - _NEIGHBOURS, 0) : at], counts[at + 1 : at + 1 + _NEIGHBOURS]
        expected = float(min(np.median(before), np.median(after)))
        if expected >= _EXPECTED and counts[at] < _QUIET * expected:
            gaps.append((str(np.datetime64(first + at, "M")), int(counts[at]), round(expected)))
    return gaps


def _same(text: str) -> Text2:
    return Text2(text, text)
