"""The figures of the page on the data sets."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_utils.plotting import datasets


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_centers_have_a_panel_for_each_set_with_row_zero_on_top():
    figure = datasets.centers({"mnist": np.array([[14.0, 13.0]]), "fashion-mnist": np.array([[3.0, 20.0], [5, 6]])})
    assert [axis.get_title() for axis in figure.axes] == ["MNIST", "Fashion-MNIST"]
    assert figure.axes[0].yaxis_inverted()
    assert figure.axes[1].collections[0].get_offsets().tolist() == [[20, 3], [6, 5]]


def test_the_histogram_has_a_line_for_each_set():
    share = np.full(256, 1 / 256)
    axis = datasets.pixel_histogram({"mnist": share, "fashion-mnist": share}).axes[0]
    assert [line.get_label() for line in axis.lines] == ["MNIST", "Fashion-MNIST"]
    assert len({line.get_linestyle() for line in axis.lines}) == 2


def test_accuracies_are_drawn_rule_by_rule_and_published_ones_are_written():
    rows = [("one", "mnist", 0.9, 0.89, 0.91, np.nan), ("two", "fashion-mnist", 0.8, 0.79, 0.81, 0.835)]
    table = pd.DataFrame(rows, columns=["rule", "data", "accuracy", "low", "high", "published"])
    axis = datasets.accuracies(table).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]
    assert axis.yaxis_inverted()
    assert [text.get_text() for text in axis.texts] == ["0.835"]
