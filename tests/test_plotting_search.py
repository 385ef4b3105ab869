import numpy as np
import pandas as pd
import pytest

from course_utils.plotting import plt, search, use_style


@pytest.fixture(autouse=True)
def _closed_figures():
    use_style()
    yield
    plt.close("all")


def table(failed=(False, False, True, False)) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lr": [0.02, 0.1, 1.5, 0.3],
            "batch_size": [256, 16, 16, 64],
            "accuracy": [0.7, 0.88, 0.1, 0.9],
            "failed": failed,
        }
    )


def test_every_trial_stands_at_its_rate_with_the_marker_of_its_group():
    axis = search.trials(table((False,) * 4)).axes[0]
    assert axis.get_xscale() == "log"
    drawn = {line.get_label(): line for line in axis.lines}
    assert list(drawn) == ["batch size 16", "batch size 64", "batch size 256"]
    np.testing.assert_allclose(drawn["batch size 16"].get_xdata(), [0.1, 1.5])
    np.testing.assert_allclose(drawn["batch size 256"].get_ydata(), [0.7])
    assert len({line.get_marker() for line in axis.lines}) == 3
    assert len({line.get_color() for line in axis.lines}) == 3


def test_failed_trials_are_crosses_below():
    figure = search.trials(table())
    axis, strip = figure.axes
    assert sorted(x for line in axis.lines for x in line.get_xdata()) == [0.02, 0.1, 0.3]
    (crosses,) = (line for line in strip.lines if line.get_marker() == "x")
    np.testing.assert_allclose(crosses.get_xdata(), [1.5])
    assert strip.get_yticklabels()[0].get_text() == "failed: 1"
    assert strip.get_xlabel() == "learning rate"
    assert axis.get_ylabel() == "validation accuracy"


def test_trials_can_be_told_apart_by_something_else():
    figure = search.trials(table().assign(pooling=["avg", "max", "avg", "max"]), group="pooling", ylabel="accuracy")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["pooling avg", "pooling max"]
    assert figure.axes[0].get_ylabel() == "accuracy"


def test_trials_that_cannot_be_drawn_are_named():
    with pytest.raises(ValueError, match="lacks 'accuracy', 'failed'"):
        search.trials(table()[["lr", "batch_size"]])
    with pytest.raises(ValueError, match="no trial"):
        search.trials(table()[:0])
    with pytest.raises(ValueError, match="positive"):
        search.trials(table().assign(lr=0.0))
    many = pd.concat([table()] * 2, ignore_index=True).assign(batch_size=range(8))
    with pytest.raises(ValueError, match="7 groups apart, given 8 of 'batch_size'"):
        search.trials(many)


def test_the_staircase_is_the_best_so_far():
    axis = search.best_so_far(pd.Series([0.84, 0.85, 0.83, 0.86]), random=2).axes[0]
    (stairs,) = (line for line in axis.lines if line.get_drawstyle() == "steps-post")
    np.testing.assert_allclose(stairs.get_ydata(), [0.84, 0.85, 0.85, 0.86])
    (end,) = (line for line in axis.lines if line.get_linestyle() == ":")
    assert end.get_xdata()[0] == 1.5  # the first trial is number 0
    assert axis.get_ylim()[0] < 0.83 < 0.86 < axis.get_ylim()[1]
    assert [text.get_text() for text in axis.texts] == ["drawn at random "]


def test_trials_far_below_are_arrows_at_the_edge():
    axis = search.best_so_far([0.1, 0.88, 0.89, 0.9, 0.1]).axes[0]
    (arrows,) = (line for line in axis.lines if line.get_marker() == "v")
    np.testing.assert_allclose(arrows.get_xdata(), [0, 4])
    np.testing.assert_allclose(arrows.get_ydata(), axis.get_ylim()[0])
    assert not axis.texts


def test_equal_trials_can_be_drawn():
    bottom, top = search.best_so_far([0.5]).axes[0].get_ylim()
    assert bottom < 0.5 < top


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [[0.5]]])
def test_accuracies_must_be_a_row_of_numbers(values):
    with pytest.raises(ValueError, match="row of numbers"):
        search.best_so_far(values)


@pytest.mark.parametrize("random", [-1, 3])
def test_the_random_trials_are_some_of_the_trials(random):
    with pytest.raises(ValueError, match="number of trials, 2"):
        search.best_so_far([0.5, 0.6], random=random)
