"""Class activation maps written out: from the output of a layer, and gradients or weights, to one signed map per image.

`activations` A and `gradients` g, the gradient of each image's target logit with respect to A, have shape (N, K, h, w);
a map has shape (N, h, w). The papers apply a ReLU to the map; here it is left to whoever shows it, because negative
values say which places speak against the class.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def cam(activations: Tensor, weights: Tensor) -> Tensor:
    """CAM: the channels, weighted as the last linear layer weights their means for the target class.

    `weights` has shape (N, K): row c of the linear layer for each image, c its target (Zhou et al. 2016, equation 2).
    """
    return torch.einsum("nkhw,nk->nhw", activations, weights)


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM: channel weights are the gradient's mean over all places (Selvaraju et al. 2017, equations 1 and 2)."""
    return cam(activations, gradients.mean((2, 3)))


def hires_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """HiResCAM: gradient times activation, place by place, summed over channels (Draelos and Carin 2020)."""
    return (gradients * activations).sum(1)


def layer_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM: as HiResCAM, with positive gradients only (Jiang et al. 2021)."""
    return (gradients.relu() * activations).sum(1)


def cam_weights(model: nn.Module, activations: Tensor, logits: Tensor) -> Tensor:
    """The weights (classes, K) with which CAM applies at a layer: logits = weights · mean(activations) + bias.

    They are searched for among the linear layers and 1x1 convolutions of the model, and found by trying: whichever
    turns the means of these activations into these logits. A network that ends in global average pooling has one
    weight of 1 per class: its classes are channels.

    Raises
    ------
    ValueError
        If there are none: CAM needs global average pooling and one linear layer behind the layer.
    """
    means = activations.mean((2, 3))
    tolerance = 1e-4 * float(logits.abs().max().clamp(min=1e-6))
    if means.shape == logits.shape and torch.allclose(means, logits, rtol=1e-4, atol=tolerance):
        return torch.eye(means.shape[1], dtype=means.dtype, device=means.device)
    for module in reversed(list(model.modules())):
        if not isinstance(module, (nn.Linear, nn.Conv2d)) or module.weight[0].numel() != means.shape[1]:
            continue
        weights = module.weight.detach().flatten(1).to(means)
        bias = None if module.bias is None else module.bias.detach().to(means)
        if len(weights) == logits.shape[1] and torch.allclose(
            F.linear(means, weights, bias), logits, rtol=1e-4, atol=tolerance
        ):
            return weights
    raise ValueError(
        "CAM needs global average pooling followed by one linear layer right behind the layer it looks at; "
        "for this model and layer use method='grad_cam'"
    )
