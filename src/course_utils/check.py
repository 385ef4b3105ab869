"""Self-checking exercises: give your function, and read whether it is right or what the mistake may be.

>>> print(conv2d(lambda image, kernel, bias, stride, padding: image))  # doctest: +ELLIPSIS
Not yet. One channel, kernel 3 x 3 is the first case that goes wrong. ...
>>> print(number("output size", 20))
Not yet. You rounded up. A last step that does not fit whole is not made: the formula rounds down.

`number` judges the exercises of `course_utils.exercises`. An exercise that asks for code is a function of one argument
that returns a `course_utils.judge.Feedback`, with cases, reference and misconceptions of its own beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.checks import choose
from course_utils.exercises import EXERCISES
from course_utils.judge import Arguments, Case, Feedback, Misconception, judge, judge_number


def _conv2d_case(label: str, channels: tuple[int, int], size: tuple[int, int, int], **settings: int) -> Case:
    """Small whole numbers, the same in every session; `size` is height and width of the image, side of the kernel."""
    (maps_in, maps_out), (height, width, k) = channels, size
    generator = torch.Generator().manual_seed(sum(map(ord, label)))

    def whole(*shape: int) -> Tensor:
        return torch.randint(-4, 5, shape, generator=generator).float()

    bias = torch.full((maps_out,), float(settings.get("bias", 0))) + torch.arange(maps_out) * 2
    arguments = dict(image=whole(maps_in, height, width), kernel=whole(maps_out, maps_in, k, k), bias=bias)
    return Case(label, arguments | dict(stride=settings.get("stride", 1), padding=settings.get("padding", 0)))


CONV2D_CASES = (
    _conv2d_case("one channel, kernel 3 x 3", (1, 1), (5, 6, 3)),
    _conv2d_case("a bias of 5", (1, 1), (5, 6, 3), bias=5),
    _conv2d_case("a kernel of side 2", (1, 1), (4, 6, 2)),
    _conv2d_case("three input channels", (3, 1), (5, 6, 3), bias=1),
    _conv2d_case("two channels in, two out", (2, 2), (5, 6, 3), bias=1),
    _conv2d_case("stride 2", (1, 1), (7, 9, 3), stride=2),
    _conv2d_case("stride 2 that does not use the last row", (1, 1), (6, 9, 3), stride=2),
    _conv2d_case("padding 1", (1, 1), (5, 6, 3), padding=1),
    _conv2d_case("stride 1 with padding 2", (1, 1), (5, 6, 3), padding=2),
    _conv2d_case("stride 2 with padding 1, two channels", (2, 3), (7, 8, 3), stride=2, padding=1, bias=1),
)


def _conv2d_reference(a: Arguments) -> Tensor:
    image, kernel, bias = (a[name].double() for name in ("image", "kernel", "bias"))
    return F.conv2d(image[None], kernel, bias, a["stride"], a["padding"])[0]


def _last_place_missing(output: Tensor, a: Arguments) -> Tensor:
    """What `range(0, n + 2p - k, s)` visits."""
    last = [side + 2 * a["padding"] - a["kernel"].shape[-1] for side in a["image"].shape[1:]]
    return output[:, : -(-last[0] // a["stride"]), : -(-last[1] // a["stride"])]


def _unsummed(output: Tensor, a: Arguments) -> Tensor:
    maps = range(len(a["image"]))
    one = [_conv2d_reference(a | dict(image=a["image"][[c]], kernel=a["kernel"][:, [c]])) for c in maps]
    return torch.stack(one, dim=1)


def _change(**changes: Callable[[Arguments], Any]) -> Callable[[Arguments], Arguments]:
    return lambda a: a | {name: change(a) for name, change in changes.items()}


def _pad(*edges: int) -> Callable[[Arguments], Arguments]:
    """Pad the edges marked 1, in the order left, right, top, bottom."""
    return _change(image=lambda a: F.pad(a["image"], [edge * a["padding"] for edge in edges]), padding=lambda a: 0)


_OFF_BY_ONE = (
    "Your output ends one place too early: n - k + 1 windows of side k fit into n pixels (at stride 1), not n - k."
)
_PADDING = "The padding is not on all four sides: it adds rows at the top and the bottom and columns left and right."

CONV2D_MISCONCEPTIONS = (
    Misconception(
        "flipped kernel",
        "Your kernel is flipped. That is the convolution of mathematics; networks multiply the patch and the kernel as "
        "they lie on each other.",
        _change(kernel=lambda a: a["kernel"].flip(2, 3)),
    ),
    Misconception(
        "transposed kernel",
        "Your kernel is transposed. Its last two axes are row and column, as in the image: row u goes with i + u.",
        _change(kernel=lambda a: a["kernel"].transpose(2, 3)),
    ),
    Misconception(
        "transposed output",
        "Rows and columns of your output are exchanged. The first index after the channel counts rows, from the top.",
        after=lambda output, a: output.transpose(1, 2),
    ),
    Misconception("off by one", _OFF_BY_ONE, after=lambda output, a: output[:, :-1, :-1]),
    Misconception("off by one", _OFF_BY_ONE, after=_last_place_missing),
    Misconception(
        "forgotten bias",
        "The bias is missing: each output map gets its bias added at every place.",
        _change(bias=lambda a: 0 * a["bias"]),
    ),
    Misconception(
        "bias once per input channel",
        "The bias is added once for each input channel. It belongs to the output map: add it once, after the sum.",
        _change(bias=lambda a: len(a["image"]) * a["bias"]),
    ),
    Misconception(
        "stride and padding mixed up",
        "Stride and padding are exchanged: they arrive in the order stride, padding.",
        _change(stride=lambda a: a["padding"], padding=lambda a: a["stride"]),
    ),
    Misconception(
        "stride ignored",
        "The stride has no effect: the window must move `stride` pixels between neighboring outputs.",
        _change(stride=lambda a: 1),
    ),
    Misconception(
        "padding ignored",
        "The padding has no effect: put `padding` rows and columns of zeros around the image first.",
        _change(padding=lambda a: 0),
    ),
    *(
        Misconception("padding not on all sides", _PADDING, _pad(*edges))
        for edges in [(1, 0, 1, 0), (0, 1, 0, 1), (1, 1, 0, 0), (0, 0, 1, 1)]
    ),
    Misconception(
        "first channel only",
        "Only the first input channel counts. Each channel has its part of the kernel; the products of all are added.",
        _change(image=lambda a: a["image"][:1], kernel=lambda a: a["kernel"][:, :1]),
    ),
    Misconception(
        "last channel only",
        "Only the last input channel counts: each channel overwrites the sum of those before. Add with `+=`.",
        _change(image=lambda a: a["image"][-1:], kernel=lambda a: a["kernel"][:, -1:]),
    ),
    Misconception(
        "channels not summed",
        "The input channels are not summed: an output map is one plane, the sum over all channels of the image.",
        after=_unsummed,
    ),
    Misconception(
        "channels in the wrong order",
        "The input channels are in the wrong order: channel c of the image goes with `kernel[:, c]`.",
        _change(image=lambda a: a["image"].flip(0)),
    ),
    Misconception(
        "kernel axes exchanged",
        "The first two axes of the kernel are exchanged. Their order is output channel, input channel.",
        _change(kernel=lambda a: a["kernel"].transpose(0, 1)),
    ),
    Misconception(
        "mean instead of sum",
        "You take the mean of the products. A convolution takes their sum.",
        _change(kernel=lambda a: a["kernel"] / a["kernel"][0].numel()),
    ),
)


def conv2d(function: object) -> Feedback:
    """Judge a convolution of one image, written by a reader.

    Parameters
    ----------
    function
        Takes, by position, `image` (C_in, H, W), `kernel` (C_out, C_in, k, k), `bias` (C_out,), `stride` and
        `padding`, integers, and returns a tensor (C_out, H', W'): what `torch.nn.functional.conv2d` gives for one
        image.

    Returns
    -------
    Feedback
        Print it, or ask its `right`. A wrong or failing function gives a message, never an exception.
    """
    return judge(function, CONV2D_CASES, _conv2d_reference, CONV2D_MISCONCEPTIONS)


def number(name: str, attempt: object) -> Feedback:
    """Judge the answer to an exercise that asks for a number.

    Parameters
    ----------
    name
        Such as "output size"; `course_utils.exercises.EXERCISES` has all, with their questions.
    attempt
        An int or a float, or an array or tensor that holds one number.

    Returns
    -------
    Feedback
        If the number is that of a known slip, its message says which. An attempt that is no number gives a message,
        never an exception.

    Raises
    ------
    ValueError
        If there is no exercise of that name.
    """
    return judge_number(attempt, choose(EXERCISES, name, "exercise"))
