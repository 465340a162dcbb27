"""What in a note could name a person, found by rules: numbers with their checks, dates, labels, titles and places.

The kinds are those of HIPAA's Safe Harbor (45 CFR 164.514(b)(2)) that can be told by their form, and China's: the
citizen's number with its check (GB 11643-1999), mobile numbers, social security cards, record numbers, names, addresses
and hospitals. A name without a title or a label before it is not found by rules: that is for a learned tagger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

from medloom.record.deidentify.kinds import Identifier, Kind


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

_MONTHS: Final = (
    "Jan(?:uary)? Feb(?:ruary)? Mar(?:ch)? Apr(?:il)? May June? July? Aug(?:ust)? Sept?(?:ember)? Oct(?:ober)? "
    "Nov(?:ember)? Dec(?:ember)?".split()
)
_MONTH: Final = (
    rf"(?:{'|'.join(_MONTHS)}|{'|'.join(_MONTHS).upper()}|"
    r"january|february|april|june|july|august|september|october|november|december)\.?"
)
_YEAR: Final = r"(?:19|20)\d{2}"
_MONTH_NUMBER: Final = r"(?:0?[1-9]|1[0-2])"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_ZH_NUMBER: Final = "[〇零一二三四五六七八九十]"
_CAPITAL: Final = r"[A-Z][A-Za-zÀ-ÿ'’-]{0,30}[a-zà-ÿ]"
_INITIALS: Final = r"(?:[A-Z]\.?[ ]+){0,2}"
_PARTICLES: Final = r"(?:(?:van|von|de|der|den|la|du|di|da|bin|al)[ ]+){0,2}"
_SIMPLE_NAME: Final = rf"{_CAPITAL}(?:[ ]+(?:[A-Z]\.|{_CAPITAL})){{0,3}}"
_FULL_NAME: Final = rf"(?:{_INITIALS}{_PARTICLES}{_SIMPLE_NAME})"
_OTHER_LABELS: Final = r"(?!(?:MRN|DOB|SEX|AGE|ADMIT|ADMISSION|DATE|ROOM|UNIT)\b)"
_SHOUT: Final = rf"{_OTHER_LABELS}[A-Z][A-Z'’-]{{1,30}}\b"
_SHOUTED: Final = rf"{_SHOUT}(?:[ ]+(?:[A-Z]\.?(?![A-Za-z])|{_SHOUT})){{0,3}}"
_SURNAME: Final = (
    "(?:欧阳|司马|上官|诸葛|尉迟|皇甫|慕容|令狐|司徒|夏侯|东方|"
    "[王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖萧田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金"
    "韦贾夏付傅方邹熊白孟秦邱侯江尹薛闫阎段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向汤章施柳俞鲍岑倪滕殷毕臧庞纪祝闵娄盛刁骆樊霍虞柯郁洪邢裴翁甄储靳仲伊宫栾甘厉符"
    "詹赖卓蔺屠蒙池乔翟姬冉桑庄晏柴瞿茹艾戈耿匡寇欧聂敖辛简饶鞠荆游岳尤齐涂褚卫苗柏窦昌])"
)
_NOT_NAMED: Final = "(?![男女性，。患因于在无有已为热烧])"
_HAN: Final = "[\u4e00-\u9fff]"
_PLACE: Final = f"(?:(?![住于在址]){_HAN})"

_Rule = tuple[Kind, re.Pattern[str], Callable[[str], bool] | None]

_RULES: Final[tuple[_Rule, ...]] = (
    ("citizen_number", re.compile(r"(?<![\dA-Za-z])\d{17}[\dXx](?![\dA-Za-z])"), is_citizen_number),
    (
        "citizen_number",
        re.compile(r"(?:身份证(?:号码?)?|公民身份号码)\s*[:：]?\s*(?P<it>\d{14,17}[\dXx])"),
        None,
    ),
    ("social_security", re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"), None),
    (
        "social_security",
        re.compile(
            r"\b(?:SSN|social security(?: number| no\.?)?)\s*[:#]?\s*(?P<it>\d{3}[- ]?\d{2}[- ]?\d{4})(?!\d)",
            re.IGNORECASE,
        ),
        None,
    ),
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
    ("phone", re.compile(r"(?<![\dA-Za-z.-])[2-9]\d{2}[2-9]\d{6}(?![\dA-Za-z])"), None),
    ("phone", re.compile(r"(?<![\d+])\+\d{1,3}[ -]?\(?\d[\d() -]{5,14}\d(?!\d)"), None),
    (
        "phone",
        re.compile(
            r"(?:\b(?:tel(?:ephone)?|phone|fax|cell|mobile|pager)\b|电话|手机|传真|联系方式)"
            r"(?:[ ]*(?:no\.?|number|号码?))?\s*[.:：#]?\s*(?P<it>\+?\(?\d[\d() .-]{4,18}\d)(?!\d)",
            re.IGNORECASE,
        ),
        None,
    ),
    ("email", re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}", re.ASCII), None),
    ("url", re.compile(r"(?:https?://|www\.)[^\s，。；、）)>\"']+"), None),
    ("ip", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), _is_address),
    (
        "record_number",
        re.compile(
            r"(?:\bMRN|\bmedical record(?: number| no\.?)?|\bID(?=\s*[:#])|"
            r"\b(?:chart|encounter|patient|pt|case|accession|acc|specimen|visit|acct|subject)\.?"
            r"(?: number| no\.?| id|(?=[ ]?#)))"
            r"\s*[:#]?\s*(?P<it>[A-Z]{0,3}-?\d[\dA-Z-]{3,})",
            re.IGNORECASE,
        ),
        None,
    ),
    (
        "record_number",
        re.compile(
            r"(?:病案|住院|门诊|病历|就诊|登记|标本|影像|检查|就诊卡|档案)(?:号码?|编号)\s*[:：]?\s*(?P<it>[A-Za-z]{0,4}-?\d[\dA-Za-z-]{2,})"
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
        "account",
        re.compile(
            r"\b(?:serial|VIN|NPI|DEA|(?:license )?plate|certificate)(?: number| no\.?| id)?\s*[:#]?\s*"
            r"(?P<it>(?=[A-Z-]{0,8}\d)[A-Z0-9][A-Z0-9-]{4,20})\b",
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
    ("date", re.compile(rf"(?<![\d.-]){_DAY}([-.]){_DAY}\1{_YEAR}(?!\d)"), None),
    ("date", re.compile(rf"(?<![\d.-]){_DAY}-{_DAY}-\d{{2}}(?![\d-]|[ ]?(?:mg|mcg|ml|g)\b)"), None),
    ("date", re.compile(rf"(?<![\d.]){_YEAR}[-/.](?:0[1-9]|1[0-2])(?![\d/.-])"), None),
    (
        "date",
        re.compile(rf"(?<![\dA-Za-z.-]){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?![\dA-Za-z])"),
        None,
    ),
    (
        "date",
        re.compile(
            rf"\b(?:on|since|until|dated?:?|DOS:?)[ ]+(?P<it>{_MONTH_NUMBER}/{_DAY})(?![\d/])"
            r"(?![ ]*(?:of|strength|pain)\b)"
        ),
        None,
    ),
    ("date", re.compile(rf"\b{_MONTH}[ ]+\d{{1,2}}(?:st|nd|rd|th)?(?:,?[ ]+{_YEAR})?\b"), None),
    ("date", re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?[ ]+(?:of[ ]+)?{_MONTH}(?:,?[ ]+{_YEAR})?\b"), None),
    ("date", re.compile(rf"\b\d{{1,2}}-?{_MONTH}-?(?:{_YEAR}|\d{{2}})\b"), None),
    ("date", re.compile(rf"\b{_MONTH},?[ -]+{_YEAR}\b"), None),
    ("date", re.compile(r"(?:(?:19|20)?\d{2}\s*年\s*)?\d{1,2}\s*月\s*\d{1,2}\s*[日号]"), None),
    ("date", re.compile(r"(?:19|20)\d{2}\s*年\s*\d{1,2}\s*月(?!\s*\d{1,2}\s*[日号])"), None),
    ("date", re.compile(rf"(?:{_ZH_NUMBER}{{4}}年)?{_ZH_NUMBER}{{1,2}}月{_ZH_NUMBER}{{1,3}}[日号]"), None),
    ("date", re.compile(rf"{_ZH_NUMBER}{{4}}年{_ZH_NUMBER}{{1,2}}月"), None),
    (
        "age",
        re.compile(r"(?<!\d)(?P<it>\d{2,3})(?=[- ]?(?:years?|yrs?|y\.?/?o|岁|周岁))", re.IGNORECASE),
        _is_old,
    ),
    (
        "age",
        re.compile(
            r"\b(?P<it>ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:a|one) hundred(?: and \w+)?)"
            r"(?=[- ]years?[- ]old)",
            re.IGNORECASE,
        ),
        None,
    ),
    (
        "age",
        re.compile(rf"(?P<it>九十[一二三四五六七八九]?|一百{_ZH_NUMBER}{{0,3}})(?=[余多]?岁|周岁)"),
        None,
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
            rf"(?<!\d)\d{{1,5}}[ ]+(?:[NSEW]\.?[ ]+)?(?:(?:{_CAPITAL}|\d{{1,3}}(?:st|nd|rd|th))[ ]+){{1,3}}"
            r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl)\b\.?"
            r"(?:,?[ ]+(?:Apt|Apartment|Unit|Suite)\.?[ ]*\w{1,6})?"
        ),
        None,
    ),
    ("address", re.compile(r"\bP\.?[ ]?O\.?[ ]?Box[ ]+\d{1,8}", re.IGNORECASE), None),
    ("address", re.compile(r"\b(?:Address|ADDRESS|address)[ ]*:[ ]*(?P<it>[^\n;]{5,80})"), None),
    ("address", re.compile(r"(?:住址|地址)[ ]*[:：][ ]*(?P<it>[^\n,，。；;]{4,60})"), None),
    (
        "address",
        re.compile(
            rf"(?={_HAN})(?:{_PLACE}{{2,7}}(?:省|自治区))?(?:{_PLACE}{{2,7}}[市州盟])?(?:{_PLACE}{{1,6}}[区县旗])?"
            rf"(?:{_PLACE}{{1,6}}(?:街道|镇|乡))?{_PLACE}{{1,8}}(?:路|街|大道|巷|弄|村|小区|花园|社区|[一二三四五六七八九十]区)"
            r"\d+(?:号|弄|栋|幢)(?:院|\d+(?:号楼|栋|幢|单元|室|号))*(?:\d{3,4}(?!\d))?"
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
    (
        "name",
        re.compile(rf"\b(?:Dr|Mr|Mrs|Ms|Miss|Prof|Professor|Doctor)(?:\.[ ]*|[ ]+)(?P<it>{_FULL_NAME})"),
        None,
    ),
    ("name", re.compile(rf"\b(?:(?:DR|MRS?|PROF)(?:\.[ ]*|[ ]+)|(?:MS\.|MISS)[ ]*)(?P<it>{_SHOUTED})"), None),
    (
        "name",
        re.compile(
            rf"\b(?P<it>{_INITIALS}{_SIMPLE_NAME})(?=,?[ ]+(?:M\.?D|D\.?O|R\.?N|N\.?P|PA-C|Ph\.?D|MBBS)\b)"
        ),
        None,
    ),
    (
        "name",
        re.compile(
            rf"\b(?:(?:[Pp]atient|PATIENT|[Pp]t|PT)(?:'s)?(?:[ ]+(?:[Nn]ame|NAME))?|[Nn]ame|NAME|"
            rf"[Ss]igned(?: by)?|[Aa]ttending|ATTENDING|SIGNED(?: BY)?|PHYSICIAN|[Pp]hysician)[ ]*:[ ]*"
            rf"(?P<it>(?:{_FULL_NAME}|{_SHOUTED})(?:,[ ]*(?:{_FULL_NAME}|{_SHOUTED}))?)"
        ),
        None,
    ),
    (
        "name",  # behind such a label stands a name, whatever surname it has
        re.compile(
            rf"(?:姓名|联系人|签名|签字|记录者|记录人|审核者)\s*[:：]\s*"
            rf"(?P<it>{_HAN}[ \u3000](?!性别|男|女){_HAN}{{1,2}}|"
            rf"{_HAN}{{1,5}}?(?:[·•]{_HAN}{{1,8}}?)?)"
            rf"(?=性别|年龄|男|女|出生|民族|职业|婚|住院|电话|主任|医师|医生|护士|[^·•\u4e00-\u9fff]|$)"
        ),
        None,
    ),
    (
        "name",
        re.compile(
            rf"(?:患者姓名|姓名|患者|病人|签名|签字|联系人|家属|医师|医生|主任|护士|记录者|审核者)\s*[:：]?\s*"
            rf"(?P<it>{_SURNAME}{_NOT_NAMED}(?:某{{1,2}}|{_HAN}{{1,2}}?))"
            rf"(?=[，,。；;、\s（(:：)）/]|$|男|女|因|于|在|诉|述|自|系|来|无|出生|主任|医师|医生|护士|先生|女士|同志|电话|身份证|住院|入院)"
        ),
        None,
    ),
    (
        "name",
        re.compile(
            rf"(?P<it>(?<!主)(?<!副主){_SURNAME}{_NOT_NAMED}{_HAN}{{0,2}}?)(?=先生|女士|小姐|医生|医师|主任|护士|教授|大夫)"
        ),
        None,
    ),
)
