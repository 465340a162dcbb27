"""In which language a note is: English, Chinese, or another one."""

from __future__ import annotations

import re
from typing import Final, Literal

Language = Literal["en", "zh", "other"]

_HAN: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA_OR_HANGUL: Final = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_LETTER: Final = re.compile(r"[^\W\d_]")
_LATIN: Final = re.compile(r"[A-Za-z]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_READ: Final = 20_000  # characters; the rest of a note is in the language of its beginning
_OTHERS: Final = frozenset(
    "el los las una del por con para que está paciente der die das und nicht mit ist wurde bei patientin "
    "le les des une "
    "est dans avec pour sur pas il gli che della di nel per não uma dos em het een van met voor och att är "
    "med som".split()
)
_DENIALS: Final = frozenset(
    "kein keine keinen keiner ohne verneint sin niega niegan pas sans aucun aucune nie nessun nessuna senza nega sem "
    "nenhum nenhuma geen zonder ontkent ingen inga utan ikke uten förnekar brak bez nincs".split()
)
"""Of several languages: what they deny would be taken for true."""
_ACCENTED: Final = re.compile(r"[À-ÖØ-öø-ɏ]")
_ENGLISH: Final = frozenset(
    "the and of to with no was is in for on has patient history denies he she a at not are his her by or "
    "from".split()
)


def language(text: str) -> Language:
    """Tell the language of a note; of a text without letters, or of few words, English.

    >>> spanish = "El paciente no tiene fiebre y está bien con una dieta"
    >>> [language(text) for text in ("No fever.", "否认发热", spanish, "Kein Fieber.")]
    ['en', 'zh', 'other', 'other']
    """
    beginning = text[:_READ]
    han = len(_HAN.findall(beginning))
    letters = len(_LETTER.findall(beginning))
    if len(_KANA_OR_HANGUL.findall(beginning)) > max(2, letters // 10):
        return "other"
    if han and han * 5 >= letters:
        return "zh"
    if len(_LATIN.findall(beginning)) * 2 < letters - han:
        return "other"
    written = _WORD.findall(beginning)
    words = [word.lower() for word in written]
    foreign = sum((word in _OTHERS) + bool(_ACCENTED.search(word)) for word in words)
    foreign += 3 * sum(word.lower() in _DENIALS and not word.isupper() for word in written)  # PAS is a stain
    english = sum(word in _ENGLISH for word in words)
    return "other" if foreign > 2 and foreign > english else "en"
