"""Made-up identifiers as Chinese notes write them: people, places, numbers with right checks, dates in many forms."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Final

from _identity_english import day, drawn, half, luhn  # type: ignore[import-not-found]  # beside this one

_SURNAMES: Final = (
    "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗 梁 宋 郑 谢 韩 唐 冯 于 董 萧 程 曹 袁 邓 许 "
    "傅 沈 曾 彭 吕 苏 卢 蒋 蔡 贾 丁 魏 薛 叶 阎 余 潘 杜 戴 夏 钟 汪 田 任 姜 范 方 石 姚 谭 廖 邹 熊 金 陆 "
    "郝 孔 白 崔 康 毛 邱 秦 江 史 顾 侯 邵 孟 龙 万 段 章 钱 汤 尹 黎 易 常 武 乔 贺 赖 龚 文 覃 缪 佟 邝 麦 "
    "游 骆 欧阳 司马 上官 诸葛 东方 皇甫 尉迟 公孙 慕容 令狐"
).split()
_GIVEN: Final = (
    "伟 芳 娜 秀英 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀兰 霞 平 刚 桂英 建国 建华 志强 晓明 小红 "
    "国庆 玉兰 子轩 梓涵 浩然 欣怡 雨桐 俊杰 文博 思远 淑珍 凤英 海燕 春梅 德胜 永福 家豪 嘉怡 若曦 一诺 "
    "晨曦 雪梅 立新 卫东 红霞 金花 志远 天佑 佳琪 鹏飞 婷婷 大勇"
).split()
_ETHNIC: Final = "买买提·艾力 阿依古丽·吐尔逊 古力娜扎·热合曼 扎西·多吉 艾克拜尔·木沙 巴特尔·苏和".split()
_CITIES: Final = "杭州市 成都市 武汉市 西安市 南京市 长沙市 青岛市 郑州市 昆明市 合肥市 厦门市 大连市".split()
_PROVINCES: Final = {
    "杭州市": "浙江省", "成都市": "四川省", "武汉市": "湖北省", "西安市": "陕西省", "南京市": "江苏省",
    "长沙市": "湖南省", "青岛市": "山东省", "郑州市": "河南省", "昆明市": "云南省", "合肥市": "安徽省",
    "厦门市": "福建省", "大连市": "辽宁省",
}  # fmt: skip
_DISTRICTS: Final = (
    "西湖区 锦江区 洪山区 雁塔区 鼓楼区 岳麓区 城阳区 金水区 官渡区 庐阳县 思明区 甘井子区".split()
)
_ROADS: Final = (
    "文三路 春熙路 珞喻路 长安南路 中央大街 解放西路 重庆北路 花园路 滇池大道 长江中路 湖滨南路 黄河巷"
).split()
_ESTATES: Final = "翠苑小区 锦绣花园 阳光新村 和平里社区 金色家园 东方明珠城 书香苑 碧水湾公寓".split()
_HOSPITALS: Final = (
    "北京协和医院 杭州市第一人民医院 华西医院 江岸区中心医院 省立第三医院 西京医院 鼓楼区妇幼保健院 "
    "长沙市中医院 青岛大学附属医院 花园路社区卫生服务中心 云南省肿瘤医院 东风镇卫生院 厦门大学附属第一医院 "
    "大连市儿童医院"
).split()
_ORGANISATIONS: Final = (
    "杭州宏达机械有限公司 成都市第七中学 武汉铁路局 西安远东集团 南京大学 长沙市税务局 青岛海阔食品厂 "
    "郑州百货大楼 昆明市公交公司 合肥第二纺织厂 厦门建设银行 大连造船厂"
).split()
_ZH: Final = "〇一二三四五六七八九"


def person(rng: Random, held_out: bool) -> dict[str, str]:
    """Make somebody up, with every way the name is written."""
    surname, given = rng.choice(half(_SURNAMES, held_out)), rng.choice(half(_GIVEN, held_out))
    full = surname + given
    return {
        "full": full,
        "sur": surname,
        "mou": f"{surname}某某",
        "spaced": f"{surname} {given}" if len(given) == 1 else full,
        "ethnic": rng.choice(half(_ETHNIC, held_out)),
    }


def written(when: date, rng: Random) -> str:
    """Write a day in one of the forms that notes have."""
    return rng.choice(
        (
            f"{when.year}年{when.month}月{when.day}日",
            f"{when.year}年{when.month:02}月{when.day:02}日",
            f"{when.year}-{when.month:02}-{when.day:02}",
            f"{when.year}-{when.month}-{when.day}",
            f"{when.year}/{when.month:02}/{when.day:02}",
            f"{when.year}.{when.month:02}.{when.day:02}",
            f"{when.year}.{when.month}.{when.day}",
            f"{when:%Y%m%d}",
            f"{when.year} 年 {when.month} 月 {when.day} 日",
            f"{''.join(_ZH[int(one)] for one in str(when.year))}年{_number(when.month)}月{_number(when.day)}日",
            f"{when:%y}年{when.month}月{when.day}日",
        )
    )


def _number(n: int) -> str:
    if n < 11:
        return "十" if n == 10 else _ZH[n]
    return ("" if n < 20 else _ZH[n // 10]) + "十" + (_ZH[n % 10] if n % 10 else "")


def _digits(rng: Random, n: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(n))


def citizen(rng: Random) -> str:
    """Draw a citizen's number with its check (GB 11643-1999)."""
    born = date(1930, 1, 1) + timedelta(rng.randrange(28_000))
    number = (
        rng.choice("330106 510104 420111 610113 320106 430104".split()) + f"{born:%Y%m%d}" + _digits(rng, 3)
    )
    rest = sum(int(one) * pow(2, 17 - place, 11) for place, one in enumerate(number)) % 11
    return number + "10X98765432"[rest]


def _mobile(rng: Random) -> str:
    number = f"1{rng.choice('356789')}{_digits(rng, 9)}"
    return rng.choice(
        (
            number,
            number,
            f"{number[:3]}-{number[3:7]}-{number[7:]}",
            f"{number[:3]} {number[3:7]} {number[7:]}",
            f"+86 {number}",
        )
    )


def _landline(rng: Random) -> str:
    area, number = rng.choice(("010", "0571", "028", "0755")), f"{rng.randrange(2, 9)}{_digits(rng, 7)}"
    return rng.choice(
        (f"{area}-{number}", f"({area}){number}", f"（{area}）{number}", number, f"{area}{number}")
    )


def _month_day(rng: Random) -> str:
    when = day(rng)
    return rng.choice(
        (
            f"{when.month}月{when.day}日",
            f"{when.month:02}月{when.day:02}日",
            f"{_number(when.month)}月{_number(when.day)}日",
        )
    )


def _month_year(rng: Random) -> str:
    when = day(rng)
    return rng.choice(
        (f"{when.year}年{when.month}月", f"{when.year}-{when.month:02}", f"{when.year}.{when.month:02}")
    )


def _address(rng: Random, held_out: bool) -> str:
    city = rng.choice(half(_CITIES, held_out))
    area = city + rng.choice(half(_DISTRICTS, held_out))
    house = f"{rng.randrange(1, 900)}号"
    flat = rng.choice(
        (
            "",
            f"{rng.randrange(1, 30)}幢{rng.randrange(1, 5)}单元{rng.randrange(101, 1999)}室",
            f"{rng.randrange(1, 30)}栋{rng.randrange(101, 999)}",
        )
    )
    road, estate = rng.choice(half(_ROADS, held_out)), rng.choice(half(_ESTATES, held_out))
    return rng.choice(
        (
            f"{_PROVINCES[city]}{area}{road}{house}{flat}",
            f"{area}{road}{house}",
            f"{area}{road}{house}{estate}{flat or '3号楼201室'}",
            f"{area}{estate}{flat or '5幢2单元301室'}",
            f"{_PROVINCES[city]}{area}大河镇李家村{rng.randrange(1, 20)}组{rng.randrange(1, 99)}号",
        )
    )


def _plate(rng: Random) -> str:
    rest = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ" + string.digits * 3) for _ in range(4)) + rng.choice(
        string.digits
    )
    return f"{rng.choice('浙川鄂陕苏湘鲁豫京沪')}{rng.choice('ABCDE')}{rng.choice(('', '·'))}{rest}"


VALUES: Final[dict[str, tuple[str | None, str | Callable[[Random, bool], str]]]] = {
    "age": (None, lambda rng, _: str(rng.randrange(18, 89))),
    "old": ("age", lambda rng, _: str(rng.randrange(90, 104))),
    "date": ("date", lambda rng, _: written(day(rng), rng)),
    "dob": ("date", lambda rng, _: written(day(rng) - timedelta(rng.randrange(9_000, 28_000)), rng)),
    "monthday": ("date", lambda rng, _: _month_day(rng)),
    "monthyear": ("date", lambda rng, _: _month_year(rng)),
    "mobile": ("phone", lambda rng, _: _mobile(rng)),
    "landline": ("phone", lambda rng, _: _landline(rng)),
    "email": ("email", "wang9999@example.cn|zy9999@mail.example.com|doctor9999@example.cn"),
    "url": ("url", "https://www.example.cn/999999"),
    "ip": ("ip", lambda rng, _: ".".join(str(rng.randrange(1, 255)) for _ in range(4))),
    "citizen": ("citizen_number", lambda rng, _: citizen(rng)),
    "card": ("social_security", lambda rng, _: rng.choice((drawn("A99999999", rng), citizen(rng)))),
    "insurance": ("health_plan", "9999999999|A999999999"),
    "policy": ("health_plan", "P999999999999"),
    "mrn": ("record_number", "999999|99999999|A9999999|ZY9999999999"),
    "exam": ("record_number", "CT999999|99999999|20249999|B9999-999"),
    "study": ("record_number", "XH-9999"),
    "bag": ("record_number", "9999999999999"),
    "staff": ("licence", "99999"),
    "certificate": ("licence", "P999999999|Q999999999"),
    "passport": ("passport", "E99999999|G99999999"),
    "bank": ("account", lambda rng, _: luhn(drawn("622299999999999999", rng))),
    "plate": ("vehicle", lambda rng, _: _plate(rng)),
    "serial": ("device", "AA9999999"),
    "biometric": ("biometric", "FP99999999"),
    "wechat": ("handle", "wxid_999999|li99999|happy_c999"),
    "qq": ("handle", "599999999|799999999"),
    "address": ("address", _address),
    "city": ("address", lambda rng, held_out: rng.choice(half(_CITIES, held_out))),
    "zip": ("postcode", "199900|499900"),
    "hospital": ("hospital", lambda rng, held_out: rng.choice(half(_HOSPITALS, held_out))),
    "org": ("organisation", lambda rng, held_out: rng.choice(half(_ORGANISATIONS, held_out))),
}
"""Name of a slot: kind of identifier (None: none is one), and what draws a value."""
