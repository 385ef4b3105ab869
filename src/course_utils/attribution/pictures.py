"""A map laid over its picture, as an array that any image viewer, `plt.imshow` or Pillow can show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# From black over purple and orange to light yellow; its lightness rises all the way, so it reads in gray as well.
COLOR_STOPS = np.array([(0, 0, 4), (61, 10, 100), (140, 41, 99), (221, 81, 58), (252, 165, 10), (252, 255, 164)]) / 255


DEPTHS = (1, 3, 4)  # gray, color, color with opacity


def colorize(scaled: np.ndarray) -> np.ndarray:
    """Colors (H, W, 3) in [0, 1] of a map (H, W) in [0, 1]."""
    stops = np.linspace(0, 1, len(COLOR_STOPS))
    return np.stack([np.interp(scaled, stops, COLOR_STOPS[:, channel]) for channel in range(3)], axis=-1)


def as_picture(
    image: Tensor | np.ndarray, mean: float | Sequence[float] | None = None, std: float | Sequence[float] | None = None
) -> np.ndarray:
    """Bring an image into the form (H, W, 3), float, in [0, 1].

    Parameters
    ----------
    image
        Tensor or array (H, W), (C, H, W), (H, W, C), or a batch of one; C is 1, 3 or 4 (the fourth, opacity, is laid on
        white). Whole numbers are read as 0 to 255. Floating-point values within [0, 1] are taken as they are; values
        outside are normalized ones: with `mean` and `std` that is undone, without them the range is stretched to
        [0, 1].
    mean, std
        What the image was normalized with, one number or one for each channel.

    Raises
    ------
    TypeError, ValueError
        If that cannot be done without guessing: another shape, NaN, whole numbers outside 0 to 255, only one of `mean`
        and `std`, or values that are far outside [0, 1] after undoing.
    """
    if (mean is None) != (std is None):
        raise ValueError("mean and std belong together: give both or neither")
    array = _to_numpy(image, "image")
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3 and array.shape[0] in DEPTHS and (isinstance(image, Tensor) or array.shape[2] not in DEPTHS):
        array = np.moveaxis(array, 0, 2)
    if array.ndim != 3 or array.shape[2] not in DEPTHS or 0 in array.shape:
        raise ValueError(f"image must be one of (H, W), (C, H, W), (H, W, C) with C 1, 3 or 4, given {np.shape(image)}")
    whole = array.dtype.kind in "uib"
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise ValueError("image must be finite, it holds NaN or infinity")
    if mean is not None and std is not None:
        if not {np.size(mean), np.size(std)} <= {1, array.shape[2]}:
            raise ValueError(f"mean and std must be one number or {array.shape[2]}, one for each channel")
        array = array * np.asarray(std, float) + np.asarray(mean, float)
        if array.min() < -0.1 or array.max() > 1.1:
            span = f"{array.min():.2f} to {array.max():.2f}"
            raise ValueError(f"with this mean and std the image would reach from {span}, and it should from 0 to 1")
    elif whole:
        if array.min() < 0 or array.max() > 255:
            raise ValueError(f"whole numbers must be from 0 to 255, given {array.min():.0f} to {array.max():.0f}")
        array = array / 255 if image.dtype not in (bool, torch.bool) else array
    elif array.min() < 0 or array.max() > 1:
        array = (array - array.min()) / max(np.ptp(array), np.finfo(float).tiny)
    if array.shape[2] == 4:
        array = array[..., :3] * array[..., 3:] + 1 - array[..., 3:]
    return np.broadcast_to(array.clip(0, 1), (*array.shape[:2], 3))


def overlay(
    image: Tensor | np.ndarray,
    scaled: Tensor | np.ndarray,
    alpha: float = 0.5,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> np.ndarray:
    """Lay a map over its picture.

    Parameters
    ----------
    image
        See `as_picture`; so are `mean` and `std`.
    scaled
        Tensor or array (h, w), or a batch of one, in [0, 1], as `Explanation.maps` are. Another size than the image's
        is brought to it, if the sides have the same proportion.
    alpha
        Share of the map's color, from 0 (picture only) to 1.

    Returns
    -------
    numpy.ndarray
        Shape (H, W, 3), uint8, red green blue.

    Raises
    ------
    TypeError, ValueError
        If image or map cannot be read without guessing; the message says why.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be from 0 to 1, given {alpha!r}")
    picture = as_picture(image, mean, std)
    array = _to_numpy(scaled, "map").astype(float)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"map must have shape (H, W), given {np.shape(scaled)}")
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise ValueError(f"map must be in [0, 1], given {array.min():.3g} to {array.max():.3g}")
    height, width = picture.shape[:2]
    if array.shape != (height, width):
        h, w = array.shape
        if abs(h * width - w * height) > max(height, width):
            raise ValueError(f"map of {h} x {w} does not fit an image of {height} x {width}: other proportions")
        bigger = F.interpolate(torch.from_numpy(array)[None, None], (height, width), mode="bilinear")
        array = bigger[0, 0].numpy()
    mixed = (1 - alpha) * picture + alpha * colorize(array)
    return (mixed * 255).round().astype(np.uint8)


def _to_numpy(value: Tensor | np.ndarray, what: str) -> np.ndarray:
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if isinstance(value, np.ndarray):
        return value
    raise TypeError(f"{what} must be a tensor or an array, given {type(value).__name__}")
