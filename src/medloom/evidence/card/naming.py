"""How the kinds of evaluations name their metrics, and which of them stand for all."""

from __future__ import annotations

from medloom.evidence import (
    detection_report,
    detection_words,
    segmentation_report,
    segmentation_words,
    survival_words,
    tagging_report,
    tagging_words,
    words,
)
from medloom.evidence.detection_evaluation import DetectionEvaluation
from medloom.evidence.evaluation import PREVALENCE, Evaluation
from medloom.evidence.first_screen import COMPARED
from medloom.evidence.segmentation_evaluation import SegmentationEvaluation
from medloom.evidence.survival_evaluation import SurvivalEvaluation
from medloom.evidence.survival_report import headline as survival_headline
from medloom.evidence.tagging_evaluation import TaggingEvaluation
from medloom.foundation.messages import Text2


def headline(evaluation: Evaluation) -> Text2:
    """Say in one sentence how good the model is, whatever it predicts."""
    if isinstance(evaluation, SurvivalEvaluation):
        return survival_headline(evaluation)
    if isinstance(evaluation, SegmentationEvaluation):
        return segmentation_report.headline(evaluation)
    if isinstance(evaluation, DetectionEvaluation):
        return detection_report.headline(evaluation)
    if isinstance(evaluation, TaggingEvaluation):
        return tagging_report.headline(evaluation)
    return words.headline(evaluation)


def metric_name(evaluation: Evaluation, name: str) -> Text2:
    """Name a metric for a person."""
    if isinstance(evaluation, SurvivalEvaluation):
        return survival_words.metric_name(name, evaluation.unit)
    if isinstance(evaluation, SegmentationEvaluation):
        return segmentation_words.metric_name(name)
    if isinstance(evaluation, DetectionEvaluation):
        return detection_words.metric_name(name)
    if isinstance(evaluation, TaggingEvaluation):
        return tagging_words.metric_name(name)
    return words.metric_name(name)


def primary(evaluation: Evaluation) -> tuple[str, ...]:
    """Name the metrics that stand for all, the first of them first."""
    if isinstance(evaluation, SurvivalEvaluation):
        prefix = "" if len(evaluation.events) == 1 else f"{evaluation.events[0]}: "
        return (f"{prefix}c_index", f"{prefix}c_index_ipcw", f"{prefix}ibs")
    if isinstance(evaluation, SegmentationEvaluation):
        names = ("dice", "hd95", "surface_dice")
        return tuple(segmentation_report.primary(evaluation, name) for name in names)
    if isinstance(evaluation, DetectionEvaluation):
        names = ("sensitivity", "false_positives", "froc")
        return tuple(detection_report.primary(evaluation, name) for name in names)
    if isinstance(evaluation, TaggingEvaluation):
        return tuple(tagging_report.primary(evaluation, name) for name in ("f1", "precision", "sensitivity"))
    return COMPARED[evaluation.kind]


def against_constant(evaluation: Evaluation) -> Text2 | None:
    """Compare with what says the same to everybody; of outlines and objects, tell what is wrong on average."""
    if isinstance(evaluation, SegmentationEvaluation):
        return segmentation_report.volume_sentence(evaluation)
    if isinstance(evaluation, DetectionEvaluation):
        return detection_report.marks_sentence(evaluation)
    if isinstance(evaluation, TaggingEvaluation):
        return tagging_report.wrong_sentence(evaluation)
    if not isinstance(evaluation, SurvivalEvaluation):
        return words.against_constant(evaluation)
    constant = evaluation.compared_with.get(PREVALENCE)
    gained = None if constant is None else constant.difference.get(primary(evaluation)[2])
    return None if gained is None else words.verdict(gained, True)
