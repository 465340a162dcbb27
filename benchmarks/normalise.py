"""Which record of MeSH diseases and chemicals of abstracts mean (BC5CDR, official split, places as people marked them).

Settings were chosen by learning from the training part and judging on the development part (`development.…`); what is
judged on the test part learns from both. A mention counts as right if the answer is what people gave: no record where
they gave none, all records where they gave several. Concepts that no annotated text names are counted apart (`unseen`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from medloom.cli.bench import Bench
from medloom.evidence.intervals import REPLICATES, estimate
from medloom.foundation.seeds import generator
from medloom.learners.text.normalising.normaliser import Normaliser
from medloom.learners.text.normalising.teaching import Annotated, taught
from medloom.record.datasets import get

if TYPE_CHECKING:
    from _pubtator import Abstract, Mention

KINDS: Final = ("Disease", "Chemical")
_OF_NCBI: Final = {"SpecificDisease", "DiseaseClass", "Modifier", "CompositeMention"}
_SYSTEMS: Final = ("D", "C")  # how numbers of MeSH begin; NCBI disease has OMIM's beside them
_ALSO: Final = "|"  # between the records of one mention


@dataclass(frozen=True)
class Judged:
    """A mention and whether its answer is right."""

    abstract: int
    sort: str
    right: bool


def run(bench: Bench) -> None:
    """Judge both kinds on the development part, then on the test part."""
    sys.path.append(str(bench.folder))
    from _mesh import names
    from _pubtator import abstracts

    folder = get("bc5cdr") / "pubtator"
    parts = {
        part: abstracts(folder / f"CDR_{part}Set.PubTator.txt")
        for part in ("Training", "Development", "Test")
    }
    ncbi = [one for path in sorted((get("ncbi-disease") / "train").rglob("*.txt")) for one in abstracts(path)]
    known = {kind: Normaliser(names(bench, kind)) for kind in KINDS}
    for kind in KINDS:
        also = _pairs(ncbi, _OF_NCBI) if kind == "Disease" else []
        bench.data[f"mesh {kind.lower()}"] = {
            "names": len(known[kind].dictionary.names),
            "records": len(known[kind].dictionary.codes),
            "mentions of other annotated texts": len(also),
        }
        _judge(
            bench,
            f"development.bc5cdr-{kind.lower()}",
            kind,
            known[kind],
            parts["Training"],
            parts["Development"],
            also,
        )
    bench.looked()
    learned = [*parts["Training"], *parts["Development"]]
    for kind in KINDS:
        also = _pairs(ncbi, _OF_NCBI) if kind == "Disease" else []
        _judge(bench, f"bc5cdr-{kind.lower()}", kind, known[kind], learned, parts["Test"], also)
    bench.references["of found mentions, F1 an abstract"] = {
        "disease": {"DNorm": 0.81},
        "chemical": {"tmChem": 0.91},
        "source": "README.txt of BC5CDR; recognition and normalisation together, not over marked places",
    }


def _judge(
    bench: Bench,
    name: str,
    kind: str,
    known: Normaliser,
    learned: Sequence[Abstract],
    judged: Sequence[Abstract],
    also: Sequence[tuple[str, str]],
) -> None:
    begun = time.perf_counter()
    ready = taught(known, [_annotated(one, kind) for one in learned], names=also, seed=bench.seed)
    bench.figures[f"{name}.taught.fit_s"] = time.perf_counter() - begun
    seen = {code for _, code in [*_pairs(learned, {kind}), *also]}
    for learner, one in (("taught", ready), ("names", known)):
        begun = time.perf_counter()
        rows = _answered(one, kind, judged, seen)
        bench.figures[f"{name}.{learner}.mentions_per_s"] = len(rows) / (time.perf_counter() - begun)
        _measured(bench, f"{name}.{learner}", rows, len(judged))
    sorts, counts = np.unique([one.sort for one in rows], return_counts=True)
    bench.data[name] = {sort: int(count) for sort, count in zip(sorts, counts, strict=True)}


def _answered(normaliser: Normaliser, kind: str, judged: Sequence[Abstract], seen: set[str]) -> list[Judged]:
    rows = []
    for number, abstract in enumerate(judged):
        mentions = [one for one in abstract.mentions if one.span.name == kind]
        answers = normaliser.normalise([one.span.words(abstract.text) for one in mentions], abstract.text)
        for one, answer in zip(mentions, answers, strict=True):
            said = set(answer.code.split(_ALSO)) if answer.code else set()
            rows.append(Judged(number, _sort(one, seen), said == set(one.codes)))
    return rows


def _sort(mention: Mention, seen: set[str]) -> str:
    if not mention.codes:
        return "none"
    if len(mention.codes) > 1:
        return "several"
    return "seen" if mention.codes[0] in seen else "unseen"


def _measured(bench: Bench, name: str, rows: Sequence[Judged], count: int) -> None:
    """Give accuracy with its interval, abstracts drawn anew, in all and of each sort."""
    rng = generator(bench.seed, "normalise")
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES).astype(np.float64)
    abstract = np.array([one.abstract for one in rows])
    right = np.array([one.right for one in rows], np.float64)
    sort = np.array([one.sort for one in rows])
    for label in ("", *np.unique(sort).tolist()):
        of = sort == label if label else np.ones(len(rows), bool)
        all_of, right_of = (np.bincount(abstract[of], each, count) for each in (np.ones(of.sum()), right[of]))
        found = estimate(float(right[of].mean()), (drawn @ right_of) / np.maximum(drawn @ all_of, 1))
        for end, value in (("", found.value), (".low", found.low), (".high", found.high)):
            if value is not None:
                bench.figures[f"{name}.{label + '.' if label else ''}accuracy{end}"] = value


def _annotated(abstract: Abstract, kind: str) -> Annotated:
    text = abstract.text
    meant = [one for one in abstract.mentions if one.span.name == kind]
    return Annotated(text, tuple((one.span.words(text), _ALSO.join(one.codes) or None) for one in meant))


def _pairs(of: Sequence[Abstract], kinds: set[str]) -> list[tuple[str, str]]:
    return [
        (one.span.words(abstract.text), _ALSO.join(one.codes))
        for abstract in of
        for one in abstract.mentions
        if one.span.name in kinds and one.codes and all(code.startswith(_SYSTEMS) for code in one.codes)
    ]
