from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course_utils.plotting import diagnosis, plt


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def scores() -> pd.DataFrame:
    rows = [
        dict(seed=seed, arm=arm, method=method, pointing=value + seed / 100)
        for seed in range(3)
        for arm, value in (("cheat", 0.8), ("honest", 0.1))
        for method in ("cam", "occlusion")
    ]
    return pd.DataFrame(rows)


def test_finders_show_each_seed_the_mean_and_its_interval() -> None:
    figure = diagnosis.finders(scores(), {"pointing": "hits"}, ["occlusion", "cam"])
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["occlusion", "cam"]
    assert axis.yaxis_inverted()
    seeds, interval, mean = axis.lines[:3]
    assert sorted(seeds.get_xdata()) == pytest.approx([0.8, 0.81, 0.82])
    assert np.mean(interval.get_xdata()) == pytest.approx(0.81)
    assert mean.get_xdata() == pytest.approx([0.81])
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["cheat network", "honest network"]


def test_finders_name_what_is_missing() -> None:
    with pytest.raises(ValueError, match="no score of method 'gradient' for the network 'cheat'"):
        diagnosis.finders(scores(), {"pointing": "hits"}, ["gradient"])


def test_reliability_shows_accuracy_against_confidence() -> None:
    confidence = np.array([0.55, 0.6, 0.95, 1.0])
    right = np.array([True, False, True, True])
    figure = diagnosis.reliability({"net": (confidence, right)}, bins=10)
    top, bottom = figure.axes
    measured = next(line for line in top.lines if line.get_label() == "measured")
    assert measured.get_xdata() == pytest.approx([0.575, 0.975])
    assert measured.get_ydata() == pytest.approx([0.5, 1.0])
    assert bottom.get_yscale() == "log"


def test_reliability_wants_bins() -> None:
    with pytest.raises(ValueError, match="bins must be a positive integer"):
        diagnosis.reliability({"net": (np.ones(2), np.ones(2))}, bins=0)
