"""Two models on the same people."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medloom.evidence.comparing import delong, reclassification


def by_pairs(truth: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Placement values as DeLong defines them: one by one."""
    wins = (risk[truth][:, None] > risk[~truth]) + 0.5 * (risk[truth][:, None] == risk[~truth])
    return wins.mean(axis=1), wins.mean(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_delong_agrees_with_its_definition_with_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(60) < 0.4
    first, second = (np.round(random.random(60) + 0.3 * truth, 1) for _ in range(2))
    found = delong(truth, first, second)
    assert found.first == pytest.approx(roc_auc_score(truth, first), abs=1e-12)
    (a, b), (c, d) = by_pairs(truth, first), by_pairs(truth, second)
    covariance = np.cov(a, c) / truth.sum() + np.cov(b, d) / (~truth).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert found.standard_error == pytest.approx(np.sqrt(variance), abs=1e-12)


def test_a_model_does_not_differ_from_itself() -> None:
    found = delong([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.4, 0.35, 0.8])
    assert found.difference == 0
    assert found.p_value == 1


def test_one_outcome_cannot_be_tested() -> None:
    with pytest.raises(ValueError, match="two samples with the outcome"):
        delong([0, 0, 1], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])


def test_reclassification_without_thresholds_counts_every_move() -> None:
    found = reclassification([0, 0, 1, 1], [0.5] * 4, [0.4, 0.6, 0.6, 0.7])
    assert (found.nri_events, found.nri_nonevents, found.nri) == (1.0, 0.0, 1.0)
