"""A draft of a note: sections of sentences, each with the words of the conversation that it is told from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DraftSentence:
    """A sentence of a draft and the characters of the source that say it, half open, one part or several.

    A draft has no sentence without a source; headings are the only words that come from a pattern.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def span(self) -> str:
        """The source as the record writes it: `start:end`, several parts `start:end;start:end`."""
        return ";".join(f"{start}:{end}" for start, end in self.spans)


@dataclass(frozen=True)
class DraftSection:
    """A section: its key, its heading as notes of the place write it, its sentences."""

    key: str
    heading: str
    sentences: tuple[DraftSentence, ...]


@dataclass(frozen=True)
class Draft:
    """A draft for a clinician to correct and sign; nothing of it is a fact of the record.

    Attributes:
        sections: those that something was said for.
        left_out: how many statements of the source are not in the draft.
        dropped: how many sentences a language model wrote that the source does not say; without one, none.

    >>> said = DraftSentence("The patient denies fever.", ((10, 20), (31, 34)))
    >>> draft = Draft((DraftSection("history", "HISTORY", (said,)),))
    >>> print(draft.text)
    HISTORY
    <BLANKLINE>
    The patient denies fever.
    >>> said.span
    '10:20;31:34'
    """

    sections: tuple[DraftSection, ...]
    left_out: int = 0
    dropped: int = 0

    @property
    def text(self) -> str:
        """The draft as plain text, sections apart."""
        return "\n\n".join(
            f"{one.heading}\n\n" + "\n".join(said.text for said in one.sentences) for one in self.sections
        )
