"""GoogLeNet: modules of four branches side by side (Szegedy et al. 2015)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.models.classics.common import (
    Network,
    checked_dropout,
    image_settings,
    initialize,
    least_size,
    map_size,
    scaled,
)


class Branches(NamedTuple):
    """Channels of a module, as in the columns of the paper's table 1."""

    conv1: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool: int


MODULES = {
    "3a": Branches(64, 96, 128, 16, 32, 32),
    "3b": Branches(128, 128, 192, 32, 96, 64),
    "4a": Branches(192, 96, 208, 16, 48, 64),
    "4b": Branches(160, 112, 224, 24, 64, 64),
    "4c": Branches(128, 128, 256, 24, 64, 64),
    "4d": Branches(112, 144, 288, 32, 64, 64),
    "4e": Branches(256, 160, 320, 32, 128, 128),
    "5a": Branches(256, 160, 320, 32, 128, 128),
    "5b": Branches(384, 192, 384, 48, 128, 128),
}
AUXILIARY = {"4a": "auxiliary1", "4d": "auxiliary2"}  # which classifier reads which module


def convolution(
    in_channels: int, channels: int, kernel: int, stride: int = 1, *, batch_norm: bool = True
) -> nn.Sequential:
    """A convolution with its ReLU; with batch normalization between them, the convolution needs no bias."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=not batch_norm)
    if batch_norm:
        layers["norm"] = nn.BatchNorm2d(channels, eps=0.001)
    layers["activation"] = nn.ReLU()
    return nn.Sequential(layers)


class Inception(nn.Module):
    """Four branches that see the same maps at different scales; what they find is put side by side as channels.

    The 1 x 1 convolutions before the larger kernels make these cheap: they see few channels.

    Parameters
    ----------
    in_channels
        Channels of the input.
    channels
        Channels of the branches.
    large_kernel
        Kernel of the third branch.
    batch_norm
        Put batch normalization before each ReLU.
    """

    way = ("branch1",)  # all branches keep height and width

    def __init__(self, in_channels: int, channels: Branches, *, large_kernel: int = 5, batch_norm: bool = True) -> None:
        super().__init__()

        def conv(i: int, o: int, kernel: int) -> nn.Sequential:
            return convolution(i, o, kernel, batch_norm=batch_norm)

        self.branch1 = conv(in_channels, channels.conv1, 1)
        self.branch3 = nn.Sequential(
            OrderedDict(reduce=conv(in_channels, channels.reduce3, 1), expand=conv(channels.reduce3, channels.conv3, 3))
        )
        self.branch5 = nn.Sequential(
            OrderedDict(
                reduce=conv(in_channels, channels.reduce5, 1),
                expand=conv(channels.reduce5, channels.conv5, large_kernel),
            )
        )
        self.branch_pool = nn.Sequential(
            OrderedDict(pool=nn.MaxPool2d(3, stride=1, padding=1), project=conv(in_channels, channels.pool, 1))
        )
        self.out_channels = channels.conv1 + channels.conv3 + channels.conv5 + channels.pool

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)], dim=1)


class GoogLeNet(Network):
    """A `Network` with two more classifiers on its way, which serve training only."""

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """(N, in_channels, H, W) -> logits (N, classes).

        In training mode, if there are auxiliary classifiers: the logits, then those of auxiliary2 and auxiliary1.
        """
        self.check(x)
        extra: list[Tensor] = []
        for name, layer in self.named_children():
            if not name.startswith("auxiliary"):
                x = layer(x)
            elif self.training:
                extra.append(layer(x))
        return (x, extra[1], extra[0]) if extra else x


def auxiliary(in_channels: int, channels: int, hidden: int, classes: int, *, batch_norm: bool) -> nn.Sequential:
    """A small classifier on top of a module's maps: (N, in_channels, H, W) -> logits (N, classes)."""
    return nn.Sequential(
        OrderedDict(
            pool=nn.AdaptiveAvgPool2d(4),
            conv=convolution(in_channels, channels, 1, batch_norm=batch_norm),
            flatten=nn.Flatten(),
            fc=nn.Linear(channels * 4 * 4, hidden),
            activation=nn.ReLU(),
            dropout=nn.Dropout(0.7),
            output=nn.Linear(hidden, classes),
        )
    )


def googlenet(
    *,
    small: bool = False,
    large_kernel: int = 3,
    batch_norm: bool = True,
    auxiliary_classifiers: bool = False,
    dropout: float = 0.2,
    initialization: str = "he",
    in_channels: int | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    width: float = 1.0,
) -> GoogLeNet:
    """Build GoogLeNet: by default torchvision's, 6,624,904 parameters.

    Parameters
    ----------
    small
        The network for 28 x 28 images with one channel: all nine modules with a quarter of the channels, on maps of
        14 x 14, 7 x 7 and 4 x 4. One convolution and one pooling stand for the stem, which divides 224 by eight.
    large_kernel
        Kernel of the third branch. The paper has 5. torchvision has 3, by a mistake that it keeps for the sake of its
        weights. Other layers are as wide in both.
    batch_norm
        Put batch normalization (Ioffe and Szegedy 2015) before each ReLU. The paper, some months older, has none;
        with ``large_kernel=5`` it counts 6,998,552 parameters. (It normalizes responses in the stem, left out here.)
    auxiliary_classifiers
        Classify after modules 4a and 4d too (auxiliary1, auxiliary2). In training mode the network then returns three
        sets of logits; the paper adds their losses with weights 1, 0.3 and 0.3.
    dropout
        Probability with which a value before the last layer is set to zero while training; 0.4 in the paper.
    initialization
        A name in `course_utils.models.lenet.INITIALIZATIONS`.
    in_channels, classes, image_size
        3, 1000 and 224, or 1, 10 and 28 if `small`, unless given. Larger images than `image_size` will do.
    width
        Multiplies the channels.

    Returns
    -------
    GoogLeNet
        Input (N, in_channels, H, W), output logits (N, classes). Layers are named conv1, pool1, ..., inception3a to
        inception5b, and output; within a module branch1, branch3, branch5 and branch_pool.

    Raises
    ------
    ValueError
        If a name is unknown, a number is out of range, or the image is too small (which names the layer).
    """
    if large_kernel not in (3, 5):
        raise ValueError(f"large_kernel must be 3 or 5, given {large_kernel!r}")
    channels_in, count, size = image_settings(small, in_channels, classes, image_size)
    rate = checked_dropout(dropout)
    layers: OrderedDict[str, nn.Module] = OrderedDict()

    def narrow(channels: int, layer: str) -> int:
        return scaled(channels // 4 if small else channels, width, layer)

    c1, c2, c3 = narrow(64, "conv1"), narrow(64, "conv2"), narrow(192, "conv3")
    if small:
        layers["conv1"] = convolution(channels_in, c3, 3, batch_norm=batch_norm)
    else:
        layers["conv1"] = convolution(channels_in, c1, 7, 2, batch_norm=batch_norm)
        layers["pool1"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        layers["conv2"] = convolution(c1, c2, 1, batch_norm=batch_norm)
        layers["conv3"] = convolution(c2, c3, 3, batch_norm=batch_norm)
    layers["pool2"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    features = c3
    for name, full in MODULES.items():
        if name == "4a":
            layers["pool3"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if name == "5a":
            layers["pool4"] = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        channels = Branches(*(narrow(c, f"inception{name}") for c in full))
        module = Inception(features, channels, large_kernel=large_kernel, batch_norm=batch_norm)
        layers[f"inception{name}"], features = module, module.out_channels
        if auxiliary_classifiers and name in AUXILIARY:
            extra = AUXILIARY[name]
            sizes = narrow(128, extra), narrow(1024, extra)
            layers[extra] = auxiliary(features, *sizes, count, batch_norm=batch_norm)
    convolutions = nn.Sequential(layers)
    map_size(convolutions, size)
    least = least_size(convolutions)
    layers |= OrderedDict(global_pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(rate))
    layers["output"] = nn.Linear(features, count)
    model = GoogLeNet(layers, in_channels=channels_in, least_size=least)
    initialize(model, initialization)
    return model
