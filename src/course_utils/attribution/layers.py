"""Which layer to look at: the survey of a forward pass, the choice, and the check of what the caller asked for."""

from __future__ import annotations

import contextlib
import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils.attribution.borrow import Run, borrowed
from course_utils.attribution.checks import checked_images

_POOLING = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.LPPool2d,
    nn.FractionalMaxPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
)
_PASSING_ON = (nn.Identity, nn.Dropout, nn.Dropout2d)


@dataclass(frozen=True)
class Call:
    """One call of a module in a forward pass: the module's name, which of its calls it was, and its output's shape.

    `shape` is without the batch; None if the output is no tensor. `pooled` says that the output is a pooling layer's.
    """

    name: str
    module: nn.Module
    number: int
    shape: tuple[int, ...] | None
    pooled: bool

    @property
    def has_map(self) -> bool:
        """Whether the output is a stack of feature maps, each larger than one value."""
        return self.shape is not None and len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1


def survey(model: nn.Module, run: Run, image: Tensor) -> tuple[Tensor, list[Call]]:
    """Run one image through a borrowed model; return the logits and all calls in the order in which they ended."""
    calls: list[Call] = []
    numbers: Counter[str] = Counter()
    pooled: list[Tensor] = []  # kept until the end, so that `is` compares with what still exists

    def note(name: str, module: nn.Module, output: object) -> None:
        same = any(output is tensor for tensor in pooled)
        inherits = same and (any(True for _ in module.children()) or isinstance(module, _PASSING_ON))
        is_pooled = isinstance(module, _POOLING) or inherits
        if is_pooled and isinstance(output, Tensor):
            pooled.append(output)
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
        calls.append(Call(name, module, numbers[name], shape, is_pooled))
        numbers[name] += 1

    with contextlib.ExitStack() as hooks, torch.no_grad():
        for name, module in model.named_modules():
            handle = module.register_forward_hook(lambda module, inputs, output, name=name: note(name, module, output))
            hooks.callback(handle.remove)
        logits = run(image)
    return logits, calls


def choose_layer(model: nn.Module, layer: str | nn.Module, calls: list[Call]) -> Call:
    """The call to look at; a module that is called several times is looked at the last time.

    ``"auto"`` is the last output with a spatial map, pooling layers left out: the map before global average pooling,
    where there is one, and otherwise the map before the last pooling layer. It may be the output of a block.

    Raises
    ------
    TypeError
        If `layer` is neither a name nor a module.
    ValueError
        If it is not in the model, is not called, or its output has no spatial map.
    """
    if isinstance(layer, str) and layer == "auto":
        found = next((call for call in reversed(calls) if call.has_map and not call.pooled), None)
        found = found or next((call for call in reversed(calls) if call.has_map), None)
        if found is None:
            raise ValueError("no layer of this model has a spatial map, an output (N, K, h, w) with h * w > 1")
        return found
    modules = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, str):
        if layer not in modules:
            near = difflib.get_close_matches(layer, modules, n=3, cutoff=0.5) or [name for name in modules if name][-3:]
            raise ValueError(f"layer {layer!r} is not in the model; did you mean {', '.join(map(repr, near))}?")
        module = modules[layer]
    elif isinstance(layer, nn.Module):
        if not any(layer is module for module in modules.values()):
            raise ValueError(f"the given layer, a {type(layer).__name__}, is not in the model")
        module = layer
    else:
        raise TypeError(f"layer must be 'auto', a name or a module of the model, given {type(layer).__name__}")
    own = [call for call in calls if call.module is module]
    name = own[-1].name if own else next(name for name, other in modules.items() if other is module)
    if not own:
        raise ValueError(f"layer {name!r} is not called when the model runs")
    if not own[-1].has_map:
        output = "no tensor" if own[-1].shape is None else f"(N, {', '.join(map(str, own[-1].shape))})"
        maps = ", ".join(repr(call.name) for call in _by_name(calls)[-3:])
        raise ValueError(f"layer {name!r} has no spatial map: its output is {output}; the last that have one: {maps}")
    return own[-1]


def _by_name(calls: list[Call]) -> list[Call]:
    """The last call of each named module that has a spatial map."""
    return list({call.name: call for call in calls if call.has_map and call.name}.values())


def map_layers(model: nn.Module, images: Tensor) -> dict[str, tuple[int, ...]]:
    """Names of the layers that a map can be made at, in the order of the forward pass, with their shapes (K, h, w).

    Parameters
    ----------
    model
        Any network; it is left as it was.
    images
        One or more images, shape (N, C, H, W) or (C, H, W); the first is used.
    """
    images = checked_images(model, images)
    with borrowed(model) as run:
        _, calls = survey(model, run, images[:1])
    return {call.name: call.shape for call in _by_name(calls) if call.shape is not None}


def iterate_chunks(images: Tensor, batch_size: int) -> Iterator[slice]:
    """Slices of at most `batch_size` images."""
    for start in range(0, len(images), batch_size):
        yield slice(start, start + batch_size)
