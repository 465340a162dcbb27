"""Floor 11: the command line. `medloom --help` lists the commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from medloom.foundation.errors import MedloomError
from medloom.foundation.messages import Language, speaking, tr

_INTERRUPTED = 130  # what typer makes of Ctrl-C


def main() -> None:
    """Run the command line; an error is one sentence on standard error and exit code 1."""
    arguments, json_file = _json_file(sys.argv[1:])
    with speaking(_language(arguments)):
        from medloom.cli import screen
        from medloom.cli.app import app

        try:
            with screen.json_goes_to(json_file):
                app(arguments)
        except MedloomError as error:
            screen.error(str(error))
            sys.exit(1)
        except SystemExit as end:
            if end.code == _INTERRUPTED:
                screen.error(tr("Stopped. Nothing was left half done."))
            raise
        except BrokenPipeError:
            # the reader of a pipe has gone; standard output must not be flushed again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)


def _json_file(arguments: list[str]) -> tuple[list[str], Path | None]:
    """Take the file's name out of `--json out.json`; alone, `--json` prints.

    >>> _json_file(["evaluate", "aki-48h.gbdt", "--json", "out.json"])
    (['evaluate', 'aki-48h.gbdt', '--json'], PosixPath('out.json'))
    """
    if "--json" in arguments[:-1]:
        place = arguments.index("--json") + 1
        if arguments[place].endswith(".json"):
            return arguments[:place] + arguments[place + 1 :], Path(arguments[place])
    return arguments, None


def _language(arguments: list[str]) -> Language | None:
    """Find `--lang` before the commands are built, for their help speaks it too."""
    for position, argument in enumerate(arguments):
        value = argument.partition("=")[2] if argument.startswith("--lang=") else None
        if argument == "--lang" and position + 1 < len(arguments):
            value = arguments[position + 1]
        if value is not None:
            return "zh" if value.lower().startswith("zh") else "en"
    return None
