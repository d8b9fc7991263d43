from dataclasses import replace

import pytest

from dgfnet.training.divergence import Diverged, Watch


def error(value):
    return {"fused hole": value / 4, "fused valid": value * 3 / 4}


@pytest.fixture
def watch(recipe):
    watch = Watch()
    for step in range(100):
        watch.see(error(0.1), step, recipe.stages[0])
    return watch


def test_a_growing_error_is_first_not_worth_keeping_then_an_end(watch, recipe):
    assert watch.sound
    for step in range(100, 105):
        watch.see(error(0.6), step, recipe.stages[0])
    assert watch.sound
    for step in range(105, 145):
        watch.see(error(0.6), step, recipe.stages[0])
    assert not watch.sound
    watch.error = 0.4
    with pytest.raises(Diverged, match=r"rose to 0\.404 from 0\.100 by step 145\.$"):
        watch.see(error(0.6), 145, recipe.stages[0])


def test_one_bad_batch_and_a_new_stage_are_no_divergence(watch, recipe):
    watch.see(error(3.0), 100, recipe.stages[0])
    assert watch.error == pytest.approx(0.1 + 2.9 * 0.02)
    for step in range(101, 300):
        watch.see(error(0.9), step, replace(recipe.stages[0], frozen_norm=True))
    assert watch.sound


@pytest.mark.parametrize("factor", ["slower", "larger"])
def test_another_learning_rate_or_batch_does_not_hide_a_risen_error(watch, recipe, factor):
    falling = replace(recipe, stages=tuple(replace(stage, final_rate=1e-5) for stage in recipe.stages))
    watch.see(error(0.1), 99, falling.stages[0])
    lowest = watch.lowest
    watch.see(error(0.2), 100, getattr(falling, factor)(8).stages[0])
    assert watch.lowest == lowest
    watch.see(error(0.2), 101, replace(falling.stages[0], size=64))
    assert watch.lowest > lowest


def test_without_a_fusion_the_coarse_branch_is_watched(recipe):
    watch = Watch()
    watch.see({"coarse hole": 0.1, "coarse valid": 0.2}, 0, recipe.stages[0])
    assert watch.error == pytest.approx(0.3)
