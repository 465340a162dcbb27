"""Names of people in Chinese notes: by surname, and what stands beside it: a label, a title, a relation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from medloom.record.deidentify.kinds import Identifier
from medloom.record.deidentify.labels import ZH_PEOPLE

_SINGLE: Final = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏"
    "薛叶阎余潘杜戴夏钟汪田任姜范"
    "方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段章钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟"
    "安颜倪严牛温芦季俞鲁葛伍韦申尤"
    "毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍"
    "位覃霍翁隋植甘景薄单包司柏宁柯"
    "阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来嵺苟全褚廉简娄盖符奚木穆党燕郎邸冀谈"
    "姬屠连郜晏栾郁商蒙计喻揭窦迟"
    "宇敖糜鄢冷卓花仇艾蓝都巩稽井练仲乐虞卞封竺冼原官衣楚佟栗匡宗应台巫鞠僧桑荆谌银扬明沙薄伏岑习胥"
    "保和蔺邝麦缪肖闫付邸"
    "骆凤昌酆皮湛禹狄贝茅麻危支昝裘宣贲杭钮嵇滑荣荀羊於惠芮羿储汲邴富乌巴弓隗宓郗班仰戎祖束幸韶蓟印"
    "宿怀蒲邰鄂索籍逄宰郦雍郤璩濮寿扈郏浦"
    "尚农慎戈庾暨居衡弘禄阙沃蔚夔隆厍晁勾融訾阚那乜巢蒯权逯桓佘帅亢赫展续过卿盘鹿银闻占操邝揣尧芦洛逢仝敬晨苌么"
)
DOUBLE: Final = (
    "欧阳 司马 上官 诸葛 东方 皇甫 尉迟 公孙 慕容 令狐 夏侯 司徒 司空 长孙 宇文 轩辕 端木 独孤 南宫 西门 "
    "澹台 公冶 钟离 闾丘 太史 申屠 呼延 赫连 百里 东郭 濮阳 淳于 单于 第五 公羊 拓跋 完颜 纳兰 叶赫 那拉 "
    "欧陽"
).split()
_HAN: Final = "[\u4e00-\u9fff]"
_NEVER: Final = (
    "患者病痛院科诊疗治药查压尿便咳痰热炎症术后前今岁男女的了是在无不未已及与或等因从到诉述示见予自"
    "收住入出血肿胀疼体检测"
    "量次其父母妻夫姐妹弟兄哥叔伯姨姑舅属电话医师护主任教授护士长签字联系处案史状况情诊断级度期型"
    "性部侧肢腹胸头颈背腰"
    "，。、；：（）您我你他她它们这那此该每各请让被把将使由对于给以但就都也还又再更最很太低胖瘦糖脂尿酸细胞氏征"
)
_GIVEN: Final = f"(?:(?![{_NEVER}]|家[属人长住]|有[高无糖]){_HAN})"
_SURNAME: Final = f"(?:{'|'.join(DOUBLE)}|[{_SINGLE}])"
_NAME: Final = f"(?:{_SURNAME}(?:某{{1,2}}|{_GIVEN}{{1,2}}|[ ]{_GIVEN}{{1,2}}(?![\u4e00-\u9fff])))"
_SOMEBODY: Final = re.compile(f"{_SURNAME}某{{1,2}}")
_ETHNIC: Final = re.compile(f"{_HAN}{{1,8}}[·•・]{_HAN}{{1,8}}")
_TITLES: Final = (
    "主任医师|副主任医师|主治医师|住院医师|主治医生|主任|副主任|医生|医师|大夫|护士长|护士|护师|教授|先生|"
    "女士|小姐|警官|技师|药师|治疗师|营养师|律师|法官|老师|院长|主管|博士|同志|阿姨|师傅|检察官|社工"
)
_TITLE: Final = re.compile(f"(?:{_TITLES})")
_LEFT: Final = frozenset("请由经与和及被向给问科组院日晨午后天上晚位区是为找让跟同对房长室者属托随告")
_LABEL_WORDS: Final = "|".join(
    "[ ]{0,4}".join(map(re.escape, one)) for one in sorted(ZH_PEOPLE, key=len, reverse=True)
)
_LABELLED: Final = re.compile(
    rf"(?:{_LABEL_WORDS})[ ]{{0,2}}(?:\((?:签字|签名|盖章)\))?[ ]{{0,4}}(?::|\||\t|[ ]{{1,4}})\s{{0,8}}"
)
_NEXT: Final = (
    "性别|年龄|男|女|出生|民族|职业|婚姻|婚否|住院|电话|手机|主任|副主任|主治|医师|医生|护士|教授|科室|"
    "科别|床号|病案|身份|日期|时间|关系|门诊|就诊|联系|单位|签名|签字|费用|地址|住址|因|诉|患者|送检|采样|"
    "审核|报告|记录"
)
_VALUE: Final = re.compile(
    rf"(?:(?P<ethnic>{_HAN}{{1,8}}[·•・]{_HAN}{{1,8}}?)|(?P<spaced>{_HAN}[ ]{{1,3}}"
    rf"(?!(?:{_NEXT})){_HAN}{{1,2}})|(?P<it>{_HAN}{{2,4}}?))"
    rf"(?=$|[^\u4e00-\u9fff·]|(?:{_NEXT}))"
)
_PLAIN: Final = re.compile(rf"(?P<it>{_NAME})")
_BETWEEN: Final = re.compile(r"[ ]*[/、;,][ ]*")
_RELATIVES: Final = (
    "丈夫|妻子|儿子|女儿|母亲|父亲|配偶|姐姐|哥哥|弟弟|妹妹|爱人|老伴|孙子|孙女|外孙女|外孙|女婿|儿媳|"
    "媳妇|同事|邻居|朋友|室友|护工|保姆|监护人|养女|养子|侄子|侄女|外甥女|外甥|姑姑|叔叔|舅舅|姨妈|奶奶|"
    "爷爷|外婆|外公|岳父|岳母|公公|婆婆|表弟|表姐|(?:其|之|患者|病人|他的|她的)(?:长|次|大|二|小)?(?:子|"
    "女|父|母|妻|夫|兄|弟|姐|妹|姊)|产妇|家属|患儿|患者|病人|死者|伤者|联系人|助产士|接诊|医师|医生|护士|"
    "主任|教授|交警|民警|警官|受试者|孕妇|病员|家长|陪护"
)
_RELATIVE: Final = re.compile(rf"(?:{_RELATIVES})[ ]{{0,2}}(?:名叫|叫|为|是)?[(“]?(?={_SURNAME})")
_BY: Final = re.compile(rf"(?:由|请|经|与|和|及|向|被|找|随|遵|托|、|致)(?={_SURNAME})")
_SENTENCE: Final = re.compile(
    rf"(?:^|[\n。;！？ ，,])(?P<it>{_NAME})(?=[ ]{{0,4}}[,，、 ][ ]{{0,4}}(?:男|女|性别|\d{{1,3}}岁))"
)
_CLAUSE: Final = re.compile(rf"(?:^|[\n。;；])[ ]*(?P<it>{_NAME})(?=[今昨于诉述因术出入已])")
_AFTER: Final = frozenset(
    '，,。;；:：、 )（(\n\t/|”"男女因于在诉述自系来无说表陪今昨已到签同完与和及等现之者要为护电'
    "遵查指认告的主副医教病术有家向陈提称反精神一沟表拒担出入执询问咨补追代请汇报强答会"
)
_VERBS: Final = frozenset("陪同诉述因于在来说已到为向有现今昨查遵告提反精")
_NOBODY: Final = frozenset(
    "本人 患者 家属 本院 自己 父母 子女 不详 未知 拒绝 签名 签字 高血 全麻 项目 结果".split()
)
_NOT_PEOPLE: Final = frozenset(
    "本人 患者 家属 本院 自己 父母 子女 配偶 夫妻 父子 母子 母女 父女 姐妹 兄弟 同上 不详 未知 "
    "拒绝 无 签名 签字 日期 时间 电话 关系 高血压 高血糖 高血脂 高热 白细胞 黄疸 安静 安好 平素 "
    "时间 成人 方案 石膏 和平 万分 常规 强直 温度 包块 包扎 解除 明显 明确 连续 全麻 全身 项目 "
    "结果 单位 关于 任何 单纯 单侧 易怒 向前 向下 时有 路上 管道 管理 计划 左侧 左肺 左眼 成功 "
    "成立 保持 保护 应用 应予 来院 景况 宁静 符合 查体 查房 查血 查看 边界 原因 古怪 简单 应急 "
    "于是 都有 关节 关系 关心 文化 文盲 文具 花粉 通知 会诊 讨论 说明 同意 全程 曾用 曾经 曾在 "
    "曾到 曾服 曾行 曾诊 曾于 曾因 曾有 何时 何处 何种 包含 包括 过少 过多 过敏 过度 都是 都要 "
    "都设 都换 应该 应在 时而 方可 方能 全部 管路 连接 关注 易感 易发 谈及 计算 商量 解决 司机 "
    "宣教 车祸 党员 农民 习惯 终止 空腹 索要 暴露 富含 广泛 干扰 干预 应用 只把 留观 日间 风险 "
    "管床 经治 全科 主管 审核 记录 检验 报告 操作 康复 高龄 高危 张口 项下 别名 性别 年龄 安排 "
    "时常 时段 有限 明日 和谐 强烈 曲线 解释 单独 应激 盛行 应当 明白".split()
)


def chinese_people(text: str) -> Iterator[Identifier]:
    """Find them in a text in the usual characters.

    >>> text = "患者之女李敏陪同，王主任查房"
    >>> [text[one.start : one.end] for one in chinese_people(text)]
    ['李敏', '王']
    """
    for match in _LABELLED.finditer(text):
        at = match.end()
        colon = match.group().rstrip()[-1:] in (":", "|") or "\t" in match.group()
        while (value := _VALUE.match(text, at)) is not None:
            start, end = value.span(value.lastgroup or 0)
            said = "".join(text[start:end].split())
            label = _LABELLED.match(text, start)
            if label or said in _NOT_PEOPLE or said[:2] in _NOBODY or not (colon or _named(said)):
                break
            yield Identifier(start, end, "name")
            between = _BETWEEN.match(text, end)
            if between is None:
                break
            at = between.end()
        if colon and _VALUE.match(text, match.end()) is None:
            yield from _here(text, match.end())
    for match in _RELATIVE.finditer(text):
        whose = match.group().strip() in (
            "患者",
            "病人",
            "家属",
            "医师",
            "医生",
            "护士",
            "主任",
            "联系人",
            "朋友",
            "同事",
        )
        yield from _here(text, match.end(), closed=whose)
    for match in _BY.finditer(text):
        yield from _here(text, match.end(), sure=False)
    for match in _TITLE.finditer(text):
        yield from _titled(text, match.start())
    for match in _SENTENCE.finditer(text):
        if match["it"] not in _NOT_PEOPLE and match["it"][:2] not in _NOT_PEOPLE:
            yield Identifier(match.start("it"), match.end("it"), "name")
    for match in _SOMEBODY.finditer(text):
        yield Identifier(match.start(), match.end(), "name")
    for mark in "·•・":
        if mark in text:
            for match in _ETHNIC.finditer(text):
                yield Identifier(match.start(), match.end(), "name")
            break


def possible_names(text: str) -> Iterator[tuple[int, int]]:
    """Give where a clause begins with what has the form of a name: nothing else tells that it is one.

    >>> list(possible_names("建议休息。赵一鸣今日复查"))
    [(5, 8)]
    """
    for match in _CLAUSE.finditer(text):
        said = match["it"]
        if said not in _NOT_PEOPLE and said[:2] not in _NOT_PEOPLE:
            yield match.span("it")


def _named(said: str) -> bool:
    return _PLAIN.fullmatch(said) is not None or "·" in said


def _here(text: str, at: int, sure: bool = True, closed: bool = False) -> Iterator[Identifier]:
    """Give the name that begins here; three characters where what follows could follow a name, else two."""
    match = _PLAIN.match(text, at)
    if match is None:
        return
    said = match["it"]
    least = 3 if said[:2] in DOUBLE else 2
    ends = [
        end
        for end in range(len(said), least - 1, -1)
        if text[at + end : at + end + 1] in _AFTER or at + end == len(text)
    ]
    if not ends and (closed or not sure) and not _TITLE.match(text, at + least):
        return
    titled = _TITLE.match(text, at + len(said)) or _TITLE.match(text, at + least)
    if not sure and titled is None:
        return
    end = ends[0] if ends else len(said)
    before_title = [length for length in range(least, len(said)) if _TITLE.match(text, at + length)]
    if before_title:
        end = before_title[0]
    elif len(ends) > 1 and said[-1] in _VERBS and "\u4e00" <= text[at + end : at + end + 1] <= "\u9fff":
        end = ends[1]
    if said[:end] in _NOT_PEOPLE or said[:2] in _NOT_PEOPLE or said[:3] in _NOT_PEOPLE:
        return
    yield Identifier(at, at + end, "name")


def _titled(text: str, at: int) -> Iterator[Identifier]:
    """Give the name that ends here, before a title: of the lengths that names have the one behind a boundary."""
    for length in (3, 2, 4, 1):
        start = at - length
        if start < 0:
            continue
        said = text[start:at]
        whole = (length == 1 and said in _SINGLE) or (length == 2 and said in DOUBLE)
        if not whole and _PLAIN.fullmatch(said) is None:
            continue
        if length == 4 and said[:2] not in DOUBLE:
            continue
        left = text[start - 1 : start]
        if said in _NOT_PEOPLE or said[:2] in _NOT_PEOPLE:
            continue
        if not left or not "\u4e00" <= left <= "\u9fff" or left in _LEFT:
            yield Identifier(start, at, "name")
            return
