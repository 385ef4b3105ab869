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
