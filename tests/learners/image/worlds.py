"""Pictures of noise, some with a bright disc in them: what a network can learn in seconds, and where it must look."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from medloom import importers
from medloom.record.imaging.pictures import as_png
from medloom.site import Site
from medloom.tasks.samples import Samples

SIDE = 32
RADIUS = 5
TASKS = {
    "binary": "{of: image, event: [FINDING//disc]}",
    "multiclass": "{of: image, classes: {disc: [FINDING//disc], plain: [FINDING//plain]}}",
    "multilabel": "{of: image, classes: {disc: [FINDING//disc], plain: [FINDING//plain]}}",
}
_kept: list[TemporaryDirectory[str]] = []
_sites: dict[int, Site] = {}


def picture(disc: bool, seed: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Draw a picture (1, 32, 32), and tell where the middle of its disc is."""
    rng = np.random.default_rng(seed)
    grey = rng.normal(90, 20, (SIDE, SIDE))
    middle = tuple(int(n) for n in rng.integers(RADIUS, SIDE - RADIUS, 2))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    if disc:
        grey[(rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= RADIUS**2] += 90
    return np.clip(grey, 0, 255).astype(np.uint8)[None], (middle[0], middle[1])


def draw(folder: Path, n: int, first: int = 0) -> None:
    """Write n pictures, each of a patient of its own, in a folder a class."""
    for number in range(first, first + n):
        disc = number % 2 == 0
        path = folder / ("disc" if disc else "plain") / f"p{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_png(picture(disc, number)[0]))


def site_of(n: int = 160) -> Site:
    """Give a site with n pictures; made once."""
    if n not in _sites:
        _kept.append(TemporaryDirectory(prefix="medloom-pictures-"))
        root = Path(_kept[-1].name)
        draw(root / "pictures", n)
        site = Site.create(root / "site")
        site.record.add(importers.named("images", root / "pictures", modality="dx", patient="(p[0-9]+)"))
        for kind, predict in TASKS.items():
            (site.directory.tasks / f"disc-{kind}.yaml").write_text(
                f"name: disc-{kind}\nkind: {kind}\ntitle: {{en: Disc, zh: 圆盘}}\n"
                f"prediction_time: {{event: [IMAGE//DX], which: every}}\npredict: {predict}\n",
                encoding="utf-8",
            )
        _sites[n] = site
    return _sites[n]


def samples_of(kind: str = "binary", n: int = 160) -> Samples:
    """Ask each picture whether there is a disc on it."""
    return site_of(n).task(f"disc-{kind}").samples
