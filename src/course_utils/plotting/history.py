"""Figures of the page on history: a timeline, the ImageNet challenge, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from course_utils.plotting import PALETTE, plt

KINDS = {  # marker, color, label
    "network": ("o", PALETTE["blue"], "network"),
    "ingredient": ("s", PALETTE["orange"], "ingredient"),
    "data": ("D", PALETTE["green"], "data"),
    "biology": ("^", PALETTE["purple"], "biology"),
}
FAMILIES = {"convolutional": ("o", PALETTE["blue"]), "transformer": ("^", PALETTE["orange"])}
GRAY = "#666666"
TEXT_PLACES = {"VGG": (7, 7), "MSRA": (7, 3), "Trimps-Soushen": (-14, -5), "WMW": (0, -5)}  # points, from the marker


def timeline(table: pd.DataFrame) -> Figure:
    """Draw one row per step, oldest on top, at its year.

    Parameters
    ----------
    table
        Columns `year`, `name`, `idea`, and `kind` as in `KINDS`; for example `course_utils.facts.load("timeline")`.
    """
    table = table.sort_values("year", kind="stable").reset_index(drop=True)
    figure, axis = plt.subplots(figsize=(8, 0.28 * len(table) + 1))
    for kind, (marker, color, label) in KINDS.items():
        rows = table[table["kind"] == kind]
        axis.scatter(rows["year"], rows.index, marker=marker, color=color, s=36, label=label, zorder=3)
    middle = (table["year"].min() + table["year"].max()) / 2
    for place, row in table.iterrows():
        early = row["year"] <= middle
        text = axis.text(
            row["year"] + (0.9 if early else -0.9),
            place,
            f"{row['name']}: {row['idea']}",
            ha="left" if early else "right",
            va="center",
            fontsize=8,
        )
        text.set_in_layout(False)  # or the axis would shrink to make room beside it
    axis.invert_yaxis()
    axis.set(xlabel="year of publication", yticks=[], xlim=(table["year"].min() - 2, table["year"].max() + 3))
    axis.spines["left"].set_visible(False)
    axis.grid(axis="y", visible=False)
    axis.legend(loc="center left", fontsize=8)
    return figure


def challenge(table: pd.DataFrame, person: float | None = None) -> Figure:
    """Draw entries of the ImageNet challenge by year, apart by how they were made.

    Parameters
    ----------
    table
        Columns as in `course_utils.facts.load("ilsvrc")`; errors in per cent.
    person
        Top-5 error of a person in per cent, drawn as a line.
    """
    figure, axis = plt.subplots(figsize=(8, 4.4))
    supplied = table[table["data"] == "supplied"]
    winners = supplied[supplied["place"] == 1]
    axis.plot(winners["year"], winners["top5_error"], color=GRAY, linewidth=1, zorder=1)
    looks = [
        (supplied[supplied["method"] != "convolutional"], "s", PALETTE["purple"], PALETTE["purple"]),
        (supplied[supplied["method"] == "convolutional"], "o", PALETTE["blue"], PALETTE["blue"]),
        (table[table["data"] == "extra"], "o", PALETTE["blue"], "white"),
    ]
    names = ["hand-designed features", "convolutional, several networks", "the same, with extra training data"]
    for name, (rows, marker, edge, face) in zip(names, looks, strict=True):
        axis.scatter(
            rows["year"], rows["top5_error"], marker=marker, edgecolor=edge, facecolor=face, label=name, zorder=2
        )
    for _, row in table.iterrows():
        name = row["entry"] if pd.isna(row["network"]) else row["network"]
        right, up = TEXT_PLACES.get(row["entry"], (7, 1)) if row["data"] == "supplied" else (-7, -4)
        axis.annotate(
            f"{name} {row['top5_error']:g}",
            (row["year"], row["top5_error"]),
            xytext=(right, up),
            textcoords="offset points",
            ha="left" if right >= 0 else "right",
            va="bottom" if up >= 0 else "top",
            fontsize=8,
        )
    if person is not None:
        axis.axhline(person, color=PALETTE["green"], linestyle="--", linewidth=1)
        axis.text(2009.6, person + 0.3, f"one trained person, {person:g}", fontsize=8, color=PALETTE["green"])
    axis.set(
        xlabel="year of the challenge", ylabel="top-5 error on the test images (%)", ylim=(0, 31), xlim=(2009.5, 2018)
    )
    axis.legend(loc="upper right", fontsize=8)
    return figure


def accuracy_against_cost(
    table: pd.DataFrame, cost: str, label: str, names: Mapping[str, tuple[float, float]]
) -> Figure:
    """Draw top-1 accuracy against a cost, log scale, with the Pareto front as a staircase.

    Parameters
    ----------
    table
        Columns `name`, `family` as in `FAMILIES`, `top1` in per cent, the cost, and `front`, true for models that none
        beats at the same or a lower cost.
    cost
        Name of the column.
    label
        What it is, with its unit.
    names
        Which models to name, and where to put the name, in points from the marker.
    """
    figure, axis = plt.subplots(figsize=(8, 4.8))
    for family, (marker, color) in FAMILIES.items():
        for front, face in ((True, color), (False, "white")):
            rows = table[(table["family"] == family) & (table["front"] == front)]
            what = f"{family}, on the front" if front else f"{family}, beaten by one no dearer"
            if len(rows):
                axis.scatter(
                    rows[cost], rows["top1"], marker=marker, edgecolor=color, facecolor=face, s=40, label=what, zorder=3
                )
    front = table[table["front"]].sort_values(cost)
    axis.step(front[cost], front["top1"], where="post", color=GRAY, linewidth=1, zorder=1)
    for name, (right, up) in names.items():
        for _, row in table[table["name"] == name].iterrows():
            axis.annotate(
                name,
                (row[cost], row["top1"]),
                xytext=(right, up),
                textcoords="offset points",
                ha="left" if right >= 0 else "right",
                va="center",
                fontsize=8,
            )
    axis.set(xscale="log", xlabel=label, ylabel="top-1 accuracy (%)")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.legend(loc="lower left", fontsize=8)
    return figure
