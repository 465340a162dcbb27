"""The verbs that ask what remains of a model when things are not as they were, and who is unlike its patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medloom.api import Trained, asked_samples
from medloom.evidence.changes import Asked, Shown
from medloom.evidence.perturbation import Facts, Floats
from medloom.evidence.places_robustness import found_otherwise, outlined_otherwise
from medloom.evidence.robustness import Robustness
from medloom.evidence.robustness import robustness as try_all
from medloom.explaining import asked, can_be_asked, flags_of
from medloom.explanation.asking import Inputs, by_code, table_of
from medloom.explanation.unlike import Unlike, unlike_in_words
from medloom.explanation.wording import readable
from medloom.foundation.errors import InputError
from medloom.foundation.messages import Text2, text2
from medloom.foundation.seeds import generator
from medloom.learners.survival.model import SurvivalModel
from medloom.learners.windowed import WindowedModel
from medloom.places import find_by, outline_by
from medloom.tasks.kinds import Split
from medloom.tasks.model import Model
from medloom.tasks.samples import Samples
from medloom.training.inputs import batches, dense_inputs
from medloom.training.novelty import FEWEST, Novelty, Representing
from medloom.training.wrapping import innermost

if TYPE_CHECKING:
    import pandas as pd

    from medloom.features.acquisition import Shift

_MOST: Final = 1000  # samples whose inputs are changed
_MOST_SLOWLY: Final = 500  # where answers take longer: support vectors, networks, many trees of curves
_LEARNED_FROM: Final = 2000  # training samples, for standard deviations
_AT_ONCE: Final = 5000
_UNUSUAL: Final = pl.Schema(
    [
        ("sample_id", pl.Int64()),
        ("percentile", pl.Float64()),
        ("inputs", pl.List(pl.String)),
        ("values", pl.List(pl.Float64)),
    ]
)


def robustness(
    trained: Trained,
    split: Split = "held_out",
    *,
    threshold: float | None = None,
    descriptions: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    most: int | None = None,
    replicates: int = 200,
    seed: int = 0,
    today: datetime | None = None,
) -> Robustness:
    """Try a model: with facts withheld, values off, wrong units, other prevalence, later time, unusual patients.

    One that outlines structures or finds objects is tried with images taken otherwise, of some dozen images.

    Args:
        trained: the model and its samples.
        split: which samples.
        threshold: of a risk; None: the share of training patients with the outcome.
        descriptions, units: of codes, for names and for unit errors; None: as agreed for codes that are known.
        most: so many samples' inputs, or images, are changed at most; None: as the model is quick.
        replicates: of the bootstrap over subjects.
        seed: of everything random.
        today: no real date is later; None: now.

    Raises:
        InputError: the split is empty.

    >>> import polars as pl
    >>> from medloom import train
    >>> frame = pl.DataFrame({"x": [float(i % 97) for i in range(400)], "ill": [i % 97 > 48 for i in range(400)]})
    >>> found = robustness(train(frame, "logistic", label="ill", ranges=False), replicates=20)
    >>> found.worst.name.en, found.worst.difference.value < -0.2
    ('without x', True)
    """
    samples = trained.samples.in_split(split)
    if not len(samples):
        raise InputError(
            "there are no samples in split {split!r} of task {task!r}",
            split=split,
            task=samples.question.task,
        )
    if samples.question.kind == "segmentation":
        return outlined_otherwise(samples, outline_by(trained), most=most, replicates=replicates, seed=seed)
    if samples.question.kind == "detection":
        return found_otherwise(samples, find_by(trained), most=most, replicates=replicates, seed=seed)
    slow = (
        trained.model.explains_slowly
        or samples.question.kind == "survival"
        or samples.question.about == "image"
    )
    usual = (
        trained.samples.in_split("train").frame["label"].mean() if samples.question.kind == "binary" else None
    )
    return try_all(
        samples,
        trained.predict(samples),
        tried(trained, seed),
        _percentiles(trained.model, samples),
        threshold=threshold if threshold is not None or not isinstance(usual, float) else usual,
        descriptions=descriptions,
        units=units,
        most=most or (_MOST_SLOWLY if slow else _MOST),
        replicates=replicates,
        seed=seed,
        today=today,
    )


def unusual(
    trained: Trained | Model, what: Samples | pl.DataFrame | pd.DataFrame, *, named: int = 3
) -> pl.DataFrame:
    """Tell how unlike the patients a model learned from others are, and what makes them so.

    Args:
        trained: the model.
        what: samples, or rows of a table.
        named: so many inputs at most.

    Returns:
        `sample_id`; `percentile`: how many of 100 training patients are closer to their middle; `inputs` and `values`:
        what adds most to the distance, one input a code, the strongest first; a null: that nothing is known of it.
            Models that sum a patient up in numbers of their own name none.

    Raises:
        InputError: the model does not know, having learned from fewer than 50 patients.

    >>> from medloom import train
    >>> frame = pl.DataFrame({"x": [i % 97 for i in range(400)], "ill": [i % 97 > 48 for i in range(400)]})
    >>> model = train(frame, "tree", label="ill", ranges=False).model
    >>> found = unusual(model, pl.DataFrame({"x": [50, 9000]}))
    >>> found["percentile"].to_list()[0] < 50 < 99 < found["percentile"].to_list()[1], found["inputs"][1].to_list()
    (True, ['x'])
    """
    model = trained.model if isinstance(trained, Trained) else trained
    inner = innermost(model)
    if isinstance(inner, Representing) and inner.novelty is not None:
        return _unusual_on_the_whole(inner, inner.novelty, asked_samples(model, what))
    if not isinstance(inner, WindowedModel) or inner.novelty is None:
        raise InputError(
            "this model does not tell how unusual a patient is; train it again, with {n} patients or more",
            n=FEWEST,
        )
    samples = asked_samples(model, what)
    names, codes = inner.features.names, inner.features.codes
    groups, _ = by_code(names, codes)
    frames = [_UNUSUAL.to_frame()]
    for part, x in batches(inner.features, samples, _AT_ONCE):
        percentile, parts = inner.novelty.of(x)
        rows = [_strongest(one, groups, named) for one in parts]
        frames.append(
            pl.DataFrame(
                {
                    "sample_id": part.frame["sample_id"],
                    "percentile": percentile,
                    "inputs": [[names[at] for at in row] for row in rows],
                    "values": [
                        [None if np.isnan(x[place, at]) else float(x[place, at]) for at in row]
                        for place, row in enumerate(rows)
                    ],
                },
                schema=_UNUSUAL,
            )
        )
    return pl.concat(frames)


def tells_unusual(model: Model) -> bool:
    """Tell whether a model knows how unusual a patient is."""
    inner = innermost(model)
    return isinstance(inner, WindowedModel | Representing) and inner.novelty is not None


def unlike(
    trained: Trained, sample: Samples, descriptions: Mapping[str, str], units: Mapping[str, str]
) -> Unlike | None:
    """Say how unlike the patients the model learned from one patient is; None: the model does not know.

    Args:
        trained: the model.
        sample: exactly one.
        descriptions, units: of codes, from the record's catalogue.
    """
    if not tells_unusual(trained.model):
        return None
    _, percentile, inputs, values = unusual(trained, sample).row(0)
    because = [readable(name, value, descriptions, units) for name, value in zip(inputs, values, strict=True)]
    return unlike_in_words(percentile, because)


def tried(trained: Trained, seed: int = 0) -> Asked | Shown | Text2:
    """Give a model as it is tried, or say why it cannot be asked about changed inputs."""
    inner = innermost(trained.model)
    learned = trained.samples.in_split("train")
    if trained.samples.question.about == "image":
        return _shown(trained)
    if not len(learned):
        return text2("there are no training samples, whose spread says how far off a value could be")
    if isinstance(inner, SurvivalModel):
        within = inner

        def lost(x: Inputs) -> Floats:
            prepared = x if within.preparation is None else within.preparation.transform(x)
            return within.estimator.curves(prepared).time_lost()

        return Asked(_inputs(within), lost, lost, _facts(within, learned, seed))
    if not can_be_asked(trained.model):
        return text2("the model cannot be asked about changed inputs")
    outer, within_asked = asked(trained.model), asked(inner)
    return Asked(
        lambda samples: dense_inputs(outer.inputs(samples).values),
        outer.answer,
        within_asked.answer,
        _facts(inner, learned, seed),
    )


def _unusual_on_the_whole(model: Representing, novelty: Novelty, samples: Samples) -> pl.DataFrame:
    percentile, _ = novelty.of(model.represent(samples))
    nothing: list[list[object]] = [[] for _ in range(len(samples))]
    columns = {"sample_id": samples.frame["sample_id"], "percentile": percentile}
    return pl.DataFrame({**columns, "inputs": nothing, "values": nothing}, schema=_UNUSUAL)


def _percentiles(model: Model, samples: Samples) -> Floats | Text2:
    if not tells_unusual(model):
        return text2("the model does not tell how unusual a patient is")
    return unusual(model, samples, named=0)["percentile"].to_numpy()


def _strongest(parts: Floats, groups: NDArray[np.int64], named: int) -> list[int]:
    """Choose the inputs that add most to a distance: of each code its strongest, where it adds a tenth or more."""
    added = np.bincount(groups, parts)
    whole = max(float(parts.sum()), 1e-12)
    order = np.argsort(-added, kind="stable")[:named]
    return [
        int(np.flatnonzero(groups == group)[parts[groups == group].argmax()])
        for group in order.tolist()
        if added[group] >= 0.1 * whole
    ]


def _shown(trained: Trained) -> Shown:
    from medloom.features.acquisition import shifts

    def changing(shift: Shift) -> Callable[[Samples], Samples]:
        return lambda samples: samples.changing(shift)

    outputs = trained.samples.question.outputs
    return Shown(
        lambda samples: trained.model.predict(samples).matrix(outputs),
        [(one.name, one.strength, changing(one)) for one in shifts()],
    )


def _inputs(model: SurvivalModel) -> Callable[[Samples], Inputs]:
    return lambda samples: dense_inputs(model.inputs(samples).values)


def _facts(model: Model, learned: Samples, seed: int) -> Facts:
    if len(learned) > _LEARNED_FROM:
        kept = np.sort(generator(seed, "learned from").permutation(len(learned))[:_LEARNED_FROM])
        learned = learned.where(pl.int_range(pl.len()).is_in(kept.tolist()))
    table = table_of(model, learned)  # type: ignore[arg-type]
    return Facts.of(table.names, table.codes, table.x, flags_of(model))
