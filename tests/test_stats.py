"""Statistics, checked against scipy and against hand-made cases."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from course_utils import stats

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 10, 50])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_interval_is_scipys(n, level):
    values = RANDOM.normal(0.8, 0.02, n)
    ours = stats.interval(values, level)
    low, high = scipy_stats.t.interval(level, n - 1, loc=values.mean(), scale=scipy_stats.sem(values))
    assert (ours.mean, ours.sd, ours.n) == pytest.approx((values.mean(), values.std(ddof=1), n))
    assert (ours.low, ours.high) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [2, 5, 10])
def test_the_paired_difference_is_scipys(n):
    a, b = RANDOM.normal(0.80, 0.02, n), RANDOM.normal(0.82, 0.02, n)
    ours, theirs = stats.paired(a, b), scipy_stats.ttest_rel(a, b)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.seen == (theirs.pvalue < 0.05)


def test_a_difference_that_is_the_same_for_every_seed():
    assert stats.paired([1, 2, 3], [1, 2, 3]).p == 1
    assert stats.paired([2, 3, 4], [1, 2, 3]).p == 0


def test_the_interval_holds_the_truth_as_often_as_it_says():
    samples = np.random.default_rng(1).normal(size=(2000, 10))
    hits = np.mean([interval.low <= 0 <= interval.high for interval in map(stats.interval, samples)])
    assert hits == pytest.approx(0.95, abs=0.015)


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert stats.holm([0.02]) == pytest.approx([0.02])
    assert len(stats.holm([])) == 0


def test_holm_rejects_what_stepping_down_rejects():
    for _ in range(200):
        p = RANDOM.random(6) ** 3
        rejected = np.zeros(6, bool)
        for rank, index in enumerate(np.argsort(p)):
            if p[index] >= 0.05 / (6 - rank):
                break
            rejected[index] = True
        assert ((stats.holm(p) < 0.05) == rejected).all()


def test_how_they_print():
    assert str(stats.Interval(0.812, 0.01, 0.806, 0.818, 10)) == "0.812 [0.806, 0.818], 10 seeds"
    assert str(stats.interval([0.5])) == "0.500, 1 seed"
    assert str(stats.Difference(0.01, 1, 0.002, 0.018, 10, 0.01)) == "+0.010 [+0.002, +0.018], 10 seeds"
    assert str(stats.Difference(0.01, 1, -0.002, 0.022, 10, 0.1)).endswith("10 seeds: no difference seen")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.interval([]), "row of numbers"),
        (lambda: stats.interval([1, float("nan")]), "without NaN"),
        (lambda: stats.interval([[1, 2]]), "row of numbers"),
        (lambda: stats.interval([1, 2], 95), "level must lie between 0 and 1"),
        (lambda: stats.paired([1, 2], [1, 2, 3]), "two rows of one length"),
        (lambda: stats.paired([1], [1]), "at least 2"),
        (lambda: stats.holm([0.1, 1.1]), "p-values must lie between 0 and 1"),
        (lambda: stats.compare(results(), "c"), "arm 'c' is not known; there are 'b', 'a'"),
    ],
)
def test_what_makes_no_sense_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def results():
    """Arm b: two good seeds. Arm a: one good, one that diverges in epoch 2, one (seed 2) that b does not have."""
    columns = ["arm", "seed", "epoch", "train_loss", "train_accuracy", "test_accuracy", "seconds", "diverged"]
    rows = [
        ("b", 0, 1, 1.0, 0.60, 0.50, 1, False),
        ("b", 0, 2, 0.5, 0.85, 0.80, 1, False),
        ("b", 1, 1, 1.0, 0.60, 0.52, 1, False),
        ("b", 1, 2, 0.4, 0.87, 0.82, 1, False),
        ("a", 0, 1, 1.0, 0.61, 0.55, 1, False),
        ("a", 0, 2, 0.3, 0.91, 0.90, 1, False),
        ("a", 1, 1, 2.0, 0.62, 0.56, 1, True),
        ("a", 2, 0, np.nan, np.nan, np.nan, np.nan, True),
    ]
    return pd.DataFrame(rows, columns=columns)


def test_the_last_epoch_counts_and_a_diverged_run_guesses():
    final = stats.final(results()).set_index(["arm", "seed"])
    assert final["test_accuracy"].to_dict() == {
        ("b", 0): 0.80,
        ("b", 1): 0.82,
        ("a", 0): 0.90,
        ("a", 1): 0.1,
        ("a", 2): 0.1,
    }
    assert final["failed"].tolist() == [False, False, False, True, True]
    assert final["train_loss"].isna().tolist() == [False, False, False, True, True]


def test_an_epoch_before_the_end_can_be_asked_for():
    final = stats.final(results(), epoch=1).set_index(["arm", "seed"])
    assert final.loc[("a", 1), "test_accuracy"] == 0.56
    assert not final.loc[("a", 1), "failed"]
    assert final.loc[("a", 2), "failed"]


def test_a_run_at_chance_has_failed_though_it_never_diverged():
    stuck = results().query("arm == 'b' and seed == 0").assign(test_accuracy=0.1)
    assert stats.final(stuck)["failed"].tolist() == [True]
    assert stats.final(stuck)["diverged"].tolist() == [False]


def test_a_row_per_arm():
    table = stats.summarize(results())
    assert list(table.index) == ["b", "a"]
    assert table["seeds"].tolist() == [2, 3]
    assert table["failed"].tolist() == [0, 2]
    assert table.loc["b", "test_accuracy"] == pytest.approx(0.81)
    assert table.loc["a", "test_accuracy"] == pytest.approx(1.1 / 3)
    assert table.loc["a", "train_loss"] == pytest.approx(0.3)
    assert table.loc["b", "test"] == str(stats.interval([0.80, 0.82]))


def test_arms_are_compared_on_the_seeds_that_both_have():
    assert list(stats.by_seed(results()).index) == [0, 1]
    row = stats.compare(results(), "b").loc["a"]
    assert row["difference"] == pytest.approx(((0.90 - 0.80) + (0.1 - 0.82)) / 2)
    assert row["p_holm"] == row["p"]


def test_the_gap_between_train_and_test():
    assert stats.by_seed(results(), "gap").loc[0].to_dict() == pytest.approx({"b": 0.05, "a": 0.01})
