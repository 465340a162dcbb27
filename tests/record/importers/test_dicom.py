"""Folders, media and archives of DICOM files on patients' timelines."""

import io
import shutil
import zipfile
from datetime import datetime
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file

from medloom.foundation.errors import InputError, NotFoundError
from medloom.foundation.site import SiteDirectory
from medloom.record.imaging.dicom import geometry, read_dicom, read_series_archive
from medloom.record.importers.dicom import DicomImporter, problems
from medloom.record.importing import ImportContext
from medloom.record.ingest import ImportReport
from medloom.record.record import Record
from tests.record.imaging.dicom_files import as_bytes, ct_slice
from tests.record.sources import KEY, new_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteDirectory:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)
    return new_site(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "scans"
    made.mkdir()
    return made


def put(folder: Path, *made: Dataset) -> None:
    for number, one in enumerate(made, len(list(folder.iterdir()))):
        (folder / f"{number:03d}.dcm").write_bytes(as_bytes(one))


def imported(
    site: SiteDirectory, path: Path, **options: object
) -> tuple[ImportReport, list[tuple[str, object]]]:
    """Import a path; give the report, and code and time of all facts of the record."""
    record = Record.open(site)
    report = record.add(DicomImporter(path, **options))  # type: ignore[arg-type]
    assert report.balanced
    if not report.written:
        return report, []
    return report, sorted(record.events().select("code", "time").rows(), key=str)


def kept(site: SiteDirectory) -> list[bytes]:
    """Read the files that the record keeps."""
    assets = Record.open(site).assets()
    return [assets.read(name) for name in assets]


def test_a_series_is_one_event_with_an_archive_of_its_files_in_the_order_of_slices(
    site: SiteDirectory, folder: Path
) -> None:
    put(folder, *(ct_slice(number) for number in (2, 0, 1)))
    report, facts = imported(site, folder)
    assert facts == [
        ("GENDER//F", None),
        ("IMAGE//CT//CHEST", datetime(2020, 1, 31, 9, 30)),
        ("MEDS_BIRTH", datetime(1950, 1, 2)),
    ]
    (content,) = kept(site)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["000001.dcm", "000002.dcm", "000003.dcm"]
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        firsts = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    assert [one.InstanceNumber for one in firsts] == [1, 2, 3]
    assert [one.PixelData for one in firsts] == [ct_slice(number).PixelData for number in range(3)]
    image = read_series_archive(io.BytesIO(content))
    assert image.shape == (3, 4, 5) and image.unit == "HU"
    assert report.records == 3 and report.notes[problems.PSEUDONYMS] == 6


def test_a_single_file_is_kept_as_such_and_nothing_of_the_patient_in_it(
    site: SiteDirectory, folder: Path
) -> None:
    put(folder, ct_slice())
    imported(site, folder / "000.dcm")
    (content,) = kept(site)
    assert read_dicom(io.BytesIO(content)).shape == (4, 5)
    assert not [one for one in (b"Miller", b"4711", b"1950", b"2020", b"1.2.3.4") if one in content]


def test_the_same_folder_again_adds_nothing(site: SiteDirectory, folder: Path) -> None:
    put(folder, ct_slice(0), ct_slice(1))
    _, first = imported(site, folder)
    report, second = imported(site, folder)
    assert report.written == 0 and report.duplicates == 3 and second == []
    assert len(kept(site)) == 1 and len(first) == 3


def test_two_series_and_two_patients_in_one_folder_are_told_apart(site: SiteDirectory, folder: Path) -> None:
    put(folder, ct_slice(0), ct_slice(1), ct_slice(0, series="1.2.9", Modality="PT", BodyPartExamined=""))
    put(folder, ct_slice(0, series="1.2.10", PatientID="4712", PatientSex="M"))
    _, facts = imported(site, folder)
    codes = [code for code, _ in facts]
    assert codes.count("IMAGE//CT//CHEST") == 2 and codes.count("IMAGE//PT") == 1
    assert codes.count("GENDER//F") == codes.count("GENDER//M") == 1


def test_the_issuer_of_an_identifier_tells_patients_apart(site: SiteDirectory, folder: Path) -> None:
    put(folder, ct_slice(0), ct_slice(0, series="1.2.9", IssuerOfPatientID="OTHER"))
    assert imported(site, folder)[0].new_subjects == 2


def test_bad_files_are_quarantined_with_a_reason_and_the_rest_is_read(
    site: SiteDirectory, folder: Path
) -> None:
    put(folder, ct_slice(0), ct_slice(1))
    whole = as_bytes(ct_slice(2))
    (folder / "cut.dcm").write_bytes(whole[:-6])
    (folder / "picture.dcm").write_bytes(b"\xff\xd8\xff\xe0 a JPEG, whatever its name says")
    (folder / "nobody.dcm").write_bytes(as_bytes(ct_slice(3, PatientID="")))
    (folder / "other.dcm").write_bytes(as_bytes(ct_slice(0, InstanceNumber=9)))
    (folder / "short.dcm").write_bytes(as_bytes(ct_slice(4, PixelData=bytes(2))))
    huge = ct_slice(5, NumberOfFrames=40_000)
    huge.Rows = huge.Columns = 60_000
    (folder / "huge.dcm").write_bytes(as_bytes(huge))
    (folder / "undated.dcm").write_bytes(
        as_bytes(ct_slice(0, series="1.2.9", StudyDate="", SeriesDate="", AcquisitionDate=""))
    )
    (folder / "README.txt").write_text("not an image")
    shutil.copy(folder / "000.dcm", folder / "twice.dcm")
    report, facts = imported(site, folder)
    assert report.reasons == {
        "a DICOM file is cut short; export it again": 1,
        "this is no DICOM file, whatever its name says": 1,
        "the pixels of a DICOM file are cut short; export it again": 1,
        "a DICOM header claims more than 8 GB of pixels; cut the series into parts": 1,
        problems.NO_PATIENT: 1,
        problems.SAME_UID: 1,
        problems.NO_DATE: 1,
    }
    assert report.passed_over == {problems.NO_DICOM: 1, problems.TWICE: 1}
    assert report.records == 11
    assert [code for code, _ in facts].count("IMAGE//CT//CHEST") == 1


def test_missing_slices_and_mixed_distances_are_noted(site: SiteDirectory, folder: Path) -> None:
    put(folder, *(ct_slice(number) for number in (0, 1, 2, 4)))
    put(
        folder,
        *(ct_slice(n, series="1.2.9", ImagePositionPatient=[0, 0, z]) for n, z in enumerate((0, 2, 4, 7))),
    )
    report, _ = imported(site, folder)
    assert report.notes[geometry.MISSING] == report.notes[geometry.UNEVEN] == 1


def test_an_archive_is_read_file_by_file(site: SiteDirectory, folder: Path, tmp_path: Path) -> None:
    put(folder, ct_slice(0), ct_slice(1))
    with zipfile.ZipFile(tmp_path / "scans.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"CD/{path.name}")
    report, facts = imported(site, tmp_path / "scans.zip")
    assert report.records == 2 and len(facts) == 3


def test_a_dicomdir_names_the_files_to_read(site: SiteDirectory) -> None:
    directory = Path(str(get_testdata_file("DICOMDIR", download=False)))
    report, facts = imported(site, directory)
    assert report.records == 32 and report.quarantined == 0
    assert sum(code.startswith("IMAGE//") for code, _ in facts) == 13
    assert report.passed_over == {problems.DIRECTORY: 1}


def test_a_dicomdir_that_names_an_absent_file_says_so(site: SiteDirectory, folder: Path) -> None:
    shutil.copy(str(get_testdata_file("DICOMDIR", download=False)), folder / "DICOMDIR")
    report, _ = imported(site, folder / "DICOMDIR")
    assert report.reasons == {problems.ABSENT: 31}


def test_a_date_without_a_time_is_known_at_the_end_of_its_day(site: SiteDirectory, folder: Path) -> None:
    put(folder, ct_slice(0, AcquisitionTime=""))
    report, _ = imported(site, folder)
    known = Record.open(site).events().filter(code="IMAGE//CT//CHEST")["known_time"].item()
    assert known == datetime(2020, 1, 31, 23, 59, 59, 999999)
    assert report.notes[problems.DATE_ONLY] == 1


def test_objects_without_an_image_are_passed_over(site: SiteDirectory, folder: Path) -> None:
    report = ct_slice()
    del report.PixelData
    put(folder, report)
    found, _ = imported(site, folder)
    assert found.passed_over == {problems.NO_IMAGE: 1} and found.read == 0


def test_nothing_is_imported_without_a_site_a_key_or_a_file(folder: Path) -> None:
    with pytest.raises(NotFoundError):
        DicomImporter(folder / "absent").sources()
    with pytest.raises(InputError, match="no file below"):
        DicomImporter(folder).sources()
    put(folder, ct_slice())
    with pytest.raises(InputError, match="medloom init"):
        list(DicomImporter(folder).batches(ImportContext()))


def test_an_encrypted_site_keeps_series_sealed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOOM_KEY", KEY)
    sealed = new_site(tmp_path, encrypt_at_rest=True)
    put(folder, ct_slice(0), ct_slice(1))
    imported(sealed, folder)
    (path,) = (one for one in sealed.assets.rglob("*") if one.is_file())
    assert path.suffix == ".sealed"
    assert read_series_archive(io.BytesIO(kept(sealed)[0])).shape == (2, 4, 5)


def test_options_given_as_text_mean_what_they_say(site: SiteDirectory, folder: Path) -> None:
    put(folder, ct_slice(SeriesDescription="CHEST Miller"))
    imported(site, folder, clean_descriptors="no", dates="keep")
    (content,) = kept(site)
    read = pydicom.dcmread(io.BytesIO(content))
    assert "SeriesDescription" not in read and read.StudyDate == "20200131"
    for wrong in ({"clean_pixels": "perhaps"}, {"dates": "perhaps"}):
        with pytest.raises(InputError, match="perhaps"):
            imported(site, folder, **wrong)
