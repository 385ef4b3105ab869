"""LeNet-5 as LeCun et al. published it in 1998, with a switch for each difference to the LeNet of today's textbooks."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from course_utils.checks import choose
from course_utils.models.bitmaps import HEIGHT, WIDTH, digit_bitmaps
from course_utils.models.lecun_layers import (
    ACTIVATIONS,
    PaddedInput,
    TableConv2d,
    TrainablePool2d,
    WholeConv2d,
    initialize,
)

# Table I of the paper: the maps of S2 that each of the sixteen maps of C3 reads.
C3_TABLE: tuple[tuple[int, ...], ...] = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)


class BitmapRBF(nn.Module):
    """Euclidean radial basis functions: how far the 84 units lie from a bitmap of each digit (equation 7).

    The output for class i is ``rubbish - scale * y_i`` with the penalty ``y_i = sum_j (x_j - w_ij)**2``. So it is a
    logit, large where the paper's penalty is small, and `course_utils.losses.rubbish_class` of it is equation 9 with
    the paper's constant j equal to `rubbish`.

    Parameters
    ----------
    scale
        What the penalties are multiplied by; 1 in the paper.
    rubbish
        The paper's j, which it does not give: the penalty of the class "none of these".
    adaptive
        Train the prototypes too. The paper does not at first, and counts them as 0 parameters.
    """

    prototypes: Tensor

    def __init__(self, scale: float = 1.0, rubbish: float = 1.0, adaptive: bool = False) -> None:
        super().__init__()
        self.scale, self.rubbish = scale, rubbish
        bitmaps = digit_bitmaps().flatten(1)
        self.connections = bitmaps.numel()
        if adaptive:
            self.prototypes = nn.Parameter(bitmaps)
        else:
            self.register_buffer("prototypes", bitmaps)

    def penalties(self, x: Tensor) -> Tensor:
        """Equation 7: (N, 84) -> (N, 10), 0 where the units equal the bitmap."""
        return (x.unsqueeze(1) - self.prototypes).square().sum(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 84) -> logits (N, 10)."""
        return self.rubbish - self.scale * self.penalties(x)

    def extra_repr(self) -> str:
        """The settings."""
        return f"scale={self.scale}, rubbish={self.rubbish}"


def lenet5(
    *,
    activation: str = "scaled_tanh",
    pooling: str = "trainable",
    c3: str = "table",
    output: str = "rbf",
    input_scale: str = "published",
    padding: str = "background",
    initialization: str = "lecun",
    penalty_scale: float = 1.0,
    rubbish: float = 1.0,
    adaptive: bool = False,
) -> nn.Sequential:
    """Build LeNet-5: 28 x 28 images in, ten logits out, 60,000 parameters and 340,908 connections with the defaults.

    With the defaults it is the network of LeCun et al. 1998, section II.B; its loss there is
    `course_utils.losses.rubbish_class`. Each of the first seven arguments turns one choice into that of
    `course_utils.models.lenet`, and all seven together give that network, weight for weight.

    Parameters
    ----------
    activation
        "scaled_tanh", or "sigmoid".
    pooling
        "trainable": the sum of four values times a coefficient plus a bias, then squashed; or "avg".
    c3
        "table": each map of C3 reads three, four or six maps of S2, 60 links; or "full": all 96.
    output
        "rbf": distances to ten fixed bitmaps, see `BitmapRBF`; or "linear": a dense layer.
    input_scale
        "published": background -0.1 and ink 1.175; or "unit": 0 and 1.
    padding
        What the frame around the 28 x 28 image holds, which makes it 32 x 32: the "background"'s value, or "zeros". The
        two differ only where the background is not zero.
    initialization
        "lecun" or "xavier", see `course_utils.models.lecun_layers.initialize`.
    penalty_scale, rubbish, adaptive
        See `BitmapRBF`; they do nothing where the output is "linear".

    Returns
    -------
    torch.nn.Sequential
        Input (N, 1, 28, 28) with pixels from 0 to 1, output logits (N, 10). Layers are named input, C1, S2, C3, S4,
        C5, F6, output as in the paper; squashing functions add ``_activation``.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    squash = choose(ACTIVATIONS, activation, "activation")
    trainable = choose({"trainable": True, "avg": False}, pooling, "pooling")
    table = choose({"table": C3_TABLE, "full": None}, c3, "c3")
    is_rbf = choose({"rbf": True, "linear": False}, output, "output")

    layers: OrderedDict[str, nn.Module] = OrderedDict()

    def add(name: str, layer: nn.Module) -> None:
        layers[name] = layer
        layers[f"{name}_activation"] = squash()

    def subsample(name: str, channels: int) -> None:
        if trainable:
            add(name, TrainablePool2d(channels))
        else:
            layers[name] = nn.AvgPool2d(2)

    layers["input"] = PaddedInput(2, input_scale, padding)
    add("C1", nn.Conv2d(1, 6, 5))
    subsample("S2", 6)
    add("C3", nn.Conv2d(6, 16, 5) if table is None else TableConv2d(6, table, 5))
    subsample("S4", 16)
    add("C5", WholeConv2d(16, 120, 5))
    layers["flatten"] = nn.Flatten()
    add("F6", nn.Linear(120, WIDTH * HEIGHT))
    layers["output"] = BitmapRBF(penalty_scale, rubbish, adaptive) if is_rbf else nn.Linear(WIDTH * HEIGHT, 10)
    model = nn.Sequential(layers)
    initialize(model, initialization)
    return model


@torch.no_grad()
def penalties(model: nn.Sequential, x: Tensor) -> Tensor:
    """The paper's penalties (N, 10) of a LeNet-5 with RBF output, for images (N, 1, 28, 28)."""
    return model[-1].penalties(model[:-1](x))  # type: ignore[operator]
