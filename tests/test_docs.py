"""The pages say what is true: their commands run as they stand, their figures are those that were measured."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"medloom_docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


refresh, drawn_results = _script("refresh"), _script("drawn_results")


@pytest.mark.parametrize("name", [*refresh.FOLLOWED, *refresh.OPERATED])
def test_a_page_followed_word_for_word_works_and_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    steps = refresh.steps((ROOT / name).read_text(encoding="utf-8"))
    assert len(steps) > (5 if name in refresh.FOLLOWED else 2)
    for step, printed in zip(steps, refresh.run(steps, tmp_path), strict=True):
        if step.output is not None:
            assert refresh.shows(step.output, printed), (
                f"python docs/refresh.py\n{step.commands}\nshown:\n{step.output}\nprinted:\n{printed}"
            )


@pytest.mark.parametrize("pair", [refresh.FOLLOWED, refresh.OPERATED])
def test_both_languages_of_a_page_have_the_same_commands(pair: tuple[str, str]) -> None:
    english, chinese = (refresh.steps((ROOT / name).read_text(encoding="utf-8")) for name in pair)
    assert [_without_language(step.commands) for step in english] == [
        _without_language(step.commands) for step in chinese
    ]


def test_a_step_that_fails_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="false"):
        refresh.run([refresh.Step("true\n", None), refresh.Step("false\n", None)], tmp_path)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("1,234 records in 0.5 s", "1,111 records  in 12.25 s\n", True),
        ("1,234 records", "1,234 rows", False),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\nd", "a\nb\nd", False),
        ("AUROC 0.71 (0.62 to 0.80)", "AUROC 0.69 (0.60 to 0.79)", True),
    ],
)
def test_a_page_shows_the_words_that_were_printed(shown: str, printed: str, same: bool) -> None:
    assert refresh.shows(shown, printed) == same


@pytest.mark.parametrize("name", refresh.WITH_FIGURES)
def test_every_figure_was_measured(name: str) -> None:
    figures = list(refresh.figures((ROOT / name).read_text(encoding="utf-8")))
    wrong = [
        f"{one.place}: {one.shown}, measured {one.expected}" for one in figures if one.shown != one.expected
    ]
    assert not wrong, "python docs/refresh.py\n" + "\n".join(wrong)


def test_every_chart_of_results_is_that_of_the_result() -> None:
    for name, chart in drawn_results.drawn(refresh.RESULTS).items():
        path = ROOT / "docs" / "images" / name
        assert path.read_text(encoding="utf-8") == chart, f"python docs/refresh.py draws {name}"


def test_a_wrong_figure_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "icu.json").write_text(json.dumps({"figures": {"gbdt.auroc": 0.87449}}), encoding="utf-8")
    page = "| <!-- figure: icu gbdt.auroc -->0.874<!-- / --> | <!-- figure: icu x_per_s -->1<!-- / -->"
    assert [(one.shown, one.expected) for one in refresh.figures(page, tmp_path)] == [
        ("0.874", "0.874"),
        ("1", None),
    ]


def test_the_ten_lines_of_the_readme_are_those_of_the_package() -> None:
    import medloom

    lines = (medloom.__doc__ or "").partition("\n\n")[2].strip()
    for name in ("README.md", "README.zh-CN.md"):
        assert lines in (ROOT / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_names_every_format_and_learner(name: str) -> None:
    from medloom.foundation import registry

    text = (ROOT / name).read_text(encoding="utf-8")
    wanted = [*registry.registered("medloom.importers"), *registry.registered("medloom.learners")]
    assert not [one for one in wanted if not re.search(rf"^\|[^|]*`{one}`", text, re.MULTILINE)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def test_every_task_and_mapping_in_the_pages_is_valid() -> None:
    from medloom.foundation.yaml import parse_yaml
    from medloom.record.importers.table.mapping import parse_mapping
    from medloom.tasks.task import Task

    (task,) = re.findall(
        r"```yaml\n(name:.*?)```", (ROOT / "docs" / "tasks.md").read_text("utf-8"), re.DOTALL
    )
    assert parse_yaml(task, Task, "task", "tasks.md").name == "aki-48h"
    (mapping,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "importing.md").read_text("utf-8"), re.DOTALL
    )
    assert len(parse_mapping(mapping).tables) == 2


def test_the_page_on_sites_names_every_setting() -> None:
    from medloom.foundation.site import SiteSettings

    text = (ROOT / "docs" / "site.md").read_text(encoding="utf-8")
    assert not [
        name for name in SiteSettings.model_fields if f"`{name}`" not in text and f"`[{name}]`" not in text
    ]


def test_the_page_on_tasks_names_every_key() -> None:
    from medloom.tasks.task import json_schema

    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    keys = {key for part in parts for key in part.get("properties", {})}
    assert not sorted(key for key in keys if not re.search(rf"\b{key}\b", text))


def _without_language(commands: str) -> str:
    """Leave out what may differ between languages: comments, descriptions, the place of the hospital."""
    commands = commands.replace("export MEDLOOM_LANG=zh\n", "")
    return re.sub(r"\s*#.*|, description: [^}]*|--time-zone \S+", "", commands)
