"""Facts of the question: who is asked, when, what counts as the outcome, and who they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from medloom.evidence import words
from medloom.evidence.card.fact import Maker, clauses, listed, together
from medloom.evidence.card.known import Known
from medloom.evidence.characteristics import People
from medloom.evidence.counts import Count
from medloom.explanation.wording import fill
from medloom.foundation.durations import hours
from medloom.foundation.messages import Text2, text2


def _question(known: Known) -> Text2:
    assert known.question is not None
    title, kind = known.question.title, words.kind_name(known.question.kind)
    return fill(text2("{title}. Kind of question: {kind}."), title=Text2(title.en, title.zh), kind=kind)


def _keywords(known: Known) -> Text2:
    assert known.question is not None and known.learner is not None
    return listed([known.question.task, words.kind_name(known.question.kind), known.learner])


def _population(known: Known) -> Text2:
    assert known.task is not None
    said, demands = known.task.description, list(_demands(known))
    asked = _moment(known)
    return together(
        [
            None if said is None else Text2(said.en, said.zh),
            asked,
            fill(text2("Demanded: {demands}."), demands=listed(demands)) if demands else None,
        ]
    )


def _codes(known: Known, codes: Iterable[str]) -> str:
    """Name codes by their descriptions too, where the record has them."""
    described = known.descriptions or {}
    return ", ".join(f"{described[code]} ({code})" if code in described else code for code in codes)


def _moment(known: Known) -> Text2:
    assert known.task is not None
    when = known.task.prediction_time
    which = {"first": text2("the first"), "last": text2("the last"), "every": text2("every")}[when.which]
    said = {"event": _codes(known, when.event), "offset": when.offset}
    if hours(when.offset) == 0:
        asked = fill(text2("The question is put at {event} ({which} of a patient)."), which=which, **said)
    else:
        asked = fill(
            text2("The question is put {offset} after {event} ({which} of a patient)."), which=which, **said
        )
    if when.every is None:
        return asked
    again = text2(
        "It is put again every {every} until {until}.",
        every=when.every,
        until=_codes(known, when.until or ()),
    )
    return together([asked, again])


def _demands(known: Known) -> Iterator[Text2]:
    assert known.task is not None
    who = known.task.population
    if who.min_age is not None:
        yield text2("at least {age:g} years old", age=who.min_age)
    if who.max_age is not None:
        yield text2("at most {age:g} years old", age=who.max_age)
    if who.sex is not None:
        yield words.subgroup_name("sex", who.sex)
    if who.has is not None:
        yield text2("with {codes} before", codes=_codes(known, who.has))
    if who.history is not None:
        yield text2("known for {length} before", length=who.history)


def _exclusions(known: Known) -> list[Text2]:
    assert known.task is not None
    out = []
    for one in known.task.exclude:
        if one.reason is not None:
            out.append(Text2(one.reason.en, one.reason.zh))
        elif one.within is not None:
            out.append(
                text2("without {codes} in {length} before", codes=_codes(known, one.event), length=one.within)
            )
        else:
            out.append(text2("without {codes} before", codes=_codes(known, one.event)))
    return out


def _timing(known: Known) -> Text2:
    assert known.task is not None
    window = known.task.observe.window
    seen = (
        text2("A model sees only facts that were in the record by then; nothing that came to be known later.")
        if window is None
        else text2(
            "A model sees only facts of the {window} before that were in the record by then; nothing that came to be"
            " known later.",
            window=window,
        )
    )
    withheld = (
        text2("{n} kinds of facts known only afterwards were withheld.", n=known.withheld)
        if known.withheld
        else None
    )
    return together([_moment(known), seen, withheld])


def _eligibility(known: Known) -> Text2:
    assert known.flow is not None
    demands, exclusions = list(_demands(known)), _exclusions(known)
    steps = listed([step.step for step in known.flow])
    return together(
        [
            _moment(known),
            fill(text2("Demanded: {demands}."), demands=listed(demands)) if demands else None,
            fill(text2("Kept were only patients: {reasons}."), reasons=listed(exclusions))
            if exclusions
            else text2("Nobody is excluded by a fact before that moment."),
            fill(text2("Steps taken: {steps}."), steps=steps),
        ]
    )


def _flow(known: Known) -> Text2 | None:
    assert known.flow is not None
    steps = [fill(text2("{step}: {n:,}"), step=step.step, n=step.samples) for step in known.flow]
    if not steps:
        return None
    return fill(text2("Left after each step: {steps}."), steps=clauses(steps))


def _outcome(known: Known) -> Text2:
    assert known.task is not None
    predict = known.task.predict
    classes = [f"{name} ({_codes(known, codes)})" for name, codes in (predict.classes or {}).items()]
    what = "; ".join(classes) or _codes(known, predict.codes)
    censor = known.task.censor
    if known.task.kind == "survival":
        followed = text2("Without it, a patient counts as followed until follow-up ends (censored).")
    elif known.task.kind in ("segmentation", "detection"):
        followed = text2("The last outline that a person drew counts.")
    elif known.task.kind == "tagging":
        followed = text2("A place that a person took back is none.")
    elif known.task.kind == "relations":
        followed = text2("A place that a person took back is none, nor is a relation to it.")
    elif censor is None:
        followed = text2("No such fact by then counts as no outcome.")
    else:
        followed = text2("Who was not followed long enough is left out.")
    return together([text2("Recorded as: {what}.", what=what), _horizon(known), followed])


def _horizon(known: Known) -> Text2 | None:
    assert known.task is not None
    predict = known.task.predict
    if predict.until is not None:
        return text2(
            "Counted from the moment of prediction until {until}.", until=_codes(known, predict.until)
        )
    if predict.horizons:
        return text2("Followed from the moment of prediction, to {horizons}.", horizons=predict.horizons)
    if predict.within is not None:
        return text2("Counted within {within} of the moment of prediction.", within=predict.within)
    return None


def _hidden_label(known: Known) -> Text2:
    assert known.task is not None
    if known.task.observe.label_history:
        return text2("Models see earlier events of what is predicted, as the task says.")
    return text2("The facts that make the outcome are hidden from models, earlier ones too.")


def _observed(known: Known) -> Text2:
    assert known.task is not None
    observe = known.task.observe
    if observe.only is not None:
        chosen = text2(
            "Candidates were chosen by the task: {codes}, and demographics.",
            codes=_codes(known, observe.only),
        )
    elif observe.without is not None:
        chosen = text2(
            "Candidates were all codes of the record but {codes}.", codes=_codes(known, observe.without)
        )
    else:
        chosen = text2("Candidates were all codes of the record.")
    return together(
        [chosen, text2("Kept were those that enough patients have, without a look at the outcome.")]
    )


def _not_for(known: Known) -> Text2:
    assert known.task is not None
    who = [*_demands(known), *_exclusions(known)]
    return together(
        [
            text2("At no other moment than this."),
            _moment(known),
            fill(text2("Only for patients like these: {who}."), who=listed(who)) if who else None,
        ]
    )


def _source(known: Known) -> Text2:
    assert known.subjects is not None and known.importers is not None
    return together(
        [
            text2("Routine records of this site: {n:,} subjects.", n=known.subjects),
            text2("Imported as: {formats}.", formats=known.importers) if known.importers else None,
        ]
    )


def _period(known: Known) -> Text2:
    assert known.period is not None
    first, last = known.period
    return text2(
        "The question was put between {first} and {last}, as the record dates it (dates of records may be shifted).",
        first=f"{first:%Y-%m}",
        last=f"{last:%Y-%m}",
    )


def _splits(known: Known) -> Text2:
    assert known.parts is not None
    said = []
    for split, part in known.parts.items():
        name = words.split_name(split)
        if part.with_outcome is None:
            said.append(
                fill(
                    text2("{split}: {samples:,} samples of {subjects:,} subjects"),
                    split=name,
                    samples=part.samples,
                    subjects=part.subjects,
                )
            )
        else:
            said.append(
                fill(
                    text2(
                        "{split}: {samples:,} samples of {subjects:,} subjects, {outcome} with the outcome"
                    ),
                    split=name,
                    samples=part.samples,
                    subjects=part.subjects,
                    outcome=Count.of_part(part.with_outcome, part.samples).shown,
                )
            )
    return fill(text2("{splits}."), splits=clauses(said))


def _split_rule(known: Known) -> Text2:
    assert known.task is not None
    rules = {
        "record": text2(
            "Patients are divided as the site's settings say, by chance unless the source fixed it."
        ),
        "hash": text2("Patients are divided by chance, each always to the same side."),
        "fact": text2("Patients are divided by a fact of theirs, such as the site."),
        "time": text2(
            "Patients are divided by when they were first asked about; the later ones are held out."
        ),
    }
    return rules[known.task.split.by]


def _people_train(known: Known) -> Text2 | None:
    assert known.people is not None
    parts = known.people.splits.get("train", {})
    return fill(text2("Learned from: {people}"), people=_described(parts["all"])) if parts else None


def _people_test(known: Known) -> Text2 | None:
    assert known.people is not None and known.evaluation is not None
    parts = known.people.splits.get(known.evaluation.split, {})
    return fill(text2("Tested on: {people}"), people=_described(parts["all"])) if parts else None


def _described(one: People) -> Text2:
    said = [text2("{n} persons", n=one.persons.shown)]
    if one.age is not None:
        said.append(text2("age {mean:.0f} years on average (SD {sd:.0f})", mean=one.age[0], sd=one.age[1]))
    for dimension, groups in one.groups.items():
        if dimension == "age":
            continue
        shares = [
            fill(text2("{group} {n}"), group=words.subgroup_name(dimension, name), n=count.shown)
            for name, count in groups.items()
        ]
        named = words.dimension_name(dimension)
        said.append(fill(text2("{name}: {value}"), name=named, value=listed(shares)))
    return fill(text2("{described}."), described=clauses(said))


def _characteristics(known: Known) -> Text2:
    return text2(
        "Tables in the report: persons by split and outcome; all inputs with mean and deviation, with and without it."
    )


def _shift(known: Known) -> Text2 | None:
    assert known.covariates is not None
    shifted = [one for one in known.covariates if one.shift is not None]
    if not shifted:
        return None
    most = max(shifted, key=lambda one: abs(one.shift or 0.0))
    large = sum(abs(one.shift or 0.0) > 0.1 for one in shifted)
    return text2(
        "Between the samples learned from and those evaluated, {large} of {n:,} inputs differ by more than 0.1 standard"
        " deviations; the most by {most:.2f}.",
        large=large,
        n=len(shifted),
        most=abs(most.shift or 0.0),
    )


FACTS: Final[Mapping[str, Maker]] = {
    "question": (("question.title", "question.kind"), _question),
    "keywords": (("question.task", "learner"), _keywords),
    "population": (("task.population", "task.prediction_time"), _population),
    "timing": (("task.prediction_time", "task.observe"), _timing),
    "eligibility": (("task.population", "task.exclude", "flow"), _eligibility),
    "flow": (("flow",), _flow),
    "outcome": (("task.predict", "task.censor"), _outcome),
    "horizon": (("task.predict",), _horizon),
    "hidden_label": (("task.observe",), _hidden_label),
    "observed": (("task.observe", "inputs"), _observed),
    "not_for": (("task.prediction_time", "task.population", "task.exclude"), _not_for),
    "source": (("subjects", "importers"), _source),
    "period": (("period",), _period),
    "splits": (("parts",), _splits),
    "split_rule": (("task.split",), _split_rule),
    "people_train": (("people",), _people_train),
    "people_test": (("people", "evaluation.split"), _people_test),
    "characteristics": (("people", "covariates"), _characteristics),
    "shift": (("covariates",), _shift),
}
