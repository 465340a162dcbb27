"""Copies are found out, fresh images are not taken for copies, and what drawn images are worth is told in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medloom.evidence.answers import binary_answers
from medloom.evidence.generated_images import effect_of, frechet_distance, judge_generated, kernel_distance
from medloom.evidence.generated_page import Shown, write_generated_page
from medloom.foundation.errors import InputError

RNG = np.random.default_rng(0)
TRAIN, UNSEEN, FRESH = (RNG.normal(size=(n, 8)) for n in (300, 150, 300))


def test_fresh_images_pass() -> None:
    found = judge_generated(TRAIN, UNSEEN, FRESH)
    assert not found.doubts and not found.cautions
    assert found.copied.value < 0.04
    assert found.distance_ratio.value == pytest.approx(1, abs=0.1)
    assert found.membership.value == pytest.approx(0.5, abs=0.08)
    assert found.frechet == pytest.approx(found.frechet_real, rel=0.3)
    assert found.kernel == pytest.approx(0, abs=40) and found.kernel_real == pytest.approx(0, abs=40)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_one_who_copies_is_found_out_though_copies_look_real(noise: float) -> None:
    copies = TRAIN + noise * RNG.normal(size=TRAIN.shape)
    found = judge_generated(TRAIN, UNSEEN, copies)
    assert found.copied.value > 0.9
    assert found.membership.value > 0.9
    assert "learned by heart" in found.doubts[0].en and len(found.doubts) == 3
    assert found.frechet <= found.frechet_real


def test_one_who_copies_now_and_then_is_found_out() -> None:
    found = judge_generated(TRAIN, UNSEEN, np.concatenate([TRAIN[:60], FRESH[:240]]))
    assert found.copied.value == pytest.approx(0.2, abs=0.03)
    assert "learned by heart: 21%" in found.doubts[0].en


def test_other_images_are_far_away_and_no_copies() -> None:
    found = judge_generated(TRAIN, UNSEEN, FRESH + 3)
    assert found.frechet > 5 * found.frechet_real
    assert found.kernel > 100
    assert "not like real ones" in found.cautions[0].en
    assert not found.doubts


def test_one_mode_is_far_away_too() -> None:
    assert frechet_distance(0.1 * FRESH, TRAIN) > 3 * frechet_distance(FRESH, TRAIN)


def test_the_kernel_distance_does_not_depend_on_how_many_there_are() -> None:
    few = [kernel_distance(RNG.normal(size=(20, 8)), RNG.normal(size=(20, 8))) for _ in range(200)]
    assert np.mean(few) == pytest.approx(0, abs=0.03)


def test_halves_share_no_patient() -> None:
    # each patient has ten images that are nearly the same: halves by image would be nearly the same, too
    twins = np.repeat(TRAIN[:30], 10, 0) + 0.01 * RNG.normal(size=(300, 8))
    by_image = judge_generated(twins, UNSEEN, FRESH).frechet_real
    by_patient = judge_generated(twins, UNSEEN, FRESH, groups=np.repeat(np.arange(30), 10)).frechet_real
    assert by_patient > 2 * by_image


def test_too_few_images_are_refused_and_few_are_said_to_be_few() -> None:
    with pytest.raises(InputError, match="19; 20 of each kind"):
        judge_generated(TRAIN, UNSEEN[:19], FRESH)
    cautions = judge_generated(TRAIN, UNSEEN[:40], FRESH).cautions
    assert "Only 40 unseen images" in cautions[0].en


def test_an_effect_is_told_with_its_interval_in_both_languages(tmp_path: Path) -> None:
    truth = np.arange(200) % 2
    good = np.clip(0.5 + 0.2 * (truth - 0.5) + RNG.normal(0, 0.05, 200), 0, 1)
    poor = np.clip(good + RNG.normal(0, 0.4, 200), 0, 1)
    one, other = (binary_answers(truth, risk) for risk in (poor, good))
    gained, lost = effect_of(one, other, "tuning"), effect_of(other, one, "tuning")
    assert gained.metric == "auroc" and gained.difference.low > 0
    assert gained.difference.value == pytest.approx(gained.with_drawn.value - gained.without.value)
    for effect, said in (
        (gained, "gained"),
        (lost, "leave them out"),
        (effect_of(one, one, "tuning"), "not shown"),
    ):
        found = judge_generated(TRAIN, UNSEEN, FRESH, effect=effect)
        assert said in found.cautions[-1].en
    assert found.to_json()["effect"]["difference"]["value"] == 0
    grey = np.zeros((5, 1, 16, 16), np.uint8)
    write_generated_page(tmp_path / "page.html", found, [Shown("disc", grey, grey)])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "生成图像与真实图像的比较" in page and "Fréchet distance, real to real" in page
    assert page.count("data:image/png") == 1
