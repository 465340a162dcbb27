"""Medloom: from a hospital's own records to evaluated, explained, reviewable decision support.

import medloom as ml

site = ml.Site.create("st-mary")
site.record.add(ml.importers.fhir("export/"))
task = site.task("in-hospital-death-48h")
model = ml.train(task, learner="gbdt")
print(ml.evaluate(model, split="held_out"))
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from medloom import importers
    from medloom.api import (
        Trained,
        ask,
        evaluate,
        explain,
        learner,
        load,
        predict,
        train,
        train_together,
        trained,
    )
    from medloom.compressing import compress
    from medloom.explaining import counterfactuals, effects, importance, reasons, similar, surrogate
    from medloom.foundation.errors import MedloomError
    from medloom.foundation.site import SiteSettings
    from medloom.generating import generate_images
    from medloom.mitigating import mitigate
    from medloom.pretraining import pretrain, pretrain_images, zero_shot
    from medloom.record.record import Record
    from medloom.reporting import report
    from medloom.site import Site
    from medloom.stressing import robustness, unusual
    from medloom.validation import (
        coverage,
        cross_validate,
        learning_curve,
        recalibrate,
        stability,
        validate,
        validate_elsewhere,
        with_ranges,
    )

__version__: Final = version("medloom")

# Looked up when first used: `import medloom` itself stays instant.
_PUBLIC: Final = {
    "MedloomError": "medloom.foundation.errors",
    "Record": "medloom.record.record",
    "Site": "medloom.site",
    "SiteSettings": "medloom.foundation.site",
    "Trained": "medloom.api",
    "ask": "medloom.api",
    "compress": "medloom.compressing",
    "counterfactuals": "medloom.explaining",
    "deletion": "medloom.explaining",
    "coverage": "medloom.validation",
    "cross_validate": "medloom.validation",
    "effects": "medloom.explaining",
    "evaluate": "medloom.api",
    "explain": "medloom.api",
    "generate_images": "medloom.generating",
    "importance": "medloom.explaining",
    "learner": "medloom.api",
    "learning_curve": "medloom.validation",
    "load": "medloom.api",
    "mitigate": "medloom.mitigating",
    "predict": "medloom.api",
    "pretrain": "medloom.pretraining",
    "pretrain_images": "medloom.pretraining",
    "reasons": "medloom.explaining",
    "recalibrate": "medloom.validation",
    "report": "medloom.reporting",
    "robustness": "medloom.stressing",
    "similar": "medloom.explaining",
    "stability": "medloom.validation",
    "surrogate": "medloom.explaining",
    "synthesize": "medloom.synthesizing",
    "synthesize_timelines": "medloom.synthesizing",
    "train": "medloom.api",
    "train_together": "medloom.api",
    "trained": "medloom.api",
    "unusual": "medloom.stressing",
    "validate": "medloom.validation",
    "validate_elsewhere": "medloom.validation",
    "with_ranges": "medloom.validation",
    "zero_shot": "medloom.pretraining",
}

__all__ = [
    "MedloomError",
    "Record",
    "Site",
    "SiteSettings",
    "Trained",
    "ask",
    "compress",
    "counterfactuals",
    "coverage",
    "cross_validate",
    "deletion",
    "effects",
    "evaluate",
    "explain",
    "generate_images",
    "importance",
    "importers",
    "learner",
    "learning_curve",
    "load",
    "mitigate",
    "predict",
    "pretrain",
    "pretrain_images",
    "reasons",
    "recalibrate",
    "report",
    "robustness",
    "similar",
    "stability",
    "surrogate",
    "synthesize",
    "synthesize_timelines",
    "train",
    "train_together",
    "trained",
    "unusual",
    "validate",
    "validate_elsewhere",
    "with_ranges",
    "zero_shot",
]


def __getattr__(name: str) -> Any:
    if name == "importers":
        return import_module("medloom.importers")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'medloom' has no attribute {name!r}")
