"""What tells whose files they are is taken out, all of it; the rest stays as it is."""

import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_files
from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medloom.foundation.errors import InputError
from medloom.record.imaging.dicom import Deidentifier
from medloom.record.imaging.dicom.descriptors import clean
from tests.record.imaging.dicom_files import as_bytes, ct_slice

KEY = b"a key for tests"
PROVIDED = [Path(one) for one in get_testdata_files("**/*") if Path(one).is_file()]


def secret_of(vr: str) -> Any:
    """Give a value that would be recognised, of a type; None: the type holds none."""
    texts = dict.fromkeys(("AE", "LO", "LT", "SH", "ST", "UC", "UT", "PN", "CS"), "SECRET4711")
    numbers = {"DS": "31415926", "IS": "31415926", "UI": "1.2.31415926.4711", "AS": "071Y"}
    times = {"DA": "19731129", "DT": "19731129112233", "TM": "112233.4711", "UR": "http://secret4711/"}
    raw = dict.fromkeys(("OB", "OW", "UN", "OD", "OF", "OL"), b"SECRET4711SECRET")
    return {**texts, **numbers, **times, **raw, "FD": 3.1415926, "FL": 3.1415926}.get(vr)


def listed() -> Iterator[tuple[int, str]]:
    """Give every attribute of Table E.1-1 with its type."""
    for entry in table.ALL_TAGS:
        tag = entry[0] << 16 | entry[1]
        if len(entry) == 2 and entry[0] % 2 == 0 and entry[0] not in (0, 2):
            yield tag, dictionary_VR(tag) if tag in DicomDictionary else "UN"


def holding_secrets(tag: int, vr: str) -> Dataset | None:
    made = Dataset()
    vr = vr.split()[0]
    if vr == "SQ":
        item = Dataset()
        item.add_new(0x00080018, "UI", "1.2.31415926.4711")
        item.add_new(0x00100010, "PN", "SECRET4711")
        item.add_new(0x00081155, "UI", "1.2.31415926.4711")
        made.add_new(tag, "SQ", Sequence([item]))
        return made
    value = secret_of(vr)
    if value is None:
        return None
    made.add_new(tag, vr, value)
    return made


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_nothing_of_any_attribute_of_the_standards_table_is_left(syntax: str) -> None:
    tried = 0
    for tag, vr in listed():
        plain = holding_secrets(tag, vr)
        if plain is None:
            continue
        tried += 1
        nested = Dataset()
        nested.add_new(0x00081115, "SQ", Sequence([Dataset()]))  # ReferencedSeriesSequence, which is kept
        deeper = Dataset()
        deeper.add_new(0x0008114A, "SQ", Sequence([plain]))
        nested[0x00081115].value[0] = deeper
        made = ct_slice()
        made.update(plain)
        if tag != 0x00081115:
            made.update(nested)
        content = as_bytes(made, syntax)
        written = Deidentifier(KEY)(content)
        words = (b"SECRET", b"31415926", b"071Y", b"19731129", b"112233", b"secret4711")
        packed = (bytes.fromhex("fc0f4940"), bytes.fromhex("182d4454"))
        left = [one for one in (*words, *packed) if one in written]
        assert not left, (f"{tag:08X}", keyword_for_tag(tag), vr, left)
        assert pydicom.dcmread(io.BytesIO(written)).PixelData == made.PixelData
    assert tried > 600


def test_private_attributes_are_removed_wherever_they_stand() -> None:
    item = Dataset()
    item.CodeValue = "T-D4000"
    item.add_new(0x00090010, "LO", "SECRET MAKER")
    item.add_new(0x00091001, "UT", "SECRET4711")
    made = ct_slice(AnatomicRegionSequence=Sequence([item]))
    made.add_new(0x00290010, "LO", "SECRET MAKER")
    made.add_new(0x00291010, "OB", b"SECRET4711")
    made.add_new(0x00291020, "SQ", Sequence([item]))
    by = Deidentifier(KEY)
    written = by(as_bytes(made))
    assert b"SECRET" not in written
    assert pydicom.dcmread(io.BytesIO(written)).AnatomicRegionSequence[0].CodeValue == "T-D4000"
    assert by.report["private", "remove"] == 5


def test_what_the_standard_does_not_know_overlays_and_curves_are_removed() -> None:
    made = ct_slice()
    made.add_new(0x00081FFE, "LO", "SECRET4711")
    made.add_new(0x60000022, "LO", "SECRET4711")
    made.add_new(0x60003000, "OW", b"SECRET4711")
    made.add_new(0x50003000, "OW", b"SECRET4711")
    assert b"SECRET" not in Deidentifier(KEY)(as_bytes(made))


def test_the_bytes_before_and_the_meta_information_are_written_anew() -> None:
    made = ct_slice()
    content = as_bytes(made)
    made.file_meta.SourceApplicationEntityTitle = "SECRET4711"
    made.file_meta.add_new(0x00020100, "UI", "1.2.31415926")
    made.file_meta.add_new(0x00020102, "OB", b"SECRET4711")
    made.preamble = b"SECRET4711".ljust(128)
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    written = Deidentifier(KEY)(file.getvalue())
    assert b"SECRET" not in written and b"31415926" not in written
    read = pydicom.dcmread(io.BytesIO(written))
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID != made.SOPInstanceUID
    assert len(content) > 132


def test_two_files_of_one_patient_and_series_keep_together_and_another_key_gives_others() -> None:
    first, second = (pydicom.dcmread(io.BytesIO(Deidentifier(KEY)(as_bytes(ct_slice(n))))) for n in (0, 1))
    other = pydicom.dcmread(io.BytesIO(Deidentifier(b"another key")(as_bytes(ct_slice()))))
    assert first.PatientID == second.PatientID == str(first.PatientName) != other.PatientID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != other.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID.startswith("2.25.") and len(first.SeriesInstanceUID) <= 64
    assert first.SOPClassUID == ct_slice().SOPClassUID


def test_how_it_was_done_is_written_into_the_file() -> None:
    written = Deidentifier(KEY, clean_descriptors=True, dates="shift")(as_bytes(ct_slice()))
    read = pydicom.dcmread(io.BytesIO(written))
    assert read.PatientIdentityRemoved == "YES"
    codes = [(one.CodeValue, one.CodingSchemeDesignator) for one in read.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113105", "DCM"), ("113107", "DCM")]
    assert read.LongitudinalTemporalInformationModified == "MODIFIED"
    assert read.DeidentificationMethod[0] == "Medloom, DICOM PS3.15 Annex E"
    tags = [one.tag for one in read]
    assert tags == sorted(tags)


def test_dates_are_removed_shifted_or_kept_and_the_birth_is_always_left_out() -> None:
    made = ct_slice(SeriesDate="20200202", AcquisitionDateTime="20200131093000.5")
    removed, shifted, kept = (
        pydicom.dcmread(io.BytesIO(Deidentifier(KEY, dates=dates)(as_bytes(made))))
        for dates in ("remove", "shift", "keep")  # type: ignore[arg-type]
    )
    assert removed.StudyDate == "" and removed.PatientBirthDate == ""
    assert b"2020" not in Deidentifier(KEY)(as_bytes(made))
    assert kept.StudyDate == "20200131" and kept.PatientBirthDate == ""
    study, series = (datetime.strptime(one, "%Y%m%d") for one in (shifted.StudyDate, shifted.SeriesDate))
    assert (series - study).days == 2
    assert 1 <= (datetime(2020, 1, 31) - study).days <= 3650
    assert shifted.AcquisitionDateTime == f"{shifted.StudyDate}093000.5"
    assert shifted.AcquisitionTime == "093000" and shifted.PatientBirthDate == ""


def test_a_choice_of_dates_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="choose remove, shift"):
        Deidentifier(KEY, dates="move")  # type: ignore[arg-type]


def test_descriptions_keep_known_words_only_or_are_removed() -> None:
    content = as_bytes(ct_slice(SeriesDescription="T1 AX Miller 4711 FLAIR 3mm 19610314"))
    kept = pydicom.dcmread(io.BytesIO(Deidentifier(KEY)(content)))
    assert kept.SeriesDescription == "T1 FLAIR 3mm"
    assert "SeriesDescription" not in pydicom.dcmread(
        io.BytesIO(Deidentifier(KEY, clean_descriptors=False)(content))
    )


@given(st.text())
def test_cleaned_text_holds_nothing_longer_than_a_known_word(text: str) -> None:
    assert all(len(word) <= 14 for word in clean(text).split())


def test_the_report_names_attributes_and_holds_no_values() -> None:
    by = Deidentifier(KEY)
    by(as_bytes(ct_slice()))
    assert by.report["PatientName", "pseudonym"] == 1
    assert by.report["SOPInstanceUID", "uid"] == 1
    assert "Miller" not in str(by.report) and "4711" not in str(by.report)


@pytest.mark.parametrize("path", PROVIDED, ids=lambda path: path.name)
def test_real_files_keep_their_pixels_byte_for_byte_or_are_refused_in_words(path: Path) -> None:
    content = path.read_bytes()
    try:
        written = Deidentifier(KEY)(content)
    except InputError:
        return
    before = pydicom.dcmread(io.BytesIO(content), force=True)
    after = pydicom.dcmread(io.BytesIO(written))
    if "PixelData" in before:
        assert after.PixelData == before.PixelData
        for name in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation"):
            assert after.get(name) == before.get(name)
    name = str(before.get("PatientName", "")).partition("^")[0]
    assert len(name) < 5 or name.encode("latin-1", "ignore") not in written
    assert not [element for element in after.iterall() if element.tag.is_private]


@given(st.integers(0, 1 << 14), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_in_words(place: int, byte: int) -> None:
    content = bytearray(as_bytes(ct_slice()))
    content[place % len(content)] = byte
    with suppress(InputError):
        Deidentifier(KEY)(bytes(content))


@given(st.integers(0, 2000))
def test_a_file_cut_short_is_refused_in_words(length: int) -> None:
    content = as_bytes(ct_slice())[:length]
    with suppress(InputError):
        Deidentifier(KEY)(content)
