import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation, Text

from course_utils.plotting import ladder, plt, use_style

COSTS = {"macs": "multiply-adds", "minutes": "minutes"}
FRONTS = {"macs": ["small", "large"], "minutes": ["small", "middle", "large"]}


@pytest.fixture(autouse=True)
def _closed_figures():
    use_style()
    yield
    plt.close("all")


def table(accuracy=(0.9, 0.92, 0.94)) -> pd.DataFrame:
    frame = pd.DataFrame({"accuracy": accuracy, "macs": [1e5, 3e6, 2e6], "minutes": [1.0, 2.0, 30.0]})
    frame.index = pd.Index(["small", "middle", "large"])
    return frame.assign(low=frame["accuracy"] - 0.005, high=frame["accuracy"] + 0.005)


def notes(axis) -> list[Annotation]:
    return [text for text in axis.texts if isinstance(text, Annotation)]


def boxes(axis):
    axis.figure.draw_without_rendering()
    return [Text.get_window_extent(note) for note in notes(axis)]


def test_every_cost_has_a_panel_with_every_name():
    figure = ladder.panels(table(), COSTS, FRONTS)
    assert [axis.get_xlabel() for axis in figure.axes] == list(COSTS.values())
    for axis in figure.axes:
        assert sorted(note.get_text() for note in notes(axis)) == ["large", "middle", "small"]
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert len(ladder.panels(table(), COSTS, FRONTS, columns=2).axes) == 2


def test_the_axis_is_upside_down_in_the_error_and_labeled_with_accuracies():
    axis = ladder.panels(table(), COSTS, FRONTS).axes[0]
    worst, best = axis.get_ylim()
    assert worst > 10 > 6 > best
    for tick, label in zip(axis.get_yticks(), axis.get_yticklabels(), strict=True):
        assert label.get_text() == f"{100 - tick:g}"


def test_the_front_is_filled_and_joined_by_stairs():
    axis = ladder.panels(table(), COSTS, FRONTS).axes[0]
    (stairs,) = (line for line in axis.lines if line.get_drawstyle() == "steps-post")
    np.testing.assert_allclose(stairs.get_xdata()[:2], [1e5, 2e6])
    np.testing.assert_allclose(stairs.get_ydata(), [10, 6, 6])
    markers = {line.get_xdata()[0]: line.get_markerfacecolor() for line in axis.lines if line.get_marker() == "o"}
    assert markers[3e6] == "white"
    assert markers[1e5] == markers[2e6] != "white"


def test_single_runs_are_points():
    runs = pd.DataFrame({"small": [0.89, 0.91], "middle": [0.92, 0.92], "large": [0.94, 0.95]})
    axis = ladder.panels(table(), COSTS, FRONTS, runs=runs).axes[1]
    faint = [line for line in axis.lines if line.get_marker() == "."]
    np.testing.assert_allclose(faint[0].get_ydata(), [11, 9])
    np.testing.assert_allclose(faint[2].get_xdata(), [30, 30])


def test_a_perfect_network_can_be_drawn():
    axis = ladder.panels(table((0.9, 0.95, 1.0)), COSTS, FRONTS).axes[0]
    assert min(line.get_ydata().min() for line in axis.lines if line.get_marker() == "o") == ladder.LEAST_ERROR


@pytest.mark.parametrize("seed", range(3))
def test_names_stay_inside_and_off_each_other_and_the_markers(seed):
    rng = np.random.default_rng(seed)
    names = [f"network {i}" for i in range(10)]
    frame = pd.DataFrame({"accuracy": rng.uniform(0.90, 0.95, 10), "macs": 10 ** rng.uniform(5, 7, 10)}, index=names)
    frame = frame.assign(low=frame["accuracy"] - 0.002, high=frame["accuracy"] + 0.002)
    (axis,) = ladder.panels(frame, {"macs": "multiply-adds"}, {"macs": names[:1]}).axes
    texts = boxes(axis)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(texts, 2))
    points = axis.transData.transform(np.column_stack([frame["macs"], 100 * (1 - frame["accuracy"])]))
    assert not any(box.contains(*point) for box in texts for point in points)
    for box in texts:
        assert axis.bbox.x0 <= box.x0
        assert box.x1 <= axis.bbox.x1
        assert axis.bbox.y0 <= box.y0
        assert box.y1 <= axis.bbox.y1


def test_names_far_from_their_markers_have_a_line():
    figure, axis = plt.subplots(figsize=(4, 3))
    axis.set(xlim=(0, 1), ylim=(0, 1))
    figure.draw_without_rendering()
    crowd = np.full(9, 0.5)
    written = ladder.place_names(axis, [f"name {i}" for i in range(9)], crowd, crowd)
    assert [note.get_text() for note in written] == [f"name {i}" for i in range(9)]
    assert any(note.arrow_patch is not None for note in written)
    assert not all(note.arrow_patch is not None for note in written)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="'huge'"):
        ladder.panels(table(), {"macs": "multiply-adds"}, {"macs": ["huge"]})
    with pytest.raises(ValueError, match="'minutes'"):
        ladder.panels(table(), COSTS, {"macs": []})
    with pytest.raises(ValueError, match="positive"):
        ladder.panels(table().assign(macs=0), {"macs": "multiply-adds"}, {"macs": []})


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (5, "5"), (5000, "5000"), (2e5, "200k"), (5e6, "5M"), (1e9, "1G")]
)
def test_long_numbers_are_short(value, text):
    assert ladder._compact(value) == text
