"""A generator of tables: learned from one, kept as a package, asked for new rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from medloom.foundation.errors import InputError
from medloom.foundation.hashing import sha256_bytes
from medloom.foundation.seeds import derive
from medloom.learners.synthetic.columns import FEWEST, TableForm
from medloom.tasks import package
from medloom.tasks.model import Origin
from medloom.tasks.question import Question, Title
from medloom.training.descent import check_torch

if TYPE_CHECKING:
    from medloom.learners.synthetic.wgan import Contest, RowMaker

NAME: Final = "wgan"
_QUESTION: Final = Question(task="rows", kind="generation", title=Title(en="Rows of a table", zh="表格的行"))
_FILE: Final = "generator.json"
_WEIGHTS: Final = "generator.safetensors"
_LEAST: Final = 10 * FEWEST


@dataclass(frozen=True)
class TableGenerator:
    """Makes rows like those it learned from.

    Attributes:
        origin: where it comes from.
        form: of the columns.
        contest: how it was learned.
        maker: the network.
    """

    origin: Origin
    form: TableForm
    contest: Contest
    maker: RowMaker

    @classmethod
    def fit(cls, frame: pl.DataFrame, *, epochs: int = 300, seed: int = 0) -> TableGenerator:
        """Learn from a table, a row a patient; numbers, texts, and yes or no.

        Raises:
            InputError: PyTorch is not installed, there are fewer than a hundred rows, or a column does not fit.
        """
        check_torch(NAME)
        from medloom.learners.synthetic.wgan import Contest, learn

        if frame.height < _LEAST or epochs < 1:
            raise InputError(
                "a table of {n} rows is too small to learn from; {least} rows and 1 epoch are the least",
                n=frame.height,
                least=_LEAST,
            )
        contest = replace(Contest(), epochs=epochs)
        form = TableForm.fit(frame, seed)
        maker = learn(form, form.encode(frame, seed), contest, derive(seed, NAME))
        data = sha256_bytes(frame.write_csv().encode())
        return cls(Origin(_QUESTION, NAME, asdict(contest), seed, data), form, contest, maker)

    def rows(self, n: int, seed: int = 0) -> pl.DataFrame:
        """Make n rows."""
        from medloom.learners.synthetic.wgan import make

        return self.form.decode(make(self.maker, n, derive(seed, NAME, "rows")))

    def save(self, directory: Path) -> str:
        """Write a package; give its digest."""

        from safetensors.torch import save

        def write(folder: Path) -> None:
            content = {"form": self.form.to_json(), "contest": asdict(self.contest)}
            (folder / _FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
            (folder / _WEIGHTS).write_bytes(save(self.maker.state_dict()))

        libraries = ("numpy", "polars", "safetensors", "torch")
        return package.write(directory, self.origin, write, libraries=libraries, kind="generator")


def load_generator(directory: Path) -> TableGenerator:
    """Check a package and load its generator.

    Raises:
        NotFoundError: there is no package.
        IntegrityError: it was altered.
        InputError: it holds no generator.
    """
    content = package.check(directory)
    if content["kind"] != "generator":
        raise InputError("{name} is a {kind}, not a generator", name=directory.name, kind=content["kind"])
    check_torch(NAME)
    from safetensors.torch import load_file

    from medloom.learners.synthetic.wgan import Contest, RowMaker

    told = json.loads((directory / "weights" / _FILE).read_text(encoding="utf-8"))
    form, contest = TableForm.from_json(told["form"]), Contest(**told["contest"])
    maker = RowMaker(form, contest)
    maker.load_state_dict(load_file(directory / "weights" / _WEIGHTS))
    return TableGenerator(package.origin_in(directory), form, contest, maker.eval().requires_grad_(False))
