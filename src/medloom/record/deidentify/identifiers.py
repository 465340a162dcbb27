"""What in a note could name a person, found by rules: numbers with their checks, dates, labels, titles and places.

The kinds are those of HIPAA's Safe Harbor (45 CFR 164.514(b)(2)) that can be told by their form, and China's: the
citizen's number with its check (GB 11643-1999), mobile numbers, social security cards, record numbers, names, addresses
and hospitals. A name without a title or a label before it is not found by rules: that is for a learned tagger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

Kind = Literal[
    "name",
    "hospital",
    "address",
    "postcode",
    "date",
    "age",
    "phone",
    "email",
    "url",
    "ip",
    "citizen_number",
    "social_security",
    "record_number",
    "account",
]


@dataclass(frozen=True, order=True)
class Identifier:
    """A place in a text that could name a person.

    Attributes:
        start: of it, in characters.
        end: of it.
        kind: of identifier.
    """

    start: int
    end: int
    kind: Kind


def identifiers(text: str) -> tuple[Identifier, ...]:
    """Find identifiers by rules, in order; where several could be meant, the longest.

    Digits and letters of full width are read as the usual ones.

    >>> text = "患者张伟，电话13812345678，2024年3月5日入院。"
    >>> [(one.kind, text[one.start : one.end]) for one in identifiers(text)]
    [('name', '张伟'), ('phone', '13812345678'), ('date', '2024年3月5日')]
    >>> [one.kind for one in identifiers("Seen by Dr. Ann Lee on 3/5/2024; MRN: 0012345.")]
    ['name', 'date', 'record_number']
    """
    plain = text.translate(_NARROW)
    found = sorted(_all(plain), key=lambda one: (one.start - one.end, one.start))
    kept: list[Identifier] = []
    taken = bytearray(len(text))
    for one in found:
        if not any(taken[one.start : one.end]):
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
            kept.append(one)
    return tuple(sorted(kept))


def is_citizen_number(number: str) -> bool:
    """Tell whether a number of 18 characters is a citizen's of China: a date of birth in it, and its check.

    >>> is_citizen_number("11010519491231002X"), is_citizen_number("110105194912310021")
    (True, False)
    """
    if re.fullmatch(r"\d{17}[\dXx]", number) is None or not _is_day(number[6:14]):
        return False
    check = sum(int(digit) * (1 << (17 - place)) for place, digit in enumerate(number[:17])) % 11
    return "10X98765432"[check] == number[17].upper()


def _all(text: str) -> Iterator[Identifier]:
    for kind, pattern, holds in _RULES:
        for match in pattern.finditer(text):
            group = "it" if "it" in pattern.groupindex else 0
            if match.group(group) and (holds is None or holds(match.group(group))):
                yield Identifier(match.start(group), match.end(group), kind)


def _is_day(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True


def _is_address(number: str) -> bool:
    return all(int(part) <= 255 for part in number.split("."))


def _is_old(age: str) -> bool:
    return int(age) > 89


_NARROW: Final = {0xFF01 + place: 0x21 + place for place in range(94)}
"""Of characters of full width the usual ones; none gets longer."""

_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_CAPITAL: Final = r"[A-Z][A-Za-zÀ-ÿ'’-]{0,30}[a-zà-ÿ]"
_FULL_NAME: Final = rf"{_CAPITAL}(?:[ ]+(?:[A-Z]\.|{_CAPITAL})){{0,3}}"
_SURNAME: Final = (
    "(?:欧阳|司马|上官|诸葛|尉迟|皇甫|慕容|令狐|司徒|夏侯|东方|"
    "[王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖萧田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金"
    "韦贾夏付傅方邹熊白孟秦邱侯江尹薛闫阎段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向汤])"
)
_NOT_NAMED: Final = "(?![男女性，。患因于在无有已为])"
_HAN: Final = "[\u4e00-\u9fff]"
_PLACE: Final = f"(?:(?![住于在址]){_HAN})"

_Rule = tuple[Kind, re.Pattern[str], Callable[[str], bool] | None]

_RULES: Final[tuple[_Rule, ...]] = (
    ("citizen_number", re.compile(r"(?<![\dA-Za-z])\d{17}[\dXx](?![\dA-Za-z])"), is_citizen_number),
    ("citizen_number", re.compile(r"身份证(?:号码?)?\s*[:：]?\s*(?P<it>\d{15,17}[\dXx])"), None),
    ("social_security", re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"), None),
    (
        "social_security",
        re.compile(r"(?:社保|社会保障|医保)(?:卡)?(?:号码?)?\s*[:：]?\s*(?P<it>[A-Z0-9]{6,20})"),
        None,
    ),
    ("phone", re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), None),
    ("phone", re.compile(r"(?<!\d)0\d{2,3}[- ]\d{7,8}(?!\d)"), None),
    (
        "phone",
        re.compile(r"(?<![\d-])(?:\+?1[-. ]?)?(?:\(\d{3}\)[ ]?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\d)"),
        None,
    ),
    ("email", re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}", re.ASCII), None),
    ("url", re.compile(r"(?:https?://|www\.)[^\s，。；、）)>\"']+"), None),
    ("ip", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), _is_address),
    (
        "record_number",
        re.compile(
            r"(?:\bMRN|\bmedical record(?: number| no\.?)?|\bchart(?: number| no\.?)|\bencounter(?: number| no\.?))"
            r"\s*[:#]?\s*(?P<it>[A-Z]{0,3}-?\d[\dA-Z-]{3,})",
            re.IGNORECASE,
        ),
        None,
    ),
    (
        "record_number",
        re.compile(
            r"(?:病案|住院|门诊|病历|就诊|登记|标本|影像|检查)(?:号码?|编号)\s*[:：]?\s*(?P<it>[A-Za-z]{0,4}-?\d[\dA-Za-z-]{2,})"
        ),
        None,
    ),
    (
        "account",
        re.compile(
            r"(?:\baccount|\bpolicy|\bmember(?: id)?|\bhealth plan|\blicen[cs]e|银行卡|账|帐|保单|车牌)"
            r"(?: number| no\.?| id|户|号码?)?\s*[:：#]?\s*(?P<it>[A-Z\u4e00-\u9fff]?[A-Z]{0,3}-?\d[\dA-Z-]{4,})",
            re.IGNORECASE,
        ),
        None,
    ),
    (
        "date",
        re.compile(r"(?<!\d)(?:19|20)\d{2}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?!\d)"),
        None,
    ),
    (
        "date",
        re.compile(r"(?<![\d/.])(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|[12]\d|3[01])/(?:\d{4}|\d{2})(?![\d/])"),
        None,
    ),
    ("date", re.compile(rf"\b{_MONTH}[ ]+\d{{1,2}}(?:st|nd|rd|th)?(?:,?[ ]+(?:19|20)\d{{2}})?\b"), None),
    ("date", re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?[ ]+{_MONTH}(?:,?[ ]+(?:19|20)\d{{2}})?\b"), None),
    ("date", re.compile(r"(?:(?:19|20)?\d{2}\s*年\s*)?\d{1,2}\s*月\s*\d{1,2}\s*[日号]"), None),
    ("date", re.compile(r"(?:19|20)\d{2}\s*年\s*\d{1,2}\s*月(?!\s*\d)"), None),
    (
        "age",
        re.compile(r"(?<!\d)(?P<it>\d{2,3})(?=[- ]?(?:years?|yrs?|y/?o|岁|周岁))", re.IGNORECASE),
        _is_old,
    ),
    ("age", re.compile(r"\b(?:aged?|年龄)\s*[:：]?\s*(?P<it>\d{2,3})(?!\d)", re.IGNORECASE), _is_old),
    ("postcode", re.compile(r"\b[A-Z]{2}[ ]+(?P<it>\d{5}(?:-\d{4})?)(?!\d)"), None),
    (
        "postcode",
        re.compile(r"(?:\bzip(?: code)?|邮编|邮政编码)\s*[:：]?\s*(?P<it>\d{5,6})(?!\d)", re.IGNORECASE),
        None,
    ),
    (
        "address",
        re.compile(
            rf"(?<!\d)\d{{1,5}}[ ]+(?:{_CAPITAL}[ ]+){{1,3}}"
            r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Boulevard|Blvd|Court|Ct|Way|Place|Pl)\b\.?"
        ),
        None,
    ),
    (
        "address",
        re.compile(
            rf"(?:{_PLACE}{{2,7}}(?:省|自治区))?(?:{_PLACE}{{2,7}}[市州盟])?(?:{_PLACE}{{1,6}}[区县旗])?"
            rf"(?:{_PLACE}{{1,6}}(?:街道|镇|乡))?{_PLACE}{{1,8}}(?:路|街|大道|巷|弄|村|小区|花园)"
            r"\d+(?:号|弄|栋|幢)(?:\d+(?:号楼|栋|幢|单元|室|号))*"
        ),
        None,
    ),
    (
        "hospital",
        re.compile(
            rf"\b(?:(?:St\.|Mt\.|{_CAPITAL})[ ]+){{1,4}}(?:Hospital|Medical Center|Medical Centre|Clinic|Infirmary)\b"
        ),
        None,
    ),
    (
        "hospital",
        re.compile(
            rf"(?P<it>(?:(?![在于至到从就转入往经由去来]){_HAN}){{2,14}}(?:医院|卫生院|卫生服务中心|诊所))"
        ),
        None,
    ),
    ("name", re.compile(rf"\b(?:Dr|Mr|Mrs|Ms|Miss|Prof|Professor|Doctor)\.?[ ]+(?P<it>{_FULL_NAME})"), None),
    (
        "name",
        re.compile(
            rf"\b(?:(?:[Pp]atient|PATIENT)(?:'s)?(?:[ ]+(?:[Nn]ame|NAME))?|[Nn]ame|NAME|[Ss]igned(?: by)?|[Aa]ttending|"
            rf"[Pp]hysician)[ ]*:[ ]*(?P<it>{_FULL_NAME})"
        ),
        None,
    ),
    (
        "name",
        re.compile(
            rf"(?:患者姓名|姓名|患者|病人|签名|签字|联系人|家属|医师|医生|主任|护士|记录者|审核者)\s*[:：]?\s*"
            rf"(?P<it>{_SURNAME}{_NOT_NAMED}(?:某{{1,2}}|{_HAN}{{1,2}}?))"
            rf"(?=[，,。；;、\s（(:：)）]|$|男|女|因|于|在|出生|主任|医师|医生|护士|先生|女士|同志|电话|身份证|住院|入院)"
        ),
        None,
    ),
    (
        "name",
        re.compile(
            rf"(?P<it>{_SURNAME}{_NOT_NAMED}{_HAN}{{0,2}}?)(?=先生|女士|小姐|医生|医师|主任|护士|教授|大夫)"
        ),
        None,
    ),
)
