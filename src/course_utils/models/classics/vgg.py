"""VGG: blocks of 3 x 3 convolutions, each closed by a pooling (Simonyan and Zisserman 2015)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from course_utils.models.classics.common import (
    Network,
    blocks_of,
    checked_dropout,
    image_settings,
    initialize,
    map_size,
    scaled,
)

# Convolutions in each block, by the number of layers with weights: with three dense layers they make up the depth.
BLOCKS: dict[int, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),  # A in table 1
    13: (2, 2, 2, 2, 2),  # B
    16: (2, 2, 3, 3, 3),  # D
    19: (2, 2, 4, 4, 4),  # E
}
CHANNELS = (64, 128, 256, 512, 512)
# The first three blocks of each, for images that can be halved three times only.
SMALL_BLOCKS = {sum(blocks[:3]) + 3: blocks[:3] for blocks in BLOCKS.values()}  # 7, 9, 10, 11


def vgg_block(in_channels: int, channels: int, convolutions: int, *, batch_norm: bool) -> nn.Sequential:
    """3 x 3 convolutions that keep height and width, each with a ReLU, then a 2 x 2 pooling that halves both."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, convolutions + 1):
        layers[f"conv{number}"] = nn.Conv2d(in_channels, channels, 3, padding=1)
        if batch_norm:
            layers[f"norm{number}"] = nn.BatchNorm2d(channels)
        layers[f"activation{number}"] = nn.ReLU()
        in_channels = channels
    layers["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)


def vgg(
    *,
    depth: int | None = None,
    small: bool = False,
    batch_norm: bool = False,
    dropout: float = 0.5,
    initialization: str = "he",
    in_channels: int | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    width: float = 1.0,
) -> Network:
    """Build a VGG network by its depth.

    Parameters
    ----------
    depth
        Layers with weights: 11, 13, 16 (unless given) or 19; if `small`, 7, 9 (unless given), 10 or 11.
    small
        The network for 28 x 28 images with one channel: the first three blocks of the one above, since 28 can be
        halved no oftener before a 3 x 3 kernel sees padding for the most part (28, 14, 7, 3), a quarter of the
        channels and an eighth of the dense units.
    batch_norm
        Put batch normalization (Ioffe and Szegedy 2015) before each ReLU of the convolutions. The paper came before it.
    dropout
        Probability with which a value behind each of the two hidden dense layers is set to zero while training.
    initialization
        A name in `course_utils.models.lenet.INITIALIZATIONS`.
    in_channels, classes, image_size
        3, 1000 and 224, or 1, 10 and 28 if `small`, unless given.
    width
        Multiplies the channels and the hidden dense units.

    Returns
    -------
    Network
        Input (N, in_channels, image_size, image_size), output logits (N, classes). Its blocks are named block1 and so
        on, with layers conv1, conv2, ... and pool; then follow fc1, fc2 and output. The paper's conv5_3 is here
        block5.conv3.

    Raises
    ------
    ValueError
        If the depth or a name is unknown, a number is out of range, or the image is too small (which names the layer).
    """
    if depth is None:
        depth = 9 if small else 16
    blocks = blocks_of(depth, SMALL_BLOCKS if small else BLOCKS)
    channels_in, count, size = image_settings(small, in_channels, classes, image_size)
    rate = checked_dropout(dropout)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    features = channels_in
    for number, (convolutions, full) in enumerate(zip(blocks, CHANNELS, strict=False), 1):
        channels = scaled(full // 4 if small else full, width, f"block{number}")
        layers[f"block{number}"] = vgg_block(features, channels, convolutions, batch_norm=batch_norm)
        features = channels
    features *= map_size(nn.Sequential(layers), size) ** 2
    layers["flatten"] = nn.Flatten()
    hidden = scaled(512 if small else 4096, width, "fc1")
    for name in ("fc1", "fc2"):
        layers[name] = nn.Linear(features, hidden)
        layers[f"{name}_activation"] = nn.ReLU()
        layers[f"{name}_dropout"] = nn.Dropout(rate)
        features = hidden
    layers["output"] = nn.Linear(hidden, count)
    model = Network(layers, in_channels=channels_in, image_size=size)
    initialize(model, initialization)
    return model
