"""A language model's server: what is asked of it, what comes back, and everything that may go wrong between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from medloom.care.notes.language_model import LanguageModelError, Message, language_model
from medloom.care.notes.local_model import LocalModel
from medloom.care.notes.model_server import ServedModel
from medloom.foundation.errors import InputError, MissingExtraError, NotFoundError
from medloom.foundation.site import SiteDirectory, SiteSettings, create_site

ASKED = [Message("user", "Patient Zebra has a cough.")]


class _Served(ThreadingHTTPServer):
    daemon_threads = True
    fault = ""
    says = "fine"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: _Served

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        self.server.headers.append(dict(self.headers))
        fault = self.server.fault
        body = json.dumps(
            {"choices": [{"message": {"role": "assistant", "content": self.server.says}}]}
        ).encode()
        if self.path != "/v1/chat/completions":
            self.send_error(404)
        elif fault == "500":
            self.send_error(500, explain="Patient Zebra")
        elif fault == "redirect":
            self.send_response(307)
            self.send_header("Location", "http://127.0.0.1:9/v1/chat/completions")
            self.end_headers()
        elif fault == "old" and asked.get("response_format", {}).get("type") == "json_schema":
            self.send_error(422)
        elif fault == "slow":
            time.sleep(5)
        elif fault == "drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b" ")
                time.sleep(0.1)
        elif fault == "huge":
            self.send_response(200)
            self.end_headers()
            for _ in range(64):
                self.wfile.write(b" " * 65536)
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + 100))
            self.end_headers()
            self.wfile.write(body)
        else:
            answer = {
                "garbage": b"\x00\xff{",
                "other": b'{"choices": []}',
                "null": body.replace(b'"fine"', b"null"),
            }
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.get(fault, body))

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            return  # the client hung up, as it should

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving() -> Iterator[_Served]:
    server = _Served()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[_Served]:
    with serving() as one:
        yield one


def model(server: _Served, **settings: Any) -> ServedModel:
    return ServedModel(server.address, "tiny", **settings)


def test_the_server_is_asked_for_the_schema_and_its_answer_is_given_back(server: _Served) -> None:
    server.says = '{"facts": []}'
    schema = {"type": "object"}
    assert model(server).complete(ASKED, schema) == '{"facts": []}'
    asked = server.asked[0]
    assert asked["model"] == "tiny" and asked["temperature"] == 0 and not asked["stream"]
    assert asked["messages"] == [{"role": "user", "content": "Patient Zebra has a cough."}]
    assert asked["response_format"]["json_schema"]["schema"] == schema


def test_a_server_that_writes_schemas_in_an_older_way_is_asked_so(server: _Served) -> None:
    server.fault = "old"
    assert model(server).complete(ASKED, {"type": "object"}) == "fine"
    assert server.asked[1]["response_format"] == {"type": "json_object", "schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("500", "status 500"),
        ("redirect", "status 307"),
        ("garbage", "not of the protocol"),
        ("other", "not of the protocol"),
        ("null", "not of the protocol"),
        ("huge", "1000000 bytes"),
        ("cut", "IncompleteRead"),
    ],
)
def test_a_faulty_server_is_an_error_that_repeats_nothing_of_the_patient(
    server: _Served, fault: str, says: str
) -> None:
    server.fault = fault
    with pytest.raises(LanguageModelError, match=says) as caught:
        model(server, key="secret-key").complete(ASKED)
    assert "Zebra" not in str(caught.value) and "secret-key" not in str(caught.value)
    assert len(server.asked) == 1  # nothing is sent twice, or elsewhere


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_server_that_is_slow_or_sends_byte_by_byte_is_left_in_time(server: _Served, fault: str) -> None:
    server.fault = fault
    begun = time.monotonic()
    with pytest.raises(LanguageModelError, match=r"within 0\.5 s"):
        model(server, patience_s=0.5).complete(ASKED)
    assert time.monotonic() - begun < 3


def test_a_server_that_is_not_there_is_said_so() -> None:
    with serving() as gone:
        address = gone.address
    with pytest.raises(LanguageModelError, match="ConnectionRefusedError"):
        ServedModel(address, "tiny", patience_s=5).complete(ASKED)


def test_the_key_comes_from_the_environment_and_is_told_to_the_server_alone(server: _Served) -> None:
    settings = SiteSettings(language_model=server.address, language_model_name="tiny")
    named = language_model(settings, {"MEDLOOM_LANGUAGE_MODEL_KEY": "secret-key"})
    assert named is not None and named.complete(ASKED) == "fine"
    assert server.headers[0]["Authorization"] == "Bearer secret-key"
    assert "secret-key" not in repr(named)


def test_a_proxy_of_the_environment_gets_nothing(server: _Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv("no_proxy", "")
        assert model(server).complete(ASKED) == "fine"
        assert not proxy.asked


def test_without_a_setting_there_is_no_model() -> None:
    assert language_model(SiteSettings()) is None


def test_settings_are_kept_by_a_site_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    settings = SiteSettings(language_model="http://127.0.0.1:8000/v1", language_model_name="tiny")
    assert create_site(tmp_path / "site", settings).settings() == settings
    toml = tmp_path / "site" / "site.toml"
    for wrong in ("ftp://host/v1", "http://name:word@host/v1", "http://host/v1?key=1", "model.bin"):
        toml.write_text(f'language_model = "{wrong}"\n', encoding="utf-8")
        with pytest.raises(InputError, match="language_model"):
            SiteDirectory(tmp_path / "site").settings()


def test_a_server_without_its_model_is_refused() -> None:
    with pytest.raises(InputError, match="language_model_name"):
        language_model(SiteSettings(language_model="http://127.0.0.1:8000/v1"))


@pytest.mark.parametrize(
    "asked", [[], [Message("user", "  ")], [Message("user", "a" * 200_001)], [Message("user", "\ud800")]]
)
def test_nothing_and_too_much_are_not_sent(server: _Served, asked: list[Message]) -> None:
    with pytest.raises(InputError):
        model(server).complete(asked)
    assert not server.asked


def test_a_file_that_is_missing_or_whose_library_is_says_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError, match="there is no language model"):
        LocalModel(tmp_path / "gone.gguf").complete(ASKED)
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install llama-cpp-python"):
        LocalModel(tmp_path / "small.gguf").complete(ASKED)
