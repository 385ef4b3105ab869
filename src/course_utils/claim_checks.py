"""Checks that turn results into a verdict: factories of functions from a study's results to a `Finding`.

- *reproduced*: the 95 % interval lies wholly where the sentence puts it;
- *not reproduced*: it lies wholly elsewhere, or a reported difference is less than half as large;
- *undecided*: it holds both, at the number of seeds we have.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from course_utils.stats import Difference, by_seed, holm, interval, paired

REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"
GUESSING_LOSS = math.log(10)  # stands in for the loss of a run that diverged


class Finding(NamedTuple):
    """Outcome of a check, and the numbers behind it in words."""

    outcome: str
    evidence: str


Check = Callable[[pd.DataFrame], Finding]


@dataclass(frozen=True)
class Claim:
    """A sentence that results can contradict.

    Attributes
    ----------
    name
        Short, unique.
    sentence
        What is claimed.
    source
        Where, for example "table 3".
    study
        Whose results decide.
    check
        Gives the finding from these results.
    """

    name: str
    sentence: str
    source: str
    study: str
    check: Check


def _values(
    results: pd.DataFrame, arms: str | Sequence[str], value: str = "test_accuracy", epoch: int | None = None
) -> pd.Series:
    """One number per seed: the mean over some arms."""
    table = by_seed(results, value, epoch)
    if value == "train_loss":
        table = table.fillna(GUESSING_LOSS)
    return table[[arms] if isinstance(arms, str) else list(arms)].mean(axis=1)


def _sign(low: float, high: float) -> str:
    return REPRODUCED if low > 0 else NOT_REPRODUCED if high < 0 else UNDECIDED


def higher(a: str | Sequence[str], b: str | Sequence[str], value: str = "test_accuracy", size: float = 0.0) -> Check:
    """`a` is above `b` (means over arms, if several are given), by half the reported `size` at least."""

    def check(results: pd.DataFrame) -> Finding:
        difference = paired(_values(results, a, value), _values(results, b, value))
        outcome = NOT_REPRODUCED if difference.high < size / 2 else _sign(difference.low, difference.high)
        reported = f", reported {size:+.3f}" if size else ""
        return Finding(outcome, f"{value}, {_name(a)} minus {_name(b)}: {difference}{reported}")

    return check


def rising(*arms: str, value: str = "test_accuracy") -> Check:
    """Each arm is above the one before."""

    def check(results: pd.DataFrame) -> Finding:
        steps = [
            (a, b, paired(_values(results, b, value), _values(results, a, value))) for a, b in itertools.pairwise(arms)
        ]
        low, high = min(step.low for _, _, step in steps), min(step.high for _, _, step in steps)
        return Finding(_sign(low, high), f"{value}, " + "; ".join(f"{b} minus {a}: {step}" for a, b, step in steps))

    return check


def best(*arms: str, among: Sequence[str] = (), value: str = "test_accuracy", lowest: bool = False) -> Check:
    """These arms, taken together, are above each other arm (below, if `lowest`); Holm over the comparisons."""

    def check(results: pd.DataFrame) -> Finding:
        others = [arm for arm in (among or dict.fromkeys(results["arm"])) if arm not in arms]
        rows: dict[str, Difference] = {}
        for other in others:
            pair = _values(results, arms, value), _values(results, other, value)
            rows[other] = paired(*(reversed(pair) if lowest else pair))
        p_values = holm([row.p for row in rows.values()])
        ahead = [arm for (arm, row), p in zip(rows.items(), p_values, strict=True) if p < 0.05 and row.mean > 0]
        behind = [arm for (arm, row), p in zip(rows.items(), p_values, strict=True) if p < 0.05 and row.mean < 0]
        closest = min(rows, key=lambda arm: rows[arm].mean)
        word = "below" if lowest else "above"
        evidence = (
            f"{value}: {_name(arms)} clearly {word} {len(ahead)} of {len(others)} others; "
            f"against {closest}: {rows[closest] if not lowest else _flipped(rows[closest])}"
        )
        outcome = NOT_REPRODUCED if behind else REPRODUCED if len(ahead) == len(others) else UNDECIDED
        return Finding(outcome, evidence)

    return check


def similar(a: str, b: str, margin: float = 0.01, value: str = "test_accuracy") -> Check:
    """`a` and `b` differ by less than `margin`."""

    def check(results: pd.DataFrame) -> Finding:
        difference = paired(_values(results, a, value), _values(results, b, value))
        return Finding(
            _inside(difference.low, difference.high, -margin, margin), f"{value}, {a} minus {b}: {difference}"
        )

    return check


def about(
    arms: str | Sequence[str],
    target: float,
    tolerance: float = 0.005,
    value: str = "test_accuracy",
    epoch: int | None = None,
) -> Check:
    """The mean is the stated number, give or take a tolerance."""

    def check(results: pd.DataFrame) -> Finding:
        mean = interval(_values(results, arms, value, epoch))
        outcome = _inside(mean.low, mean.high, target - tolerance, target + tolerance)
        return Finding(outcome, f"{value}, {_name(arms)}: {mean}, against {target}")

    return check


def at_least(arms: Sequence[str], target: float, value: str = "test_accuracy") -> Check:
    """The best of these arms reaches the stated number."""

    def check(results: pd.DataFrame) -> Finding:
        means = {arm: interval(_values(results, arm, value)) for arm in arms}
        arm, mean = max(means.items(), key=lambda item: item[1].mean)
        return Finding(_sign(mean.low - target, mean.high - target), f"{value}, {arm}: {mean}, against {target}")

    return check


def epochs_similar(later: int, earlier: int, margin: float = 0.01) -> Check:
    """After `later` epochs the accuracy is that after `earlier` epochs, give or take a margin."""
    return _between_epochs(later, earlier, lambda low, high: _inside(low, high, -margin, margin))


def epochs_higher(later: int, earlier: int) -> Check:
    """After `later` epochs the accuracy is above that after `earlier` epochs of the same runs."""
    return _between_epochs(later, earlier, _sign)


def _between_epochs(later: int, earlier: int, judge: Callable[[float, float], str]) -> Check:
    """Judge the interval of what the first arm gains from one epoch to another."""

    def check(results: pd.DataFrame) -> Finding:
        arm = results["arm"].iloc[0]
        difference = paired(_values(results, arm, epoch=later), _values(results, arm, epoch=earlier))
        outcome = judge(difference.low, difference.high)
        return Finding(outcome, f"test_accuracy, epoch {later} minus epoch {earlier}: {difference}")

    return check


def _inside(low: float, high: float, bottom: float, top: float) -> str:
    if bottom <= low and high <= top:
        return REPRODUCED
    return NOT_REPRODUCED if high < bottom or low > top else UNDECIDED


def _flipped(d: Difference) -> Difference:
    return Difference(-d.mean, d.sd, -d.high, -d.low, d.n, d.p)


def _name(arms: str | Sequence[str]) -> str:
    return arms if isinstance(arms, str) else "mean of " + ", ".join(arms) if len(arms) > 1 else arms[0]
