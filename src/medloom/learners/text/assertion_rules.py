"""Whether a note says that a patient has what it names: rules of words around it, in English and Chinese.

Negation and its reach: Chapman et al., J Biomed Inform 2001;34:301-310 (NegEx). History, conditions and other people:
Harkema et al., J Biomed Inform 2009;42:839-851 (ConText). A word that changes what is said reaches from where it stands
to the end of its sentence, or to a word that begins another thought; look-alikes, such as `no change`, change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from medloom.record.notes.sentences import LINE_END

Aspect = Literal["negated", "possible", "conditional", "historical", "family"]

ASPECTS: Final[tuple[Aspect, ...]] = ("negated", "possible", "conditional", "historical", "family")


@dataclass(frozen=True)
class Assertion:
    """What is said of something that a note names; nothing of it: the patient has it.

    Attributes:
        negated: that the patient has it not.
        possible: that it is not sure.
        conditional: that it might come, or what to do if it does.
        historical: that it was before.
        family: that somebody else has it.
    """

    negated: bool = False
    possible: bool = False
    conditional: bool = False
    historical: bool = False
    family: bool = False

    @property
    def is_present(self) -> bool:
        """Tell whether the patient has it, now or before."""
        return not (self.negated or self.possible or self.conditional or self.family)


def assertion_of(text: str, start: int, end: int) -> Assertion:
    """Tell what is said of the words `text[start:end]`, by the words around them in their sentence.

    Args:
        text: a sentence, or a note: what lies beyond the sentence's ends is not looked at, `family history` and the
            like before a colon aside.
        start: of what is named.
        end: of it.

    >>> text = "No fever or chills, but cough; mother has asthma."
    >>> [assertion_of(text, text.index(name), text.index(name) + len(name)).negated for name in ("chills", "cough")]
    [True, False]
    >>> assertion_of(text, 38, 44)
    Assertion(negated=False, possible=False, conditional=False, historical=False, family=True)
    >>> assertion_of("否认发热、咳嗽，有头痛。", 5, 7).negated
    True
    """
    first, last = _sentence(text, start, end)
    before, after = text[first:start].lower(), text[end:last].lower()
    rules = _CHINESE if _is_chinese(text[first:last]) else _ENGLISH
    found = rules.before(_heard(before, after)) | rules.after(after) | rules.within(text[start:end].lower())
    if _ANSWERED_NO.match(text, end) or (_DENIED_LIST.search(before) and _LISTED_TO_ITS_END.match(after)):
        found.add("negated")
    if _IN_CASE_OF.search(before):
        found.add("conditional")
    if "doubt" in found:  # `cannot be excluded` doubts, and does not deny
        found = (found - {"negated", "doubt"}) | {"possible"}
    return Assertion(**{aspect: aspect in found for aspect in ASPECTS})


@dataclass(frozen=True)
class _Rules:
    """Words of one language, looked for all at once, the longest first.

    Attributes:
        forward: what words change that come behind them, by the words.
        backward: what words change that came before them, by the words.
        inside: words that deny what they are part of.
        spaced: whether words stand between spaces.
        reach: characters that a word reaches over at most.
    """

    forward: Mapping[str, str]
    backward: Mapping[str, str]
    inside: tuple[str, ...]
    spaced: bool
    reach: int

    def before(self, said: str) -> set[str]:
        """Give what the words before change, of those that still reach."""
        found: set[str] = set()
        for word, _, end in _words(self.forward, said, self.spaced):
            if word == _ENDS:
                found -= {"negated", "possible", "conditional", "doubt"}
            elif word and len(said) - end <= self.reach:
                found.add(word)
        return found

    def after(self, said: str) -> set[str]:
        """Give what the words behind change, before another thought begins."""
        found: set[str] = set()
        for word, start, _ in _words(self.backward, said, self.spaced):
            if word == _ENDS or start > self.reach:
                break
            if word:
                found.add(word)
        return found

    def within(self, said: str) -> set[str]:
        """Give what the words themselves change, such as `afebrile`."""
        return {"negated"} if any(said.startswith(one) for one in self.inside) else set()


def _words(of: Mapping[str, str], said: str, spaced: bool) -> Iterator[tuple[str, int, int]]:
    """Find words: what each changes, where it begins, and where it ends."""
    for match in _pattern(tuple(of), spaced).finditer(said):
        yield of[" ".join(match.group().split())], match.start(), match.end()


@cache
def _pattern(words: tuple[str, ...], spaced: bool) -> re.Pattern[str]:
    longest = sorted(words, key=len, reverse=True)
    either = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest)
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-])" if spaced else either)


def _heard(before: str, after: str) -> str:
    """Blank what says nothing of what comes behind: other people, answers to what was asked, and `有` of `否认有`."""
    begun = max((match.start() for match in _OF_PATIENT.finditer(before)), default=0)
    heard = _ANSWER.sub(_blank, " " * begun + before[begun:])
    if after.lstrip()[:1] in (":", "："):
        heard = _ANSWER_BEFORE.sub(_blank, heard)
    return _DENIED_TO_HAVE.sub(lambda match: match[1] + " " * len(match[2]), heard)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Tell where the sentence begins and ends that holds some words."""
    first = 0
    for match in _END.finditer(text, 0, start):
        if not _ABBREVIATED.search(text, max(0, match.start() - 8), match.start() + 1):
            first = match.end()
    for match in _END.finditer(text, end):
        if not _ABBREVIATED.search(text, max(0, match.start() - 8), match.start() + 1):
            return first, match.start()
    return first, len(text)


def _is_chinese(text: str) -> bool:
    return _HAN.search(text) is not None


def _listed(**words: str) -> dict[str, str]:
    """Give what words change, by the words, from lists divided by bars; `look_alike` changes nothing."""
    named = {"look_alike": "", "ends": _ENDS}
    return {word.strip(): named.get(what, what) for what, those in words.items() for word in those.split("|")}


_ENDS: Final = "ends"
_END: Final = re.compile(
    rf"[.!?](?=\s|$)|[。！？；;]|{LINE_END}|(?<!\s)\s{{2,}}(?=[A-Z][\w /()&-]{{1,60}}:)|(?<=\s)(?=\d{{1,2}}\)\s?\S)"
)
"""Ends of sentences; a heading after a gap, and a number of a list, begin another one."""
_NO: Final = r"(?:无|没有|否认|阴性|未见|none|no|not present|negative|denie[sd]|absent)"
_ANSWER: Final = re.compile(rf"[:：]\s*{_NO}(?=[,，、)）])", re.IGNORECASE)
_ANSWER_BEFORE: Final = re.compile(rf"[:：]\s*{_NO}\s+$", re.IGNORECASE)
_ANSWERED_NO: Final = re.compile(
    rf"\s*(?:(?:[:：?？]|\s[-–—])\s*{_NO}(?=\s*(?:[,，、。；;.)）\n]|$)|\s{{2,}}|\s+\S+\s*[:：])"
    rf"|[(（]\s*(?:{_NO}|[-–−—－])\s*[)）])",
    re.IGNORECASE,
)
"""Of a form: `diabetes: no`, `diabetes? no`, `diabetes - denies`, `diabetes (-)`, `糖尿病：无`."""
_OF_PATIENT: Final = re.compile(
    r"(?:[,;]|\band)\s*(?:the\s+)?(?:patient|pt)\s+(?:himself |herself )?(?:has|had|is|was|takes|reports|denies)\b"
    r"|[，,;；]\s*(?:(?:患者|病人)?本人|患者(?!之|的|[父母兄弟姐妹哥儿女子妻丈爷奶祖外叔姑舅姨]))"
)
_IN_CASE_OF: Final = re.compile(r"\bp\.?r\.?n\.?\s+$")
_DENIED_TO_HAVE: Final = re.compile(r"(否认(?:既往|近期|目前|曾经?)*)(患有|伴有|有|伴|出现)")
_DENIED_LIST: Final = re.compile(r"否认(?:(?!但|而|伴|有|现|因|仍|出现|可见|史[，,])[^。；;])*$")
_LISTED_TO_ITS_END: Final = re.compile(
    r"(?:(?!但|而|伴|有|现|因|仍|出现|可见|无|否认)[^。；;\d])*史(?!\s*[约近余\d])"
)
"""`否认高血压，糖尿病，冠心病史` denies all up to the word of history behind the last."""
_ABBREVIATED: Final = re.compile(r"\b(?:dr|mr|mrs|ms|vs|e\.g|i\.e|approx|st)\.$", re.IGNORECASE)
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")

_ENGLISH: Final = _Rules(
    forward=_listed(
        look_alike="history:|history of present illness|"
        "no increase|no interval increase|no change|no interval change|no significant change|"
        "no significant interval change|no suspicious change|not only|not necessarily|not certain if|"
        "not certain whether|without difficulty|gram negative|not drain|no new|not to be|not have been|"
        "not cause|not causing|no longer than|without any further|without further|no definite change",
        ends="but|however|nevertheless|positive for|yet|though|although|aside from|except|except for|"
        "apart from|other than|secondary to|due to|because|because of|since|as a cause of|as the cause of|"
        "as an etiology for|"
        "cause of|cause for|causes of|etiology of|origin for|origin of|source of|source for|reason for|"
        "reason of|still|which|who|presents|presented|presenting|complains of|complaining of|reports|"
        "he has|she has|patient has|and has|has had|does have|did have|there is|there was|there are|shows|showed",
        negated="no|not|non|none|without|w/o|denies|denied|denying|deny|never|neither|nor|cannot|cannot see|"
        "no evidence of|no evidence to suggest|no sign of|no signs of|no finding of|no findings of|"
        "no suggestion of|no new evidence of|no significant|no abnormal|absence of|absent|lack of|lacks|lacked|"
        "free of|negative for|negative|is negative for|fails to reveal|failed to reveal|rules out|ruled out|"
        "ruled out for|rules him out|rules her out|ruled him out|ruled her out|ruled the patient out|"
        "doesn't|didn't|isn't|wasn't|don't|can't|hasn't|haven't|hadn't|no longer|resolved|resolution of|"
        "declined|declines|unremarkable for|unable to|nothing to suggest|no complaints of|"
        "not known to have|not appreciate|not associated with|not complain of|not demonstrate|"
        "not exhibit|not feel|not had|not have|not know of|not reveal|not see|no cause of|rather than|"
        "evaluate to rule out|sufficient to rule out",
        possible="possible|possibly|probable|probably|suspected|suspect|suspicion of|suspicious for|concern for|"
        "concerning for|question of|questionable|may have|might have|may be|might be|could be|likely|"
        "rule out|r/o|ro|evaluate for|differential includes|differential diagnosis includes|perhaps|presumed|"
        "versus|vs|consistent with possible|cannot exclude|cannot rule out|not ruled out|not exclude|not rule out|"
        "not excluded|not been ruled out",
        conditional="if|in case of|in the event of|risk of|risk for|at risk for|prophylaxis for|prophylaxis against|"
        "prevention of|as needed for|prn for|p.r.n. for|should he|should she|should the patient|"
        "return for|returns for|watch for|monitor for|precautions for|were to develop|whenever",
        historical="history of|past history of|past medical history|pmh|h/o|hx of|hx|history|s/p|status post|"
        "previous|previously|prior|childhood|in the past|remote|had had|diagnosed in|years ago|"
        "past medical history of|known history of",
        family="mother|father|brother|brothers|sister|sisters|aunt|uncle|grandmother|grandfather|grandparents|"
        "parents|son|daughter|cousin|sibling|siblings|maternal|paternal|family history of|family history|"
        "family members|fh|relatives|mother's|father's|brother's|sister's|wife|husband",
    ),
    backward=_listed(
        look_alike="not only|not necessarily|no change|not certain",
        ends="but|however|nevertheless|positive for|yet|though|although|except|apart from|other than|"
        "aside from|which|and no|with no|without|denies|she denies|he denies",
        negated="was ruled out|is ruled out|are ruled out|were ruled out|have been ruled out|has been ruled out|"
        "had been ruled out|being ruled out|ruled out|free|unlikely|is unlikely|are unlikely|not seen|"
        "is not seen|are not seen|was not seen|were not seen|is negative|are negative|was negative|were negative|"
        "is absent|are absent|was absent|were absent|absent|not present|is not present|are not present|"
        "not demonstrated|not identified|is not identified|are not identified|not appreciated|"
        "not visualized|not noted|not evident|not found|was not found|not detected|not palpable|has resolved|"
        "have resolved|had resolved|resolved|now resolved|denied|is denied|are denied|were denied|none|"
        "negative|no longer present",
        doubt="not been ruled out|cannot be ruled out|not ruled out|cannot be excluded|not excluded|"
        "can not be excluded|could not be ruled out|could not be excluded|should be ruled out|to be ruled out|"
        "must be ruled out|"
        "not completely excluded|is not excluded|be ruled out|will be ruled out|ought to be ruled out",
        possible="is possible|possible|is suspected|was suspected|suspected|is likely|likely|is probable|"
        "is questionable|questionable|is considered|was considered|?",
        conditional="were to occur|should occur|recurs|prophylaxis|precautions",
        historical="in the past|years ago|as a child|in childhood|last year|months ago|previously",
        family="in his mother|in her mother|in his father|in her father|in the family|runs in the family",
    ),
    inside=("no ", "without ", "absent "),
    spaced=True,
    reach=240,
)

_CHINESE: Final = _Rules(
    forward=_listed(
        look_alike="无诱因|无明显诱因|不明原因|原因不明|无力|不适|不良|不全|不足|不规则|不稳|不畅|不清|不齐|不均|不能|"
        "不止|非典型|非小细胞|非霍奇金|未分化|未定|未治疗|未服药|未就诊|未诊治|未予|未行|未系统|无效|无好转|无缓解|"
        "不见好转|未见好转|未见缓解|无明显好转|无明显缓解|无改善|未见改善|非甾体|非酒精性|非溃疡",
        ends="但|但是|然而|不过|有|伴|伴有|伴随|出现|可见|仍|仍有|现|现有|目前|提示|示|，|,|并|而|因|曾有",
        negated="无|未|不|没有|没|否认|未见|未见明显|未及|未闻及|未触及|未扪及|未发现|未出现|未发生|未查及|未引出|"
        "未诉|不伴|不伴有|不存在|无明显|无明确|无显著|排除|除外|已排除|缺乏|从未|从无|并无|并未|非|阴性",
        possible="可能|可能为|可能是|疑似|疑|疑为|怀疑|考虑|考虑为|拟诊|待排|待除外|不排除|不除外|不能排除|不能除外|"
        "无法排除|尚不能排除|或许|似|倾向|可疑|不完全排除",
        conditional="如|若|如果|如有|若有|如出现|若出现|一旦|警惕|谨防|预防|防止|以防|必要时|避免|有无",
        historical="既往|既往史|曾|曾有|曾患|曾因|病史|年前|月前|以往|过去|史|术后|自幼|幼时",
        family="父亲|母亲|父|母|父母|兄|弟|姐|妹|哥哥|弟弟|姐姐|妹妹|祖父|祖母|外祖父|外祖母|爷爷|奶奶|外公|外婆|"
        "家族史|家族中|家族|子女|儿子|女儿|亲属|丈夫|妻子|叔叔|姑姑|舅舅|姨妈",
    ),
    backward=_listed(
        look_alike="无诱因|无明显诱因|不明原因",
        ends="，|,|但|、|有|无|未|否认|伴",
        negated="阴性|（-）|(-)|（－）|（—）|未见|已排除|消失|已消失|未闻及|未触及|未及|不明显|未引出|未发现|已缓解|已愈|除外",
        doubt="不排除|不除外|不能排除|不能除外|无法排除|待排除|待除外",
        possible="待排|可能|可能性大|？|?|可疑|待查|待诊",
        conditional="风险|时立即|时及时|时请",
        historical="史|病史|年前|术后",
        family="家族史",
    ),
    inside=("无", "未见", "否认"),
    spaced=False,
    reach=40,
)
