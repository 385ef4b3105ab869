"""Does a map point at the object? The pointing game, the share of energy, and maps that know no network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from course_utils.checks import checked_seed


def boxes_to_masks(boxes: Sequence[Sequence[int]] | Tensor, shape: tuple[int, int]) -> Tensor:
    """Masks (N, H, W) of boxes (left, top, right, bottom), in pixels, right and bottom not included.

    Raises
    ------
    ValueError
        If a box is empty or reaches out of the image.
    """
    masks = torch.zeros(len(boxes), *shape, dtype=torch.bool)
    for mask, box in zip(masks, torch.as_tensor(boxes).tolist(), strict=True):
        left, top, right, bottom = box
        if not (0 <= left < right <= shape[1] and 0 <= top < bottom <= shape[0]):
            raise ValueError(
                f"a box is (left, top, right, bottom) inside an image of {shape[0]} x {shape[1]}, given {box}"
            )
        mask[top:bottom, left:right] = True
    return masks


def pointing_game(maps: Tensor, masks: Tensor, *, tolerance: float = 0.0) -> np.ndarray:
    """Whether each map is largest in the object, or at most `tolerance` pixels from it (Zhang et al. 2018).

    Returns 1 for a hit and 0 for a miss, shape (N,). Where several pixels share the largest value, as all do in a blank
    map, it is the share of them that hit: what guessing among them would give.
    """
    maps, masks = _checked(maps, masks)
    hits = np.empty(len(maps))
    for i, (scaled, mask) in enumerate(zip(maps.numpy(), masks.numpy(), strict=True)):
        near = distance_transform_edt(~mask) <= tolerance
        hits[i] = near[scaled == scaled.max()].mean()
    return hits


def energy_share(maps: Tensor, masks: Tensor) -> np.ndarray:
    """The share of each map's sum that lies in the object (Wang et al. 2020), shape (N,).

    For a blank map it is the object's share of the pixels, as for a map without any preference.

    Raises
    ------
    ValueError
        If a map is negative somewhere.
    """
    maps, masks = _checked(maps, masks)
    if (maps < 0).any():
        raise ValueError("the share of energy is defined for maps that are nowhere negative")
    maps = torch.where(maps.amax((1, 2), keepdim=True) > 0, maps, torch.ones_like(maps))
    return ((maps * masks).sum((1, 2)) / maps.sum((1, 2))).numpy()


def edge_maps(images: Tensor) -> Tensor:
    """Maps that see edges and no network: the size of the brightness gradient (Sobel), each scaled to [0, 1].

    A method that does not beat them may be an edge detector.
    """
    gray = images.detach().float().mean(1, keepdim=True)
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=gray.device)
    padded = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    size = F.conv2d(padded, torch.stack([kernel, kernel.T])[:, None]).norm(dim=1)
    return size / size.amax((1, 2), keepdim=True).clamp(min=torch.finfo(size.dtype).tiny)


def random_maps(images: Tensor, *, grid: int | None = None, seed: int = 0) -> Tensor:
    """Maps that know nothing, uniform between 0 and 1.

    With `grid`, random values on grid x grid places are brought to the image's size, as smooth as a map of the CAM
    family. Deletion, insertion and ROAD favor smooth maps, so that is the fair rival of one.
    """
    generator = torch.Generator().manual_seed(checked_seed(seed))
    n, (height, width) = len(images), images.shape[2:]
    small = torch.rand(n, 1, *((height, width) if grid is None else (grid, grid)), generator=generator)
    maps = F.interpolate(small, (height, width), mode="bilinear", align_corners=False) if grid is not None else small
    return maps[:, 0].to(images.device)


def _checked(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(
            f"maps and masks must have one shape (N, H, W), given {tuple(maps.shape)}, {tuple(masks.shape)}"
        )
    masks = masks.detach().cpu().bool()
    if not masks.flatten(1).any(1).all():
        raise ValueError("each mask must hold at least one pixel")
    if not torch.isfinite(maps).all():
        raise ValueError("maps must be finite, they hold NaN or infinity")
    return maps.detach().cpu().double(), masks
