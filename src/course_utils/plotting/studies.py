"""Figures of a study: its arms with every seed, its epoch curves, and its differences seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from course_utils import stats
from course_utils.checks import choose
from course_utils.plotting import COLORS, PALETTE, plt

LABELS = {
    "test_accuracy": "test accuracy",
    "train_accuracy": "training accuracy",
    "train_loss": "training loss (nats)",
    "gap": "training minus test accuracy",
}
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def arms(
    results: pd.DataFrame,
    *,
    value: str = "test_accuracy",
    post: pd.Series | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    log: bool = False,
    ylim: tuple[float, float] | None = None,
    epoch: int | None = None,
) -> Figure:
    """Draw the final value of every run, and of each arm the mean with its 95 % interval.

    Runs that failed (diverged, or ended at chance) are crosses in a strip of their own below, with their number. They
    are part of the mean, as in the tables; an arm that failed as a whole has no mean drawn.

    Parameters
    ----------
    results
        As `course_utils.study.load_results` gives them.
    value
        ``"test_accuracy"``, ``"train_accuracy"``, ``"train_loss"`` or ``"gap"``.
    post
        Reported values to draw beside ours, indexed by arm.
    xlabel, ylabel
        Names of the axes. Default: "arm", and what `value` stands for.
    log
        Space arms that are numbers by their logarithm. Arms with other names stand side by side.
    ylim
        Limits of the vertical axis.
    epoch
        The epoch to draw. Default: the last.

    Raises
    ------
    ValueError
        If the value is not known, or `log` is asked for arms that are not positive numbers.
    """
    label = choose(LABELS, value, "value")
    runs = stats.final(results, epoch).assign(gap=lambda runs: runs["train_accuracy"] - runs["test_accuracy"])
    names = list(dict.fromkeys(runs["arm"]))
    where, is_number = _positions(names, log)
    failed = runs[runs["failed"]]
    figure, axis, strip = panels(bool(len(failed)))
    bottom = strip if strip is not None else axis
    span = (max(where.values()) - min(where.values())) or 1.0
    step = min(np.diff(sorted(where.values())), default=1.0)

    learned = runs[~runs["failed"]]
    shift = _spread(runs["seed"]) * 0.3 * step
    axis.plot(
        learned["arm"].map(where) + shift[~runs["failed"]],
        learned[value],
        marker="o",
        markersize=4,
        markeredgewidth=0,
        linestyle="none",
        color=PALETTE["blue"],
        alpha=0.3,
        label="one run",
    )
    means = {
        name: stats.interval(group[value].dropna())
        for name, group in runs.groupby("arm", sort=False)
        if not group["failed"].all() and group[value].notna().any()
    }
    axis.errorbar(
        [where[name] for name in means],
        [mean.mean for mean in means.values()],
        yerr=[0.0 if mean.n < 2 else mean.mean - mean.low for mean in means.values()],
        fmt="s",
        markersize=5,
        capsize=3,
        linewidth=1.5,
        color="black",
        label="mean with 95 % interval",
    )
    if post is not None:
        there = [name for name in names if name in post.index]
        axis.plot(
            [where[name] for name in there],
            [post[name] for name in there],
            marker="D",
            markersize=9,
            markerfacecolor="none",
            markeredgewidth=1.5,
            linestyle="--" if is_number else "none",
            color=COLORS["published"],
            label="the post",
        )
    axis.set(ylabel=ylabel or label)
    if ylim is not None:
        axis.set_ylim(*ylim)
    axis.legend(fontsize=8, loc="best")
    if strip is not None:
        _draw_failed(strip, failed, runs, where, shift)
    _ticks(bottom, names, where, is_number, log)
    bottom.set_xlim(min(where.values()) - 0.04 * span - 0.4 * step, max(where.values()) + 0.04 * span + 0.4 * step)
    bottom.set_xlabel(xlabel or "arm")
    return figure


def curves(
    results: pd.DataFrame,
    arms: Sequence[str],
    *,
    value: str = "test_accuracy",
    ylabel: str | None = None,
    ylim: tuple[float, float] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a value over the epochs: a faint line for each run, a thick one for the mean of an arm.

    A run that diverged counts in the mean from then on with accuracy 0.1, or with the loss of guessing, ln 10; its
    own line ends in a cross.

    Parameters
    ----------
    results
        As `course_utils.study.load_results` gives them.
    arms
        Which arms to draw, 7 at most.
    value
        ``"test_accuracy"``, ``"train_accuracy"`` or ``"train_loss"``.
    ylabel, ylim
        Name and limits of the vertical axis.
    labels
        What the legend calls an arm, where that is not its name.

    Raises
    ------
    ValueError
        If an arm or the value is not known, or there are more than 7 arms.
    """
    label = choose({name: LABELS[name] for name in list(LABELS)[:3]}, value, "value")
    known = dict.fromkeys(results["arm"])
    for arm in arms:
        choose(known, arm, "arm")
    if len(arms) > len(STYLES):
        raise ValueError(f"curves can tell {len(STYLES)} arms apart, given {len(arms)}")
    figure, axis = plt.subplots(figsize=(7, 3.8))
    guessing = np.log(10) if value == "train_loss" else 0.1
    for arm, color, style in zip(arms, _colors(arms), STYLES, strict=False):
        rows = results[results["arm"] == arm]
        diverged = rows.loc[rows["diverged"], "seed"].unique()
        last = rows["epoch"].max() if len(diverged) < rows["seed"].nunique() else results["epoch"].max()
        table = rows.pivot(index="epoch", columns="seed", values=value).reindex(range(1, int(last) + 1))
        axis.plot(table.index, table.to_numpy(), color=color, alpha=0.22, linewidth=0.8, linestyle="-")
        for seed in diverged:
            end = table[seed].last_valid_index()
            if end is not None:
                axis.plot(end, table[seed][end], color=color, marker="x", linestyle="none")
        table[diverged] = table[diverged].fillna(guessing)
        name = (labels or {}).get(arm, arm)
        axis.plot(table.index, table.mean(axis=1), color=color, linestyle=style, linewidth=2.2, label=name)
    axis.set(xlabel="epoch", ylabel=ylabel or label)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if ylim is not None:
        axis.set_ylim(*ylim)
    axis.legend(fontsize=8)
    return figure


def differences(
    results: pd.DataFrame,
    reference: str,
    *,
    value: str = "test_accuracy",
    xlabel: str | None = None,
    xlim: tuple[float, float] | None = None,
) -> Figure:
    """Draw each arm minus one of them, seed by seed, with 95 % intervals.

    The marker is filled where Holm's adjusted p-value is below 0.05. The numbers stand at the right.

    Parameters
    ----------
    results
        As `course_utils.study.load_results` gives them.
    reference
        The arm that is subtracted.
    value
        ``"test_accuracy"``, ``"train_accuracy"``, ``"train_loss"`` or ``"gap"``.
    xlabel
        Name of the axis. Default: what `value` stands for, minus that of the reference.
    xlim
        Limits of the axis. A difference outside is an arrow at the edge; its numbers stand at the right all the same.

    Raises
    ------
    ValueError
        If the arm or the value is not known.
    """
    label = choose(LABELS, value, "value")
    table = stats.compare(results, reference, value)
    figure, axis = plt.subplots(figsize=(8, 0.32 * len(table) + 1.2))
    axis.axvline(0, color=COLORS["published"], linewidth=1)
    left, right = xlim or (-np.inf, np.inf)
    for row, (mean, low, high, p) in enumerate(table[["difference", "low", "high", "p_holm"]].to_numpy()):
        axis.plot([low, high], [row, row], color="black", linewidth=1.5, linestyle="-")
        marker = "<" if mean < left else ">" if mean > right else "o"
        face = PALETTE["blue"] if p < 0.05 else "white"
        where = min(max(mean, left), right)
        axis.plot(where, row, marker=marker, color="black", markerfacecolor=face, linestyle="none", clip_on=False)
        numbers = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]  p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
        axis.text(1.03, row, numbers, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
    heading = "difference [95 %], p after Holm"
    axis.text(1.03, -0.8, heading, transform=axis.get_yaxis_transform(), va="center", fontsize=8, style="italic")
    axis.set_yticks(range(len(table)), table.index)
    axis.set(ylim=(len(table) - 0.5, -0.5), xlim=xlim, xlabel=xlabel or f"{label}, minus that of {reference}")
    axis.grid(False, axis="y")
    return figure


def _positions(names: Sequence[str], log: bool) -> tuple[dict[str, float], bool]:
    """Where each arm stands, and whether that is its own number."""
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        numbers = []
    if log and (not numbers or min(numbers) <= 0):
        raise ValueError(f"log needs arms that are positive numbers, given {', '.join(map(repr, names))}")
    if not numbers:
        return {name: float(index) for index, name in enumerate(names)}, False
    return dict(zip(names, np.log2(numbers) if log else numbers, strict=True)), True


def _ticks(axis: Axes, names: Sequence[str], where: Mapping[str, float], is_number: bool, log: bool) -> None:
    # Categories and powers have a tick each; of many evenly spaced numbers every second one is enough.
    shown = names[:: 2 if is_number and not log and len(names) > 12 else 1]
    slanted = not is_number and max(map(len, names)) * len(names) > 70
    axis.set_xticks(
        [where[name] for name in shown], shown, rotation=30 if slanted else 0, ha="right" if slanted else "center"
    )


def panels(two: bool) -> tuple[Figure, Axes, Axes | None]:
    """A figure with one axis, or with a low strip under it."""
    if not two:
        figure, axis = plt.subplots(figsize=(7.5, 3.8))
        return figure, axis, None
    figure, (axis, strip) = plt.subplots(2, 1, figsize=(7.5, 4.4), sharex=True, height_ratios=(6, 1))
    axis.tick_params(axis="x", labelbottom=False)
    return figure, axis, strip


def _draw_failed(
    strip: Axes, failed: pd.DataFrame, runs: pd.DataFrame, where: Mapping[str, float], shift: pd.Series
) -> None:
    strip.plot(
        failed["arm"].map(where) + shift[runs["failed"]],
        np.zeros(len(failed)),
        marker="x",
        markersize=5,
        linestyle="none",
        color=PALETTE["orange"],
    )
    totals = runs.groupby("arm", sort=False)["seed"].size()
    for arm, count in failed.groupby("arm", sort=False)["seed"].size().items():
        strip.text(where[str(arm)], 0.35, f"{count} of {totals[arm]}", ha="center", va="bottom", fontsize=8)
    strip.set(ylim=(-0.6, 1.6), yticks=[0], yticklabels=["failed"])
    strip.grid(False, axis="y")


def _spread(seeds: pd.Series) -> pd.Series:
    """From -1 to 1 by seed: the points of an arm do not hide each other, and a seed has the same place in each arm."""
    order = {seed: index for index, seed in enumerate(sorted(seeds.unique()))}
    return seeds.map(order) / max(1, len(order) - 1) * 2 - 1


def _colors(arms: Sequence[str]) -> list[str]:
    """An arm's own color in this course if it has one, else the next of the palette that no other arm has."""
    own = {arm: COLORS[arm] for arm in arms if arm in COLORS}
    free = cycle([color for color in PALETTE.values() if color not in own.values()])
    return [own.get(arm) or next(free) for arm in arms]
