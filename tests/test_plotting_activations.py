import pandas as pd
import pytest
import torch

from course_utils.plotting import activations, plt


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def test_each_function_has_a_panel_that_names_its_steepest_slope():
    inputs = torch.linspace(-6, 6, 241)
    values = inputs.sigmoid()
    figure = activations.functions(inputs, {"sigmoid": (values, values * (1 - values))}, columns=2)
    panel, empty = figure.axes
    assert panel.get_title() == "sigmoid, slope up to 0.25"
    assert [line.get_label() for line in panel.lines[:2]] == ["value", "slope"]
    assert not empty.axison


def test_there_must_be_a_function():
    with pytest.raises(ValueError, match="given none"):
        activations.functions(torch.zeros(3), {})


def test_layers_are_told_apart_by_color_and_line():
    frame = pd.DataFrame({"loss": [2.3, 2.2], "mean F5": [0.5, 0.5], "mean F6": [0.5, 0.2]}, index=[0, 10])
    figure = activations.during_training(frame, ["loss"], ["mean F5", "mean F6"], labels=("loss", "mean"), log=True)
    left, right = figure.axes
    assert left.get_legend() is None
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["F5", "F6"]
    assert right.get_yscale() == "log"
    looks = {(line.get_color(), line.get_linestyle()) for line in right.lines}
    assert len(looks) == 2
