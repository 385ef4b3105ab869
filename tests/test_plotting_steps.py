"""What the step pictures show is what PyTorch computes, and bad input is refused in words."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch
from torch.nn import functional as F

from course_utils.plotting import steps

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGE = torch.arange(30.0).reshape(5, 6) % 7
KERNEL = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def shown(axis) -> list[float]:
    return [float(text.get_text()) for text in axis.texts]


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (1, 1), (2, 1)])
def test_the_drawn_convolution_is_pytorchs(stride, padding):
    truth = F.conv2d(IMAGE[None, None], KERNEL[None, None], stride=stride, padding=padding)[0, 0]
    last = (truth.shape[0] - 1, truth.shape[1] - 1)
    figure = steps.convolution(IMAGE, KERNEL, [(0, 1), last], stride=stride, padding=padding)
    first_row, last_row = figure.axes[:4], figure.axes[4:]
    assert [axis.get_title() for axis in first_row] == ["input", "kernel", "products", "output"]
    assert shown(first_row[0]) == F.pad(IMAGE, [padding] * 4).flatten().tolist()
    assert shown(first_row[3]) == truth.flatten()[:2].tolist()
    assert shown(last_row[3]) == truth.flatten().tolist()
    assert sum(shown(last_row[2])) == truth[last]
    assert not any(text.get_text() == "-0" for axis in figure.axes for text in axis.texts)
    assert last_row[2].get_xlabel() == f"sum {truth[last]:g}"


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 1), (2, 3)])
def test_the_drawn_pooling_is_pytorchs(size, stride):
    largest = F.max_pool2d(IMAGE[None], size, stride)[0]
    mean = F.avg_pool2d(IMAGE[None], size, stride)[0]
    figure = steps.pooling(IMAGE, [(0, 0), (largest.shape[0] - 1, largest.shape[1] - 1)], size=size, stride=stride)
    assert [axis.get_title() for axis in figure.axes[:3]] == ["input", "maximum", "average"]
    assert shown(figure.axes[1]) == largest[:1, 0].tolist()
    assert shown(figure.axes[4]) == largest.flatten().tolist()
    assert shown(figure.axes[5]) == pytest.approx(mean.flatten().tolist(), rel=1e-4)


def test_numbers_leaves_nan_empty():
    figure = steps.numbers([torch.tensor([[1.0, float("nan")]]), IMAGE], ["a", "b"])
    assert shown(figure.axes[0]) == [1]
    assert [len(axis.patches) for axis in figure.axes] == [2, 30]


def test_heat_shows_the_values_and_frames_a_window():
    axis = steps.heat(IMAGE, label="size", box=(1, 2, 3, 4)).axes[0]
    assert axis.images[0].get_array().tolist() == IMAGE.tolist()
    (frame,) = axis.patches
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((1.5, 0.5), 4, 3)


def test_connections_counts_lines_and_weights():
    dense = [(i, o, 6 * o + i) for i in range(6) for o in range(4)]
    shared = [(o + u, o, u) for o in range(4) for u in range(3)]
    figure = steps.connections({"dense": dense, "convolution": shared})
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["dense\n24 connections\n24 weights", "convolution\n12 connections\n3 weights"]
    assert [len(axis.lines) for axis in figure.axes] == [24 + 2, 12 + 2]
    assert len({line.get_color() for line in figure.axes[1].lines[:12]}) == 3


def test_seed_curves_draws_every_seed_and_the_mean():
    values = torch.tensor([[0.0, 1], [2, 3]])
    axis = steps.seed_curves([0, 5], {"net": values}, xlabel="x", ylabel="y").axes[0]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[0, 1], [2, 3], [1, 2]]
    assert axis.get_legend_handles_labels()[1] == ["net"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steps.convolution(IMAGE[None], KERNEL, [(0, 0)]), "image must have shape"),
        (lambda: steps.convolution(IMAGE, KERNEL[:2], [(0, 0)]), "kernel must have shape"),
        (lambda: steps.convolution(IMAGE[:2], KERNEL, [(0, 0)]), "a 3 x 3 window does not fit an input of 2 x 6"),
        (lambda: steps.convolution(IMAGE, KERNEL, [(3, 0)]), "positions must lie in an output of 3 x 4"),
        (lambda: steps.convolution(IMAGE, KERNEL, []), "positions must lie"),
        (lambda: steps.convolution(IMAGE, KERNEL, [(0, 0)], stride=0), "stride must be a positive integer"),
        (lambda: steps.convolution(IMAGE, KERNEL, [(0, 0)], padding=-1), "padding must be an integer from 0 up"),
        (lambda: steps.pooling(IMAGE, [(0, 0)], size=0), "stride must be a positive integer"),
        (lambda: steps.pooling(IMAGE, [(0, 0)], size=6), "does not fit"),
        (lambda: steps.numbers([IMAGE], []), "1 arrays need as many titles"),
        (lambda: steps.heat(IMAGE[0], label=""), "field must have shape"),
        (lambda: steps.connections({}), "at least one layer"),
        (lambda: steps.connections({"empty": []}), "at least one connection"),
        (lambda: steps.seed_curves([1], {"a": [[1, 2]]}, xlabel="", ylabel=""), "must have shape"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
