"""Figures of residual networks: values along the depth of a network, and what is lost without a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from course_utils.checks import choose
from course_utils.plotting import COLORS, PALETTE, plt

# An arm is named by its kind, and by its depth where that matters: "plain, 20 layers". The shallow one is dashed.
KINDS = {
    "plain": PALETTE["orange"],
    "residual": PALETTE["blue"],
    "pre-activation": PALETTE["green"],
    "bottlenecks": PALETTE["purple"],
}
SHALLOW = "20 layers"


def lines(
    panels: Sequence[Mapping[str, Iterable[float]]],
    ylabels: Sequence[str],
    *,
    xlabel: str,
    log: bool = False,
    smooth: int = 1,
) -> Figure:
    """Draw values along layers, blocks or steps, counted from 1: a line for each arm, a panel for each mapping.

    Parameters
    ----------
    panels
        Arm -> its values. The first word of an arm's name, up to a comma, says its color: "plain", "residual",
        "pre-activation" or "bottlenecks".
    ylabels
        One for each panel.
    xlabel
        What is counted.
    log
        Draw the values on a logarithmic scale.
    smooth
        Draw the mean of so many values in a row, at the place of the last, and the values themselves faintly.

    Raises
    ------
    ValueError
        If an arm is of an unknown kind, or panels and labels are not equally many.
    """
    if len(panels) != len(ylabels):
        raise ValueError(f"every panel needs a label, given {len(panels)} panels and {len(ylabels)} labels")
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels) + 1.8 * (len(panels) == 1), 3.4))
    for axis, panel, ylabel in zip(np.atleast_1d(axes), panels, ylabels, strict=True):
        for arm, values in panel.items():
            row, look = np.asarray(list(values), dtype=float), _look(arm)
            if smooth > 1:
                axis.plot(range(1, len(row) + 1), row, color=look["color"], alpha=0.25, linewidth=0.8, linestyle="-")
                row = np.convolve(row, np.full(smooth, 1 / smooth), mode="valid")
            axis.plot(range(smooth, len(row) + smooth), row, label=arm, linewidth=2, **look)
        if log:
            axis.set_yscale("log")
        axis.set(xlabel=xlabel, ylabel=ylabel)
        axis.legend(fontsize=8)
    return figure


def lesions(
    shallow: pd.DataFrame, deep: Mapping[str, float], *, intact: tuple[float, float], titles: tuple[str, str]
) -> Figure:
    """Draw the accuracy of two networks with one part left out at a time; the dotted line is the intact network.

    Parameters
    ----------
    shallow
        A row for each part left out, and a column for each treatment: bars, on the left.
    deep
        Part left out -> accuracy, in order: points, on the right.
    intact
        Accuracies of the two networks with nothing left out.
    titles
        One for each panel.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.6), sharey=True)
    left, right = axes
    width = 0.8 / shallow.shape[1]
    looks = zip(shallow.columns, (PALETTE["sky"], PALETTE["blue"]), ("", "//"), strict=False)
    for number, (treatment, color, hatch) in enumerate(looks):
        where = np.arange(len(shallow)) + (number - (shallow.shape[1] - 1) / 2) * width
        left.bar(where, shallow[treatment], width, color=color, hatch=hatch, edgecolor="white", label=treatment)
    left.set_xticks(range(len(shallow)), [str(part) for part in shallow.index], rotation=30, ha="right")
    left.set(xlabel="left out", ylabel="accuracy", ylim=(0, 1))
    left.legend(fontsize=8, loc="center right", framealpha=1)
    right.plot(range(1, len(deep) + 1), list(deep.values()), marker="o", linestyle="none", color=PALETTE["blue"])
    right.set(xlabel="left out (blocks from input to output)")
    for axis, accuracy, title in zip(axes, intact, titles, strict=True):
        axis.axhline(accuracy, color=COLORS["published"], linestyle=":", linewidth=1.5)
        axis.set_title(title, fontsize=10)
    return figure


def _look(arm: str) -> dict[str, Any]:
    kind = arm.split(",")[0]
    return {"color": choose(KINDS, kind, "kind of network"), "linestyle": "--" if SHALLOW in arm else "-"}
