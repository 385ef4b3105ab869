"""Attribution to the pixels: plain gradient, SmoothGrad, integrated gradients, guided backprop, deconvnet, occlusion.

Each takes `score`, a function from images (N, C, H, W) to one number per image, usually the logit of its target, and
returns signed attributions (N, C, H, W), or (N, H, W) for occlusion. For labels of shape (N,), a score is

>>> score = lambda images: model(images).gather(1, labels[:, None])[:, 0]  # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from course_utils.checks import checked_seed, positive_int

Score = Callable[[Tensor], Tensor]


def gradient(score: Score, images: Tensor) -> Tensor:
    """The gradient of each image's score with respect to its pixels (Simonyan et al. 2014)."""
    x = images.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(score(x).sum(), x, materialize_grads=True)
    return g


def smooth_grad(score: Score, images: Tensor, *, samples: int = 25, noise: float = 0.15, seed: int = 0) -> Tensor:
    """The mean gradient over noisy copies of each image (Smilkov et al. 2017).

    Parameters
    ----------
    samples
        Copies of each image.
    noise
        Standard deviation of the noise, as a share of the image's range (largest minus smallest value).
    seed
        For the noise. All images get the same patterns, so that what comes out does not depend on their number.
    """
    if noise < 0:
        raise ValueError(f"noise must be at least 0, given {noise!r}")
    generator = torch.Generator().manual_seed(checked_seed(seed))
    sigma = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(images)
    for _ in range(positive_int(samples, "samples")):
        pattern = torch.randn(images.shape[1:], generator=generator).to(images)
        total += gradient(score, images + sigma * pattern)
    return total / samples


def integrated_gradients(
    score: Score, images: Tensor, *, baseline: float | Tensor = 0.0, steps: int = 128
) -> tuple[Tensor, Tensor]:
    """Mean gradient on the straight line from a baseline to the image, times the way (Sundararajan et al. 2017).

    Parameters
    ----------
    baseline
        Where the line starts: a value for all pixels or a tensor that fits the images, scaled as they are. 0 is black
        for images that are not normalized, and the mean color for those that are. Pixels equal to it get nothing.
    steps
        Points on the line, each in the middle of its piece.

    Returns
    -------
    attributions, gap
        By the axiom of completeness the attributions of an image sum to score(image) - score(baseline). `gap`, shape
        (N,), is how far they are off, as a share of that difference; it shrinks with more steps.
    """
    steps = positive_int(steps, "steps")
    start = torch.zeros_like(images) + torch.as_tensor(baseline, dtype=images.dtype, device=images.device)
    if start.shape != images.shape:
        raise ValueError(f"baseline must be a number or fit the images {tuple(images.shape)}, given {_shape(baseline)}")
    way = images - start
    total = torch.zeros_like(images)
    for step in range(steps):
        total += gradient(score, start + (step + 0.5) / steps * way)
    attributions = way * total / steps
    with torch.no_grad():
        expected = score(images) - score(start)
    return attributions, (attributions.sum((1, 2, 3)) - expected).abs() / expected.abs()


def guided_backprop(score: Score, images: Tensor) -> Tensor:
    """The gradient, but each ReLU passes on positive gradients of active units only (Springenberg et al. 2014)."""
    return _with_relu_rule(_GuidedReLU, score, images)


def deconvnet(score: Score, images: Tensor) -> Tensor:
    """The gradient, but each ReLU passes on positive gradients, of silent units too (Zeiler and Fergus 2014)."""
    return _with_relu_rule(_DeconvReLU, score, images)


class _GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, ceiling: float) -> Tensor:
        ctx.save_for_backward((x > 0) & (x < ceiling))
        return x.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        (active,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0].clamp(min=0) * active, None


class _DeconvReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, ceiling: float) -> Tensor:
        return x.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].clamp(min=0), None


class _ReluRule(TorchFunctionMode):
    """Puts another rule in the place of every ReLU and ReLU6, be it a module, a function or a method of a tensor."""

    RELUS = (torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu, F.relu_)

    def __init__(self, rule: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.rule, self.calls = rule, 0

    def __torch_function__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        relu6 = func is F.relu6 or (func is F.hardtanh and (kwargs["min_val"], kwargs["max_val"]) == (0, 6))
        if func not in self.RELUS and not relu6:
            return func(*args, **kwargs)
        self.calls += 1
        (x,) = args
        output = self.rule.apply(x, 6.0 if relu6 else math.inf)
        return x.copy_(output) if kwargs.get("inplace") or func.__name__.endswith("_") else output


def _with_relu_rule(rule: type[torch.autograd.Function], score: Score, images: Tensor) -> Tensor:
    with _ReluRule(rule) as replaced:
        attributions = gradient(score, images)
    if not replaced.calls:
        raise ValueError("the model has no ReLU, so this method would be the plain gradient; use method='gradient'")
    return attributions


def occlusion(score: Score, images: Tensor, *, patch: int = 4, stride: int = 2, baseline: float = 0.0) -> Tensor:
    """How far the score drops when a square patch is covered (Zeiler and Fergus 2014), shape (N, H, W).

    Parameters
    ----------
    patch, stride
        Side of the square and its steps, in pixels. The last row and column of squares may hang over the edge. A pixel
        gets the mean drop over the squares that cover it.
    baseline
        What the square is filled with, scaled as the images are.

    Raises
    ------
    ValueError
        If `stride` is larger than `patch`, which would leave pixels that no square covers.
    """
    if positive_int(stride, "stride") > positive_int(patch, "patch"):
        raise ValueError(f"stride must be at most the patch ({patch}), or pixels stay uncovered, given {stride}")
    total, covered = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    with torch.no_grad():
        whole = score(images)
        for square in _squares(images.shape[2], images.shape[3], patch, stride):
            hidden = images.clone()
            hidden[(..., *square)] = baseline
            total[(..., *square)] += (whole - score(hidden))[:, None, None]
            covered[square] += 1
    return total / covered


def _squares(height: int, width: int, patch: int, stride: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each square, as many as it takes to cover every pixel."""
    tops, lefts = (range(0, max(side - patch, 0) + stride, stride) for side in (height, width))
    for top, left in product(tops, lefts):
        yield slice(top, top + patch), slice(left, left + patch)


def _shape(value: object) -> object:
    return tuple(value.shape) if isinstance(value, Tensor) else value
