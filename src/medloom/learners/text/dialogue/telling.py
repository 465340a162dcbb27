"""What was said, told as a note tells it: without fillers, of the third person, answers with what
was asked.

Words are left out only where they say nothing (`um`, `you know`, a word twice), and changed only where the person or
the spelling changes: `not`, numbers and names stay. Each statement keeps the ranges of the dialogue it is told from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from medloom.learners.text.dialogue.numbers import NUMBER_WORDS, in_digits
from medloom.learners.text.dialogue.turns import Speaker, Turn, thoughts, turns


@dataclass(frozen=True)
class Statement:
    """One sentence of a draft, told from what was said.

    Attributes:
        text: of the third person.
        spans: characters of the dialogue that it is told from, half open.
        speaker: who said it; of a question and its answer, who answered.
        place: how far into the conversation it was said, from 0 to 1.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    speaker: Speaker
    place: float


@dataclass(frozen=True)
class Patient:
    """How a patient is spoken of, by what the conversation says; nothing: `the patient`, `their`."""

    subject: str = "the patient"
    other: str = "the patient"
    own: str = "their"
    self: str = "themself"


def statements(dialogue: str) -> tuple[Statement, ...]:
    """Tell a conversation as statements, in its order.

    Raises:
        InputError: as `turns` says.

    >>> text = "[doctor] do you have any fever or chills ?\\n[patient] no . um , i have a cough for two weeks ."
    >>> for one in statements(text):
    ...     print(one.text, [text[start:end] for start, end in one.spans])
    The patient denies fever or chills. ['do you have any fever or chills ?', 'no .']
    The patient has a cough for 2 weeks. ['um , i have a cough for two weeks .']
    """
    said = turns(dialogue)
    patient = _patient(dialogue)
    found: list[Statement] = []
    asked: tuple[int, int] | None = None
    for turn, parts in _thoughts(dialogue, said):
        for spans in parts:
            words, place = " ".join(dialogue[start:end] for start, end in spans), spans[0][0] / len(dialogue)
            if turn.speaker == "patient" and asked is not None:
                rest = dialogue[spans[-1][1] : turn.end]
                answered = _answered(dialogue[slice(*asked)], words, rest, patient)
                if answered:
                    found.append(Statement(answered, (asked, *spans), "patient", place))
                    asked = None
                    if _PLAIN_ANSWER.fullmatch(_clean(words)):
                        continue
            if turn.speaker == "doctor" and _is_question(words):
                asked = spans[-1]
                continue
            text = told(words, turn.speaker, patient)
            if len(text.split()) >= _SHORTEST:
                found.append(Statement(text, spans, turn.speaker, place))
                if turn.speaker == "doctor":  # a `no` after it may deny this
                    asked = None
        if turn.speaker != "doctor":
            asked = None
    return tuple(found)


def told(words: str, speaker: Speaker, patient: Patient = Patient()) -> str:
    """Tell a sentence that somebody said, in the third person.

    >>> told("uh , i 've been taking , um , my ibuprofen twenty milligrams", "patient", Patient("he", "him", "his"))
    'He has been taking his ibuprofen 20 mg.'
    >>> told("so you do n't have a fracture in your knee , okay ?", "doctor")
    'The patient does not have a fracture in their knee.'
    """
    text = _clean(words)
    if not text or _SAYS_NOTHING.match(text):
        return ""
    if speaker == "other":  # whose `I` and `you` are not known
        return f'Another person says: "{" ".join(words.split())}"'
    if speaker == "doctor":
        return _written(_to_patient(text, patient))
    asks = "The patient asks: " if words.rstrip().endswith("?") else ""
    return asks + _written(_of_patient(text, patient))


_SHORTEST: Final = 4  # words


def _thoughts(
    dialogue: str, said: Sequence[Turn]
) -> Iterator[tuple[Turn, list[tuple[tuple[int, int], ...]]]]:
    """Give turns and their thoughts; one broken off (`-`) for a `mm-hmm` goes on in the speaker's
    next turn.
    """
    begun: tuple[tuple[int, int], ...] = ()
    begun_by: Speaker = "other"
    for index, turn in enumerate(said):
        if begun and turn.speaker != begun_by:
            yield turn, []  # the mm-hmm
            continue
        parts: list[tuple[tuple[int, int], ...]] = [(one,) for one in thoughts(dialogue, turn)]
        if begun:
            parts[0], begun = (*begun, *parts[0]), ()
        following = said[index + 1 : index + 3]
        broken = re.search(r"\w\s*-+\s*$", dialogue[turn.start : turn.end])
        if (
            broken
            and len(following) == 2
            and following[1].speaker == turn.speaker != following[0].speaker
            and _LISTENS.fullmatch(dialogue[following[0].start : following[0].end])
        ):
            begun, begun_by = parts.pop(), turn.speaker
        yield turn, parts


_SAYS_NOTHING: Final = re.compile(  # orders to an assistant, greetings, ends of sentences that were broken off
    r"(?:show me|order the|why|i am dr|hi|hello|hey|good (?:morning|afternoon)|nice to|thank you|thanks|bye)\b"
    r"|(?:since|because|when|if|that|which|or|than)\b(?: \S+){0,4}$",
    re.IGNORECASE,
)
_LISTENS: Final = re.compile(r"(?:mm-hmm|mhm|uh-huh|okay|ok|yeah|right|yes|sure|yep)[\s.,]*", re.IGNORECASE)
_CONTRACTED: Final = (
    (r"\bca n['’]?t\b|\bcan['’]t\b|\bcannot\b", "can not"),
    (r"\bwo n['’]t\b|\bwon['’]t\b", "will not"),
    (r"\s?n['’]t\b", " not"),
    (r"\bgon na\b|\bgonna\b", "going to"),
    (r"\bwan na\b|\bwanna\b", "want to"),
    (r"\bgot ta\b|\bgotta\b", "have to"),
    (r"\bkinda\b", "kind of"),
    (
        r"\b(it|that|there|he|she|what|everything|here|who|pain|knee)\s?['’]s (?=been|got|gotten|had"
        r"|become)",
        r"\1 has ",
    ),
    (r"\b(it|that|there|he|she|what|everything|here|who|how|where)\s?['’]s\b", r"\1 is"),
    (r"\blet['’]s\b", "we will"),
    (r"\s?['’]ve\b", " have"),
    (r"\s?['’]ll\b", " will"),
    (r"\s?['’]re\b", " are"),
    (r"\s?['’]m\b", " am"),
    (r"\b(i|you|we|he|she|they)\s?['’]d (?=been|had|like)", r"\1 would "),
    (r"\b(i|you|we|he|she|they)\s?['’]d\b", r"\1 would"),
)
_COUNTED: Final = "".join(rf"(?<!\b{word} )" for word in NUMBER_WORDS.split("|"))
_PLACED: Final = "".join(rf"(?<!\b{word} )" for word in "the an to in from our this".split())
_FILLERS: Final = re.compile(  # `5 mm` is a length, `the er` a room
    rf"(?:^|(?<=[\s,.]))(?:um+|uh+|mm-hmm|uh-huh|(?<!\d ){_COUNTED}mm|hmm+|{_PLACED}er|ah|oh|you know"
    r"|i mean|basically|actually|of course|obviously"
    r"|go ahead and|just|like i said|as you know|hey ,? ?dragon ?,?)(?=[\s,.?!]|$)",
    re.IGNORECASE,
)
_BEGINNINGS: Final = re.compile(  # `right knee pain` and `well controlled` keep their first word
    r"^(?:(?:okay|ok|alright|all right|so|yeah|yes|yep|and|but|gotcha|no problem|awesome|anyway"
    r"|absolutely|exactly)\b[\s,.]*"
    r"|(?:right|well|then|now|great|good|perfect|sure|excellent|wonderful|like|because)(?:\s*[,.]\s*"
    r"|\s+(?=(?:i|you|your|we|the|it|let|that|this|there|my|he|she|they|if|and|so|but|okay|alright"
    r"|well|good|did|do|have|are|is|how|what|any)\b)))+",
    re.IGNORECASE,
)
_ENDINGS: Final = re.compile(  # `on the right` keeps its last word
    r"(?:[\s,.?]*\b(?:okay|ok|alright|all right|and|but|or something|or|and stuff|and everything|um"
    r"|uh)|\s*[,.?]\s*(?:right|so|well))+"
    r"[\s,.?!-]*$",
    re.IGNORECASE,
)
_TWICE: Final = re.compile(  # of words; numbers may be said digit by digit
    rf"\b((?!\d|(?:{NUMBER_WORDS})\b)\w+(?:['’]\w+)?(?: (?!\d|(?:{NUMBER_WORDS})\b)\w+){{0,2}})(?:\s*[,-]?\s+\1\b)+",
    re.IGNORECASE,
)
_UNITS: Final = (
    (r"\bmilligrams?\b", "mg"),
    (r"\bmicrograms?\b", "mcg"),
    (r"\bkilograms?\b", "kg"),
    (r"\bmilliliters?\b", "ml"),
    (r"\bpercent\b", "%"),
    (r"(?<=\d) over (?=\d)", "/"),
)
_BARE: Final = (  # verbs that follow `I` and take an s of the third person
    "feel think take get go know want need like use work try see eat drink smoke live walk run notice look keep"
    " come start stop sleep wake hear say tell hope remember wear sit stand lift play give make put love enjoy seem"
    " tend believe check forget understand hurt suffer experience monitor stay call lie lay push pull find turn"
    " move worry wonder miss manage cough wheeze travel exercise cook bend throw pass breathe guess catch"
).split()
_ADVERBS: Final = (
    "also really still always never usually sometimes only probably definitely often normally not even first"
).split()
_NO_THIRD: Final = "".join(
    rf"(?<!\b{verb} )" for verb in "did do does can could will would should might have".split()
)


def _clean(words: str) -> str:
    """Leave out what says nothing, and write contracted words in full."""
    text = " ".join(words.split())
    for pattern, full in _CONTRACTED:
        text = re.sub(pattern, full, text, flags=re.IGNORECASE)
    text = re.sub(r"\b(\w+)- (?=\1)", "", text, flags=re.IGNORECASE)  # a word begun and left
    text = re.sub(r"(?<=\w)-(?= )", "", text)
    text = re.sub(r"\s*\.\.+\s*|\s+-+\s+", " ", text)
    text = _FILLERS.sub(" ", text)
    text = re.sub(r"\s*,(?:\s*,)+", " ", " ".join(text.split())).strip(" ,.-")
    text = _BEGINNINGS.sub("", text)
    text = _ENDINGS.sub("", text)
    text = _TWICE.sub(r"\1", text)
    text = _TWICE.sub(r"\1", text)  # what was left out may have stood between
    text = in_digits(text)
    for pattern, unit in _UNITS:
        text = re.sub(pattern, unit, text, flags=re.IGNORECASE)
    return text.strip(" ,.-?!")


def _of_patient(text: str, patient: Patient) -> str:
    """Turn what a patient says of himself into the third person."""
    adverbs = "|".join(_ADVERBS)
    he = patient.subject
    text = re.sub(rf"\bi ((?:(?:{adverbs}) )*)have\b", rf"{he} \1has", text, flags=re.IGNORECASE)
    text = re.sub(rf"\bi ((?:(?:{adverbs}) )*)do not\b", rf"{he} \1does not", text, flags=re.IGNORECASE)
    text = re.sub(rf"\bi ((?:(?:{adverbs}) )*)do\b", rf"{he} \1does", text, flags=re.IGNORECASE)
    text = re.sub(r"\bi ((?:\w+ )?)am\b", rf"{he} \1is", text, flags=re.IGNORECASE)
    text = re.sub(r"\bam i\b", f"is {he}", text, flags=re.IGNORECASE)
    text = re.sub(
        rf"{_NO_THIRD}\bi ((?:(?:{adverbs}) )*)({'|'.join(_BARE)})\b",
        lambda match: f"{he} {match[1]}{_third(match[2])}",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(r"\bi\b", he, text, flags=re.IGNORECASE)
    text = re.sub(r"\bmy\b", patient.own, text, flags=re.IGNORECASE)
    text = re.sub(r"\bwe\b", "they", text, flags=re.IGNORECASE)
    text = re.sub(r"\bour\b", "their", text, flags=re.IGNORECASE)
    text = re.sub(r"\bmyself\b", patient.self, text, flags=re.IGNORECASE)
    return re.sub(r"\bme\b", patient.other, text, flags=re.IGNORECASE)


def _to_patient(text: str, patient: Patient) -> str:
    """Turn what a doctor says to a patient into the third person; the doctor stays `I`."""
    he = patient.subject
    text = re.sub(r"\b(i|we) (?:am|are) going to\b", r"\1 will", text, flags=re.IGNORECASE)
    for verb, third in (("do", "does"), ("^have", "has"), ("are", "is"), ("were", "was")):
        text = re.sub(rf"(?<!\w){verb} you\b", f"{third} {he}", text, flags=re.IGNORECASE)
    text = re.sub(r"\byou are\b", f"{he} is", text, flags=re.IGNORECASE)
    text = re.sub(r"\byou were\b", f"{he} was", text, flags=re.IGNORECASE)
    text = re.sub(r"\byou have\b", f"{he} has", text, flags=re.IGNORECASE)
    text = re.sub(r"\byou do\b", f"{he} does", text, flags=re.IGNORECASE)
    text = re.sub(
        rf"{_NO_THIRD}\byou ((?:(?:{'|'.join(_ADVERBS)}) )*)({'|'.join(_BARE)})\b",
        lambda match: f"{he} {match[1]}{_third(match[2])}",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(
        r"\b(to|for|with|of|on|at|give|see|have|put|get|tell|refer|send|want|start|let|ask|prescribe"
        r"|show|help|about|told|seen|gave|sent|saw|made|makes|make|remind|call|bring|keep|without"
        r"|after|like) you(?! have| are| can| do)\b",
        rf"\1 {patient.other}",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(r"\byou\b", he, text, flags=re.IGNORECASE)
    text = re.sub(r"\byours?\b", patient.own, text, flags=re.IGNORECASE)
    text = re.sub(r"\byourself\b", patient.self, text, flags=re.IGNORECASE)
    return re.sub(r"\bi\b", "I", text)


def _third(verb: str) -> str:
    verb = verb.lower()
    if verb.endswith(("s", "sh", "ch", "o", "x")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if verb.endswith("y") and verb[-2] not in "aeiou" else f"{verb}s"


def _written(text: str) -> str:
    """Write a sentence: no space before a comma, a capital, a full stop."""
    text = re.sub(r"\s+([,.;:?!%])", r"\1", " ".join(text.split()))
    text = re.sub(r"\s*/\s*", "/", text)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _is_question(words: str) -> bool:
    return words.rstrip().endswith("?") or bool(_ASKS.match(_clean(words)))


_ASKS: Final = re.compile(
    r"(?:do|does|did|have|has|are|is|any|how|what|when|where|which|can|were|was|would) (?:you|your"
    r"|any|it|that|there|long|about|the)?\b",
    re.IGNORECASE,
)
_PLAIN_ANSWER: Final = re.compile(  # atomic: `i do not` said fifty times must not be tried in every way
    r"(?>(?:not really|nothing|none|nope|not|no|yes|yeah|yep|mm-hmm|i do not|i have not|i am not|i do|i have|i am"
    r"|it does|it is|at all|that i know of|never|correct|really|sir|ma'am|uh-uh|a little bit)[\s,.]*)*+",
    re.IGNORECASE,
)
_DENIES: Final = re.compile(
    r"^\W*+(?:(?:um|uh|well)\b\W*+)*+(?:no|nope|none|never|nothing|not really|uh-uh|i do n['’]t|i have n['’]t)\b",
    re.I,
)
_AFFIRMS: Final = re.compile(
    r"^\W*+(?:(?:um|uh|well)\b\W*+)*+(?:yes|yeah|yep|i do|i have|it does|a little bit|sometimes)\b", re.I
)
_ASKED_FOR: Final = re.compile(
    r"\b(?:do you (?:still )?have|have you had|are you having|have you noticed|are you experiencing"
    r"|have you experienced|did you have"
    r"|do you (?:notice|feel) any|any)\s+(?P<what>[^?]+)$",
    re.IGNORECASE,
)


def _answered(question: str, answer: str, rest: str, patient: Patient) -> str:
    """Tell a question with its plain answer: what is denied, and what is reported; empty: it is not that plain.

    It is not where the answer, or the rest of the turn, says something of its own about what was asked.
    """
    denied, affirmed = bool(_DENIES.match(answer)), bool(_AFFIRMS.match(answer))
    asked = _clean(question)
    if denied == affirmed or _NOT_PLAIN.search(asked) or _QUALIFIED.search(answer):
        return ""
    if found := _ASKED_FOR.search(asked):
        what = _ALIKE.sub("", found["what"].strip(" ,."))
        what = re.sub(r"\b(?:any|other)\s+", "", what, flags=re.IGNORECASE).strip(" ,.")
        own = {*re.findall(r"\w{4,}", f"{answer} {rest}".lower())} & {*re.findall(r"\w{4,}", what.lower())}
        if not what or own or len(what.split()) > _LONGEST_ASKED:
            return ""
        return _written(f"the patient {'denies' if denied else 'reports'} {_to_patient(what, patient)}")
    if (found := _ASKED_WHETHER.match(asked)) and len(found["what"].split()) <= _LONGEST_ASKED:
        verb = _WHETHER[found["verb"].lower()]
        return _written(f"the patient {verb}{' not' if denied else ''} {_to_patient(found['what'], patient)}")
    return ""


_WHETHER: Final = {"are": "is", "do": "does", "have": "has", "can": "can", "were": "was"}
_ASKED_WHETHER: Final = re.compile(rf"(?P<verb>{'|'.join(_WHETHER)}) you (?P<what>[^?]+)$", re.IGNORECASE)
_NOT_PLAIN: Final = re.compile(
    r"\b(?:not|never|no|what|when|where|which|why|how (?!about\b)|at any|any questions?|history|at all|did|better or"
    r"|or (?:is|are|do|does|was|have))\b|\?",
    re.IGNORECASE,
)
_QUALIFIED: Final = re.compile(
    r"\b(?:but|except|only|other than|besides|just|although|though|unless)\b", re.IGNORECASE
)
_ALIKE: Final = re.compile(
    r"\s*,?\s*(?:\b(?:or|and)\s+)?\b(?:anything|things?|something|stuff|any of (?:that"
    r"|those))\b(?: else)?(?: like that)?.*$"
    r"|\s*,?\s*\bor(?: any)?$",
    re.IGNORECASE,
)
_LONGEST_ASKED: Final = 16  # words


def _patient(dialogue: str) -> Patient:
    """Tell how the patient is spoken of: by `a 58-year-old male` or how a greeting goes, if that is"
    " all one."""
    first = dialogue[:_FIRST]
    male = _MALE.search(dialogue) or re.search(r"\b(?:mr|mister)\b", first, re.IGNORECASE)
    female = _FEMALE.search(dialogue) or re.search(r"\b(?:ms|mrs|miss)\b", first, re.IGNORECASE)
    if male and not female:
        return Patient("he", "him", "his", "himself")
    if female and not male:
        return Patient("she", "her", "her", "herself")
    return Patient()


_FIRST: Final = 300  # characters in which a patient is greeted
_MALE: Final = re.compile(r"\byear[- ]old (?:\S+ ){0,3}(?:male|man|gentleman|boy)\b", re.IGNORECASE)
_FEMALE: Final = re.compile(r"\byear[- ]old (?:\S+ ){0,3}(?:female|woman|lady|girl)\b", re.IGNORECASE)
