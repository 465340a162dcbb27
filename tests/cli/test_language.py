import json
import re
from pathlib import Path

import click
import pytest
import typer

from medloom import __version__
from medloom.cli.app import app
from tests.cli.conftest import MODEL, TASK, done, refused

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert done("--version", folder=tmp_path).strip() == f"medloom {__version__}"


def test_every_parameter_says_what_it_is() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    commands = [*group.commands.values()]
    commands += [inner for one in commands if isinstance(one, click.Group) for inner in one.commands.values()]
    silent = [
        f"{command.name} {parameter.name}"
        for command in commands
        for parameter in command.params
        if not getattr(parameter, "help", None) and not (parameter.metavar or "").startswith("TASK.")
    ]
    assert not silent


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_plain_text(command: str) -> None:
    from typer.testing import CliRunner

    printed = CliRunner().invoke(app, [command, "--help"]).output
    assert "Usage:" in printed and "\\[" not in printed


def test_help_speaks_chinese(tmp_path: Path) -> None:
    printed = done("--lang", "zh", "--help", folder=tmp_path)
    lines = printed.partition("命令：")[2].strip().splitlines()
    assert len(lines) >= len(COMMANDS)
    assert not [line for line in lines if not CHINESE.search(line)]


def test_help_of_a_command_is_chinese_but_for_its_names(tmp_path: Path) -> None:
    printed = done("evaluate", "--help", "--lang", "zh", folder=tmp_path)
    assert "显示本帮助。" in printed and "用法：" in printed and "[必填]" in printed
    for english in ("Usage", "Options", "Arguments", "Show this", "required", "default"):
        assert english not in printed


@pytest.mark.parametrize(
    "arguments", [("--lang", "zh", "codes"), ("codes", "--lang", "zh"), ("codes", "--lang=zh")]
)
def test_the_language_stands_before_or_after_the_command(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert CHINESE.search(refused(*arguments, folder=tmp_path))


@pytest.mark.parametrize("language", ["fr", ""])
def test_a_language_there_is_not_is_refused(language: str, tmp_path: Path) -> None:
    assert "en, zh" in refused("codes", "--lang", language, folder=tmp_path)


@pytest.mark.parametrize("way", ["option", "variable", "locale"])
def test_chinese_is_chosen_by_option_variable_or_locale(way: str, tmp_path: Path) -> None:
    options = ("--lang", "zh") if way == "option" else ()
    variables: dict[str, str] = {
        "option": {},
        "variable": {"MEDLOOM_LANG": "zh_CN"},
        "locale": {"MEDLOOM_LANG": "", "LC_ALL": "zh_CN.UTF-8"},
    }[way]
    assert CHINESE.search(refused(*options, "codes", folder=tmp_path, **variables))


@pytest.mark.parametrize(
    "arguments",
    [("label", TASK), ("evaluate", MODEL), ("explain", MODEL, "--subject", "7"), ("quality",)],
    ids=lambda arguments: arguments[0],
)
def test_every_answer_is_given_in_chinese(arguments: tuple[str, ...], site: Path) -> None:
    lines = done("--lang", "zh", *arguments, folder=site).splitlines()
    assert sum(bool(CHINESE.search(line)) for line in lines) > len(lines) / 3


def test_an_answer_in_english_has_no_chinese(site: Path) -> None:
    assert not CHINESE.search(done("label", TASK, folder=site))


@pytest.mark.parametrize(
    "arguments",
    [("tasks",), ("importers",), ("learners",), ("models",), ("codes",), ("data", "list")],
    ids=lambda arguments: arguments[0],
)
def test_json_is_one_object_and_nothing_else(arguments: tuple[str, ...], site: Path) -> None:
    assert isinstance(json.loads(done(*arguments, "--json", folder=site)), dict)


def test_json_does_not_depend_on_the_language(site: Path) -> None:
    assert done("--lang", "zh", "label", TASK, "--json", folder=site) == done(
        "label", TASK, "--json", folder=site
    )
