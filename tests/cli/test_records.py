import json
import stat
from pathlib import Path

import polars as pl
import pytest

from medloom.record.importers.table.mapping import parse_mapping
from tests.cli.conftest import done, refused, run


def test_init_makes_a_site_that_only_its_owner_can_read(tmp_path: Path) -> None:
    printed = done("init", "st-mary", "--time-zone", "Asia/Shanghai", folder=tmp_path)
    assert "cd st-mary" in printed
    assert stat.S_IMODE((tmp_path / "st-mary").stat().st_mode) == 0o700
    assert 'time_zone = "Asia/Shanghai"' in (tmp_path / "st-mary" / "site.toml").read_text()


def test_init_leaves_a_folder_with_something_in_it_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert "not empty" in refused("init", "mine", folder=tmp_path)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_init_refuses_a_time_zone_that_does_not_exist(tmp_path: Path) -> None:
    assert "Asia/Shanghai" in refused("init", "x", "--time-zone", "Beijing", folder=tmp_path)
    assert not (tmp_path / "x").exists()


def test_a_command_outside_of_a_site_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    said = refused("codes", folder=tmp_path)
    advised = said.partition("create one with: medloom ")[2].partition(",")[0]
    done(*advised.split(), folder=tmp_path)


def test_the_site_is_found_by_option_by_variable_and_by_place(site: Path, tmp_path: Path) -> None:
    by_place = done("models", folder=site)
    assert by_place == done("models", "--site", site, folder=tmp_path)
    assert by_place == done("models", folder=tmp_path, MEDLOOM_SITE=str(site))


def test_an_import_again_is_all_duplicates(own_site: Path, stays: Path) -> None:
    printed = done(
        "import", "table", stays, "--mapping", stays.parent / "mapping.yaml", "--json", folder=own_site
    )
    report = json.loads(printed)
    assert report["read"] == report["duplicates"] > 0
    assert report["written"] == report["quarantined"] == report["new_subjects"] == 0


def test_a_table_without_a_mapping_is_told_how_to_get_one(site: Path, stays: Path) -> None:
    assert "--suggest" in refused("import", "table", stays, folder=site)


def test_a_suggested_mapping_is_valid_and_imports_the_table(stays: Path, tmp_path: Path) -> None:
    draft = done("import", "table", "--suggest", stays, folder=tmp_path)
    assert parse_mapping(draft).tables[0].subject.column == "patient_id"
    (tmp_path / "draft.yaml").write_text(draft, encoding="utf-8")
    done("init", "new", folder=tmp_path)
    printed = done(
        "import", "table", stays, "--mapping", "draft.yaml", "--site", "new", "--json", folder=tmp_path
    )
    assert json.loads(printed)["new_subjects"] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "hl7v2", "x"), "dicom, fhir, images, meds, nifti, notes, omop, table"),
        (("import", "fhir", "nowhere"), "does not exist"),
        (("import", "fhir", "x", "-o", "speed=fast"), "has no option speed"),
        (("import", "fhir", "x", "-o", "fast"), "key=value"),
        (("erase", "99999", "--yes"), "no subject 99999"),
        (("merge", "1", "1"), "itself"),
        (("merge", "1"), "name two subjects"),
        (("merge", "1", "--patient", "P001"), "name two subjects"),
        (("merge", "1", "0002"), "--patient"),
        (("erase", "--yes"), "say whom"),
        (("erase", "0001", "--yes"), "--patient"),
        (("erase", "--patient", "P999", "--yes"), "no subject has this identifier"),
        (("data", "get", "mimic"), "there are:"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], said: str, site: Path) -> None:
    assert said in refused(*arguments, folder=site)


def test_an_error_is_one_line_on_a_narrow_screen_too(site: Path) -> None:
    refused("train", "no-such-task-in-this-hospital", folder=site, COLUMNS="40")


def test_codes_are_found_by_a_part_of_their_name(site: Path) -> None:
    found = json.loads(done("codes", "creat", "--json", folder=site))["codes"]
    assert [(one["code"], one["unit"]) for one in found] == [("LOINC//2160-0", "mg/dL")]


def test_quality_is_one_json_object_and_a_page(site: Path, tmp_path: Path) -> None:
    found = json.loads(done("quality", "--json", "--html", tmp_path / "q.html", folder=site))
    assert found["overview"]["subjects"] == 200
    assert "<html" in (tmp_path / "q.html").read_text(encoding="utf-8")


def test_an_erased_patient_does_not_come_back(own_site: Path, stays: Path) -> None:
    done("erase", 1, "--yes", folder=own_site)
    mapping = stays.parent / "mapping.yaml"
    report = json.loads(done("import", "table", stays, "--mapping", mapping, "--json", folder=own_site))
    assert report["written"] == report["new_subjects"] == 0
    assert report["reasons"] == {"the subject was erased from this site": report["quarantined"]}
    assert 1 not in _subjects(own_site)


def test_erasing_asks_first(own_site: Path) -> None:
    ended = run("erase", 1, folder=own_site, text="n\n")
    assert ended.returncode == 1
    assert 1 in _subjects(own_site)


def test_a_merged_patient_has_the_facts_of_both(own_site: Path) -> None:
    before = _subjects(own_site)
    done("merge", 1, 2, folder=own_site)
    after = _subjects(own_site)
    assert 2 not in after
    assert before[1] < after[1] <= before[1] + before[2]


def test_patients_are_erased_and_merged_by_the_hospitals_identifiers(own_site: Path) -> None:
    before = _subjects(own_site)
    done("erase", "--patient", "P004", "--yes", folder=own_site)
    assert set(before) - set(_subjects(own_site)) == {5}
    said = done("merge", "--patient", "P000", "--patient", "P001", folder=own_site)
    assert said == "Subject 2 is now subject 1.\n"
    assert set(before) - set(_subjects(own_site)) == {2, 5}


def test_a_copied_site_works_with_the_key_left_where_it_was(own_site: Path) -> None:
    assert "LOINC//8867-4" in done("codes", folder=own_site)
    assert "no key" not in done("compact", folder=own_site)


def _subjects(site: Path) -> dict[int, int]:
    """Count the rows of each subject in the record on disk."""
    rows = pl.read_parquet(site / "record" / "data" / "*.parquet", columns=["subject_id"])
    return dict(rows.group_by("subject_id").len().iter_rows())
