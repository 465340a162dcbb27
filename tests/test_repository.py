"""What holds for every file of the repository."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

LARGEST_FILE = 2_000_000
LONGEST_SOURCE = 500
LONGEST_README = 200

# What is true on one machine only, or tells how the code was written instead of what it does.
FOREIGN = {
    "an absolute path of one machine": re.compile(r"(?<![\w./:~}])/(?:work|root|home|Users)/\w"),
    "a place beside the clone": re.compile(r"\.\./shared\b"),
    "how the code was written": re.compile(r"\bsub-?agents?\b", re.IGNORECASE),
}
EXCEPTED = {".ci/run"}  # hands the place of the data to the tests

HIDING_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "base"}

PICKLING_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal"}
PICKLING_CALLS = {
    ("joblib", "load"),
    ("joblib", "dump"),
    ("torch", "load"),
    ("torch", "save"),
    ("pandas", "read_pickle"),
    ("pd", "read_pickle"),
}


def test_no_file_is_larger_than_two_megabytes() -> None:
    sizes = {path: (ROOT / path).stat().st_size for path in _files()}
    assert not {path: size for path, size in sizes.items() if size > LARGEST_FILE}


def test_no_file_holds_what_is_true_on_one_machine_only() -> None:
    found = [
        f"{path}:{number}: {what}"
        for path in _files()
        if path not in EXCEPTED
        for number, line in _lines(ROOT / path)
        for what, pattern in FOREIGN.items()
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "open('/wo" + "rk/data')",
        "see /ro" + "ot/notes",
        "cp ../sha" + "red/data .",
        "a sub" + "agent wrote this",
    ],
)
def test_the_search_finds_what_it_is_for(line: str) -> None:
    assert any(pattern.search(line) for pattern in FOREIGN.values())


@pytest.mark.parametrize(
    "line", ["https://example.org/work/1", "src/work/x", "network/home page", "teamwork/x"]
)
def test_the_search_leaves_ordinary_text_alone(line: str) -> None:
    assert not any(pattern.search(line) for pattern in FOREIGN.values())


def test_no_source_reads_or_writes_pickle() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in SOURCES for line in _pickling(path.read_text())]
    assert not found, f"loading a pickle runs code from it; use skops, safetensors or JSON: {found}"


def test_the_search_for_pickle_finds_every_way_in() -> None:
    source = (
        "import pickle\n"
        "from cloudpickle import loads\n"
        "import joblib\njoblib.load('x')\n"
        "frame.to_pickle('x')\n"
        "np.load('x', allow_pickle=True)\n"
        "torch.load('x', weights_only=True)\n"
        "np.load('x')\n"
    )
    assert list(_pickling(source)) == [1, 2, 4, 5, 6]


def test_a_source_file_is_one_idea() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {path: lines for path, lines in lengths.items() if lines > LONGEST_SOURCE}


def test_names_say_what_is_inside() -> None:
    packages = {path.parent for path in SOURCES}
    hiding = [path for path in [*SOURCES, *packages] if path.stem in HIDING_NAMES]
    assert not hiding, f"these names hide ideas; find the noun: {hiding}"


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in SOURCES if path.parent != ROOT / "src"}
    assert not sorted(folder for folder in folders if not (folder / "__init__.py").is_file())


def test_the_readme_is_short_and_in_both_languages() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert 0 < len(lines) <= LONGEST_README, name


def test_every_requirement_is_pinned_exactly() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin)]
    pinned = {_normal(pin.split("==")[0]) for pin in pins}
    assert len(pinned) == len(pins), "a package is pinned twice"
    assert not {
        name for name in (_normal(re.split(r"[\[<>=!~; ]", w)[0]) for w in wanted) if name not in pinned
    }


def _files() -> list[str]:
    """Name the files that are, or would be, committed, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git clone")
    return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    # The lines that show what the search finds are not findings.
    if path != Path(__file__):
        yield from enumerate(text.splitlines(), start=1)


def _pickling(source: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(n.name.split(".")[0] in PICKLING_MODULES for n in names):
                yield node.lineno
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in PICKLING_MODULES:
                yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name), keywords=keywords) if (
                owner,
                name,
            ) in PICKLING_CALLS and not _is_true(keywords, "weights_only"):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="to_pickle")):
                yield node.lineno
            case ast.Call(keywords=keywords) if _is_true(keywords, "allow_pickle"):
                yield node.lineno


def _is_true(keywords: list[ast.keyword], name: str) -> bool:
    return any(
        k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is True for k in keywords
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
