"""How fast images are answered about: a graph beside PyTorch, and a CT series from its files to an answer."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from medloom.cli.bench import Bench

SIDE: Final = 224
REPEATS: Final = 40
SLICES: Final = 200


def run(bench: Bench) -> None:
    """Time DenseNet-121 in both forms on one thread; then read and answer a series of 200 slices."""
    bench.data["generated"] = {"densenet_px": SIDE, "ct": [SLICES, 512, 512]}
    for part in ("densenet", "series"):
        done = subprocess.run(
            [sys.executable, "-P", __file__, part, str(bench.seed)],
            check=True,
            capture_output=True,
            text=True,
        )
        bench.figures |= json.loads(done.stdout.splitlines()[-1])


def densenet(seed: int) -> dict[str, float]:
    """Time DenseNet-121 of 224 px, one image at a time, on one thread, all forms in turn: median of 40 after 5."""
    import torch

    from medloom.learners.image.bodies import DenseNetBody
    from medloom.learners.image.network import ImageNetwork
    from medloom.training.compression.graphs import as_graph, in_8_bits

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = ImageNetwork(DenseNetBody(2, 1), 1).eval()
    x = torch.rand(1, 1, SIDE, SIDE)
    graph = as_graph(network, {"image": x}, {}, ["scores"])
    examples = [{"image": torch.rand(1, 1, SIDE, SIDE).numpy()} for _ in range(8)]
    coarse = in_8_bits(graph, "static", examples)
    arrays = {"image": x.numpy()}

    def eager() -> Any:
        with torch.inference_mode():
            return network(x).numpy()

    apart = float(np.abs(eager() - graph.run(arrays)).max())
    assert apart < 1e-3, apart
    one, other, third = _medians(eager, lambda: graph.run(arrays), lambda: coarse.run(arrays))
    return {
        "densenet121.eager_s": one,
        "densenet121.onnx_s": other,
        "densenet121.onnx_int8_s": third,
        "densenet121.onnx_vs_eager": one / other,
        "densenet121.onnx_int8_vs_eager": one / third,
    }


def series(seed: int) -> dict[str, float]:
    """Import a CT of 200 slices, then read it and answer about it; memory is of this process, before and after."""
    from _ct_series import write_series  # type: ignore[import-not-found]  # beside this one

    from medloom import importers
    from medloom.features.images import Framing, image_of
    from medloom.learners.image.classifiers import CnnLearner
    from medloom.learners.image.network import ImageNetwork, scores_of
    from medloom.site import Site
    from medloom.tasks.unlabelled_images import images

    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder) / "ct", SLICES, seed)
        site = Site.create(Path(folder) / "site")
        site.record.add(importers.named("dicom", Path(folder) / "ct"))
        samples = images(site.record)
        learner = CnnLearner(size=64, width=8)
        import torch

        torch.set_num_threads(1)
        framing = Framing((64, 64, 64), 1, -1000.0, 1000.0, "HU")
        network = ImageNetwork(learner.body(framing, learner.built(framing)), 1).eval()
        scores_of(network, torch.zeros(1, 1, 64, 64, 64), 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.perf_counter()
        image = image_of(samples, 0)
        scores_of(network, torch.from_numpy(framing.framed(image))[None], 1)
        seconds = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert image.shape == (SLICES, 512, 512)
        stored = SLICES * 512 * 512 * 2 / 2**20
    return {
        "series.read_and_predict_s": seconds,
        "series.more_memory_mb": (after - before) / 1024,
        "series.stored_mb": stored,
        "series.memory_vs_stored": (after - before) / 1024 / stored,
    }


def _medians(*works: Callable[[], Any]) -> list[float]:
    """Time pieces of work in turn, so that what disturbs one disturbs the others."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(REPEATS + 5):
        for work, taken in zip(works, times, strict=True):
            begun = time.perf_counter()
            work()
            if number >= 5:
                taken.append(time.perf_counter() - begun)
    return [float(np.median(taken)) for taken in times]


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))
    print(json.dumps({"densenet": densenet, "series": series}[sys.argv[1]](int(sys.argv[2]))))
