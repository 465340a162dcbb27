"""What was found out about drawn images, in words and a table, with some of them; and as a page in both languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medloom.evidence.generated_images import GeneratedEvidence
from medloom.evidence.pictures import picture_svg
from medloom.evidence.section import Figure, Said, Section, cell, table
from medloom.evidence.words import metric_name, split_name
from medloom.features.images import Pixels
from medloom.foundation.files import write_text
from medloom.foundation.messages import Text2, text2
from medloom.foundation.pages import render_page

_SIDE: Final = 96  # px of a picture, about
_GAP: Final = 4
_WHITE: Final = 255


@dataclass(frozen=True)
class Shown:
    """Drawn images of a class, and of each the nearest that was learned from.

    Attributes:
        name: of the class.
        drawn, nearest: (n, channels, height, width) of 8 bits.
    """

    name: str
    drawn: Pixels
    nearest: Pixels


def generated_section(found: GeneratedEvidence, shown: Sequence[Shown] = ()) -> Section:
    """Give it as a section."""
    alike = text2("the nearer to that of two halves of the real ones, the more alike")
    best = text2("the best to be hoped for with so many images")
    rows: list[tuple[Said, ...]] = [
        (text2("Fréchet distance, drawn to real"), f"{found.frechet:.2f}", alike),
        (text2("Fréchet distance, real to real"), f"{found.frechet_real:.2f}", best),
        (text2("kernel distance x 1,000, drawn to real"), f"{found.kernel:.2f}", alike),
        (text2("kernel distance x 1,000, real to real"), f"{found.kernel_real:.2f}", best),
        (
            text2("share nearer to an image learned from than 99 % of unseen ones"),
            found.copied,
            text2("0.01: as new images are; above: copies"),
        ),
        (
            text2("distance to the nearest image learned from, over that of unseen images"),
            found.distance_ratio,
            text2("1: no nearer than a new image is; well below 1: too near"),
        ),
        (
            text2("who was learned from, told by distance: AUROC"),
            found.membership,
            text2("0.5: an attacker guesses; above: patients can be told"),
        ),
    ]
    effect = found.effect
    if effect is not None:
        metric, split = metric_name(effect.metric), split_name(effect.split)
        where = Text2(
            *(text2("{metric}, {split} images", metric=metric[at], split=split[at])[at] for at in (0, 1))
        )
        rows += [
            (text2("learned from real images alone"), effect.without, where),
            (text2("learned from drawn ones too"), effect.with_drawn, where),
            (
                text2("difference"),
                effect.difference,
                text2("above 0: drawn images helped, on the same images"),
            ),
        ]
    heading = (text2("measure"), text2("value (95 % interval)"), text2("what it means"))
    return Section(
        "generated",
        text2("Drawn images beside real ones"),
        sentences=(
            *(found.doubts or (text2("Nothing was found that would tell who was learned from."),)),
            *found.cautions,
        ),
        figures=tuple(_figure(one) for one in shown),
        tables=(table(heading, [tuple(cell(one) for one in row) for row in rows], (2,)),),
        note=text2(
            "Distances are those of what a network trained on photographs (ImageNet) knows of images. These are attacks"
            " that were tried, no proof: a drawn image may still tell something of those it was learned from. A model"
            " stopped by the tuning images looks better on them than it is, with drawn images and without."
        ),
    )


def write_generated_page(path: Path, found: GeneratedEvidence, shown: Sequence[Shown] = ()) -> None:
    """Write the page, replacing it whole; it shows images of patients where some are `shown`."""
    names = {"train": text2("learned from"), "unseen": text2("unseen"), "drawn": text2("drawn")}
    html = render_page(
        "medloom.evidence",
        "sections.html.j2",
        "report.css",
        title=text2("Drawn images: likeness, privacy and worth"),
        facts=[(names[name], Text2(f"{n:,}", f"{n:,}")) for name, n in found.images.items()],
        kind=text2("Synthetic data"),
        sections=[generated_section(found, shown)],
    )
    write_text(path, html)


def _figure(one: Shown) -> Figure:
    name = text2("Class {name}", name=one.name)
    reading = text2(
        "Above: drawn; beneath each: the nearest that was learned from. The lower ones are images of patients, without"
        " their names: hand the page only to whom you would show them."
    )
    return Figure(name, picture_svg(_grid(one), name), reading)


def _grid(one: Shown) -> NDArray[np.uint8]:
    """Put pairs side by side, four a line: (height, width, 3)."""
    pairs = [
        _framed(np.concatenate([_colours(a), _colours(b)], 0))
        for a, b in zip(one.drawn, one.nearest, strict=True)
    ]
    across = min(4, len(pairs))
    pairs += [np.full_like(pairs[0], _WHITE)] * (-len(pairs) % across)
    lines = [np.concatenate(pairs[first : first + across], 1) for first in range(0, len(pairs), across)]
    return np.concatenate(lines, 0)


def _colours(pixels: Pixels) -> NDArray[np.uint8]:
    """Give an image (channels, height, width) as colours, as many times as large as comes near `_SIDE`."""
    times = max(1, _SIDE // max(pixels.shape[1:]))
    large = pixels.repeat(times, 1).repeat(times, 2)
    coloured = np.repeat(large, 3, 0) if len(large) == 1 else large[:3]
    return np.ascontiguousarray(coloured.transpose(1, 2, 0))


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(picture, ((0, 2 * _GAP), (0, _GAP), (0, 0)), constant_values=_WHITE)
