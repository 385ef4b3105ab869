"""Figures of the page on the two data sets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from course_utils.plotting import COLORS, PALETTE, plt

LOOKS = {"mnist": ("s", PALETTE["yellow"], "MNIST"), "fashion-mnist": ("o", PALETTE["sky"], "Fashion-MNIST")}


def centers(places: Mapping[str, np.ndarray]) -> Figure:
    """Draw where the centers of mass of images lie, one panel for each data set.

    Parameters
    ----------
    places
        Data set -> array (N, 2), row and column in pixels, counted from zero.
    """
    figure, axes = plt.subplots(1, len(places), figsize=(7.5, 3.9), sharex=True, sharey=True, squeeze=False)
    for axis, (name, points) in zip(axes[0], places.items(), strict=True):
        marker, color, label = LOOKS[name]
        axis.scatter(points[:, 1], points[:, 0], s=4, marker=marker, color=color, alpha=0.4, linewidth=0)
        axis.set(title=label, xlabel="column (pixels)", xlim=(0, 27), ylim=(27, 0), aspect="equal")
    axes[0, 0].set_ylabel("row (pixels)")
    return figure


def pixel_histogram(shares: Mapping[str, np.ndarray]) -> Figure:
    """Draw the share of pixels at each of the 256 values, log scale.

    Parameters
    ----------
    shares
        Data set -> array (256,) that sums to 1.
    """
    figure, axis = plt.subplots(figsize=(7.5, 3))
    for name, share in shares.items():
        _, color, label = LOOKS[name]
        style = "-" if name == "mnist" else "--"
        axis.plot(np.arange(256), share, color=color, linestyle=style, linewidth=1.2, label=label)
    axis.set(yscale="log", xlabel="pixel value (0 black, 255 white)", ylabel="share of pixels")
    axis.legend()
    return figure


def accuracies(table: pd.DataFrame) -> Figure:
    """Draw test accuracies of several rules on both data sets, with their intervals and published values beside them.

    Parameters
    ----------
    table
        One row for each rule and data set: `rule`, `data`, `accuracy`, `low`, `high` and `published` (NaN where there
        is none), as fractions. Rules are drawn from top to bottom in their order.
    """
    rules = list(dict.fromkeys(table["rule"]))
    figure, axis = plt.subplots(figsize=(7.5, 0.5 * len(rules) + 1.2))
    for (name, (marker, color, label)), shift in zip(LOOKS.items(), (-0.14, 0.14), strict=True):
        rows = table[table["data"] == name]
        height = rows["rule"].map(rules.index) + shift
        errors = [rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]]
        axis.errorbar(rows["accuracy"], height, xerr=errors, fmt=marker, color=color, capsize=3, label=label)
        published = rows["published"]
        axis.scatter(
            published,
            height,
            marker="D",
            facecolor="white",
            edgecolor=COLORS["published"],
            s=36,
            zorder=3,
            linewidth=1.3,
        )
        for value, y in zip(published, height, strict=True):
            if not np.isnan(value):
                axis.annotate(
                    f"{value:.3f}", (value, y), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8
                )
    axis.scatter([], [], marker="D", facecolor="white", edgecolor=COLORS["published"], label="published by others")
    axis.set_yticks(range(len(rules)), rules)
    axis.set(xlabel="test accuracy", ylim=(len(rules) - 0.5, -0.6), xlim=(0, 1))
    axis.grid(axis="y", visible=False)
    axis.legend(loc="lower left", fontsize=8)
    return figure
