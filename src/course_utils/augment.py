"""Random changes of the training images that leave their labels true, by name.

Each is a function of images (N, C, H, W) of any dtype and a CPU generator, and returns images of the same shape. Every
image is changed in its own way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN = 2  # pixels of padding on each side before the crop


def crop_and_flip(images: Tensor, generator: torch.Generator, *, margin: int = MARGIN, flip: bool = True) -> Tensor:
    """Shift each image by up to `margin` pixels, filling in zeros, and mirror half of them left to right.

    The shift is the random crop from a padded image of He et al. 2016, section 4.2, who have a margin of 4 for 32 x 32
    pixels.
    """
    n, _, height, width = images.shape
    device = images.device
    padded = F.pad(images, [margin] * 4)
    down, right = torch.randint(0, 2 * margin + 1, (2, n, 1), generator=generator).to(device)
    rows, columns = torch.arange(height, device=device) + down, torch.arange(width, device=device).expand(n, width)
    if flip:
        mirrored = torch.rand(n, 1, generator=generator).to(device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    columns = columns + right
    # indices on both sides of a slice put the channels last: (N, H, W, C)
    picked = padded[torch.arange(n, device=device)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images left to right."""
    return crop_and_flip(images, generator, margin=0)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor] | None] = {
    "none": None,
    "flip": flip,
    "crop_flip": crop_and_flip,
    "crop1_flip": functools.partial(crop_and_flip, margin=1),
}
