"""Blocks that came after ResNet: densely connected, depthwise separable, inverted residual, ConvNeXt."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseLayer(nn.Module):
    """A layer that passes on its input beside what it computes (Huang et al. 2017, DenseNet-BC).

    A 1 x 1 convolution to ``4 * growth`` channels, then a 3 x 3 to `growth`, each behind normalization and ReLU.
    """

    way = ("new",)

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            OrderedDict(
                norm1=nn.BatchNorm2d(in_channels),
                activation1=nn.ReLU(),
                conv1=nn.Conv2d(in_channels, 4 * growth, 1, bias=False),
                norm2=nn.BatchNorm2d(4 * growth),
                activation2=nn.ReLU(),
                conv2=nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, in_channels + growth, H, W)."""
        return torch.cat([x, self.new(x)], dim=1)


def dense_block(in_channels: int, growth: int, layers: int) -> nn.Sequential:
    """Layers each of which reads all before it: (N, in_channels, H, W) -> (N, in_channels + layers * growth, H, W)."""
    return nn.Sequential(
        OrderedDict((f"layer{i + 1}", DenseLayer(in_channels + i * growth, growth)) for i in range(layers))
    )


def transition(in_channels: int, channels: int) -> nn.Sequential:
    """Between dense blocks: fewer channels, half the side (Huang et al. 2017)."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(in_channels),
            activation=nn.ReLU(),
            conv=nn.Conv2d(in_channels, channels, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


def depthwise_separable(in_channels: int, channels: int, stride: int = 1) -> nn.Sequential:
    """A convolution in two steps (Howard et al. 2017, MobileNet).

    A 3 x 3 within each channel, then a 1 x 1 across channels: about a ninth of the work of one 3 x 3 across them.
    """
    return nn.Sequential(
        OrderedDict(
            depthwise=nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False),
            norm1=nn.BatchNorm2d(in_channels),
            activation1=nn.ReLU(),
            pointwise=nn.Conv2d(in_channels, channels, 1, bias=False),
            norm2=nn.BatchNorm2d(channels),
            activation2=nn.ReLU(),
        )
    )


class InvertedResidual(nn.Module):
    """Widen, convolve within channels, narrow again; the shortcut joins the narrow ends (Sandler et al. 2018).

    Parameters
    ----------
    in_channels, channels
        Channels of input and output. The shortcut is there if they are equal and `stride` is 1.
    stride
        Of the 3 x 3 convolution.
    expansion
        How many times wider the middle is; without the first convolution if 1.
    """

    way = ("residual",)

    def __init__(self, in_channels: int, channels: int, stride: int = 1, expansion: int = 6) -> None:
        super().__init__()
        wide = expansion * in_channels
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion != 1:
            layers["expand"] = nn.Conv2d(in_channels, wide, 1, bias=False)
            layers["norm1"] = nn.BatchNorm2d(wide)
            layers["activation1"] = nn.ReLU6()
        layers["depthwise"] = nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False)
        layers["norm2"] = nn.BatchNorm2d(wide)
        layers["activation2"] = nn.ReLU6()
        layers["project"] = nn.Conv2d(wide, channels, 1, bias=False)
        layers["norm3"] = nn.BatchNorm2d(channels)
        self.residual = nn.Sequential(layers)
        self.has_shortcut = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H', W')."""
        return x + self.residual(x) if self.has_shortcut else self.residual(x)


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels at each position: (N, C, H, W) in and out."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Mean 0 and variance 1 over the channels, then a scale and a shift for each."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """A 7 x 7 convolution within channels, then a dense network over channels at each position (Liu et al. 2022).

    `scale` multiplies what is added to the input, channel by channel, and starts close to zero.
    """

    way = ("residual",)

    def __init__(self, channels: int, *, initial_scale: float = 1e-6) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            OrderedDict(
                depthwise=nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
                norm=ChannelNorm(channels),
                expand=nn.Conv2d(channels, 4 * channels, 1),
                activation=nn.GELU(),
                project=nn.Conv2d(4 * channels, channels, 1),
            )
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), initial_scale))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) in and out."""
        return x + self.scale * self.residual(x)
