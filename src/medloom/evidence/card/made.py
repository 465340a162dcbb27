"""Facts of the model: what it looks at, how it was made, kept and used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from medloom.evidence import words
from medloom.evidence.card.fact import Maker, listed, together
from medloom.evidence.card.known import Known
from medloom.explanation.windowed import COUNT, SINCE, windowed
from medloom.explanation.wording import fill
from medloom.foundation.messages import Text2, text2
from medloom.foundation.pages import intended_use
from medloom.tasks.demographics import dimension_of


def _name(known: Known) -> Text2:
    assert known.question is not None and known.package is not None
    title, name = known.question.title, known.package.name
    return Text2(f"{title.en} ({name})", f"{title.zh}（{name}）")


def _version(known: Known) -> Text2:
    assert known.package is not None
    name, _, number = known.package.name.partition("@")
    return text2(
        "Version {number} of {name}; digest of the package {digest}; made and evaluated with Medloom {medloom}.",
        number=number or "1",
        name=name,
        digest=known.package.digest[:16],
        medloom=known.medloom,
    )


def _evaluated(known: Known) -> Text2:
    return text2("Evaluated on {day}.", day=str(known.evaluated))


def _day(known: Known) -> Text2:
    return Text2(str(known.evaluated), str(known.evaluated))


def _decides(known: Known) -> Text2:
    return text2("Not without a clinician, who decides.")


def _notice(known: Known) -> Text2:
    return intended_use()


def _role(known: Known) -> Text2:
    return text2(
        "It informs: it gives an answer with its reasons, and starts nothing by itself. A clinician decides."
    )


def _output(known: Known) -> Text2:
    assert known.question is not None
    question = known.question
    match question.kind:
        case "binary":
            return text2("The risk of the outcome, from 0 to 1, of each sample.")
        case "survival":
            return text2(
                "The risk of each event ({events}) by each time of a grid, from 0 to 1; times in {unit}.",
                events=question.outputs,
                unit=question.unit or "1",
            )
        case "regression":
            return text2("A value for each sample, in {unit}.", unit=question.unit or "1")
        case "multiclass":
            return text2("The probability of each of the classes {classes}.", classes=question.classes)
        case "multilabel":
            return text2("The risk of each of the labels {classes}.", classes=question.classes)
        case "segmentation":
            return text2(
                "An outline of each of the structures {classes}, pixel by pixel.", classes=question.classes
            )
        case "detection":
            return text2(
                "Objects of each of the structures {classes}: where, how large, and how sure, from 0 to 1.",
                classes=question.classes,
            )
        case "tagging":
            return text2(
                "Places in each note, with a name of {classes}, and how sure it is of each, from 0 to 1.",
                classes=question.classes,
            )
        case "relations":
            return text2(
                "Places in each note, with a name of {classes}, the relations {relations} between them, and how sure "
                "it is of each, from 0 to 1.",
                classes=question.classes,
                relations=[name for name, _, _ in question.relations],
            )
    return text2("Answers of kind {kind}.", kind=question.kind)


def _output_type(known: Known) -> Text2:
    assert known.question is not None
    if known.question.kind == "multiclass":
        return text2("A classification, by probabilities; no recommendation.")
    return text2("A prediction; no recommendation.")


def _learner(known: Known) -> Text2:
    assert known.learner is not None and known.parameters is not None
    settings = ", ".join(f"{name}={value}" for name, value in known.parameters.items())
    return together(
        [
            fill(text2("{learner}: {what}"), learner=known.learner, what=known.learner_is)
            if known.learner_is is not None
            else text2("Learner: {learner}.", learner=known.learner),
            text2("Settings: {settings}; seed {seed}.", settings=settings or "–", seed=known.seed),
        ]
    )


def _tuning(known: Known) -> Text2 | None:
    assert known.parts is not None
    part = known.parts.get("tuning")
    if part is None:
        return None
    return text2(
        "What had to be chosen was chosen on training and tuning samples ({n:,} for tuning), never on those held out.",
        n=part.samples,
    )


def _inputs(known: Known) -> Text2:
    assert known.inputs is not None
    codes = {code for code in known.inputs.codes if code is not None}
    return together(
        [
            text2(
                "{n:,} inputs made of {codes:,} codes of the record.",
                n=len(known.inputs.names),
                codes=len(codes),
            ),
            fill(text2("Weightiest: {names}."), names=listed(known.inputs.important))
            if known.inputs.important
            else None,
        ]
    )


def _preparation(known: Known) -> Text2:
    assert known.inputs is not None
    found = [one for one in map(windowed, known.inputs.names) if one is not None]
    statistics = list(dict.fromkeys(one.statistic for one in found))
    said = {
        COUNT: text2("count"),
        SINCE: text2("hours since the last"),
        "first": text2("first value"),
        "last": text2("last value"),
        "min": text2("lowest value"),
        "max": text2("highest value"),
        "mean": text2("mean value"),
        "slope": text2("slope"),
    }
    windows = list(dict.fromkeys(one.window for one in found))
    return together(
        [
            fill(
                text2("Of each code, over {windows} before: {statistics}."),
                windows=", ".join(windows),
                statistics=listed([said[name] for name in statistics]),
            )
            if found
            else text2("Inputs enter as they stand in the table."),
            _scaled(known.inputs.filled),
        ]
    )


def _scaled(filled: bool | None) -> Text2:
    if filled is None:
        return text2(
            "Into some members of the blend they enter clipped and standardised, into others as they are."
        )
    if filled:
        return text2(
            "Continuous inputs are clipped to percentiles, put on a logarithm where skewed, and standardised."
        )
    return text2("They enter unscaled; no value is cut into categories beforehand.")


def _same_preparation(known: Known) -> Text2:
    return text2(
        "Yes: one specification, learned on training samples and kept in the package, prepares the inputs of everybody."
    )


def _sensitive(known: Known) -> Text2:
    assert known.inputs is not None
    used = dict.fromkeys(
        name for code in known.inputs.codes if code is not None if (name := dimension_of(code)) is not None
    )
    asked = ("sex", "age", "race", "ethnicity", "language", "insurance")
    absent = [words.dimension_name(name) for name in asked if name not in used]
    return together(
        [
            fill(text2("Used: {names}."), names=listed(map(words.dimension_name, used)))
            if used
            else text2("None of these was recognised among the inputs."),
            fill(text2("Not recognised among the inputs: {names}."), names=listed(absent))
            if absent and used
            else None,
        ]
    )


def _missing(known: Known) -> Text2:
    assert known.inputs is not None
    share = known.inputs.missing
    return together(
        [
            None if share is None else text2("{share:.0%} of the values of inputs are missing.", share=share),
            _handled(known.inputs.filled),
            text2("Nobody was left out for a missing input."),
        ]
    )


def _handled(filled: bool | None) -> Text2:
    if filled is None:
        return text2(
            "Some members of the blend replace a missing value by the mean, and that it is missing is an input of its"
            " own; others take it as missing."
        )
    if filled:
        return text2(
            "A missing value is replaced by the mean, and that it is missing is an input of its own."
        )
    return text2("A missing value is taken as missing by the model itself; nothing is imputed.")


def _missing_in_use(known: Known) -> Text2:
    assert known.inputs is not None
    return together(
        [
            _handled(known.inputs.filled),
            text2(
                "So it is in use: an answer is given whatever is missing; who has no facts gets the answer of such."
            ),
        ]
    )


def _imbalance(known: Known) -> Text2 | None:
    if known.weighted:
        return None
    return text2("Not applicable: the learner has no setting that resamples or weighs classes.")


def _foundation(known: Known) -> Text2 | None:
    assert known.package is not None
    if known.package.base is not None:
        return text2("It adapts the package with digest {digest}.", digest=known.package.base[:16])
    return text2("None: it was learned from the data named here alone.")


def _access(known: Known) -> Text2:
    assert known.package is not None
    return text2(
        "The whole model is the package {name} (digest {digest}): its question, settings and weights in plain formats,"
        " from which predictions for new patients are made.",
        name=known.package.name,
        digest=known.package.digest[:16],
    )


def _integrity(known: Known) -> Text2:
    return text2(
        "Every file of the package is checked against its SHA-256 sum on loading; no code of it is run."
    )


def _prediction_code(known: Known) -> Text2:
    assert known.package is not None
    return text2(
        "By the package itself: medloom predict {name}, or medloom.load(...).predict(...); one patient takes the same"
        " path as many.",
        name=known.package.name,
    )


def _code(known: Known) -> Text2:
    assert known.package is not None
    libraries = ", ".join(f"{name} {version}" for name, version in known.package.versions.items())
    return text2(
        "Medloom {version}, open source (Apache-2.0), with {libraries}; question, settings and seed stand in the"
        " package.",
        version=known.medloom,
        libraries=libraries,
    )


def _explanations(known: Known) -> Text2:
    return text2("Each answer comes with what each input adds to it ({method}).", method=known.explained_by)


FACTS: Final[Mapping[str, Maker]] = {
    "name": (("question.title", "package.name"), _name),
    "version": (("package.digest", "medloom"), _version),
    "evaluated": (("evaluated",), _evaluated),
    "day": (("evaluated",), _day),
    "decides": (("medloom",), _decides),
    "notice": (("medloom",), _notice),
    "role": (("medloom",), _role),
    "output": (("question.kind",), _output),
    "output_type": (("question.kind",), _output_type),
    "learner": (("learner", "parameters", "seed"), _learner),
    "tuning": (("parts",), _tuning),
    "inputs": (("inputs.names",), _inputs),
    "preparation": (("inputs.names", "inputs.filled"), _preparation),
    "same_preparation": (("inputs", "package"), _same_preparation),
    "sensitive": (("inputs.codes",), _sensitive),
    "missing": (("inputs.missing", "inputs.filled"), _missing),
    "missing_in_use": (("inputs.filled",), _missing_in_use),
    "imbalance": (("weighted", "parameters"), _imbalance),
    "foundation": (("package.base",), _foundation),
    "access": (("package",), _access),
    "integrity": (("package",), _integrity),
    "prediction_code": (("package.name",), _prediction_code),
    "code": (("package.versions", "medloom"), _code),
    "explanations": (("explained_by",), _explanations),
    "mitigation": (("mitigated",), lambda known: known.mitigated),
    "updating": (("updated",), lambda known: known.updated),
}
