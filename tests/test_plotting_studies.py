"""Figures of studies show every run, in the right place."""

import math

import numpy as np
import pandas as pd
import pytest

from course_utils import stats
from course_utils.plotting import COLORS, PALETTE, plt, studies
from course_utils.study import COLUMNS


def results(epochs=3, seeds=4, **arms):
    """Accuracies rise by 0.1 an epoch to the given value; None is an arm whose runs diverge in their second epoch."""
    rows = []
    for arm, end in arms.items():
        for seed in range(seeds):
            for epoch in range(1, epochs + 1 if end is not None else 2):
                test = 0.5 if end is None else end - 0.1 * (epochs - epoch) + 0.01 * seed
                rows.append((arm, seed, epoch, 1 - test, test + 0.02, test, 1.0, end is None))
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def line(axis, label):
    """Points of the drawn thing with this name in the legend."""
    handles, labels = axis.get_legend_handles_labels()
    handle = handles[labels.index(label)]
    handle = handle[0] if isinstance(handle, tuple) else handle
    return np.asarray(handle.get_xdata(), float), np.asarray(handle.get_ydata(), float)


def test_every_run_and_every_mean_is_drawn():
    frame = results(**{"0.5": 0.7, "1.0": 0.8})
    (axis,) = studies.arms(frame, xlabel="learning rate").axes
    x, y = line(axis, "one run")
    assert sorted(y) == pytest.approx(sorted(stats.final(frame)["test_accuracy"]))
    assert np.abs(x - np.repeat([0.5, 1.0], 4)).max() < 0.2
    x, y = line(axis, "mean with 95 % interval")
    assert x.tolist() == [0.5, 1.0]
    assert y == pytest.approx([0.715, 0.815])
    assert axis.get_xlabel() == "learning rate"
    assert axis.get_ylabel() == "test accuracy"


def test_failed_runs_have_a_strip_of_their_own_and_stay_in_the_mean():
    frame = results(good=0.8, bad=None)
    frame.loc[(frame["arm"] == "good") & (frame["seed"] == 0), COLUMNS[3:6]] = [2.3, 0.1, 0.1]
    axis, strip = studies.arms(frame).axes
    assert len(line(axis, "one run")[0]) == 3
    (crosses,) = strip.get_lines()
    assert len(crosses.get_xdata()) == 5
    assert sorted(text.get_text() for text in strip.texts) == ["1 of 4", "4 of 4"]
    x, y = line(axis, "mean with 95 % interval")
    assert x.tolist() == [0.0]
    assert y == pytest.approx([stats.summarize(frame).loc["good", "test_accuracy"]])


def test_values_of_the_post_stand_beside_the_arms_that_they_name():
    post = pd.Series({"2": 0.6, "8": 0.7, "99": 0.1})
    (axis,) = studies.arms(results(**{"2": 0.7, "4": 0.75, "8": 0.8}), post=post, log=True).axes
    x, y = line(axis, "the post")
    assert x.tolist() == [1, 3]
    assert y.tolist() == [0.6, 0.7]
    assert axis.get_xticks().tolist() == [1, 2, 3]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["2", "4", "8"]


def test_the_gap_and_an_earlier_epoch_can_be_drawn():
    frame = results(a=0.8, b=0.7)
    (axis,) = studies.arms(frame, value="gap").axes
    assert line(axis, "mean with 95 % interval")[1] == pytest.approx([0.02, 0.02])
    (axis,) = studies.arms(frame, epoch=1, ylim=(0, 1)).axes
    assert line(axis, "mean with 95 % interval")[1] == pytest.approx([0.615, 0.515])
    assert axis.get_ylim() == (0, 1)


def test_one_arm_with_one_seed_can_be_drawn():
    (axis,) = studies.arms(results(seeds=1, only=0.8)).axes
    assert line(axis, "mean with 95 % interval")[1] == pytest.approx([0.8])


@pytest.mark.parametrize("names", [("a", "b"), ("0", "1")])
def test_log_needs_positive_numbers(names):
    with pytest.raises(ValueError, match="log needs arms that are positive numbers, given"):
        studies.arms(results(**dict.fromkeys(names, 0.8)), log=True)


def test_curves_show_each_seed_and_the_mean():
    (axis,) = studies.curves(results(a=0.8, b=0.7), ["a", "b"], labels={"a": "the first"}).axes
    x, y = line(axis, "the first")
    assert x.tolist() == [1, 2, 3]
    assert y == pytest.approx([0.615, 0.715, 0.815])
    assert len(axis.get_lines()) == 2 * (4 + 1)


def test_a_diverged_run_counts_from_then_on_as_guessing():
    frame = results(good=0.8, bad=None)
    frame.loc[frame["arm"] == "bad", "arm"] = ["good", "bad", "bad", "bad"]
    frame.loc[frame["arm"] == "good", "seed"] = [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4]
    good = frame[frame["arm"] == "good"]
    (axis,) = studies.curves(good, ["good"]).axes
    assert line(axis, "good")[1] == pytest.approx([(4 * 0.615 + 0.5) / 5, (4 * 0.715 + 0.1) / 5, (4 * 0.815 + 0.1) / 5])
    assert sum(drawn.get_marker() == "x" for drawn in axis.get_lines()) == 1
    (axis,) = studies.curves(good, ["good"], value="train_loss").axes
    assert line(axis, "good")[1][-1] == pytest.approx((4 * 0.185 + math.log(10)) / 5)


def test_arms_may_differ_in_their_number_of_epochs():
    frame = pd.concat([results(epochs=2, short=0.8), results(epochs=5, long=0.8)])
    (axis,) = studies.curves(frame, ["short", "long"]).axes
    assert line(axis, "short")[0].tolist() == [1, 2]
    assert line(axis, "long")[0].tolist() == [1, 2, 3, 4, 5]


def test_an_arm_keeps_its_color_and_no_other_takes_it():
    arms = ["first", "sigmoid", "relu"]
    (axis,) = studies.curves(results(**dict.fromkeys(arms, 0.8)), arms).axes
    handles, labels = axis.get_legend_handles_labels()
    colors = {label: handle.get_color() for label, handle in zip(labels, handles, strict=True)}
    assert colors == {"first": PALETTE["blue"], "sigmoid": COLORS["sigmoid"], "relu": COLORS["relu"]}


def test_epochs_are_whole_numbers():
    (axis,) = studies.curves(results(epochs=4, a=0.8), ["a"]).axes
    assert all(float(tick).is_integer() for tick in axis.get_xticks())


def test_curves_refuse_what_they_cannot_show():
    frame = results(**{str(number): 0.8 for number in range(8)})
    with pytest.raises(ValueError, match="curves can tell 7 arms apart, given 8"):
        studies.curves(frame, list(map(str, range(8))))
    with pytest.raises(ValueError, match="arm 'x' is not known"):
        studies.curves(frame, ["x"])
    with pytest.raises(ValueError, match="value 'gap' is not known"):
        studies.curves(frame, ["0"], value="gap")


def test_differences_are_those_of_the_table():
    frame = results(a=0.8, b=0.7, c=0.8)
    frame.loc[frame["arm"] == "c", "test_accuracy"] += np.tile([0.02, -0.02], 6)
    table = stats.compare(frame, "a")
    (axis,) = studies.differences(frame, "a").axes
    markers = [drawn for drawn in axis.get_lines() if drawn.get_marker() == "o"]
    assert [float(marker.get_xdata()[0]) for marker in markers] == pytest.approx(table["difference"].tolist())
    assert [marker.get_markerfacecolor() for marker in markers] == [PALETTE["blue"], "white"]
    texts = [text.get_text() for text in axis.texts]
    assert any(text.startswith("-0.100 [-0.100, -0.100]") for text in texts)
    assert axis.get_xlabel() == "test accuracy, minus that of a"
    with pytest.raises(ValueError, match="value 'speed' is not known"):
        studies.differences(frame, "a", value="speed")


def test_a_difference_out_of_view_is_an_arrow_with_its_numbers():
    (axis,) = studies.differences(results(a=0.8, b=0.3, c=0.8), "a", xlim=(-0.1, 0.1)).axes
    (arrow,) = [drawn for drawn in axis.get_lines() if drawn.get_marker() == "<"]
    assert arrow.get_xdata()[0] == -0.1
    assert axis.get_xlim() == (-0.1, 0.1)
    assert any(text.get_text() == "-0.500 [-0.500, -0.500]  p < 0.001" for text in axis.texts)
