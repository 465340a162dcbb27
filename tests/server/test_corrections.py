"""What people said of an image, put together to an answer, and an answer written as codes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import medloom as ml
from medloom.foundation.errors import InputError
from medloom.server.corrections import ImageTask
from medloom.site import Site
from medloom.tasks.task import Task
from medloom.tasks.task_codes import TaskCodes

CODES = ("FINDING//edema", "FINDING//mass", "FINDING//nodule")
CLASSES = {"edema": ["FINDING//edema"], "mass": ["FINDING//mass", "FINDING//nodule"]}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that knows images and some findings."""
    made = ml.Site.create(tmp_path / "site")
    day, image = datetime(2024, 1, 1), made.record.assets().put(b"an image")
    rows: list[dict[str, Any]] = [{"code": "IMAGE//DX", "role": "image", "asset": image}]
    rows += [{"code": code, "role": "observation", "derived_from": image} for code in CODES]
    made.record.append(pl.DataFrame([{"patient": "P1", "time": day, **row} for row in rows]))
    return made


def asked(site: Site, kind: str, **predict: Any) -> ImageTask:
    task = Task.model_validate(
        {
            "name": "seen",
            "kind": kind,
            "title": {"en": "Seen", "zh": "所见"},
            "prediction_time": {"event": ["IMAGE//*"], "which": "every"},
            "predict": {"of": "image", **predict},
        }
    )
    return ImageTask(task, TaskCodes.resolve(task, site.record))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ([], None),
        (["FINDING//edema", "FINDING//mass"], ("edema", "mass")),
        (["FINDING//edema", "NOT//FINDING//edema", "FINDING//mass"], ("mass",)),
        (["NOT//FINDING//edema", "FINDING//edema"], ("edema",)),
        (
            ["FINDING//mass", "NOT//FINDING//nodule"],
            (),
        ),  # two codes of one name: the last word about the name
        (["NOT//FINDING//edema", "NOT//FINDING//mass"], ()),
    ],
)
def test_of_several_names_each_holds_whose_last_word_is_no_denial(
    site: Site, said: list[str], answer: tuple[str, ...] | None
) -> None:
    assert asked(site, "multilabel", classes=CLASSES).answer(said) == answer


def test_an_answer_of_several_names_denies_the_others_and_is_read_back_as_it_was(site: Site) -> None:
    one = asked(site, "multilabel", classes=CLASSES)
    said = one.codes_of(site, ("mass",))
    assert said == ["NOT//FINDING//edema", "FINDING//mass"]
    assert one.answer(said) == ("mass",)
    assert one.answer([*said, *one.codes_of(site, ())]) == ()
    with pytest.raises(InputError):
        one.codes_of(site, ("fracture",))


def test_of_one_name_and_of_yes_or_no_the_last_word_counts(site: Site) -> None:
    several = asked(site, "multiclass", classes=CLASSES)
    assert several.answer(["FINDING//edema", "FINDING//mass"]) == "mass"
    assert several.answer(["FINDING//edema", "FINDING//mass", "NOT//FINDING//mass"]) == "edema"
    plain = asked(site, "binary", event=["FINDING//edema"])
    assert plain.answer(["FINDING//edema", "NOT//FINDING//edema"]) is False
    assert plain.answer(["FINDING//mass"]) is False and plain.answer(["FINDING//edema"]) is True
