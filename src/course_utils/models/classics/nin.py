"""Network in network: 1 x 1 convolutions behind each convolution, and no dense layer at all (Lin et al. 2014)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from torch import nn

from course_utils.models.classics.common import (
    Network,
    checked_dropout,
    image_settings,
    initialize,
    network,
    scaled,
)


class MlpConv(NamedTuple):
    """A convolution and the two 1 x 1 convolutions behind it; the last of the last block has a channel per class."""

    channels: tuple[int, ...]
    kernel: int
    stride: int = 1
    padding: int = 0
    pooling: type[nn.MaxPool2d] | type[nn.AvgPool2d] = nn.MaxPool2d


# The authors' configuration files: for ImageNet in AlexNet's shape, which the paper does not have, and for CIFAR-10.
IMAGENET = (
    MlpConv((96, 96, 96), 11, stride=4),
    MlpConv((256, 256, 256), 5, padding=2),
    MlpConv((384, 384, 384), 3, padding=1),
    MlpConv((1024, 1024), 3, padding=1),
)
CIFAR = (
    MlpConv((192, 160, 96), 5, padding=2),
    MlpConv((192, 192, 192), 5, padding=2, pooling=nn.AvgPool2d),
    MlpConv((192, 192), 3, padding=1),
)


def mlpconv(in_channels: int, plan: MlpConv, channels: list[int], *, batch_norm: bool, last: bool) -> nn.Sequential:
    """A convolution followed by 1 x 1 convolutions: at each position the same small dense network runs over channels.

    After the last layer of the last block comes no ReLU: its maps are averaged to logits, which may be negative.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, out_channels in enumerate(channels, 1):
        is_logits = last and number == len(channels)
        if number == 1:
            layers["conv1"] = nn.Conv2d(in_channels, out_channels, plan.kernel, plan.stride, plan.padding)
        else:
            layers[f"conv{number}"] = nn.Conv2d(in_channels, out_channels, 1)
        if batch_norm and not is_logits:
            layers[f"norm{number}"] = nn.BatchNorm2d(out_channels)
        if not is_logits:
            layers[f"activation{number}"] = nn.ReLU()
        in_channels = out_channels
    return nn.Sequential(layers)


def nin(
    *,
    small: bool = False,
    batch_norm: bool = False,
    dropout: float = 0.5,
    initialization: str = "he",
    in_channels: int | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    width: float = 1.0,
) -> Network:
    """Build a network in network.

    Parameters
    ----------
    small
        The network for 28 x 28 images with one channel: three blocks, a quarter as wide as the authors' for CIFAR-10.
        With ``width=4, in_channels=3, image_size=32`` it is theirs, 966,986 parameters. Otherwise their network for
        ImageNet: four blocks in the shape of AlexNet, 7,595,176 parameters. Their files put a ReLU on the class maps
        too; a class whose map is negative everywhere then learns nothing, so there is none here.
    batch_norm
        Put batch normalization (Ioffe and Szegedy 2015) before each ReLU. The paper came before it.
    dropout
        Probability with which a value is set to zero while training: behind both poolings if `small`, else before
        the last block.
    initialization
        A name in `course_utils.models.lenet.INITIALIZATIONS`.
    in_channels, classes, image_size
        3, 1000 and 224, or 1, 10 and 28 if `small`, unless given. Larger images than `image_size` will do.
    width
        Multiplies the channels, but not the classes.

    Returns
    -------
    Network
        Input (N, in_channels, H, W), output logits (N, classes). Blocks are named mlpconv1, pool1, ..., with layers
        conv1 (the large kernel), conv2 and conv3 (1 x 1). The last block gives one map per class; `global_pool`
        averages each to a logit.

    Raises
    ------
    ValueError
        If a name is unknown, a number is out of range, or the image is too small (which names the layer).
    """
    channels_in, count, size = image_settings(small, in_channels, classes, image_size)
    rate = checked_dropout(dropout)
    plans = CIFAR if small else IMAGENET
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    features = channels_in
    for number, plan in enumerate(plans, 1):
        last = number == len(plans)
        base = (c // 4 for c in plan.channels) if small else plan.channels
        channels = [scaled(c, width, f"mlpconv{number}") for c in base] + [count] * last
        if last and not small:
            layers["dropout"] = nn.Dropout(rate)
        layers[f"mlpconv{number}"] = mlpconv(features, plan, channels, batch_norm=batch_norm, last=last)
        features = channels[-1]
        if not last:
            layers[f"pool{number}"] = plan.pooling(3, stride=2, ceil_mode=True)
            if small:
                layers[f"dropout{number}"] = nn.Dropout(rate)
    head: OrderedDict[str, nn.Module] = OrderedDict(global_pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    model = network(layers, head, channels_in, size)
    initialize(model, initialization)
    return model
