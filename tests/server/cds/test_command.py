"""Record systems are let in, listed and shut out from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medloom.cli.app import app
from medloom.foundation.errors import InputError, NotFoundError
from medloom.site import Site
from tests.server.cds.ehr import ISSUER, Ehr


def test_a_client_is_added_listed_and_removed(tmp_path: Path) -> None:
    site, keys = Site.create(tmp_path / "site"), tmp_path / "jwks.json"
    keys.write_bytes(Ehr().jwks())

    def run(*arguments: str) -> str:
        ended = CliRunner().invoke(app, ["cds-client", *arguments, "--site", str(site.directory.root)])
        if ended.exception is not None:
            raise ended.exception
        return ended.stdout

    new = ("add", "ehr", "--issuer", ISSUER, "--system", "", "--keys")
    assert "k1" in run(*new, str(keys))
    for error, file in ((InputError, keys), (NotFoundError, tmp_path / "nothing.json")):
        with pytest.raises(error):
            run(*new, str(file))
    assert json.loads(run("list", "--json"))["clients"] == [
        {"name": "ehr", "issuer": ISSUER, "keys": ["k1"], "system": ""}
    ]
    run("remove", "ehr")
    assert json.loads(run("list", "--json"))["clients"] == []
