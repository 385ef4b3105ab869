"""Convolution and pooling drawn step by step, connections between layers, and curves over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from course_utils.checks import positive_int
from course_utils.plotting import PALETTE

WINDOW = PALETTE["orange"]  # where the window stands, and the output that comes of it
OUTSIDE = "#d0d0d0"  # padding, hatched
LINES = ["-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
NETS = (PALETTE["black"], PALETTE["sky"], PALETTE["yellow"])  # dense, convolutional, the same without pooling
CELL = 0.3  # width of a cell in inches
SHADE = 0.45  # light enough for black numbers
Box = tuple[int, int, int, int]  # top, left, height, width
Connection = tuple[int, int, int]  # input unit, output unit, number of the weight


def numbers(arrays: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Show small tables of numbers side by side, larger numbers on darker ground.

    Parameters
    ----------
    arrays
        Tensors (H, W). NaN leaves a cell empty.
    titles
        One for each.

    Raises
    ------
    ValueError
        If an array is not (H, W), or the titles do not match the arrays.
    """
    if len(titles) != len(arrays):
        raise ValueError(f"{len(arrays)} arrays need as many titles, given {len(titles)}")
    tables = [_table(array, "arrays") for array in arrays]
    widths = [table.shape[1] for table in tables]
    height = max(table.shape[0] for table in tables)
    size = (CELL * sum(widths) + 0.35 * len(tables), CELL * height + 0.4)
    figure, axes = plt.subplots(1, len(tables), figsize=size, width_ratios=widths, squeeze=False)
    for axis, table, title in zip(axes[0], tables, titles, strict=True):
        _draw(axis, table, title)
    return figure


def convolution(
    image: Tensor,
    kernel: Tensor,
    positions: Sequence[tuple[int, int]],
    *,
    stride: int = 1,
    padding: int = 0,
) -> Figure:
    """Draw a convolution of one plane, a row of pictures per step: input, kernel, products, output so far.

    Parameters
    ----------
    image, kernel
        Tensors (H, W) and (k, k).
    positions
        Which steps to show: (row, column) of the output, in reading order. Earlier outputs are filled in.
    stride, padding
        As in `torch.nn.functional.conv2d`; padding is drawn hatched.

    Raises
    ------
    ValueError
        If a shape is not as above, the kernel does not fit, or a position lies outside the output.
    """
    picture, weights = _table(image, "image"), _table(kernel, "kernel")
    k = weights.shape[0]
    if weights.shape[1] != k:
        raise ValueError(f"kernel must have shape (k, k), given {weights.shape}")
    padded, output = _padded(picture, k, stride, padding)
    for i, j in np.ndindex(*output.shape):
        output[i, j] = (padded[i * stride : i * stride + k, j * stride : j * stride + k] * weights).sum() + 0.0
    _check_positions(positions, output.shape)
    widths = [padded.shape[1], k, k, output.shape[1]]
    figure, axes = _rows(len(positions), widths, max(padded.shape[0], k))
    for number, (row, (i, j)) in enumerate(zip(axes, positions, strict=True)):
        first = number == 0
        top, left = i * stride, j * stride
        products = padded[top : top + k, left : left + k] * weights + 0.0  # no minus before a zero
        _draw(row[0], padded, "input" if first else "", (top, left, k, k), outside=padding)
        _draw(row[1], weights, "kernel" if first else "")
        _draw(row[2], products, "products" if first else "")
        row[2].set_xlabel(f"sum {products.sum():g}", color=WINDOW)
        _draw(row[3], _so_far(output, i, j), "output" if first else "", (i, j, 1, 1))
    return figure


def pooling(image: Tensor, positions: Sequence[tuple[int, int]], *, size: int = 2, stride: int | None = None) -> Figure:
    """Draw maximum and average pooling of one plane, a row of pictures per step.

    Parameters
    ----------
    image
        Tensor (H, W).
    positions
        Which steps to show: (row, column) of the output, in reading order. Earlier outputs are filled in.
    size, stride
        Side of the window, and how far it moves; the stride is the size where it is not given.

    Raises
    ------
    ValueError
        If the image is not (H, W), the window does not fit, or a position lies outside the output.
    """
    picture = _table(image, "image")
    stride = size if stride is None else stride
    _, largest = _padded(picture, size, stride, 0)
    mean = largest.copy()
    for i, j in np.ndindex(*largest.shape):
        window = picture[i * stride : i * stride + size, j * stride : j * stride + size]
        largest[i, j], mean[i, j] = window.max(), window.mean()
    _check_positions(positions, largest.shape)
    widths = [picture.shape[1], largest.shape[1], largest.shape[1]]
    figure, axes = _rows(len(positions), widths, picture.shape[0])
    for number, (row, (i, j)) in enumerate(zip(axes, positions, strict=True)):
        first = number == 0
        _draw(row[0], picture, "input" if first else "", (i * stride, j * stride, size, size))
        _draw(row[1], _so_far(largest, i, j), "maximum" if first else "", (i, j, 1, 1))
        _draw(row[2], _so_far(mean, i, j), "average" if first else "", (i, j, 1, 1))
    return figure


def connections(layers: Mapping[str, Sequence[Connection]]) -> Figure:
    """Draw which input unit feeds which output unit, a panel per layer; lines that share a weight look the same.

    Parameters
    ----------
    layers
        Name -> list of (input unit, output unit, number of the weight). With more than seven different weights the
        lines are plain gray, each its own weight.

    Raises
    ------
    ValueError
        If there is no layer, or one without connections.
    """
    if not layers or not all(layers.values()):
        raise ValueError("connections needs at least one layer with at least one connection each")
    figure, axes = plt.subplots(1, len(layers), figsize=(2.6 * len(layers), 2.9), squeeze=False)
    for axis, (name, links) in zip(axes[0], layers.items(), strict=True):
        inputs, outputs = (1 + max(link[side] for link in links) for side in (0, 1))
        weights = sorted({weight for _, _, weight in links})
        shift = (inputs - outputs) / 2  # so that output units stand in the middle
        for unit_in, unit_out, weight in links:
            place = weights.index(weight)
            shared = len(weights) <= len(LINES)
            color = list(PALETTE.values())[place] if shared else "#888888"
            style = LINES[place] if shared else "-"
            axis.plot([0, 1], [unit_in, unit_out + shift], color=color, linestyle=style, linewidth=1.6 if shared else 1)
        axis.plot([0] * inputs, range(inputs), "o", color="white", markeredgecolor="black", markersize=11)
        axis.plot([1] * outputs, np.arange(outputs) + shift, "s", color="white", markeredgecolor="black", markersize=11)
        axis.set_title(f"{name}\n{len(links)} connections\n{len(weights)} weights", fontsize=10)
        axis.set(xlim=(-0.2, 1.2), ylim=(inputs - 0.5, -0.5), yticks=[])
        axis.set_xticks([0, 1], ["inputs", "outputs"])
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
    return figure


def seed_curves(
    x: Sequence[float],
    curves: Mapping[str, Sequence[Sequence[float]] | Tensor],
    *,
    xlabel: str,
    ylabel: str,
    colors: Sequence[str] = NETS,
) -> Figure:
    """Draw one measured curve per seed, faintly, with the mean over seeds in front, for each name.

    Parameters
    ----------
    x
        Where the curves were measured.
    curves
        Name -> values, shape (seeds, len(x)).
    xlabel, ylabel
        Names and units of the axes.
    colors
        One for each name, in order.

    Raises
    ------
    ValueError
        If a curve does not have one value for each x.
    """
    figure, axis = plt.subplots(figsize=(6, 3.2))
    for (name, values), color, marker, style in zip(curves.items(), colors, MARKERS, LINES, strict=False):
        table = np.asarray(values, dtype=float)
        if table.ndim != 2 or table.shape[1] != len(x):
            raise ValueError(f"{name!r} must have shape (seeds, {len(x)}), given {table.shape}")
        for row in table:
            axis.plot(x, row, color=color, linestyle="-", linewidth=0.8, alpha=0.3)
        axis.plot(x, table.mean(0), color=color, linestyle=style, marker=marker, markersize=5, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, xticks=list(x))
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(curves), frameon=False)
    return figure


def heat(field: Tensor, *, label: str, box: Box | None = None) -> Figure:
    """Show a map of values that are not negative, darker where they are larger.

    Parameters
    ----------
    field
        Tensor (H, W).
    label
        Name of the values, for the color bar.
    box
        A window to frame, (top, left, height, width).

    Raises
    ------
    ValueError
        If the field is not (H, W).
    """
    table = _table(field, "field")
    figure, axis = plt.subplots(figsize=(4.6, 3.6))
    figure.colorbar(axis.imshow(table, interpolation="nearest", cmap="Greys", vmin=0), label=label)
    if box is not None:
        axis.add_patch(_frame(box))
    axis.set(xlabel="column (pixels)", ylabel="row (pixels)")
    axis.grid(False)
    return figure


def _table(array: Tensor, what: str) -> np.ndarray:
    table: np.ndarray = array.detach().cpu().double().numpy()
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"{what} must have shape (H, W), given {table.shape}")
    return table


def _padded(picture: np.ndarray, k: int, stride: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """The padded input, and an empty output of the right size."""
    positive_int(stride, "stride")
    if isinstance(padding, bool) or not isinstance(padding, int) or padding < 0:
        raise ValueError(f"padding must be an integer from 0 up, given {padding!r}")
    padded = np.pad(picture, padding)
    if not 1 <= k <= min(padded.shape):
        raise ValueError(f"a {k} x {k} window does not fit an input of {padded.shape[0]} x {padded.shape[1]}")
    return padded, np.full([(side - k) // stride + 1 for side in padded.shape], np.nan)


def _check_positions(positions: Sequence[tuple[int, int]], shape: tuple[int, ...]) -> None:
    outside = [place for place in positions if not (0 <= place[0] < shape[0] and 0 <= place[1] < shape[1])]
    if outside or not positions:
        raise ValueError(f"positions must lie in an output of {shape[0]} x {shape[1]}, given {list(positions)}")


def _rows(rows: int, widths: Sequence[int], height: int) -> tuple[Figure, np.ndarray]:
    size = (CELL * sum(widths) + 0.3 * len(widths), (CELL * height + 0.25) * rows + 0.2)
    return plt.subplots(rows, len(widths), figsize=size, width_ratios=widths, squeeze=False)


def _so_far(output: np.ndarray, i: int, j: int) -> np.ndarray:
    """The outputs up to a position in reading order; the others NaN."""
    done = np.arange(output.size).reshape(output.shape) <= i * output.shape[1] + j
    return np.where(done, output, np.nan)


def _draw(axis: Axes, table: np.ndarray, title: str, box: Box | None = None, *, outside: int = 0) -> None:
    """One table of numbers, with a framed window and a hatched rim of `outside` cells."""
    rows, columns = table.shape
    axis.imshow(table, interpolation="nearest", cmap="Greys", alpha=SHADE)
    for i, j in np.ndindex(rows, columns):
        rim = not (outside <= i < rows - outside and outside <= j < columns - outside)
        axis.add_patch(
            Rectangle(
                (j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=OUTSIDE, hatch="///" if rim else None, linewidth=0.8
            )
        )
        if not np.isnan(table[i, j]):
            axis.text(j, i, f"{table[i, j]:g}", ha="center", va="center", fontsize=9)
    if box is not None:
        axis.add_patch(_frame(box))
    axis.set_title(title, fontsize=10)
    axis.set(xticks=[], yticks=[], xlim=(-0.55, columns - 0.45), ylim=(rows - 0.45, -0.55))
    axis.grid(False)
    axis.spines[:].set_visible(False)


def _frame(box: Box) -> Rectangle:
    top, left, height, width = box
    return Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=WINDOW, linewidth=2.5, zorder=3)
