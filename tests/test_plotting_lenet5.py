"""The figures of the LeNet family: they draw what they are given, and name their axes."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from course_utils.models.lenet5 import C3_TABLE
from course_utils.plotting import lenet5 as figures
from course_utils.plotting import plt


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def labels(figure: Figure) -> list[tuple[str, str]]:
    figure.canvas.draw()
    return [(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes]


def test_a_connection_table_has_a_square_for_each_link():
    figure = figures.connection_table(C3_TABLE, 6, reads="C3", read="S2")
    squares = sum(len(drawn.get_offsets()) for drawn in figure.axes[0].collections)
    assert squares == 60
    assert labels(figure) == [("map of C3", "map of S2")]


def test_the_squash_has_a_panel_for_each_curve():
    a = np.linspace(-1, 1, 5)
    figure = figures.squash_curves(a, {"f(a)": a, "slope": a**2}, marked=(0.5,))
    assert [label for _, label in labels(figure)] == ["f(a)", "slope"]


def test_paths_of_prototypes_start_hollow_and_end_filled():
    paths = np.stack([np.eye(3, 2) * step for step in (3.0, 2.0, 1.0)])
    points, classes = np.zeros((6, 2)), np.array([0, 1, 2, 0, 1, 2])
    panels = {"equation 8": (paths, points, classes), "equation 9": (paths, points, classes)}
    figure = figures.prototype_paths(panels, ["0", "1", "2"], limit=2)
    assert labels(figure) == [("first unit", "second unit"), ("first unit", "")]
    assert [axis.get_title() for axis in figure.axes] == list(panels)
    path, start, end = figure.axes[0].lines[:3]
    assert list(path.get_xdata()) == [3, 2, 1]
    assert (start.get_xdata()[0], start.get_markerfacecolor()) == (3, "white")
    assert (end.get_xdata()[0], end.get_markerfacecolor() != "white") == (1, True)
    assert len({line.get_marker() for line in figure.axes[0].lines[2::3]}) == 3


def test_penalties_while_learning_are_named():
    frame = pd.DataFrame({"right class": [84, 2], "nearest other": [84, 60]}, index=[0, 100])
    axis = figures.penalties_while_learning(frame, 84).axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == list(frame)
    assert [list(line.get_ydata()) for line in axis.lines] == [[84, 84], [84, 2], [84, 60]]


def test_smallest_penalties_are_shares_of_each_group():
    groups = {"digits": np.array([3.0, 1.0]), "clothes": np.array([30.0, 20.0, 10.0])}
    axis = figures.smallest_penalties(groups, 20).axes[0]
    assert axis.get_xscale() == "log"
    assert [list(line.get_xdata()) for line in axis.lines] == [[20, 20], [1, 3], [10, 20, 30]]
    assert list(axis.lines[2].get_ydata()) == pytest.approx([1 / 3, 2 / 3, 1])


def test_schedules_are_logarithmic_and_named():
    figure = figures.schedules(np.arange(3), {"one": np.array([1, 0.5, 0.1]), "two": np.array([0.1, 1, 0.1])})
    axis = figure.axes[0]
    assert axis.get_yscale() == "log"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["one", "two"]


def test_errors_are_in_per_cent():
    summary = pd.DataFrame(
        {"test_accuracy": [0.90, 0.99], "low": [0.89, 0.985], "high": [0.91, 0.995]}, index=["linear", "LeNet-5"]
    )
    figure = figures.errors(summary, {"LeNet-5": 0.95}, label="published")
    axis = figure.axes[0]
    ours = axis.containers[0].lines[0].get_xdata()
    assert list(ours) == pytest.approx([10, 1])
    assert [text.get_text() for text in axis.get_yticklabels()] == ["linear", "LeNet-5"]
    assert axis.get_xlabel().startswith("test error (%)")


def test_a_forest_turns_accuracies_into_errors():
    differences = pd.DataFrame(
        {"difference": [-0.01, 0.001], "low": [-0.012, -0.001], "high": [-0.008, 0.003], "p_holm": [0.001, 0.4]},
        index=["worse", "the same"],
    )
    seeds = pd.DataFrame({"worse": [-0.011, -0.009], "the same": [0.0, 0.002]})
    figure = figures.forest(differences, seeds, reference="LeNet-5", xlim=(-0.5, 0.5))
    axis = figure.axes[0]
    marks = [line for line in axis.lines if line.get_marker() in "o<>"]
    assert [line.get_marker() for line in marks] == [">", "o"]
    assert [float(line.get_xdata()[0]) for line in marks] == pytest.approx([0.5, -0.1])
    assert [line.get_markerfacecolor() != "white" for line in marks] == [True, False]
    assert [text.get_text() for text in axis.texts] == ["+1.00 [+0.80, +1.20]", "-0.10 [-0.30, +0.10]"]
    assert "LeNet-5" in axis.get_xlabel()
