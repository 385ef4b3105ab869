"""Measure `explain` against the grad-cam library called image by image: ``python benchmarks/attribution.py``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils import data
from course_utils.attribution import explain

ROUNDS = 7
IMAGES = 64
LEAST = 5.0


def network() -> nn.Module:
    """A small network of convolutions with global average pooling, as the course uses on Fashion-MNIST."""

    def block(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
        convolution = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())

    torch.manual_seed(0)
    features = nn.Sequential(block(1, 16, 1), block(16, 32, 2), block(32, 64, 2))
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def explain_vs_library(rounds: int = ROUNDS, images: Tensor | None = None) -> float:
    """How many times faster one call of `explain` makes Grad-CAM maps of 64 images than 64 calls of the library do.

    The library has its object made beforehand and keeps it; both get the targets. The median of so many rounds, in
    alternation. Prints and returns the ratio.
    """
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    if images is None:
        images = data.load("fashion-mnist").test.images[:IMAGES] / 255
    model = network()
    targets = model(images).argmax(1).tolist()
    library = GradCAM(model, [model[0]])

    def one_by_one() -> None:
        for image, target in zip(images, targets, strict=True):
            library(image[None], [ClassifierOutputTarget(target)])

    def at_once() -> None:
        explain(model, images, targets, batch_size=len(images))

    contestants = {"explain": at_once, "grad-cam": one_by_one}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for work in contestants.values():
        work()  # the first call of each warms up
    for _ in range(rounds):
        for name, work in contestants.items():
            times[name].append(seconds(work))
    took = {name: statistics.median(values) for name, values in times.items()}
    ratio = took["grad-cam"] / took["explain"]
    print(f"Grad-CAM of {len(images)} Fashion-MNIST images, median of {rounds}")
    for name, value in took.items():
        print(f"{name:12}{value * 1e3:>8.1f} ms")
    print(f"explain is {ratio:.1f} times faster than grad-cam image by image (wanted: {LEAST:.0f})")
    return ratio


if __name__ == "__main__":
    explain_vs_library()
