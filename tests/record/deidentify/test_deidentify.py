"""Notes and tables are written anew without what could name a person; whoever has the key gets the same again."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from medloom.cli.app import app
from medloom.foundation.errors import InputError
from medloom.record.deidentify.dates import shifted, year_of
from medloom.record.deidentify.folders import Settings, deidentify_folder
from medloom.record.deidentify.identifiers import identifiers
from medloom.record.deidentify.kinds import Identifier
from medloom.record.deidentify.replacing import replaced
from medloom.record.deidentify.risk import risk
from medloom.record.deidentify.surrogates import Surrogates

KEY = bytes(range(32))
DRAWN = Surrogates(KEY, "P1")
NOTE = "Dr. Ann Lee saw the 93-year-old man on 3/5/2024, MRN: 0012345, PA 15213. Ann Lee again on 3/9/2024."
CHINESE = "患者张伟，男，92岁，电话13812345678，2024年3月5日于北京协和医院就诊，3月15日复诊。"


def test_safe_harbor_leaves_years_old_ages_grouped_and_beginnings_of_postcodes() -> None:
    made = replaced(NOTE, DRAWN).text
    assert "93" not in made and "90+-year-old" in made
    assert "on 2024, MRN: [RECORD_NUMBER]" in made
    assert "PA 152." in made
    assert replaced("Lives in WY 82001.", DRAWN).text == "Lives in WY 820."
    assert replaced("Lives in WY 83101.", DRAWN).text == "Lives in WY 000."


def test_dates_move_together_and_intervals_stay() -> None:
    made = replaced(NOTE, DRAWN, "date-shifted").text
    first, second = (one for one in identifiers(made) if one.kind == "date")
    days = [made[one.start : one.end] for one in (first, second)]
    assert days == [shifted("3/5/2024", DRAWN.days), shifted("3/9/2024", DRAWN.days)]
    assert -366 < DRAWN.days < 0


@pytest.mark.parametrize("text", [NOTE, CHINESE])
def test_nothing_of_an_identifier_is_left_by_surrogates(text: str) -> None:
    made = replaced(text, DRAWN, "date-shifted", "surrogates").text
    for one in identifiers(text):
        if one.kind not in ("postcode", "age"):
            assert text[one.start : one.end] not in made


def test_the_same_words_of_a_patient_get_the_same_surrogate_and_of_another_another() -> None:
    other = Surrogates(KEY, "P2")
    assert DRAWN.of("phone", "13812345678") == Surrogates(KEY, "P1").of("phone", "13812345678")
    assert DRAWN.of("phone", "13812345678") != other.of("phone", "13812345678")
    assert len({Surrogates(KEY, f"P{n}").days for n in range(50)}) > 30


def test_places_of_the_old_text_are_found_in_the_new_one() -> None:
    made = replaced(NOTE, DRAWN)
    word = NOTE.index("again")
    assert made.text[made.place(word) : made.place(word) + 5] == "again"
    assert made.text[made.place(NOTE.index("0012345")) :].startswith("[RECORD_NUMBER]")


def test_what_another_finder_finds_is_replaced_too_and_overlaps_are_one() -> None:
    def finder(text: str) -> list[Identifier]:
        start = text.index("Ann Lee again")
        return [Identifier(start, start + 7, "name"), Identifier(4, 11, "name")]

    made = replaced(NOTE, DRAWN, finders=[finder]).text
    assert "Ann" not in made
    assert made.count("[NAME]") == 2


def test_a_name_that_was_found_once_is_replaced_wherever_it_stands() -> None:
    made = replaced("Dr. Ann Lee came. Later Ann Lee left; the Leeds left.", DRAWN).text
    assert made == "Dr. [NAME] came. Later [NAME] left; the Leeds left."
    assert replaced("患者张伟丽，女。张伟丽诉头痛。", DRAWN).text.count("[NAME]") == 2


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("2024-02-28", "2024-03-01"),
        ("31/12/2023", "2/1/2024"),
        ("Dec 31st, 2023", "Jan 2nd, 2024"),
        ("31 DECEMBER 2023", "2 JANUARY 2024"),
        ("2023年12月31日", "2024年1月2日"),
        ("12月31号", "1月2号"),
        ("２０２４-０２-２８", "2024-03-01"),
        ("2/30/2024", None),
        ("soon", None),
    ],
)
def test_dates_are_written_as_they_were(written: str, moved: str | None) -> None:
    assert shifted(written, 2) == moved


def test_years_are_read_where_they_are_written() -> None:
    assert [year_of(one) for one in ("March 3, 2024", "3月5日", "3/5/24")] == ["2024", None, None]


def test_a_folder_is_written_anew_and_the_source_stays(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "ann-lee.txt").write_text(NOTE, encoding="utf-8")
    (source / "zh.txt").write_bytes(CHINESE.encode("gb18030"))
    (source / "bad.bin").write_bytes(bytes(range(256)) * 8)
    table = pl.DataFrame({"name": ["Ann", "Bob"], "sex": ["F", "M"], "note": ["Dr. Ann Lee called.", None]})
    table.write_csv(source / "t.csv")
    before = {one.name: one.read_bytes() for one in source.iterdir()}
    done = deidentify_folder(
        source, out, Settings(identifiers=("name",), texts=("note",), quasi=("sex",)), KEY
    )
    assert {one.name: one.read_bytes() for one in source.iterdir()} == before
    assert done.files == 3 and sum(done.problems.values()) == 1
    written = {one.name for one in out.iterdir()}
    assert written == {"000001.txt", "000003.csv", "000004.txt", "report.json"}
    kept = pl.read_csv(out / "000003.csv")
    assert kept.columns == ["sex", "note"]
    assert kept["note"].to_list() == ["Dr. [NAME] called.", None]
    report = (out / "report.json").read_text(encoding="utf-8")
    assert "Ann" not in report and "ann-lee" not in report
    assert json.loads(report)["risk"]["table 3"]["k"] == 1


def test_the_column_of_patients_becomes_pseudonyms_that_agree(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"mrn": ["00123", "00456", "00123"], "note": ["Seen 2024-03-05.", "Seen 2024-03-05.", "Well."]}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    deidentify_folder(tmp_path / "t.parquet", tmp_path / "out", Settings("date-shifted", patient="mrn"), KEY)
    kept = pl.read_parquet(tmp_path / "out" / "000001.parquet")
    assert kept["mrn"][0] == kept["mrn"][2] != kept["mrn"][1]
    assert not set(kept["mrn"]) & {"00123", "00456"}
    assert kept["note"][0] != kept["note"][1]


def test_a_folder_that_is_not_empty_or_lies_in_the_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        deidentify_folder(tmp_path / "a.txt", tmp_path, Settings(), KEY)
    with pytest.raises(InputError, match="lies in the source"):
        deidentify_folder(tmp_path, tmp_path / "out", Settings(), KEY)


def test_the_risk_of_a_table_counts_those_who_are_alone() -> None:
    frame = pl.DataFrame({"sex": ["F"] * 6 + ["M"], "ill": list("xxxyyyx")})
    found = risk(frame, ["sex"], ["ill"])
    assert (found.k, found.groups, found.l) == (1, 2, {"ill": 1})
    assert found.unique == pytest.approx(1 / 7) and found.below_5 == pytest.approx(1 / 7)
    with pytest.raises(InputError, match="no column"):
        risk(frame, ["age"])


def test_the_command_says_what_it_did_and_what_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(NOTE, encoding="utf-8")
    done = CliRunner().invoke(
        app, ["deidentify", str(tmp_path / "a.txt"), str(tmp_path / "out"), "--mode", "date-shifted"]
    )
    assert done.exit_code == 0, done.output
    assert "expert" in done.output and "not found by rules" in done.output
    again = CliRunner().invoke(app, ["deidentify", str(tmp_path / "a.txt"), str(tmp_path / "out")])
    assert again.exit_code != 0


def test_a_long_note_and_odd_signs_are_read() -> None:
    text = (NOTE + " 😀 \u05e9\u05dc\u05d5\u05dd ") * 3000
    assert replaced(text, DRAWN).counts["record_number"] == 3000
    assert replaced("", DRAWN).text == ""


def test_no_surrogate_is_what_it_stands_for() -> None:
    for patient in map(str, range(60)):
        drawn = Surrogates(KEY, patient)
        assert drawn.of("name", "Baker") != "Baker"
        assert drawn.of("hospital", "Riverside Hospital") != "Riverside Hospital"
        assert drawn.of("name", "王") != "王"


def test_what_a_finder_calls_a_number_may_hold_no_digit() -> None:
    for words in ("甲乙", "—", "№ ß"):
        assert not set(DRAWN.of("record_number", words)) & set(words.strip("№ "))


def test_a_year_that_tells_an_age_over_89_is_no_safe_harbor() -> None:
    assert replaced("DOB: 03/05/1920, seen 3/5/2024", DRAWN, year=2026).text == "DOB: [DATE], seen 2024"
    assert replaced("DOB: 03/05/1937", DRAWN, year=2026).text == "DOB: 1937"
    assert replaced("DOB: 03/05/1936", DRAWN, year=2026).text == "DOB: [DATE]"


def test_a_year_of_birth_alone_tells_an_age_too() -> None:
    assert replaced("He was born in 1930.", DRAWN, year=2026).text == "He was born in [DATE]."
    assert (
        replaced("She was born in 1950; 1936年生", DRAWN, year=2026).text
        == "She was born in 1950; [DATE]年生"
    )
    assert replaced("born in 1930", DRAWN, "date-shifted").text == "born in 1930"


def test_a_surname_that_stands_alone_later_is_replaced_too() -> None:
    said = "Dr. Ann Stone was called. Stone agreed; kidney stone excluded."
    assert replaced(said, DRAWN).text == "Dr. [NAME] was called. [NAME] agreed; kidney stone excluded."


def test_dates_and_categories_of_a_table_are_read_as_its_texts_are(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    notes = pl.Series("note", ["Dr. Ann Lee"], dtype=pl.Categorical)
    frame = pl.DataFrame(
        [notes, pl.Series("seen", [datetime(2024, 3, 5, 10)]), pl.Series("born", [date(1980, 1, 2)])]
    )
    frame.write_parquet(source / "t.parquet")
    for texts in ((), ("note",)):
        out = tmp_path / f"out{len(texts)}"
        deidentify_folder(source, out, Settings(texts=texts), KEY)
        assert pl.read_parquet(out / "000001.parquet").row(0) == ("Dr. [NAME]", "2024", "1980")
    deidentify_folder(source, tmp_path / "moved", Settings("date-shifted"), KEY)
    seen = pl.read_parquet(tmp_path / "moved" / "000001.parquet")["seen"].item()
    assert len(seen) == 10 and seen != "2024-03-05"


def test_columns_that_cannot_be_read_are_not_passed_on(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    pl.DataFrame({"id": [1], "notes": [["Dr. Ann Lee"]]}).write_parquet(source / "t.parquet")
    with pytest.raises(InputError, match="notes"):
        deidentify_folder(source, tmp_path / "out", Settings(), KEY)
    deidentify_folder(source, tmp_path / "without", Settings(identifiers=("notes",)), KEY)
    assert pl.read_parquet(tmp_path / "without" / "000001.parquet").columns == ["id"]
