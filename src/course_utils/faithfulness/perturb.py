"""Does the network need the pixels that a map shows? Deletion, insertion and ROAD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import trapezoid
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from course_utils.attribution.borrow import Run, borrowed
from course_utils.attribution.checks import Target, checked_images, checked_logits, checked_targets
from course_utils.attribution.layers import iterate_chunks
from course_utils.attribution.library import road as library_road
from course_utils.checks import checked_seed, positive_int


@dataclass(frozen=True)
class Curve:
    """What becomes of the target's probability while pixels are changed.

    Attributes
    ----------
    shares
        Of the changed pixels, from 0 to 1, shape (S + 1,).
    scores
        Probability of each image's target, shape (N, S + 1).
    auc
        Area under each image's curve, shape (N,), between 0 and 1.
    """

    shares: np.ndarray
    scores: np.ndarray
    auc: np.ndarray


def deletion(
    model: nn.Module,
    images: Tensor,
    maps: Tensor,
    target: Target = None,
    *,
    fill: float | Tensor = 0.0,
    steps: int = 28,
    batch_size: int = 256,
    seed: int = 0,
) -> Curve:
    """Cover the most relevant pixels first (Petsiuk et al. 2018): a small area is good.

    Parameters
    ----------
    model, images, target
        As in `explain`.
    maps
        Shape (N, H, W), larger is more relevant. Equal values are taken in random order.
    fill
        What a covered pixel becomes, scaled as the images are: a number, or a tensor that fits the images.
    steps
        In how many equal parts the pixels are covered.
    seed
        For the order of pixels with equal values.
    """
    return _curve(model, images, maps, target, fill=fill, steps=steps, batch_size=batch_size, seed=seed, forwards=True)


def insertion(
    model: nn.Module,
    images: Tensor,
    maps: Tensor,
    target: Target = None,
    *,
    start: float | Tensor | None = None,
    steps: int = 28,
    batch_size: int = 256,
    seed: int = 0,
) -> Curve:
    """Show the most relevant pixels first (Petsiuk et al. 2018): a large area is good.

    `start` is what the pixels are before, a number or a tensor that fits the images; without it the images blurred by a
    Gaussian with σ of a tenth of the longer side. The rest is as in `deletion`.
    """
    if start is None:
        sigma = max(images.shape[-2:]) / 10
        radius = min(int(3 * sigma), min(images.shape[-2:]) - 1)
        start = gaussian_blur(images.detach(), [2 * radius + 1] * 2, [sigma] * 2)
    return _curve(
        model, images, maps, target, fill=start, steps=steps, batch_size=batch_size, seed=seed, forwards=False
    )


def _curve(
    model: nn.Module,
    images: Tensor,
    maps: Tensor,
    target: Target,
    *,
    fill: float | Tensor,
    steps: int,
    batch_size: int,
    seed: int,
    forwards: bool,
) -> Curve:
    images, maps = checked_images(model, images), checked_maps(images, maps)
    filled = torch.zeros_like(images) + torch.as_tensor(fill, dtype=images.dtype, device=images.device)
    if filled.shape != images.shape:
        raise ValueError(f"the filling must be a number or fit the images, given shape {tuple(filled.shape)}")
    n, pixels = len(images), images.shape[2] * images.shape[3]
    place = rank_pixels(maps, seed).flatten(1)  # 0 is the most relevant pixel
    shares = np.arange(positive_int(steps, "steps") + 1) / steps
    scores = np.empty((n, steps + 1))
    with borrowed(model) as run, torch.no_grad():
        targets = _targets(run, images, target, batch_size)
        for step, share in enumerate(shares):
            changed = (place < round(float(share) * pixels)).view(n, 1, *images.shape[2:])
            mixed = torch.where(changed if forwards else ~changed, filled, images)
            scores[:, step] = _probabilities(run, mixed, targets, batch_size)
    return Curve(shares, scores, np.asarray(trapezoid(scores, shares, axis=1)))


def road(
    model: nn.Module,
    images: Tensor,
    maps: Tensor,
    target: Target = None,
    *,
    percentiles: tuple[int, ...] = (20, 40, 60, 80),
    seed: int = 0,
) -> np.ndarray:
    """ROAD (Rong et al. 2022), computed by the grad-cam library: one score for each image, higher is better.

    Removed pixels are filled in from their neighbors with a little noise, so that the network sees neither a hole nor
    its outline. The score is half the difference between the target's probability after removing the least relevant
    pixels and after removing the most relevant ones, averaged over `percentiles`, the per cent of pixels that stay.

    It solves systems of equations as large as the number of removed pixels. With the default percentiles that takes
    some 30 milliseconds for an image of 28 x 28, and five seconds for one of 224 x 224.
    """
    images, maps = checked_images(model, images), checked_maps(images, maps)
    if not percentiles or any(not 0 < percentile < 100 for percentile in percentiles):
        raise ValueError(f"percentiles must lie between 0 and 100, given {percentiles!r}")
    place = rank_pixels(maps, seed)
    with borrowed(model) as run, torch.no_grad():
        targets = _targets(run, images, target, len(images))
        return library_road(run, images, 1 - place / (place[0].numel() - 1), targets, percentiles, seed)


def rank_pixels(maps: Tensor, seed: int) -> Tensor:
    """Place of each pixel in the order of relevance, 0 the most relevant, shape (N, H, W); ties in random order."""
    flat = maps.flatten(1)
    generator = torch.Generator().manual_seed(checked_seed(seed))
    shuffle = torch.randperm(flat.shape[1], generator=generator).to(flat.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    return (
        torch.empty_like(order).scatter_(1, order, torch.arange(flat.shape[1]).to(order).expand_as(order)).view_as(maps)
    )


def checked_maps(images: Tensor, maps: Tensor) -> Tensor:
    """Maps (N, H, W) that fit images (N, C, H, W), on their device.

    Raises
    ------
    TypeError, ValueError
        If they do not fit or are not finite.
    """
    if not isinstance(maps, Tensor):
        raise TypeError(f"maps must be a tensor of shape (N, H, W), given {type(maps).__name__}")
    images = images[None] if images.ndim == 3 else images
    if maps.shape != (len(images), *images.shape[2:]):
        raise ValueError(f"maps must have shape {(len(images), *images.shape[2:])}, given {tuple(maps.shape)}")
    if not torch.isfinite(maps).all():
        raise ValueError("maps must be finite, they hold NaN or infinity")
    return maps.detach().to(images.device)


def _targets(run: Run, images: Tensor, target: Target, batch_size: int) -> Tensor:
    batch_size = positive_int(batch_size, "batch_size")
    chunks = [run(images[chunk]) for chunk in iterate_chunks(images, batch_size)]
    logits = checked_logits(torch.cat(chunks), len(images))
    targets = checked_targets(target, len(images), logits.shape[1], logits.device)
    return logits.argmax(1) if targets is None else targets


def _probabilities(run: Run, images: Tensor, targets: Tensor, batch_size: int) -> np.ndarray:
    chunks = [run(images[chunk]).softmax(1) for chunk in iterate_chunks(images, batch_size)]
    return torch.cat(chunks).gather(1, targets[:, None])[:, 0].cpu().double().numpy()
