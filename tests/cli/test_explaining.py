"""`medloom explain`: one patient by each method, and a model as a whole."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import MODEL, done, refused


@pytest.mark.parametrize("method", ["shap", "kernel", "lime"])
def test_a_patient_is_explained_from_outside(site: Path, method: str) -> None:
    found = json.loads(done("explain", MODEL, "--subject", 7, "--method", method, "--json", folder=site))
    assert found["reasons"] and found["scale"] == "probability"
    assert ("fidelity" in found) == (method == "lime")
    if method != "lime":
        total = sum(one["contribution"] for one in found["reasons"]) + found["baseline"][0]["value"]
        assert total == pytest.approx(found["answer"][0]["value"], abs=1e-9)


def test_what_would_have_to_be_different_is_told(site: Path) -> None:
    asked = ("explain", MODEL, "--subject", 7, "--method", "counterfactual", "--below")
    found = json.loads(done(*asked, 1, "--json", folder=site))
    assert found["ways"] == [] and "already" in found["why_none"]
    printed = done(*asked, found["answer"][0]["value"], folder=site)
    assert "does not say that changing these values would help" in " ".join(printed.split())
    assert "--below" in refused(*asked[:-1], folder=site)


def test_similar_patients_are_counted(site: Path) -> None:
    found = json.loads(done("explain", MODEL, "--subject", 7, "--method", "similar", "--json", folder=site))
    assert 10 <= found["n"] <= 50 and len(found["outcomes"]) == 1
    assert str(found["n"]) in done("explain", MODEL, "--subject", 7, "--method", "similar", folder=site)


def test_a_model_is_explained_as_a_whole(site: Path) -> None:
    found = {
        how: json.loads(done("explain", MODEL, "--overall", how, "--json", folder=site))
        for how in ("permutation", "ale", "surrogate")
    }
    assert {"input", "importance", "low", "high"} <= set(found["permutation"]["inputs"][0])
    one = found["ale"]["effects"][0]
    assert len(one["edges"]) == len(one["effect"]) == len(one["samples"]) + 1
    assert found["surrogate"]["fidelity"][0]["r2"] > 0.5
    assert found["surrogate"]["rules"].startswith("if ")


@pytest.mark.parametrize("how", ["permutation", "ale", "surrogate"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_model_is_explained_to_a_person(site: Path, how: str, language: str) -> None:
    printed = done("explain", MODEL, "--overall", how, "--lang", language, folder=site)
    assert ("Heart rate" in printed or "Creatinine" in printed) == (language == "en")


def test_a_named_input_is_followed(site: Path) -> None:
    found = json.loads(done("explain", MODEL, "--overall", "ale", "--input", "age", "--json", folder=site))
    assert [one["input"] for one in found["effects"]] == ["age"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--subject", 7, "--method", "magic"), "counterfactual, similar"),
        (("--overall", "magic"), "permutation, ale, surrogate"),
        (("--overall", "ale", "--subject", 7), "leave out"),
        (("--overall", "ale", "--input", "nothing"), "no input 'nothing'"),
    ],
)
def test_what_cannot_be_asked_is_refused(site: Path, arguments: tuple[object, ...], told: str) -> None:
    assert told in refused("explain", MODEL, *arguments, folder=site)
