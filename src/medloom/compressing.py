"""The verb that makes a model smaller or faster, and refuses to keep one that lost too much."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from medloom.api import Trained
from medloom.evidence.calibration import calibration_slope, ece
from medloom.evidence.discrimination import auroc
from medloom.evidence.tagging_evaluation import evaluate_tagging
from medloom.evidence.tally import tally
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.site import Site
from medloom.tasks import models, package
from medloom.tasks.kinds import Kind
from medloom.tasks.model import Model
from medloom.tasks.samples import Samples
from medloom.tasks.spans import spans_in
from medloom.tasks.tagging import Tagging
from medloom.training.answers import labels_as_numbers
from medloom.training.compression.model import CompressedModel, Figures, Made
from medloom.training.compression.plan import Compressible, Plan, Timed
from medloom.training.compression.soft_labels import taught
from medloom.training.conformal_model import ConformalModel
from medloom.training.ranges import with_default_ranges
from medloom.training.recalibration import CalibratedModel, recalibrated
from medloom.training.wrapping import innermost, layer

MOST_LOST: Final = 0.003
"""AUROC that may be lost, where nothing else was agreed."""
MOST_LOST_F1: Final = 0.005
"""The same of models that name places in notes: F1, strict."""

_MEASURED: Final[frozenset[Kind]] = frozenset({"binary", "multiclass", "multilabel", "tagging"})
_TIMED: Final = 200  # samples
_TIMED_WHOLE: Final = 40
_WARMING: Final = 5


@dataclass(frozen=True)
class Compressed:
    """A smaller model, and what that gained and cost on the tuning samples.

    Attributes:
        trained: the new model.
        made: how, with figures before and after.
        without_ranges: why it does not say how sure it is, though the model it was made from did; None: it does.
    """

    trained: Trained
    made: Made
    without_ranges: Text2 | None = None


def compress(
    trained: Trained,
    to: str | Plan,
    *,
    most_lost: float | None = None,
    site: Site | None = None,
    seed: int = 0,
    **how: Any,
) -> Compressed:
    """Make a model smaller or faster; it answers by itself, in a package that names the one it was made from.

    What was around the model, a recalibration or ranges, is made anew from the `calibration` split; without one it
    is left off.

    Args:
        trained: the model and its samples.
        to: what to make of it: `onnx`, `int8`, `pruned` or `distilled`; or a plan.
        most_lost: of AUROC, or of the F1 of named places, on the tuning samples; what loses more is not kept. None:
            0.003, or 0.005.
        site: where the new model is to be kept, as the next version of its name.
        seed: of everything random.
        how: `method`, `share`, `size`, `epochs` and others of `Plan`; of a plan, what differs from it.

    Raises:
        InputError: there is no such way for this model, or too much is lost; nothing was kept then.
    """
    plan = replace(to, **how) if isinstance(to, Plan) else Plan(to, **how)
    plan.check()
    model = trained.model
    question = model.origin.question
    if question.kind not in _MEASURED:
        raise InputError(
            "what a smaller model of a {kind} question loses has no agreed measure yet", kind=question.kind
        )
    tags = question.kind == "tagging"
    agreed = (MOST_LOST_F1 if tags else MOST_LOST) if most_lost is None else most_lost
    train, tuning = (trained.samples.in_split(split) for split in ("train", "tuning"))
    _check_tagged(tuning) if tags else _check_measurable(tuning)
    inner = innermost(model)
    with _one_thread():
        smaller = _smaller(inner, plan, train, tuning, seed)
        made = Made(plan, figures(inner, tuning), figures(smaller, tuning), tuning.digest(), len(tuning))
    if not made.lost <= agreed:
        raise InputError(
            "made so, the model loses {lost:.4f} of its {what} ({before:.4f} to {after:.4f} on the tuning samples), "
            "more than the agreed {most}; it was not kept. Let less go, or agree to more: --most-lost",
            lost=made.lost,
            what="F1" if tags else "AUROC",
            before=made.before.worth,
            after=made.after.worth,
            most=agreed,
        )
    whole = CompressedModel(inner.origin, smaller, made, _digest(trained, site))
    around, why_not = _as_before(model, whole, trained.samples, seed)
    name = None if site is None else models.save(site.directory, around)
    return Compressed(replace(trained, model=around, name=name), made, why_not)


def figures(model: Model, samples: Samples) -> Figures:
    """Measure what a model costs, and how well it answers labelled samples; times are of this machine."""
    p50, p95 = (None, None)
    few = samples.among(range(min(_TIMED, len(samples))))
    if isinstance(model, Timed):
        p50, p95 = _times(model.asker(few), len(few))
    whole = _times(lambda place: model.predict(few.at(place)), min(_TIMED_WHOLE, len(few)))
    return Figures(size_of(model), p50, p95, *whole, **_answered(model, samples))


def _answered(model: Model, samples: Samples) -> dict[str, float]:
    """Tell how well labelled samples are answered."""
    if isinstance(model, Tagging):
        counted = evaluate_tagging(samples, model, replicates=1).cases
        assert counted is not None
        there, named, right = (float(counted[name].sum()) for name in ("there", "named", "right"))
        return {"f1": 2 * right / (there + named)}
    said, labels = model.predict(samples).matrix(model.origin.question.outputs), labels_as_numbers(samples)
    each = [
        tally(labels[:, place], said[:, place])
        for place in range(said.shape[1])
        if 0 < labels[:, place].mean() < 1
    ]
    return {
        "auroc": float(np.mean([float(auroc(one)) for one in each])),
        "ece": float(np.mean([float(ece(one)) for one in each])),
        "slope": float(np.mean([float(calibration_slope(one)) for one in each])),
    }


def size_of(model: Model) -> int:
    """Count the bytes of a model's package, and of what it shares with others."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary, "package")
        model.save(folder)
        own = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return own + model.shared_bytes


def _smaller(model: Model, plan: Plan, train: Samples, tuning: Samples, seed: int) -> Model:
    if plan.to == "distilled" and plan.way == "gbdt":
        return taught(model, train, tuning, seed)
    if not isinstance(model, Compressible):
        raise InputError(
            "models of learner {learner!r} cannot be made into {to}; those of networks over timelines, images and "
            "notes can",
            learner=model.origin.learner,
            to=plan.to,
        )
    return model.compressed(plan, train, tuning, seed)


def _as_before(
    model: Model, smaller: CompressedModel, samples: Samples, seed: int
) -> tuple[Model, Text2 | None]:
    """Put around the smaller model what was around the one it was made from."""
    aside = samples.in_split("calibration")
    around: Model = smaller
    wanted = [kind for kind in (CalibratedModel, ConformalModel) if layer(model, kind) is not None]
    if not wanted:
        return around, None
    if not len(aside):
        return around, text2(
            "the site sets no patients aside for calibration (split `calibration`), from whom ranges and "
            "recalibration could be learned anew"
        )
    if CalibratedModel in wanted:
        around = recalibrated(around, aside)
    return with_default_ranges(around, samples, seed) if ConformalModel in wanted else (around, None)


def _digest(trained: Trained, site: Site | None) -> str:
    """Name the package of the model that is made smaller."""
    if site is not None and trained.name is not None:
        return package.package_digest(models.directory(site.directory, trained.name))
    with TemporaryDirectory() as temporary:
        return trained.model.save(Path(temporary, "package"))


def _check_measurable(tuning: Samples) -> None:
    labels = labels_as_numbers(tuning) if len(tuning) else np.empty((0, 1))
    if not any(0 < column.mean() < 1 for column in labels.T if len(column)):
        raise InputError(
            "what is lost is measured on the tuning samples, of whom {n} are too few or all alike",
            n=len(tuning),
        )


def _check_tagged(tuning: Samples) -> None:
    labels = tuning.frame["label"].drop_nulls().to_list()
    if not any(spans_in(label) for label in labels):
        raise InputError(
            "what is lost is measured on the tuning samples, of whom {n} are too few or all alike",
            n=len(labels),
        )


def _times(ask: Callable[[int], object], n: int) -> tuple[float, float]:
    """Time single answers: median and 95th percentile, in ms."""
    taken = []
    for place in range(min(_WARMING, n)):
        ask(place)
    for place in range(n):
        begun = time.perf_counter()
        ask(place)
        taken.append(1000 * (time.perf_counter() - begun))
    p50, p95 = np.quantile(taken, [0.5, 0.95])
    return float(p50), float(p95)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch use one thread, so that times are compared alike."""
    from medloom.training.descent import has_torch

    if not has_torch():
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
