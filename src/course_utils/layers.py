"""What each layer of a network does to shapes, and what it costs: the table that the chapters ask you to predict."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, fx, nn

from course_utils.modes import mode

WEIGHTED = (nn.Conv2d, nn.Linear)
WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
PASSING = (nn.Identity, nn.Flatten)  # they hand their input on, under another shape at most


class Field(NamedTuple):
    """What one value of a feature map sees: `size` input pixels a side; neighbors lie `stride` pixels apart.

    `stride` is ``None`` once the map has no place in the image any more (after flattening); both are after a step
    whose effect on the map's height and width is not known here.
    """

    size: int | None
    stride: int | None


class _Tracer(fx.Tracer):
    """Takes every module without children as one layer, also those that are not PyTorch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(True for _ in m.children())


class _Walker(fx.Interpreter):
    """Runs a traced model and notes, for each module it calls, the row of the table."""

    def __init__(self, graph: fx.GraphModule, image_size: int) -> None:
        super().__init__(graph)
        self.image_size = image_size
        self.fields: dict[fx.Node, Field] = {}
        self.rows: list[dict[str, Any]] = []

    def run_node(self, node: fx.Node) -> Any:
        output = super().run_node(node)
        module = self.fetch_attr(str(node.target)) if node.op == "call_module" else None
        if node.op == "get_attr":
            return output  # a parameter of the model, which sees nothing of the image
        field = self._field(node, module, output)
        self.fields[node] = field
        if module is not None and isinstance(output, Tensor):
            self.rows.append(
                {
                    "layer": node.target,
                    "kind": type(module).__name__,
                    "output_shape": tuple(output.shape[1:]),
                    "parameters": sum(parameter.numel() for parameter in module.parameters()),
                    "macs": _macs(module, output),
                    "receptive_field": field.size,
                    "stride": field.stride,
                    "activations": 0 if isinstance(module, PASSING) else output[0].numel(),
                }
            )
        return output

    def _field(self, node: fx.Node, module: nn.Module | None, output: Any) -> Field:
        # Where branches meet (an addition, a concatenation), a value sees what the widest of them sees.
        parents = [parent for parent in node.all_input_nodes if parent in self.fields]
        before = (self.fields[parent] for parent in parents)
        field = max(before, key=lambda f: math.inf if f.size is None else f.size, default=Field(1, 1))
        if not isinstance(output, Tensor):
            return field
        if _has_window(module):
            if field.size is None or field.stride is None:
                return field
            kernel, stride, dilation = (_one(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation"))
            return Field(field.size + dilation * (kernel - 1) * field.stride, field.stride * stride)
        images = [value for parent in parents if isinstance(value := self.env[parent], Tensor) and value.ndim > 2]
        if output.ndim > 2 and any(_is_same_map(image, output) for image in images):
            return field
        if isinstance(module, nn.Linear) or "pad" in _name(module or node.target) or not parents:
            return Field(self.image_size, None) if output.ndim < 4 else field
        return Field(self.image_size, None) if output.ndim < 4 or output.shape[2:].numel() == 1 else Field(None, None)


def _name(target: object) -> str:
    """Lower-case name of a function or method, or of a module's class."""
    if isinstance(target, str):
        return target
    return (type(target).__name__ if isinstance(target, nn.Module) else getattr(target, "__name__", "")).lower()


def _is_same_map(image: Tensor, output: Tensor) -> bool:
    """Whether height and width are as before, perhaps in another order of the axes (channels last)."""
    return image.shape[-2:] == output.shape[-2:] or sorted(image.shape) == sorted(output.shape)


def _has_window(module: nn.Module | None) -> bool:
    """Whether a module slides a window: the known ones, and modules from elsewhere that name kernel and stride."""
    if isinstance(module, WINDOWED):
        return True
    return not type(module).__module__.startswith("torch.nn.") and all(
        hasattr(module, key) for key in ("kernel_size", "stride")
    )


def _one(value: int | tuple[int, ...]) -> int:
    """The side of a square kernel, stride or dilation."""
    if isinstance(value, int):
        return value
    if len(set(value)) != 1:
        raise ValueError(f"layer_table knows square windows only, given {value}")
    return value[0]


def _macs(module: nn.Module, output: Tensor) -> int:
    """Multiply-adds for one image. Biases, activations and pooling are not counted, as is the custom."""
    if not isinstance(module, WEIGHTED):
        return 0
    positions = output.shape[2:] if isinstance(module, nn.Conv2d) else output.shape[1:-1]
    return module.weight.numel() * positions.numel()


def layer_table(model: nn.Module, input_shape: tuple[int, int, int], *, activations: bool = False) -> pd.DataFrame:
    """Tabulate a network layer by layer.

    Parameters
    ----------
    model
        Any network that `torch.fx` can trace. It is run once on zeros in evaluation mode, and left as it was.
    input_shape
        Shape (C, H, W) of one image.
    activations
        Add a column `activations`: how many values the layer computes for one image. Times four bytes and the number
        of images, that is what training has to remember, about: sums and concatenations of branches are no layers,
        and normalization and dropout remember a little more.

    Returns
    -------
    pandas.DataFrame
        One row per module that was called, in order: `layer` (its name), `kind` (its class), `output_shape` (without
        the batch), `parameters` (weights and biases), `macs` (multiply-adds for one image), `receptive_field` (side in
        input pixels, in theory: Araujo et al. 2019, equation 2; the image's whole side after flattening or global
        pooling; padding is not subtracted), `stride` (input pixels between neighbors; ``<NA>`` where the map has no
        place in the image any more). After a function that changes height and width in a way unknown here (write the
        layer as a module instead), both are ``<NA>``.

    Raises
    ------
    ValueError
        If `input_shape` is not (C, H, W) with positive entries, the model cannot take it, or a window is not square.
    """
    if len(input_shape) != 3 or any(not isinstance(n, int) or n < 1 for n in input_shape):
        raise ValueError(f"input_shape must be (channels, height, width), all positive, given {input_shape!r}")
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with mode(model, training=False), torch.no_grad():  # around the tracing too, which follows one way through the code
        walker = _Walker(fx.GraphModule(model, _Tracer().trace(model)), max(input_shape[1:]))
        try:
            walker.run(torch.zeros(1, *input_shape, device=device))
        except RuntimeError as error:
            raise ValueError(f"the model cannot take an image of shape {tuple(input_shape)}: {error}") from error
    table = pd.DataFrame(walker.rows)
    table = table.astype({"receptive_field": "Int64", "stride": "Int64"})
    return table if activations else table.drop(columns="activations")
