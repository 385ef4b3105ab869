"""Figures of the page on where people look: pictures and maps with places marked, ranks under many scores, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.patheffects as effects
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from course_utils.checks import positive_int
from course_utils.plotting import PALETTE, plt

MAPS = {  # a model has one color, line and marker in all figures
    "truth": (PALETTE["black"], "-", "o"),
    "center bias": (PALETTE["orange"], "--", "s"),
    "GBVS": (PALETTE["blue"], "-.", "^"),
    "Itti-Koch": (PALETTE["green"], ":", "D"),
    "spectral residual": (PALETTE["purple"], (0, (5, 1)), "v"),
    "blank sheet": ("#666666", (0, (1, 1)), "X"),
}
OTHERS = [
    (PALETTE["black"], "-", "o"),
    (PALETTE["sky"], "--", "s"),
    (PALETTE["yellow"], "-.", "^"),
    (PALETTE["blue"], ":", "D"),
    (PALETTE["orange"], (0, (5, 1)), "v"),
    (PALETTE["green"], (0, (1, 1)), "X"),
]


def panels(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    columns: int = 4,
    places: Mapping[int, np.ndarray] | None = None,
    numbered: bool = False,
    size: float = 1.9,
) -> Figure:
    """Show photographs and maps side by side.

    Parameters
    ----------
    images
        Photographs (H, W, 3), and maps (H, W), which go from dark (their own minimum) to bright (their own maximum).
    titles
        One for each.
    columns
        Panels in a row.
    places
        Number of the image -> rows and columns to mark, shape (F, 2).
    numbered
        Whether the places are numbered in their order, 1, 2, 3, ..., instead of being dots.
    size
        Width of a panel in inches.

    Raises
    ------
    ValueError
        If there is nothing to show, or the titles do not match the images, or an image has another shape.
    """
    if not images or len(titles) != len(images):
        raise ValueError(f"{len(images)} images need as many titles, at least one, given {len(titles)}")
    for image in images:
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise ValueError(f"an image must be (H, W) or (H, W, 3), given {image.shape}")
    columns = min(positive_int(columns, "columns"), len(images))
    rows = -(-len(images) // columns)
    height = size * max(image.shape[0] / image.shape[1] for image in images) + 0.25
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, height * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.imshow(image, cmap="viridis")
        axis.set_title(title, fontsize=9)
    for index, some in (places or {}).items():
        axis = axes.flat[index]
        if not numbered:
            axis.scatter(some[:, 1], some[:, 0], s=9, color=PALETTE["yellow"], edgecolor="black", linewidth=0.5)
            continue
        for number, (row, column) in enumerate(some, start=1):
            text = axis.text(column, row, str(number), color="white", ha="center", va="center", fontsize=11)
            text.set_path_effects([effects.withStroke(linewidth=3, foreground="black")])
    return figure


def ranks(scores: pd.DataFrame, *, lower_is_better: Sequence[str] = ()) -> Figure:
    """Draw the place of each model under each score, the best on top; models with equal scores share a place.

    Parameters
    ----------
    scores
        Index: models. Columns: scores.
    lower_is_better
        Columns of which a small value is a good one.
    """
    signs = [-1 if column in lower_is_better else 1 for column in scores.columns]
    placed = (scores * signs).rank(ascending=False)
    figure, axis = plt.subplots(figsize=(8, 0.5 * len(placed) + 1))
    for position, (name, row) in enumerate(placed.iterrows()):
        color, line, marker = _style(str(name), position)
        axis.plot(range(len(row)), row, color=color, linestyle=line, marker=marker, linewidth=1.8)
        axis.annotate(name, (0, row.iloc[0]), (-10, 0), textcoords="offset points", ha="right", va="center", fontsize=9)
    axis.set_xticks(range(placed.shape[1]), placed.columns)
    axis.set(ylabel="place", ylim=(len(placed) + 0.5, 0.5), xlim=(-1.6, placed.shape[1] - 0.7))
    axis.set_yticks(range(1, len(placed) + 1))
    axis.grid(axis="x", visible=False)
    return figure


def curves(
    frame: pd.DataFrame,
    left: Sequence[str],
    right: Sequence[str],
    *,
    xlabel: str,
    labels: tuple[str, str],
    base: float | None = None,
) -> Figure:
    """Draw columns of a table over its index in two panels.

    Parameters
    ----------
    frame
        A column is a line. "KL, GBVS" is drawn as GBVS is drawn everywhere, and named so in the legend.
    left, right
        Columns of each panel.
    xlabel, labels
        Names of the horizontal axis and of the two vertical ones, with units.
    base
        Of a logarithmic horizontal axis; None for an ordinary one.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
    for axis, columns, label in zip(axes, (left, right), labels, strict=True):
        for position, column in enumerate(columns):
            name = column.split(", ")[-1]
            color, line, marker = _style(name, position)
            axis.plot(frame.index, frame[column], color=color, linestyle=line, marker=marker, markersize=4, label=name)
        if base is not None:
            axis.set_xscale("log", base=base)
        axis.set(xlabel=xlabel, ylabel=label)
        axis.legend(fontsize=8)
    return figure


def _style(name: str, position: int) -> tuple[str, object, str]:
    return MAPS.get(name, OTHERS[position % len(OTHERS)])
