"""Figures of the page on looking inside: rows of small pictures or signed maps, and clouds of images in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.plotting import PALETTE, plt


def rows(
    pictures: Mapping[str, Sequence[Tensor] | Tensor],
    titles: Sequence[str] = (),
    *,
    signed: Sequence[str] = (),
    size: float = 0.8,
) -> Figure:
    """Show rows of small pictures, the name of each row on its left.

    Parameters
    ----------
    pictures
        Name of the row -> pictures (H, W) or (1, H, W), as many in each row. Each goes from its own smallest value
        (black) to its own largest (white).
    titles
        One for each column; none where the list is shorter.
    signed
        Names of rows that hold maps with signs: blue is negative, white zero, red positive, each map scaled by its own
        largest absolute value.
    size
        Width of a picture in inches.

    Raises
    ------
    ValueError
        If there is nothing to show, or the rows differ in length.
    """
    lengths = {len(row) for row in pictures.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"rows must hold equally many pictures, at least one, given {sorted(lengths)}")
    margin = 0.3 + 0.065 * max(map(len, pictures))
    shape = len(pictures), lengths.pop()
    figure, axes = plt.subplots(*shape, figsize=(size * shape[1] + margin, size * shape[0] + 0.3), squeeze=False)
    for line, (name, row) in zip(axes, pictures.items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        for axis, picture in zip(line, row, strict=True):
            array = np.squeeze(picture.detach().cpu().float().numpy())
            limit = max(float(np.abs(array).max()), np.finfo(float).tiny)
            scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if name in signed else {"cmap": "gray"}
            axis.imshow(array, interpolation="nearest", **scale)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(name in signed)  # a pale map would vanish on the white page
    for axis, title in zip(axes[0], titles, strict=False):
        axis.set_title(title, fontsize=8)
    return figure


def clouds(panels: Mapping[str, Tensor], labels: Tensor, classes: Sequence[str]) -> Figure:
    """Draw images as points in a plane, one panel for each way to get there, with the class's number on its median.

    Parameters
    ----------
    panels
        Title -> places, shape (N, 2).
    labels
        Shape (N,).
    classes
        Names, in the order of the labels.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(3.7 * len(panels) + 1.3, 3.4), squeeze=False)
    colors = [*PALETTE.values(), "#999999", "#7a4b1e", "#4b0082"]
    for axis, (title, places) in zip(axes[0], panels.items(), strict=True):
        for number, name in enumerate(classes):
            own = places[labels == number]
            axis.scatter(own[:, 0], own[:, 1], s=5, color=colors[number % 10], label=f"{number} {name}")
            axis.annotate(
                str(number),
                own.median(0).values.tolist(),
                ha="center",
                va="center",
                fontsize=9,
                bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "alpha": 0.85},
            )
        axis.set(title=title, xticks=[], yticks=[])
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=8, markerscale=2)
    return figure
