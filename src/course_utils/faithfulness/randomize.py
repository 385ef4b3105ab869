"""Does a map depend on what the network has learned? The randomization checks of Adebayo et al. (2018)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from course_utils.attribution import explain
from course_utils.attribution.checks import Target
from course_utils.checks import checked_seed
from course_utils.faithfulness.intervals import OverImages, over_images


def weight_layers(model: nn.Module) -> list[list[str]]:
    """Names of the modules with weights, in the order in which they are defined.

    A module that has vectors only, such as batch normalization, stands together with the layer before it.
    """
    groups: list[list[str]] = []
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if own and (not groups or any(parameter.ndim > 1 for parameter in own)):
            groups.append([name])
        elif own:
            groups[-1].append(name)
    return groups


def cascade(model: nn.Module, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a model in which ever more layers are random, from the output to the input.

    Each layer gets the values that its own `reset_parameters` draws; a module that has no such method gets its own
    values in random order. The model is not changed, and neither is the global random generator.

    Yields
    ------
    name, copy
        The layer that has become random in this copy, with all layers behind it.

    Raises
    ------
    ValueError
        If the model has no parameters.
    """
    checked_seed(seed)
    current = copy.deepcopy(model)
    groups = weight_layers(model)
    if not groups:
        raise ValueError("the model has no parameters that could be made random")
    modules = dict(current.named_modules())
    devices = {parameter.device for parameter in current.parameters() if parameter.device.type == "cuda"}
    for step, names in enumerate(reversed(groups)):
        with torch.random.fork_rng(devices=[device.index or 0 for device in devices]), torch.no_grad():
            torch.manual_seed(int(np.random.SeedSequence((seed, step)).generate_state(1)[0]))
            for name in names:
                _reset(modules[name])
        yield names[0], copy.deepcopy(current)


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        order = torch.randperm(parameter.numel()).to(parameter.device)
        parameter.copy_(parameter.flatten()[order].view_as(parameter))


def rank_correlation(maps: Tensor, others: Tensor) -> np.ndarray:
    """Spearman's correlation of two maps of each image, shape (N,); 0 where one of them is the same everywhere.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if maps.shape != others.shape or maps.ndim < 2:
        raise ValueError(f"maps must have one shape (N, H, W), given {tuple(maps.shape)} and {tuple(others.shape)}")
    a, b = (rankdata(some.detach().cpu().flatten(1).numpy(), axis=1) for some in (maps, others))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 0)


def cascading_randomization(
    model: nn.Module,
    images: Tensor,
    target: Target = None,
    *,
    method: str = "grad_cam",
    layer: str | nn.Module = "auto",
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """How a map changes while the network forgets, layer by layer from the output.

    A method whose maps stay alike does not show what the network has learned. The explained classes stay those of the
    model as given.

    Parameters
    ----------
    model, images, target, method, layer, **options
        As in `explain`.
    seed
        For the random weights.

    Returns
    -------
    pandas.DataFrame
        One row per step: ``layer`` made random last (none in the first row), ``similarity`` (mean rank correlation
        with the maps of the model as given) with ``low`` and ``high``, ``images``, and ``blank``, how many of the maps
        are blank; those count as similarity 0.
    """
    settings = dict(method=method, **options)
    first = explain(model, images, target, layer=layer, **settings)
    rows = [_row("", first.maps, first.maps)]
    for name, copied in cascade(model, seed):
        place = "auto" if first.layer is None else first.layer
        rows.append(_row(name, first.maps, explain(copied, images, first.targets, layer=place, **settings).maps))
    return pd.DataFrame(rows)


def _row(name: str, maps: Tensor, others: Tensor) -> dict[str, Any]:
    similarity = over_images(rank_correlation(maps, others))
    blank = int((others.flatten(1).amax(1) == others.flatten(1).amin(1)).sum())
    interval = dict(similarity=similarity.mean, low=similarity.low, high=similarity.high, images=similarity.n)
    return dict(layer=name, **interval, blank=blank)


def shuffled_labels(labels: Tensor, seed: int = 0) -> Tensor:
    """The labels in random order: a network trained on them can learn by heart only."""
    generator = torch.Generator().manual_seed(checked_seed(seed))
    return labels[torch.randperm(len(labels), generator=generator).to(labels.device)]


def map_agreement(
    model: nn.Module,
    other: nn.Module,
    images: Tensor,
    target: Target = None,
    *,
    method: str = "grad_cam",
    **options: Any,
) -> OverImages:
    """Mean rank correlation of two networks' maps of the same class, for the check with randomized labels.

    Train `other` as `model`, on `shuffled_labels`. Maps that agree owe nothing to what was learned. Without `target`
    the class is the one that `model` predicts.
    """
    first = explain(model, images, target, method=method, **options)
    second = explain(other, images, first.targets, method=method, **options)
    return over_images(rank_correlation(first.maps, second.maps))
