"""Figure of the ladder: accuracy of several networks against what each of them costs, with the Pareto line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

from course_utils.checks import choose
from course_utils.plotting import COLORS, PALETTE, plt

ERRORS = (90, 70, 50, 40, 30, 25, 20, 15, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)  # per cent, where a tick may stand
TICKS_APART = 0.055  # least distance of two ticks, as a share of the axis
LEAST_ERROR = 0.1  # per cent; the axis is logarithmic
MARKER = 9.0  # width that a marker takes, in points
STRAY_WEIGHT = 30.0  # a name that is nearer to another marker than to its own
LINE_WEIGHT = 40.0  # a line that crosses something is as bad as a name that covers so many pixels, for each box crossed
# Where a name may stand, in points from its marker: beside it first, then farther off, with a line to it.
NEAR = ((7, 0), (-7, 0), (0, 9), (0, -9), (7, 8), (-7, 8), (7, -8), (-7, -8))
FAR = tuple((sign * right, up) for reach in (16, 26, 38, 52) for up in (reach, -reach, 0) for right in (8, reach)
            for sign in (1, -1))  # fmt: skip


def panels(
    table: pd.DataFrame,
    costs: Mapping[str, str],
    fronts: Mapping[str, Collection[str]],
    *,
    runs: pd.DataFrame | None = None,
    columns: int = 1,
) -> Figure:
    """Draw accuracy against each cost, a panel for each; names stand beside the points and do not cover each other.

    The vertical axis is logarithmic in the error, so that networks with few errors stay apart; its labels are
    accuracies. Networks on the front are filled, and a staircase joins them: at a cost, the best that it buys.

    Parameters
    ----------
    table
        Indexed by network: `accuracy` with the ends `low` and `high` of its interval, fractions, and the columns of
        `costs`, all positive.
    costs
        Column -> label of its axis, with the unit.
    fronts
        Column -> names of the networks that none beats in accuracy and in this cost.
    runs
        Accuracy of single runs, a row per seed and a column per network, drawn faintly.
    columns
        Panels in a row.

    Raises
    ------
    ValueError
        If a network of a front is not in the table, or a cost has no front or is not positive.
    """
    known = dict.fromkeys(table.index)
    for cost in costs:
        for name in choose(dict(fronts), cost, "front"):
            choose(known, name, "network")
        if not (table[cost] > 0).all():
            raise ValueError(f"costs must be positive, as they are drawn on a log scale; {cost!r} is not")
    rows = -(-len(costs) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.6 * columns**0.7, 3.1 * rows), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (cost, label) in zip(axes.flat, costs.items(), strict=False):
        _points(axis, table, cost, set(fronts[cost]), runs)
        axis.set_xlabel(label, fontsize=10)
    for axis in axes.flat[len(costs) :]:
        axis.axis("off")
    _accuracy_axis(axes[0, 0])
    for axis in axes[:, 0]:
        axis.set_ylabel("test accuracy (%)", fontsize=10)
    figure.draw_without_rendering()  # settles where everything is, which names must know
    for axis, cost in zip(axes.flat, costs, strict=False):
        place_names(axis, list(table.index), table[cost], _error(table["accuracy"]), _drawn(axis, table, cost))
    return figure


def place_names(
    axis: Axes, names: Sequence[str], x: ArrayLike, y: ArrayLike, taken: Sequence[Bbox] = ()
) -> list[Annotation]:
    """Write names beside points, each at the first place where it covers nothing; lines lead to those farther off.

    Parameters
    ----------
    axis
        Its size and its limits must be settled.
    names, x, y
        The points, in data coordinates.
    taken
        Boxes in pixels that must stay free, besides the points themselves.

    Returns
    -------
    list of Annotation
        In the order of `names`. Where no place is free, a name stands where it covers the least.
    """
    data = np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    points = axis.transData.transform(data)
    half = MARKER / 2 * axis.figure.dpi / 72
    markers = np.hstack([points - half, points + half])
    occupied = _boxes(taken)
    written: dict[int, Annotation] = {}
    for index in sorted(range(len(points)), key=lambda i: _crowd(points, i)):
        rivals = np.delete(markers, index, axis=0)
        place = str(names[index]), (float(data[index, 0]), float(data[index, 1]))
        written[index] = _write(axis, *place, markers[index], rivals, occupied)
        box = _box(written[index])
        occupied = np.vstack([occupied, box, _line(written[index], box, points[index])])
    return [written[index] for index in range(len(points))]


def _write(
    axis: Axes, name: str, point: tuple[float, float], own: np.ndarray, rivals: np.ndarray, occupied: np.ndarray
) -> Annotation:
    best: tuple[float, tuple[float, float]] | None = None
    inside = _boxes([axis.bbox.padded(-4)])
    others = np.vstack([occupied, rivals])
    center, centers = (own[:2] + own[2:]) / 2, (rivals[:, :2] + rivals[:, 2:]) / 2
    for offset in (*NEAR, *FAR):
        note = _note(axis, name, point, offset)
        box = _box(note)
        line = _line(note, box, center)
        note.remove()
        covered = _shared(box, np.vstack([own, others])).sum()
        covered += np.prod(box[2:] - box[:2]) - _shared(box, inside).sum()
        if not len(line) and len(centers):  # without a line a name belongs to the nearest marker
            covered += STRAY_WEIGHT * (_away(box, centers).min() < _away(box, center[None])[0])
        covered += LINE_WEIGHT * sum((_shared(dot, others) > 0).sum() for dot in line)
        if best is None or covered < best[0] - 1e-6:
            best = float(covered), offset
        if covered < 1e-6:
            break
    assert best is not None
    return _note(axis, name, point, best[1])


def _boxes(boxes: Sequence[Bbox]) -> np.ndarray:
    """Boxes as rows of left, bottom, right, top."""
    return np.array([box.extents for box in boxes], dtype=float).reshape(-1, 4)


def _box(note: Annotation) -> np.ndarray:
    """Where the text of a note stands, in pixels, without its line."""
    note.get_window_extent()  # puts the note where its offset says
    return np.array(Text.get_window_extent(note).extents)


def _line(note: Annotation, box: np.ndarray, marker: np.ndarray) -> np.ndarray:
    """Small boxes along the line from a note to its marker; none if there is no line."""
    if note.arrow_patch is None:
        return np.empty((0, 4))
    dots = np.linspace(np.clip(marker, box[:2], box[2:]), marker, 16)[2:-3]
    return np.hstack([dots - 1, dots + 1])


def _note(axis: Axes, name: str, point: tuple[float, float], offset: tuple[float, float]) -> Annotation:
    right, up = offset
    line = dict(arrowstyle="-", color=COLORS["published"], linewidth=0.7, shrinkA=0, shrinkB=4)
    note = axis.annotate(
        name,
        point,
        xytext=offset,
        textcoords="offset points",
        ha="left" if right > 0 else "right" if right < 0 else "center",
        va="bottom" if up > 0 and not right else "top" if up < 0 and not right else "center",
        fontsize=9.5,
        arrowprops=line if offset in FAR else None,
        zorder=5,
    )
    note.set_path_effects([withStroke(linewidth=2.5, foreground="white")])  # readable where it must cross a line
    note.set_in_layout(False)  # otherwise a name would move the panel in which its place was found
    return note


def _shared(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Area that a box shares with each of several."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return sides.clip(0).prod(axis=1)


def _away(box: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of points from a box."""
    return np.hypot(*(np.clip(points, box[:2], box[2:]) - points).T)


def _crowd(points: np.ndarray, index: int) -> float:
    """Distance to the nearest other point: those in a crowd choose first."""
    distances = np.hypot(*(points - points[index]).T)
    return float(np.delete(distances, index).min(initial=np.inf))


def _error(accuracy: pd.Series) -> np.ndarray:
    return (100 * (1 - accuracy)).clip(LEAST_ERROR, None).to_numpy(dtype=float)


def _compact(value: float) -> str:
    """A number of an axis in few characters: 200k, 5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size * (1 - 1e-9):
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}"


def _points(axis: Axes, table: pd.DataFrame, cost: str, front: set[str], runs: pd.DataFrame | None) -> None:
    blue = PALETTE["blue"]
    if runs is not None:
        for name in table.index:
            errors = _error(runs[name])
            axis.plot([table.loc[name, cost]] * len(errors), errors, ".", color=blue, alpha=0.35, markeredgewidth=0)
    axis.vlines(table[cost], _error(table["high"]), _error(table["low"]), color="black", linewidth=1, zorder=2)
    stairs = table.loc[[name in front for name in table.index]].sort_values(cost)
    x, y = stairs[cost].to_numpy(dtype=float), _error(stairs["accuracy"])
    axis.set(xscale="log", yscale="log")
    low, high = table[cost].min(), table[cost].max()
    room = max(high / low, 2.0) ** 0.12
    axis.set_xlim(low / room, high * room)
    if len(x):
        axis.step([*x, axis.get_xlim()[1]], [*y, y[-1]], where="post", color=PALETTE["orange"], linewidth=1.4, zorder=1)
    for name, cheap, wrong in zip(table.index, table[cost], _error(table["accuracy"]), strict=True):
        face = blue if name in front else "white"
        axis.plot(cheap, wrong, "o", markersize=6.5, color=blue, markerfacecolor=face, linestyle="none", zorder=3)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: _compact(value))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(labelsize=9.5, labelleft=True)


def _accuracy_axis(axis: Axes) -> None:
    """Upside down, logarithmic in the error, labeled with accuracies; the other panels share it."""
    small, large = axis.get_ylim()
    small, large = small / (large / small) ** 0.05, large * (large / small) ** 0.05
    ticks: list[float] = []
    for error in ERRORS:
        apart = not ticks or np.log(ticks[-1] / error) > TICKS_APART * np.log(large / small)
        if small <= error <= large and apart:
            ticks.append(error)
    axis.set_ylim(large, small)
    axis.set_yticks(ticks, [f"{100 - error:g}" for error in ticks])
    axis.yaxis.set_minor_locator(NullLocator())


def _drawn(axis: Axes, table: pd.DataFrame, cost: str) -> list[Bbox]:
    """Intervals and staircase, as boxes in pixels that names should not cover."""
    bottom = axis.transData.transform(np.column_stack([table[cost], _error(table["low"])]))
    top = axis.transData.transform(np.column_stack([table[cost], _error(table["high"])]))
    boxes = [Bbox([a - 1, b + 1]) for a, b in zip(bottom, top, strict=True)]
    for stairs in (line for line in axis.lines if line.get_drawstyle() == "steps-post"):
        corners = axis.transData.transform(np.column_stack([stairs.get_xdata(), stairs.get_ydata()]))
        for (x, y), (next_x, next_y) in pairwise(corners):
            low, high = sorted((y, next_y))
            boxes += [Bbox([(x, y - 1), (next_x, y + 1)]), Bbox([(next_x - 1, low), (next_x + 1, high)])]
    return boxes
