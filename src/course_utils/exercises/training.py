"""Exercises about gradients, losses, accuracies and class activation maps."""

from __future__ import annotations

import math

import torch
from scipy import stats as scipy_stats

from course_utils import clinic
from course_utils.attribution import formulas
from course_utils.exercises.forms import Exercise, Slip


def _sigmoid_slope() -> float:
    at = torch.zeros((), requires_grad=True)
    torch.sigmoid(at).backward()
    assert at.grad is not None
    return float(at.grad)


def _cam_logit() -> float:
    maps = formulas.cam(torch.tensor([[[[2.0, 6.0]], [[4.0, 0.0]]]]), torch.tensor([[1.0, -1.0]]))
    return float(maps.mean()) + 1


def _cam_over_grad_cam() -> float:
    """How many times larger CAM is than Grad-CAM before global average pooling, on maps of 8 x 8."""
    maps = torch.arange(5 * 64.0).view(1, 5, 8, 8).requires_grad_()
    weights = torch.arange(1.0, 6)
    (gradient,) = torch.autograd.grad((maps.mean((2, 3)) @ weights).sum(), maps)
    ratio = formulas.cam(maps, weights[None]) / formulas.grad_cam(maps, gradient)
    return float(ratio.detach().mean().round(decimals=3))


TRAINING: dict[str, Exercise] = {
    "four sigmoids": Exercise(
        "On one path from the output back to C1 the gradient passes four sigmoids. By what factor, at least, do their "
        "slopes shorten it?",
        lambda: 1 / _sigmoid_slope() ** 4,
        "A sigmoid's slope is 1/4 at most, at zero, and (1/4)⁴ is 1/256.",
        (
            Slip(
                "added",
                lambda: 16,
                "You added the four factors of 4 (or took slopes of 1/2). Along a path slopes "
                "multiply, and the steepest slope is 1/4.",
            ),
            Slip("one sigmoid", lambda: 4, "That is one sigmoid. There are four in a row."),
            Slip("slope of tanh", lambda: 1, "That would be tanh, whose slope reaches 1. A sigmoid's does not."),
            Slip("three sigmoids", lambda: 64, "That is three. After C1, C3, F5 and F6 there is a sigmoid each."),
        ),
    ),
    "loss floor": Exercise(
        "A network for 100 classes ends in a softmax and is trained with `F.cross_entropy`, which applies softmax "
        "again. Below which loss, in nats, can it never fall? Two decimals will do.",
        lambda: clinic.loss_floor(1, classes=100),
        "At best the right class has output 1 and 99 others have 0: ln(e + 99) - 1.",
        (
            Slip(
                "loss of guessing",
                lambda: math.log(100),
                "That is ln 100, the loss of guessing, where it starts. It gets a little below.",
            ),
            Slip("ten classes", lambda: clinic.loss_floor(1), "That is the floor for ten classes."),
            Slip(
                "no floor",
                lambda: 0,
                "With one softmax a perfect network comes near 0. With two, the right class "
                "gets e out of e + 99 at best.",
            ),
            Slip(
                "minus one forgotten",
                lambda: math.log(math.e + 99),
                "Nearly: the right class's own output, 1, is still to be subtracted.",
            ),
        ),
        unit="nats",
        tolerance=0.002,
    ),
    "standard error": Exercise(
        "A network names 90 % of 10,000 test images correctly. What is the standard error of this accuracy that comes "
        "from the sample of images, as a fraction?",
        lambda: float(scipy_stats.binom(10_000, 0.9).std()) / 10_000,
        "The square root of 0.9 · 0.1 / 10,000.",
        (
            Slip(
                "root of n forgotten",
                lambda: 0.3 / 10_000,
                "You divided by n. The variance is divided by n, so the error by its root, 100.",
            ),
            Slip("interval", lambda: 1.96 * 0.003, "That is half of the 95 % interval, about two standard errors."),
            Slip("variance", lambda: 0.09 / 10_000, "That is the variance. Take its square root."),
            Slip("p forgotten", lambda: 0.01, "That is 1 / √n. An image contributes p (1 - p), which is less than 1."),
        ),
        tolerance=0.02,
    ),
    "logit from CAM": Exercise(
        "The last two maps have two places each, (2, 6) and (4, 0). The linear layer behind global average pooling "
        "has the weights 1 and -1 and the bias 1 for a class. What is the logit of the class?",
        _cam_logit,
        "The class activation map is (2 - 4, 6 - 0) = (-2, 6). Its mean is 2, and with the bias of 1 the logit is 3.",
        (
            Slip("bias forgotten", lambda: 2, "The mean of the map is right, but the logit is the mean plus the bias."),
            Slip("sum instead of mean", lambda: 5, "You added the places up. The pooling takes their mean."),
            Slip(
                "negative places dropped",
                lambda: 4,
                "You cut off the negative place first, as the pictures do. The logit counts it.",
            ),
            Slip("sign lost", lambda: 7, "You added the second map. Its weight is -1: it speaks against the class."),
        ),
    ),
    "CAM over Grad-CAM": Exercise(
        "A network ends in 512 maps of 8 x 8, global average pooling and one linear layer. By what number is its CAM "
        "larger than its Grad-CAM at these maps, before both are scaled to [0, 1]?",
        _cam_over_grad_cam,
        "The gradient at each place is the weight divided by the number of places, 8 · 8, and its mean is the same.",
        (
            Slip("side", lambda: 8, "That is the side of a map. The pooling divides by all its places."),
            Slip(
                "equal",
                lambda: 1,
                "They are equal after scaling. Before it, the mean over the places has left its "
                "divisor in the gradient.",
            ),
            Slip(
                "channels",
                lambda: 512,
                "The number of channels does not enter: each channel's weight has its own gradient.",
            ),
            Slip(
                "places and channels",
                lambda: 512 * 64,
                "The mean is taken over the places of one map, so only their number counts.",
            ),
        ),
    ),
}
