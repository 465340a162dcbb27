"""Help in the language spoken: what Click itself says around our texts, too."""

from __future__ import annotations

from collections.abc import Iterable

import click
from typer.core import TyperGroup

from medloom.foundation.messages import tr


class SpeakingGroup(TyperGroup):
    """A group whose help, and whose commands' help, has headings in the language spoken."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Make the context as ever, for commands that speak."""
        _let_speak(self)
        return super().make_context(info_name, args, parent, **extra)


class _Context(click.Context):
    """A context whose help is written by `_Formatter`."""


class _Formatter(click.HelpFormatter):
    """Writes help with Click's own words translated."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line of usage."""
        super().write_usage(prog, args, tr("Usage: ") if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        self.write(
            " " * self.current_indent + tr("{heading}:", heading=_own_words().get(heading, heading)) + "\n"
        )

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and what they are."""
        super().write_dl([(name, _said(text)) for name, text in rows], col_max, col_spacing)


_Context.formatter_class = _Formatter


def _let_speak(command: click.Command) -> None:
    command.context_class = _Context
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _let_speak(inner)


def _said(text: str) -> str:
    text = _own_words().get(text, text)
    # Typer puts these behind the text of a parameter.
    return text.replace("[required]", f"[{tr('required')}]").replace("[default: ", f"[{tr('default: ')}")


def _own_words() -> dict[str, str]:
    return {
        "Options": tr("Options"),
        "Arguments": tr("Arguments"),
        "Commands": tr("Commands"),
        "Show this message and exit.": tr("Show this message and exit."),
    }
