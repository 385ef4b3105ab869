"""What an exercise with a number as its answer consists of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Slip:
    """A way to go wrong: its name, the number that it gives, and what to tell whoever arrives there."""

    name: str
    value: Callable[[], float]
    message: str


@dataclass(frozen=True)
class Exercise:
    """A question with one number as its answer.

    Attributes
    ----------
    question
        In Markdown, complete in itself.
    answer
        Computes the right number.
    why
        How it comes about, to be read after a right answer.
    slips
        Their numbers differ from the answer and from each other by more than the tolerance.
    unit
        What the number counts, such as "parameters".
    tolerance
        How far an attempt may be off, as a share of the answer. 0 asks for the exact number.
    """

    question: str
    answer: Callable[[], float]
    why: str
    slips: tuple[Slip, ...]
    unit: str = ""
    tolerance: float = 0.0

    def agrees(self, attempt: float, number: float) -> bool:
        """Whether an attempt counts as this number."""
        return math.isclose(attempt, number, rel_tol=max(self.tolerance, 1e-9))
