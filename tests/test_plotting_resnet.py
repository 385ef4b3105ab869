import numpy as np
import pandas as pd
import pytest

from course_utils.plotting import plt, resnet


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def test_lines_count_from_one_and_tell_depths_apart():
    figure = resnet.lines([{"plain, 20 layers": [3, 2], "plain, 56 layers": [4.0, 5.0, 6.0]}], ["loss"], xlabel="step")
    (axis,) = figure.axes
    shallow, deep = axis.lines
    assert list(deep.get_xdata()) == [1, 2, 3]
    assert list(deep.get_ydata()) == [4, 5, 6]
    assert (shallow.get_linestyle(), deep.get_linestyle()) == ("--", "-")
    assert shallow.get_color() == deep.get_color() == resnet.KINDS["plain"]
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_yscale()) == ("step", "loss", "linear")


def test_lines_smooth_at_the_place_of_the_last_value():
    figure = resnet.lines([{"residual": range(6)}], ["loss"], xlabel="step", smooth=3, log=True)
    faint, thick = figure.axes[0].lines
    assert list(faint.get_ydata()) == [0, 1, 2, 3, 4, 5]
    assert list(thick.get_xdata()) == [3, 4, 5, 6]
    np.testing.assert_allclose(thick.get_ydata(), [1, 2, 3, 4])
    assert figure.axes[0].get_yscale() == "log"


def test_every_mapping_has_a_panel():
    figure = resnet.lines([{"plain": [1]}, {"pre-activation": [2]}], ["a", "b"], xlabel="block")
    assert [axis.get_ylabel() for axis in figure.axes] == ["a", "b"]
    with pytest.raises(ValueError, match="2 panels and 1 labels"):
        resnet.lines([{}, {}], ["a"], xlabel="block")


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="'dense'"):
        resnet.lines([{"dense, 20 layers": [1]}], ["a"], xlabel="block")


def test_lesions_stand_beside_the_intact_network():
    shallow = pd.DataFrame({"as it is": [0.4, 0.7], "re-estimated": [0.8, 0.9]}, index=["block 1", "block 2"])
    figure = resnet.lesions(shallow, {"a": 0.1, "b": 0.6, "c": 0.6}, intact=(0.94, 0.6), titles=("14", "56"))
    left, right = figure.axes
    assert [bar.get_height() for bar in left.patches] == [0.4, 0.7, 0.8, 0.9]
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["block 1", "block 2"]
    assert list(right.lines[0].get_ydata()) == [0.1, 0.6, 0.6]
    assert [axis.lines[-1].get_ydata()[0] for axis in (left, right)] == [0.94, 0.6]
    assert [axis.get_title() for axis in (left, right)] == ["14", "56"]
