"""Charts of benchmark results for the pages: `python docs/refresh.py` draws them from `benchmarks/results`."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from medloom.foundation.charts import STYLE, Axis, Interval, Line, forest_plot, line_chart
from medloom.foundation.messages import Text2

_NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'
_FOLDS = {
    "gbdt": "gbdt",
    "gru-d": "gru-d",
    "transformer": "transformer",
    "timeline": "timeline",
    "fusion": "fusion of all",
}
_LABELS = (50, 100, 200, 500)
_FEW = {
    "timeline": "timeline, pretrained, LoRA",
    "scratch": "transformer, not pretrained",
    "gbdt": "gbdt",
    "logistic": "logistic",
}


def drawn(results: Path) -> dict[str, str]:
    """Draw every chart whose result is there: file name → SVG that stands by itself."""
    charts: dict[str, tuple[str, Callable[[dict[str, float]], str]]] = {
        "large-model-folds.svg": ("timeline", _folds),
        "large-model-few-labels.svg": ("few-labels", _few_labels),
    }
    found = {}
    for name, (bench, draw) in charts.items():
        path = results / f"{bench}.json"
        if path.is_file():
            found[name] = _alone(draw(json.loads(path.read_text(encoding="utf-8"))["figures"]))
    return found


def _folds(figures: dict[str, float]) -> str:
    def row(name: str, label: str) -> Interval:
        value, low, high = (figures[f"{name}.auroc{end}"] for end in ("", ".low", ".high"))
        note = f"{value:.3f} ({low:.3f}–{high:.3f})".replace("(0", "(").replace("–0", "–")
        return Interval(_same(label), value, low, high, _same(note))

    return forest_plot(
        _same("Death in hospital, PhysioNet 2012, five folds"),
        _same("AUROC of each learner with its 95 % interval; the dotted line is boosted trees."),
        [row(name, label) for name, label in _FOLDS.items()],
        Axis(_same("AUROC"), 0.82, 0.90),
        figures["gbdt.auroc"],
        620,
    )


def _few_labels(figures: dict[str, float]) -> str:
    def line(name: str, label: str) -> Line:
        mean = [figures[f"{n}.{name}.auroc"] for n in _LABELS]
        spread = [figures[f"{n}.{name}.auroc.sd"] for n in _LABELS]
        low, high = ([a + way * b for a, b in zip(mean, spread, strict=True)] for way in (-1, 1))
        return Line(_same(label), [math.log(n) for n in _LABELS], mean, low, high)

    ticks = [(math.log(n), str(n)) for n in _LABELS]
    return line_chart(
        _same("Few labels, PhysioNet 2012"),
        _same("Mean AUROC over ten draws of labelled stays, with one standard deviation."),
        [line(*one) for one in _FEW.items()],
        Axis(_same("labelled stays"), math.log(40), math.log(620), ticks=ticks),
        Axis(_same("AUROC"), 0.55, 0.85),
        width=560,
        height=330,
    )


def _same(text: str) -> Text2:
    return Text2(text, text)


def _alone(svg: str) -> str:
    style = STYLE.replace(".chart{", "svg.chart{background:var(--paper);", 1)
    return svg.replace("<svg ", f"<svg {_NAMESPACE} ", 1).replace(">", f"><style>{style}</style>", 1) + "\n"
