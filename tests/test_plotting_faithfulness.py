"""The figures of the page on faithfulness show what they are given, and bad input is refused in words."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from course_utils.plotting import faithfulness as draw


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def rows(net="n"):
    methods = ("grad_cam", "gradient", "edges")
    return pd.DataFrame(
        [
            dict(net=net, method=m, check=c, better=b, mean=0.1 * i, low=0.1 * i - 0.05, high=0.1 * i + 0.05)
            for c, b in (("road", "high"), ("deletion", "low"))
            for i, m in enumerate(methods, start=1)
        ]
    )


def test_scores_have_a_panel_for_each_check_and_a_line_for_each_method():
    figure = draw.scores(rows(), {"deletion": "Deletion", "road": "ROAD"})
    left, right = figure.axes
    assert [axis.get_title() for axis in (left, right)] == ["Deletion", "ROAD"]
    assert [axis.get_xlabel() for axis in (left, right)] == ["low is good", "high is good"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["grad cam", "gradient", "edges"]
    bars, dots = left.lines[::2], left.lines[1::2]
    assert [list(line.get_xdata()) for line in bars] == [
        pytest.approx([0.1 * i - 0.05, 0.1 * i + 0.05]) for i in (1, 2, 3)
    ]
    assert [line.get_ydata()[0] for line in dots] == [3, 2, 1]
    assert {line.get_linestyle() for line in bars} == {"-"}  # the style's cycle changes it otherwise
    assert len({line.get_color() for line in dots}) == len({line.get_marker() for line in dots}) == 3


def test_scores_refuse_several_nets_and_missing_checks():
    with pytest.raises(ValueError, match="one net"):
        draw.scores(pd.concat([rows("a"), rows("b")]), {"road": "ROAD"})
    with pytest.raises(ValueError, match="no row of the check 'energy'"):
        draw.scores(rows(), {"energy": "Energy"})


@pytest.mark.parametrize("x", [[0, 0.5, 1.0], ["black", "gray", "white"]])
def test_curves_draw_one_line_for_each_method(x):
    figure = draw.curves(x, {"grad_cam": [1, 0.5, 0], "noise": [1, 0.9, 0.8]}, xlabel="share", ylabel="probability")
    axis = figure.axes[0]
    assert [list(line.get_ydata()) for line in axis.lines] == [[1, 0.5, 0], [1, 0.9, 0.8]]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["grad cam", "noise"]
    assert len({(line.get_color(), line.get_linestyle()) for line in axis.lines}) == 2
    if isinstance(x[0], str):
        assert [label.get_text() for label in axis.get_xticklabels()] == x


def test_curves_refuse_a_line_of_another_length():
    with pytest.raises(ValueError, match="'noise' has 2 values for 3 places"):
        draw.curves([0, 1, 2], {"noise": [1, 0]}, xlabel="", ylabel="")


@pytest.mark.parametrize(
    ("method", "kind"), [("edges", "no network"), ("gradient", "pixels"), ("grad_cam", "CAM family")]
)
def test_kinds(method, kind):
    assert draw.kind(method) == kind
