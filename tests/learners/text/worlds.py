"""Notes that say which drugs are taken and which findings there are, and a small encoder that knows their words."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from medloom.foundation.hashing import sha256_bytes
from medloom.record.record import Record
from medloom.tasks.labelling import apply
from medloom.tasks.samples import Samples
from medloom.tasks.task import Task

DRUGS = ("aspirin", "metformin", "heparin", "morphine sulfate", "5-fluorouracil")
FINDINGS = ("cough", "chest pain", "fever", "acute kidney injury", "rash")
_SENTENCES = (
    "The patient takes {drug} every day.",
    "{drug} was stopped because of {finding}.",
    "She reports {finding} since Monday.",
    "After {drug} there was no {finding}.",
    "We saw him in the ward today.",
)


def note(rng: np.random.Generator, sentences: int = 4) -> tuple[str, list[tuple[int, int, str]]]:
    """Write a note: its text, and the places (start, end, name) of what it names."""
    text, places = "", []
    for _ in range(sentences):
        sentence = _SENTENCES[rng.integers(len(_SENTENCES))]
        for piece in sentence.replace("{", "\0{").replace("}", "}\0").split("\0"):
            name = piece.strip("{}")
            if piece.startswith("{"):
                words = (DRUGS if name == "drug" else FINDINGS)[rng.integers(5)]
                places.append((len(text), len(text) + len(words), name))
                text += words
            else:
                text += piece
        text += " "
    return text, places


def noted(patients: int = 120, seed: int = 0, sentences: int = 4) -> Record:
    """Give a record of so many patients with a note each, in which somebody named drugs and findings."""
    rng, rows = np.random.default_rng(seed), []
    start = datetime(2024, 1, 1)
    for patient in range(1, patients + 1):
        text, places = note(rng, sentences)
        asset = "sha256:" + sha256_bytes(f"{patient} {text}".encode())
        when = start + timedelta(days=patient)
        rows.append((patient, when, "NOTE//visit", asset, None, None, text))
        rows.append((patient, when, "READ//all", None, asset, None, None))
        for first, last, name in places:
            rows.append((patient, when, f"{name.upper()}//any", None, asset, f"{first}:{last}", None))
    names = ["subject_id", "time", "code", "asset", "derived_from", "span", "text_value"]
    return Record.from_events(pl.DataFrame(rows, schema=names, orient="row"))


def question() -> Task:
    """Ask which drugs and findings notes name."""
    return Task.model_validate(
        {
            "name": "named",
            "kind": "tagging",
            "title": {"en": "Drugs and findings", "zh": "药物与所见"},
            "prediction_time": {"event": ["NOTE//*"], "which": "every"},
            "predict": {"of": "note", "spans": {"drug": ["DRUG//*"], "finding": ["FINDING//*"]}},
        }
    )


def samples(patients: int = 120, seed: int = 0, sentences: int = 4) -> Samples:
    """Put the question to such a record."""
    return apply(question(), noted(patients, seed, sentences)).samples


def small_encoder(folder: Path) -> Path:
    """Write a small encoder that was not pretrained, with the words of such notes for a vocabulary."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    rng = np.random.default_rng(0)
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator((note(rng)[0] for _ in range(200)), vocab_size=400, show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
        )
        BertModel(config).save_pretrained(folder)
    return folder


def ill(patients: int = 160, seed: int = 0) -> Samples:
    """Ask of each note whether it tells of something that the patient has; some notes are long."""
    rng, rows = np.random.default_rng(seed), []
    for patient in range(1, patients + 1):
        has = bool(rng.integers(2))
        finding = FINDINGS[rng.integers(5)]
        told = f"She reports {finding} since Monday." if has else f"There was no {finding}."
        rest = "We saw him in the ward today. " * int(rng.integers(1, 6))
        text = f"{rest}{told} {rest}"
        asset = "sha256:" + sha256_bytes(f"{patient} {text}".encode())
        rows.append((patient, "NOTE//visit", asset, None, text))
        rows.append((patient, "FINDING//any" if has else "NOT//FINDING//any", None, asset, None))
    names = ["subject_id", "code", "asset", "derived_from", "text_value"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(time=pl.datetime(2024, 1, 1))
    task = question().model_dump(exclude_defaults=True) | {
        "name": "ill",
        "kind": "binary",
        "predict": {"of": "note", "event": ["FINDING//any"]},
    }
    return apply(Task.model_validate(task), Record.from_events(frame)).samples
