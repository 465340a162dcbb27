"""What the image viewer is sent, by whom it may be asked for, and what is kept of what experts send."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

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
from tests.server.image_ward import NOW, SHAPE, affine, ball, image_site, subject, volume

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


def test_a_large_volume_is_sent_in_pieces(
    client: Visit, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_pixels, "WHOLE", 1000)
    monkeypatch.setattr(image_pixels, "PIECE", 5 * 2 * SHAPE[1] * SHAPE[2])  # five slices of 24
    header, pixels = unpacked(client("doctor").get(f"{address}/pixels").content)
    assert not header["whole"] and not pixels and header["piece"] == 5
    pieces = [client("doctor").get(f"{address}/pixels/{number}").content for number in range(5)]
    assert [len(one) // (2 * SHAPE[1] * SHAPE[2]) for one in pieces] == [5, 5, 5, 5, 4]
    assert np.array_equal(np.frombuffer(b"".join(pieces), "<i2").reshape(SHAPE), volume(1))
    assert client("doctor").get(f"{address}/pixels/5").status_code == 422


def test_an_outline_is_sent_packed(client: Visit, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_pixels, "WHOLE", 1000)  # whole all the same
    answer = client("doctor").get(f"{address}/outlines/0")
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < ball().size / 50
    header, pixels = unpacked(answer.content)
    assert header["whole"]
    assert np.array_equal(np.frombuffer(pixels, np.uint8).reshape(SHAPE), ball())


def test_a_file_that_several_ask_for_is_read_once_and_kept_once(backend: Backend) -> None:
    assets, asset = backend.site.record.assets(), gallery_of(backend, EXPERT, 1).image(1).asset
    shelf = image_pixels.ImageShelf(
        most=2 * volume(0).nbytes - 1
    )  # image and what is sent are the same memory
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shelf.image(assets, asset), range(4)))
    assert all(one is found[0] for one in found)
    wire = shelf.wire(assets, asset)
    assert np.shares_memory(wire.pixels, found[0].pixels)
    assert shelf.image(assets, asset) is found[0] and shelf.wire(assets, asset) is wire


def test_what_is_sent_of_an_image_of_many_channels_counts_as_all_that_it_keeps_alive(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Image(np.zeros((4, 8, 16, 16), np.uint8))
    monkeypatch.setattr(image_pixels, "read_image", lambda file: several)
    assets = backend.site.record.assets()
    first, second = (one.asset for one in gallery_of(backend, EXPERT, 1).images[:2])
    shelf = image_pixels.ImageShelf(most=several.pixels.nbytes - 1)
    wire = shelf.wire(assets, first)
    assert wire.pixels.nbytes == several.pixels.nbytes / 4
    shelf.thumbnail(assets, second)
    assert shelf.wire(assets, first) is not wire


def test_outlines_alone_may_be_larger_than_other_requests(
    client: Visit, address: str, backend: Backend
) -> None:
    expert, doctor = client("expert"), client("doctor")
    word = mark(expert.get(address).text)
    content = gzip.compress(ball().astype(np.uint8).tobytes(), 0)  # not smaller for being packed
    small = replace(backend.settings, most_body=len(content) // 2)
    large = f"{address}/outlines?code=OUTLINE//ball&mark={word}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "settings", small)
        for who, where, status in (
            (expert, large, 303),
            (expert, f"{address}/label", 413),
            (doctor, large, 413),
        ):
            answer = who.post(where, content=content, headers={"x-csrf-token": who.csrf})
            assert answer.status_code == status, answer.text
        patch.setattr(backend, "settings", replace(small, most_outline=len(content) - 1))
        answer = expert.post(large, content=content, headers={"x-csrf-token": expert.csrf})
        assert answer.status_code == 413


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
    ids=["no gzip", "too small", "too large", "a number without a structure"],
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
