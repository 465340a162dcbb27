"""A language model behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp, or a hospital's own."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from medloom.care.notes.language_model import LONGEST_ANSWER, LanguageModelError, Message, checked
from medloom.foundation.errors import InputError

_MOST_TOKENS: Final = 4096
_UNKNOWN_FORMAT: Final = {400, 404, 415, 422, 500, 501}  # 500: llama_cpp.server 0.3
_BLOCK: Final = 1 << 16


@dataclass(frozen=True)
class ServedModel:
    """A model that a server answers for.

    Text goes to this address alone: proxies of the environment are not used, and a redirection is an error, not
    followed. A key is sent as a bearer token; it stands in no message, no error and no representation.

    Attributes:
        address: up to `/v1`, `http://127.0.0.1:8000/v1`.
        model: what the server calls it.
        key: empty: none.
        patience_s: seconds for one answer, from the first byte asked to the last one read.
    """

    address: str
    model: str
    key: str = field(default="", repr=False)
    patience_s: float = 120.0

    @property
    def name(self) -> str:
        """The model's name, as the server has it."""
        return self.model

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> str:
        """Answer, at temperature 0; see `LanguageModel`."""
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": checked(messages),
            "temperature": 0,
            "seed": 0,
            "max_tokens": _MOST_TOKENS,
            "stream": False,
        }
        if schema is None:
            return self._answer(*self._posted(asked))
        strict = {"name": "answer", "schema": dict(schema), "strict": True}
        status, body = self._posted(
            {**asked, "response_format": {"type": "json_schema", "json_schema": strict}}
        )
        if status in _UNKNOWN_FORMAT:  # llama.cpp's server of Python writes it in another way
            older = {"type": "json_object", "schema": dict(schema)}
            status, body = self._posted({**asked, "response_format": older})
        return self._answer(status, body)

    def _posted(self, asked: Mapping[str, Any]) -> tuple[int, bytes]:
        """Send, and read an answer of bounded size in bounded time."""
        place = urlsplit(self.address)
        if place.scheme not in ("http", "https") or not place.hostname or place.username or place.query:
            raise InputError(
                "a language model's address is http:// or https:// and a host, without a name, a key or a question:"
                " http://127.0.0.1:8000/v1"
            )
        deadline = time.monotonic() + self.patience_s
        secure = place.scheme == "https"
        connection = (
            http.client.HTTPSConnection(
                place.hostname, place.port, timeout=self.patience_s, context=ssl.create_default_context()
            )
            if secure
            else http.client.HTTPConnection(place.hostname, place.port, timeout=self.patience_s)
        )
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        late: threading.Timer | None = None
        try:
            connection.connect()
            # a socket's own timeout begins anew with every byte
            late = threading.Timer(max(deadline - time.monotonic(), 0), _hang_up, [connection.sock])
            late.daemon = True
            late.start()
            connection.request(
                "POST", f"{place.path.rstrip('/')}/chat/completions", orjson.dumps(asked), headers
            )
            answer = connection.getresponse()
            body = bytearray()
            while block := answer.read1(_BLOCK):
                body += block
                if len(body) > LONGEST_ANSWER:
                    raise LanguageModelError(
                        "the language model's server sent more than {most} bytes; nothing of it is used",
                        most=LONGEST_ANSWER,
                    )
            if time.monotonic() >= deadline:
                raise TimeoutError
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
            return answer.status, bytes(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline or isinstance(error, TimeoutError):
                raise LanguageModelError(
                    "the language model's server did not answer within {seconds:g} s", seconds=self.patience_s
                ) from None
            raise LanguageModelError(
                "the language model's server cannot be talked to: {reason}", reason=type(error).__name__
            ) from None
        finally:
            if late is not None:
                late.cancel()
            connection.close()

    def _answer(self, status: int, body: bytes) -> str:
        """Take the text out of an answer; what the server says of an error may repeat the note, so it is not told."""
        if status != http.HTTPStatus.OK:
            raise LanguageModelError(
                "the language model's server answered with status {status}", status=status
            )
        try:
            said = orjson.loads(body)["choices"][0]["message"]["content"]
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
            said = None
        if not isinstance(said, str):
            raise LanguageModelError("the language model's server answered what is not of the protocol")
        return said


def _hang_up(open_socket: socket.socket) -> None:
    try:
        open_socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
