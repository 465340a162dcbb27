"""Addresses down to the door, hospitals and employers in Chinese notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from medloom.record.deidentify.kinds import Identifier, Kind
from medloom.record.deidentify.labels import ZH_PLACES

_STOP: Final = "住于在址至到从就诊转入往经由去来赴系为是驶的及与者，。；:"
_HAN: Final = "[\u4e00-\u9fff]"
_PLACE: Final = f"(?:(?![{_STOP}]){_HAN})"
_NUMBER: Final = r"(?:[A-Z]?\d{1,5}(?:-\d{1,4})?|[A-Z](?=[ ]?[座区栋幢]))[ ]?"
_UNITS: Final = "(?:号楼|号院|号|幢|栋|弄|组|座|单元|室|楼|层|户|(?<=[A-Z])区)"
_HOUSE: Final = re.compile(
    rf"(?:{_NUMBER}|[一二三四五六七八九十]{{1,3}}[ ]?)(?!楼层|层|户){_UNITS}"
    rf"(?:[ ]?(?:{_NUMBER}|附|[\u4e00-\u9fff]{{1,8}}(?=\d){_NUMBER}){_UNITS}?)*"
)
_WAY: Final = re.compile(
    f"{_PLACE}{{0,24}}(?:路|街|大道|巷|弄|胡同|村|小区|花园|新村|社区|苑|城|公寓|家园|里|庄|屯|湾|"
    f"镇|乡|街道|大厦|广场|园|道)[东西南北中]?(?:段)?$"
)
_TOWN: Final = re.compile(
    f"(?:{_PLACE}{{2,3}}省|{_PLACE}{{2,5}}自治区)?(?<![超门城])(?P<it>(?!本市|城市|超市|全市|"
    f"我市){_PLACE}{{2,4}}市(?:{_PLACE}{{1,4}}[区县])?)"
    f"(?={_HAN}{{0,2}}人[，,、 ]|[，,。；; \n]|$)"
)
_PROVINCE: Final = re.compile(
    "(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|"
    "海南|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆)(?:省|市|自治区|壮族自治区|"
    "回族自治区|维吾尔自治区)?"
    f"(?P<it>{_PLACE}{{2,6}}[市州盟](?:{_PLACE}{{1,5}}[区县旗市])?(?:{_PLACE}{{1,6}}(?:镇|乡|街道))?)"
)
_LABELLED: Final = re.compile(
    rf"(?:{'|'.join('[ ]{0,3}'.join(one) for one in sorted(ZH_PLACES, key=len, reverse=True))})"
    rf"[ ]{{0,3}}(?::|\||\t|[ ]{{1,3}}|为)[ ]{{0,6}}"
    r"(?P<it>[^\n,，。；;|\t ]{2,60})"
)
_LIVING: Final = re.compile(
    r"(?:家住|现住|居住于|居住在|居于|住在|户籍|家住在|老家)[于在:]?[ ]?(?P<it>[\u4e00-\u9fff][^\n,"
    r"，。；;|\t: ]{3,50})"
)
_HOSPITAL: Final = re.compile(
    r"医院(?:[东西南北]院区?|[东西南北新老]区?院|[\u4e00-\u9fff]{1,3}(?:院区|分院)|分院)?|卫生院|卫生服务中心|卫生服务站|诊所|保健院|"
    r"疗养院|门诊部|卫生室|养老院|福利院|医学中心"
)
_BEFORE_HOSPITAL: Final = re.compile(
    f"(?:(?![在于至到从就转入往经由去来赴收住我外本该当某上述院请及与和的曾出向回送被因日月年示用]){_HAN}|(?<=[协仁颐祥同太永])和|和(?=[平睦]|美家)|附属|来(?=[宾安凤])){{2,18}}$"
)
_NO_HOSPITALS: Final = re.compile(
    "(?:上级|当地|另一家|[一两几]家|外地|专科|综合|三甲|三级|二级|定点|基层|社区|私立|公立|其他|另一|附近|"
    "多家|各大|医联体|互联网|民营|乡镇|县级|市级|省级|原|地方|下级|首诊|该|此|某|儿童|精神|传染病|肿瘤|"
    "急诊|中医|妇幼|结核|口腔|眼科|骨科|康复|老年|女患者|男患者)+"
)
_ORGANISATION: Final = re.compile(
    r"有限公司|公司|集团|大学|学院|中学(?![习得到会])|小学|幼儿园|[路务安政业]局|工厂|[^\W\d]厂(?!家)|银行|支行|"
    r"大楼|商场|研究所|研究院|派出所|事务所|酒店|饭店|"
    r"超市|村委会|居委会|工地|服装店|合作社|出版社|电视台|法院|检察院|车队|煤矿|农场|学校"
)
_BEFORE_ORGANISATION: Final = re.compile(
    f"(?:(?![在于至到从就往由去来系为是驶乘坐我本该某的及和与其患者]){_HAN}|(?<=华)为){{2,14}}$"
)


def chinese_places(text: str) -> Iterator[Identifier]:
    """Find them in a text in the usual characters.

    >>> text = "现住杭州市西湖区文三路478号3幢201室，于浙江省第二医院就诊，青岛海阔食品厂职工"
    >>> sorted({text[one.start : one.end] for one in chinese_places(text)})
    ['杭州市西湖区文三路478号3幢201室', '浙江省第二医院', '青岛海阔食品厂']
    """
    for match in _HOUSE.finditer(text):
        way = _WAY.search(text, max(0, match.start() - 34), match.start())
        if way is not None:
            yield Identifier(way.start(), match.end(), "address")
    for pattern in (_TOWN, _PROVINCE, _LIVING):
        for match in pattern.finditer(text):
            yield Identifier(match.start("it"), match.end("it"), "address")
    for match in _LABELLED.finditer(text):
        label = "".join(match.group()[: match.start("it") - match.start()].split()).rstrip(":|为")
        kind: Kind = ZH_PLACES.get(label, "address")
        said = match["it"]
        if _is_value(said, kind, match.group()[: match.start("it") - match.start()]):
            yield Identifier(match.start("it"), match.end("it"), kind)
    for match in _HOSPITAL.finditer(text):
        before = _BEFORE_HOSPITAL.search(text, max(0, match.start() - 18), match.start())
        if before is not None and _NO_HOSPITALS.fullmatch(before.group()) is None:
            yield Identifier(before.start(), match.end(), "hospital")
    for match in _ORGANISATION.finditer(text):
        before = _BEFORE_ORGANISATION.search(text, max(0, match.start() - 14), match.start())
        if before is not None:
            yield Identifier(before.start(), match.end(), "organisation")


def _is_value(said: str, kind: Kind, label: str) -> bool:
    if said in ("无", "不详", "同上", "退休", "无业", "未知", "农民", "个体", "参考值", "拒绝提供"):
        return False
    if ":" in label or "|" in label or "\t" in label:
        return True
    return len(said) > 4 and (kind != "organisation" or _ORGANISATION.search(said) is not None)
