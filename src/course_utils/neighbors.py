"""Exact nearest neighbors by blocked matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

from course_utils.checks import positive_int

SPARE = 8  # candidates beyond k, so that rounding in the matrix product cannot lose a neighbor to a near tie


def nearest(queries: Tensor, references: Tensor, k: int, *, block: int = 500) -> tuple[Tensor, Tensor]:
    """Find the `k` references nearest to each query, by Euclidean distance.

    It uses ``|q - r|**2 = |q|**2 + |r|**2 - 2 q.r``, so that the work is one matrix product per block of queries. That
    form rounds: two equal images get a distance a little off zero. So it only picks `k` + 8 candidates, whose
    distances are computed again from the differences in float64. For uint8 images they are exact, and so is the order
    wherever fewer than 8 references tie with the last neighbor.

    Parameters
    ----------
    queries
        Shape (N, ...), uint8 or floating, at least one dimension after the first.
    references
        Shape (M, ...), the same dtype and the same shape after the first dimension.
    k
        Number of neighbors. A query that is one of the references is its own first neighbor.
    block
        Queries in a matrix product. A block needs 4 x `block` x M bytes.

    Returns
    -------
    distances
        float64, shape (N, k), in units of the inputs, ascending.
    indices
        int64, shape (N, k), into `references`; of two at the same distance the smaller index comes first.

    Raises
    ------
    TypeError
        If the dtypes differ, or are neither uint8 nor floating.
    ValueError
        If a shape does not fit, there is nothing to compare, `k` exceeds the number of references, `k` or `block` is
        not a positive integer, or a value is not finite.
    """
    positive_int(k, "k")
    positive_int(block, "block")
    _check(queries, references)
    if k > len(references):
        raise ValueError(f"k must be at most the number of references, {len(references)}, given {k}")
    flat_queries, flat_references = queries.flatten(1), references.flatten(1)
    r = flat_references.float()
    center = r.mean(0)  # distances do not depend on it, and smaller numbers round less
    r = r - center
    squares = (r * r).sum(1)
    candidates = min(k + SPARE, len(r))
    distances, indices = [], []
    for q in flat_queries.split(block):
        scores = torch.addmm(squares, q.float() - center, r.T, alpha=-2)
        found = scores.topk(candidates, largest=False, sorted=False).indices.sort(1).values
        differences = flat_references[found].double() - q.double().unsqueeze(1)  # queries, candidates, values
        exact = (differences * differences).sum(2)
        order = exact.argsort(dim=1, stable=True)[:, :k]
        distances.append(exact.gather(1, order).sqrt())
        indices.append(found.gather(1, order))
    return torch.cat(distances), torch.cat(indices)


def _check(queries: Tensor, references: Tensor) -> None:
    if queries.dtype != references.dtype:
        raise TypeError(f"queries and references must have one dtype, given {queries.dtype} and {references.dtype}")
    if queries.dtype != torch.uint8 and not queries.is_floating_point():
        raise TypeError(f"queries and references must be uint8 or floating, given {queries.dtype}")
    if queries.ndim < 2 or queries.shape[1:] != references.shape[1:]:
        raise ValueError(
            "queries (N, ...) and references (M, ...) must have the same shape after the first dimension, "
            f"given {tuple(queries.shape)} and {tuple(references.shape)}"
        )
    if not queries.numel() or not references.numel():
        raise ValueError(
            f"there must be queries and references, given shapes {tuple(queries.shape)} and {tuple(references.shape)}"
        )
    if queries.is_floating_point() and not (queries.isfinite().all() and references.isfinite().all()):
        raise ValueError("queries and references must be finite, given a NaN or an infinity")
