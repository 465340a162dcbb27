"""Which relations hold between entities that are known: a linear model and boosted trees over clues, by their mean."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from medloom.foundation.errors import InputError
from medloom.foundation.files import write_text
from medloom.learners.text.relating.clues import Clues, Pair, Rule, pairs_of
from medloom.tasks.relations import Entity, Related, Relation, entities_in, relations_in
from medloom.tasks.samples import Samples

if TYPE_CHECKING:
    import lightgbm
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]

_FOLDS: Final = 5
_GRID: Final = np.arange(0.1, 0.91, 0.02)
_FEWEST: Final = 10  # pairs that are related, and that are not, to learn from
_SPECIFICATION: Final = "pairs.json"
_TREES: Final = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_child_samples": 10,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "verbose": -1,
    "deterministic": True,
}


@dataclass(frozen=True)
class Relator:
    """Tells how sure it is of one relation.

    Attributes:
        columns: clue → its column.
        scale: (columns,) what each clue is divided by.
        weights: (columns,) of the linear model.
        level: of the linear model.
        trees: LightGBM's.
        threshold: how sure it has to be to name the relation.
    """

    columns: dict[str, int] = field(repr=False)
    scale: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    level: float
    trees: lightgbm.Booster = field(repr=False)
    threshold: float

    def sure(self, clues: Sequence[Clues]) -> Floats:
        """Tell how sure it is of pairs: (n,)."""
        if not clues:
            return np.zeros(0)
        x = _table(clues, self.columns)
        linear = 1 / (1 + np.exp(-(x.multiply(1 / self.scale).tocsr() @ self.weights + self.level)))
        boosted = np.asarray(self.trees.predict(x), np.float64)
        found: Floats = (linear + boosted) / 2
        return found


@dataclass(frozen=True)
class Relators:
    """Names relations between entities that are known.

    Attributes:
        rules: relations, each with the names of what it is from and to.
        each: what tells of each; None: the notes that were learned from had too few.
    """

    rules: tuple[Rule, ...]
    each: tuple[Relator | None, ...]

    def relate(self, texts: Sequence[str], entities: Sequence[Sequence[Entity]]) -> list[tuple[Related, ...]]:
        """Name relations between entities of texts."""
        return [self._related(text, some) for text, some in zip(texts, entities, strict=True)]

    def save(self, folder: Path) -> None:
        """Write it: clues and weights as text; nothing in it is run when it is read."""
        folder.mkdir(parents=True, exist_ok=True)
        told = []
        for number, one in enumerate(self.each):
            told.append(None if one is None else _described(one))
            if one is not None:
                write_text(folder / _file(number), one.trees.model_to_string())
        content = {"rules": self.rules, "each": told}
        write_text(folder / _SPECIFICATION, json.dumps(content, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Relators:
        """Read what `save` wrote."""
        import lightgbm

        content = json.loads((folder / _SPECIFICATION).read_text(encoding="utf-8"))
        each = [
            None
            if told is None
            else Relator(
                {clue: place for place, clue in enumerate(told["clues"])},
                np.array(told["scale"], np.float64),
                np.array(told["weights"], np.float64),
                told["level"],
                lightgbm.Booster(model_str=(folder / _file(number)).read_text(encoding="utf-8")),
                told["threshold"],
            )
            for number, told in enumerate(content["each"])
        ]
        return cls(tuple((name, head, tail) for name, head, tail in content["rules"]), tuple(each))

    def _related(self, text: str, entities: Sequence[Entity]) -> tuple[Related, ...]:
        pairs = list(pairs_of(text, entities, self.rules))
        found = []
        for number, one in enumerate(self.each):
            mine = [pair for pair in pairs if number in pair.rules]
            if one is None or not mine:
                continue
            for pair, sure in zip(mine, one.sure([pair.clues for pair in mine]), strict=True):
                if sure >= one.threshold:
                    relation = Relation(self.rules[number][0], entities[pair.head], entities[pair.tail])
                    found.append(Related(relation, float(sure)))
        return tuple(sorted(found, key=lambda one: one.relation))


def learned(samples: Samples, seed: int = 0, least: int = 5, strength: float = 0.1) -> Relators:
    """Learn which relations hold between the entities that people named.

    How sure it has to be is chosen where F1 is best on five parts of the patients that others were learned from for.

    Args:
        samples: of a question of relations.
        seed: of the trees, and of the five parts.
        least: patients whose notes a clue must occur in.
        strength: of the linear model: the less, the more its weights are shrunk.

    Raises:
        InputError: no note names two places that a relation may hold between.
    """
    rules = samples.question.relations
    rows: list[tuple[int, Pair, frozenset[tuple[int, int, int]]]] = []
    labels = samples.frame["label"].to_list()
    for group, text, label in zip(samples.groups.tolist(), samples.texts(), labels, strict=True):
        if label is None:
            continue
        entities = entities_in(label)
        there = _there(label, entities, rules)
        rows += [(group, pair, there) for pair in pairs_of(text, entities, rules)]
    if not rows:
        raise InputError("no note to learn from names two places that a relation may hold between")
    each = []
    for number in range(len(rules)):
        mine = [(group, pair, there) for group, pair, there in rows if number in pair.rules]
        groups = np.array([group for group, _, _ in mine], np.int64)
        holds = np.array([(pair.head, pair.tail, number) in there for _, pair, there in mine], np.bool_)
        each.append(_learned([pair.clues for _, pair, _ in mine], holds, groups, seed, least, strength))
    return Relators(rules, tuple(each))


def _learned(
    clues: Sequence[Clues],
    holds: NDArray[np.bool_],
    groups: NDArray[np.int64],
    seed: int,
    least: int,
    strength: float,
) -> Relator | None:
    related = int(holds.sum())
    if related < _FEWEST:
        return None
    if len(holds) - related < _FEWEST:  # what is named together is related
        return _fitted(clues, holds, groups, seed, least, strength, 0.5)
    parts = np.random.default_rng(seed).permutation(len(np.unique(groups))) % _FOLDS
    part = parts[np.unique(groups, return_inverse=True)[1]]
    sure = np.zeros(len(holds))
    for held in range(_FOLDS):
        chosen = np.flatnonzero(part != held).tolist()
        if 0 < holds[chosen].sum() < len(chosen):
            some = [clues[place] for place in chosen]
            one = _fitted(some, holds[chosen], groups[chosen], seed, least, strength, 0.5)
            sure[part == held] = one.sure([clues[place] for place in np.flatnonzero(part == held).tolist()])
    f1 = [2 * (holds & (sure >= at)).sum() / (related + (sure >= at).sum()) for at in _GRID]
    return _fitted(clues, holds, groups, seed, least, strength, float(_GRID[int(np.argmax(f1))]))


def _fitted(
    clues: Sequence[Clues],
    holds: NDArray[np.bool_],
    groups: NDArray[np.int64],
    seed: int,
    least: int,
    strength: float,
    threshold: float,
) -> Relator:
    import lightgbm
    from sklearn.linear_model import LogisticRegression

    known = {(clue, group) for some, group in zip(clues, groups.tolist(), strict=True) for clue in some}
    counts = Counter(clue for clue, _ in known)
    enough = min(least, len(set(groups.tolist())))
    columns = {
        clue: place for place, clue in enumerate(sorted(one for one in counts if counts[one] >= enough))
    }
    x = _table(clues, columns)
    scale = np.maximum(abs(x).max(axis=0).toarray().ravel(), 1e-9)
    if holds.all():  # a linear model needs both: say what is usual
        weights, level = np.zeros(len(columns)), float(np.log(len(holds) + 1))
    else:
        linear = LogisticRegression(C=strength, max_iter=3000).fit(x.multiply(1 / scale).tocsr(), holds)
        weights, level = np.asarray(linear.coef_[0], np.float64), float(linear.intercept_[0])
    trees = lightgbm.train({**_TREES, "seed": seed}, lightgbm.Dataset(x, holds.astype(np.int32)), 300)
    return Relator(columns, scale, weights, level, trees, threshold)


def _table(clues: Sequence[Clues], columns: dict[str, int]) -> csr_matrix:
    """Put clues into a sparse table: (n, columns)."""
    from scipy.sparse import csr_matrix

    values: list[float] = []
    places: list[int] = []
    ends = [0]
    for some in clues:
        for clue, value in some.items():
            if (place := columns.get(clue)) is not None:
                places.append(place)
                values.append(value)
        ends.append(len(places))
    shape = (len(clues), len(columns))
    return csr_matrix((np.array(values, np.float64), np.array(places, np.int64), ends), shape=shape)


def _there(label: str, entities: Sequence[Entity], rules: Iterable[Rule]) -> frozenset[tuple[int, int, int]]:
    """Give the relations of a label: head, tail, and number of the relation."""
    numbers = {one: number for number, one in enumerate(entities)}
    names = {name: number for number, (name, _, _) in enumerate(rules)}
    return frozenset(
        (numbers[one.head], numbers[one.tail], names[one.name])
        for one in relations_in(label)
        if one.name in names
    )


def _described(one: Relator) -> dict[str, Any]:
    return {
        "clues": [*one.columns],
        "scale": one.scale.tolist(),
        "weights": one.weights.tolist(),
        "level": one.level,
        "threshold": one.threshold,
    }


def _file(number: int) -> str:
    return f"trees-{number}.txt"
