"""Facts of an evaluation: how good, for whom, how reliable, and how it was tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from medloom.evidence import words
from medloom.evidence.card.fact import Maker, clauses, listed, together
from medloom.evidence.card.known import Known
from medloom.evidence.card.naming import against_constant, headline, metric_name, primary
from medloom.evidence.counts import Count
from medloom.evidence.detection_evaluation import DetectionEvaluation
from medloom.evidence.estimate import Estimate
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.first_screen import cautions
from medloom.evidence.segmentation_evaluation import SegmentationEvaluation
from medloom.evidence.survival_evaluation import SurvivalEvaluation
from medloom.evidence.tagging_evaluation import TaggingEvaluation
from medloom.explanation.wording import fill
from medloom.foundation.messages import Text2, text2
from medloom.tasks.demographics import UNKNOWN

Found = TypeVar("Found")
_CALIBRATION: Final = (
    "calibration_slope",
    "calibration_intercept",
    "e_avg",
    "observed_expected",
    "d_calibration",
)


def _of(known: Known) -> Evaluation:
    assert known.evaluation is not None
    return known.evaluation


def _values(
    evaluation: Evaluation, names: Iterable[str], found: Mapping[str, Estimate] | None = None
) -> Text2:
    metrics = evaluation.metrics if found is None else found
    parts = []
    for name in names:
        one = metrics.get(name)
        if one is None or one.value is None:
            continue
        label, said = metric_name(evaluation, name), one.said2(2)
        parts.append(Text2(f"{label.en} {said.en}", f"{label.zh} {said.zh}"))
    return clauses(parts)


def _dimensions(names: Iterable[str]) -> Text2:
    """Name what people differ in, within a sentence."""
    said = listed(words.dimension_name(name) for name in names)
    return Text2(said.en.lower(), said.zh)


def _single(found: Mapping[str, Found]) -> dict[str, Found]:
    """Leave out pairs of dimensions, which the report has."""
    return {name: one for name, one in found.items() if " × " not in name}


def _sentence(said: Text2) -> Text2 | None:
    return Text2(f"{said.en}.", f"{said.zh}。") if said.en else None


def _performance(known: Known) -> Text2:
    evaluation = _of(known)
    return together([headline(evaluation), _sentence(_values(evaluation, primary(evaluation)[1:]))])


def _interpretation(known: Known) -> Text2 | None:
    evaluation = _of(known)
    return together([against_constant(evaluation), words.in_the_large(evaluation), *cautions(evaluation)])


def _calibration(known: Known) -> Text2 | None:
    evaluation = _of(known)
    names = [
        name for name in evaluation.metrics if name.rpartition(": ")[2].partition(".")[0] in _CALIBRATION
    ]
    return _sentence(_values(evaluation, names))


def _utility(known: Known) -> Text2 | None:
    evaluation = _of(known)
    decision = evaluation.curves.get("decision")
    if not decision:
        return None
    useful = decision.get("useful")
    said = (
        text2("No threshold was found at which it is surely better than treating all or none.")
        if useful is None
        else text2(
            "Net benefit: surely better than treating all or none at thresholds from {low:.0%} to {high:.0%}.",
            low=useful[0],
            high=useful[1],
        )
    )
    if not evaluation.thresholds:
        return said
    first = evaluation.thresholds[0]
    name = words.threshold_name(first.name)
    rates = _values(evaluation, ("flagged_per_100", "sensitivity", "ppv"), first.found)
    return together(
        [
            said,
            fill(text2("Flagged at {name}: {rates}."), name=name, rates=rates) if rates.en else None,
        ]
    )


def _thresholds(known: Known) -> Text2 | None:
    names = [words.threshold_name(one.name) for one in _of(known).thresholds]
    if known.own_thresholds:
        return text2(
            "A threshold for each group is part of the model; it was chosen on other data than these."
        )
    if not names:
        return None
    return fill(
        text2(
            "No threshold is part of the model. Rates are told at {names}, none of them chosen on the data evaluated."
        ),
        names=listed(names),
    )


def _subgroups(known: Known) -> Text2 | None:
    evaluation = _of(known)
    first = primary(evaluation)[0]
    said = []
    for dimension, groups in _single(evaluation.subgroups).items():
        parts = [
            Text2(f"{name.en} {value.en}", f"{name.zh} {value.zh}")
            for key, part in groups.items()
            if first in part.metrics and part.metrics[first].value is not None
            for name, value in [(words.subgroup_name(dimension, key), part.metrics[first].said2(2))]
        ]
        if parts:
            said.append(listed(parts))
    if not said:
        return None
    metric = metric_name(evaluation, first)
    return fill(text2("{metric} within groups: {groups}."), metric=metric, groups=clauses(said))


def _fairness(known: Known) -> Text2 | None:
    evaluation = _of(known)
    said = []
    for dimension, one in _single(evaluation.fairness).items():
        estimable = [name for name, gap in one.gaps.items() if gap.value is not None]
        chosen = next(
            (name for name in ("equalised_odds", primary(evaluation)[0]) if name in estimable), None
        )
        chosen = chosen or next(iter(estimable), None)
        if chosen is None:
            continue
        label, value, by = (
            metric_name(evaluation, chosen),
            one.gaps[chosen].said2(2),
            words.dimension_name(dimension),
        )
        said.append(
            fill(
                text2("by {dimension}: {metric} {value}")
                if one.apart(chosen)
                else text2("by {dimension}: {metric} {value}, no more than chance may make it"),
                dimension=Text2(by.en.lower(), by.zh),
                metric=label,
                value=value,
            )
        )
    if not said:
        return None
    return fill(text2("Largest differences between groups, {gaps}."), gaps=clauses(said))


def _fairness_measured(known: Known) -> Text2 | None:
    evaluation = _of(known)
    if not evaluation.fairness:
        return None
    names = _dimensions(_single(evaluation.fairness))
    rates = listed(metric_name(evaluation, name) for name in next(iter(evaluation.fairness.values())).gaps)
    return fill(
        text2(
            "Measured within groups by {dimensions}, with the gaps between them and their intervals: {rates}."
        ),
        dimensions=names,
        rates=rates,
    )


def _fairness_note(known: Known) -> Text2 | None:
    if not _of(known).fairness:
        return None
    return text2(
        "Where groups differ in how often the outcome occurs, not all gaps can be nought at once (Kleinberg 2017)."
    )


def _not_tested(known: Known) -> Text2 | None:
    evaluation = _of(known)
    first = primary(evaluation)[0]
    few = [
        words.subgroup_name(dimension, key)
        for dimension, groups in _single(evaluation.subgroups).items()
        for key, part in groups.items()
        if key != UNKNOWN and first in part.metrics and part.metrics[first].value is None
    ]
    absent = [
        name
        for name in ("sex", "age", "race", "ethnicity", "language", "insurance", "site")
        if name not in evaluation.subgroups
    ]
    return together(
        [
            fill(text2("Too few to judge: {groups}."), groups=listed(few)) if few else None,
            fill(
                text2("Not recorded, or the same of all, and so not compared: {names}."),
                names=_dimensions(absent),
            )
            if absent
            else None,
        ]
    )


def _cautions(known: Known) -> Text2 | None:
    evaluation = _of(known)
    found = list(cautions(evaluation))
    said = together([*found, words.outside_note(evaluation.metrics)])
    if said.en:
        return said
    if isinstance(evaluation, SurvivalEvaluation):
        return _d_calibration(evaluation)
    slope = evaluation.metrics.get("calibration_slope")
    if slope is None or slope.low is None:
        return None
    return text2("The calibration slope does not differ from the ideal beyond chance in these samples.")


def _d_calibration(evaluation: SurvivalEvaluation) -> Text2 | None:
    found = [
        one.value
        for name, one in evaluation.metrics.items()
        if name.endswith("d_calibration") and one.value is not None
    ]
    if not found:
        return None
    if min(found) < 0.05:
        return text2(
            "The predicted curves do not fit the times observed (D-calibration, p {p:.3f}).", p=min(found)
        )
    return text2("The predicted curves do not differ from the times observed beyond chance (D-calibration).")


def _tested_on(known: Known) -> Text2:
    evaluation = _of(known)
    split = words.split_name(evaluation.split)
    if evaluation.split == "held_out":
        return text2("Tested on held-out patients of the same record, never shown to the learner.")
    return fill(text2("Tested on the split {split} of the same record."), split=split)


def _beyond_apparent(known: Known) -> Text2:
    if _of(known).split == "train":
        return text2("No: this evaluation is of the samples the model was learned from.")
    if _of(known).split == "held_out":
        return text2("Yes: patients were evaluated whom the model was not learned from.")
    return text2("In part: settings were chosen, or answers adjusted, on the samples evaluated.")


def _events(known: Known) -> Text2:
    evaluation = _of(known)
    if isinstance(evaluation.prevalence, float):
        events = Count.of_part(round(evaluation.prevalence * evaluation.n), evaluation.n)
        share = f" ({evaluation.prevalence:.1%})" if events.n is not None else ""
        return text2(
            "Evaluated: {n:,} samples of {subjects:,} subjects, {events} with the outcome{share}.",
            n=evaluation.n,
            subjects=evaluation.n_subjects,
            events=events.shown,
            share=share,
        )
    return text2(
        "Evaluated: {n:,} samples of {subjects:,} subjects.", n=evaluation.n, subjects=evaluation.n_subjects
    )


def _measures(known: Known) -> Text2:
    evaluation = _of(known)
    plain = dict.fromkeys(metric_name(evaluation, name) for name in evaluation.metrics)
    drawn = {
        "roc": text2("ROC curve"),
        "pr": text2("precision–recall curve"),
        "calibration": text2("calibration in tenths"),
        "flexible": text2("smooth calibration curve"),
        "decision": text2("decision curve (net benefit)"),
        "incidence": text2("observed and predicted incidence"),
        "confusion": text2("confusion matrix"),
    }
    plots = [drawn[name] for name in evaluation.curves if name in drawn]
    return together(
        [
            fill(text2("Measures: {names}."), names=listed(plain)),
            fill(text2("Drawn: {names}."), names=listed(plots)) if plots else None,
        ]
    )


def _intervals(known: Known) -> Text2:
    return text2(
        "Intervals are of 95 %, by a bootstrap that draws subjects, all of their samples together; where none could be"
        " given, none stands."
    )


def _comparisons(known: Known) -> Text2 | None:
    evaluation = _of(known)
    parts = []
    for name, other in evaluation.compared_with.items():
        for metric in primary(evaluation):
            gap = other.difference.get(metric)
            if gap is None or gap.value is None:
                continue
            who, label, value = words.compared_name(name), metric_name(evaluation, metric), gap.said2(2)
            parts.append(Text2(f"{who.en}: {label.en} {value.en}", f"{who.zh}：{label.zh} {value.zh}"))
            break
    if not parts:
        return None
    return fill(text2("Difference from others, on the same patients: {others}."), others=clauses(parts))


def _clusters(known: Known) -> Text2 | None:
    evaluation = _of(known)
    sites = evaluation.subgroups.get("site")
    if not sites:
        return None
    first = primary(evaluation)[0]
    parts = [
        Text2(f"{key} {part.metrics[first].said2(2).en}", f"{key} {part.metrics[first].said2(2).zh}")
        for key, part in sites.items()
        if first in part.metrics
    ]
    metric = metric_name(evaluation, first)
    return fill(text2("{metric} by site: {parts}."), metric=metric, parts=clauses(parts))


def _leakage(known: Known) -> Text2 | None:
    if _of(known).split != "held_out":
        return None
    return text2(
        "Yes: a subject stands in one split only; samples that are held out are refused by every learner; inputs are"
        " made and prepared by what was learned on training samples; facts that came to be known later are not visible."
    )


def _resampling(known: Known) -> Text2 | None:
    if _of(known).split != "held_out":
        return None
    return text2(
        "Not applicable: performance was measured on patients set aside. Intervals resample these; nothing is refitted."
    )


def _same_question(known: Known) -> Text2 | None:
    evaluation, parts = _of(known), known.parts
    assert parts is not None
    said = text2(
        "Both come from the same record, by the same definition of who is asked, of inputs and of outcome."
    )
    train, tested = parts.get("train"), parts.get(evaluation.split)
    if train is None or tested is None or train.with_outcome is None or tested.with_outcome is None:
        return said
    if any(Count.of_part(one.with_outcome or 0, one.samples).n is None for one in (train, tested)):
        return said  # a share of a known number would count them out
    return together(
        [
            said,
            text2(
                "The outcome occurred in {train:.1%} of the training and {tested:.1%} of the evaluated samples.",
                train=train.with_outcome / train.samples,
                tested=tested.with_outcome / tested.samples,
            ),
        ]
    )


def _objective(known: Known) -> Text2:
    return text2("Development of a prediction model and its evaluation.")


def _goal_useful(known: Known) -> Text2:
    if isinstance(_of(known), SegmentationEvaluation):
        return text2("That it outlines what experts outline, and how nearly.")
    if isinstance(_of(known), DetectionEvaluation):
        return text2("That it finds what experts outline, and how much of it.")
    if isinstance(_of(known), TaggingEvaluation):
        return text2("That it finds what people name in notes.")
    return text2("That it tells patients apart better than saying the same to everybody, and by how much.")


def _goal_fair(known: Known) -> Text2 | None:
    if not _of(known).subgroups:
        return None
    return text2("That it is as good for some patients as for others.")


def _goal_safe(known: Known) -> Text2:
    if isinstance(_of(known), SegmentationEvaluation):
        return text2("That it outlines nothing too large, too small, or where there is nothing.")
    if isinstance(_of(known), DetectionEvaluation):
        return text2("That it marks nothing where there is nothing.")
    if isinstance(_of(known), TaggingEvaluation):
        return text2("That what it names is there, and is what it says.")
    return text2("That its answers are true: what it expects happens as often as it says.")


def _updating_results(known: Known) -> Text2 | None:
    assert known.updated is not None
    said = _calibration(known)
    return known.updated if said is None else together([known.updated, said])


def _local_performance(known: Known) -> Text2:
    here = text2("The data evaluated are this site's own.")
    return together([here, _performance(known), _calibration(known)])


def _local_fairness(known: Known) -> Text2 | None:
    found = together([_subgroups(known), _fairness(known)])
    return together([text2("The data evaluated are this site's own."), found]) if found.en else None


def _section(*keys: str) -> Maker:
    """Make a fact of what a section of the report says in sentences: the first there is of some keys."""

    def said(known: Known) -> Text2 | None:
        assert known.sections is not None
        found = [
            known.sections[key] for key in keys if key in known.sections and known.sections[key].sentences
        ]
        return together(found[0].sentences) if found else None

    return ("sections",), said


FACTS: Final[Mapping[str, Maker]] = {
    "performance": (("evaluation.metrics",), _performance),
    "interpretation": (("evaluation.metrics", "evaluation.compared_with"), _interpretation),
    "calibration": (("evaluation.metrics",), _calibration),
    "utility": (("evaluation.curves", "evaluation.thresholds"), _utility),
    "thresholds": (("evaluation.thresholds", "own_thresholds"), _thresholds),
    "subgroups": (("evaluation.subgroups",), _subgroups),
    "fairness": (("evaluation.fairness",), _fairness),
    "fairness_measured": (("evaluation.fairness",), _fairness_measured),
    "fairness_note": (("evaluation.fairness",), _fairness_note),
    "not_tested": (("evaluation.subgroups",), _not_tested),
    "cautions": (("evaluation.metrics", "evaluation.curves"), _cautions),
    "tested_on": (("evaluation.split",), _tested_on),
    "beyond_apparent": (("evaluation.split",), _beyond_apparent),
    "events": (("evaluation.n", "evaluation.prevalence"), _events),
    "measures": (("evaluation.metrics", "evaluation.curves"), _measures),
    "intervals": (("evaluation.metrics",), _intervals),
    "comparisons": (("evaluation.compared_with",), _comparisons),
    "clusters": (("evaluation.subgroups",), _clusters),
    "leakage": (("evaluation.split", "parts", "inputs"), _leakage),
    "resampling": (("evaluation.split",), _resampling),
    "same_question": (("evaluation.split", "parts", "task"), _same_question),
    "objective": (("evaluation", "learner"), _objective),
    "goal_useful": (("evaluation.metrics",), _goal_useful),
    "goal_fair": (("evaluation.subgroups",), _goal_fair),
    "goal_safe": (("evaluation.metrics",), _goal_safe),
    "updating_results": (("updated", "evaluation.metrics"), _updating_results),
    "local_performance": (("evaluation.metrics", "subjects"), _local_performance),
    "local_fairness": (("evaluation.fairness", "subjects"), _local_fairness),
    "riley": _section("development"),
    "mitigation_price": _section("mitigation"),
    "reliability": _section("robustness", "stability", "coverage"),
    "external_source": _section("elsewhere"),
    "external_people": _section("elsewhere-people"),
    "external_process": _section("elsewhere"),
    "external_performance": _section("elsewhere"),
    "external_fairness": _section("elsewhere-fairness"),
}
