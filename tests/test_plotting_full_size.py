import pandas as pd
import pytest

from course_utils.plotting import full_size, plt


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


STAGES = pd.DataFrame(
    {
        "network": ["A", "A", "B"],
        "stage": ["stem", "dense", "all"],
        "parameters": [1, 9, 5],
        "macs": [8, 2, 7],
    }
)
NETWORKS = pd.DataFrame(
    {"gmacs": [0.7, 15.5], "ms": [40.0, 1000.0], "top1": [56.5, 71.6], "year": [2012, 2014]},
    index=["AlexNet", "VGG-16"],
)


def test_bars_of_a_network_fill_its_panel():
    figure = full_size.shares(STAGES, {"parameters": "weights", "macs": "work"}, columns=3)
    first, second, empty = figure.axes
    assert [first.get_title(), second.get_title()] == ["A", "B"]
    assert [round(bar.get_width(), 6) for bar in first.patches] == [0.1, 0.8, 0.9, 0.2]
    assert [text.get_text() for text in first.texts] == ["stem", "dense", "dense"]  # no room in a tenth
    assert not empty.axison


def test_stages_must_be_told_apart():
    many = pd.DataFrame({"network": "A", "stage": [str(i) for i in range(9)], "macs": 1})
    with pytest.raises(ValueError, match="A has 9 stages, more than the 6"):
        full_size.shares(many, {"macs": "work"})


def test_fields_grow_to_their_last_value():
    figure = full_size.fields({"A": [3, 5, 9], "B": [7, 11]}, 224)
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["A, 9", "B, 11", "the image, 224"]
    with pytest.raises(ValueError, match="6 networks apart, given 7"):
        full_size.fields({str(i): [1] for i in range(7)}, 224)


def test_lines_of_equal_speed_pass_the_fastest_and_the_slowest():
    (axis,) = full_size.rates(NETWORKS).axes
    speeds = sorted(line.get_xdata()[0] / line.get_ydata()[0] * 1000 for line in axis.lines)
    assert speeds == pytest.approx([15.5, 17.5])
    assert {text.get_text() for text in axis.texts} >= {"AlexNet", "VGG-16"}


def test_accuracy_has_a_panel_for_each_cost():
    figure = full_size.accuracy(NETWORKS, {"gmacs": "multiply-adds", "ms": "time (ms)"}, {})
    assert [axis.get_xlabel() for axis in figure.axes] == ["multiply-adds", "time (ms)"]
    assert all(axis.get_xscale() == "log" for axis in figure.axes)


def test_conditions_are_told_apart_by_marker_and_filling():
    rows = [("A", 10.0, "one crop", "validation"), ("A", 7.0, "ensemble", "test"), ("B", 8.0, "ensemble", "validation")]
    published = pd.DataFrame(rows, columns=["network", "top5_error", "how", "images"])
    (axis,) = full_size.conditions(published).axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["A", "B"]
    assert len(axis.collections) == 3
    hollow = [points for points in axis.collections if tuple(points.get_facecolor()[0]) == (1, 1, 1, 1)]
    assert [points.get_label() for points in hollow] == ["several networks, test images"]


def test_years_have_a_panel_for_each_measure():
    figure = full_size.over_years(NETWORKS, {"gmacs": "billions", "ms": "ms"})
    assert [axis.get_ylabel() for axis in figure.axes] == ["billions", "ms"]
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["AlexNet\n2012", "VGG-16\n2014"]
