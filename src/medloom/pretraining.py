"""The verbs of encoders: pretrain one without labels, and answer by the futures it samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloom.foundation import registry
from medloom.foundation.errors import InputError
from medloom.foundation.files import remove
from medloom.record.record import Record
from medloom.site import Site, SiteTask
from medloom.tasks import encoders
from medloom.tasks.kinds import Split
from medloom.tasks.library import find
from medloom.tasks.predictions import Predictions
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task
from medloom.tasks.timelines import NAME, timelines
from medloom.tasks.unlabelled import IMAGES, NOTES
from medloom.training.descent import check_torch

if TYPE_CHECKING:
    from medloom.learners.image.pretraining import ImageEncoder
    from medloom.learners.text.pretraining import NoteEncoder
    from medloom.learners.timeline.pretraining import Encoder


def pretrain(
    what: Site | Record,
    name: str = NAME,
    task: str | Task | None = None,
    *,
    objective: str = "next-event+time-to-event",
    size: str = "nano",
    step: float | None = 0.0,
    most: int = 512,
    recompute: bool = False,
    seed: int = 0,
    noted: Callable[[int, float, float | None], None] | None = None,
    **schedule: Any,
) -> Encoder:
    """Learn from whole timelines, without labels, what `train(..., "timeline", encoder=...)` starts from.

    Args:
        what: a site, which keeps the encoder (interrupted, the same call goes on where it stopped); or a record, whose
            encoder is kept by its `save`.
        name: of the site's encoder, of which this is the next version.
        task: whose split decides who is learned from; None: the record's.
        objective: `next-event`, `masked`, `time-to-event` or `contrastive`; several are joined by `+`.
        size: of the body: `nano` to `xl`.
        step: hours whose facts are read together; 0: those of one moment; None: each fact.
        most: steps of a timeline that are read at most.
        recompute: keep less in memory and work it out twice: the same numbers, slower.
        seed: of everything random.
        noted: called at each judgement with step, loss, and loss on the tuning split.
        schedule: how long and how fast: `epochs`, `batch`, `learning_rate` and others of `Schedule`.

    Raises:
        InputError: an objective or a size has another name, or a training of the same name and other settings began.
        NotFoundError: there is no such task.
    """
    check_torch("timeline")
    from medloom.learners.timeline.pretraining import Pretraining
    from medloom.learners.timeline.pretraining import pretrain as learn

    site = what if isinstance(what, Site) else None
    if isinstance(task, str):
        task = find(task, None if site is None else site.directory)
    samples = timelines(what.record if isinstance(what, Site) else what, None if task is None else task.split)
    how = Pretraining(objective, size, step, most, recompute=recompute)
    work = None if site is None else encoders.unfinished(site.directory, name)
    made = learn(
        samples.in_split("train"),
        samples.in_split("tuning"),
        replace(how, schedule=replace(how.schedule, **schedule)),
        seed=seed,
        folder=work,
        noted=noted,
    )
    if site is None or work is None:
        return made
    kept = encoders.save(site.directory, name, made)
    remove(work)
    return replace(encoder_of(str(kept), site), course=made.course)


def pretrain_images(
    site: Site,
    learner: str = "cnn",
    name: str = IMAGES,
    *,
    images: Sequence[str] = ("IMAGE//*",),
    task: str | Task | None = None,
    objective: str = "distilled",
    schedule: Mapping[str, Any] | None = None,
    seed: int = 0,
    **parameters: Any,
) -> ImageEncoder:
    """Learn from a site's images, without labels, what `train(..., learner, start=name)` starts from.

    Args:
        site: which keeps the encoder; interrupted, the same call goes on where it stopped.
        learner: of images, whose body is taught; with `parameters`.
        name: of the site's encoder, of which this is the next version.
        images: their codes; `*` at the end matches any ending.
        task: whose split decides who is learned from; None: the record's.
        objective: `distilled`, or `masked` of learner `vit`.
        schedule: how long and how fast: `epochs`, `batch`, `learning_rate` and others of `Schedule`.
        seed: of everything random.

    Raises:
        InputError: the learner reads no images, the record has none, or there is no such objective.
        NotFoundError: there is no such learner or task.
    """
    check_torch(learner)
    from medloom.learners.image.learner import ImageLearner
    from medloom.learners.image.pretraining import SCHEDULE
    from medloom.learners.image.pretraining import pretrain as learn
    from medloom.tasks.unlabelled import images as unlabelled

    kind = registry.load("medloom.learners", learner)
    if not issubclass(kind, ImageLearner):
        raise InputError(
            "learner {learner!r} is not taught by images without labels; cnn, efficientnet, densenet, resnet, vit are",
            learner=learner,
        )
    encoders.check_name(name)
    found = find(task, site.directory) if isinstance(task, str) else task
    samples = unlabelled(site.record, images, None if found is None else found.split)
    work = encoders.unfinished(site.directory, name)
    made = learn(
        kind(**parameters),
        samples.in_split("train"),
        samples.in_split("tuning"),
        objective=objective,
        schedule=replace(SCHEDULE, **(schedule or {})),
        seed=seed,
        folder=work,
    )
    encoders.save(site.directory, name, made)
    remove(work)
    return made


def pretrain_notes(
    site: Site,
    name: str = NOTES,
    *,
    start: str = "minilm",
    notes: Sequence[str] = ("NOTE//*",),
    task: str | Task | None = None,
    schedule: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> NoteEncoder:
    """Go on with an encoder's pretraining on a site's notes: what `train(..., "encoder", start=name)` starts from.

    Args:
        site: which keeps the encoder; interrupted, the same call goes on where it stopped.
        name: of the site's encoder, of which this is the next version.
        start: the encoder that it goes on from: `minilm`, or a folder.
        notes: their codes; `*` at the end matches any ending.
        task: whose split decides who is learned from; None: the record's.
        schedule: how long and how fast: `epochs`, `batch`, `learning_rate` and others of `Schedule`.
        seed: of everything random.

    Raises:
        InputError: there is no such encoder, its vocabulary has no token that masks, or the record has no such note.
        NotFoundError: there is no such task.
    """
    check_torch("encoder")
    from medloom.learners.text.pretraining import SCHEDULE
    from medloom.learners.text.pretraining import pretrain as learn
    from medloom.tasks.unlabelled import notes as unlabelled

    encoders.check_name(name)
    found = find(task, site.directory) if isinstance(task, str) else task
    samples = unlabelled(site.record, notes, None if found is None else found.split)
    work = encoders.unfinished(site.directory, name)
    how = replace(SCHEDULE, **(schedule or {}))
    made = learn(samples.in_split("train"), start, schedule=how, seed=seed, folder=work)
    encoders.save(site.directory, name, made)
    remove(work)
    return made


def zero_shot(
    encoder: str | Path | Encoder,
    what: SiteTask | Samples,
    task: str | Task | None = None,
    *,
    split: Split | None = None,
    futures: int = 100,
    temperature: float = 1.0,
    above: float | None = None,
    seed: int = 0,
) -> Predictions:
    """Answer a task without learning from its labels: sample futures of each patient, and count them.

    Args:
        encoder: pretrained by next-event, fact by fact: the name of a site's, the folder of a package, or the encoder.
        what: a site's task, or samples.
        task: of samples: what is counted; of a site's task it is that one.
        split: which samples; None: all.
        futures: of each sample; `low` and `high` of the answers are the 95 % interval of this counting.
        temperature: 1: futures as likely as the encoder says.
        above: of a task about a value: answer how likely it is to lie above this.
        seed: of what is drawn.

    Raises:
        InputError: the encoder does not foresee fact after fact, or the task cannot be counted.
        LeakageError: the encoder was pretrained under another split.
        NotFoundError: there is no such encoder.
    """
    check_torch("timeline")
    from medloom.learners.timeline.zero_shot import zero_shot as count_futures

    site = what.site if isinstance(what, SiteTask) else None
    samples = what.samples if isinstance(what, SiteTask) else what
    asked = samples.question.task if task is None else task
    return count_futures(
        encoder_of(encoder, site),
        samples if split is None else samples.in_split(split),
        find(asked, None if site is None else site.directory) if isinstance(asked, str) else asked,
        futures=futures,
        temperature=temperature,
        above=above,
        seed=seed,
    )


def encoder_of(named: str | Path | Encoder, site: Site | None = None) -> Encoder:
    """Load a site's encoder by its name, or the one in a folder; raises as `zero_shot`."""
    from medloom.learners.timeline.pretraining import Encoder, load_encoder

    if isinstance(named, Encoder):
        return named
    return load_encoder(encoders.place_of(named, None if site is None else site.directory))
