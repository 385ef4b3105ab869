"""Means with intervals, differences seed by seed, and a correction for many comparisons.

Arms of a study share their seeds, and a seed fixes initialization and order of the data, so arms are compared seed by
seed: what a lucky seed adds to both cancels. Intervals are Student's t intervals: with ten seeds a bootstrap is too
narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
CHANCE = 0.15  # a run that ends below this accuracy has learned nothing (guessing gives 0.10 +- 0.003)


@dataclass(frozen=True)
class Interval:
    """Mean of n values, their standard deviation (n - 1 in the denominator), and the interval of the mean.

    It prints as ``0.812 [0.806, 0.818], 10 seeds``; `unit` is what was repeated.
    """

    unit: ClassVar[str] = "seed"

    mean: float
    sd: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        count = f"{self.n} {self.unit}{'s' if self.n != 1 else ''}"
        if self.n < 2:
            return f"{self.mean:.3f}, {count}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}], {count}"


@dataclass(frozen=True)
class Difference(Interval):
    """Mean of paired differences; `p` is the two-sided p-value of Student's paired t test."""

    p: float

    @property
    def seen(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        text = f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}], {self.n} seeds"
        return text if self.seen else f"{text}: no difference seen"


def interval(values: Sequence[float] | np.ndarray | pd.Series, level: float = LEVEL) -> Interval:
    """Mean, standard deviation and t interval of independent values.

    With one value there is no interval: `sd`, `low` and `high` are NaN.

    Raises
    ------
    ValueError
        If there is no value, or one is NaN, or `level` is not between 0 and 1.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) == 0 or np.isnan(x).any():
        raise ValueError(f"an interval needs a row of numbers without NaN, given {values!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, given {level!r}")
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, math.nan, math.nan, math.nan, 1)
    sd = float(x.std(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 1)) * sd / math.sqrt(len(x))
    return Interval(mean, sd, mean - half, mean + half, len(x))


def paired(
    values: Sequence[float] | np.ndarray | pd.Series, reference: Sequence[float] | np.ndarray | pd.Series
) -> Difference:
    """Mean of ``values - reference``, pair by pair, with its interval and p-value.

    Raises
    ------
    ValueError
        If the lengths differ, or there are fewer than two pairs.
    """
    a, b = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    if a.shape != b.shape or len(a) < 2:
        raise ValueError(f"paired values must be two rows of one length, at least 2, given {a.shape} and {b.shape}")
    d = interval(a - b)
    if d.sd == 0:
        p = 1.0 if d.mean == 0 else 0.0
    else:
        p = float(2 * stats.t.sf(abs(d.mean) / d.sd * math.sqrt(d.n), d.n - 1))
    return Difference(d.mean, d.sd, d.low, d.high, d.n, p)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values (Holm 1979): below alpha means rejected, with the risk alpha of any false rejection.

    Raises
    ------
    ValueError
        If a value is not between 0 and 1.
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie between 0 and 1, given {p_values!r}")
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))).clip(max=1)
    return adjusted[np.argsort(order, kind="stable")]


def final(results: pd.DataFrame, epoch: int | None = None) -> pd.DataFrame:
    """One row per run: its last epoch (or the given one), in the order of arms and seeds.

    A run that diverged before it got there counts with accuracy 0.1, which a network of NaNs has on ten balanced
    classes, and without a loss. ``failed`` is true for it, and for a run that ends at chance.
    """
    reached = results if epoch is None else results[results["epoch"] <= epoch]
    last = reached.groupby(["arm", "seed"], sort=False).tail(1).reset_index(drop=True)
    runs = last[["arm", "seed", "train_loss", "train_accuracy", "test_accuracy"]].copy()
    diverged = last["diverged"] if epoch is None else last["diverged"] & (last["epoch"] < epoch)
    runs.loc[diverged, "train_loss"] = math.nan
    runs.loc[diverged, ["train_accuracy", "test_accuracy"]] = 0.1
    return runs.assign(diverged=diverged, failed=diverged | (runs["test_accuracy"] < CHANCE))


def by_seed(results: pd.DataFrame, value: str = "test_accuracy", epoch: int | None = None) -> pd.DataFrame:
    """A table of one final value: a row per seed, a column per arm; only seeds that all arms have.

    `value` is a column of `final`, or ``"gap"``: train minus test accuracy.
    """
    runs = final(results, epoch).assign(gap=lambda runs: runs["train_accuracy"] - runs["test_accuracy"])
    table = runs.pivot(index="seed", columns="arm", values=value)[list(dict.fromkeys(runs["arm"]))]
    everywhere = runs.groupby("seed")["arm"].nunique() == table.shape[1]
    return table[everywhere]


def summarize(results: pd.DataFrame, epoch: int | None = None) -> pd.DataFrame:
    """One row per arm.

    Columns: ``seeds``; ``failed``, how many of them diverged or ended at chance (they are part of the accuracies);
    ``train_loss``, over the runs that have one, and ``train_accuracy``, means; ``test_accuracy`` with ``sd``, interval
    ``low`` and ``high``; and ``test``, the same in words.
    """
    rows = {}
    for arm, runs in final(results, epoch).groupby("arm", sort=False):
        test = interval(runs["test_accuracy"])
        rows[arm] = {
            "seeds": test.n,
            "failed": int(runs["failed"].sum()),
            "train_loss": float(runs["train_loss"].mean()),
            "train_accuracy": float(runs["train_accuracy"].mean()),
            "test_accuracy": test.mean,
            "sd": test.sd,
            "low": test.low,
            "high": test.high,
            "test": str(test),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")


def compare(results: pd.DataFrame, reference: str, value: str = "test_accuracy") -> pd.DataFrame:
    """Each arm against one of them, seed by seed.

    Columns: ``difference, low, high, p``; ``p_holm``, corrected for the number of arms; and ``text``.

    Raises
    ------
    ValueError
        If there is no such arm.
    """
    table = by_seed(results, value)
    if reference not in table:
        raise ValueError(f"arm {reference!r} is not known; there are {', '.join(map(repr, table))}")
    rows = {arm: paired(table[arm], table[reference]) for arm in table if arm != reference}
    frame = pd.DataFrame(
        {
            "difference": [row.mean for row in rows.values()],
            "low": [row.low for row in rows.values()],
            "high": [row.high for row in rows.values()],
            "p": [row.p for row in rows.values()],
        },
        index=pd.Index(rows, name="arm"),
    )
    return frame.assign(p_holm=holm(frame["p"].to_numpy()), text=[str(row) for row in rows.values()])
