"""Judging a reader's function or number: compare it with the right answer, and name the likely mistake.

An exercise (`course_utils.check` has them) is a list of cases, a reference that knows the answer, and a list of
misconceptions. A misconception says how a wrong function differs from the right one: it changes the arguments before
the reference sees them, or the output afterwards. If the reader's outputs are those of a misconception, or of two at
once, in every case, the feedback names it. For a number it is simpler: a slip has a number of its own.
"""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.forms import Exercise

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Feedback:
    """What became of an attempt. Printing it shows the message.

    Attributes
    ----------
    right
        Whether the function gave the right output in every case, or the number is right.
    message
        What to tell the reader.
    misconceptions
        Names of the mistakes that explain the outputs; empty if none does.
    """

    right: bool
    message: str
    misconceptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Case:
    """One call of the reader's function: what it tests, and its arguments in order."""

    label: str
    arguments: Arguments


@dataclass(frozen=True)
class Misconception:
    """A mistake that people make, as a change of the right computation."""

    name: str
    message: str
    before: Callable[[Arguments], Arguments] = lambda arguments: arguments
    after: Callable[[Tensor, Arguments], Tensor] = lambda output, arguments: output


def judge(
    function: object,
    cases: Sequence[Case],
    reference: Callable[[Arguments], Tensor],
    misconceptions: Sequence[Misconception],
) -> Feedback:
    """Run all cases and say what is right or wrong; nothing that `function` does makes this raise.

    Parameters
    ----------
    function
        What the reader wrote.
    cases
        Calls of it, from easy to hard, all with the same argument names.
    reference
        Takes the arguments of a case by name and returns the right output.
    misconceptions
        Tried in this order, one by one and then in pairs.
    """
    names = list(cases[0].arguments)
    if not callable(function):
        return Feedback(False, f"Give the function itself, without calling it; this is a {type(function).__name__}.")
    if complaint := _arity(function, names):
        return Feedback(False, complaint)
    truths = [reference(case.arguments).double() for case in cases]
    answers, changed = zip(*(_ask(function, case) for case in cases), strict=True)
    wrong = [n for n, (answer, truth) in enumerate(zip(answers, truths, strict=True)) if not _same(answer, truth)]
    if not wrong:
        if altered := next(filter(None, changed), ""):
            return Feedback(False, f"The numbers are right, but your function changes its `{altered}`. Work on a copy.")
        return Feedback(True, f"Right, in all {len(cases)} cases.")
    found = _explain(answers, wrong, cases, reference, misconceptions)
    where = f"{_capital(cases[wrong[0]].label)} is the first case that goes wrong."
    if len(found) == 1:
        return Feedback(False, f"Not yet. {found[0].message} {where}", (found[0].name,))
    if found:
        both = " ".join(f"({n}) {mistake.message}" for n, mistake in enumerate(found, start=1))
        return Feedback(False, f"Not yet, and it is two things at once. {both} {where}", tuple(m.name for m in found))
    described = _describe(answers[wrong[0]], truths[wrong[0]])
    right = [case.label for n, case in enumerate(cases) if n not in wrong]
    so_far = f" Right so far: {'; '.join(right)}." if right else ""
    return Feedback(False, f"Not yet. {where} {described}{so_far}")


def judge_number(attempt: object, exercise: Exercise) -> Feedback:
    """Compare a number with the answer of an exercise and with the numbers of its slips; never raises."""
    value = _as_number(attempt)
    if value is None:
        return Feedback(False, f"Give one number; this is {_a(type(attempt).__name__)}.")
    if exercise.agrees(value, exercise.answer()):
        return Feedback(True, f"Right. {exercise.why}")
    for slip in exercise.slips:
        if exercise.agrees(value, slip.value()):
            return Feedback(False, f"Not yet. {slip.message}", (slip.name,))
    size = "small" if value < exercise.answer() else "large"
    return Feedback(False, f"Not yet: {value:,.12g} is too {size}, and none of the slips that we know leads there.")


def _as_number(attempt: object) -> float | None:
    """The one finite number that this is, or holds."""
    try:
        value = float(attempt.item() if hasattr(attempt, "item") else attempt)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return None
    return value if math.isfinite(value) and not isinstance(attempt, (bool, str)) else None


def _arity(function: Callable[..., object], names: list[str]) -> str:
    """A complaint if the function cannot be called with so many arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built-in functions may have none
        return ""
    try:
        signature.bind(*names)
    except TypeError:
        takes, wanted = ", ".join(signature.parameters), ", ".join(names)
        return f"Your function takes ({takes}); it is called with {len(names)} arguments in this order: ({wanted})."
    return ""


def _ask(function: Callable[..., object], case: Case) -> tuple[Tensor | str, str]:
    """The output, or what went wrong in words; and the name of an argument that the function has changed."""
    given = {name: value.clone() if isinstance(value, Tensor) else value for name, value in case.arguments.items()}
    try:
        answer = function(*given.values())
        if not isinstance(answer, Tensor):
            missing = " Is there a `return` at its end?" if answer is None else ""
            return f"It returns {_a(type(answer).__name__)}; a torch.Tensor is wanted.{missing}", ""
        answer = answer.detach().cpu().to_dense().double()
    except Exception as error:
        return f"It raises {type(error).__name__}: {error}{_line(error)}", ""
    tensors = (name for name, value in case.arguments.items() if isinstance(value, Tensor))
    return answer, next((name for name in tensors if not torch.equal(given[name], case.arguments[name])), "")


def _line(error: Exception) -> str:
    """Where in the reader's function an error arose."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is ours
    return f" (line {frames[0].lineno}: `{frames[0].line}`)" if frames and frames[0].line else ""


def _same(answer: Tensor | str | None, truth: Tensor) -> bool:
    return isinstance(answer, Tensor) and answer.shape == truth.shape and torch.allclose(answer, truth, 1e-4, 1e-4)


def _explain(
    answers: Sequence[Tensor | str],
    wrong: Sequence[int],
    cases: Sequence[Case],
    reference: Callable[[Arguments], Tensor],
    misconceptions: Sequence[Misconception],
) -> tuple[Misconception, ...]:
    """The misconception, or the two, that give these answers in every case; none if there are no such."""
    for mistakes in _one_or_two(misconceptions):
        predicted = [_with_mistakes(mistakes, case.arguments, reference) for case in cases]
        # A mistaken function need not get through every case: where it can't, any failure agrees with it.
        agree = (p is None or _same(a, p) for a, p in zip(answers, predicted, strict=True))
        if all(agree) and any(predicted[n] is not None for n in wrong):
            return mistakes
    return ()


def _one_or_two(misconceptions: Sequence[Misconception]) -> Iterator[tuple[Misconception, ...]]:
    yield from ((mistake,) for mistake in misconceptions)
    yield from combinations(misconceptions, 2)


def _with_mistakes(
    mistakes: Sequence[Misconception], arguments: Arguments, reference: Callable[[Arguments], Tensor]
) -> Tensor | None:
    """What a function with these mistakes puts out; None where it cannot go on."""
    try:
        for mistake in mistakes:
            arguments = mistake.before(arguments)
        output = reference(arguments)
        for mistake in mistakes:
            output = mistake.after(output, arguments)
        return output.double()
    except (IndexError, RuntimeError, ValueError):
        return None


def _describe(answer: Tensor | str, truth: Tensor) -> str:
    """How an answer that no misconception explains differs from the truth."""
    if isinstance(answer, str):
        return answer
    if answer.shape != truth.shape:
        text = f"Your output has shape {tuple(answer.shape)}; it must be {tuple(truth.shape)}."
        if answer.shape == truth.shape[1:]:
            text += " Keep the axis of output channels, also when there is one."
        elif answer.shape == (1, *truth.shape):
            text += " There is no batch here: one image in, one stack of maps out."
        return text
    differs = ~torch.isclose(answer, truth, 1e-4, 1e-4)
    place = tuple(differs.nonzero()[0].tolist())
    return (
        f"The shape is right, but {int(differs.sum())} of {truth.numel()} values are not: "
        f"at {list(place)} yours is {answer[place]:g}, it must be {truth[place]:g}."
    )


def _a(noun: str) -> str:
    return "nothing (None)" if noun == "NoneType" else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
