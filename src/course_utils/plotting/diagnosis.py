"""Figures of the page on diagnosis: which method finds a planted mark, and how far confidence can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from course_utils import stats
from course_utils.checks import positive_int
from course_utils.plotting import COLORS, PALETTE, plt

NETWORKS = {"cheat": (PALETTE["orange"], "o"), "honest": (PALETTE["blue"], "s"), "augmented": (PALETTE["green"], "^")}


def finders(
    scores: pd.DataFrame,
    columns: Mapping[str, str],
    methods: Sequence[str],
    *,
    arms: Sequence[str] = ("cheat", "honest"),
) -> Figure:
    """Draw how well each method finds a mark in several networks: each seed a faint point, the mean with its interval.

    Parameters
    ----------
    scores
        As `course_utils.planted.load_scores` gives them.
    columns
        Column -> name of the axis, one panel each.
    methods
        From top to bottom.
    arms
        Which networks, by `NETWORKS`.

    Raises
    ------
    ValueError
        If `scores` lacks a method for one of the networks.
    """
    figure, axes = plt.subplots(1, len(columns), figsize=(8, 0.24 * len(methods) + 1.1), sharey=True, squeeze=False)
    for axis, (column, label) in zip(axes[0], columns.items(), strict=True):
        for shift, arm in zip(np.linspace(-0.18, 0.18, len(arms)), arms, strict=True):
            color, marker = NETWORKS[arm]
            own = scores[scores["arm"] == arm]
            for place, method in enumerate(methods):
                values = own[own["method"] == method][column]
                if values.empty:
                    raise ValueError(f"there is no score of method {method!r} for the network {arm!r}")
                found = stats.interval(values)
                height = np.full(len(values), place + shift)
                axis.plot(values, height, color=color, marker=marker, markersize=3, alpha=0.25, linestyle="none")
                axis.plot([found.low, found.high], [place + shift] * 2, color=color, linestyle="-", linewidth=2)
                name = f"{arm} network" if place == 0 else None
                axis.plot(found.mean, place + shift, color=color, marker=marker, linestyle="none", label=name)
        axis.set(xlabel=label, xlim=(-0.03, None))
    axes[0, 0].set_yticks(range(len(methods)), methods)
    axes[0, 0].invert_yaxis()
    axes[0, -1].legend(fontsize=8, loc="lower right")
    return figure


def reliability(panels: Mapping[str, tuple[np.ndarray, np.ndarray]], *, bins: int = 15) -> Figure:
    """Draw how often a network is right against how sure it says it is, and how many images there are of each kind.

    Parameters
    ----------
    panels
        Title -> confidence of each image, from 0 to 1, and whether the answer was right, both of shape (N,).
    bins
        Number of equally wide intervals of confidence.
    """
    edges = np.linspace(0, 1, positive_int(bins, "bins") + 1)
    figure, axes = plt.subplots(
        2, len(panels), figsize=(8, 3.8), height_ratios=(3, 1.2), sharex=True, sharey="row", squeeze=False
    )
    for (top, bottom), (title, (confidence, right)) in zip(axes.T, panels.items(), strict=True):
        confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        count = np.bincount(place, minlength=bins)
        filled = count > 0
        said, done = (np.bincount(place, values, bins)[filled] / count[filled] for values in (confidence, right))
        top.plot([0, 1], [0, 1], color=COLORS["published"], linestyle=":", label="says what it does")
        top.vlines(said, said, done, color=PALETTE["orange"], linestyle="-", linewidth=3, alpha=0.5)
        top.plot(said, done, color=PALETTE["blue"], marker="o", markersize=4, linestyle="-", label="measured")
        top.set(title=title, ylim=(0, 1.02))
        both = [confidence[right], confidence[~right]]
        for values, name, line in zip(both, ("right", "wrong"), ("-", "--"), strict=True):
            color = PALETTE["blue"] if name == "right" else PALETTE["orange"]
            bottom.hist(values, edges, histtype="step", color=color, linestyle=line, linewidth=1.6, label=name)
        bottom.set(xlabel="confidence", yscale="log", ylim=(0.8, None))
    axes[0, 0].set_ylabel("share right")
    axes[1, 0].set_ylabel("images")
    axes[0, 0].legend(fontsize=8, loc="upper left")
    axes[1, 0].legend(fontsize=8, loc="upper left")
    return figure
