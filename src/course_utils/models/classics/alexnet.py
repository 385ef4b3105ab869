"""AlexNet: five convolutions and three dense layers (Krizhevsky et al. 2012)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.checks import choose
from course_utils.models.classics.common import (
    Network,
    checked_dropout,
    image_settings,
    initialize,
    map_size,
    scaled,
)
from course_utils.models.lenet import ACTIVATIONS


class Version(NamedTuple):
    """What sets the published versions apart."""

    channels: tuple[int, int, int, int, int]
    groups: int
    lrn: bool
    stem_padding: int
    image_size: int


VERSIONS = {
    "torchvision": Version((64, 192, 384, 256, 256), 1, False, 2, 224),  # Krizhevsky 2014, on one GPU
    "paper": Version((96, 256, 384, 384, 256), 2, True, 0, 227),  # Krizhevsky et al. 2012, on two
}


class LocalResponseNorm(nn.LocalResponseNorm):
    """Divide each value by a power of what the neighboring channels have at its pixel (Krizhevsky et al. 2012, 3.3).

    The same as PyTorch's to rounding, which divides `alpha` by `size`, and a few times as fast on a CPU, where PyTorch
    slides a three-dimensional window over the channels.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape, in float32: in bfloat16, k plus a small sum would be k."""
        x = input.float()
        channels = x.shape[1]
        squares = F.pad(x * x, (0, 0, 0, 0, self.size // 2, (self.size - 1) // 2))
        near = sum(squares[:, i : i + channels] for i in range(self.size))
        return x * (self.k + self.alpha / self.size * near) ** -self.beta


def alexnet(
    *,
    version: str = "torchvision",
    small: bool = False,
    activation: str = "relu",
    lrn: bool | None = None,
    groups: int | None = None,
    overlapping_pooling: bool = True,
    dropout: float = 0.5,
    initialization: str = "he",
    in_channels: int | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    width: float = 1.0,
) -> Network:
    """Build AlexNet, with each of its ingredients as an argument.

    Parameters
    ----------
    version
        "torchvision": 61,100,840 parameters, neither groups nor normalization (Krizhevsky 2014). "paper": 60,965,224
        parameters (Krizhevsky et al. 2012). Its authors had two GPUs, each with half of the channels; conv2, conv4 and
        conv5 read their own half only, which is a convolution with two groups. The paper says that images are
        224 x 224; its maps of 55 x 55 need 227.
    small
        The network for 28 x 28 images with one channel: a quarter of the channels, an eighth of the dense units, and a
        first kernel of 6 x 6 with stride 1 instead of 11 x 11 with stride 4. As in the paper all maps that are pooled
        have odd sides (23, 11, 5; there 55, 27, 13), so that both poolings below give the same sizes.
    activation
        After each layer but the last: a name in `course_utils.models.lenet.ACTIVATIONS`. The paper compares "relu"
        with "tanh".
    lrn
        Local response normalization after conv1 and conv2 (k = 2, n = 5, alpha = 1e-4, beta = 0.75; section 3.3).
        As in `version` unless given. PyTorch divides alpha by n, which is undone here.
    groups
        Of conv2, conv4 and conv5. As in `version` unless given.
    overlapping_pooling
        Maximum over 3 x 3 at stride 2 (section 3.4); otherwise over 2 x 2 at stride 2.
    dropout
        Probability with which a value before fc6 and fc7 is set to zero while training.
    initialization
        A name in `course_utils.models.lenet.INITIALIZATIONS`.
    in_channels, classes, image_size
        3, 1000 and 224 or 227, or 1, 10 and 28 if `small`, unless given.
    width
        Multiplies the channels and the hidden dense units.

    Returns
    -------
    Network
        Input (N, in_channels, image_size, image_size), output logits (N, classes). Layers are named conv1 to conv5,
        pool1, pool2, pool5, fc6, fc7 and output.

    Raises
    ------
    ValueError
        If a name is unknown, a number is out of range, or the image is too small (which names the layer).
    """
    plan = choose(VERSIONS, version, "version")
    act = choose(ACTIVATIONS, activation, "activation")
    groups = plan.groups if groups is None else groups
    if groups not in (1, 2):
        raise ValueError(f"groups must be 1 or 2, given {groups!r}")
    channels_in, count, size = image_settings(small, in_channels, classes, image_size, plan.image_size)
    rate = checked_dropout(dropout)
    base, hidden = (tuple(c // 4 for c in plan.channels), 512) if small else (plan.channels, 4096)
    c1, c2, c3, c4, c5 = (scaled(c, width, f"conv{i}", groups) for i, c in enumerate(base, 1))
    hidden = scaled(hidden, width, "fc6")
    layers: OrderedDict[str, nn.Module] = OrderedDict()

    def convolve(name: str, layer: nn.Conv2d, *, normalize: bool = False, pool: bool = False) -> None:
        layers[name] = layer
        layers[f"{name}_activation"] = act()
        if normalize and (plan.lrn if lrn is None else lrn):
            layers[f"{name}_lrn"] = LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)
        if pool:
            layers[name.replace("conv", "pool")] = nn.MaxPool2d(3 if overlapping_pooling else 2, stride=2)

    stem = nn.Conv2d(channels_in, c1, 6) if small else nn.Conv2d(channels_in, c1, 11, 4, plan.stem_padding)
    convolve("conv1", stem, normalize=True, pool=True)
    convolve("conv2", nn.Conv2d(c1, c2, 5, padding=2, groups=groups), normalize=True, pool=True)
    convolve("conv3", nn.Conv2d(c2, c3, 3, padding=1))
    convolve("conv4", nn.Conv2d(c3, c4, 3, padding=1, groups=groups))
    convolve("conv5", nn.Conv2d(c4, c5, 3, padding=1, groups=groups), pool=True)
    side = map_size(nn.Sequential(layers), size)
    layers["flatten"] = nn.Flatten()
    features = c5 * side * side
    for name in ("fc6", "fc7"):
        layers[f"{name}_dropout"] = nn.Dropout(rate)
        layers[name] = nn.Linear(features, hidden)
        layers[f"{name}_activation"] = act()
        features = hidden
    layers["output"] = nn.Linear(hidden, count)
    model = Network(layers, in_channels=channels_in, image_size=size)
    initialize(model, initialization)
    return model
