"""The quality report as one page in both languages that needs nothing else."""

from __future__ import annotations

from medloom.foundation.charts import Axis, Line, line_chart, nice_high
from medloom.foundation.messages import Text2, text2
from medloom.foundation.pages import render_page
from medloom.record.quality.report import QualityReport, UnitMixUp

_YEARS_FROM = 24  # months; a shorter time is told in months
_KINDS = ("conformance", "completeness", "plausibility")


def report_html(report: QualityReport) -> str:
    """Compose the page."""
    order = ("warning", "notice", "ok")
    return render_page(
        "medloom.record.quality",
        "quality.html.j2",
        "quality.css",
        title=text2("Quality of the record"),
        report=report,
        text2=text2,
        headline=_headline(report),
        facts=_facts(report),
        kinds=[
            (
                _kind(kind),
                sorted(
                    (one for one in report.checks if one.kind == kind),
                    key=lambda one: order.index(one.status),
                ),
            )
            for kind in _KINDS
        ],
        statuses={"ok": text2("fine"), "notice": text2("to know"), "warning": text2("to mend")},
        months=_months(report),
        role=_role,
        mix_ups=[(one, _mix_up(one)) for one in report.mix_ups[:6]],
        percent=lambda share: "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %",
    )


def _headline(report: QualityReport) -> Text2:
    mend = sum(check.status == "warning" for check in report.checks)
    know = sum(check.status == "notice" for check in report.checks)
    if mend:
        return text2(
            "{mend} of {n} checks found something to mend, {know} something to know.",
            mend=mend,
            n=len(report.checks),
            know=know,
        )
    if know:
        return text2(
            "Nothing to mend in {n} checks; {know} found something to know.", n=len(report.checks), know=know
        )
    return text2("All {n} checks are fine.", n=len(report.checks))


def _facts(report: QualityReport) -> list[tuple[Text2, Text2]]:
    overview = report.overview
    per_subject = overview.events_per_subject
    span = (
        "–"
        if overview.first is None or overview.last is None
        else f"{overview.first:%Y-%m-%d} – {overview.last:%Y-%m-%d}"
    )
    spread = f"{per_subject['median']:,.0f} ({per_subject['p5']:,.0f} – {per_subject['p95']:,.0f})"
    facts = (
        (text2("subjects"), f"{overview.subjects:,}"),
        (text2("events"), f"{overview.events:,}"),
        (text2("codes in use"), f"{overview.codes:,}"),
        (text2("from – to"), span),
        (text2("events a subject, median (5 % – 95 %)"), spread),
    )
    return [(name, Text2(value, value)) for name, value in facts]


def _kind(kind: str) -> tuple[Text2, Text2]:
    if kind == "conformance":
        return text2("Conformance"), text2("Do the data have the form that was agreed?")
    if kind == "completeness":
        return text2("Completeness"), text2("Is there what should be there?")
    return text2("Plausibility"), text2("Can it be true?")


def _months(report: QualityReport) -> str:
    months = report.overview.months
    if len(months) < 2:
        return ""
    known = dict(months)
    first, last = _ordinal(months[0][0]), _ordinal(months[-1][0])
    at = list(range(first, last + 1))
    counts = [float(known.get(f"{month // 12:04d}-{month % 12 + 1:02d}", 0)) for month in at]
    name = text2("events a month")
    line = Line(name, [month / 12 for month in at], counts, step=True)
    when = text2("year") if last - first >= _YEARS_FROM else text2("month")
    axes = (
        Axis(when, first / 12, (last + 1) / 12, ticks=_time_ticks(first, last + 1)),
        Axis(name, 0.0, nice_high(max(counts))),
    )
    return line_chart(
        name, text2("How many events each calendar month has."), [line], *axes, width=760, height=260
    )


def _mix_up(one: UnitMixUp) -> str:
    middles = [(low + high) / 2 for low, high in zip(one.edges, one.edges[1:], strict=False)]
    counts = [float(count) for count in one.counts]
    title = text2("values of {name}", name=one.code)
    axes = (
        Axis(text2("value, powers of ten"), one.edges[0], one.edges[-1]),
        Axis(text2("values"), 0.0, nice_high(max(counts))),
    )
    return line_chart(
        title,
        text2("Two groups of values, a known factor apart."),
        [Line(title, middles, counts, step=True)],
        *axes,
    )


def _time_ticks(first: int, end: int) -> list[tuple[float, str]]:
    """Choose at most nine whole years, or months of a short time, from the months `first` to `end`.

    >>> [said for _, said in _time_ticks(_ordinal("2022-03"), _ordinal("2025-02"))]
    ['2023', '2024', '2025']
    >>> [said for _, said in _time_ticks(_ordinal("2023-11"), _ordinal("2024-06"))]
    ['2023-11', '2023-12', '2024-01', '2024-02', '2024-03', '2024-04', '2024-05', '2024-06']
    """
    years = end - 1 - first >= _YEARS_FROM
    steps = (12, 24, 60, 120, 240, 600, 1200, 6000) if years else (1, 2, 3, 6)
    step = next((one for one in steps if (end - first) / one <= 8), steps[-1])
    months = range(-(-first // step) * step, end + 1, step)
    return [
        (month / 12, f"{month // 12:04d}" if years else f"{month // 12:04d}-{month % 12 + 1:02d}")
        for month in months
    ]


def _role(role: str | None) -> Text2:
    """Name what a fact is, as the record says it; a role of another package's importer stays as it is."""
    names = {
        "condition": text2("condition"),
        "observation": text2("observation"),
        "order": text2("drug ordered"),
        "dispense": text2("drug dispensed"),
        "administration": text2("drug given"),
        "statement": text2("drug reported"),
        "procedure": text2("procedure"),
        "device": text2("device"),
        "encounter": text2("encounter"),
        "note": text2("note"),
        "image": text2("image"),
        "waveform": text2("waveform"),
        "allergy": text2("allergy"),
        "immunization": text2("vaccination"),
        "demographic": text2("demographic"),
    }
    return names.get(role or "", Text2(role or "–", role or "–"))


def _ordinal(month: str) -> int:
    year, _, number = month.partition("-")
    return int(year) * 12 + int(number) - 1
