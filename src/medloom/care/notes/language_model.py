"""A language model, where the site's settings name one: a server by its address, a file on this machine, or none.

Nothing here trusts a model: what it answers is text, which `model_facts` and `model_drafts` hold against the words of
the note before anything of it is used. A note leaves the process only for the address that `site.toml` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from medloom.foundation.errors import InputError, MedloomError
from medloom.foundation.site import SiteSettings

KEY_VARIABLE: Final = "MEDLOOM_LANGUAGE_MODEL_KEY"
LONGEST_ASKED: Final = 200_000  # characters of all messages
LONGEST_ANSWER: Final = 1_000_000  # bytes


class LanguageModelError(MedloomError):
    """A language model cannot be reached, takes too long, or answers what cannot be read."""


@dataclass(frozen=True)
class Message:
    """One message of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class LanguageModel(Protocol):
    """Whatever answers messages with text."""

    @property
    def name(self) -> str:
        """What the record says of who said something."""

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> str:
        """Answer; with a JSON Schema, the model is asked for JSON of it, which is no promise that it is.

        Raises:
            InputError: the messages are empty or longer than 200,000 characters.
            LanguageModelError: there is no answer, or none that can be read.
        """


def language_model(
    settings: SiteSettings, environment: Mapping[str, str] | None = None
) -> LanguageModel | None:
    """Give the language model that a site's settings name; None, the default: none.

    `language_model` is the address of an OpenAI-compatible server (vLLM, Ollama, llama.cpp), such as
    `http://127.0.0.1:8000/v1`, or a file that ends in `.gguf`; `language_model_name` is what the server calls the
    model. A server's key, if it wants one, is read from MEDLOOM_LANGUAGE_MODEL_KEY.

    Raises:
        InputError: the file is not there, or a server is named without its model.

    >>> language_model(SiteSettings(name="St. Mary")) is None
    True
    """
    from medloom.care.notes.local_model import LocalModel
    from medloom.care.notes.model_server import ServedModel

    place = settings.language_model
    if not place:
        return None
    if place.endswith(".gguf"):
        return LocalModel(Path(place))
    if not settings.language_model_name:
        raise InputError(
            "site.toml names a language model's server and no model;"
            " set language_model_name to what the server calls it"
        )
    environment = os.environ if environment is None else environment
    return ServedModel(
        place,
        settings.language_model_name,
        key=environment.get(KEY_VARIABLE, ""),
        patience_s=settings.language_model_timeout_s,
    )


def checked(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Give messages as the protocol writes them; refuse none, and too much.

    Raises:
        InputError: there are none, they are longer than 200,000 characters, or hold half characters.
    """
    if not messages or not any(one.content.strip() for one in messages):
        raise InputError("there is nothing to ask a language model")
    if sum(len(one.content) for one in messages) > LONGEST_ASKED:
        raise InputError("a language model is asked {most} characters at most", most=LONGEST_ASKED)
    try:
        "".join(one.content for one in messages).encode()
    except UnicodeEncodeError:
        raise InputError(
            "a text for a language model holds halves of characters; read its file again in the right encoding"
        ) from None
    return [{"role": one.role, "content": one.content} for one in messages]
