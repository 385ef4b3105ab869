"""LeNet-1 as published in 1989/90, and a net in the spirit of LeNet-4."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from course_utils.checks import choose
from course_utils.models.lecun_layers import (
    ACTIVATIONS,
    PaddedInput,
    TableConv2d,
    TrainablePool2d,
    WholeConv2d,
    initialize,
)

# The maps of H2 (0 to 3) that each of the twelve maps of H3 reads (LeCun et al. 1990, table 1): 20 links.
LENET1_TABLE: tuple[tuple[int, ...], ...] = (
    (0,),
    (0, 1),
    (0, 1),
    (1,),
    (0, 1),
    (0, 1),
    (2,),
    (2, 3),
    (2, 3),
    (3,),
    (2, 3),
    (2, 3),
)
# Each map of C1 feeds two maps of S2.
LENET4_PAIRS = tuple(m // 2 for m in range(8))
# Ours, as the paper does not print one: three neighbors or near neighbors for each of sixteen maps, 48 links.
LENET4_TABLE: tuple[tuple[int, ...], ...] = tuple(
    tuple(sorted((m + step) % 8 for step in steps)) for steps in ((0, 1, 2), (0, 2, 5)) for m in range(8)
)
DIGIT_SIDES = {"16x16": 22, "20x20": None}  # side of the resized image; a digit fills 20 of 28 pixels before


class PairedPool2d(TrainablePool2d):
    """Subsampling that makes several maps of one: map m reads input map ``sources[m]``, with parameters of its own."""

    def __init__(self, sources: tuple[int, ...]) -> None:
        super().__init__(len(sources))
        self.sources = list(sources)

    def forward(self, x: Tensor) -> Tensor:
        """(N, max(sources) + 1, H, W) -> (N, len(sources), H / 2, W / 2)."""
        return super().forward(x[:, self.sources])


def _network(
    parts: list[tuple[str, nn.Module]], activation: str, first: nn.Module, units: int, initialization: str
) -> nn.Sequential:
    squash = choose(ACTIVATIONS, activation, "activation")
    layers: OrderedDict[str, nn.Module] = OrderedDict(input=first)
    for name, layer in parts:
        layers[name] = layer
        layers[f"{name}_activation"] = squash()
    layers["flatten"] = nn.Flatten()
    layers["output"] = nn.Linear(units, 10)
    model = nn.Sequential(layers)
    initialize(model, initialization)
    return model


def lenet1(
    *,
    digits: str = "16x16",
    activation: str = "scaled_tanh",
    input_scale: str = "published",
    initialization: str = "lecun",
) -> nn.Sequential:
    """Build the network of LeCun et al. 1990, usually called LeNet-1: 2,578 parameters, 98,442 connections.

    Its layers H1 to H4 have 4 maps of 24 x 24, 4 of 12 x 12, 12 of 8 x 8 and 12 of 4 x 4. The subsampling layers have
    two parameters a map. The ten outputs are a dense layer; they were squashed and trained with squared error then,
    here they are logits.

    Parameters
    ----------
    digits
        "16x16": shrink the image so that a digit fills about 16 x 16 of the 28 x 28 pixels, as in 1990. "20x20": leave
        it as MNIST has it.
    activation, input_scale, initialization
        As for `course_utils.models.lenet5`.

    Returns
    -------
    torch.nn.Sequential
        Input (N, 1, 28, 28) with pixels from 0 to 1, output logits (N, 10). Layers are named input, H1, H2, H3, H4,
        output as in the paper.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    side = choose(DIGIT_SIDES, digits, "digits")
    first = PaddedInput(0 if side is None else (28 - side) // 2, input_scale, size=side)
    parts: list[tuple[str, nn.Module]] = [
        ("H1", nn.Conv2d(1, 4, 5)),
        ("H2", TrainablePool2d(4)),
        ("H3", TableConv2d(4, LENET1_TABLE, 5)),
        ("H4", TrainablePool2d(12)),
    ]
    return _network(parts, activation, first, 12 * 4 * 4, initialization)


def lenet4_like(
    *,
    activation: str = "scaled_tanh",
    input_scale: str = "published",
    initialization: str = "lecun",
) -> nn.Sequential:
    """Build a net with the layers that LeCun et al. 1998, section III.C, name for LeNet-4. It is not LeNet-4.

    4 maps of 28 x 28; 8 of 14 x 14, two for each of the 4; 16 of 10 x 10; 16 of 5 x 5; 120 units; 10 outputs. The paper
    gives about 17,000 parameters and 260,000 connections, and no table. With `LENET4_TABLE` and 120 units that read
    all 16 maps there are 262,306 connections, but 50,698 parameters: the 120 units alone have 48,120. Which of them
    LeNet-4 did without is not said.

    Parameters
    ----------
    activation, input_scale, initialization
        As for `course_utils.models.lenet5`.

    Returns
    -------
    torch.nn.Sequential
        Input (N, 1, 28, 28) with pixels from 0 to 1, output logits (N, 10). Layers are named as in LeNet-5.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    parts: list[tuple[str, nn.Module]] = [
        ("C1", nn.Conv2d(1, 4, 5)),
        ("S2", PairedPool2d(LENET4_PAIRS)),
        ("C3", TableConv2d(8, LENET4_TABLE, 5)),
        ("S4", TrainablePool2d(16)),
        ("C5", WholeConv2d(16, 120, 5)),
    ]
    return _network(parts, activation, PaddedInput(2, input_scale), 120, initialization)
