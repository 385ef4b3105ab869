"""The building blocks of the LeNet family as LeCun et al. published them, 1989 to 1998."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.checks import choose
from course_utils.models.lenet import ScaledTanh
from course_utils.modes import mode

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"scaled_tanh": ScaledTanh, "sigmoid": nn.Sigmoid}
INPUT_SCALES = {"published": (-0.1, 1.175), "unit": (0.0, 1.0)}  # what background 0 and ink 1 become
INITIALIZATIONS = ("lecun", "xavier")

Table = Sequence[Sequence[int]]


class PaddedInput(nn.Module):
    """Put an image with pixels from 0 (background) to 1 (ink) into a larger plane and stretch its gray values.

    Parameters
    ----------
    padding
        Pixels added on each side.
    scale
        A name in `INPUT_SCALES`: what background and ink become. LeCun et al. 1998, section II.B, have -0.1 and 1.175.
    fill
        What the added pixels hold: the value of the "background", or "zeros".
    size
        Resize the image to this side first (bilinear, smoothed); None leaves it as it is.
    """

    def __init__(
        self, padding: int, scale: str = "published", fill: str = "background", size: int | None = None
    ) -> None:
        super().__init__()
        self.padding, self.scale, self.fill, self.size = padding, scale, fill, size
        self.background, self.ink = choose(INPUT_SCALES, scale, "input_scale")
        self.frame = choose({"background": self.background, "zeros": 0.0}, fill, "padding")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H + 2 padding, W + 2 padding)."""
        if self.size is not None:
            x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=True)
        if (self.background, self.ink) != (0.0, 1.0):
            x = x * (self.ink - self.background) + self.background
        return F.pad(x, [self.padding] * 4, value=self.frame) if self.padding else x

    def extra_repr(self) -> str:
        """The settings."""
        return f"padding={self.padding}, scale={self.scale!r}, fill={self.fill!r}, size={self.size}"


class TrainablePool2d(nn.Module):
    """Subsampling with two parameters a map: a times the sum of each 2 x 2 window, plus b.

    Layers S2 and S4 of LeCun et al. 1998, section II.B, without the squashing function that follows. It starts as the
    average (a = 1/4, b = 0).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel_size = self.stride = 2
        self.weight = nn.Parameter(torch.full((channels,), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / 2, W / 2)."""
        return self.scale(F.avg_pool2d(x, 2, divisor_override=1))

    def scale(self, total: Tensor) -> Tensor:
        """Coefficient and bias, for sums (N, C, H, W) of windows."""
        return torch.addcmul(self.bias[:, None, None], total, self.weight[:, None, None])

    def extra_repr(self) -> str:
        """The number of maps."""
        return f"{len(self.weight)}"


class TableConv2d(nn.Conv2d):
    """A convolution in which each output map reads only the input maps that a table names.

    Its parameter `weight` holds one kernel for each link of the table, shape (links, k, k), in the table's order, and
    no others: a kernel that is not there can neither be counted nor trained.

    Parameters
    ----------
    in_channels
        Number of input maps.
    table
        For each output map the input maps that it reads.
    kernel_size
        Side of the kernels.

    Raises
    ------
    ValueError
        If an output map reads nothing, or a map twice, or one that does not exist.
    """

    def __init__(self, in_channels: int, table: Table, kernel_size: int) -> None:
        for output, row in enumerate(table):
            if not row or len(set(row)) != len(row) or not set(row) <= set(range(in_channels)):
                raise ValueError(
                    f"map {output} must read maps from 0 to {in_channels - 1}, one at least and none twice, "
                    f"given {list(row)}"
                )
        super().__init__(in_channels, len(table), kernel_size)
        self.table = [tuple(row) for row in table]
        places = [output * in_channels + i for output, row in enumerate(table) for i in row]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.places: Tensor
        self.weight = nn.Parameter(self.weight.detach().flatten(0, 1)[self.places].clone())

    def full_weight(self) -> Tensor:
        """The kernels as an ordinary convolution has them, (out, in, k, k), with zeros where there is no link."""
        size = self.weight.shape[1:]
        empty = self.weight.new_zeros(self.out_channels * self.in_channels, *size)
        return empty.index_copy(0, self.places, self.weight).view(self.out_channels, self.in_channels, *size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H - k + 1, W - k + 1)."""
        return F.conv2d(x, self.full_weight(), self.bias)

    def extra_repr(self) -> str:
        """Sizes, and the number of links."""
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, links={len(self.weight)}"


class WholeConv2d(nn.Conv2d):
    """A convolution whose kernel is as large as its input: it equals a dense layer, until the input grows.

    Layer C5 of LeCun et al. 1998 is one. Where the input has the kernel's size it is computed as the dense layer, which
    is three times as fast on a CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H - k + 1, W - k + 1)."""
        if x.shape[2:] != self.weight.shape[2:]:
            return super().forward(x)
        return F.linear(x.flatten(1), self.weight.flatten(1), self.bias).unflatten(1, (-1, 1, 1))


@torch.no_grad()
def initialize(model: nn.Module, how: str) -> None:
    """Draw the initial weights of all layers of a network.

    Parameters
    ----------
    model
        Its layers are initialized in place.
    how
        "lecun": weights and biases uniform in +-2.4 / fan-in, where fan-in is the number of inputs of the unit that
        they belong to (LeCun et al. 1998, appendix A). "xavier": weights uniform in +-sqrt(6 / (n_in + n_out)), biases
        as PyTorch draws them; subsampling starts as the average. `WholeConv2d` counts as the dense layer that it is.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    choose(dict.fromkeys(INITIALIZATIONS), how, "initialization")
    for module in model.modules():
        if how == "lecun":
            _lecun(module)
        elif isinstance(module, TableConv2d):
            full = nn.init.xavier_uniform_(torch.empty_like(module.full_weight()))
            module.weight.copy_(full.flatten(0, 1)[module.places])
        elif isinstance(module, WholeConv2d):
            nn.init.xavier_uniform_(module.weight.flatten(1))
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)


def _lecun(module: nn.Module) -> None:
    if isinstance(module, TableConv2d):
        k = module.weight[0].numel()
        for output, links in enumerate(module.weight.split([len(row) for row in module.table])):
            bound = 2.4 / (len(links) * k)
            links.uniform_(-bound, bound)
            module.bias[output].uniform_(-bound, bound)  # type: ignore[index]
    elif isinstance(module, (nn.Conv2d, nn.Linear, TrainablePool2d)):
        bound = 2.4 / (4 if isinstance(module, TrainablePool2d) else module.weight[0].numel())
        module.weight.uniform_(-bound, bound)
        if module.bias is not None:
            module.bias.uniform_(-bound, bound)


@torch.no_grad()
def count_connections(model: nn.Module, input_shape: tuple[int, int, int] = (1, 28, 28)) -> dict[str, dict[str, int]]:
    """Count parameters and connections of each layer that has any, as the papers of 1989 to 1998 count them.

    A unit has one connection for each of its inputs, and one for its bias, which counts as an input that is always 1.
    A kernel of 25 weights on 100 places is 2,500 connections with 25 parameters.

    Parameters
    ----------
    model
        A network of convolutions, dense layers, `TrainablePool2d` and modules that say their own number in an
        attribute `connections`. It is run once on zeros, in evaluation mode.
    input_shape
        Shape (C, H, W) of one image.

    Returns
    -------
    dict
        Name of the layer -> ``{"parameters": ..., "connections": ...}``, in order.
    """
    counts: dict[str, dict[str, int]] = {}

    def count(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Tensor) -> None:
            parameters = sum(parameter.numel() for parameter in module.parameters())
            places = output.shape[2:].numel() if output.ndim > 2 else 1
            # each pooled value has four inputs, but all four share one coefficient
            per_place = 5 * len(module.weight) if isinstance(module, TrainablePool2d) else parameters
            connections = getattr(module, "connections", places * per_place)
            if connections:
                counts[name] = {"parameters": parameters, "connections": connections}

        return hook

    handles = [module.register_forward_hook(count(name)) for name, module in model.named_modules() if _is_leaf(module)]
    try:
        with mode(model, training=False):
            model(torch.zeros(1, *input_shape))
    finally:
        for handle in handles:
            handle.remove()
    return counts


def _is_leaf(module: nn.Module) -> bool:
    return not any(True for _ in module.children())
