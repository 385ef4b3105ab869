"""The nets without convolutions that LeNet-5 was compared with: linear, and one or two hidden layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from course_utils.checks import choose, positive_int
from course_utils.models.lecun_layers import PaddedInput, initialize
from course_utils.models.lenet import ACTIVATIONS


def mlp(
    *,
    hidden: Sequence[int] = (300,),
    activation: str = "scaled_tanh",
    input_scale: str = "published",
    initialization: str = "lecun",
) -> nn.Sequential:
    """Build a fully connected network: 28 x 28 images in, ten logits out.

    LeCun et al. 1998, section III.C, call these 28x28-300-10 and so on; their outputs were trained with squared error,
    here they are logits.

    Parameters
    ----------
    hidden
        Units of each hidden layer; none for a linear classifier.
    activation
        After each hidden layer: a name in `course_utils.models.lenet.ACTIVATIONS`.
    input_scale, initialization
        As for `course_utils.models.lenet5`.

    Returns
    -------
    torch.nn.Sequential
        Input (N, 1, 28, 28) with pixels from 0 to 1, output logits (N, 10). Hidden layers are named F1, F2, ...

    Raises
    ------
    ValueError
        If a name is unknown, or a size is not a positive integer.
    """
    squash = choose(ACTIVATIONS, activation, "activation")
    layers: OrderedDict[str, nn.Module] = OrderedDict(input=PaddedInput(0, input_scale), flatten=nn.Flatten())
    width = 28 * 28
    for number, units in enumerate(hidden, 1):
        layers[f"F{number}"] = nn.Linear(width, positive_int(units, "hidden"))
        layers[f"F{number}_activation"] = squash()
        width = units
    layers["output"] = nn.Linear(width, 10)
    model = nn.Sequential(layers)
    initialize(model, initialization)
    return model


def linear(*, input_scale: str = "published", initialization: str = "lecun") -> nn.Sequential:
    """Build the linear classifier: each output is a weighted sum of the 784 pixels plus a bias, 7,850 parameters.

    Parameters and errors are those of `mlp`.
    """
    return mlp(hidden=(), input_scale=input_scale, initialization=initialization)
