"""What the models of attention share: reading a picture, pyramids, and channels (intensity, color, orientation)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from torch import Tensor

ANGLES = (0, 45, 90, 135)


def as_floats(picture: np.ndarray | Tensor) -> np.ndarray:
    """A picture as floats in [0, 1], shape (H, W, 3); gray is repeated.

    Parameters
    ----------
    picture
        Array (H, W) or (H, W, 3), or tensor (C, H, W) with C 1 or 3; whole numbers from 0 to 255 or floats from
        0 to 1.

    Raises
    ------
    TypeError, ValueError
        If it is not such a picture.
    """
    if isinstance(picture, Tensor):
        array = picture.detach().cpu().numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    elif isinstance(picture, np.ndarray):
        array = picture
    else:
        raise TypeError(f"picture must be an array or a tensor, given {type(picture).__name__}")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            f"picture must be an array (H, W) or (H, W, 3), or a tensor (C, H, W), given {tuple(picture.shape)}"
        )
    top = 255 if array.dtype.kind in "ui" else 1
    floats = array.astype(float) / top
    if not np.isfinite(floats).all() or floats.min() < 0 or floats.max() > 1:
        raise ValueError(f"a picture's values must be from 0 to {top}, given {array.min()} to {array.max()}")
    return np.repeat(floats, 3 // floats.shape[2], axis=2)


def resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring an image (H, W) to another size, linearly.

    Where it shrinks by a factor f it is first blurred by a Gaussian as wide as a box of f pixels (variance f² / 12), so
    that no pixel is skipped.
    """
    factors = [new / old for new, old in zip(shape, image.shape, strict=True)]
    blurred = ndimage.gaussian_filter(image, [np.sqrt(max(0.0, factor**-2 - 1) / 12) for factor in factors])
    # grid_mode counts pixels as areas, so that the corners of both images meet.
    return ndimage.zoom(blurred, factors, order=1, mode="nearest", grid_mode=True)[: shape[0], : shape[1]]


def pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """The image, and then each time blurred (σ = 1) and halved: sizes 1, 1/2, 1/4, ..., the corners in the same place.

    Taking every second pixel instead would move the image by half a pixel at each level, 127 pixels in eight.
    """
    images = [image]
    while len(images) < levels:
        height, width = images[-1].shape
        images.append(resize(ndimage.gaussian_filter(images[-1], 1), (-(-height // 2), -(-width // 2))))
    return images


def intensity(picture: np.ndarray) -> np.ndarray:
    """Mean of red, green and blue, shape (H, W)."""
    return picture.mean(axis=2)


def opponent_colors(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Red against green, and blue against yellow, each (H, W) with sign (Itti et al. 1998, section "Extraction").

    Colors are divided by the intensity; where it is below a tenth of its largest value there is no hue to see.
    """
    brightness = intensity(picture)
    seen = brightness > brightness.max() / 10
    r, g, b = np.moveaxis(np.where(seen[..., None], picture / np.where(seen, brightness, 1)[..., None], 0), 2, 0)
    red, green, blue = r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2
    yellow = (r + g) / 2 - np.abs(r - g) / 2 - b
    red, green, blue, yellow = (color.clip(min=0) for color in (red, green, blue, yellow))
    return red - green, blue - yellow


def orientation(image: np.ndarray, angle: float) -> np.ndarray:
    """How strongly stripes of an angle stand out at each place: the size of the answers of two Gabor filters, (H, W).

    `angle`, in degrees, is the direction in which the brightness changes: 0 answers to upright stripes, 90 to lying
    ones.
    """
    y, x = np.mgrid[-4:5, -4:5]
    along = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    envelope = np.exp(-(x**2 + y**2) / (2 * 2.0**2))
    even, odd = envelope * np.cos(np.pi / 2 * along), envelope * np.sin(np.pi / 2 * along)
    even -= envelope * even.sum() / envelope.sum()  # no answer to an even surface
    return np.hypot(*(ndimage.convolve(image, kernel, mode="nearest") for kernel in (even, odd)))


def stretch(image: np.ndarray) -> np.ndarray:
    """Scale to [0, 1]; all zeros if the image has no contrast."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high - low > 1e-12 else np.zeros_like(image)
