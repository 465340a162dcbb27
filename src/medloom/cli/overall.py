"""What a model rests on as a whole, told by `explain --overall`: importance, effects, a tree that stands for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from medloom.cli import screen
from medloom.cli.told import Names, Told
from medloom.evidence.words import metric_name
from medloom.explanation.asking import answer_scale
from medloom.explanation.deletion import ORDERS
from medloom.explanation.surrogate import fidelity_frame
from medloom.explanation.wording import amount
from medloom.foundation.messages import text2, tr

if TYPE_CHECKING:
    from medloom.api import Trained

OVERALL: Final = ("permutation", "ale", "surrogate", "deletion")
_SHOWN: Final = 12


@dataclass(frozen=True)
class Whole:
    """A model as a whole, and the answer that is explained; None: the only one there is."""

    trained: Trained
    names: Names
    output: str | None
    seed: int


def on_the_whole(how: str, whole: Whole, inputs: Sequence[str]) -> Told:
    """Explain a model in one of the ways of `OVERALL`; `inputs` are those of `ale`."""
    if how == "permutation":
        return _permutation(whole)
    if how == "deletion":
        return _deletion(whole)
    return _effects(whole, inputs) if how == "ale" else _surrogate(whole)


def _permutation(whole: Whole) -> Told:
    from medloom import explaining

    ranked = explaining.importance(whole.trained, seed=whole.seed)
    is_value = whole.trained.samples.question.kind == "regression"
    lost = text2("mean squared error") if is_value else metric_name("log_loss")

    def show() -> None:
        rows = [
            (screen.spoken(whole.names.input(row["input"])), *_with_interval(row))
            for row in ranked.head(_SHOWN).iter_rows(named=True)
        ]
        screen.table(
            [tr("input"), tr("how much larger the {loss} is without it", loss=screen.spoken(lost)), "95 %"],
            rows,
            right=[1, 2],
        )
        screen.say()
        screen.say(
            tr("Without it: each patient is given the values of another one. Judged on patients held out.")
        )

    return Told({"loss": "mean_squared_error" if is_value else "log_loss", "inputs": ranked.to_dicts()}, show)


def _with_interval(row: Mapping[str, float | None]) -> tuple[str, str]:
    value, low, high = row["importance"], row["low"], row["high"]
    return (
        "–" if value is None else f"{value:+.4f}",
        "–" if low is None or high is None else f"{low:+.4f} … {high:+.4f}",
    )


def _effects(whole: Whole, inputs: Sequence[str]) -> Told:
    from medloom import explaining

    found = explaining.effects(whole.trained, inputs, output=whole.output, seed=whole.seed)
    question = whole.trained.samples.question
    shares = question.kind != "regression"

    def moved(effect: float) -> str:
        return f"{100 * effect:+.1f}" if shares else f"{effect:+.3g}"

    def show() -> None:
        rows = []
        for one in found:
            unit = whole.names.unit(one.input)
            ends = [screen.spoken(amount(float(edge), unit)) for edge in (one.edges[0], one.edges[-1])]
            rows.append(
                (
                    screen.spoken(whole.names.input(one.input)),
                    f"{ends[0]} … {ends[1]}",
                    moved(float(one.effect[0])),
                    moved(float(one.effect[-1])),
                    moved(float(one.effect.max() - one.effect.min())).lstrip("+"),
                )
            )
        heads = [tr("input"), tr("from … to"), tr("at the low end"), tr("at the high end"), tr("moves by")]
        screen.table(heads, rows, right=[2, 3, 4])
        screen.say()
        screen.say(
            tr("In points of probability, against the average (accumulated local effects).")
            if shares
            else tr("In the unit of the answer, against the average (accumulated local effects).")
        )

    content = [
        {
            "input": one.input,
            "output": one.output,
            "edges": one.edges.tolist(),
            "effect": one.effect.tolist(),
            "low": one.low.tolist(),
            "high": one.high.tolist(),
            "samples": one.histogram[1].tolist(),
        }
        for one in found
    ]
    return Told({"scale": answer_scale(question), "effects": content}, show)


def _deletion(whole: Whole) -> Told:
    from medloom import explaining

    found = explaining.deletion(whole.trained, output=whole.output, seed=whole.seed)
    areas, scale = found.areas(), found.scale

    def show() -> None:
        rows = [
            (
                tr("its own reasons") if row["method"] == "own" else tr("attention rollout"),
                *(f"{row[order]:.3f}" for order in ORDERS),
                f"{row['ahead']:+.3f}",
                _ends(row["low"], row["high"]),
            )
            for row in areas.iter_rows(named=True)
        ]
        heads = [
            tr("reasons"),
            tr("strongest first"),
            tr("at random"),
            tr("weakest first"),
            tr("strongest first, above random"),
            "95 %",
        ]
        screen.table(heads, rows, right=[1, 2, 3, 4, 5])
        screen.say()
        screen.say(
            tr(
                "How far the answers of {n:,} patients' samples move ({scale}), on average over the share of facts"
                " taken away. Where reasons hold, answers move soonest if the strongest go first.",
                n=len(found.subjects),
                scale=scale,
            )
        )

    content = {"scale": scale, "areas": areas.to_dicts(), "curves": found.curves().to_dicts()}
    return Told(content, show)


def _ends(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:+.3f} … {high:+.3f}"


def _surrogate(whole: Whole) -> Told:
    from medloom import explaining

    found = explaining.surrogate(whole.trained, seed=whole.seed)
    question = whole.trained.samples.question
    followed = fidelity_frame(found, question.outputs)

    def show() -> None:
        screen.say(
            explaining.surrogate_rules(
                whole.trained, found, lambda name: screen.spoken(whole.names.input(name))
            )
        )
        screen.say()
        for output, r2, low, high in followed.iter_rows():
            screen.say(
                tr(
                    "{output}: the rules cannot be judged on {n:,} held-out samples.",
                    output=output,
                    n=found.judged,
                )
                if r2 is None
                else tr(
                    "{output}: the rules follow the model with R² {r2:.2f} ({low:.2f} to {high:.2f}) on {n:,} held-out"
                    " samples.",
                    output=output,
                    r2=r2,
                    low=low if low is not None else float("nan"),
                    high=high if high is not None else float("nan"),
                    n=found.judged,
                )
            )
        if found.agreement is not None:
            screen.say(tr("They decide as the model does for {share:.0%}.", share=found.agreement))

    content = {
        "fidelity": followed.to_dicts(),
        "agreement": found.agreement,
        "judged": found.judged,
        "rules": explaining.surrogate_rules(whole.trained, found),
    }
    return Told(content, show)
