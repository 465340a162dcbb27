"""Floor 11: the command line. `medloom --help` lists the commands."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from medloom.foundation.errors import InputError, MedloomError
from medloom.foundation.messages import LANGUAGES, Language, speaking, tr

_INTERRUPTED = 130  # what typer makes of Ctrl-C


def main() -> None:
    """Run the command line; an error is one sentence on standard error and exit code 1."""
    arguments, json_file = _json_file(sys.argv[1:])
    arguments, asked = _language(arguments)
    arguments = _behind_the_command(arguments)
    with speaking(_spoken(asked)):
        from medloom.cli import screen
        from medloom.cli.app import app

        try:
            if asked is not None and _spoken(asked) is None:
                raise InputError(
                    "there is no language {asked!r}; there are: {languages}",
                    asked=asked,
                    languages=LANGUAGES,
                )
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


def _language(arguments: list[str]) -> tuple[list[str], str | None]:
    """Take out `--lang`, before or after the command: commands are built later, for their help speaks it too.

    >>> _language(["codes", "--lang", "zh"]), _language(["--lang=en", "codes"])
    ((['codes'], 'zh'), (['codes'], 'en'))
    """
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for place, argument in enumerate(ours):
        if argument.startswith("--lang="):
            return arguments[:place] + arguments[place + 1 :], argument.partition("=")[2]
        if argument == "--lang":
            return arguments[:place] + arguments[place + 2 :], "".join(arguments[place + 1 : place + 2])
    return arguments, None


def _behind_the_command(arguments: list[str]) -> list[str]:
    """Put `--site` and `--json` behind the command where somebody wrote them before it.

    >>> _behind_the_command(["--site", "ward", "account", "list"])
    ['account', 'list', '--site', 'ward']
    """
    taken: list[str] = []
    rest = list(arguments)
    while rest and (rest[0] in ("--site", "-s", "--json") or rest[0].startswith("--site=")):
        n = 2 if rest[0] in ("--site", "-s") else 1
        taken, rest = taken + rest[:n], rest[n:]
    end = rest.index("--") if "--" in rest else len(rest)
    return rest[:end] + taken + rest[end:]


def _spoken(asked: str | None) -> Language | None:
    """Give the language meant, also by the name of a locale (`zh_CN`); None: there is no such.

    >>> _spoken("zh_CN"), _spoken("fr")
    ('zh', None)
    """
    name = re.split(r"[-_.]", asked or "")[0].lower()
    return next((one for one in LANGUAGES if one == name), None)
