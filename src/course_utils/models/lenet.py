"""LeNet as *Dive into Deep Learning* simplifies it, with every choice that the ablations turn as an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.checks import choose, positive_int


class ScaledTanh(nn.Module):
    """LeCun's squashing function A tanh(S a) with A = 1.7159, S = 2/3 (LeCun et al. 1998, appendix A)."""

    def forward(self, a: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        return 1.7159 * torch.tanh(2 / 3 * a)


class MixedPool2d(nn.Module):
    """Half average, half maximum (Lee et al. 2016, with the mixing proportion fixed at 1/2)."""

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return 0.5 * (F.avg_pool2d(x, self.kernel_size, self.stride) + F.max_pool2d(x, self.kernel_size, self.stride))


class StochasticPool2d(nn.Module):
    """Pick one value of each window, with probability in proportion to the value; at test time their expectation.

    Zeiler and Fergus 2013, equations 3 to 6. It needs values that are not negative (sigmoid or ReLU before it): others
    count as zero. A window without a positive value gives zero.
    """

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        k, s = self.kernel_size, self.stride
        windows = x.clamp(min=0).unfold(2, k, s).unfold(3, k, s).flatten(4)  # n, c, rows, columns, k * k
        if not self.training:
            return (windows * windows).sum(-1) / windows.sum(-1).clamp(min=1e-12)
        cumulative = windows.detach().float().cumsum(-1)  # bfloat16 would draw a threshold of exactly 0 too often
        threshold = torch.rand_like(cumulative[..., :1]) * cumulative[..., -1:]
        choice = (cumulative <= threshold).sum(-1, keepdim=True).clamp(max=k * k - 1)
        return windows.gather(-1, choice).squeeze(-1)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "scaled_tanh": ScaledTanh,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
}
POOLINGS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "avg": lambda channels, size, stride: nn.AvgPool2d(size, stride),
    "max": lambda channels, size, stride: nn.MaxPool2d(size, stride),
    "mixed": lambda channels, size, stride: MixedPool2d(size, stride),
    "stochastic": lambda channels, size, stride: StochasticPool2d(size, stride),
    "strided_conv": lambda channels, size, stride: nn.Conv2d(channels, channels, size, stride),
}


def _xavier(weight: Tensor) -> None:
    nn.init.xavier_uniform_(weight)


def _he(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


INITIALIZATIONS: dict[str, Callable[[Tensor], object] | None] = {
    "default": None,  # PyTorch's own: uniform in +-1/sqrt(fan_in), weights and biases
    "xavier": _xavier,  # Glorot and Bengio 2010, equation 16; biases stay at PyTorch's default, as in d2l
    "he": _he,  # He et al. 2015, equation 10
    "zeros": nn.init.zeros_,
}


def lenet(
    *,
    conv_activation: str = "sigmoid",
    dense_activation: str = "sigmoid",
    pooling: str = "avg",
    conv_kernel: int = 5,
    padding: int = 2,
    pool_size: int = 2,
    pool_stride: int = 2,
    initialization: str = "xavier",
    batch_norm: bool = False,
    in_channels: int = 1,
    image_size: int = 28,
    classes: int = 10,
) -> nn.Sequential:
    """Build LeNet: 28 x 28 images in, ten logits out, 61,706 parameters with the defaults.

    With the defaults it is the network of *Dive into Deep Learning*, section 7.6 (1.0 edition), initialized as its
    `train_ch6` does. It differs from LeNet-5 as published (LeCun et al. 1998) in squashing function, C3 connections,
    pooling, output, loss, padding and input scale.

    Parameters
    ----------
    conv_activation, dense_activation
        After the convolutions, and after the two hidden dense layers: a name in `ACTIVATIONS`.
    pooling
        A name in `POOLINGS`.
    conv_kernel, padding
        Kernel size and zero padding of C1. The second convolution is always 5 x 5 without padding.
    pool_size, pool_stride
        Window and step of both poolings. Size 1 with stride 2 keeps every other pixel and drops the rest.
    initialization
        A name in `INITIALIZATIONS`.
    batch_norm
        Put batch normalization (Ioffe and Szegedy 2015) before each activation.
    in_channels, image_size, classes
        Input shape (in_channels, image_size, image_size) and number of logits.

    Returns
    -------
    torch.nn.Sequential
        Input (N, in_channels, image_size, image_size), output logits (N, classes). Layers are named C1, S2, C3, S4,
        F5, F6, output; activations add ``_activation``.

    Raises
    ------
    ValueError
        If a name is unknown, a size is not positive, or a kernel is larger than what it is applied to.
    """
    conv_act = choose(ACTIVATIONS, conv_activation, "conv_activation")
    dense_act = choose(ACTIVATIONS, dense_activation, "dense_activation")
    pool = choose(POOLINGS, pooling, "pooling")
    initialize = choose(INITIALIZATIONS, initialization, "initialization")
    sizes = dict(conv_kernel=conv_kernel, pool_size=pool_size, pool_stride=pool_stride)
    for what, value in (sizes | dict(in_channels=in_channels, image_size=image_size, classes=classes)).items():
        positive_int(value, what)
    if isinstance(padding, bool) or not isinstance(padding, int) or padding < 0:
        raise ValueError(f"padding must be an integer from 0 up, given {padding!r}")

    size = image_size
    for what, kernel, pad, stride in [
        ("C1", conv_kernel, padding, 1),
        ("S2", pool_size, 0, pool_stride),
        ("C3", 5, 0, 1),
        ("S4", pool_size, 0, pool_stride),
    ]:
        if size + 2 * pad < kernel:
            raise ValueError(f"{what}: a {kernel} x {kernel} window does not fit its {size} x {size} input")
        size = (size + 2 * pad - kernel) // stride + 1

    layers: OrderedDict[str, nn.Module] = OrderedDict()

    def add(name: str, layer: nn.Module, activation: Callable[[], nn.Module], norm: nn.Module) -> None:
        layers[name] = layer
        if batch_norm:
            layers[f"{name}_norm"] = norm
        layers[f"{name}_activation"] = activation()

    add("C1", nn.Conv2d(in_channels, 6, conv_kernel, padding=padding), conv_act, nn.BatchNorm2d(6))
    layers["S2"] = pool(6, pool_size, pool_stride)
    add("C3", nn.Conv2d(6, 16, 5), conv_act, nn.BatchNorm2d(16))
    layers["S4"] = pool(16, pool_size, pool_stride)
    layers["flatten"] = nn.Flatten()
    add("F5", nn.Linear(16 * size * size, 120), dense_act, nn.BatchNorm1d(120))
    add("F6", nn.Linear(120, 84), dense_act, nn.BatchNorm1d(84))
    layers["output"] = nn.Linear(84, classes)
    model = nn.Sequential(layers)
    if initialize is not None:
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                initialize(module.weight)
    return model
