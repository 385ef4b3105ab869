"""Do the maps tell the truth? Checks of maps, with intervals over images, and maps that know nothing as rivals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import Tensor, nn

from course_utils.attribution.checks import Target
from course_utils.faithfulness.intervals import OverImages, over_images
from course_utils.faithfulness.localize import boxes_to_masks, edge_maps, energy_share, pointing_game, random_maps
from course_utils.faithfulness.perturb import Curve, deletion, insertion, road
from course_utils.faithfulness.randomize import (
    cascade,
    cascading_randomization,
    map_agreement,
    rank_correlation,
    shuffled_labels,
    weight_layers,
)

__all__ = [
    "Curve",
    "OverImages",
    "boxes_to_masks",
    "cascade",
    "cascading_randomization",
    "deletion",
    "edge_maps",
    "energy_share",
    "insertion",
    "map_agreement",
    "over_images",
    "pointing_game",
    "random_maps",
    "rank_correlation",
    "road",
    "scorecard",
    "shuffled_labels",
    "weight_layers",
]


def scorecard(
    model: nn.Module,
    images: Tensor,
    maps: Mapping[str, Tensor],
    target: Target = None,
    *,
    masks: Tensor | None = None,
    with_road: bool = True,
    steps: int = 28,
) -> pd.DataFrame:
    """Judge the maps of several methods by every check that applies.

    Parameters
    ----------
    model, images, target
        As in `explain`.
    maps
        For each method's name its maps (N, H, W).
    masks
        Where the object, or the planted mark, is, (N, H, W); without them nothing can be said about pointing.
    with_road, steps
        ROAD takes seconds for large images. `steps` are those of `deletion` and `insertion`.

    Returns
    -------
    pandas.DataFrame
        One row per method and check: ``method``, ``check``, ``better`` ("low" or "high"), ``mean``, ``low``, ``high``,
        ``images``.
    """
    rows = []
    for name, some in maps.items():
        checks: dict[str, tuple[str, np.ndarray]] = {
            "deletion": ("low", deletion(model, images, some, target, steps=steps).auc),
            "insertion": ("high", insertion(model, images, some, target, steps=steps).auc),
        }
        if with_road:
            checks["road"] = ("high", road(model, images, some, target))
        if masks is not None:
            checks["pointing"] = ("high", pointing_game(some, masks))
            checks["energy"] = ("high", energy_share(some, masks))
        for check, (better, values) in checks.items():
            found = over_images(values)
            interval = dict(mean=found.mean, low=found.low, high=found.high, images=found.n)
            rows.append(dict(method=name, check=check, better=better, **interval))
    return pd.DataFrame(rows)
