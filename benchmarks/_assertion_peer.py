"""The peer of `assertion`: negspacy, by its own rules for clinical text, about the places it is told."""

import json
import sys
import time

import spacy
from negspacy.negation import Negex  # noqa: F401  # it registers itself
from negspacy.termsets import termset

nlp = spacy.blank("en")
nlp.add_pipe("sentencizer")
nlp.add_pipe("negex", config={"neg_termset": termset("en_clinical").get_patterns(), "ent_types": ["NAMED"]})
asked = json.load(sys.stdin)
negated = []
begun = time.perf_counter()
for text, start, end in asked:
    doc = nlp.get_pipe("sentencizer")(nlp.make_doc(text))
    span = doc.char_span(start, end, label="NAMED", alignment_mode="expand")
    doc.ents = [] if span is None or not span.text.strip() else [span]
    doc = nlp.get_pipe("negex")(doc)
    negated.append(any(one._.negex for one in doc.ents))
json.dump({"seconds": time.perf_counter() - begun, "negated": negated}, sys.stdout)
