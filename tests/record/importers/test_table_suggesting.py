"""A drafted mapping is valid, imports its own file, and says what was guessed."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.messages import speaking
from medloom.record.importers.table import Mapping, TableImporter, suggest
from medloom.record.importers.table.columns import Profile
from medloom.record.importers.table.mapping import parse_mapping
from medloom.record.importing import ImportContext, as_batch_frame


def drafted(path: Path) -> tuple[Mapping, pl.DataFrame]:
    text = suggest(path)
    file = path.parent / f".{path.name}.yaml"
    file.write_text(text, encoding="utf-8")
    batches = TableImporter(path, file).batches(ImportContext())
    return parse_mapping(text), pl.concat([as_batch_frame(batch.facts) for batch in batches])


def test_a_long_table_imports_as_drafted(tmp_path: Path) -> None:
    rows = [
        f"{p},2020-01-0{d} 08:00,{test},{d + p},mmol/L,{'F' if p % 2 else 'M'}"
        for p in range(1, 5)
        for d in range(1, 4)
        for test in ("Na", "K")
    ]
    (tmp_path / "lab.csv").write_text("\n".join(["patient_id,charttime,test,result,unit,sex", *rows]))
    mapping, facts = drafted(tmp_path / "lab.csv")
    assert mapping.tables[0].long is not None
    assert facts.filter(pl.col("code") == "LOCAL//Na").height == 12
    assert facts.filter("static")["code"].sort().to_list() == [
        "GENDER//F",
        "GENDER//F",
        "GENDER//M",
        "GENDER//M",
    ]
    assert facts["problem"].null_count() == facts.height
    assert facts["unit"].drop_nulls().unique().to_list() == ["mmol/L"]


def test_a_chinese_gbk_export_imports_as_drafted_and_leaves_names_out(tmp_path: Path) -> None:
    text = (
        "病历号,姓名,性别,年龄,项目,结果,单位,检验时间,报告时间\n"
        "001,张三,男,54,白细胞,5.6,10^9/L,2021年3月5日 8:30,2021年3月5日 10:30\n"
        "001,张三,男,54,血红蛋白,１３０,g/L,2021/3/6,2021/3/6\n"
        "002,李四,女,60,乙肝表面抗原,阳性,,2021-03-05 10:00,\n"
    )
    (tmp_path / "检验.csv").write_bytes(text.encode("gbk"))
    mapping, facts = drafted(tmp_path / "检验.csv")
    table = mapping.tables[0]
    assert (table.encoding, table.subject.column) == ("gb18030", "病历号")
    assert table.known is not None
    assert not facts.filter(pl.any_horizontal(pl.col(pl.String).str.contains("张三|李四"))).height
    timed = facts.filter(~pl.col("static")).sort("row")
    assert timed.select("code", "numeric_value", "text_value", "time").rows() == [
        ("LOCAL//白细胞", 5.6, None, datetime(2021, 3, 5, 8, 30)),
        ("LOCAL//血红蛋白", 130.0, None, datetime(2021, 3, 6)),
        ("LOCAL//乙肝表面抗原", None, "阳性", datetime(2021, 3, 5, 10)),
    ]
    assert timed["known_time"].to_list()[0] == datetime(2021, 3, 5, 10, 30)
    assert set(facts.filter("static")["code"]) == {"GENDER//M", "GENDER//F", "LOCAL//年龄"}


def test_a_german_wide_table_imports_as_drafted(tmp_path: Path) -> None:
    (tmp_path / "vitals.csv").write_bytes(
        "MRN;timestamp;HR;Temp;Weight\n1;05.03.2021 08:00;80;36,5;-1\n1;05.03.2021 09:00;81;37,5;70,2\n"
        "2;06.03.2021 09:00;1.081,5;37,0;71\n".encode("latin-1")
    )
    mapping, facts = drafted(tmp_path / "vitals.csv")
    assert (mapping.tables[0].delimiter, mapping.tables[0].decimal, mapping.tables[0].thousands) == (
        ";",
        ",",
        ".",
    )
    values = facts.sort("row", "code").select("code", "numeric_value").rows()
    assert values == [
        ("LOCAL//HR", 80.0),
        ("LOCAL//Temp", 36.5),
        ("LOCAL//HR", 81.0),
        ("LOCAL//Temp", 37.5),
        ("LOCAL//Weight", 70.2),
        ("LOCAL//HR", 1081.5),
        ("LOCAL//Temp", 37.0),
        ("LOCAL//Weight", 71.0),
    ]


def test_admissions_become_encounters_births_and_deaths(tmp_path: Path) -> None:
    (tmp_path / "adm.tsv").write_text(
        "subject_id\thadm_id\tadmittime\tdischtime\tdob\tdeath_date\tgender\n"
        "1\t10\t2020-01-01 10:00:00\t2020-01-05 10:00:00\t1950-02-03\t\tM\n"
        "2\t11\t2020-01-01 10:00:00\t2020-01-05 10:00:00\t1950-02-03\t2020-01-05\tF\n"
    )
    _, facts = drafted(tmp_path / "adm.tsv")
    assert dict(facts["code"].value_counts().iter_rows()) == {
        "ENCOUNTER//inpatient//START": 2,
        "ENCOUNTER//inpatient//END": 2,
        "MEDS_BIRTH": 2,
        "MEDS_DEATH": 1,
        "GENDER//F": 1,
        "GENDER//M": 1,
    }
    assert facts["encounter"].unique().sort().to_list() == ["10", "11"]


END_OF_A_STAY = (
    "病历号,就诊号,项目,结果,采样时间,入院时间,出院时间,死亡时间,是否死亡,outcome,出院诊断,死亡风险评分\n"
    "1,10,K,4,2020-01-01 11:00,2020-01-01 10:00,2020-01-05 10:00,,0,alive,I50.9,3\n"
    "1,10,Na,140,2020-01-01 11:00,2020-01-01 10:00,2020-01-05 10:00,,0,alive,I50.9,4\n"
    "1,11,K,5,2020-02-01 11:00,2020-02-01 10:00,2020-02-05 10:00,DEATH,1,died,I21.0,5\n"
    "2,12,K,5,2020-02-01 11:00,2020-02-01 10:00,2020-02-05 10:00,0000-00-00,0,alive,J18.9,6\n"
)


@pytest.mark.parametrize("death", ["2020-02-05 09:00", ""])
def test_what_only_the_end_of_a_stay_tells_is_not_dated_at_a_sample(tmp_path: Path, death: str) -> None:
    (tmp_path / "lab.csv").write_text(END_OF_A_STAY.replace("DEATH", death), encoding="utf-8")
    mapping, facts = drafted(tmp_path / "lab.csv")
    text = suggest(tmp_path / "lab.csv")
    for column in ("是否死亡", "outcome"):
        assert mapping.tables[0].columns[column].ignore
        assert f"# (?) Known only at the end: give it its own time, or ignore it.\n      {column}:" in text
    assert "# (?) Taken for the time of death" in text
    assert "# (?) Known at discharge" in text
    at_discharge = facts.filter(pl.col("code") == "LOCAL//出院诊断").unique(["patient", "time", "text_value"])
    at_discharge = at_discharge.sort("patient", "time")
    assert at_discharge.select("patient", "text_value", "time", "role").rows() == [
        ("1", "I50.9", datetime(2020, 1, 5, 10), "condition"),
        ("1", "I21.0", datetime(2020, 2, 5, 10), "condition"),
        ("2", "J18.9", datetime(2020, 2, 5, 10), "condition"),
    ]
    deaths = facts.filter(pl.col("code") == "MEDS_DEATH").select("patient", "time").rows()
    assert deaths == ([("1", datetime(2020, 2, 5, 9))] if death else [])
    stays = facts.filter(pl.col("code").str.starts_with("ENCOUNTER"))
    assert stays.height == 6
    assert set(facts.filter(pl.col("time") == datetime(2020, 2, 1, 11))["code"]) == {
        "LOCAL//K",
        "LOCAL//死亡风险评分",
    }


def test_a_diagnosis_at_discharge_without_its_time_is_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,time,hr,discharge_diagnosis,died_at\n1,2020-01-01,70,I50.9,\n")
    mapping, facts = drafted(tmp_path / "a.csv")
    assert mapping.tables[0].columns["discharge_diagnosis"].ignore
    assert facts["code"].to_list() == ["LOCAL//hr"]
    assert [event.code for event in mapping.tables[0].events] == ["MEDS_DEATH"]


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["03/25/2021 08:00", "03/04/2021 09:00"], [datetime(2021, 3, 25, 8), datetime(2021, 3, 4, 9)]),
        (["25/03/2021", "04/03/2021"], [datetime(2021, 3, 25), datetime(2021, 3, 4)]),
        (
            ["03/25/2021 08:00:01 PM", "03/04/2021 09:00:02 AM"],
            [datetime(2021, 3, 25, 20, 0, 1), datetime(2021, 3, 4, 9, 0, 2)],
        ),
    ],
)
def test_the_sample_decides_between_month_and_day(
    tmp_path: Path, dates: list[str], expected: list[datetime]
) -> None:
    (tmp_path / "a.csv").write_text("\n".join(["id,date,hr", *(f"1,{d},7{n}" for n, d in enumerate(dates))]))
    _, facts = drafted(tmp_path / "a.csv")
    assert facts.sort("row")["time"].to_list() == expected


def test_an_undecided_date_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,date,hr\n1,03/04/2021,70\n")
    assert "Is the month or the day first?" in suggest(tmp_path / "a.csv")


def test_marks_among_numbers_are_taken_for_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "id,time,hr\n" + "".join(f"1,2020-01-01 0{n}:00,{'.' if n == 3 else 70 + n}\n" for n in range(9))
    )
    mapping, facts = drafted(tmp_path / "a.csv")
    assert "." in mapping.missing
    assert facts.height == 8


def test_offsets_hours_and_no_time_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,hour,hr\na,0,70\na,1.5,80\nb,2,90\n")
    _, facts = drafted(tmp_path / "a.csv")
    assert facts.sort("row")["time"].to_list()[1] == datetime(2000, 1, 1, 1, 30)
    (tmp_path / "b.csv").write_text("id,age,glucose\n1,50,5.5\n2,60,6.6\n")
    _, facts = drafted(tmp_path / "b.csv")
    assert facts["static"].all()


def test_one_file_a_patient_with_the_patient_in_a_row_or_in_the_name(tmp_path: Path) -> None:
    rows, names = tmp_path / "rows", tmp_path / "names"
    for folder in (rows, names):
        folder.mkdir()
        for patient in range(3):
            first = f"00:00,RecordID,{patient}\n" if folder == rows else ""
            (folder / f"{patient}.txt").write_text(f"Time,Parameter,Value\n{first}00:10,HR,70\n01:00,K,4\n")
    for folder in (rows, names):
        _, facts = drafted(folder)
        assert facts["patient"].unique().sort().to_list() == ["0", "1", "2"]
        assert facts.height == 6


def test_parquet_is_drafted_too(tmp_path: Path) -> None:
    pl.DataFrame(
        {"patient": [1, 1], "time": [datetime(2020, 1, 1, 8)] * 2, "hr": [70.0, 71.5]}
    ).write_parquet(tmp_path / "a.parquet")
    _, facts = drafted(tmp_path / "a.parquet")
    assert facts["numeric_value"].to_list() == [70.0, 71.5]
    assert facts["time"].to_list() == [datetime(2020, 1, 1, 8)] * 2


def test_comments_speak_the_reader_s_language(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,hr\n1,70\n", encoding="utf-8")
    with speaking("zh"):
        assert "没有找到时间" in suggest(tmp_path / "a.csv")


def test_nothing_to_draft_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        suggest(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no table"):
        suggest(tmp_path)
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(InputError, match="not one row"):
        suggest(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SubjectID", "subject"),
        ("patient id", "subject"),
        ("MRN", "subject"),
        ("患者ID", "subject"),
        ("hadm_id", "encounter"),
        ("住院号", "admission number"),
        ("valuenum", "value"),
        ("结果", "value"),
        ("项目名称", "code"),
        ("storetime", "known"),
        ("审核时间", "known"),
        ("采样时间", "time"),
        ("Date of birth", "birth"),
        ("性别", "sex"),
        ("died_at", "death"),
        ("date_of_death", "death"),
        ("DeathTime", "death"),
        ("死亡时间", "death"),
        ("hospital_expire_flag", "outcome"),
        ("in_hospital_death", "outcome"),
        ("结局", "outcome"),
        ("住院天数", "outcome"),
        ("LOS", "outcome"),
        ("mortality_risk", "data"),
        ("closing_pressure", "data"),
        ("出院主要诊断", "at discharge"),
        ("discharge_diagnosis", "at discharge"),
        ("heart_rate", "data"),
        ("hospital_stay_cost", "data"),
    ],
)
def test_names_of_columns_are_understood(name: str, kind: str) -> None:
    assert Profile.kind_of_name(name) == kind
