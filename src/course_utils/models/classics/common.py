"""What the networks share: a checked input, scaled widths, initial weights, and the least image that they can take."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from course_utils.checks import choose, positive_int
from course_utils.models.lenet import INITIALIZATIONS

Window = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


class Network(nn.Sequential):
    """Layers in a row that know which images they take, and say so when they are given others.

    Attributes
    ----------
    in_channels
        Channels of an image; ``None`` for a part of a network, which checks nothing.
    image_size
        Height and width, where dense layers fix them; ``None`` where any from `least_size` up will do.
    least_size
        The least height and width.
    """

    def __init__(
        self,
        layers: OrderedDict[str, nn.Module],
        *,
        in_channels: int | None = None,
        image_size: int | None = None,
        least_size: int = 1,
    ) -> None:
        super().__init__(layers)
        self.in_channels, self.image_size = in_channels, image_size
        self.least_size = image_size or least_size

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, classes)."""
        self.check(x)
        return super().forward(x)

    def check(self, x: Tensor) -> None:
        """Raise ValueError unless `x` is a batch of images that the network takes."""
        if self.in_channels is None or not isinstance(x, Tensor):  # `torch.fx` traces with something that has no shape
            return
        sides = x.shape[2:]
        fits = all(side == self.image_size if self.image_size else side >= self.least_size for side in sides)
        if x.ndim != 4 or x.shape[1] != self.in_channels or not fits:
            wanted = f"(N, {self.in_channels}, {self.image_size}, {self.image_size})"
            if self.image_size is None:
                wanted = f"(N, {self.in_channels}, H, W) with H and W at least {self.least_size}"
            raise ValueError(f"images must have shape {wanted}, given {tuple(x.shape)}")


def network(
    layers: OrderedDict[str, nn.Module], head: OrderedDict[str, nn.Module], in_channels: int, image_size: int
) -> Network:
    """Put a head with global pooling onto convolutions, and see whether an image of `image_size` gets through them."""
    convolutions = nn.Sequential(layers)
    map_size(convolutions, image_size)
    return Network(layers | head, in_channels=in_channels, least_size=least_size(convolutions))


def windows(module: nn.Module, name: str = "") -> Iterator[tuple[str, Window]]:
    """Convolutions and poolings that an image passes on its way, in order, each with its name.

    Where ways run side by side, they all change height and width alike, and only one is followed: the children that a
    module names in its attribute ``way``.
    """
    if isinstance(module, Window):
        yield name, module
    way = getattr(module, "way", None)
    for child_name, child in module.named_children():
        if way is None or child_name in way:
            yield from windows(child, f"{name}.{child_name}" if name else child_name)


def _one(value: int | tuple[int, ...] | str) -> int:
    """The side of a square kernel, its stride or its padding; all of ours are square."""
    return value[0] if isinstance(value, tuple) else int(value)


def _after(window: Window, size: int) -> int:
    """Side of the map behind a window, from the side of the map before it; below 1 if the window does not fit."""
    kernel, stride, padding = _one(window.kernel_size), _one(window.stride), _one(window.padding)
    steps = (size + 2 * padding - kernel) / stride
    if getattr(window, "ceil_mode", False):
        after = math.ceil(steps) + 1
        return after - 1 if (after - 1) * stride >= size + padding else after  # no window begins beyond the map
    return math.floor(steps) + 1


def map_size(layers: nn.Module, image_size: int) -> int:
    """Side of the last feature map for square images of side `image_size`.

    Raises
    ------
    ValueError
        If a window is larger than its input; the message names the layer and the least image size that works.
    """
    size = image_size
    for name, window in windows(layers):
        after = _after(window, size)
        if after < 1:
            kernel = _one(window.kernel_size)
            raise ValueError(
                f"image_size {image_size} is too small: at {name} a {kernel} x {kernel} window does not fit its "
                f"{size} x {size} input; the least image_size is {least_size(layers)}"
            )
        size = after
    return size


def least_size(layers: nn.Module) -> int:
    """Side of the smallest square images that pass all windows of `layers`."""
    size = 1
    while True:
        side = size
        for _, window in windows(layers):
            side = _after(window, side)
            if side < 1:
                break
        else:
            return size
        size += 1


def checked_width(width: object) -> float:
    """Return the width multiplier if it is a positive, finite number; ValueError otherwise."""
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not 0 < width < math.inf:
        raise ValueError(f"width must be a positive number, given {width!r}")
    return width


def scaled(channels: int, width: float, layer: str, groups: int = 1) -> int:
    """`channels` times `width`, rounded to a multiple of `groups`.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    result = groups * round(channels * checked_width(width) / groups)
    if result < 1:
        raise ValueError(f"width {width!r} is too small: it leaves {layer} without channels, of {channels} at width 1")
    return result


def checked_dropout(dropout: object) -> float:
    """Return the probability if it is a number from 0 up to but without 1; ValueError otherwise."""
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
        raise ValueError(f"dropout must be a number from 0 up to but without 1, given {dropout!r}")
    return float(dropout)


def image_settings(
    small: bool, in_channels: int | None, classes: int | None, image_size: int | None, full_size: int = 224
) -> tuple[int, int, int]:
    """Channels, classes and side of the images: those given, and ImageNet's or Fashion-MNIST's for the rest."""
    defaults = (1, 10, 28) if small else (3, 1000, full_size)
    given = dict(in_channels=in_channels, classes=classes, image_size=image_size)
    channels, count, size = (
        positive_int(default if value is None else value, what)
        for default, (what, value) in zip(defaults, given.items(), strict=True)
    )
    return channels, count, size


def blocks_of(depth: object, table: Mapping[int, tuple[int, ...]]) -> tuple[int, ...]:
    """Blocks of the network with `depth` layers; ValueError with the depths that there are, if it is none of them."""
    if isinstance(depth, bool) or not isinstance(depth, int) or depth not in table:
        raise ValueError(f"depth {depth!r} is not known; allowed: {', '.join(map(str, table))}")
    return table[depth]


def initialize(model: nn.Module, name: str) -> None:
    """Draw the weights of convolutions and dense layers, in place; biases stay at PyTorch's default.

    Parameters
    ----------
    model
        Its last convolution or dense layer gives the logits.
    name
        A key of `course_utils.models.lenet.INITIALIZATIONS`. "he" (He et al. 2015, equation 10) keeps the size of a
        signal from layer to layer of ReLUs. No ReLU follows the logits, whose layer therefore stays at PyTorch's
        default, which is smaller: else the first losses are far above that of guessing.
    """
    draw = choose(INITIALIZATIONS, name, "initialization")
    if draw is None:
        return
    weighted = [(layer, m) for layer, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for layer, module in weighted:
        gives_logits = module is weighted[-1][1] or layer.endswith("output")
        if name != "he" or not gives_logits:
            draw(module.weight)
