"""What could name a person is found in notes of both languages, and little else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from medloom.record.deidentify.checking import is_citizen_number
from medloom.record.deidentify.identifiers import identifiers


def found_in(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in identifiers(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Call (412) 555-0199 or 412-555-0199.", [("phone", "(412) 555-0199"), ("phone", "412-555-0199")]),
        ("SSN 123-45-6789, not 000-12-3456", [("social_security", "123-45-6789")]),
        ("ann.lee@example.org from 10.0.0.255", [("email", "ann.lee@example.org"), ("ip", "10.0.0.255")]),
        ("version 1.2.3.999", []),
        ("Admitted March 3, 2024; seen 5 May.", [("date", "March 3, 2024"), ("date", "5 May")]),
        ("A 93-year-old man, an 85-year-old woman", [("age", "93")]),
        (
            "12 Maple Street, Pittsburgh, PA 15213",
            [("address", "12 Maple Street"), ("address", "Pittsburgh"), ("postcode", "15213")],
        ),
        ("Transferred from Mercy General Hospital.", [("hospital", "Mercy General Hospital")]),
        ("Patient: John A. Smith\nMRN 00123456", [("name", "John A. Smith"), ("record_number", "00123456")]),
        ("BP 120/80, 3/5 strength, dose 2.5 mg, WBC 11.2", []),
        ("身份证号：11010519491231002X", [("citizen_number", "11010519491231002X")]),
        ("手机１３８１２３４５６７８", [("phone", "１３８１２３４５６７８")]),
        ("病案号：A0012345，住院号 778899", [("record_number", "A0012345"), ("record_number", "778899")]),
        ("3月5日于北京协和医院就诊", [("date", "3月5日"), ("hospital", "北京协和医院")]),
        ("姓名：欧阳明 男 92岁", [("name", "欧阳明"), ("age", "92")]),
        ("李医生查房，王建国主任会诊", [("name", "李"), ("name", "王建国")]),
        ("住浙江省杭州市西湖区文三路478号", [("address", "浙江省杭州市西湖区文三路478号")]),
        ("患者高热3天，血压120/80mmHg", []),
        (
            "DR. ANN LEE; NAME: LEE, ANN B MRN: 12345",
            [("name", "ANN LEE"), ("name", "LEE, ANN B"), ("record_number", "12345")],
        ),
        (
            "Dr. J. Smith and Dr.Lee, Ms. van der Berg",
            [("name", "J. Smith"), ("name", "Lee"), ("name", "van der Berg")],
        ),
        ("Pt: John Smith, seen by Mary Jones, MD", [("name", "John Smith"), ("name", "Mary Jones")]),
        (
            "03-05-2024, 5.3.2024, 20240305",
            [("date", "03-05-2024"), ("date", "5.3.2024"), ("date", "20240305")],
        ),
        ("5-Mar-2024, 05MAR2024", [("date", "5-Mar-2024"), ("date", "05MAR2024")]),
        (
            "MARCH 5 2024, March 2024, on 3/5",
            [("date", "MARCH 5 2024"), ("date", "March 2024"), ("date", "3/5")],
        ),
        (
            "2024年03月 2岁；2024-03；二〇二四年三月五日",
            [("date", "2024年03月"), ("date", "2024-03"), ("date", "二〇二四年三月五日")],
        ),
        (
            "92 y.o., ninety-two years old, 九十二岁",
            [("age", "92"), ("age", "ninety-two"), ("age", "九十二")],
        ),
        ("SSN: 123456789", [("social_security", "123456789")]),
        ("身份证号：110105491231002", [("citizen_number", "110105491231002")]),
        ("call 4125550199, tel +44 20 7946 0958", [("phone", "4125550199"), ("phone", "+44 20 7946 0958")]),
        ("联系电话：87654321", [("phone", "87654321")]),
        (
            "Patient ID: 123456, VIN 1HGCM82633A004352",
            [("record_number", "123456"), ("vehicle", "1HGCM82633A004352")],
        ),
        (
            "12 N. Main St Apt 5; P.O. Box 123",
            [("address", "12 N. Main St Apt 5"), ("address", "P.O. Box 123")],
        ),
        ("现住址：翠苑一区某某公寓，电话无", [("address", "翠苑一区某某公寓")]),
        ("姓名：买买提·艾力 性别男", [("name", "买买提·艾力")]),
        ("姓名：王 小明", [("name", "王 小明")]),
        ("记录者：赵六/审核者：钱七", [("name", "赵六"), ("name", "钱七")]),
        ("主任医师查房，患者高热，咳嗽", []),
        ("may take 5 tablets, 1.2.3, 12-15 mg, 10-20-30 mg, pain 3/10", []),
        ("", []),
    ],
)
def test_found(text: str, found: list[tuple[str, str]]) -> None:
    assert found_in(text) == found


def test_a_citizens_number_is_told_by_its_check_and_date() -> None:
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(200):
        digits = (
            "".join(map(str, rng.integers(0, 10, 6))) + "19800229" + "".join(map(str, rng.integers(0, 10, 3)))
        )
        right += sum(is_citizen_number(digits + last) for last in "0123456789X")
    assert right == 200  # one check each
    assert not is_citizen_number("110105194902300021") and not is_citizen_number("1234")


def test_no_place_is_found_twice_and_long_text_is_read() -> None:
    text = "Dr. Ann Lee, 412-555-0199, 2024-03-05. " * 5_000
    found = identifiers(text)
    assert len(found) == 15_000
    assert all(one.end <= other.start for one, other in pairwise(found))


@pytest.mark.parametrize("one", ["a", "A", "1", "中", " ", "-", "1-", "住院号"])
def test_the_same_over_and_over_takes_no_longer_than_other_text(one: str) -> None:
    identifiers(one * 100_000)  # within the time that a test has
