"""Bring the pages up to date with what the commands really print: `python docs/refresh.py` from the root of the clone.

- In a page that is followed word for word, the ```sh blocks are run in order; a ```text block right after one shows its
  output. A line of three dots stands for lines that are left out.
- A figure stands between `<!-- figure: BENCH NAME -->` and `<!-- / -->`; it is that of `benchmarks/results/BENCH.json`.
- Charts of results are drawn by `drawn_results.py`.

`tests/test_docs.py` checks both. `python docs/refresh.py workbench` makes the pictures of the workbench anew,
`python docs/refresh.py viewer` those of the image viewer, `python docs/refresh.py notes` those of notes.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FOLLOWED = ("docs/first-hour.md", "docs/first-hour.zh-CN.md")
OPERATED = ("docs/workbench.md", "docs/workbench.zh-CN.md")  # their ```sh blocks alone
WITH_FIGURES = (
    "README.md",
    "README.zh-CN.md",
    "benchmarks/README.md",
    "docs/trust.md",
    "docs/large-model.md",
    "docs/imaging.md",
    "docs/notes.md",
)
LEFT_OUT = "..."

_STEP = re.compile(
    r"^```sh\n(?P<commands>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
_FIGURE = re.compile(r"<!-- figure: (?P<bench>[a-z-]+) (?P<name>\S+) -->(?P<shown>.*?)<!-- / -->")
_MARK = "\x1e"


@dataclass(frozen=True)
class Step:
    """A block of commands, and the output the page shows of it (None: none)."""

    commands: str
    output: str | None


@dataclass(frozen=True)
class Figure:
    """A figure as a page shows it, and as it was measured (None: not measured yet)."""

    place: str
    shown: str
    measured: float | None

    @property
    def expected(self) -> str | None:
        """Write the measured figure with as many decimals as the page shows."""
        if self.measured is None:
            return None
        decimals = len(self.shown.partition(".")[2]) if "." in self.shown else 0
        return f"{self.measured:,.{decimals}f}"


def steps(page: str) -> list[Step]:
    """Find a page's steps, in order."""
    return [Step(found["commands"], found["output"]) for found in _STEP.finditer(page)]


def run(wanted: list[Step], folder: Path) -> list[str]:
    """Run steps in one shell, in an empty folder; give what each printed.

    Raises:
        RuntimeError: a command failed; the message has it and what was printed.
    """
    lines = ["set -euo pipefail"]
    for step in wanted:
        lines += [f"printf '{_MARK}'", step.commands.rstrip()]
    commands = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
    }
    for name in ("MEDLOOM_SITE", "MEDLOOM_LANG"):
        environment.pop(name, None)
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env={**environment, "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed = done.stdout.split(_MARK)[1:]
    if done.returncode != 0:
        raise RuntimeError(f"{wanted[len(printed) - 1].commands}\n{printed[-1]}")
    return printed


def shows(expected: str, printed: str) -> bool:
    """Tell whether a page shows what was printed: the same words in the same order; numbers and spaces may differ.

    >>> shows("1,234 records\\n...\\nKept", "999 records\\nfour lines\\nmore\\nKept\\n")
    True
    """
    pieces = [r"\s*".join(re.escape(_plain(line)) for line in piece) for piece in _pieces(expected)]
    return re.fullmatch(r"\s*" + r"(?s:.*?)".join(pieces) + r"\s*", _plain(printed)) is not None


def figures(page: str, results: Path = RESULTS) -> Iterator[Figure]:
    """Find a page's figures."""
    for found in _FIGURE.finditer(page):
        path = results / f"{found['bench']}.json"
        measured = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.is_file() else {}
        yield Figure(f"{found['bench']} {found['name']}", found["shown"], measured.get(found["name"]))


def _pieces(text: str) -> Iterator[list[str]]:
    piece: list[str] = []
    for line in text.splitlines():
        if line.strip() == LEFT_OUT:
            yield piece
            piece = []
        else:
            piece.append(line)
    yield piece


def _plain(text: str) -> str:
    text = re.sub(r"[-+]?[\d,.]*\d", "#", text)
    return re.sub(r"\s+", "", text)


def _refreshed_steps(page: str, folder: Path) -> str:
    found = steps(page)
    printed = iter(run(found, folder))

    def block(match: re.Match[str]) -> str:
        output = next(printed)
        if match["output"] is None or LEFT_OUT in match["output"].splitlines():
            return match[0]  # what is left out was chosen by hand
        text = "\n".join(line.rstrip() for line in output.strip("\n").splitlines())
        return f"```sh\n{match['commands']}```\n\n```text\n{text}\n```\n"

    return _STEP.sub(block, page)


def _refreshed_figures(page: str) -> str:
    found = iter(list(figures(page)))

    def figure(match: re.Match[str]) -> str:
        expected = next(found).expected
        if expected is None:
            return match[0]
        return f"<!-- figure: {match['bench']} {match['name']} -->{expected}<!-- / -->"

    return _FIGURE.sub(figure, page)


def main() -> None:
    """Rewrite the pages."""
    from drawn_results import drawn  # beside this file

    for name in (*FOLLOWED, *OPERATED):
        path = ROOT / name
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CONFIG_HOME"] = folder  # keys of sites that last a minute
            (Path(folder) / "work").mkdir()
            path.write_text(
                _refreshed_steps(path.read_text(encoding="utf-8"), Path(folder) / "work"), encoding="utf-8"
            )
    for name in WITH_FIGURES:
        path = ROOT / name
        path.write_text(_refreshed_figures(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, chart in drawn(RESULTS).items():
        (ROOT / "docs" / "images" / name).write_text(chart, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["workbench"]:
        import workbench_pictures  # beside this file; needs a browser

        workbench_pictures.refresh(ROOT / "docs" / "images")
    elif sys.argv[1:] == ["viewer"]:
        import viewer_pictures  # beside this file; needs a browser

        viewer_pictures.refresh(ROOT / "docs" / "images")
    elif sys.argv[1:] == ["notes"]:
        import note_pictures  # beside this file; needs a browser

        note_pictures.refresh(ROOT / "docs" / "images")
    else:
        main()
