"""Sentences in which a drug caused something, as the ADE corpus tells them: places count characters of the sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medloom.tasks.relations import Entity, Relation
from medloom.tasks.spans import span


@dataclass
class Sentence:
    """A sentence, and what caused what in it.

    Attributes:
        article: PubMed's number of the article it is from.
        text: of it.
        relations: from drugs to effects.
    """

    article: str
    text: str
    relations: list[Relation] = field(default_factory=list)

    @property
    def entities(self) -> list[Entity]:
        """Give the drugs and effects, each once."""
        return sorted({end for one in self.relations for end in (one.head, one.tail)})


def sentences(path: Path) -> list[Sentence]:
    """Read `DRUG-AE.rel`; a line whose words are not in its sentence, so far apart as it says, is an error."""
    found: dict[tuple[str, str], Sentence] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        article, text, effect, effect_at, _, drug, drug_at, _ = line.split("|")
        one = found.setdefault((article, text), Sentence(article, text))
        away = int(drug_at) - int(effect_at)
        places = [at for at in range(len(text)) if text.startswith(effect, at)]
        # where a line of the abstract breaks the count is off: then the nearest
        drugs = [at for at in range(len(text)) if text.startswith(drug, at)]
        first, second = min(
            ((at, other) for at in places for other in drugs), key=lambda two: abs(two[1] - two[0] - away)
        )
        head = Entity((span(second, second + len(drug), "drug"),))
        tail = Entity((span(first, first + len(effect), "effect"),))
        one.relations.append(Relation("causes", head, tail))
    return list(found.values())
