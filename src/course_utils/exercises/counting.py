"""Exercises about sizes, parameters and multiply-adds; the answers come from layer tables."""

from __future__ import annotations

import math

from torch import nn

from course_utils.exercises.forms import Exercise, Slip
from course_utils.layers import layer_table
from course_utils.models import lenet
from course_utils.models.classics.googlenet import Branches, Inception


def _side(*layers: nn.Module, side: int) -> int:
    return int(layer_table(nn.Sequential(*layers), (1, side, side)).output_shape.iloc[-1][-1])


def _parameters(*layers: nn.Module) -> int:
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


def _row(model: nn.Module, layer: str, column: str, shape: tuple[int, int, int] = (1, 28, 28)) -> int:
    value = layer_table(model, shape).set_index("layer")[column][layer]
    return math.prod(value) if isinstance(value, tuple) else int(value)


def _field(*windows: tuple[int, int]) -> int:
    """Receptive field of a stack of (kernel, stride)."""
    layers = nn.Sequential(*(nn.Conv2d(1, 1, kernel, stride) for kernel, stride in windows))
    return int(layer_table(layers, (1, 64, 64)).receptive_field.iloc[-1])


def _reduced_share() -> float:
    """Weights of an Inception module's third branch, 256 channels through 32 to 64, against 5 x 5 alone; per cent."""
    block = Inception(256, Branches(1, 1, 1, 32, 64, 1), large_kernel=5, batch_norm=False)
    weights = sum(m.weight.numel() for m in block.branch5.modules() if isinstance(m, nn.Conv2d))
    return 100 * weights / nn.Conv2d(256, 64, 5).weight.numel()


COUNTING: dict[str, Exercise] = {
    "output size": Exercise(
        "An image of 40 x 40 pixels meets a convolution with kernel 7 x 7, stride 2 and padding 2. How many values has "
        "a row of the output?",
        lambda: _side(nn.Conv2d(1, 1, 7, stride=2, padding=2), side=40),
        "The padded side is 44, the window leaves 44 - 7 = 37 pixels to move over, and 37 / 2 rounded down, plus 1, "
        "is 19.",
        (
            Slip(
                "rounded up",
                lambda: math.ceil(37 / 2) + 1,
                "You rounded up. A last step that does not fit whole is not made: the formula rounds down.",
            ),
            Slip(
                "plus one forgotten",
                lambda: 37 // 2,
                "The steps are right, but there is one more place than steps: add 1 for the first.",
            ),
            Slip(
                "padding forgotten",
                lambda: (40 - 7) // 2 + 1,
                "The padding is missing: it adds 2 pixels on each side, 4 in all.",
            ),
            Slip(
                "stride forgotten",
                lambda: 40 + 4 - 7 + 1,
                "The stride is missing: the window moves 2 pixels at a time.",
            ),
        ),
        unit="values",
    ),
    "convolution parameters": Exercise(
        "A convolution reads 16 maps and puts out 32, with kernels of 5 x 5 and a bias. How many parameters does it "
        "have?",
        lambda: _parameters(nn.Conv2d(16, 32, 5)),
        "Each of the 32 output maps has a kernel of 5 x 5 for each of the 16 maps it reads, and one bias: "
        "32 (16 · 25 + 1).",
        (
            Slip("bias forgotten", lambda: 32 * 16 * 25, "The biases are missing: one for each output map."),
            Slip(
                "one kernel per output map",
                lambda: 32 * (25 + 1),
                "You gave each output map one kernel. It has one for each map that it reads.",
            ),
            Slip(
                "bias per kernel",
                lambda: 32 * 16 * (25 + 1),
                "You gave each kernel a bias of its own. There is one "
                "for each output map, added after the sum over the maps.",
            ),
            Slip(
                "one bias in all",
                lambda: 32 * 16 * 25 + 1,
                "You counted one bias for the layer. There is one for each output map.",
            ),
        ),
        unit="parameters",
    ),
    "receptive field": Exercise(
        "Three layers follow each other: a convolution 3 x 3 with stride 2, a pooling 2 x 2 with stride 2, a "
        "convolution 3 x 3 with stride 1. How many pixels wide is what one value of the last layer sees?",
        lambda: _field((3, 2), (2, 2), (3, 1)),
        "1 + 2 · 1 + 1 · 2 + 2 · 4: each layer adds its kernel less 1, times the strides before it.",
        (
            Slip(
                "strides ignored",
                lambda: 1 + 2 + 1 + 2,
                "You let each layer move by one pixel. A step of a later "
                "layer is as wide as all strides before it together.",
            ),
            Slip(
                "own stride counted",
                lambda: 1 + 2 * 2 + 1 * 4 + 2 * 4,
                "You counted a layer's own stride in its own growth. Only the strides before it widen its step.",
            ),
            Slip(
                "kernels multiplied",
                lambda: 3 * 2 * 3,
                "You multiplied the kernels. The field grows by sums: kernel less 1, times the stride so far.",
            ),
            Slip(
                "kernels added",
                lambda: 3 + 2 + 3,
                "You added the kernels. Neighboring windows overlap, so a layer "
                "adds its kernel less 1, and times the strides before it.",
            ),
        ),
        unit="pixels",
    ),
    "multiply-adds": Exercise(
        "A convolution 5 x 5 without padding reads 6 maps of 12 x 12 and puts out 16 maps. How many multiply-adds does "
        "it do for one image, as the layer table counts them?",
        lambda: int(layer_table(nn.Sequential(nn.Conv2d(6, 16, 5)), (6, 12, 12)).macs.sum()),
        "16 · 6 · 25 = 2,400 weights, each used at all 8 x 8 places of the output.",
        (
            Slip(
                "places of the input",
                lambda: 2400 * 144,
                "You multiplied with the places of the input. Without padding the output has 8 x 8 of them.",
            ),
            Slip(
                "biases counted",
                lambda: 64 * (2400 + 16),
                "You counted the biases. The layer table, as is the custom, counts the products only.",
            ),
            Slip("weights counted", lambda: 2400, "These are the weights. Each is used at every place of the output."),
            Slip("one map read", lambda: 64 * 16 * 25, "You let each output map read one map. It reads all 6."),
        ),
        unit="multiply-adds",
    ),
    "lenet in color": Exercise(
        "Build the textbook's LeNet for color images of 32 x 32 (three channels), with no padding in C1. How many "
        "parameters does it have?",
        lambda: _parameters(lenet(in_channels=3, image_size=32, padding=0)),
        "Only C1 changes: 6 (3 · 25 + 1) = 456 parameters instead of 156. Without padding 32 pixels become 28, so F5 "
        "reads 16 · 5 · 5 values as before.",
        (
            Slip(
                "color forgotten",
                lambda: _parameters(lenet(image_size=32, padding=0)),
                "This is the count for gray images. Each kernel of C1 has a part for each of the three channels.",
            ),
            Slip(
                "biases forgotten",
                lambda: sum(p.numel() for p in lenet(in_channels=3).parameters() if p.ndim > 1),
                "The biases are missing: one for each map of a convolution and each unit of a dense layer.",
            ),
            Slip(
                "padding kept",
                lambda: _parameters(lenet(in_channels=3, image_size=32)),
                "You kept the padding of 2. Then F5 would read 16 maps of 6 x 6. Without padding they are 5 x 5.",
            ),
        ),
        unit="parameters",
    ),
    "flattened": Exercise(
        "You give the textbook's LeNet images of 32 x 32 and keep everything else, the padding of 2 in C1 too. How "
        "many values does F5 now read?",
        lambda: _row(lenet(image_size=32), "flatten", "output_shape", (1, 32, 32)),
        "32 stays 32, pooling gives 16, C3 gives 12, pooling gives 6: 16 maps of 6 x 6.",
        (
            Slip(
                "unchanged",
                lambda: _row(lenet(), "flatten", "output_shape"),
                "That is the number for 28 x 28. The larger image leaves larger maps.",
            ),
            Slip("one map", lambda: 6 * 6, "That is one map of S4. There are 16."),
            Slip(
                "kernel of C3 forgotten",
                lambda: 16 * 8 * 8,
                "You halved 32 twice. In between, C3 takes 4 pixels off, as it has no padding.",
            ),
        ),
        unit="values",
    ),
    "stack of three": Exercise(
        "Three convolutions 3 x 3 in a row stand in for one of 7 x 7, all with C channels in and out, biases aside. "
        "How many per cent of the weights do they have?",
        lambda: (
            100
            * _parameters(*(nn.Conv2d(8, 8, 3, bias=False) for _ in range(3)))
            / _parameters(nn.Conv2d(8, 8, 7, bias=False))
        ),
        "3 · 9 C² = 27 C² against 49 C².",
        (
            Slip("saving", lambda: 100 * 22 / 49, "That is what they save. The question is what is left."),
            Slip("one layer", lambda: 100 * 9 / 49, "That is one of the three layers."),
            Slip(
                "sides",
                lambda: 100 * 9 / 7,
                "You compared the sides, 3 + 3 + 3 against 7. Weights go with the areas, 9 and 49.",
            ),
        ),
        unit="per cent",
        tolerance=0.01,
    ),
    "reduced branch": Exercise(
        "An Inception branch goes from 256 channels through a 1 x 1 convolution to 32 and then through 5 x 5 to 64. "
        "How many per cent of the weights of a direct 5 x 5 from 256 to 64 does it have, biases aside?",
        _reduced_share,
        "256 · 32 + 25 · 32 · 64 = 59,392 against 25 · 256 · 64 = 409,600.",
        (
            Slip(
                "reduction is free",
                lambda: 100 * 32 / 256,
                "You left out the 1 x 1 convolution itself: 256 · 32 weights.",
            ),
            Slip("reduction only", lambda: 100 * 256 * 32 / 409_600, "That is the 1 x 1 convolution alone."),
            Slip(
                "saving", lambda: 100 - 100 * 59_392 / 409_600, "That is what is saved. The question is what is left."
            ),
        ),
        unit="per cent",
        tolerance=0.01,
    ),
    "batch-normalized": Exercise(
        "A convolution 3 x 3 from 64 to 128 channels is followed by batch normalization and therefore has no bias. "
        "How many trained numbers do the two have together?",
        lambda: _parameters(nn.Conv2d(64, 128, 3, bias=False), nn.BatchNorm2d(128)),
        "128 · 64 · 9 = 73,728 weights, and a γ and a β for each of 128 channels.",
        (
            Slip(
                "running averages",
                lambda: 73_728 + 512,
                "You counted the running averages. They are kept on the side and not trained.",
            ),
            Slip(
                "bias kept",
                lambda: 73_728 + 128 + 256,
                "You gave the convolution a bias. The normalization subtracts it again, so it is left out.",
            ),
            Slip(
                "normalization forgotten",
                lambda: 73_728,
                "Those are the weights of the convolution. The normalization has two trained numbers for each channel.",
            ),
            Slip(
                "one number a channel",
                lambda: 73_728 + 128,
                "The normalization has two trained numbers for each channel, γ and β.",
            ),
        ),
        unit="numbers",
    ),
}
