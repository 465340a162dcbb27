"""How unusual a row is, whoever else is asked about."""

import numpy as np

from medloom.training.novelty import Novelty


def test_one_row_is_as_unusual_alone_as_among_others() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 40)).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    found = Novelty.fit(x, np.arange(40), np.arange(200))
    assert found is not None
    among, parts = found.of(x)
    alone = [found.of(x[place : place + 1]) for place in range(50)]
    np.testing.assert_array_equal(among[:50], np.concatenate([one for one, _ in alone]))
    np.testing.assert_array_equal(parts[:50], np.concatenate([each for _, each in alone]))


def test_patients_count_who_are_among_the_rows_looked_at() -> None:
    rng = np.random.default_rng(0)
    groups = np.zeros(40_050, np.int64)
    groups[1:151:3] = np.arange(1, 51)  # every third row is looked at; none of these fifty is
    assert Novelty.fit(rng.normal(size=(len(groups), 2)).astype(np.float32), np.arange(2), groups) is None


def test_what_lies_beyond_all_is_warned_of_however_few_there_are() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    found = Novelty.fit(x, np.arange(3), np.arange(60))
    assert found is not None
    percentile, _ = found.of(np.array([[0, 0, 0], [15, 15, 15]], np.float32))
    assert percentile[0] < 50
    assert percentile[1] == 99.0
