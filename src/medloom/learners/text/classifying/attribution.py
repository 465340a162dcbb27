"""Which words of a note an answer rests on: integrated gradients (Sundararajan et al., ICML 2017, section 3).

The way goes from a note whose words are all filling to the note itself. What the steps miss of the difference is shared
out by size, so that all words and the baseline add up to the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medloom.learners.text.classifying.answers import by_words, whole_shares
from medloom.learners.text.classifying.network import AnswerNetwork
from medloom.learners.text.encoders import Vocabulary
from medloom.learners.text.network import WindowBatch, on_device_of
from medloom.learners.text.windows import Note, Windowing
from medloom.tasks.explanation import Explanation
from medloom.tasks.question import Question
from medloom.tasks.samples import Samples
from medloom.training.answer_heads import AnswerForm

METHOD: Final = "integrated gradients (Sundararajan et al. 2017) of words"

_STEPS: Final = 16

Floats = NDArray[np.float64]


def explained(
    network: AnswerNetwork,
    notes: Sequence[Note],
    vocabulary: Vocabulary,
    windowing: Windowing,
    form: AnswerForm,
    samples: Samples,
) -> Explanation:
    """Divide answers about notes between their words; on the scale of the form."""
    question = samples.question
    shared = [_shares(network, note, vocabulary, windowing, form, question) for note in notes]
    return by_words(notes, shared, form, samples, METHOD)


def _shares(
    network: AnswerNetwork,
    note: Note,
    vocabulary: Vocabulary,
    windowing: Windowing,
    form: AnswerForm,
    question: Question,
) -> tuple[Floats, Floats]:
    """Give each word's share of each answer (words, outputs), and the answer where all words are filling."""
    windows = windowing.of(note, vocabulary)
    k = len(question.outputs)
    if not windows:
        return np.zeros((0, k)), _told(network, form, question, torch.zeros(1, network.body.width))
    total = sum(len(one.ids) for one in windows)
    shares, first, last = (
        np.zeros((len(note.words), k)),
        torch.zeros(network.body.width),
        torch.zeros(network.body.width),
    )
    for window in windows:
        batch = on_device_of(network, WindowBatch.of([window], vocabulary.fill))
        whole = network.body.embedding(batch.ids).detach()
        filling = network.body.embedding(torch.full_like(batch.ids, vocabulary.fill)).detach()
        filling[:, [0, -1]] = whole[:, [0, -1]]
        gradients = torch.zeros(k, *whole.shape[1:])
        for step in range(_STEPS):
            at = (filling + (step + 0.5) / _STEPS * (whole - filling)).requires_grad_(True)
            mean = network.body.reached(at, batch).sum(1) / total
            said = form.told(question, network.head(mean))[0]
            for number in range(k):
                (slope,) = torch.autograd.grad(said[number], at, retain_graph=number + 1 < k)
                gradients[number] += slope[0].cpu() / _STEPS
        each = (gradients * (whole - filling)[0].cpu()).sum(-1).numpy()
        edges = [*window.heads.tolist(), len(window.ids) - 1]
        for word, (start, end) in enumerate(pairwise(edges), window.first):
            shares[word] += each[:, start:end].sum(1)
        with torch.no_grad():
            first = first + network.body.reached(filling, batch).sum(1)[0].cpu() / total
            last = last + network.body.reached(whole, batch).sum(1)[0].cpu() / total
    base, answer = (_told(network, form, question, one[None]) for one in (first, last))
    return whole_shares(shares, answer - base), base


def _told(network: AnswerNetwork, form: AnswerForm, question: Question, mean: Tensor) -> Floats:
    with torch.no_grad():
        said: Floats = form.told(question, network.head(mean))[0].double().cpu().numpy()
    return said
