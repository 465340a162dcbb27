"""Notes come onto their patients' timelines, with their files; what cannot be read is quarantined, the rest is read."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import medloom as ml
from medloom.foundation.errors import InputError
from medloom.record.importers.notes import NotesImporter
from medloom.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return ml.Site.create(tmp_path / "site")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    for name, content in {
        "p1/visit.txt": b"Fever since Monday.",
        "p1/letter.html": b"<html><body><p>No cough.</p></body></html>",
        "p2/主.txt": "主诉：头痛。".encode("gb18030"),
        "p2/scan.txt": bytes(range(256)),
        "p3/empty.txt": b"",
        "p3/spanish.txt": "El paciente no tiene fiebre y está con una dieta para la tos.".encode(),
        ".hidden/x.txt": b"no",
    }.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return made


def notes(site: Site) -> pl.DataFrame:
    return site.record.events().filter(pl.col("role") == "note").sort("subject_id", "text_value")


def test_files_become_notes_with_their_text_and_the_file_itself(site: Site, folder: Path) -> None:
    report = site.record.add(NotesImporter(folder, patient="(p[0-9]+)/", type="Visit", date="2024-05-01"))
    assert report.balanced
    found = notes(site)
    assert found["code"].unique().to_list() == ["NOTE//Visit"]
    assert "主诉：头痛。" in found["text_value"].to_list()
    one = found.filter(pl.col("text_value") == "No cough.")
    with site.record.assets().open(one["asset"][0]) as file:
        assert file.read().startswith(b"<html>")
    assert one["subject_id"][0] == site.record.find("p1")


def test_what_cannot_be_read_is_quarantined_with_its_reason(site: Site, folder: Path) -> None:
    report = site.record.add(NotesImporter(folder, patient="(p[0-9]+)/", date="2024-05-01"))
    assert report.quarantined == 2
    assert report.written == 4


def test_reading_again_adds_nothing(site: Site, folder: Path) -> None:
    for _ in range(2):
        report = site.record.add(NotesImporter(folder, patient="(p[0-9]+)/", date="2024-05-01"))
    assert report.written == 0
    assert notes(site).height == 4


def test_a_table_names_files_or_holds_texts(site: Site, folder: Path) -> None:
    table = folder / "notes.csv"
    table.write_text(
        "file,text,patient,time,type\n"
        "p1/visit.txt,,P-1,2024-01-02 08:30,Progress\n"
        ',"Seen again, well.",P-1,2024-01-03,Progress\n'
        "gone.txt,,P-2,2024-01-03,Progress\n"
        ",Late,P-2,soon,Progress\n",
        encoding="utf-8",
    )
    report = site.record.add(NotesImporter(table))
    assert (report.written, report.quarantined) == (2, 2)
    assert notes(site)["text_value"].to_list() == ["Fever since Monday.", "Seen again, well."]
    assert str(notes(site)["time"].min()) == "2024-01-02 08:30:00"


def test_a_label_in_the_table_is_a_fact_derived_from_the_note(site: Site, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        "text,patient,time,label\nCough.,P1,2024-01-01,ill\nWell.,P2,2024-01-02,\n", encoding="utf-8"
    )
    assert site.record.add(NotesImporter(table)).balanced
    (note,) = notes(site).filter(pl.col("text_value") == "Cough.")["asset"]
    said = site.record.events().filter(pl.col("code") == "FINDING//ill")
    assert said["derived_from"].to_list() == [note]


def test_a_table_without_files_and_texts_is_refused(site: Site, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("patient,note\n1,x\n", encoding="utf-8")
    with pytest.raises(InputError, match="neither a column `file`"):
        site.record.add(NotesImporter(table))


def test_an_empty_folder_a_bad_pattern_and_a_bad_date_are_refused(
    site: Site, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "none").mkdir()
    for importer in (
        NotesImporter(tmp_path / "none"),
        NotesImporter(folder, patient="(p"),
        NotesImporter(folder, date="soon"),
    ):
        with pytest.raises(InputError):
            site.record.add(importer)


def test_a_note_without_a_date_is_quarantined(site: Site, folder: Path) -> None:
    report = site.record.add(NotesImporter(folder, patient="(p[0-9]+)/"))
    assert report.written == 0
    assert report.quarantined == 6
