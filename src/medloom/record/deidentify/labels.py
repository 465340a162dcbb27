"""What stands before a value and tells what it is: `MRN:`, `policy number`, 住院号, 紧急联系人."""

from __future__ import annotations

from typing import Final

from medloom.record.deidentify.kinds import Kind

_SKIPPED: Final = " \t\n\r:#=|.,([\"'“*_"
_NUMBER_WORDS: Final = ("number", "no", "nos", "num", "nr", "id", "ids", "code", "identifier")
_LINKS: Final = ("is", "was", "with", "of", "the", "are")
_ZH_NUMBER_WORDS: Final = ("号码", "编号", "编码", "号", "码")
_ZH_LINKS: Final = ("为", "是", "(签字)", "(签名)")

_NUMBERED: Final[dict[Kind, str]] = {
    "record_number": "mrn,mr,med rec,medical record,medical records,chart,csn,har,accession,acc,specimen,rx,"
    "prescription,requisition,barcode,job,encounter,fin,emr,ehr,hrn,nhs,chi,urn",
    "health_plan": "member,subscriber,policy,health plan,insurance,medicare,medicaid,beneficiary,hicn,mbi,insured,"
    "policyholder,claim,authorization,prior authorization,payer,hic",
    "account": "account,acct,iban,credit card,debit card,bank account,routing,invoice,billing",
    "licence": "license,licence,driver's license,drivers license,driver license,npi,dea,upin,certificate,certification,"
    "gmc,nmc,permit,credential,badge,employee,staff,tin,ein,taxpayer,licensure,nino,national insurance",
    "vehicle": "vin,vehicle identification,plate,license plate,licence plate,number plate,registration plate,vehicle,"
    "chassis",
    "device": "serial,s/n,sn,lot,batch,udi,device,implant,imei,mac address,pump,tag,asset,catalog,ref/lot",
    "passport": "passport,passport/visa,visa",
    "biometric": "fingerprint,retinal scan,retina scan,iris scan,voiceprint,voice print,biometric,palm print,faceprint",
    "phone": "tel,telephone,phone,cell,cell phone,mobile,pager,beeper,callback,home phone,work phone,voicemail,ph,call",
    "fax": "fax,facsimile,telefax",
    "social_security": "ssn,ss,soc sec,social security,social",
    "postcode": "zip,postcode,postal,zipcode,post",
}
_NUMBERED_IF_SAID: Final[dict[Kind, str]] = {
    "record_number": "patient,pt,case,visit,order,study,subject,participant,protocol,report,record,hospital,unit,file,"
    "reference,ref,tracking,referral,sample,episode,registration,document,confirmation,ticket,"
    "request,slide,block,donor,"
    "hospital unit,admission,discharge,clinic,client,resident,trial,enrollment,randomization,screening,unique,person",
    "health_plan": "group,plan,coverage,contract,carrier,grp",
    "account": "card,bank,customer,guarantor,loan,payment,transaction",
    "licence": "provider,physician,tax,student,military,state,professional,registry",
    "device": "model,pacemaker,component,product,part,valve,stent,lead,generator,machine,monitor",
    "phone": "contact,mother's,father's,wife's,husband's,home,work,office,extension,business,day,evening",
}
_ZH_NUMBERED: Final[dict[Kind, str]] = {
    "citizen_number": "身份证,居民身份证,公民身份,身份,证件,身份证件",
    "social_security": "社保,社保卡,社会保障,社会保障卡,社会保险,社保电脑",
    "health_plan": "医保,医保卡,医疗保险,参保,保单,保险单,医疗证,新农合,合作医疗,医疗保障,保险,医保个人",
    "passport": "护照,通行证,台胞证,回乡证,港澳台证,居留证",
    "account": "银行卡,银行,账户,帐户,账,帐,储蓄卡,信用卡,发票,卡",
    "licence": "驾驶证,驾照,执业证书,执业,资格证书,资格证,工,证书,出生医学证明,出生证明,出生证,军官证,士兵证,残疾证,学,"
    "执照,许可证,工作证,员工,离休证,老年证,毕业证,职工",
    "vehicle": "车牌,车牌号,车架,发动机,行驶证,车辆,车",
    "device": "序列,设备,批,机身,器械,产品序列,仪器,植入物,支架,产品,起搏器,设备序列,机器,灭菌批",
    "biometric": "指纹,虹膜,声纹,人脸,面容,掌纹",
    "record_number": "住院,病案,病历,门诊,就诊,登记,标本,影像,检查,档案,急诊,病理,检验,报告,条,条形,条码,申请单,"
    "处方,就诊卡,诊疗卡,健康卡,血袋,输血袋,研究,受试者,入组,流水,订单,医嘱,患者,病人,病员,ct,mri,mr,x线,超声,放射,体检,"
    "筛选,随机,样本,片,胃镜,内镜,胶片,申请,收据,预约,接种,首页,识别,预防接种证,腕带,案例,病例,治疗,透析,材料",
    "phone": "电话,手机,联系电话,联系方式,热线,座机,固话,来电,致电,拨打,手机号,联系",
    "fax": "传真",
    "handle": "微信,qq,微博,钉钉,抖音,支付宝",
    "postcode": "邮编,邮政编,邮政",
}
_ZH_WITHOUT_NUMBER_WORD: Final = frozenset(
    "身份证 居民身份证 证件 社保卡 社会保障卡 医保卡 护照 通行证 银行卡 驾驶证 驾照 车牌 电话 "
    "手机 联系电话 联系方式 热线 座机 固话 来电 致电 拨打 传真 微信 qq 微博 钉钉 邮编 医保 社保 "
    "就诊卡 健康卡 指纹 联系 手机号 车牌号".split()
)

ENGLISH: Final[dict[str, tuple[Kind, bool]]] = {
    label: (kind, said)
    for table, said in ((_NUMBERED_IF_SAID, True), (_NUMBERED, False))
    for kind, labels in table.items()
    for label in labels.split(",")
}
"""Label of a number in lower case: what it is, and whether a word for `number` has to follow it."""

CHINESE: Final[dict[str, tuple[Kind, bool]]] = {
    label: (kind, label not in _ZH_WITHOUT_NUMBER_WORD)
    for kind, labels in _ZH_NUMBERED.items()
    for label in labels.split(",")
}

PEOPLE: Final = frozenset(
    "patient,patient name,patient's name,pt,pt name,name,resident,child,child's name,mother,father,"
    "attending,attending md,attending physician,pcp,primary care physician,primary care provider,"
    "surgeon,assistant,assistant surgeon,co-surgeon,anesthesiologist,anaesthetist,anesthetist,"
    "physician,ordering physician,ordering provider,referring,referring physician,"
    "referring provider,requesting physician,requesting provider,submitting physician,consultant,"
    "consulting physician,provider,dictated by,transcribed by,signed by,electronically signed by,"
    "signed,seen by,checked by,reviewed by,verified by,entered by,taken by,message taken by,author,"
    "nurse,rn,lpn,caller,subscriber,guarantor,next of kin,emergency contact,responsible party,"
    "spouse,insured,policyholder,copies to,re,attn,contact,contact person,caregiver,guardian,"
    "witness,interpreter,technician,radiologist,pathologist,cardiologist,last name,first name,"
    "full name,middle name,maiden name,surname,given name,client,subject name,member name,"
    "subscriber name,dictating physician,performed by,completed by,prepared by,interpreted by,"
    "read by,resident physician,fellow,scribe,husband,wife,son,daughter,parent,partner,approved by,"
    "authorized by,prescriber,collected by,received by,reported by,social worker,case manager,"
    "therapist,health care proxy,power of attorney,admitting physician,discharging physician,"
    "operator,alias,also known as,aka,requesting,physician name,provider name,employee name,donor,"
    "recipient,decedent,informant,accompanied by".split(",")
)
"""Labels behind which a person's name stands."""

_PLACES: Final[tuple[tuple[Kind, str], ...]] = (
    (
        "address",
        "address,home address,mailing address,street,street address,residence,city,town,county,"
        "city/state,lives at,city/state/zip,city state zip,place of birth,birthplace,hometown,"
        "permanent address",
    ),
    ("organisation", "employer,school,workplace,company,place of work,employed by,occupation/employer"),
    (
        "hospital",
        "hospital,facility,clinic,transferred from,transferred to,site,performing lab,institution",
    ),
)
PLACES: Final = {label: kind for kind, labels in _PLACES for label in labels.split(",")}
"""Labels behind which a place or a firm stands."""

ZH_PEOPLE: Final = tuple(
    (
        "姓名 患者 病人 产妇 家属 联系人 医师 医生 大夫 主任 护士 签名 签字 记录者 记录人 审核者 审核人 "
        "检验者 报告者 操作者 术者 一助 二助 三助 助手 主刀 护士长 曾用名 监护人 代理人 委托人 配偶 父亲 "
        "母亲 护师 技师 药师 供史者 陈述者 提供者 申请人 检查者 采样者 接班 交班 受试者 研究者 会诊者 "
        "主诊 亲属 姓名(签字) 助产士 核对者 送检者 登记人 填表人 指导者 护送者"
    ).split()
)
"""Ends of labels behind which a person's name stands."""
_ZH_PLACES: Final[tuple[tuple[Kind, str], ...]] = (
    (
        "address",
        "户籍地 住址 地址 出生地 籍贯 现住 家住 住所 户籍 户口所在地 地点 居住地 通讯处 家庭住址 所在地 现居 户口地",
    ),
    ("organisation", "工作单位 单位名称 单位 学校 就职单位 公司 所在单位"),
    ("hospital", "转出医院 转入医院 就诊医院 医疗机构 医院名称 接收医院 送检单位 送检医院"),
)
ZH_PLACES: Final = {label: kind for kind, labels in _ZH_PLACES for label in labels.split()}
"""Labels behind which a place or a firm stands."""


def kind_of_number(low: str, at: int, long: bool = False) -> Kind | None:
    """Tell by what stands before it what a number is; None: nothing tells.

    Args:
        low: the text in lower case.
        at: where the number begins.
        long: it is so long that a word such as `case` need not say that a number follows.

    >>> kind_of_number("policy no. is 12345", 14), kind_of_number("住院号:123456", 4), kind_of_number("dose 12345", 5)
    ('health_plan', 'record_number', None)
    """
    said, marked = low[max(0, at - 44) : at], False
    while True:
        bare = said.rstrip(_SKIPPED)
        marked |= "#" in said[len(bare) :]
        if not bare:
            return None
        if "\u4e00" <= bare[-1] <= "\u9fff" or bare[-1] in ")":
            return _chinese_kind(bare)
        word = bare[bare.rfind(" ") + 1 :] if " " in bare else bare
        word = word[word.rfind("\n") + 1 :].lstrip("(|")
        if word in _NUMBER_WORDS:
            marked = True
        elif word not in _LINKS:
            break
        said = bare[: len(bare) - len(word)]
        if not said:
            return None
    colon = ":" in low[at - 3 : at] or "|" in low[at - 3 : at]
    words = bare[-32:].replace("(", " ").replace("|", " ").replace(",", " ").split()
    for n in (3, 2, 1):
        known = ENGLISH.get(" ".join(words[-n:]))
        if known is not None and (not known[1] or marked or colon or long):
            return known[0]
    return _chinese_kind(bare) if not bare[-1].isascii() or bare.endswith(("qq", "ct", "mr", "mri")) else None


def _chinese_kind(bare: str) -> Kind | None:
    """Tell by Chinese words, whose characters may stand apart."""
    said = "".join(bare[-24:].split())
    marked = False
    for links in (_ZH_LINKS, _ZH_NUMBER_WORDS):
        for link in links:
            if said.endswith(link):
                said = said[: -len(link)].rstrip(_SKIPPED)
                marked |= links is _ZH_NUMBER_WORDS
                break
    for n in range(7, 0, -1):
        known = CHINESE.get(said[-n:]) if len(said) >= n else None
        if known is not None and (marked or not known[1]):
            return known[0]
    return "record_number" if marked and bare.endswith(("编号", "号码")) else None
