"""Three models of where people look that learn nothing, and the baseline that looks at the middle.

Each takes a picture (see `features.as_floats`) and returns a map (H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from torch import Tensor

from course_utils.attention import features
from course_utils.attention.features import ANGLES, as_floats, pyramid, resize, stretch
from course_utils.checks import choose, positive_int

CENTERS, DELTAS = (2, 3, 4), (3, 4)  # scales of the center, and how many scales farther its surround is
VISIBLE = 0.01  # a feature that varies less over the whole picture, whose values go from 0 to 1, is taken as even
LEVELS = max(CENTERS) + max(DELTAS) + 1


def spectral_residual(picture: np.ndarray | Tensor, *, size: int = 64, sigma: float = 2.5) -> np.ndarray:
    """What a picture's spectrum has beyond the smooth course that all pictures share (Hou and Zhang 2007).

    Parameters
    ----------
    size
        Longer side, in pixels, to which the picture is brought first. It sets the scale of what is salient.
    sigma
        Of the final Gaussian blur, in those pixels.
    """
    image = features.intensity(as_floats(picture))
    scale = positive_int(size, "size") / max(image.shape)
    small = resize(image, tuple(max(1, round(side * scale)) for side in image.shape))
    if np.ptp(small) < 1e-9:
        return np.zeros_like(image)
    spectrum = np.fft.fft2(small)
    amplitude = np.abs(spectrum)
    # A wave that is absent would have the logarithm -inf, and lift the residual of its neighbors without end.
    log_amplitude = np.log(np.maximum(amplitude, amplitude.mean() / 1000))
    residual = log_amplitude - ndimage.uniform_filter(log_amplitude, 3, mode="wrap")
    saliency = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    # Zeros outside, as in the authors' code: the transform takes the picture for a tile of an endless floor and finds
    # seams at the frame, and a blur that reflects would count them twice.
    return stretch(resize(ndimage.gaussian_filter(saliency, sigma, mode="constant"), image.shape))


def center_surround(image: list[np.ndarray], center: int, surround: int) -> np.ndarray:
    """How far a pyramid's fine level differs from a coarse one, brought to its size."""
    return np.abs(image[center] - resize(image[surround], image[center].shape))


def promote(feature: np.ndarray, size: int = 7) -> np.ndarray:
    """Itti's N: scale to [0, 1], then multiply by (1 - mean of the other local maxima)².

    A map with one peak stays, a map with many equal ones fades. Maxima are sought in windows of `size` pixels; those
    below a tenth of the largest are no rivals.
    """
    feature = stretch(feature)
    peaks = feature[(ndimage.maximum_filter(feature, size) == feature) & (feature > 0.1)]
    others = np.sort(peaks)[:-1]
    return feature * (1 - (others.mean() if len(others) else 0)) ** 2


def itti_koch_maps(picture: np.ndarray | Tensor) -> dict[str, list[np.ndarray]]:
    """The 42 feature maps of Itti, Koch and Niebur (1998): 6 of intensity, 12 of color, 24 of orientation.

    Nine scales; each map is the difference between a center (scale 2, 3 or 4) and a surround 3 or 4 scales coarser.

    Raises
    ------
    ValueError
        If the shorter side has fewer than 129 pixels, so that nothing would be left at the ninth scale.
    """
    floats = as_floats(picture)
    if min(floats.shape[:2]) <= 2 ** (LEVELS - 2):
        raise ValueError(
            f"nine scales need at least {2 ** (LEVELS - 2) + 1} pixels a side, given {floats.shape[0]} x "
            f"{floats.shape[1]}; enlarge the picture"
        )
    pairs = [(center, center + delta) for center in CENTERS for delta in DELTAS]
    brightness = pyramid(features.intensity(floats), LEVELS)
    colors = [pyramid(color, LEVELS) for color in features.opponent_colors(floats)]
    oriented = [[features.orientation(level, angle) for level in brightness] for angle in ANGLES]
    return {
        "intensity": [center_surround(brightness, c, s) for c, s in pairs],
        "color": [center_surround(color, c, s) for color in colors for c, s in pairs],
        "orientation": [center_surround(levels, c, s) for levels in oriented for c, s in pairs],
    }


def itti_koch(picture: np.ndarray | Tensor) -> np.ndarray:
    """Saliency of Itti, Koch and Niebur (1998): the mean of three conspicuity maps at the fifth scale (1/16)."""
    maps = itti_koch_maps(picture)
    shape = as_floats(picture).shape[:2]
    grid = (-(-shape[0] // 16), -(-shape[1] // 16))

    def add(some: list[np.ndarray]) -> np.ndarray:
        return np.sum([resize(promote(feature), grid) for feature in some], axis=0)

    by_angle = [maps["orientation"][i : i + 6] for i in range(0, 24, 6)]
    conspicuity = [add(maps["intensity"]), add(maps["color"]), np.sum([promote(add(six)) for six in by_angle], axis=0)]
    return stretch(resize(np.mean([promote(one) for one in conspicuity], axis=0), shape))


def equilibrium(ties: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """Where a walker is in the end who steps from i to j in proportion to ties[i, j] * pull[j]; a share for each place.

    `ties` is symmetric, (n, n), `pull` (n,). Such a walk passes between two places equally often in both directions
    when p_i is in proportion to pull_i Σ_j ties_ij pull_j, so that there is nothing to iterate. (An iteration takes
    very long to carry shares between distant places.) Without any ties all places are alike.
    """
    shares = pull * (ties @ pull)
    return shares / shares.sum() if shares.sum() > 0 else np.full(len(pull), 1 / len(pull))


def gbvs(
    picture: np.ndarray | Tensor,
    *,
    grid: int = 24,
    activation_sigma: float = 0.15,
    concentration_sigma: float = 0.06,
    dissimilarity: str = "difference",
) -> np.ndarray:
    """Graph-based visual saliency (Harel, Koch and Perona 2007): random walks on feature maps.

    On each feature map a walker prefers steps to near places that differ: where it is often, the map is unusual. A
    second walker prefers near places where the first is often, which gathers the mass. The channels are then added.

    Parameters
    ----------
    grid
        Longer side of the maps, in places; the work grows with its fourth power.
    activation_sigma, concentration_sigma
        How far the walkers see, as shares of `grid`.
    dissimilarity
        Of two values of a feature map: ``"log"`` is the paper's, the size of log(M / M'), which is large between a
        small value and a tiny one, so that empty places stand out; ``"difference"`` is the size of M - M'.
    """
    differ = choose(DISSIMILARITIES, dissimilarity, "dissimilarity")
    floats = as_floats(picture)
    height, width = floats.shape[:2]
    scale = positive_int(grid, "grid") / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    places = np.indices(shape).reshape(2, -1).T
    squared_distance = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    near, nearer = (
        np.exp(-squared_distance / (2 * (share * grid) ** 2)) for share in (activation_sigma, concentration_sigma)
    )
    total = np.zeros(len(places))
    for channel in _channels(floats):
        for feature in channel:
            small = resize(feature, shape)
            small = small if np.ptp(small) > VISIBLE else np.zeros(shape)
            often = equilibrium(differ(stretch(small).ravel()) * near, np.ones(len(places)))
            total += equilibrium(nearer, often) / len(channel)
    return stretch(resize(total.reshape(shape), (height, width)))


DISSIMILARITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "difference": lambda values: np.abs(values[:, None] - values[None]),
    "log": lambda values: np.abs(np.log(values + 0.01)[:, None] - np.log(values + 0.01)[None]),
}


def _channels(floats: np.ndarray) -> list[list[np.ndarray]]:
    """Intensity, color and orientation, each as maps at two scales (1/4 and 1/8, finer for small pictures)."""
    finest = max(0, min(2, int(np.log2(max(1, min(floats.shape[:2]) / 32)))))
    levels = slice(finest, finest + 2)
    brightness = pyramid(features.intensity(floats), finest + 2)[levels]
    colors = [one for color in features.opponent_colors(floats) for one in pyramid(color, finest + 2)[levels]]
    return [brightness, colors, [features.orientation(one, angle) for angle in ANGLES for one in brightness]]


def center_bias(shape: tuple[int, int], *, sigma: float = 0.25) -> np.ndarray:
    """People look at the middle, whatever is shown: a Gaussian whose σ is a share of each side, (H, W) in [0, 1]."""
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, given {sigma!r}")
    rows, columns = ((np.arange(side) + 0.5) / side - 0.5 for side in shape)
    return stretch(np.exp(-(rows[:, None] ** 2 + columns[None] ** 2) / (2 * sigma**2)))


def scanpath(saliency: np.ndarray, n: int, *, radius: float = 0.1) -> np.ndarray:
    """Winner-take-all and inhibition of return: the highest place, then the highest outside a disk around it, ...

    `radius` is a share of the shorter side. Returns rows and columns, shape (n, 2); fewer if no place is left.
    """
    left = np.asarray(saliency, float).copy()
    rows, columns = np.indices(left.shape)
    path: list[tuple[int, int]] = []
    while len(path) < positive_int(n, "n") and np.isfinite(left).any():
        row, column = (int(i) for i in np.unravel_index(np.argmax(left), left.shape))
        path.append((row, column))
        left[np.hypot(rows - row, columns - column) <= radius * min(left.shape)] = -np.inf
    return np.array(path)
