"""Evidence shows what is left of a model when images are taken otherwise."""

from __future__ import annotations

import medloom as ml
from medloom.evidence.robustness_section import robustness_section
from medloom.features.acquisition import shifts
from medloom.stressing import robustness
from tests.learners.image.worlds import samples_of


def test_every_shift_is_tried_through_the_whole_model_and_told_in_the_report() -> None:
    trained = ml.train(
        samples_of(),
        "cnn",
        size=32,
        width=8,
        epochs=6,
        batch=16,
        learning_rate=0.003,
        augment=0.0,
        average=0.0,
    )
    found = robustness(trained, replicates=20)
    assert [one.name for one in found.trials["acquisition"]] == [one.name for one in shifts()]
    assert "missing" not in found.reasons and "units" not in found.trials
    assert found.whole.metrics["auroc"].value > 0.9  # type: ignore[operator]
    section = robustness_section(found)
    assert any("gamma" in str(row) for table in section.tables for row in table.rows)
