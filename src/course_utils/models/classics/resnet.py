"""ResNet: blocks that add what they compute to what they were given (He et al. 2016)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.checks import choose
from course_utils.models.classics.common import Network, blocks_of, image_settings, initialize, network, scaled

# Blocks in each stage, by the number of layers with weights (table 1 of the paper).
BASIC: dict[int, tuple[int, ...]] = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK: dict[int, tuple[int, ...]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
CHANNELS = (64, 128, 256, 512)
SMALL_CHANNELS = (16, 32, 64)  # section 4.2, for CIFAR-10
EXPANSION = 4  # a bottleneck gives four times the channels that it computes with
SHORTCUTS = ("projection", "zero_pad", "none")
# Kernel and stride of the first convolution, and whether a pooling follows.
STEMS = {"imagenet": (7, 2, True), "small": (3, 1, False), "pooled": (3, 1, True)}


class ZeroPadShortcut(nn.Module):
    """Every `stride`-th pixel, zeros for the channels that are missing: a shortcut without parameters (option A)."""

    kernel_size = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.missing = stride, channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


class Residual(nn.Module):
    """y = after(residual(x) + shortcut(x)).

    Parameters
    ----------
    residual
        What is learned as a difference.
    shortcut
        The identity, or a way to the right shape; ``None`` for a plain block, which adds nothing.
    before
        Applied to `x` first, ahead of both ways.
    after
        Applied to the sum.
    """

    way = ("residual",)

    def __init__(
        self,
        residual: nn.Sequential,
        shortcut: nn.Module | None,
        *,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.before, self.residual, self.shortcut, self.after = before, residual, shortcut, after

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        if self.before is not None:
            x = self.before(x)
        y = self.residual(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return y if self.after is None else self.after(y)


def _convolutions(
    in_channels: int, channels: int, stride: int, *, bottleneck: bool, first_stride: bool
) -> list[nn.Conv2d]:
    """The convolutions of a block, without bias, as each is followed or preceded by batch normalization."""
    if not bottleneck:
        return [
            nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        ]
    return [
        nn.Conv2d(in_channels, channels, 1, stride if first_stride else 1, bias=False),
        nn.Conv2d(channels, channels, 3, 1 if first_stride else stride, padding=1, bias=False),
        nn.Conv2d(channels, EXPANSION * channels, 1, bias=False),
    ]


def residual_block(
    in_channels: int,
    channels: int,
    stride: int = 1,
    *,
    bottleneck: bool = False,
    shortcut: str = "projection",
    preactivation: bool = False,
    first_stride: bool = False,
) -> Residual:
    """Build a block; parameters are those of `resnet`, and `stride` says by how much it divides height and width."""
    convolutions = _convolutions(in_channels, channels, stride, bottleneck=bottleneck, first_stride=first_stride)
    out_channels = convolutions[-1].out_channels
    changes = stride != 1 or in_channels != out_channels
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before: OrderedDict[str, nn.Module] = OrderedDict()
    for number, conv in enumerate(convolutions, 1):
        if preactivation:
            # Where the shape changes, both ways begin with the first normalization and ReLU (He et al. 2016b).
            head = before if number == 1 and changes and shortcut != "none" else layers
            head[f"norm{number}"] = nn.BatchNorm2d(conv.in_channels)
            head[f"activation{number}"] = nn.ReLU()
        layers[f"conv{number}"] = conv
        if not preactivation:
            layers[f"norm{number}"] = nn.BatchNorm2d(conv.out_channels)
            if number < len(convolutions):
                layers[f"activation{number}"] = nn.ReLU()
    way: nn.Module | None = None if shortcut == "none" else nn.Identity()
    if changes and shortcut == "zero_pad":
        way = ZeroPadShortcut(in_channels, out_channels, stride)
    elif changes and shortcut == "projection":
        projection = OrderedDict[str, nn.Module](conv=nn.Conv2d(in_channels, out_channels, 1, stride, bias=False))
        if not preactivation:
            projection["norm"] = nn.BatchNorm2d(out_channels)
        way = nn.Sequential(projection)
    return Residual(
        nn.Sequential(layers),
        way,
        before=nn.Sequential(before) if before else None,
        after=None if preactivation else nn.ReLU(),
    )


def _plan(depth: int, small: bool, bottleneck: bool | None) -> tuple[tuple[int, ...], bool]:
    """Blocks in each stage, and whether they are bottlenecks."""
    if not small:
        blocks = blocks_of(depth, BASIC | BOTTLENECK)
        if bottleneck is not None and bottleneck != (depth in BOTTLENECK):
            raise ValueError(f"bottleneck must be {depth in BOTTLENECK} at depth {depth}, given {bottleneck!r}")
        return blocks, depth in BOTTLENECK
    layers = 9 if bottleneck else 6
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < layers + 2 or (depth - 2) % layers:
        raise ValueError(
            f"depth of a small ResNet must be {layers}n + 2 ({layers + 2}, {2 * layers + 2}, {3 * layers + 2}, ...), "
            f"given {depth!r}"
        )
    return ((depth - 2) // layers,) * 3, bool(bottleneck)


def resnet(
    *,
    depth: int | None = None,
    small: bool = False,
    bottleneck: bool | None = None,
    shortcut: str = "projection",
    preactivation: bool = False,
    first_stride: bool = False,
    stem: str | None = None,
    zero_init: bool = False,
    initialization: str = "he",
    in_channels: int | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    width: float = 1.0,
) -> Network:
    """Build a residual network, or the plain one that it is compared with.

    Parameters
    ----------
    depth
        Layers with weights, those of projections not counted: 18, 34, 50 (unless given), 101 or 152; if `small`,
        6n + 2 with n blocks in each of three stages, 20 unless given (9n + 2 with bottlenecks, 29 unless given).
    small
        The family that the paper trains on CIFAR-10 (section 4.2), for 28 x 28 images with one channel: a 3 x 3 stem,
        and stages of 16, 32 and 64 channels on maps of 28 x 28, 14 x 14 and 7 x 7. ``width=1.5`` gives 24, 48 and 96.
    bottleneck
        Blocks of 1 x 1, 3 x 3 and 1 x 1 instead of two 3 x 3. In the paper the large networks have them from depth 50
        on, the small ones never; it is a choice if `small` only.
    shortcut
        "projection": the identity, and a 1 x 1 convolution where the shape changes (option B, torchvision's).
        "zero_pad": without parameters (option A, the paper's on CIFAR-10). "none": the plain network, whose
        parameters are those of "zero_pad" to the last one.
    preactivation
        Normalization and ReLU before each convolution, and nothing after the addition (He et al. 2016b).
    first_stride
        A bottleneck halves the map in its first 1 x 1 convolution, as in the paper, rather than in its 3 x 3, as in
        torchvision.
    stem
        "imagenet" (7 x 7 with stride 2, then pooling: a fourth of each side is left), "small" (3 x 3 with stride 1) or
        "pooled" (3 x 3 with stride 1, then pooling: half of each side is left, and about a fourth of the arithmetic).
        By `small` unless given; ``depth=18, stem="small"`` is the ResNet-18 that people use on CIFAR-10.
    zero_init
        Start with the last normalization of each block at zero, so that the block is the identity at first (Goyal et
        al. 2017). Not with `preactivation`, whose blocks end on a convolution.
    initialization
        A name in `course_utils.models.lenet.INITIALIZATIONS`.
    in_channels, classes, image_size
        3, 1000 and 224, or 1, 10 and 28 if `small`, unless given. Other images than `image_size` will do.
    width
        Multiplies the channels.

    Returns
    -------
    Network
        Input (N, in_channels, H, W), output logits (N, classes). Stages are named stage1, ..., with blocks block1,
        ...; in a block residual holds conv1, norm1, ..., and shortcut what is added. stage1 is the paper's conv2_x.

    Raises
    ------
    ValueError
        If a depth or a name is unknown, a number is out of range, or settings exclude each other.
    """
    if depth is None:
        depth = (29 if bottleneck else 20) if small else 50
    blocks, bottleneck = _plan(depth, small, bottleneck)
    choose(dict.fromkeys(SHORTCUTS), shortcut, "shortcut")
    if stem is None:
        stem = "small" if small else "imagenet"
    kernel, stride, pooled = choose(STEMS, stem, "stem")
    if zero_init and preactivation:
        raise ValueError("zero_init needs blocks that end on a normalization, which those of preactivation do not")
    channels_in, count, size = image_settings(small, in_channels, classes, image_size)
    channels = [scaled(c, width, f"stage{i}") for i, c in enumerate(SMALL_CHANNELS if small else CHANNELS, 1)]

    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = nn.Conv2d(channels_in, channels[0], kernel, stride, padding=kernel // 2, bias=False)
    if not preactivation:
        layers["norm1"], layers["activation1"] = nn.BatchNorm2d(channels[0]), nn.ReLU()
    if pooled:
        layers["pool1"] = nn.MaxPool2d(3, stride=2, padding=1)
    features = channels[0]
    for stage, (number_of_blocks, c) in enumerate(zip(blocks, channels, strict=True), 1):
        built: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, number_of_blocks + 1):
            built[f"block{number}"] = residual_block(
                features,
                c,
                2 if stage > 1 and number == 1 else 1,
                bottleneck=bottleneck,
                shortcut=shortcut,
                preactivation=preactivation,
                first_stride=first_stride,
            )
            features = EXPANSION * c if bottleneck else c
        layers[f"stage{stage}"] = nn.Sequential(built)
    if preactivation:
        layers["norm"], layers["activation"] = nn.BatchNorm2d(features), nn.ReLU()
    head = OrderedDict[str, nn.Module](global_pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    head["output"] = nn.Linear(features, count)
    model = network(layers, head, channels_in, size)
    initialize(model, initialization)
    if zero_init:
        for module in model.modules():
            if isinstance(module, Residual):
                nn.init.zeros_([m for m in module.residual if isinstance(m, nn.BatchNorm2d)][-1].weight)
    return model
