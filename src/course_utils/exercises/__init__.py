"""Exercises whose answer is a number: the question, the right answer, and what people compute instead.

The right answer comes from the package (a layer table, a model, a formula that the pages derive), never from a typed
figure. Each slip is computed as the person who makes it computes. `course_utils.check.number` judges an attempt, and
the page of quizzes asks the same questions.
"""

from __future__ import annotations

from course_utils.exercises.counting import COUNTING
from course_utils.exercises.forms import Exercise, Slip
from course_utils.exercises.training import TRAINING

__all__ = ["EXERCISES", "Exercise", "Slip"]

EXERCISES: dict[str, Exercise] = COUNTING | TRAINING
