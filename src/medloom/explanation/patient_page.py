"""A page about one patient for a clinician: the answer, why, and what the record holds.

One HTML file in both languages that needs nothing else: no script, nothing from
elsewhere. Its first screen says how likely, compared with what, and why.
"""

from datetime import timedelta
from math import isfinite
from pathlib import Path
from typing import Any, Final

from medloom.explanation.lanes import Lanes, arrange
from medloom.explanation.lanes_drawing import lanes_drawing, legend
from medloom.explanation.numbers import moment
from medloom.explanation.patient import PatientPage, check
from medloom.explanation.patient_answer import answer_in_words, known_before
from medloom.explanation.patient_reasons import adjustment, bars_of, reasons_of, starting, why_note
from medloom.explanation.pushes import pushes_in
from medloom.explanation.wording import clean, phrase, same
from medloom.foundation.files import write_text
from medloom.foundation.messages import Text2, text2
from medloom.foundation.pages import render_page

_MOST_ENTRIES: Final = 60


def write_patient_page(path: Path, page: PatientPage) -> None:
    """Write the page to `path`, replacing it whole.

    Raises:
        InputError: the answer, the reasons or the events are not what the page needs.
    """
    write_text(path, patient_html(page))


def patient_html(page: PatientPage) -> str:
    """Compose the page; raises as `write_patient_page`."""
    check(page)
    reasons = reasons_of(page)
    effects = {reason.code: reason.contribution for reason in reasons if reason.code}
    lanes = arrange(
        page.events,
        page.prediction_time,
        page.descriptions,
        page.units,
        effects,
        page.is_adult,
        pushes=pushes_in(page.reasons, page.prediction_time, page.descriptions, page.units),
    )
    summary = _summary(lanes) if lanes else text2("The record holds nothing with a date before this moment.")
    return render_page(
        "medloom.explanation",
        "patient.html.j2",
        "patient.css",
        words=_words(page),
        title=Text2(clean(page.question.title.en), clean(page.question.title.zh)),
        facts=_facts(page),
        answer=answer_in_words(page),
        cautions=[Text2(clean(caution.en), clean(caution.zh)) for caution in _cautions(page)],
        unlike=None if page.unlike is None else page.unlike.said,
        caveat=page.caveat,
        similar=page.similar,
        evidence=_evidence(page),
        model=clean(page.model),
        reasons=bars_of(page, reasons),
        starting=starting(page),
        adjusted=adjustment(page),
        timeline=lanes_drawing(lanes, summary) if lanes else None,
        narrow_timeline=lanes_drawing(lanes, summary, narrow=True) if lanes else None,
        summary=summary,
        legend=legend(lanes) if lanes else [],
        entries=_entries(lanes) if lanes else None,
        truth=_truth(page),
        picture=page.picture,
    )


def _cautions(page: PatientPage) -> list[Text2]:
    far = page.unlike.caution if page.unlike is not None else None
    return [*known_before(page), *([] if far is None else [far]), *page.cautions]


def _words(page: PatientPage) -> dict[str, Text2]:
    risk = page.is_risk
    return {
        "kind": text2("What a model says of one patient"),
        "answer": text2("Estimated risk") if risk else text2("Estimate"),
        "why": _why(page),
        "lowers": text2("lowers"),
        "raises": text2("raises"),
        "why_note": why_note(page),
        "picture": text2("Bright: what speaks for the answer; where nothing is laid over it, nothing does."),
        "no_reasons": text2("The model gave no reasons."),
        "record": text2("What the record holds"),
        "entries": text2("The last entries as a table"),
        "when": text2("when"),
        "what_kind": text2("kind"),
        "what": text2("what"),
        "value": text2("value"),
        "about": text2("About this estimate"),
        "model": text2("Model"),
        "tested": text2("Tested"),
        "unlike": text2("How unusual"),
        "truth": text2("What really happened (for demonstration)"),
        "limits": text2(
            "It speaks of groups of patients with such records, not of what will happen to this one."
            " A clinician decides."
        ),
    }


def _why(page: PatientPage) -> Text2:
    return text2("Why") if page.likeliest is None else text2("Why {name}", name=clean(page.likeliest))


def _facts(page: PatientPage) -> list[tuple[Text2, Text2]]:
    sexes = {"F": text2("female"), "M": text2("male"), "other": text2("other sex")}
    facts = [(text2("Patient (pseudonym)"), same(str(page.subject_id)))]
    if page.sex is not None:
        facts.append((text2("Sex"), sexes.get(page.sex, text2("not known"))))
    if page.age is not None and isfinite(page.age):
        facts.append((text2("Age"), phrase("age", page.age, {}, {}).detail))
    facts.append((text2("Prediction time"), same(moment(page.prediction_time))))
    return facts


def _evidence(page: PatientPage) -> Text2:
    if not page.evidence:
        return text2("not tested; how good it is, is not known")
    both = same(page.evidence) if isinstance(page.evidence, str) else page.evidence
    return Text2(*(clean(one) for one in both))


def _truth(page: PatientPage) -> Text2 | None:
    if not page.truth:
        return None
    known = {"True": text2("The outcome happened."), "False": text2("The outcome did not happen.")}
    said = clean(page.truth)
    return known.get(said, same(said)) if page.is_risk else same(said)


def _summary(lanes: Lanes) -> Text2:
    days = (lanes.until - lanes.first) / timedelta(days=1)
    form = "%Y-%m-%d" if lanes.dated or days > 7 else "%Y-%m-%d %H:%M"
    values = {"n": f"{lanes.total:,}", "first": lanes.first.strftime(form)}
    if lanes.total == 1:
        return text2("1 entry, {first}.", first=values["first"])
    if lanes.whole:
        return text2("{n} entries since {first}.", **values)
    return text2(
        "{n} entries since {first} (bars, heights as square roots); the part since {start} is shown large.",
        **values,
        start=lanes.start.strftime(form),
    )


def _entries(lanes: Lanes) -> dict[str, Any]:
    form = "%Y-%m-%d" if lanes.dated else "%Y-%m-%d %H:%M"
    shown = lanes.entries[:_MOST_ENTRIES]
    more = text2("The last {n} of {total}.", n=len(shown), total=f"{lanes.total:,}")
    return {
        "rows": [(one.time.strftime(form), one.kind, one.name, one.value) for one in shown],
        "more": more if len(shown) < lanes.total else None,
    }
