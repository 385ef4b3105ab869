"""Small networks for 28 x 28 images from blocks that came after ResNet; there is no version for ImageNet."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from course_utils.checks import positive_int
from course_utils.models.classics.blocks import (
    ChannelNorm,
    ConvNeXtBlock,
    InvertedResidual,
    dense_block,
    transition,
)
from course_utils.models.classics.common import Network, image_settings, initialize, network, scaled


def _head(features: int, classes: int, **norm: nn.Module) -> OrderedDict[str, nn.Module]:
    head = OrderedDict[str, nn.Module](norm)
    head |= OrderedDict(global_pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), output=nn.Linear(features, classes))
    return head


def densenet(
    *,
    growth: int = 8,
    layers_per_block: int = 6,
    initialization: str = "he",
    in_channels: int = 1,
    classes: int = 10,
    image_size: int = 28,
    width: float = 1.0,
) -> Network:
    """Build a small DenseNet-BC: three dense blocks on maps of 14 x 14, 7 x 7 and 3 x 3 (Huang et al. 2017).

    The 3 x 3 stem has stride 2, as full-size maps would cost most of the time.

    Parameters
    ----------
    growth
        Channels that each layer adds.
    layers_per_block
        Layers in each block, of two convolutions each.
    initialization, in_channels, classes, image_size
        As for `resnet`.
    width
        Multiplies the growth, and with it all channels.

    Returns
    -------
    Network
        Input (N, in_channels, H, W), output logits (N, classes).

    Raises
    ------
    ValueError
        If a number is out of range, a name unknown or the image too small.
    """
    channels_in, count, size = image_settings(True, in_channels, classes, image_size)
    k = scaled(positive_int(growth, "growth"), width, "block1")
    features = 2 * k
    layers = OrderedDict[str, nn.Module](conv1=nn.Conv2d(channels_in, features, 3, 2, padding=1, bias=False))
    for number in (1, 2, 3):
        layers[f"block{number}"] = dense_block(features, k, positive_int(layers_per_block, "layers_per_block"))
        features += layers_per_block * k
        if number < 3:
            layers[f"transition{number}"] = transition(features, features // 2)
            features //= 2
    norm = OrderedDict(norm=nn.BatchNorm2d(features), activation=nn.ReLU())
    model = network(layers, _head(features, count, **norm), channels_in, size)
    initialize(model, initialization)
    return model


def mobilenet(
    *,
    expansion: int = 4,
    initialization: str = "he",
    in_channels: int = 1,
    classes: int = 10,
    image_size: int = 28,
    width: float = 1.0,
) -> Network:
    """Build a small MobileNet of inverted residuals, on maps of 28 x 28, 14 x 14 and 7 x 7 (Sandler et al. 2018).

    Parameters
    ----------
    expansion
        How many times wider a block is inside than at its ends; the first block is as wide, as in the paper.
    initialization, in_channels, classes, image_size
        As for `resnet`.
    width
        Multiplies the channels.

    Returns
    -------
    Network
        Input (N, in_channels, H, W), output logits (N, classes).

    Raises
    ------
    ValueError
        If a number is out of range, a name unknown or the image too small.
    """
    channels_in, count, size = image_settings(True, in_channels, classes, image_size)
    positive_int(expansion, "expansion")
    features = scaled(16, width, "conv1")
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(channels_in, features, 3, padding=1, bias=False),
        norm1=nn.BatchNorm2d(features),
        activation1=nn.ReLU6(),
    )
    for stage, (full, blocks, stride) in enumerate(((16, 1, 1), (32, 2, 2), (64, 3, 2)), 1):
        channels = scaled(full, width, f"stage{stage}")
        built: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, blocks + 1):
            built[f"block{number}"] = InvertedResidual(
                features, channels, stride if number == 1 else 1, 1 if stage == 1 else expansion
            )
            features = channels
        layers[f"stage{stage}"] = nn.Sequential(built)
    wide = scaled(256, width, "conv2")
    layers["conv2"] = nn.Conv2d(features, wide, 1, bias=False)
    layers["norm2"], layers["activation2"] = nn.BatchNorm2d(wide), nn.ReLU6()
    model = network(layers, _head(wide, count), channels_in, size)
    initialize(model, initialization)
    return model


def convnext(
    *,
    initial_scale: float = 1e-6,
    initialization: str = "he",
    in_channels: int = 1,
    classes: int = 10,
    image_size: int = 28,
    width: float = 1.0,
) -> Network:
    """Build a small ConvNeXt: 2 x 2 patches, then three blocks on maps of 14 x 14 and three on 7 x 7 (Liu et al. 2022).

    Parameters
    ----------
    initial_scale
        Factor before each block's addition at the start of training.
    initialization, in_channels, classes, image_size
        As for `resnet`.
    width
        Multiplies the channels.

    Returns
    -------
    Network
        Input (N, in_channels, H, W), output logits (N, classes).

    Raises
    ------
    ValueError
        If a number is out of range, a name unknown or the image too small.
    """
    channels_in, count, size = image_settings(True, in_channels, classes, image_size)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    features = channels_in
    for stage, full in enumerate((32, 64), 1):
        channels = scaled(full, width, f"stage{stage}")
        if stage > 1:
            layers[f"halve{stage}_norm"] = ChannelNorm(features)
        layers[f"halve{stage}"] = nn.Conv2d(features, channels, 2, stride=2)
        if stage == 1:
            layers[f"halve{stage}_norm"] = ChannelNorm(channels)
        layers[f"stage{stage}"] = nn.Sequential(
            OrderedDict((f"block{i}", ConvNeXtBlock(channels, initial_scale=initial_scale)) for i in (1, 2, 3))
        )
        features = channels
    model = network(layers, _head(features, count), channels_in, size)
    initialize(model, initialization)
    return model
