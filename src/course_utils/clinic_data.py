"""The checks of `course_utils.clinic` that look at nothing but images and labels, and what every check returns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

SIGMAS = 4.0  # standard deviations of chance that a statistic may lie from its expectation
LARGEST_SHIFT = 0.1  # of mean or standard deviation, between training and test pixels
LARGEST_OVERLAP = 0.001  # a few twins may be the data set's own: the first files of Fashion-MNIST had 10 in 10,000

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes
    ----------
    check
        Short name of the check.
    healthy
        Whether the number is what a healthy training gives.
    sentence
        The result in words, with the number and what it is compared with.
    measured
        The number.
    """

    check: str
    healthy: bool
    sentence: str
    measured: float

    def __str__(self) -> str:
        return f"{self.check}: {'healthy' if self.healthy else 'SICK'}. {self.sentence}"


def check_order(batches: Iterable[Batch]) -> Finding:
    """Ask whether the labels come in a random order.

    In random order two neighbors have the same label about as often as two images drawn at random. The number of runs
    of equal labels has a known mean and variance (Mood 1940), so its deviation can be given in standard deviations.

    Parameters
    ----------
    batches
        One epoch of `(x, y)`, in the order in which the training sees them.

    Returns
    -------
    Finding
        `measured` is the share of neighbors with equal labels.

    Raises
    ------
    ValueError
        If there are fewer than 20 labels, or all are the same.
    """
    labels = torch.cat([y.cpu() for _, y in batches])
    enough(labels, 20, "labels")
    n = len(labels)
    counts = labels.bincount().double()
    if counts.count_nonzero() < 2:
        raise ValueError("the order of labels means nothing where all are the same")
    squares, cubes = float((counts**2).sum()), float((counts**3).sum())
    expected = (squares - n) / (n * (n - 1))
    variance = (squares * (squares + n * (n + 1)) - 2 * n * cubes - n**3) / (n**2 * (n - 1))
    share = float((labels[1:] == labels[:-1]).double().mean())
    healthy = share <= expected + SIGMAS * math.sqrt(variance) / (n - 1)
    said = f"{share:.1%} of neighbors have the same label; random order gives {expected:.1%}."
    return Finding("order", healthy, said, share)


def check_normalization(train_x: Tensor, test_x: Tensor) -> Finding:
    """Ask whether training and test images have gone through the same arithmetic.

    If test pixels are `a` times what they should be plus `b`, then `a` is the ratio of the standard deviations (each
    pixel's over the images, averaged over pixels as a variance), and `b` follows from the means.

    Parameters
    ----------
    train_x, test_x
        Images as the model sees them in training and in evaluation, shape (N, C, H, W). From 200 images of each, drawn
        alike, a sound `a` comes out within 0.1 of 1.

    Returns
    -------
    Finding
        `measured` is `a`.

    Raises
    ------
    ValueError
        If the images differ in shape, there are fewer than 20 of either, or the training images are all the same.
    """
    enough(train_x, 20, "train_x")
    enough(test_x, 20, "test_x")
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(f"images must have one shape, given {tuple(train_x.shape[1:])} and {tuple(test_x.shape[1:])}")
    (train_mean, train_sd), (test_mean, test_sd) = (
        (float(x.double().mean()), math.sqrt(float(x.double().var(0).mean()))) for x in (train_x.cpu(), test_x.cpu())
    )
    if train_sd == 0:
        raise ValueError("train_x must hold different images, given copies of one")
    a = test_sd / train_sd
    b = test_mean - a * train_mean
    healthy = abs(a - 1) <= LARGEST_SHIFT and abs(test_mean - train_mean) <= LARGEST_SHIFT * train_sd
    return Finding("normalization", healthy, f"Test pixels are {a:.3f} times training pixels plus {b:+.3f}.", a)


def check_labels(x: Tensor, y: Tensor) -> Finding:
    """Ask whether the labels have anything to do with the images.

    The simplest classifier that can fail is asked: half of the images, drawn at random, give each class a mean image;
    each image of the other half gets the class of the nearest mean.

    Parameters
    ----------
    x, y
        Training images (N, C, H, W) and their labels (N,), as the training uses them.

    Returns
    -------
    Finding
        `measured` is the accuracy on the second half.

    Raises
    ------
    ValueError
        If there are fewer than 100 images, or not one label each.
    """
    enough(x, 100, "x")
    if y.shape != x.shape[:1]:
        raise ValueError(f"there must be one label for each image, given {len(x)} images and labels {tuple(y.shape)}")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    pixels, labels = x.cpu().float().flatten(1)[order], y.cpu()[order]
    half = len(x) // 2
    known = labels[:half].unique()
    means = torch.stack([pixels[:half][labels[:half] == label].mean(0) for label in known])
    truth = labels[half:]
    accuracy = float((known[torch.cdist(pixels[half:], means).argmin(1)] == truth).double().mean())
    guessing = float(truth.bincount().max()) / len(truth)
    healthy = accuracy > guessing + SIGMAS * math.sqrt(guessing * (1 - guessing) / len(truth))
    said = f"The nearest class mean names {accuracy:.1%} of held-out training images; guessing names {guessing:.1%}."
    return Finding("labels", healthy, said, accuracy)


def check_leakage(train_images: Tensor, test_images: Tensor) -> Finding:
    """Ask whether test images are among the training images, byte by byte.

    Parameters
    ----------
    train_images, test_images
        Best before any arithmetic, as they come from the files; shape (N, C, H, W), one dtype.

    Returns
    -------
    Finding
        `measured` is the share of test images that are in the training set. Copies that differ in one bit are not
        found.

    Raises
    ------
    ValueError
        If shape or dtype differ, or either set is empty.
    """
    enough(train_images, 1, "train_images")
    enough(test_images, 1, "test_images")
    train_kind, test_kind = ((images.dtype, tuple(images.shape[1:])) for images in (train_images, test_images))
    if train_kind != test_kind:
        raise ValueError(f"images must have one dtype and shape, given {train_kind} and {test_kind}")
    seen = {image.tobytes() for image in train_images.cpu().numpy()}
    twins = sum(image.tobytes() in seen for image in test_images.cpu().numpy())
    share = twins / len(test_images)
    said = f"{twins:,} of {len(test_images):,} test images are in the training set, byte by byte."
    return Finding("leakage", share <= LARGEST_OVERLAP, said, share)


def enough(tensor: Tensor, count: int, what: str) -> None:
    """Raise ValueError if the tensor holds fewer than `count` entries."""
    if len(tensor) < count:
        raise ValueError(f"{what} must hold at least {count}, given {len(tensor)}")
