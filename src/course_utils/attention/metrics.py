"""How well a map predicts where people looked: eight scores (Bylinskii et al. 2019).

`saliency` is a map (H, W), any finite numbers where not said otherwise. `fixations` are rows and columns, whole
numbers, shape (F, 2); a place that was fixated twice stands there twice and counts twice.
"""

from __future__ import annotations

import numpy as np
from scipy import integrate, ndimage, stats

from course_utils.checks import checked_seed, positive_int

EPSILON = float(np.finfo(float).eps)


def auc_judd(saliency: np.ndarray, fixations: np.ndarray) -> float:
    """Area under the ROC curve whose thresholds are the values at the fixations; negatives are all other pixels.

    1 is perfect and 0.5 chance. With F fixations the curve has F corners, cut straight, so that the area can be too
    large by up to 1 / (2F) (Judd et al. 2009).
    """
    saliency, fixations = _checked(saliency, fixations)
    fixated = np.zeros(saliency.shape, bool)
    fixated[tuple(fixations.T)] = True
    if fixated.all():
        raise ValueError("every pixel is fixated, so there is none to compare with")
    positives = saliency[tuple(fixations.T)]
    return _roc_area(positives, saliency[~fixated], np.unique(positives))


def auc_borji(
    saliency: np.ndarray, fixations: np.ndarray, *, splits: int = 100, step: float = 0.1, seed: int = 0
) -> float:
    """Mean area under ROC curves against uniformly random pixels, as many as fixations, in each of `splits` draws.

    The thresholds lie `step` apart, on the map scaled to [0, 1].
    """
    saliency, fixations = _checked(saliency, fixations)
    scaled = _from_zero(saliency)
    scaled = scaled / scaled.max()
    positives = scaled[tuple(fixations.T)]
    rng = np.random.default_rng(checked_seed(seed))
    draws = rng.choice(scaled.ravel(), (positive_int(splits, "splits"), len(positives)))
    areas = [
        _roc_area(positives, negatives, np.arange(0, max(positives.max(), negatives.max()) + EPSILON, step))
        for negatives in draws
    ]
    return float(np.mean(areas))


def auc_shuffled(saliency: np.ndarray, fixations: np.ndarray, others: np.ndarray) -> float:
    """Area under the ROC curve against places that were fixated in other pictures, `others`, rows and columns (G, 2).

    The probability that a fixation has a larger value than one of the others, ties counted half. The others look at
    the middle as well, so a map that only knows about the middle gets 0.5 (Tatler et al. 2005).
    """
    saliency, fixations = _checked(saliency, fixations)
    _, others = _checked(saliency, others, "others")
    positives, negatives = saliency[tuple(fixations.T)], saliency[tuple(others.T)]
    ranks = stats.rankdata(np.concatenate([positives, negatives]))[: len(positives)]
    wins = ranks.sum() - len(positives) * (len(positives) + 1) / 2
    return float(wins / (len(positives) * len(negatives)))


def nss(saliency: np.ndarray, fixations: np.ndarray) -> float:
    """Normalized scanpath saliency: mean at the fixations of (S - mean) / standard deviation; chance is 0."""
    saliency, fixations = _checked(saliency, fixations)
    spread = saliency.std()
    values = saliency[tuple(fixations.T)] - saliency.mean()
    return float(values.mean() / spread) if _has_contrast(saliency) else 0.0


def cc(saliency: np.ndarray, density: np.ndarray) -> float:
    """Pearson's correlation of a map with the density of fixations; chance is 0, also for a map without contrast."""
    saliency, density = _checked_pair(saliency, density)
    if not (_has_contrast(saliency) and _has_contrast(density)):
        return 0.0
    return float(np.corrcoef(saliency.ravel(), density.ravel())[0, 1])


def sim(saliency: np.ndarray, density: np.ndarray) -> float:
    """Similarity: what two distributions have in common, Σ min(P, Q), after scaling both to [0, 1] and to sum 1."""
    saliency, density = _checked_pair(saliency, density)
    p, q = (_to_sum_one(_from_zero(one)) for one in (saliency, density))
    return float(np.minimum(p, q).sum())


def kl(saliency: np.ndarray, density: np.ndarray) -> float:
    """Kullback-Leibler divergence from the density of fixations Q to the map P: Σ Q log(ε + Q / (P + ε)); 0 is perfect.

    In nats. Both may not be negative, and are divided by their sums.
    """
    saliency, density = _checked_pair(saliency, density)
    p, q = _to_sum_one(saliency), _to_sum_one(density)
    return float((q * np.log(EPSILON + q / (p + EPSILON))).sum())


def information_gain(saliency: np.ndarray, fixations: np.ndarray, baseline: np.ndarray) -> float:
    """By how many bits a fixation is better predicted by the map than by a baseline, such as the center bias.

    Mean at the fixations of log2(ε + P) - log2(ε + B), both divided by their sums (Kümmerer et al. 2015).
    """
    saliency, fixations = _checked(saliency, fixations)
    saliency, baseline = _checked_pair(saliency, baseline, "baseline")
    p, b = (_to_sum_one(one)[tuple(fixations.T)] for one in (saliency, baseline))
    return float((np.log2(EPSILON + p) - np.log2(EPSILON + b)).mean())


def fixation_density(fixations: np.ndarray, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Fixations as a distribution over pixels: counted, blurred by a Gaussian of σ pixels, divided by the sum."""
    _, fixations = _checked(np.zeros(shape), fixations)
    counts = np.zeros(shape)
    np.add.at(counts, tuple(fixations.T), 1)
    return _to_sum_one(ndimage.gaussian_filter(counts, sigma))


def _roc_area(positives: np.ndarray, negatives: np.ndarray, thresholds: np.ndarray) -> float:
    """Trapezoids under the curve through (0, 0), the shares at or above each threshold, and (1, 1)."""
    falling = np.sort(thresholds)[::-1]
    shares = [
        1 - np.searchsorted(np.sort(values), falling, side="left") / len(values) for values in (negatives, positives)
    ]
    false_positive, true_positive = (np.concatenate([[0.0], share, [1.0]]) for share in shares)
    return float(integrate.trapezoid(true_positive, false_positive))


def _has_contrast(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > 1e-12 * np.abs(values).max())


def _from_zero(values: np.ndarray) -> np.ndarray:
    """Minimum subtracted; a map without contrast becomes even."""
    return values - values.min() if _has_contrast(values) else np.ones_like(values)


def _to_sum_one(values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.sum() <= 0:
        raise ValueError(f"a distribution may not be negative nor zero everywhere, given {values.min()} and more")
    return values / values.sum()


def _checked(saliency: np.ndarray, fixations: np.ndarray, name: str = "fixations") -> tuple[np.ndarray, np.ndarray]:
    saliency, fixations = np.asarray(saliency, float), np.asarray(fixations)
    if saliency.ndim != 2 or not saliency.size or not np.isfinite(saliency).all():
        raise ValueError(f"saliency must be a map (H, W) of finite numbers, given shape {saliency.shape}")
    if fixations.ndim != 2 or fixations.shape[1] != 2 or not len(fixations) or fixations.dtype.kind not in "ui":
        raise ValueError(
            f"{name} must be rows and columns, whole numbers, shape (F, 2) with F at least 1, given "
            f"{fixations.dtype} of shape {fixations.shape}"
        )
    if (fixations < 0).any() or (fixations >= saliency.shape).any():
        raise ValueError(f"{name} must lie inside the map of {saliency.shape[0]} x {saliency.shape[1]} pixels")
    return saliency, fixations


def _checked_pair(saliency: np.ndarray, other: np.ndarray, name: str = "density") -> tuple[np.ndarray, np.ndarray]:
    saliency, other = np.asarray(saliency, float), np.asarray(other, float)
    if saliency.ndim != 2 or saliency.shape != other.shape or not saliency.size:
        raise ValueError(f"saliency and {name} must be maps of one shape, given {saliency.shape} and {other.shape}")
    if not (np.isfinite(saliency).all() and np.isfinite(other).all()):
        raise ValueError(f"saliency and {name} must be finite")
    return saliency, other
