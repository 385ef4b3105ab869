"""Figures of a search: what each trial gave at which learning rate, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from course_utils.plotting import COLORS, PALETTE, plt
from course_utils.plotting.studies import panels

MARKERS = ("o", "s", "^", "D", "v", "P", "*")


def trials(table: pd.DataFrame, *, group: str = "batch_size", ylabel: str = "validation accuracy") -> Figure:
    """Draw the accuracy of every trial against its learning rate, with a marker for each group.

    Failed trials are crosses in a strip of their own below, with the marker of their group beneath the cross.

    Parameters
    ----------
    table
        A row per trial: ``lr`` (positive), `group`, ``accuracy`` (fraction) and ``failed`` (bool).
    group
        Column whose values are told apart by marker and color, 7 at most.
    ylabel
        Name of the vertical axis.

    Raises
    ------
    ValueError
        If there is no trial, a column is missing, a learning rate is not positive, or there are more than 7 groups.
    """
    _check(table, ("lr", group, "accuracy", "failed"))
    if not (table["lr"] > 0).all():
        raise ValueError("learning rates must be positive, as they are drawn on a log scale")
    names = sorted(table[group].unique())
    if len(names) > len(MARKERS):
        raise ValueError(f"trials can tell {len(MARKERS)} groups apart, given {len(names)} of {group!r}")
    failed = table["failed"].astype(bool)
    figure, axis, strip = panels(bool(failed.any()))
    label = group.replace("_", " ")
    for name, marker, color in zip(names, MARKERS, PALETTE.values(), strict=False):
        style: dict[str, Any] = dict(marker=marker, linestyle="none", color=color, markersize=7)
        style |= dict(markeredgecolor="black", markeredgewidth=0.6, alpha=0.85)
        mine = table[table[group] == name]
        good = mine[~mine["failed"].astype(bool)]
        axis.plot(good["lr"], good["accuracy"], label=f"{label} {name}", **style)
        if strip is not None:
            bad = mine[mine["failed"].astype(bool)]
            strip.plot(bad["lr"], np.zeros(len(bad)), **style | {"alpha": 0.6, "markersize": 10})
    if strip is not None:
        bad = table[failed]
        strip.plot(bad["lr"], np.zeros(len(bad)), marker="x", linestyle="none", color="black", markersize=8)
        strip.set(ylim=(-1, 1), yticks=[0], yticklabels=[f"failed: {len(bad)}"])
        strip.grid(False, axis="y")
    bottom = axis if strip is None else strip
    bottom.set(xscale="log", xlabel="learning rate")
    bottom.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bottom.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bottom.xaxis.set_minor_locator(NullLocator())
    axis.set_ylabel(ylabel)
    axis.legend(fontsize=8, loc="best")
    return figure


def best_so_far(
    accuracy: Sequence[float] | pd.Series, *, random: int = 0, ylabel: str = "validation accuracy"
) -> Figure:
    """Draw the accuracy of the trials in their order, and a staircase of the best so far.

    Parameters
    ----------
    accuracy
        One number per trial, in the order in which they were made; the first is trial 0. The axis shows the upper
        part; a trial that lies below it is an arrow at its lower edge.
    random
        How many trials at the start were drawn at random; a dotted line ends them. None is drawn for 0.
    ylabel
        Name of the vertical axis.

    Raises
    ------
    ValueError
        If there is no trial, one is NaN, or `random` is not between 0 and the number of trials.
    """
    values = np.asarray(accuracy, dtype=float)
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise ValueError(f"accuracy must be a row of numbers without NaN, given {accuracy!r}")
    if not 0 <= random <= len(values):
        raise ValueError(f"random must lie between 0 and the number of trials, {len(values)}, given {random!r}")
    number = np.arange(len(values))
    best = np.maximum.accumulate(values)
    high, middle = float(best[-1]), float(np.median(values))
    upper_half = max(high - middle, 0.02)
    bottom = max(values.min() - 0.1 * upper_half, middle - upper_half)
    low = values < bottom
    figure, axis = plt.subplots(figsize=(7, 3.4))
    axis.plot(number[~low], values[~low], "o", color=PALETTE["blue"], markersize=5, label="one trial")
    if low.any():
        axis.plot(
            number[low],
            np.full(low.sum(), bottom),
            marker="v",
            linestyle="none",
            color=COLORS["published"],
            clip_on=False,
            zorder=3,
            label=f"below {bottom:.2f}",
        )
    axis.step(number, best, where="post", color=PALETTE["orange"], linewidth=2, linestyle="-", label="best so far")
    if random:
        axis.axvline(random - 0.5, color="black", linestyle=":", linewidth=1)
        axis.annotate(
            "drawn at random ", (random - 0.5, 0.02), xycoords=axis.get_xaxis_transform(), ha="right", fontsize=8
        )
    axis.set(xlabel="trial", ylabel=ylabel, xlim=(-0.5, len(values) - 0.5), ylim=(bottom, high + 0.1 * (high - bottom)))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=8, loc="best")
    return figure


def _check(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"the table of trials lacks {', '.join(map(repr, missing))}")
    if not len(table):
        raise ValueError("there is no trial to draw")
