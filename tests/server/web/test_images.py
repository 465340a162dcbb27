"""What the image viewer is sent, by whom it may be asked for, and what is kept of what experts send."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from medloom.record.imaging import reading
from medloom.record.imaging.image import Image
from medloom.server import image_pixels
from medloom.server.access import ROLES, Person
from medloom.server.backend import Backend
from medloom.server.image_pixels import ends_of, planes_of, wire_of
from medloom.server.images import gallery_of
from medloom.server.settings import ServerSettings
from medloom.site import Site
from tests.server.conftest import Visitor
from tests.server.image_ward import NOW, SHAPE, affine, image_site, subject, volume

Visit = Callable[[str], Visitor]
EXPERT = Person(1, "expert", "Expert", "expert", ROLES["expert"], "en", sees_all=True)


@pytest.fixture(scope="module")
def backend(quick_passwords: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = image_site(tmp_path_factory.mktemp("images") / "site").directory.root
    folder = tmp_path_factory.mktemp("served") / "site"
    shutil.copytree(made, folder, symlinks=True)
    opened = Backend.of(Site.open(folder), ServerSettings(as_of=NOW))
    yield opened
    opened.close()


@pytest.fixture
def address(backend: Backend) -> str:
    """The second image of P0."""
    return f"/patients/{subject(backend.site, 'P0')}/images/2"


def unpacked(content: bytes) -> tuple[dict[str, object], bytes]:
    assert content[:4] == b"MLIM"
    (length,) = struct.unpack("<I", content[4:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def mark(page: str) -> str:
    return page.split('name="mark" value="')[1].split('"')[0]


def test_a_volume_is_sent_as_it_is(client: Visit, address: str) -> None:
    answer = client("doctor").get(f"{address}/pixels")
    header, pixels = unpacked(answer.content)
    assert header["shape"] == list(SHAPE) and header["type"] == "i2" and header["whole"]
    assert header["ends"] == [["I", "S"], ["A", "P"], ["R", "L"]]
    assert [plane["name"] for plane in header["planes"]] == ["axial", "coronal", "sagittal"]  # type: ignore[index, attr-defined]
    assert np.array_equal(np.frombuffer(pixels, "<i2").reshape(SHAPE), volume(1))
    assert answer.headers["cache-control"] == "private, no-store"


def test_a_large_volume_is_sent_slice_by_slice(
    client: Visit, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_pixels, "WHOLE", 1000)
    header, pixels = unpacked(client("doctor").get(f"{address}/pixels").content)
    assert not header["whole"] and not pixels
    piece = client("doctor").get(f"{address}/pixels/7").content
    assert np.array_equal(np.frombuffer(piece, "<i2").reshape(SHAPE[1:]), volume(1)[7])
    assert client("doctor").get(f"{address}/pixels/24").status_code == 422


def test_numbers_of_any_type_come_back_to_within_a_step() -> None:
    values = np.array([[[-0.5, 0.25], [1e6, np.nan]]])
    wire = wire_of(Image(values))
    back = wire.pixels[0] * wire.header["slope"] + wire.header["intercept"]
    assert back[0, 1] == pytest.approx(0.25, abs=8) and back[1, 0] == pytest.approx(1e6)


def test_a_volume_that_was_kept_upside_down_is_shown_upright() -> None:
    turned = affine()
    turned[2, 0], turned[1, 1] = -4.0, -2.0  # slices towards the feet, rows to the front
    axial, coronal, _ = planes_of(turned, flat=False)
    assert axial.turned == (False, True) and coronal.turned == (False, False)
    assert ends_of(turned, flat=False) == [["S", "I"], ["P", "A"], ["R", "L"]]


def test_images_of_others_are_shown_to_nobody_and_each_look_is_noted(client: Visit, address: str) -> None:
    for what in ("", "/pixels", "/pixels/0", "/thumbnail", "/outlines/0", "/outlines/0/lesions"):
        assert client("nurse").get(address + what).status_code == 403
        assert client("doctor").get(address + what).status_code == 200
    assert client("lead").get(address).status_code == 403
    told = client("lead").get("/audit").text
    assert "image seen" in told and "image read" in told
    nothing = client("nurse").get("/images").text
    assert "row-link" not in nothing


def test_no_page_names_a_file(client: Visit, address: str, backend: Backend) -> None:
    page = client("expert").get(address).text
    gallery = gallery_of(backend, EXPERT, subject(backend.site, "P0"))
    for image in gallery.images:
        assert image.asset not in page and image.asset.removeprefix("sha256:") not in page


def test_only_reviewers_correct_and_only_the_image_they_saw(client: Visit, address: str) -> None:
    word = mark(client("expert").get(address).text)
    sent = {"task": "ball", "answer": "no"}
    assert client("doctor").submit(f"{address}/label", mark=word, **sent).status_code == 403
    assert client("expert").post(f"{address}/label", data={"mark": word, **sent}).status_code == 403
    client("expert").submit(f"{address}/label", mark="of another", **sent)
    page = client("expert").get(address).text
    assert "changed meanwhile" in page
    assert 'value="yes" checked' in page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no gzip", "not sent whole"),
        (gzip.compress(bytes(99)), "not sent whole"),
        (gzip.compress(bytes(10**7)), "not sent whole"),
        (gzip.compress(bytes(24 * 64 * 80 - 1) + b"\2"), "no structure"),
    ],
)
def test_an_outline_that_does_not_fit_is_refused(
    client: Visit, address: str, content: bytes, said: str
) -> None:
    expert = client("expert")
    word = mark(expert.get(address).text)
    answer = expert.post(
        f"{address}/outlines?code=OUTLINE//ball&mark={word}",
        content=content,
        headers={"x-csrf-token": expert.csrf},
    )
    assert answer.status_code == 422 and said in answer.json()["error"]


def test_without_what_reads_images_the_page_names_the_command(
    client: Visit, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    assert "pip install &#34;medloom[imaging]&#34;" in client("doctor").get(address).text


def test_of_a_damaged_file_there_is_no_picture_but_a_sign(client: Visit, backend: Backend) -> None:
    torn = f"/patients/{subject(backend.site, 'torn')}/images/1"
    assert client("doctor").get(f"{torn}/thumbnail").headers["content-type"] == "image/svg+xml"
    assert "damaged or cut short" in client("doctor").get(torn).text


def test_an_image_that_is_not_there_is_said_so(client: Visit, address: str) -> None:
    answer = client("doctor").get(address.replace("/2", "/9"))
    assert answer.status_code == 404 and "no image 9" in answer.text


def test_a_patients_page_lists_the_images(client: Visit, address: str, backend: Backend) -> None:
    page = client("doctor").get(f"/patients/{subject(backend.site, 'P0')}").text
    assert page.index(f'href="{address}"') < page.index(f'href="{address.replace("/2", "/1")}"')
    picture = client("doctor").get(f"{address}/thumbnail")
    assert picture.headers["content-type"] == "image/png"
