"""How sure a model is, from its own development samples: those set aside for it, or answers out of fold."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from medloom.foundation.errors import InputError
from medloom.foundation.messages import LANGUAGES, Text2, speaking
from medloom.tasks.model import Learner, Model
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.training import designs
from medloom.training.conformal_model import KINDS, ConformalModel, conformal
from medloom.training.recalibration import CalibratedModel

_log = logging.getLogger(__name__)

# With many patients a model of two thirds of them errs as one of all does, and each further fold costs a model.
_MANY: Final = 300
_FOLDS: Final = 5
_FOLDS_OF_MANY: Final = 3
# A third of so many patients says enough of a model's errors, where each refit takes minutes.
_MANY_FOR_ONE: Final = 1000


@dataclass(frozen=True)
class Unlearned:
    """Samples that a model has not learned from.

    Attributes:
        samples: to calibrate on; none held out.
        answers: to take as the model's where it must not be asked itself, having learned from them.
    """

    samples: Samples
    answers: Predictions | None


def unlearned(model: Model, samples: Samples, folds: int | None = None, seed: int = 0) -> Unlearned:
    """Give the `calibration` split or, where there is none, train and tuning with answers out of fold.

    Args:
        model: its configuration is learned anew on each fold; nothing is searched for again.
        samples: it was developed on.
        folds: how many; None: as `parts_for` has it.
        seed: of everything random.

    Raises:
        InputError: too few patients have one of the answers, or none was set aside for a model that starts from an
            encoder.
    """
    aside = samples.in_split("calibration")
    if len(aside):
        return Unlearned(aside, None)
    own = samples.in_split("train", "tuning")
    learner = model.relearner()
    if learner.starts_from_patients:
        raise InputError(
            "its encoder has read the timelines of all patients it could be tried on; set patients aside for "
            "calibration in the split, or let the learner pretrain its own: encoder=None (-p encoder=None)"
        )
    done = designs.carried_out(learner, parts_for(learner, own, folds, seed), seed)
    return Unlearned(designs.marked(done.samples, "calibration"), done.predictions)


def parts_for(
    learner: Learner, samples: Samples, folds: int | None = None, seed: int = 0
) -> list[designs.Part]:
    """Divide samples into parts, each to be answered by a model of the others.

    Args:
        learner: where it fits slowly and patients are 1,000 or more, one third alone is to be answered, by one model.
        samples: none held out.
        folds: how many, all of them to be answered; None: 5, or 3 where patients are many.
        seed: of who is in which.

    Raises:
        InputError: too few patients have one of the answers.
    """
    parts = designs.folds(samples, folds or folds_for(samples), seed)
    one_will_do = learner.fits_slowly and samples.frame["group"].n_unique() >= _MANY_FOR_ONE
    return parts[:1] if one_will_do and folds is None else parts


def folds_for(samples: Samples) -> int:
    """Choose a number of folds: 5, or 3 where patients are many, or fewer where an answer has so few patients."""
    patients = samples.frame["group"].n_unique()
    most = _FOLDS if patients < _MANY else _FOLDS_OF_MANY
    return max(2, min(most, designs.fewest_patients(samples)))


def with_default_ranges(model: Model, samples: Samples, seed: int = 0) -> tuple[Model, Text2 | None]:
    """Give a model that tells ranges, as its kind of question has them; else the model as it is, and why.

    Answers that are places, in images or in notes, have no ranges, and need no reason.

    Args:
        model: just learned.
        samples: it was learned from, with those set aside for calibration where there are any.
        seed: of everything random.
    """
    if not any(samples.question.kind in known for known in KINDS.values()):
        return model, None
    try:
        basis = unlearned(model, samples, seed=seed)
        return conformal(model, basis.samples, answers=basis.answers), None
    except InputError as error:
        _log.warning("no ranges learner=%s why=%s", model.origin.learner, error)
        return model, _in_both_languages(error)


def passed_on(model: Model, answers: Predictions | None) -> Predictions | None:
    """Put what the innermost model said through a recalibration that the model has around it."""
    if answers is None:
        return None
    if isinstance(model, ConformalModel):
        return passed_on(model.model, answers)
    return model.recalibrate(answers) if isinstance(model, CalibratedModel) else answers


def _in_both_languages(error: InputError) -> Text2:
    said = []
    for one in LANGUAGES:
        with speaking(one):
            said.append(str(error))
    return Text2(*said)
