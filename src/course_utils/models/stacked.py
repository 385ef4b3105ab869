"""Several networks of one architecture as one network, their feature maps side by side as channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.models.lenet import MixedPool2d, ScaledTanh
from course_utils.models.phases import PhaseBlock

# Layers without weights and without random numbers: they do the same to each value, or to each channel.
STATELESS = (
    nn.Identity,
    nn.Flatten,
    nn.AvgPool2d,
    nn.MaxPool2d,
    nn.AdaptiveAvgPool2d,
    MixedPool2d,
    nn.Sigmoid,
    nn.Tanh,
    nn.ReLU,
    nn.LeakyReLU,
    nn.GELU,
    ScaledTanh,
)


class StackedLinear(nn.Module):
    """Dense layers of several runs: (N, runs * in_features) -> (N, runs * out_features)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))  # runs, out, in
        self.bias: nn.Parameter | None = None
        if layers[0].bias is not None:
            self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))  # runs, out

    def forward(self, x: Tensor) -> Tensor:
        """Each run's features times its own weights."""
        x = x.unflatten(1, (len(self.weight), -1)).transpose(0, 1)  # runs, N, in
        weight = self.weight.transpose(1, 2)
        y = x @ weight if self.bias is None else torch.baddbmm(self.bias.unsqueeze(1), x, weight)
        return y.transpose(0, 1).flatten(1)


def can_stack(model: nn.Module) -> bool:
    """Whether `stack` knows all layers of a model."""
    known = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, *STATELESS)
    return type(model) is nn.Sequential and all(
        type(part) in known
        for layer in model
        for part in (layer.children() if isinstance(layer, PhaseBlock) else [layer])
    )


def stack(models: Sequence[nn.Module]) -> nn.Sequential:
    """One network that computes all of `models` side by side: (N, runs * C, H, W) -> (N, runs * classes).

    The order of its parameters and buffers is that of a single model, and each holds those of the first run first.

    Raises
    ------
    ValueError
        If they are not `nn.Sequential` of known layers, or not alike.
    """
    if not models:
        raise ValueError("an ensemble needs one model at least, given none")
    for model in models:
        if not can_stack(model):
            raise ValueError(
                "only an nn.Sequential of convolutions, dense layers, batch normalization, pooling without random "
                f"numbers and activations can be stacked, given {model}"
            )
        if str(model) != str(models[0]):
            raise ValueError("models of an ensemble must have the same architecture")
    return nn.Sequential(*(_stack_layers(layers) for layers in zip(*models, strict=True)))


def _stack_layers(layers: Sequence[Any]) -> nn.Module:
    first, count = layers[0], len(layers)
    if isinstance(first, nn.Linear):
        return StackedLinear(layers)
    if isinstance(first, PhaseBlock):
        parts = zip(*(layer.children() for layer in layers), strict=True)
        return PhaseBlock(*map(_stack_layers, parts))  # type: ignore[arg-type]
    if isinstance(first, nn.Conv2d):
        stacked: nn.Module = nn.Conv2d(
            count * first.in_channels,
            count * first.out_channels,
            first.kernel_size,  # type: ignore[arg-type]
            first.stride,  # type: ignore[arg-type]
            first.padding,  # type: ignore[arg-type]
            first.dilation,  # type: ignore[arg-type]
            count * first.groups,
            first.bias is not None,
            first.padding_mode,
        )
    elif isinstance(first, (nn.BatchNorm1d, nn.BatchNorm2d)):
        stacked = type(first)(count * first.num_features, first.eps, first.momentum)
    else:
        return first
    states = [layer.state_dict() for layer in layers]
    state = {
        name: torch.cat([state[name] for state in states]) if value.ndim else value for name, value in states[0].items()
    }
    stacked.to(first.weight.device)
    stacked.load_state_dict(state)
    return stacked


def unstack(state: dict[str, Tensor], models: Sequence[nn.Module], run: int) -> None:
    """Copy the weights of one run out of a stacked network's state into its own model."""
    own = models[run].state_dict()
    pieces = (v.reshape(len(models), -1)[run] if v.numel() > 1 or len(models) == 1 else v for v in state.values())
    models[run].load_state_dict({n: p.reshape(v.shape) for (n, v), p in zip(own.items(), pieces, strict=True)})
