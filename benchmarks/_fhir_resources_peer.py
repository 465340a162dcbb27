"""Run in an environment of its own: parse FHIR files with fhir.resources, file to validated objects.

fhir.resources 8 has no R4; R4B is the nearest it has, the same resources with few
changes. A resource that it refuses is counted and costs what it costs.
"""

import gzip
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError


def resources(folder: Path) -> Iterator[Any]:
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(".json"):
            yield from (entry["resource"] for entry in orjson.loads(path.read_bytes())["entry"])
        elif path.name.endswith(".ndjson.gz"):
            with gzip.open(path) as lines:
                yield from map(orjson.loads, lines)


def main() -> None:
    parsed = refused = 0
    started = time.perf_counter()
    for folder in sys.argv[1:]:
        for resource in resources(Path(folder)):
            try:
                get_fhir_model_class(resource["resourceType"]).model_validate(resource)
                parsed += 1
            except ValidationError:
                refused += 1
    json.dump({"parsed": parsed, "refused": refused, "seconds": time.perf_counter() - started}, sys.stdout)


if __name__ == "__main__":
    main()
