"""What could name a person is found in notes of both languages, and little else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from medloom.record.deidentify.identifiers import identifiers, is_citizen_number


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
        ("12 Maple Street, Pittsburgh, PA 15213", [("address", "12 Maple Street"), ("postcode", "15213")]),
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
