"""What is known of a model, as plain values: all that the facts of a card may rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from medloom.evidence.characteristics import Covariate, DemographicSummary
from medloom.evidence.evaluation import Evaluation
from medloom.evidence.section import Section
from medloom.foundation.messages import Text2
from medloom.tasks.labelling import FlowStep
from medloom.tasks.question import Question
from medloom.tasks.task import Task


@dataclass(frozen=True)
class PartSize:
    """How much of the data one split has; `with_outcome` samples, None where there is no single outcome."""

    samples: int
    subjects: int
    with_outcome: int | None


@dataclass(frozen=True)
class InputsKnown:
    """What a model looks at.

    Attributes:
        names: of all inputs, as the model names them.
        codes: behind them.
        important: the weightiest, for people.
        missing: share of values that are missing in the samples it learned from.
        filled: whether missing values are replaced by the mean and told in inputs of their own; False: they are
            taken as missing; None: members of a blend differ in it.
    """

    names: tuple[str, ...]
    codes: tuple[str | None, ...]
    important: tuple[Text2, ...]
    missing: float | None
    filled: bool | None


@dataclass(frozen=True)
class PackageKnown:
    """The package of a model: its name and digest, versions of libraries, and the digest of a base it adapts."""

    name: str
    digest: str
    versions: Mapping[str, str]
    base: str | None


@dataclass(frozen=True)
class Known:
    """What is known; None: nothing.

    Attributes:
        question: what the model answers.
        evaluation: how it did.
        task: who is asked, when, and what; None where labels were made elsewhere.
        descriptions: of codes of the record, where there are any.
        flow: who fell out at each step.
        withheld: how many kinds of facts came to be known only afterwards.
        parts: sizes by split.
        period: the first and last day on which the question was put.
        subjects: in the record.
        importers: that the record came by.
        people, covariates: their characteristics.
        inputs: what it looks at.
        learner, learner_is, parameters, seed: what made it.
        weighted: whether the learner has a setting that weighs or resamples classes.
        package: where it is kept.
        updated: what was done to its answers after it was trained, in words; empty: nothing.
        mitigated: what was done to it so that groups are treated alike, in words.
        own_thresholds: whether a threshold is part of it.
        explained_by: how contributions of inputs are found.
        sections: of its report, by key.
        evaluated: when.
        medloom: the version of this software.
    """

    question: Question | None = None
    evaluation: Evaluation | None = None
    task: Task | None = None
    descriptions: Mapping[str, str] | None = None
    flow: tuple[FlowStep, ...] | None = None
    withheld: int | None = None
    parts: Mapping[str, PartSize] | None = None
    period: tuple[date, date] | None = None
    subjects: int | None = None
    importers: tuple[str, ...] | None = None
    people: DemographicSummary | None = None
    covariates: tuple[Covariate, ...] | None = None
    inputs: InputsKnown | None = None
    learner: str | None = None
    learner_is: Text2 | None = None
    parameters: Mapping[str, object] | None = None
    seed: int | None = None
    weighted: bool | None = None
    package: PackageKnown | None = None
    updated: Text2 | None = None
    mitigated: Text2 | None = None
    own_thresholds: bool | None = None
    explained_by: str | None = None
    sections: Mapping[str, Section] | None = None
    evaluated: date | None = None
    medloom: str | None = None
