"""Figures of the chapters on the LeNet family: connection tables, the squash, penalties, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from course_utils.plotting import COLORS, PALETTE, plt


def connection_table(table: Sequence[Sequence[int]], inputs: int, *, reads: str, read: str) -> Figure:
    """Draw which input maps (rows) each output map (columns) reads, as the papers print it.

    Parameters
    ----------
    table
        For each output map the input maps that it reads.
    inputs
        Number of input maps.
    reads, read
        Names of the layer that reads and of the layer that is read.
    """
    figure, axis = plt.subplots(figsize=(min(8.0, 1.2 + 0.38 * len(table)), 0.9 + 0.33 * inputs))
    for output, row in enumerate(table):
        axis.scatter([output] * len(row), row, marker="s", s=95, color=PALETTE["blue"])
    axis.set(
        xlabel=f"map of {reads}", ylabel=f"map of {read}", xlim=(-0.6, len(table) - 0.4), ylim=(inputs - 0.4, -0.6)
    )
    axis.set_xticks(range(len(table)))
    axis.set_yticks(range(inputs))
    return figure


def squash_curves(a: np.ndarray, curves: Mapping[str, np.ndarray], marked: Sequence[float] = ()) -> Figure:
    """Draw a function and its derivatives, one panel each.

    Parameters
    ----------
    a
        Where the curves are sampled, shape (n,).
    curves
        Name, the label of the panel's vertical axis -> values, shape (n,).
    marked
        Values of `a` at which a vertical line is drawn in each panel.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(8, 2.7))
    for axis, (name, values) in zip(axes, curves.items(), strict=True):
        for position in marked:
            axis.axvline(position, color=COLORS["published"], linestyle=":", linewidth=1)
        axis.axhline(0, color=COLORS["published"], linewidth=0.8)
        axis.plot(a, values, color=PALETTE["blue"], linestyle="-")
        axis.set(xlabel="a, the sum that enters", ylabel=name)
    return figure


def prototype_paths(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], names: Sequence[str], *, limit: float
) -> Figure:
    """Draw how prototypes move in a plane while a network learns, one panel for each way of learning.

    Parameters
    ----------
    panels
        Title -> where each prototype was at each step, shape (steps, K, 2); where the images lie at the end, shape
        (n, 2); and their classes, shape (n,).
    names
        Of the K classes.
    limit
        Both axes run from minus this to this.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(8, 4.3), sharey=True, squeeze=False)
    for axis, (title, (paths, points, classes)) in zip(axes[0], panels.items(), strict=True):
        for k, (name, color, marker) in enumerate(zip(names, PALETTE.values(), "os^vDP*", strict=False)):
            mine = points[classes == k]
            axis.scatter(mine[:, 0], mine[:, 1], s=12, marker=marker, color=color, alpha=0.25, linewidths=0)
            axis.plot(paths[:, k, 0], paths[:, k, 1], color=color, linestyle="-", linewidth=1.2)
            axis.plot(*paths[0, k], marker=marker, color=color, markerfacecolor="white", markersize=9, linestyle="none")
            axis.plot(*paths[-1, k], marker=marker, color=color, markersize=9, linestyle="none", label=name)
        axis.set(title=title, xlabel="first unit", xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes[0, 0].set(ylabel="second unit")
    axes[0, 0].legend(title="prototype of", loc="lower left")
    return figure


def penalties_while_learning(penalties: pd.DataFrame, start: float) -> Figure:
    """Draw the penalty of the right class and the smallest of the others over the steps of a run.

    Parameters
    ----------
    penalties
        A row for each step looked at, the index; a column for each kind of penalty.
    start
        The penalty of a network that puts out zeros, drawn as a dotted line.
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    axis.axhline(start, color=COLORS["published"], linestyle=":", linewidth=1)
    styles = zip(("-", "--", ":"), ("blue", "orange", "green"), strict=True)
    for name, (linestyle, color) in zip(penalties, styles, strict=False):
        axis.plot(penalties.index, penalties[name], linestyle=linestyle, color=PALETTE[color], label=name)
    axis.set(xlabel="step", ylabel="penalty", ylim=(0, None))
    axis.legend()
    return figure


def smallest_penalties(groups: Mapping[str, np.ndarray], threshold: float) -> Figure:
    """Draw, for several groups of images, which share of them has a smallest penalty of at most so much.

    Parameters
    ----------
    groups
        Name -> the smallest of the penalties of each image, shape (n,).
    threshold
        From here on a network declines; drawn as a vertical line.
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    axis.axvline(threshold, color=COLORS["published"], linestyle=":", linewidth=1.5)
    for name, values in groups.items():
        axis.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), label=name)
    axis.set(xlabel="smallest penalty (logarithmic)", ylabel="share of images below it", xscale="log", ylim=(0, 1.02))
    axis.legend(loc="upper left")
    return figure


def schedules(steps: np.ndarray, rates: Mapping[str, np.ndarray]) -> Figure:
    """Draw learning rates over the passes through the data, on a logarithmic scale.

    Parameters
    ----------
    steps
        Passes, shape (n,).
    rates
        Name -> rate relative to the run's largest, shape (n,).
    """
    figure, axis = plt.subplots(figsize=(6.5, 3))
    for (name, values), style in zip(rates.items(), ("-", "--", ":"), strict=False):
        axis.plot(steps, values, linestyle=style, label=name)
    axis.set(xlabel="passes through the training images", ylabel="rate / largest rate", yscale="log", ylim=(0.003, 1.4))
    axis.legend()
    return figure


def errors(measured: pd.DataFrame, published: Mapping[str, float], *, label: str = "published") -> Figure:
    """Draw each network's test error with its interval, and the published one beside it.

    Parameters
    ----------
    measured
        As `course_utils.stats.summarize` gives it; accuracies become errors in per cent.
    published
        Arm -> published error in per cent; arms without one show only ours.
    label
        What the published figures are called in the legend.
    """
    figure, axis = plt.subplots(figsize=(7, 0.9 + 0.42 * len(measured)))
    rows = np.arange(len(measured))
    error = 100 * (1 - measured["test_accuracy"].to_numpy())
    half = 100 * (measured["high"] - measured["low"]).to_numpy() / 2
    axis.errorbar(error, rows, xerr=half, fmt="o", color=PALETTE["blue"], capsize=3, label="ours, mean and interval")
    theirs = [(published[arm], row) for row, arm in enumerate(measured.index) if arm in published]
    axis.plot(*zip(*theirs, strict=True), "D", color=COLORS["published"], markerfacecolor="none", label=label)
    axis.set_xscale("log")
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20) if min(error.min(), *published.values()) / 1.5 < t]
    axis.set_xticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()
    axis.set_yticks(rows, measured.index)
    axis.invert_yaxis()
    axis.set(xlabel="test error (%), logarithmic")
    axis.legend()
    return figure


def forest(
    differences: pd.DataFrame,
    seeds: pd.DataFrame | None = None,
    *,
    reference: str,
    xlim: tuple[float, float] | None = None,
) -> Figure:
    """Draw how much each arm's test error differs from a reference, with intervals, in percentage points.

    Parameters
    ----------
    differences
        As `course_utils.stats.compare` gives it, of accuracies; they become errors, so that right of zero is worse.
        Filled markers: the p-value after Holm's correction is below 0.05. The numbers stand at the right.
    seeds
        Differences of accuracy by seed (a row each) and arm (a column each), drawn as faint points.
    reference
        Its name, for the axis.
    xlim
        Limits of the axis. A difference outside is an arrow at the edge.
    """
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.36 * len(differences)))
    axis.axvline(0, color=PALETTE["black"], linewidth=1)
    left, right = xlim or (-np.inf, np.inf)
    for row, (arm, values) in enumerate(differences.iterrows()):
        center, low, high = (-100 * values[name] for name in ("difference", "high", "low"))
        if seeds is not None:
            points = -100 * seeds[arm]
            inside = points[points.between(left, right)]
            axis.scatter(inside, np.full(len(inside), row + 0.25), s=9, color=COLORS["published"], alpha=0.5)
        axis.plot(np.clip([low, high], left, right), [row, row], color=PALETTE["black"], linestyle="-")
        axis.plot(
            np.clip(center, left, right),
            row,
            marker="<" if center < left else ">" if center > right else "o",
            color=PALETTE["black"],
            markerfacecolor=PALETTE["blue"] if values["p_holm"] < 0.05 else "white",
            linestyle="none",
            clip_on=False,
        )
        text = f"{center:+.2f} [{low:+.2f}, {high:+.2f}]"
        axis.text(1.03, row, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    axis.set_yticks(range(len(differences)), differences.index)
    axis.set(xlim=xlim, ylim=(len(differences) - 0.5, -0.5))
    axis.set(xlabel=f"test error minus that of {reference} (percentage points)")
    axis.grid(False, axis="y")
    return figure
