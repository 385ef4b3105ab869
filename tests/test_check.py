"""The exercises' judge: right functions pass, each mistake is named, and nothing that a reader writes raises."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from course_utils import check, judge
from course_utils.exercises import EXERCISES

pytestmark = pytest.mark.usefixtures("one_thread")


def conv(image, kernel, bias, stride, padding):
    """What a reader who has understood writes."""
    image = F.pad(image, [padding] * 4)
    k = kernel.shape[-1]
    height, width = ((side - k) // stride + 1 for side in image.shape[1:])
    output = torch.zeros(len(kernel), height, width)
    for c in range(len(kernel)):
        for i in range(height):
            for j in range(width):
                patch = image[:, i * stride : i * stride + k, j * stride : j * stride + k]
                output[c, i, j] = (patch * kernel[c]).sum() + bias[c]
    return output


def as_matrix(image, kernel, bias, stride, padding):
    patches = F.unfold(image[None], kernel.shape[-1], padding=padding, stride=stride)[0]
    height = (image.shape[1] + 2 * padding - kernel.shape[-1]) // stride + 1
    return (kernel.flatten(1) @ patches + bias[:, None]).reshape(len(kernel), height, -1)


class Conv:
    def __call__(self, image, kernel, bias, stride=1, padding=0):
        return F.conv2d(image[None].double(), kernel.double(), bias.double(), stride, padding)[0]


@pytest.mark.parametrize("function", [conv, as_matrix, Conv(), lambda *arguments: conv(*arguments).requires_grad_()])
def test_right_functions_are_right(function):
    feedback = check.conv2d(function)
    assert feedback.right
    assert feedback.misconceptions == ()
    assert str(feedback) == f"Right, in all {len(check.CONV2D_CASES)} cases."


# Mistakes, as readers write them.


def off_by_one(image, kernel, bias, stride, padding):
    image = F.pad(image, [padding] * 4)
    k = kernel.shape[-1]
    rows, columns = (range(0, side - k, stride) for side in image.shape[1:])
    output = torch.zeros(len(kernel), len(rows), len(columns))
    for c in range(len(kernel)):
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                output[c, i, j] = (image[:, top : top + k, left : left + k] * kernel[c]).sum() + bias[c]
    return output


def one_map_per_channel(image, kernel, bias, stride, padding):
    maps = [
        torch.stack([conv(image[[c]], kernel[[o]][:, [c]], bias[[o]], stride, padding)[0] for c in range(len(image))])
        for o in range(len(kernel))
    ]
    return torch.stack(maps)


def overwritten(image, kernel, bias, stride, padding):
    for c in range(len(image)):
        output = conv(image[[c]], kernel[:, [c]], bias, stride, padding)
    return output


def biased_in_the_loop(image, kernel, bias, stride, padding):
    return sum(conv(image[[c]], kernel[:, [c]], bias, stride, padding) for c in range(len(image)))


def averaged(image, kernel, bias, stride, padding):
    return conv(image, kernel / kernel[0].numel(), bias, stride, padding)


def input_first(image, kernel, bias, stride, padding):
    """Reads the kernel as (C_in, C_out, k, k), and fails where that cannot be."""
    if kernel.shape[:2] != (len(image), len(bias)):
        raise IndexError("index 1 is out of bounds")
    return conv(image, kernel.transpose(0, 1), bias, stride, padding)


def padded(edges):
    def function(image, kernel, bias, stride, padding):
        return conv(F.pad(image, [edge * padding for edge in edges]), kernel, bias, stride, 0)

    return function


MISTAKES = {
    "flipped kernel": [lambda x, w, b, s, p: conv(x, w.flip(-1, -2), b, s, p)],
    "transposed kernel": [lambda x, w, b, s, p: conv(x, w.mT, b, s, p)],
    "transposed output": [lambda x, w, b, s, p: conv(x, w, b, s, p).mT],
    "off by one": [off_by_one, lambda x, w, b, s, p: conv(x, w, b, s, p)[:, :-1, :-1]],
    "forgotten bias": [lambda x, w, b, s, p: conv(x, w, torch.zeros_like(b), s, p)],
    "bias once per input channel": [biased_in_the_loop],
    "stride and padding mixed up": [lambda x, w, b, p, s: conv(x, w, b, s, p)],
    "stride ignored": [lambda x, w, b, s, p: conv(x, w, b, 1, p)],
    "padding ignored": [lambda x, w, b, s, p: conv(x, w, b, s, 0)],
    "padding not on all sides": [padded(e) for e in [(1, 0, 1, 0), (0, 1, 0, 1), (1, 1, 0, 0), (0, 0, 1, 1)]],
    "first channel only": [lambda x, w, b, s, p: conv(x[:1], w[:, :1], b, s, p)],
    "last channel only": [overwritten],
    "channels not summed": [one_map_per_channel],
    "channels in the wrong order": [lambda x, w, b, s, p: conv(x.flip(0), w, b, s, p)],
    "kernel axes exchanged": [input_first],
    "mean instead of sum": [averaged],
}


def test_every_misconception_has_a_mistake():
    assert set(MISTAKES) == {mistake.name for mistake in check.CONV2D_MISCONCEPTIONS}


@pytest.mark.parametrize(
    ("name", "function"), [(name, function) for name, functions in MISTAKES.items() for function in functions]
)
def test_each_mistake_is_named(name, function):
    feedback = check.conv2d(function)
    assert not feedback.right
    assert feedback.misconceptions == (name,)
    assert str(feedback).startswith("Not yet. ")
    assert "is the first case that goes wrong" in str(feedback)


def test_misconceptions_can_be_told_apart():
    outputs = []
    for mistake in check.CONV2D_MISCONCEPTIONS:
        mistaken = [judge._with_mistakes([mistake], c.arguments, check._conv2d_reference) for c in check.CONV2D_CASES]
        truths = [check._conv2d_reference(case.arguments) for case in check.CONV2D_CASES]
        assert not all(m is None or judge._same(m, t) for m, t in zip(mistaken, truths, strict=True)), mistake.name
        outputs.append(mistaken)
    for one, other in combinations(outputs, 2):
        both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        assert not all(judge._same(a, b) for a, b in both)


def test_two_mistakes_at_once_are_both_named():
    feedback = check.conv2d(lambda x, w, b, s, p: conv(x, w.flip(2, 3), 0 * b, s, p))
    assert set(feedback.misconceptions) == {"flipped kernel", "forgotten bias"}
    assert "two things at once" in str(feedback)
    assert "(1)" in str(feedback)
    assert "(2)" in str(feedback)


def mutating(image, kernel, bias, stride, padding):
    output = conv(image, kernel, bias, stride, padding)
    image += 1
    return output


def raising(image, kernel, bias, stride, padding):
    raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (None, "Give the function itself"),
        (torch.zeros(3), "Give the function itself"),
        (lambda image: image, "in this order: (image, kernel, bias, stride, padding)"),
        (lambda *arguments: None, "returns nothing (None); a torch.Tensor is wanted. Is there a `return`"),
        (lambda *arguments: conv(*arguments).numpy(), "a ndarray; a torch.Tensor is wanted."),
        (lambda *arguments: conv(*arguments).tolist(), "a list"),
        (lambda *arguments: 1, "an int"),
        (raising, "raises KeyError: 'no such thing' (line "),
        (lambda *arguments: conv(*arguments)[0], "Keep the axis of output channels"),
        (lambda *arguments: conv(*arguments)[None], "There is no batch here"),
        (lambda *arguments: torch.zeros(7), "has shape (7,); it must be (1, 3, 4)."),
        (lambda *arguments: conv(*arguments) * float("nan"), "12 of 12 values are not: at [0, 0, 0] yours is nan"),
        (lambda *arguments: conv(*arguments) + 1, "The shape is right, but 12 of 12 values are not"),
        (mutating, "your function changes its `image`"),
        (lambda *arguments: conv(*arguments).bool(), "The shape is right"),
    ],
)
def test_other_wrong_answers_get_a_clear_message(function, part):
    feedback = check.conv2d(function)
    assert not feedback.right
    assert feedback.misconceptions == ()
    assert part in str(feedback)


def test_what_is_right_so_far_is_said():
    def only_easy_cases(image, kernel, bias, stride, padding):
        if padding:
            raise ValueError("not yet")
        return conv(image, kernel, bias, stride, padding)

    message = str(check.conv2d(only_easy_cases))
    assert "Padding 1 is the first case that goes wrong. It raises ValueError: not yet" in message
    assert "Right so far: one channel, kernel 3 x 3; a bias of 5; " in message


def test_a_built_in_function_without_signature_is_judged():
    assert not check.conv2d(min).right


def test_the_cases_do_not_change_from_call_to_call():
    before = [case.arguments["image"].clone() for case in check.CONV2D_CASES]
    check.conv2d(mutating)
    assert all(torch.equal(a, c.arguments["image"]) for a, c in zip(before, check.CONV2D_CASES, strict=True))


def test_a_new_exercise_needs_cases_a_reference_and_misconceptions():
    cases = [judge.Case("28 pixels", dict(n=28, k=5)), judge.Case("5 pixels", dict(n=5, k=5))]
    forgotten = judge.Misconception("plus one", "Add 1.", after=lambda output, arguments: output - 1)

    def ask(function):
        return judge.judge(function, cases, lambda a: torch.tensor(a["n"] - a["k"] + 1.0), [forgotten])

    assert ask(lambda n, k: torch.tensor(n - k + 1)).right
    assert ask(lambda n, k: torch.tensor(n - k)).misconceptions == ("plus one",)


def test_names_of_cases_are_unique():
    assert max(Counter(case.label for case in check.CONV2D_CASES).values()) == 1


@pytest.mark.parametrize("name", EXERCISES)
def test_numbers_are_judged_and_each_slip_is_named(name):
    exercise = EXERCISES[name]
    right = check.number(name, exercise.answer())
    assert right.right
    assert str(right) == f"Right. {exercise.why}"
    for slip in exercise.slips:
        feedback = check.number(name, slip.value())
        assert not feedback.right
        assert feedback.misconceptions == (slip.name,)
        assert str(feedback) == f"Not yet. {slip.message}"


@pytest.mark.parametrize("name", EXERCISES)
def test_answer_and_slips_can_be_told_apart(name):
    exercise = EXERCISES[name]
    numbers = [exercise.answer(), *(slip.value() for slip in exercise.slips)]
    assert not [pair for pair in combinations(numbers, 2) if exercise.agrees(*pair)]
    assert len({slip.name for slip in exercise.slips}) == len(exercise.slips) >= 3


# By hand, so that a change of the package cannot change a question's answer without a word.
ANSWERS = {
    "output size": 19,
    "convolution parameters": 12_832,
    "receptive field": 13,
    "multiply-adds": 153_600,
    "lenet in color": 62_006,
    "flattened": 576,
    "stack of three": 55.102,
    "reduced branch": 14.5,
    "batch-normalized": 73_984,
    "four sigmoids": 256,
    "loss floor": 3.6222,
    "standard error": 0.003,
    "logit from CAM": 3,
    "CAM over Grad-CAM": 64,
}


def test_the_answers_are_those_worked_out_by_hand():
    assert {name: exercise.answer() for name, exercise in EXERCISES.items()} == pytest.approx(ANSWERS, rel=1e-4)


def test_an_attempt_near_a_rounded_answer_is_right():
    assert check.number("stack of three", 55).right
    assert check.number("loss floor", 3.62).right
    assert not check.number("output size", 19.001).right


@pytest.mark.parametrize("attempt", [19, 19.0, torch.tensor(19), torch.tensor([[19.0]]), np.int64(19)])
def test_whatever_holds_the_number_will_do(attempt):
    assert check.number("output size", attempt).right


@pytest.mark.parametrize(
    ("attempt", "part"),
    [
        (None, "this is nothing (None)."),
        (..., "this is an ellipsis."),
        (True, "this is a bool."),
        ("19", "this is a str."),
        ((19, 19), "this is a tuple."),
        (float("nan"), "this is a float."),
        (torch.ones(2), "this is a Tensor."),
        (1, "1 is too small, and none of the slips"),
        (1000.5, "1,000.5 is too large, and none of the slips"),
    ],
)
def test_other_attempts_get_a_clear_message(attempt, part):
    feedback = check.number("output size", attempt)
    assert not feedback.right
    assert feedback.misconceptions == ()
    assert part in str(feedback)


def test_an_unknown_exercise_lists_those_that_there_are():
    with pytest.raises(ValueError, match="'output size', 'convolution parameters'"):
        check.number("output shape", 19)
