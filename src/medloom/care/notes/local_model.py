"""A language model in a GGUF file on this machine, through llama-cpp-python; nothing is sent anywhere."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from medloom.care.notes.language_model import LanguageModelError, Message, checked
from medloom.foundation.errors import MissingExtraError, NotFoundError

_CONTEXT: Final = 8192  # tokens of question and answer together
_MOST_TOKENS: Final = 2048


class LocalModel:
    """A model in a file, read when it is asked for the first time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> str:
        """Answer, at temperature 0; a schema binds the model as it writes. See `LanguageModel`.

        Raises:
            NotFoundError: the file is not there.
            MissingExtraError: llama-cpp-python is not installed.
        """
        asked = checked(messages)
        form = None if schema is None else {"type": "json_object", "schema": dict(schema)}
        try:
            answer = self._model.create_chat_completion(
                messages=asked, temperature=0.0, seed=0, max_tokens=_MOST_TOKENS, response_format=form
            )
            said = answer["choices"][0]["message"]["content"]
        except (ValueError, RuntimeError, KeyError, IndexError) as error:  # such as more than its context
            raise LanguageModelError(
                "language model {name!r} cannot answer: {reason}", name=self.name, reason=type(error).__name__
            ) from None
        return said if isinstance(said, str) else ""

    @cached_property
    def _model(self) -> Any:
        if not self.path.is_file():
            raise NotFoundError("there is no language model {path!r}", path=str(self.path))
        if importlib.util.find_spec("llama_cpp") is None:
            raise MissingExtraError(
                "a language model in a file needs llama-cpp-python; install it with: pip install llama-cpp-python"
            )
        llama = importlib.import_module("llama_cpp")
        try:
            return llama.Llama(model_path=str(self.path), n_ctx=_CONTEXT, seed=0, verbose=False)
        except (ValueError, OSError) as error:
            raise LanguageModelError(
                "{path!r} is not a language model in GGUF", path=self.path.name
            ) from error
