"""Figures of the failure clinic: a patient's case file, and what the checks found on whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.plotting import COLORS, plt

CEILING = 3.0  # nats; what lies above is named instead of drawn
SHOWN = 4  # pictures in a row
SMOOTHED = 20  # steps

Labeled = tuple[Tensor, Tensor]


def case_file(
    losses: Sequence[float],
    train_accuracy: Sequence[float],
    test_accuracy: Sequence[Sequence[float]],
    train_seen: Labeled,
    test_seen: Labeled,
    classes: Sequence[str],
    *,
    title: str = "",
    gray: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Draw what is known of one training: losses, accuracies, and the first images that the model saw.

    Parameters
    ----------
    losses
        Cross-entropy of each step, in nats.
    train_accuracy
        One number for each epoch.
    test_accuracy
        For each epoch, the same measurement made several times.
    train_seen, test_seen
        The first training and test images as the model gets them, (N, 1, H, W) with N at least 4, and their labels.
    classes
        Names, in the order of the labels.
    title
        The patient's name.
    gray
        Pixel values drawn black and white, the same for all pictures.

    Raises
    ------
    ValueError
        If there are fewer than 4 images, or the epochs do not match.
    """
    if min(len(train_seen[0]), len(test_seen[0])) < SHOWN:
        raise ValueError(f"a case file shows {SHOWN} training and {SHOWN} test images, given fewer")
    if len(train_accuracy) != len(test_accuracy):
        raise ValueError(f"accuracies cover {len(train_accuracy)} epochs of training and {len(test_accuracy)} of test")
    figure = plt.figure(figsize=(8, 2.9))
    charts, pictures = figure.subfigures(1, 2, width_ratios=(4.6, 3.4))
    left, right = charts.subplots(1, 2)
    _draw_losses(left, np.asarray(losses, dtype=float))
    _draw_accuracies(right, train_accuracy, test_accuracy)
    for row, (axes, (images, labels)) in enumerate(
        zip(pictures.subplots(2, SHOWN), (train_seen, test_seen), strict=True)
    ):
        for axis, image, label in zip(axes, images, labels, strict=False):
            axis.imshow(
                image.cpu().squeeze(0).numpy(), cmap="gray", vmin=gray[0], vmax=gray[1], interpolation="nearest"
            )
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
            axis.set_title(classes[int(label)].replace("/top", "").replace("Ankle boot", "Boot"), fontsize=8, pad=2)
        axes[0].set_ylabel(("training", "test")[row], fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _draw_losses(axis: plt.Axes, losses: np.ndarray) -> None:
    steps = np.arange(1, len(losses) + 1)
    axis.plot(steps, losses, color=COLORS["loss"], alpha=0.25, linewidth=0.7, linestyle="-")
    if len(losses) >= SMOOTHED:
        smooth = np.convolve(losses, np.ones(SMOOTHED) / SMOOTHED, "valid")
        axis.plot(steps[SMOOTHED - 1 :], smooth, color=COLORS["loss"], linewidth=1.6, linestyle="-")
    axis.axhline(np.log(10), color=COLORS["published"], linestyle=":", linewidth=1)
    said = {"ha": "right", "va": "bottom", "fontsize": 8}
    axis.text(len(losses), np.log(10) + 0.01, "guessing, ln 10", color=COLORS["published"], **said)
    if losses.max() > CEILING:
        axis.text(len(losses), CEILING, f"largest: {losses.max():.3g}", **said)
    axis.set(xlabel="step", ylabel="training loss (nats)", ylim=(0, CEILING))


def _draw_accuracies(axis: plt.Axes, train: Sequence[float], test: Sequence[Sequence[float]]) -> None:
    epochs = np.arange(1, len(train) + 1)
    axis.plot(epochs, train, color=COLORS["train"], linestyle="-", marker="o", markersize=3, label="training")
    axis.plot(epochs, [np.mean(again) for again in test], color=COLORS["test"], linestyle="--", label="test")
    for epoch, again in zip(epochs, test, strict=True):
        axis.plot([epoch] * len(again), again, color=COLORS["test"], linestyle="none", marker="s", markersize=3)
    last = "  ".join(f"{value:.2f}" for value in test[-1])
    axis.set_title(f"last test: {last}", fontsize=8, loc="right", pad=3)
    axis.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
    axis.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
    axis.legend(loc="best", fontsize=8)


def findings_table(sick: pd.DataFrame) -> Figure:
    """Draw which check found whom.

    Parameters
    ----------
    sick
        Booleans, a row for each patient and a column for each check; True where the check says sick.
    """
    figure, axis = plt.subplots(figsize=(8, 0.36 * len(sick) + 1.1))
    axis.imshow(np.where(sick, 1.0, 0.0), cmap="Oranges", vmin=0, vmax=2.2, aspect="auto")
    for row, column in np.ndindex(sick.shape):
        found = bool(sick.iloc[row, column])
        color = "black" if found else COLORS["published"]
        text = "SICK" if found else "healthy"
        axis.text(
            column, row, text, ha="center", va="center", fontsize=8, color=color, weight="bold" if found else None
        )
    axis.set_xticks(range(sick.shape[1]), sick.columns, fontsize=9)
    axis.set_yticks(range(len(sick)), sick.index, fontsize=9)
    axis.set(xlabel="check", ylabel="patient")
    axis.set_xticks(np.arange(0.5, sick.shape[1] - 1), minor=True)
    axis.set_yticks(np.arange(0.5, len(sick) - 1), minor=True)
    axis.grid(False)
    axis.grid(True, which="minor", color="white", linewidth=2)
    axis.tick_params(which="both", length=0)
    axis.spines[:].set_visible(False)
    return figure


def steps_to_overfit(losses: dict[str, Sequence[float]], floors: dict[str, float] | None = None) -> Figure:
    """Draw the loss on one batch while it is learned by heart, one line for each training.

    Parameters
    ----------
    losses
        Name -> cross-entropy of each step, in nats, all greater than zero.
    floors
        Values to draw as dotted lines, by name.
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    for (name, values), style in zip(losses.items(), plt.rcParams["axes.prop_cycle"], strict=False):
        axis.semilogy(np.arange(1, len(values) + 1), values, label=name, linewidth=1.6, **style)
    for name, value in (floors or {}).items():
        axis.axhline(value, color=COLORS["published"], linestyle=":", linewidth=1)
        axis.text(1, value, name, va="bottom", fontsize=8, color=COLORS["published"])
    axis.set(xlabel="step on the same 50 images", ylabel="loss (nats)")
    axis.legend(fontsize=8)
    return figure
