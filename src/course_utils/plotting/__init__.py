"""The course's figures: one style, one palette, and the few plots that several pages draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.train import History

# Okabe and Ito's palette, told apart by readers with every common kind of color blindness. The same thing has the
# same color on every page; line styles repeat the message for those who see none of them.
PALETTE = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#E69F00",
    "black": "#000000",
}
COLORS = {
    "train": PALETTE["blue"],
    "test": PALETTE["orange"],
    "loss": PALETTE["black"],
    "sigmoid": PALETTE["purple"],
    "relu": PALETTE["green"],
    "published": "#666666",
}

STYLE = {
    "figure.dpi": 110,
    "figure.facecolor": "white",  # opaque, so that axes stay readable on a dark page
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e2e2e2",
    "image.cmap": "gray",
    "axes.prop_cycle": cycler(
        color=list(PALETTE.values()), linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1))]
    ),
}


def use_style() -> None:
    """Draw everything that follows in the course's style."""
    plt.rcParams.update(STYLE)


def image_grid(
    images: Tensor | Sequence[Tensor],
    titles: Sequence[str] = (),
    *,
    columns: int = 10,
    size: float = 0.9,
    symmetric: bool = False,
) -> Figure:
    """Show small pictures side by side.

    Parameters
    ----------
    images
        Tensors of shape (H, W) or (1, H, W), or one tensor (N, H, W) or (N, 1, H, W).
    titles
        One for each picture; none where the list is shorter.
    columns
        Pictures in a row.
    size
        Width of a picture in inches.
    symmetric
        For weights: one blue-white-red scale for all pictures, with zero in white. Otherwise each picture is gray, from
        its own minimum (black) to its own maximum (white).

    Raises
    ------
    ValueError
        If there is nothing to show, or a picture is not (H, W) after its channel is dropped.
    """
    arrays = [np.squeeze(image.detach().cpu().float().numpy()) for image in images]
    if not arrays or any(array.ndim != 2 for array in arrays):
        raise ValueError(f"images must be pictures (H, W) or (1, H, W), given shapes {[a.shape for a in arrays[:3]]}")
    limit = max(float(np.abs(array).max()) for array in arrays)
    scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if symmetric else {"cmap": "gray"}
    rows = -(-len(arrays) // columns)
    height = size * (1.3 if len(titles) else 1)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, height * rows), squeeze=False)
    for axis, array, title in zip_longest(axes.flat, arrays, titles[: len(arrays)]):
        axis.axis("off")
        if array is not None:
            drawn = axis.imshow(array, interpolation="nearest", **scale)
            axis.set_title(title or "", fontsize=8)
    if symmetric:
        figure.colorbar(drawn, ax=axes, label="weight", shrink=0.9)
    return figure


def learning_curves(history: History, *, published: Mapping[str, float] | None = None) -> Figure:
    """Draw loss and accuracies of one run over its epochs.

    Parameters
    ----------
    history
        What `course_utils.train.fit` returned.
    published
        Values to draw as dotted lines, by name: ``"loss"``, ``"train accuracy"``, ``"test accuracy"``.
    """
    epochs = range(1, history.epochs + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.plot(epochs, history.train_loss, color=COLORS["loss"], marker="o", markersize=3, label="training loss")
    left.axhline(np.log(10), color=COLORS["published"], linestyle=":", linewidth=1)
    left.text(history.epochs, np.log(10), "guessing, ln 10", ha="right", va="bottom", color=COLORS["published"])
    left.set(xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0, 2.6))
    right.plot(epochs, history.train_accuracy, color=COLORS["train"], marker="o", markersize=3, label="training")
    if history.test_accuracy:
        right.plot(
            epochs, history.test_accuracy, color=COLORS["test"], linestyle="--", marker="s", markersize=3, label="test"
        )
    right.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    for name, value in (published or {}).items():
        axis, color = (left, COLORS["loss"]) if name == "loss" else (right, COLORS[name.split()[0]])
        axis.axhline(value, color=color, linestyle=":", linewidth=1.5, label=f"published {name}")
    left.legend(loc="center right")
    right.legend(loc="lower right")
    return figure


def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw how often each true class (row) was taken for each class (column).

    Parameters
    ----------
    counts
        Integers, shape (classes, classes), rows are true classes.
    classes
        Names, in the order of the labels.

    Raises
    ------
    ValueError
        If the shape does not match the number of classes.
    """
    if counts.shape != (len(classes), len(classes)):
        raise ValueError(f"counts must have shape ({len(classes)}, {len(classes)}), given {counts.shape}")
    figure, axis = plt.subplots(figsize=(6, 5.4))
    # The diagonal is so much larger that it would flatten everything else into white.
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0, counts)
    axis.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1, mistakes.max()))
    for row in range(len(classes)):
        for column in range(len(classes)):
            if counts[row, column]:
                dark = mistakes[row, column] > 0.6 * mistakes.max()
                weight = "bold" if row == column else "normal"
                color = "white" if dark else "black"
                axis.text(
                    column, row, counts[row, column], ha="center", va="center", fontsize=8, color=color, weight=weight
                )
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.grid(False)
    return figure


def feature_maps(maps: Mapping[str, Tensor], *, size: float = 0.75) -> Figure:
    """Show each layer's feature maps as a row of pictures, from top to bottom through the network.

    Parameters
    ----------
    maps
        Layer name -> tensor (C, H, W), or (N,) for a layer without a plane, drawn as a strip. Each layer has its own
        gray scale, from its smallest value (black) to its largest (white).
    size
        Width of a picture in inches.
    """
    columns = max(len(tensor) if tensor.ndim == 3 else 1 for tensor in maps.values())
    figure = plt.figure(figsize=(size * columns, 1.35 * size * len(maps)))
    for subfigure, (name, tensor) in zip(figure.subfigures(len(maps), 1), maps.items(), strict=True):
        pictures = tensor.detach().cpu() if tensor.ndim == 3 else tensor.detach().cpu()[None, None]
        axes = subfigure.subplots(1, columns if tensor.ndim == 3 else 1, squeeze=False)[0]
        shape = " x ".join(map(str, tensor.shape))
        subfigure.suptitle(f"{name}  ({shape})", fontsize=8, x=0.005, ha="left")
        for axis, picture in zip_longest(axes, pictures):
            if picture is None:
                axis.axis("off")
                continue
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(True)  # a white map would vanish on the white page
            axis.imshow(
                picture.numpy(),
                cmap="gray",
                vmin=float(pictures.min()),
                vmax=float(pictures.max()),
                aspect="equal" if tensor.ndim == 3 else "auto",
            )
    return figure
