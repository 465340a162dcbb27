"""Every kind of identifier is found in the forms that notes give it; clinical numbers and eponyms are left alone."""

from __future__ import annotations

import time

import pytest

from medloom.record.deidentify.identifiers import identifiers
from medloom.record.deidentify.replacing import places


def found_in(text: str) -> set[tuple[str, str]]:
    return {(one.kind, text[one.start : one.end]) for one in identifiers(text)}


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("Member ID: XYZ123456789", "health_plan", "XYZ123456789"),
        ("his health plan beneficiary number AB-1234567 was", "health_plan", "AB-1234567"),
        ("account number 1234-567890", "account", "1234-567890"),
        ("card 4111 1111 1111 1111", "account", "4111 1111 1111 1111"),
        ("Driver's License: D1234567", "licence", "D1234567"),
        ("NPI 1234567893", "licence", "1234567893"),
        ("car with license plate ABC 123 was towed", "vehicle", "ABC 123"),
        ("the number 1M8GDM9AXKP042788 on the hood", "vehicle", "1M8GDM9AXKP042788"),
        ("pacemaker, serial no. SN-123456", "device", "SN-123456"),
        ("UDI (01)00643169007222(21)A123456", "device", "(01)00643169007222(21)A123456"),
        ("fingerprint ID AB12345678 on file", "biometric", "AB12345678"),
        ("Fax: (412) 555-0199", "fax", "(412) 555-0199"),
        ("Passport number A12345678", "passport", "A12345678"),
        ("call 412-555-0199 ext. 12", "phone", "412-555-0199 ext. 12"),
        ("He works at Brightwater Logistics LLC since", "organisation", "Brightwater Logistics LLC"),
        ("born in Fort Wayne, IN", "address", "Fort Wayne"),
        ("lives at 410 county road 12 with", "address", "410 county road 12"),
        ("SEEN AT ST. AGNES MEDICAL CENTER TODAY", "hospital", "ST. AGNES MEDICAL CENTER"),
        ("with her mother Ann Lee this morning", "name", "Ann Lee"),
        ("Transcribed 3/4/2024 by Chidi Okoro", "name", "Chidi Okoro"),
        ("dr. okoro came and the patient left", "name", "okoro"),
        ("message taken by kevin walker, lpn", "name", "kevin walker"),
        ("from 2001:0db8:0000:0000:0000:ff00:0042:8329 at", "ip", "2001:0db8:0000:0000:0000:ff00:0042:8329"),
        ("MAC 00:1A:2B:3C:4D:5E", "device", "00:1A:2B:3C:4D:5E"),
        ("社会保障卡号A12345678", "social_security", "A12345678"),
        ("医保编号 1234567890", "health_plan", "1234567890"),
        ("护照号：E12345678", "passport", "E12345678"),
        ("车牌号京A·12345", "vehicle", "京A·12345"),
        ("微信：wxid_123456", "handle", "wxid_123456"),
        ("QQ 512345678", "handle", "512345678"),
        ("驾驶证号330106199001011234", "licence", "330106199001011234"),
        ("起搏器序列号：AB1234567", "device", "AB1234567"),
        ("指纹编号 FP12345678", "biometric", "FP12345678"),
        ("传真：010-87654321", "fax", "010-87654321"),
        ("工作单位：海阔食品厂", "organisation", "海阔食品厂"),
        ("系海阔食品厂退休职工", "organisation", "海阔食品厂"),
        ("住院号ZY1234567890，门诊", "record_number", "ZY1234567890"),
        ("头颅CT（编号：B1234-123）示", "record_number", "B1234-123"),
        ("福州市台江区万达广场B区2栋1单元1501室", "address", "福州市台江区万达广场B区2栋1单元1501室"),
        ("已婚，厦门市人，因", "address", "厦门市"),
        ("曾于花园路社区卫生服务中心就诊", "hospital", "花园路社区卫生服务中心"),
        ("患者之女李敏陪同", "name", "李敏"),
        ("请诸葛明月副主任医师会诊", "name", "诸葛明月"),
        ("王某某家属已签字", "name", "王某某"),
        ("责任护士：付家豪  2024-3-5", "name", "付家豪"),
        ("姓 名：张 伟  住 院 号：123456", "name", "张 伟"),
        ("24年3月5日复查", "date", "24年3月5日"),
        ("二〇一六年一月三十一日", "date", "二〇一六年一月三十一日"),
    ],
)
def test_each_kind_is_found(text: str, kind: str, words: str) -> None:
    assert (kind, words) in found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "BP 120/80, HR 72, SpO2 98% on 2 L, GCS 15/15, pain 3/10, strength 4/5, Apgar 9/10, EF 35-40%, NYHA III.",
        "Na 138, K 4.1, Cr 1.2 mg/dL, WBC 7.3, Hgb 13.5, plt 250, INR 2.1, pH 7.35, eGFR 56 mL/min/1.73 m2.",
        "Parkinson disease, Foley catheter, Graves disease, Whipple procedure, Kocher clamp, Hodgkin lymphoma.",
        "vancomycin 1250 mg IV q12h, heparin 5000 units, Norco 5/325, Advair 250/50, may take 5 tablets.",
        "ICD-10 E11.22, N18.32; CPT 99284; pT1c pN0 (0/3); Gleason 3+4=7; 6.0 x 4.5 x 2.2 cm; L4-L5; T12.",
        "The patient was seen by the nurse. His mother had diabetes; his wife was present. Dr. was called.",
        "continue, do not stop; refer to the eye clinic; wound clinic in 2 weeks; from the emergency department",
        "T 36.8℃，P 82次/分，BP 132/78mmHg，Apgar评分9-10-10分，NIHSS评分8分→3分，10^9/L，头孢呋辛1.5g静滴。",
        "AC-T方案化疗，GCS E3V4M6，右下肺感染，K29.5，莫西沙星0.4g qd，高血压病3级（很高危），白细胞升高。",
        "患者过敏史不详，患者曾用青霉素，家属表示理解，护士查房，主任医师查房，医师已告知，当地医院就诊，外院CT。",
        "麦氏点压痛，墨菲征阴性，巴宾斯基征（-），马方综合征，克罗恩病，帕金森病，时间较长，明显好转。",
    ],
)
def test_what_names_nobody_is_left_alone(text: str) -> None:
    assert found_in(text) == set()


def test_lines_that_were_broken_to_fit_are_read_as_one() -> None:
    english = (
        "The patient was seen in the clinic on Monday, and his brother, Mary\nJones, was called on the "
        "evening of March\n5, 2024 at his home."
    )
    said = {english[one.start : one.end] for one in identifiers(english)}
    assert {"Mary\nJones", "March\n5, 2024"} <= said
    chinese = (
        "患者因反复上腹痛三年加重一周入院治疗，联系人为其丈夫王\n"
        "建国，手机号码一并记录在案，请随时拨打电话：138123\n45678。"
    )
    assert {"王\n建国", "138123\n45678"} <= {chinese[one.start : one.end] for one in identifiers(chinese)}


def test_two_numbers_on_two_lines_are_two() -> None:
    text = "患者一般情况可，继续目前治疗，联系电话：13812345678\n2024年3月5日记录在案，随诊观察，定期复查。"
    assert {("phone", "13812345678"), ("date", "2024年3月5日")} <= found_in(text)


def test_a_table_tells_by_its_first_line_and_a_value_by_the_line_before() -> None:
    text = "Name        MRN       DOB\nLEE, ANN    0012345   3/5/1950\nSodium      135       ok\n"
    assert ("name", "LEE, ANN") in found_in(text) and ("record_number", "0012345") in found_in(text)
    assert not any("Sodium" in words for _, words in found_in(text))
    assert found_in("MRN\n0012345\n") == {("record_number", "0012345")}
    assert found_in("姓名\n张伟\n") == {("name", "张伟")}


def test_an_eponym_is_no_person_though_one_is_called_so() -> None:
    text = "Dr. Wilson called. Wilson disease is known; Wilson agreed."
    assert [one.start for one in places(text)] == [4, text.rindex("Wilson")]


@pytest.mark.parametrize(
    "one",
    [
        "x ",
        "(",
        "a-",
        "1 ",
        "(0",
        "@",
        "中",
        "王",
        "医院",
        "1号",
        "姓名:",
        "Ab ",
        "a|",
        "St. ",
        "12 Ab ",
        "a\n",
        "省市区",
    ],
)
def test_time_grows_with_the_text_alone(one: str) -> None:
    def seconds(n: int) -> float:
        begun = time.perf_counter()
        places(one * (n // len(one)))
        return time.perf_counter() - begun

    short = min(seconds(20_000) for _ in range(2))
    assert seconds(200_000) < 40 * max(short, 0.005)
