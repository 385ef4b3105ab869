"""Figures of the page on whether maps tell the truth: curves under a check, and scores check by check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from course_utils.attribution.explaining import PIXEL_METHODS
from course_utils.plotting import PALETTE, plt

RIVALS = ("edges", "noise", "smooth_noise")
KINDS = {  # kind of map -> color and marker, the same in all figures
    "pixels": (PALETTE["blue"], "o"),
    "CAM family": (PALETTE["orange"], "s"),
    "no network": ("#666666", "X"),
}
STYLES = {  # a method has one color and line in all figures of curves
    "grad_cam": (PALETTE["orange"], "-"),
    "eigen_cam": (PALETTE["yellow"], (0, (3, 1, 1, 1))),
    "gradient": (PALETTE["blue"], "--"),
    "guided_backprop": (PALETTE["green"], "-."),
    "integrated_gradients": (PALETTE["sky"], (0, (5, 1))),
    "edges": ("#666666", ":"),
    "noise": ("#999999", (0, (1, 1))),
    "smooth_noise": (PALETTE["purple"], (0, (1, 1))),
}
ARROWS = {"low": "low is good", "high": "high is good", "": ""}


def kind(method: str) -> str:
    """What a method's map is made from: ``"pixels"``, ``"CAM family"``, or ``"no network"``."""
    if method in RIVALS:
        return "no network"
    return "pixels" if method in PIXEL_METHODS else "CAM family"


def curves(
    x: Sequence[float] | Sequence[str],
    lines: Mapping[str, np.ndarray],
    *,
    xlabel: str,
    ylabel: str,
    ylim: tuple[float, float] = (0, 1),
) -> Figure:
    """Draw one line for each method.

    Parameters
    ----------
    x
        Numbers, or names that are written below the axis.
    lines
        Method -> values, one for each x.

    Raises
    ------
    ValueError
        If a line is not as long as `x`.
    """
    if wrong := [name for name, values in lines.items() if len(values) != len(x)]:
        raise ValueError(f"{wrong[0]!r} has {len(lines[wrong[0]])} values for {len(x)} places")
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    names = [str(value) for value in x] if any(isinstance(value, str) for value in x) else None
    places = np.arange(len(x)) if names else np.asarray(x, float)
    for name, values in lines.items():
        color, style = STYLES.get(name, (PALETTE["black"], "-"))
        axis.plot(places, values, color=color, linestyle=style, linewidth=2, label=name.replace("_", " "))
    if names:
        axis.set_xticks(places, names, rotation=60, ha="right", fontsize=7)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def scores(frame: pd.DataFrame, checks: Mapping[str, str], *, columns: int = 4) -> Figure:
    """Draw the scores of one net's methods, a panel for each check, with 95 % intervals.

    Parameters
    ----------
    frame
        Rows of `course_utils.faithfulness.survey.load_survey` for one net.
    checks
        Name of a check -> title of its panel.
    columns
        Panels in a row.

    Raises
    ------
    ValueError
        If the rows are of several nets, or a check has none.
    """
    if frame["net"].nunique() != 1:
        raise ValueError(f"the rows must be those of one net, given {sorted(set(frame['net']))}")
    if missing := [check for check in checks if check not in set(frame["check"])]:
        raise ValueError(f"there is no row of the check {missing[0]!r}")
    methods = list(dict.fromkeys(frame["method"]))
    place = {method: len(methods) - i for i, method in enumerate(methods)}
    rows = -(-len(checks) // columns)
    size = (2.2 + 1.75 * min(columns, len(checks)), rows * (0.21 * len(methods) + 0.9))
    figure, axes = plt.subplots(rows, min(columns, len(checks)), figsize=size, squeeze=False, sharey=True)
    for axis in axes.flat[len(checks) :]:
        axis.axis("off")
    for axis, (check, title) in zip(axes.flat, checks.items(), strict=False):
        some = frame[frame["check"] == check]
        for row in some.itertuples():
            color, marker = KINDS[kind(str(row.method))]
            axis.plot([row.low, row.high], [place[row.method]] * 2, color=color, linestyle="-", linewidth=2)
            axis.plot(row.mean, place[row.method], color=color, marker=marker, markersize=5)
        better = ARROWS[str(some["better"].iloc[0])]
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(better, fontsize=8)
    for axis in axes[:, 0]:
        axis.set_yticks(list(place.values()), [method.replace("_", " ") for method in place], fontsize=8)
    return figure
