"""Files of notes become plain text, whatever they were written with; what is no note is said, not guessed."""

from __future__ import annotations

import io
import time
import zipfile

import pytest

from medloom.record.notes.encodings import decoded
from medloom.record.notes.languages import language
from medloom.record.notes.reading import (
    BINARY,
    DAMAGED,
    EMPTY,
    PICTURED,
    TOO_LARGE,
    UnreadableError,
    read_note,
)
from medloom.record.notes.sections import sections
from medloom.record.notes.sentences import sentences

ENGLISH = "Chief complaint: chest pain since 3 h.\nNo fever. Takes aspirin 100 mg p.o. daily."
CHINESE = "主诉：反复胸闷3天。\n既往史：高血压10年，否认糖尿病。"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def docx(body: str, head: str = "") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml",
            f'<?xml version="1.0"?>{head}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
        )
    return made.getvalue()


def pdf(text: str) -> bytes:
    """Write a PDF of one page; with an empty text, a page without any."""
    stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode() if text else b"q Q"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(made)
    made += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return made + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start


def problem(content: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_note(content)
    return caught.value.problem


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_chinese_is_read_in_each_encoding(encoding: str) -> None:
    assert read_note(CHINESE.encode(encoding)).text == CHINESE


@pytest.mark.parametrize("text", ["Käse, naïve café: Größe 1,80 m", "Müller geht's gut", "señor Peña"])
def test_letters_with_accents_are_not_taken_for_chinese(text: str) -> None:
    assert read_note(text.encode("latin-1")).text == text


def test_lines_of_several_encodings_are_each_read_and_it_is_said() -> None:
    note = read_note("发热三天\n".encode() + "否认头痛\n".encode("gb18030") + b"plain")
    assert note.text == "发热三天\n否认头痛\nplain"
    assert note.mixed


def test_full_width_digits_emoji_and_text_from_right_to_left_stay_as_they_are() -> None:
    text = "体温３８．５℃ 😀 \u05e9\u05dc\u05d5\u05dd"
    assert read_note(text.encode()).text == text


def test_line_ends_and_zeros_are_put_right() -> None:
    assert read_note(b"Fever\r\nCough\rRash\x00").text == "Fever\nCough\nRash"


def test_html_loses_its_marks_and_scripts() -> None:
    head = "<!DOCTYPE html><html><head><style>p{}</style></head>"
    page = f"{head}<body><p>Fever &amp; cough</p><script>x()</script></body>"
    assert read_note(page.encode()).text == "Fever & cough"
    chinese = f'<html><meta charset="gb2312"><body><p>{CHINESE.splitlines()[0]}</p></body></html>'
    assert read_note(chinese.encode("gb2312")).text == CHINESE.splitlines()[0]


def test_a_document_of_word_gives_its_paragraphs() -> None:
    body = (
        "<w:p><w:r><w:t>Fever</w:t><w:tab/><w:t>38.5</w:t></w:r></w:p><w:p><w:r><w:t>咳嗽</w:t></w:r></w:p>"
    )
    assert read_note(docx(body)).text == "Fever\t38.5\n咳嗽"


def test_the_text_layer_of_a_pdf_is_read_and_one_without_is_said() -> None:
    assert read_note(pdf("Chest pain since 3 h")).text.strip() == "Chest pain since 3 h"
    assert problem(pdf("")) == PICTURED
    assert problem(pdf("x")[:60]) == DAMAGED


def test_what_is_no_note_is_said() -> None:
    assert problem(bytes(range(256)) * 20) == BINARY
    assert problem(b"\x89PNG\r\n\x1a\n" + bytes(500)) == BINARY
    assert problem(b"") == EMPTY
    assert problem(b"  \n\t") == EMPTY
    assert problem(docx("<w:p/>")) == EMPTY
    assert problem(docx("")[:80]) == DAMAGED


def test_a_zip_bomb_and_entities_that_unfold_are_refused() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(65 << 20))
    assert problem(made.getvalue()) == TOO_LARGE
    unfolding = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>'
    assert problem(docx("<w:p><w:r><w:t>&c;</w:t></w:r></w:p>", unfolding)) == DAMAGED


def test_entities_are_refused_in_every_encoding() -> None:
    unfolding = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "bbbb">]>'
    body = f'<w:document xmlns:w="{WORD}"><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:document>'
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("word/document.xml", (unfolding + body).encode("utf-16"))
    assert problem(made.getvalue()) == DAMAGED


def test_words_of_a_text_box_are_read_once() -> None:
    inner = "<w:txbxContent><w:p><w:r><w:t>Inner</w:t></w:r></w:p></w:txbxContent>"
    body = f"<w:p><w:r><w:t>Outer</w:t></w:r><w:r>{inner}</w:r></w:p>"
    assert read_note(docx(body)).text == "Inner\nOuter"


def test_html_is_told_by_its_characters_not_its_bytes() -> None:
    page = "<h1>Fever</h1><p>发热</p>"
    assert read_note(page.encode("utf-8-sig")).text == read_note(page.encode("utf-16")).text == "Fever\n发热"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("【主诉】咳嗽\n【现病史】\n三天前", ["chief_complaint", "history"]),
        ("一、主诉：咳嗽\n二、现病史：三天", ["chief_complaint", "history"]),
        (
            "1. Chief Complaint: cough\nA/P: rest\nPMHx: gout",
            ["chief_complaint", "assessment", "past_history"],
        ),
        ("主诉：反复胸闷。现病史：三天前", ["chief_complaint", "history"]),
        ("History of chest pain. He has a plan.", ["other"]),
    ],
)
def test_headings_are_found_as_they_are_written(text: str, names: list[str]) -> None:
    assert [one.name for one in sections(text)] == names


def test_a_note_of_ten_megabytes_is_read() -> None:
    assert len(read_note((ENGLISH + "\n").encode() * 120_000).text) > 9_000_000


def test_nothing_is_decoded_by_an_encoding_that_does_not_exist() -> None:
    found = decoded(b"plain", "no-such-thing")
    assert found is not None and found.text == "plain"


def test_languages_sections_and_sentences() -> None:
    assert [
        language(text) for text in (ENGLISH, CHINESE, "El paciente no tiene fiebre y está con una dieta.")
    ] == [
        "en",
        "zh",
        "other",
    ]
    assert [one.name for one in sections(CHINESE)] == ["chief_complaint", "past_history"]
    assert [ENGLISH[start:end] for start, end in sentences(ENGLISH)] == [
        "Chief complaint: chest pain since 3 h.",
        "No fever.",
        "Takes aspirin 100 mg p.o. daily.",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"<html><div>Fever" + b"<!--" * 50_000,
        b"<html><div>Fever" + b"<a " * 50_000,
        b"<!--a-->" * 400 + b"No fever.",
        b"<div>No fever < 38 " + b"x" * 50_000,
    ],
)
def test_html_that_never_ends_takes_time_in_proportion(content: bytes) -> None:
    begun = time.perf_counter()
    assert "ever" in read_note(content).text
    assert time.perf_counter() - begun < 2


def test_what_stands_behind_the_last_tag_is_read_and_a_head_need_not_be_closed() -> None:
    assert read_note(b"<html><head><meta a=1><body><p>Fever</p></body></html>").text == "Fever"
    assert read_note(b"<p>Temp &lt; 38</p> SpO2 < 92 &amp; falling").text == "Temp < 38\nSpO2 < 92 & falling"
    assert read_note(b"<p>a<!--> b --><!-- c --!> d</p>").text == "a b --> d"


def test_a_document_of_word_whose_bytes_are_damaged_is_said() -> None:
    whole = bytearray(docx("<w:p><w:r><w:t>Fever and cough since Monday</w:t></w:r></w:p>" * 50))
    at = whole.find(b"word/document.xml") + len("word/document.xml")
    whole[at + 2 : at + 8] = b"\xff" * 6
    with pytest.raises(UnreadableError) as caught:
        read_note(bytes(whole))
    assert caught.value.problem == DAMAGED


def test_a_line_of_many_spaces_is_looked_through_once() -> None:
    begun = time.perf_counter()
    assert [one.name for one in sections(" " * 200_000 + "\n  1.  Plan : rest")] == ["other", "plan"]
    assert time.perf_counter() - begun < 2


def test_a_line_that_is_broken_to_fit_goes_on_in_the_next_one() -> None:
    text = "Denies chest pain,\nfever or\ncough.\nNo rash\nHeadache"
    assert [text[start:end] for start, end in sentences(text)] == [
        "Denies chest pain,\nfever or\ncough.",
        "No rash",
        "Headache",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "Kein Diabetes. Kein Asthma.",
        "Sin fiebre. Niega asma.",
        "Pas d'asthme, pas de diabetes.",
        "Geen diabetes.",
    ],
)
def test_a_short_note_that_denies_in_a_third_language_is_not_read_as_english(said: str) -> None:
    assert language(said) == "other"


@pytest.mark.parametrize(
    "said",
    [
        "Sjögren syndrome and Ménière disease",
        "BP 120/80",
        "No café-au-lait spots",
        "PAS stain positive, SEM 3",
    ],
)
def test_names_with_accents_make_no_other_language(said: str) -> None:
    assert language(said) == "en"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Pt. seen today. Feels well.", ["Pt. seen today.", "Feels well."]),
        ("Seen at 3 p.m. by Dr. Lee. Home.", ["Seen at 3 p.m. by Dr. Lee.", "Home."]),
        ("Given at 5 p.m. He left.", ["Given at 5 p.m.", "He left."]),
        ("1. Aspirin 81 mg. 2. Metformin.", ["1. Aspirin 81 mg.", "2. Metformin."]),
        ("1. Aspirin\n2. Metformin", ["1. Aspirin", "2. Metformin"]),
        ("K 4. Na 140.", ["K 4.", "Na 140."]),
    ],
)
def test_abbreviations_hours_and_numbers_of_lists_end_no_sentence(text: str, said: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == said
