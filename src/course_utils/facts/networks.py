"""The networks behind ``imagenet_models``, built without weights and without memory, to be counted."""

from __future__ import annotations

from unittest import mock

import torch
from torch import nn
from torchvision import models
from torchvision.models.regnet import BlockParams

_plan = BlockParams.from_init_params


def _plan_on_cpu(*args: object, **settings: object) -> BlockParams:
    with torch.device("cpu"):  # RegNet works its widths out with tensors, which must have values
        return _plan(*args, **settings)


def construct(model: str, crop: int = 224) -> nn.Module:
    """Build one of torchvision's networks on the device ``meta``: shapes, but no values.

    Parameters
    ----------
    model
        Name in torchvision.
    crop
        Side of the images, which a vision transformer has to know. The other networks take any.

    Raises
    ------
    ValueError
        If torchvision has no such model.
    """
    settings: dict[str, object] = {"image_size": crop} if model.startswith("vit") else {}
    if model == "googlenet":
        settings = {"aux_logits": False, "init_weights": False}  # the two extra classifiers serve training only
    with torch.device("meta"), mock.patch.object(BlockParams, "from_init_params", _plan_on_cpu):
        return models.get_model(model, weights=None, **settings)
