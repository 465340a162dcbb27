"""PhysioNet 2012's text files import through the shipped mapping, without code of their own."""

import os
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from medloom.foundation.site import SiteSettings, create_site
from medloom.record.importers.table import TableImporter
from medloom.record.importing import ImportContext, as_batch_frame
from medloom.record.record import Record

BASE = datetime(2012, 1, 1)
FILES = {
    "set-a/132539.txt": "132539,54,0,-1,4,-1 00:07,GCS,15 00:07,HR,73 47:37,Temp,36.9 02:00,FiO2,0.4",
    "set-a/132540.txt": "132540,76,1,175.3,2,76 00:42,pH,7.45 00:42,MechVent,1 47:11,Weight,81.6 01:00,Mg,2.1",
    "set-b/142675.txt": "142675,70,-1,175.3,3,87 00:10,NISysABP,110 03:30,Platelets,204",
}
OUTCOMES_A = (
    "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n132539,6,1,5,-1,0\n132540,16,-1,2,1,1\n"
)
OUTCOMES_B = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n142675,-1,-1,-1,-1,0\n"
STATIC = ("RecordID", "Age", "Gender", "Height", "ICUType", "Weight")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("physionet2012")
    for name, text in FILES.items():
        static, *rows = text.split(" ")
        lines = [f"00:00,{key},{value}" for key, value in zip(STATIC, static.split(","), strict=True)]
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text("\n".join(["Time,Parameter,Value", *lines, *rows, ""]))
    (made / "Outcomes-a.txt").write_text(OUTCOMES_A)
    (made / "Outcomes-b.txt").write_text(OUTCOMES_B)
    return made


@pytest.fixture(scope="module")
def facts(folder: Path) -> pl.DataFrame:
    batches = TableImporter(folder, "physionet2012").batches(ImportContext())
    return pl.concat([as_batch_frame(batch.facts) for batch in batches])


def of(facts: pl.DataFrame, patient: str) -> pl.DataFrame:
    return facts.filter(pl.col("patient") == patient)


def test_nothing_is_a_problem(facts: pl.DataFrame) -> None:
    assert facts["problem"].null_count() == facts.height
    assert facts["patient"].n_unique() == 3


def test_static_fields_become_static_facts_and_minus_one_none(facts: pl.DataFrame) -> None:
    static = of(facts, "132539").filter("static").sort("code")
    assert static.select("code", "numeric_value", "unit", "time").rows() == [
        ("GENDER//F", None, None, None),
        ("PHYSIONET2012//Age", 54.0, "a", None),
        ("PHYSIONET2012//ICUType//surgical", None, None, None),
        ("SET//a", None, None, None),
    ]
    assert of(facts, "142675").filter(pl.col("code").str.starts_with("GENDER")).is_empty()
    assert of(facts, "142675").filter(pl.col("code") == "SET//b").height == 1


def test_weight_is_a_series_that_begins_at_admission(facts: pl.DataFrame) -> None:
    weight = facts.filter(pl.col("code") == "LOINC//29463-7").sort("patient", "time")
    assert weight.select("patient", "time", "numeric_value").rows() == [
        ("132540", BASE, 76.0),
        ("132540", BASE + timedelta(hours=47, minutes=11), 81.6),
        ("142675", BASE, 87.0),
    ]


def test_every_stay_begins_once_and_ends_where_its_length_is_known(facts: pl.DataFrame) -> None:
    starts = facts.filter(pl.col("code") == "ENCOUNTER//icu//START")
    assert sorted(starts.select("patient", "time", "encounter").rows()) == [
        (patient, BASE, patient) for patient in ("132539", "132540", "142675")
    ]
    ends = facts.filter(pl.col("code") == "ENCOUNTER//icu//END")
    last_moment = timedelta(days=1) - timedelta(microseconds=1)
    assert sorted(ends.select("patient", "time").rows()) == [
        ("132539", BASE + timedelta(days=5) + last_moment),
        ("132540", BASE + timedelta(days=2) + last_moment),
    ]


def test_a_death_is_not_known_at_48_hours(facts: pl.DataFrame) -> None:
    deaths = facts.filter(pl.col("code") == "MEDS_DEATH")
    assert deaths["patient"].to_list() == ["132540"]
    assert deaths["time"][0] > BASE + timedelta(hours=48)


def test_scores_are_not_known_before_the_24_hours_they_rate(facts: pl.DataFrame) -> None:
    scores = facts.filter(pl.col("code").is_in(["PHYSIONET2012//SAPS-I", "PHYSIONET2012//SOFA"]))
    assert sorted(scores.select("patient", "code", "numeric_value", "time").rows()) == [
        ("132539", "PHYSIONET2012//SAPS-I", 6.0, BASE + timedelta(hours=24)),
        ("132539", "PHYSIONET2012//SOFA", 1.0, BASE + timedelta(hours=24)),
        ("132540", "PHYSIONET2012//SAPS-I", 16.0, BASE + timedelta(hours=24)),
    ]


def test_the_sets_enter_a_site_s_record(folder: Path, tmp_path: Path) -> None:
    site = create_site(tmp_path / "site", SiteSettings(name="icu"))
    report = Record.open(site).add(TableImporter(folder, "physionet2012", system="physionet2012"))
    record = Record.open(site)
    assert report.balanced
    assert (report.quarantined, report.duplicates, record.n_subjects) == (0, 0, 3)
    oxygen = record.events().filter(pl.col("code") == "LOINC//3150-0")
    assert oxygen["numeric_value"].to_list() == pytest.approx([40.0])  # canonical unit: %
    again = record.add(TableImporter(folder, "physionet2012", system="physionet2012"))
    assert (again.written, again.duplicates) == (0, report.written)


MIRROR = Path(os.environ.get("MEDLOOM_MIRROR", "-")) / "ehr" / "physionet2012"


@pytest.mark.skipif(not MIRROR.is_dir(), reason="MEDLOOM_MIRROR has no ehr/physionet2012")
def test_the_whole_of_set_a_has_as_many_facts_as_a_plain_count(tmp_path: Path) -> None:
    archive = MIRROR / "set-a.tar.xz"
    found: Counter[str] = Counter()
    problems = 0
    for batch in TableImporter(archive, "physionet2012").batches(ImportContext()):
        problems += batch.facts.height - batch.facts["problem"].null_count()
        found.update(dict(batch.facts["code"].value_counts().iter_rows()))
    expected = _plain_count(archive)
    assert problems == 0
    assert found["LOINC//8867-4"] == expected["HR"]
    assert found["LOINC//29463-7"] == expected["Weight"]
    assert found["GENDER//F"] + found["GENDER//M"] == expected["Gender"]
    assert found["SET//a"] == found["ENCOUNTER//icu//START"] == expected["RecordID"] == 4000
    assert found.total() == expected.total() + 4000  # SET//a besides; the start stands for the RecordID


def _plain_count(archive: Path) -> Counter[str]:
    """Count the rows that are not missing, by parameter, without any of our code."""
    import tarfile

    counts: Counter[str] = Counter()
    with tarfile.open(archive) as files:
        for member in files:
            stream = files.extractfile(member)
            for line in stream.read().decode().splitlines()[1:] if stream else ():
                _, parameter, value = line.split(",")
                missing = parameter in STATIC and float(value) == -1
                counts[parameter] += not missing
    return counts
