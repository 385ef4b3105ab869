"""What the survey judges maps on: networks, their randomized copies, images, mosaics, and pairs of photographs."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import data, train
from course_utils import photographs as library
from course_utils.checks import checked_seed, positive_int
from course_utils.device import seed_everything
from course_utils.faithfulness.localize import boxes_to_masks
from course_utils.faithfulness.randomize import cascade, shuffled_labels
from course_utils.models import lenet, pretrained

LITE = "efficientnet-lite0"
PHOTOGRAPHS = tuple(library.EXAMPLES)
RULE = ("guided_backprop", "deconvnet")  # they change what ReLUs pass back


@dataclass(frozen=True)
class Subject:
    """What a network allows: images of any size, hence mosaics, and which methods do not apply to it."""

    any_size: bool
    without: tuple[str, ...] = ()


NETS = {
    "resnet-fashion": Subject(True),
    "nin-fashion": Subject(True),
    "vgg-fashion": Subject(False, ("cam",)),
    "lenet-fashion": Subject(False, ("cam", *RULE)),  # sigmoids
    LITE: Subject(True),
}


@functools.cache
def net(name: str) -> nn.Module:
    """One of `NETS`, in evaluation mode."""
    return library.efficientnet_lite0().net if name == LITE else pretrained(name)


@functools.cache
def randomized(name: str, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """Copies of a net in which the output layer is random, and all layers are."""
    steps = cascade(net(name), seed)
    _, first = next(steps)
    last = first
    for _, last in steps:  # noqa: B007, only the last one is wanted
        pass
    return first, last


@functools.cache
def label_nets(images: int = 1000, epochs: int = 60) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Three LeNets with ReLUs: trained on true labels with seeds 0 and 1, and on shuffled labels with seed 1.

    The second differs from the first by its seed only; what its maps have less in common with the first one's than the
    third's have, the labels have done.
    """
    split = data.load("fashion-mnist").train[:images]
    shuffled = replace(split, labels=shuffled_labels(split.labels, seed=1))
    nets = []
    for seed, some in ((0, split), (1, split), (1, shuffled)):
        seed_everything(seed)
        model = lenet(conv_activation="relu", dense_activation="relu", pooling="max")
        settings: dict[str, Any] = dict(
            epochs=epochs, batch_size=50, lr=0.001, optimizer="adam", device="cpu", progress=False
        )
        train.fit(model, some, seed=seed, **settings)
        nets.append(model.eval())
    return nets[0], nets[1], nets[2]


@functools.cache
def pictures(name: str, group: str, n: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Images, classes to ask for (None: the predicted ones), and masks of the right places for pointing."""
    if name == LITE:
        return photograph_pairs() if group == "pointing" else (photographs(), None, None)
    test = data.load("fashion-mnist").test
    if group != "pointing":
        return test.images[:n] / 255, None, None
    return mosaics(net(name), test, n)


def mosaics(model: nn.Module, split: data.Split, n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images that are two by two others of four classes; the network is asked for one class and must find its place.

    Only images that the model classifies correctly take part. The asked-for quadrant goes round: upper left, upper
    right, lower left, lower right.

    Parameters
    ----------
    model
        Takes images of any size, and is asked about single images first.
    split
        Where the images are taken from; the first 40 n are looked at.
    n
        Number of mosaics.
    seed
        For the choice.

    Returns
    -------
    images, targets, masks
        Shapes (n, 1, 2 H, 2 W) from 0 to 1, (n,), and (n, 2 H, 2 W), true in the quadrant asked for.
    """
    n = positive_int(n, "n")
    images, labels = split.images[: 40 * n] / 255, split.labels[: 40 * n]
    with torch.no_grad():
        right = torch.cat([model(chunk).argmax(1) for chunk in images.split(256)]) == labels
    images, labels = images[right], labels[right]
    generator = torch.Generator().manual_seed(checked_seed(seed))
    height, width = images.shape[2:]
    made, targets, boxes = [], [], []
    for i in range(n):
        four = torch.randperm(split.classes, generator=generator)[:4]
        picked = []
        for label in four:
            those = (labels == label).nonzero()[:, 0]
            picked.append(images[those[torch.randint(len(those), (1,), generator=generator)]][0])
        made.append(torch.cat([torch.cat(picked[:2], 2), torch.cat(picked[2:], 2)], 1))
        row, column = divmod(i % 4, 2)
        targets.append(int(four[i % 4]))
        boxes.append((column * width, row * height, (column + 1) * width, (row + 1) * height))
    return torch.stack(made), torch.tensor(targets), boxes_to_masks(boxes, (2 * height, 2 * width))


@functools.cache
def photographs() -> Tensor:
    """The seven photographs that come with scikit-image and scikit-learn, as EfficientNet-Lite0 sees them."""
    return library.efficientnet_lite0().prepare([library.example(name) for name in PHOTOGRAPHS])


@functools.cache
def photograph_pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Each photograph beside the next: asked for the left one's class, then for the right one's.

    The class of a photograph is what the network takes it for when it stands alone.
    """
    model = library.efficientnet_lite0()
    with torch.no_grad():
        alone = model.net(photographs()).argmax(1)
    neighbors = zip(PHOTOGRAPHS, (*PHOTOGRAPHS[1:], PHOTOGRAPHS[0]), strict=True)
    shown = model.prepare([library.side_by_side(library.example(a), library.example(b)) for a, b in neighbors])
    half, top = library.SIZE // 2, (library.SIZE + library.MARGIN) // 4 - library.MARGIN // 2
    boxes = [(0, top, half, library.SIZE - top)] * len(shown) + [(half, top, 2 * half, library.SIZE - top)] * len(shown)
    return torch.cat([shown, shown]), torch.cat([alone, alone.roll(-1)]), boxes_to_masks(boxes, (2 * half, 2 * half))


def by_photograph(values: np.ndarray) -> np.ndarray:
    """From 14 values of `photograph_pairs` to seven: the mean of a photograph on the left and on the right."""
    left, right = np.split(np.asarray(values), 2)
    return (left + np.roll(right, 1)) / 2
