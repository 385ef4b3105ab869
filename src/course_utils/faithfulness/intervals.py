"""Intervals over images: how far a mean over these images can be trusted for others like them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from course_utils import stats
from course_utils.checks import checked_seed, positive_int


@dataclass(frozen=True)
class OverImages(stats.Interval):
    """Mean over n images with its 95 % interval; it prints as ``0.812 [0.806, 0.818], 64 images``."""

    unit: ClassVar[str] = "image"


def over_images(
    values: Tensor | np.ndarray | Sequence[float], *, kind: str = "bootstrap", samples: int = 2000, seed: int = 0
) -> OverImages:
    """Mean of one value per image, with its 95 % interval.

    Parameters
    ----------
    values
        Shape (N,). For a comparison of two maps give their differences, image by image.
    kind
        ``"bootstrap"``: percentiles of the means of `samples` draws with replacement, right also for values that are
        shares of few kinds, such as hits; too narrow for fewer than about twenty images. ``"t"``: Student's.

    Raises
    ------
    ValueError
        If `kind` is unknown, there is no value, or one is not finite.
    """
    if kind not in ("bootstrap", "t"):
        raise ValueError(f"kind {kind!r} is not known; allowed: 'bootstrap', 't'")
    x = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, float)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"an interval over images needs a row of finite numbers, given shape {x.shape}")
    plain = stats.interval(x)
    low, high = plain.low, plain.high
    if kind == "bootstrap" and len(x) > 1:
        rng = np.random.default_rng(checked_seed(seed))
        draws = rng.integers(len(x), size=(positive_int(samples, "samples"), len(x)))
        low, high = (float(q) for q in np.quantile(x[draws].mean(axis=1), [0.025, 0.975]))
    return OverImages(plain.mean, plain.sd, low, high, len(x))
