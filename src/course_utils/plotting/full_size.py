"""Figures of the tour at full size: where the cost sits, what layers see, and accuracy with its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.plotting import COLORS, PALETTE, plt

LINES = (
    ("black", "-"),
    (PALETTE["blue"], "--"),
    (PALETTE["green"], "-."),
    (PALETTE["orange"], ":"),
    (PALETTE["purple"], (0, (5, 1))),
    (PALETTE["sky"], (0, (3, 1, 1, 1))),
)
FILLS = (PALETTE["sky"], PALETTE["yellow"], PALETTE["green"], PALETTE["purple"], PALETTE["blue"], PALETTE["orange"])
NAMED_FROM = 0.12  # share of a bar that has room for the name of its stage
LOOKS = {  # marker, color, label of a published error
    "one crop": ("o", PALETTE["blue"], "one network, one crop"),
    "many crops": ("s", PALETTE["green"], "one network, several crops or scales"),
    "ensemble": ("^", PALETTE["orange"], "several networks"),
}


def shares(stages: pd.DataFrame, measures: Mapping[str, str], *, columns: int = 3) -> Figure:
    """Draw, for each network, how each measure divides over its stages: a panel per network, a bar per measure.

    Parameters
    ----------
    stages
        One row per stage, in order: `network`, `stage`, and the columns of `measures`, none of them negative.
    measures
        Column -> label of its bar, from top to bottom.
    columns
        Panels in a row.

    Raises
    ------
    ValueError
        If a network has more stages than there are colors.
    """
    networks = list(dict.fromkeys(stages["network"]))
    rows = -(-len(networks) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(8.6, 1.9 * rows), sharex=True, sharey=True, squeeze=False)
    for axis, network in zip(axes.flat, networks, strict=False):
        mine = stages[stages["network"] == network]
        if len(mine) > len(FILLS):
            raise ValueError(f"{network} has {len(mine)} stages, more than the {len(FILLS)} that can be told apart")
        parts = mine[list(measures)] / mine[list(measures)].sum()
        left = np.zeros(len(measures))
        for color, name, widths in zip(FILLS, mine["stage"], parts.to_numpy(), strict=False):
            axis.barh(list(measures.values()), widths, left=left, color=color, edgecolor="white", height=0.8)
            for row, (start, width) in enumerate(zip(left, widths, strict=True)):
                if width >= NAMED_FROM:
                    axis.text(start + width / 2, row, name, ha="center", va="center", fontsize=7)
            left = left + widths
        axis.set_title(network, fontsize=9)
        axis.grid(False, axis="y")
    for axis in axes.flat[len(networks) :]:
        axis.axis("off")
    axes[0, 0].set(xlim=(0, 1))
    axes[0, 0].invert_yaxis()
    for axis in axes[-1]:
        axis.set_xlabel("share of the network")
    return figure


def fields(
    growth: Mapping[str, Sequence[int]], image: int, places: Mapping[str, tuple[float, float]] | None = None
) -> Figure:
    """Draw how the receptive field grows from layer to layer.

    Parameters
    ----------
    growth
        Network -> side of the receptive field after each convolution and pooling, in pixels.
    image
        Side of the image, drawn as a line.
    places
        Where to put names, in points from the end of the line; right of it where none is given.

    Raises
    ------
    ValueError
        If there are more networks than lines that can be told apart.
    """
    if len(growth) > len(LINES):
        raise ValueError(f"fields can tell {len(LINES)} networks apart, given {len(growth)}")
    figure, axis = plt.subplots(figsize=(7.5, 3.8))
    for (name, sides), (color, style) in zip(growth.items(), LINES, strict=False):
        layers = range(1, len(sides) + 1)
        axis.plot(layers, sides, color=color, linestyle=style, linewidth=1.8)
        end = f"{name}, {sides[-1]}"
        where = (places or {}).get(name, (6, 0))
        axis.annotate(end, (len(sides), sides[-1]), xytext=where, textcoords="offset points", fontsize=8, va="center")
        axis.plot(len(sides), sides[-1], color=color, marker="o", markersize=4)
    longest = max(map(len, growth.values()))
    axis.axhline(image, color=COLORS["published"], linestyle=":", linewidth=1)
    axis.text(1.25 * longest, image + 4, f"the image, {image}", ha="right", color=COLORS["published"], fontsize=8)
    axis.set(xlabel="convolution or pooling, in order", ylabel="receptive field (pixels a side)")
    axis.set(xlim=(0, 1.26 * longest), ylim=(0, None))
    return figure


def rates(table: pd.DataFrame, places: Mapping[str, tuple[float, float]] | None = None) -> Figure:
    """Draw measured time against multiply-adds, both on a log scale, with lines of equal speed.

    Networks that are slower than the middle one for their multiply-adds have their names on the left.

    Parameters
    ----------
    table
        Indexed by network: `gmacs`, in 10**9 multiply-adds for one image, and `ms`.
    places
        Where else to put names, in points from the marker.
    """
    figure, axis = plt.subplots(figsize=(7.5, 4.2))
    ends = np.array([table["gmacs"].min() / 2, table["gmacs"].max() * 2])
    speeds = table["gmacs"] / table["ms"] * 1000
    for speed, style, words in ((speeds.max(), ":", "fastest"), (speeds.min(), "--", "slowest")):
        label = f"the {words} rate here, {speed:.0f} billion a second"
        axis.plot(ends, ends / speed * 1000, color=COLORS["published"], linestyle=style, linewidth=1, label=label)
    axis.scatter(table["gmacs"], table["ms"], color=PALETTE["blue"], zorder=3)
    middle = speeds.median()
    sides = {name: (-7, 4) if speed < middle else (7, -4) for name, speed in speeds.items()}
    _names(axis, table["gmacs"], table["ms"], sides | dict(places or {}))
    axis.set(xscale="log", yscale="log", xlabel="multiply-adds for one image (billions)", ylabel="time (ms)")
    axis.set_xlim(ends[0] / 1.5, ends[1] * 1.5)
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_formatter(lambda value, _: f"{value:g}")
    axis.legend(fontsize=8, loc="upper left")
    return figure


def accuracy(table: pd.DataFrame, costs: Mapping[str, str], places: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw top-1 accuracy against several costs, side by side, on a log scale.

    Parameters
    ----------
    table
        Indexed by network: `top1` in per cent, and the columns of `costs`.
    costs
        Column -> label of its axis.
    places
        Where to put names, in points from the marker; right of it where none is given.
    """
    figure, axes = plt.subplots(1, len(costs), figsize=(8.6, 3.9), sharey=True, squeeze=False)
    for axis, (column, label) in zip(axes[0], costs.items(), strict=True):
        axis.scatter(table[column], table["top1"], color=PALETTE["blue"], zorder=3)
        _names(axis, table[column], table["top1"], places)
        axis.set(xscale="log", xlabel=label)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        low, high = axis.get_xlim()
        axis.set_xlim(low / 1.2, high * 3)  # room for the names
    axes[0, 0].set_ylabel("top-1 accuracy (%)")
    return figure


def conditions(published: pd.DataFrame) -> Figure:
    """Draw published top-5 errors, a row per network, told apart by how they were measured.

    Parameters
    ----------
    published
        Rows with `network`, `top5_error` in per cent, `how` as in `LOOKS`, and `images`, "validation" (filled) or
        "test" (hollow).
    """
    networks = list(dict.fromkeys(published["network"]))
    figure, axis = plt.subplots(figsize=(8, 0.5 * len(networks) + 1.3))
    for row, network in enumerate(networks):
        mine = published[published["network"] == network]
        ends = [mine["top5_error"].min(), mine["top5_error"].max()]
        axis.plot(ends, [row, row], color="#bbbbbb", linestyle="-", linewidth=1)
    for how, (marker, color, label) in LOOKS.items():
        for images, face in (("validation", color), ("test", "white")):
            mine = published[(published["how"] == how) & (published["images"] == images)]
            rows = [networks.index(network) for network in mine["network"]]
            if len(mine):
                text = f"{label}, {images} images"
                axis.scatter(
                    mine["top5_error"], rows, marker=marker, edgecolor=color, facecolor=face, s=45, label=text, zorder=3
                )
    axis.set_yticks(range(len(networks)), networks)
    axis.invert_yaxis()
    axis.set(xlabel="top-5 error (%)", xlim=(0, None))
    axis.grid(False, axis="y")
    axis.legend(fontsize=7, loc="lower right")
    return figure


def over_years(table: pd.DataFrame, measures: Mapping[str, str]) -> Figure:
    """Draw what networks need, by the year they came out: a panel per measure, on a log scale.

    Parameters
    ----------
    table
        Indexed by network, in order of time: `year` and the columns of `measures`, all positive.
    measures
        Column -> name of the vertical axis, with its unit.
    """
    figure, axes = plt.subplots(len(measures), 1, figsize=(8, 1.75 * len(measures) + 0.9), sharex=True, squeeze=False)
    places = range(len(table))
    for axis, (column, label) in zip(axes[:, 0], measures.items(), strict=True):
        axis.vlines(places, table[column].min() / 2, table[column], color="#bbbbbb", linewidth=1)
        axis.scatter(places, table[column], color=PALETTE["blue"], zorder=3)
        for place, value in zip(places, table[column], strict=True):
            text = f"{value:.3g}"
            axis.annotate(text, (place, value), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=8)
        axis.set(yscale="log", ylabel=label, ylim=(table[column].min() / 2, table[column].max() * 3))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.grid(False, axis="x")
    names = [f"{name}\n{year}" for name, year in zip(table.index, table["year"], strict=True)]
    axes[-1, 0].set_xticks(places, names, fontsize=8)
    axes[-1, 0].set_xlabel("network, and the year of its first publication")
    return figure


def _names(axis: Axes, x: pd.Series, y: pd.Series, places: Mapping[str, tuple[float, float]]) -> None:
    for name in x.index:
        right, up = places.get(name, (6, 0))
        side = "left" if right >= 0 else "right"
        axis.annotate(
            name, (x[name], y[name]), xytext=(right, up), textcoords="offset points", ha=side, va="center", fontsize=8
        )
