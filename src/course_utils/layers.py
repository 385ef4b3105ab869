"""What each layer of a network does to shapes, and what it costs: the table that the chapters ask you to predict."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, fx, nn

from course_utils.modes import mode

WEIGHTED = (nn.Conv2d, nn.Linear)
WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


class Field(NamedTuple):
    """What one value of a feature map sees: `size` input pixels a side; neighbors lie `stride` pixels apart.

    Both are ``None`` once the map has no place in the image any more (after flattening).
    """

    size: int | None
    stride: int | None


class _Walker(fx.Interpreter):
    """Runs a traced model and notes, for each module it calls, the row of the table."""

    def __init__(self, graph: fx.GraphModule, image_size: int) -> None:
        super().__init__(graph)
        self.image_size = image_size
        self.fields: dict[fx.Node, Field] = {}
        self.rows: list[dict[str, Any]] = []

    def run_node(self, node: fx.Node) -> Any:
        output = super().run_node(node)
        # Where branches meet (an addition, a concatenation), a value sees what the widest of them sees.
        before = [self.fields[parent] for parent in node.all_input_nodes if parent in self.fields]
        field = max(before, key=lambda f: f.size or 0, default=Field(1, 1))
        module = self.fetch_attr(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, WINDOWED) and field.size is not None and field.stride is not None:
            kernel, stride, dilation = (_one(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation"))
            field = Field(field.size + dilation * (kernel - 1) * field.stride, field.stride * stride)
        elif (isinstance(output, Tensor) and output.ndim < 4) or isinstance(module, nn.AdaptiveAvgPool2d):
            field = Field(self.image_size, None)
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
                }
            )
        return output


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
    positions = output.shape[2:].numel() if isinstance(module, nn.Conv2d) else 1
    return module.weight.numel() * positions


def layer_table(model: nn.Module, input_shape: tuple[int, int, int]) -> pd.DataFrame:
    """Tabulate a network layer by layer.

    Parameters
    ----------
    model
        Any network that `torch.fx` can trace. It is run once on zeros in evaluation mode, and left as it was.
    input_shape
        Shape (C, H, W) of one image.

    Returns
    -------
    pandas.DataFrame
        One row per module that was called, in order: `layer` (its name), `kind` (its class), `output_shape` (without
        the batch), `parameters` (weights and biases), `macs` (multiply-adds for one image), `receptive_field` (side in
        input pixels, in theory: Araujo et al. 2019, equation 2; the image's whole side after flattening or global
        pooling; padding is not subtracted), `stride` (input pixels between neighbors; ``<NA>`` where the map has no
        place in the image any more).

    Raises
    ------
    ValueError
        If `input_shape` is not (C, H, W) with positive entries, the model cannot take it, or a window is not square.
    """
    if len(input_shape) != 3 or any(not isinstance(n, int) or n < 1 for n in input_shape):
        raise ValueError(f"input_shape must be (channels, height, width), all positive, given {input_shape!r}")
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    walker = _Walker(fx.symbolic_trace(model), max(input_shape[1:]))
    with mode(model, training=False), torch.no_grad():
        walker.module.eval()
        try:
            walker.run(torch.zeros(1, *input_shape, device=device))
        except RuntimeError as error:
            raise ValueError(f"the model cannot take an image of shape {tuple(input_shape)}: {error}") from error
    table = pd.DataFrame(walker.rows)
    return table.astype({"receptive_field": "Int64", "stride": "Int64"})
