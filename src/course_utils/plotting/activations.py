"""Figures of the page on activations: functions with their slopes, and what hidden layers do during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.plotting import COLORS, PALETTE, plt

LAYER_STYLES = {
    "C1": (PALETTE["sky"], (0, (1, 1))),
    "C3": (PALETTE["yellow"], "-."),
    "F5": (PALETTE["green"], "--"),
    "F6": (PALETTE["orange"], "-"),
}


def functions(inputs: Tensor, curves: Mapping[str, tuple[Tensor, Tensor]], *, columns: int = 3) -> Figure:
    """Draw functions and their slopes, one panel for each.

    Parameters
    ----------
    inputs
        Where they were computed, shape (N,).
    curves
        Name -> values and slopes, each of shape (N,).
    columns
        Panels in a row.

    Raises
    ------
    ValueError
        If there is no curve.
    """
    if not curves:
        raise ValueError("curves must hold one function at least, given none")
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(8, 2.4 * rows), sharex=True, sharey=True, squeeze=False)
    for axis, (name, (values, slopes)) in zip(axes.flat, curves.items(), strict=False):
        axis.plot(inputs, values, color="black", linestyle="-", label="value")
        axis.plot(inputs, slopes, color=PALETTE["orange"], linestyle="--", label="slope")
        steepest = float(slopes.max())
        axis.axhline(steepest, color=COLORS["published"], linestyle=":", linewidth=1)
        axis.set_title(f"{name}, slope up to {steepest:.3g}", fontsize=9)
    for axis in axes.flat[len(curves) :]:
        axis.axis("off")
    for axis in axes[-1]:
        axis.set_xlabel("input")
    axes[0, 0].set_ylim(-2, 3)
    axes[0, 0].legend(fontsize=8, loc="upper left")
    return figure


def during_training(
    frame: pd.DataFrame, left: Sequence[str], right: Sequence[str], *, labels: tuple[str, str], log: bool = False
) -> Figure:
    """Draw columns of a table over its index, the training steps, in two panels.

    Parameters
    ----------
    frame
        Index: steps. A column is a line; its legend is the last word of its name.
    left, right
        Columns of each panel. The layers C1, C3, F5 and F6 have colors and line styles of their own.
    labels
        Names of the two vertical axes, with units.
    log
        Whether the right one is logarithmic.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
    for axis, columns, label in zip(axes, (left, right), labels, strict=True):
        for column in columns:
            layer = column.split()[-1]
            color, style = LAYER_STYLES.get(layer, (COLORS["loss"], "-"))
            axis.plot(frame.index, frame[column], color=color, linestyle=style, linewidth=1.8, label=layer)
        axis.set(xlabel="step", ylabel=label)
        if len(columns) > 1:
            axis.legend(fontsize=8)
    if log:
        axes[1].set_yscale("log")
    return figure
