"""Benchmarks: looks at a test set are counted, whether or not a run is kept."""

import json
from pathlib import Path

from tests.cli.conftest import done

SCRIPT = """
def run(bench):
    bench.looked()
    bench.figures["one"] = 1.0
"""


def test_every_look_at_the_test_set_counts(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "small.py").write_text(SCRIPT, encoding="utf-8")
    kept = tmp_path / "results" / "small.json"
    kept.write_text('{"evaluations": 4}', encoding="utf-8")
    places = {"MEDLOOM_BENCHMARKS": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def evaluations(*more: str) -> int:
        return int(
            json.loads(done("bench", "small", "--json", *more, folder=tmp_path, **places))["evaluations"]
        )

    assert [evaluations(), evaluations(), evaluations("--keep")] == [5, 6, 7]
    assert json.loads(kept.read_text(encoding="utf-8"))["evaluations"] == 7


def test_a_benchmark_has_one_count_of_looks_however_its_name_is_written(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "two_words.py").write_text(SCRIPT, encoding="utf-8")
    places = {"MEDLOOM_BENCHMARKS": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for name in ("two-words", "two_words"):
        done("bench", name, "--keep", folder=tmp_path, **places)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["two-words.json"]
    assert (
        json.loads((tmp_path / "results" / "two-words.json").read_text(encoding="utf-8"))["evaluations"] == 2
    )
