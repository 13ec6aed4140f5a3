"""How far the seeds of a trained policy lie apart."""

import numpy as np
import pytest

from wfbt.validation.seeds import interquartile_mean, seed_key, stratified_interval


def test_the_middle_half_of_eight_scores_is_that_of_the_four_in_the_middle():
    assert interquartile_mean(np.array([100.0, 1, 2, 3, 4, 5, 6, -50.0])) == pytest.approx((2 + 3 + 4 + 5) / 4)


def test_of_five_scores_the_outer_ones_count_by_what_is_left_of_them():
    # A quarter of five is 1.25: of the second and the fourth three quarters are left.
    scores = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    assert interquartile_mean(scores) == pytest.approx((0.75 * 1 + 2 + 0.75 * 3) / 2.5)


def test_one_wild_seed_does_not_move_the_middle():
    calm = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    wild = np.array([0.5, 0.6, 0.7, 0.8, 99.0])
    assert interquartile_mean(calm) == interquartile_mean(wild)


def test_the_interval_draws_seeds_within_folds_so_folds_that_differ_do_not_widen_it():
    rng = np.random.default_rng(1)
    level = np.array([[-3.0], [0.0], [3.0], [1.0], [-1.0], [2.0]])
    scores = level + rng.normal(0.0, 0.1, (6, 8))
    low, high = stratified_interval(scores, 500, np.random.default_rng(2))
    assert low < interquartile_mean(scores.ravel()) < high
    assert high - low < 0.3
    again = stratified_interval(scores, 500, np.random.default_rng(2))
    assert again == (low, high)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    met = 0
    for _ in range(200):
        low, high = stratified_interval(rng.normal(0.4, 1.0, (6, 8)), 200, rng)
        met += low <= 0.4 <= high
    assert 0.85 <= met / 200 <= 1.0


def test_a_seed_of_a_part_is_found_by_its_name():
    assert seed_key({"propose.fast": 3, "confirm.seed": 1}) == "confirm.seed"
    assert seed_key({"seed": 1}) == "seed"
    assert seed_key({"fast": 1}) is None
