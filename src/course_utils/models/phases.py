"""The same convolution and 2 x 2 pooling, computed faster on a CPU, and on a GPU for many networks at once.

A convolution with one input channel and six output channels leaves most of a vector register empty, and average pooling
walks memory in small steps. Both get cheaper when the four pixels of each pooling window are kept as four *channels*:

- the input (C, H, W) becomes (4C, H/2, W/2), as `torch.nn.functional.pixel_unshuffle` does it;
- the K x K kernel becomes four kernels of about K/2 x K/2, one for each position in the window (its *phase*);
- pooling becomes the mean (or the maximum) over four channels.

The first convolution reads the images, which need no gradient. There a matrix product of the kernels with all windows
takes 22 to 27 microseconds an image, forward and backward; oneDNN's convolution takes 25 in some processes and 60 in
others.

The numbers are the same up to rounding, and so are the gradients, because the new kernels are a linear function of the
old ones. `fuse` finds the places in an `nn.Sequential` where this applies and leaves everything else as it is. The
parameters stay those of the original model.

Measured on two cores of an AMD EPYC (Zen 3), torch 2.14.1, batch 256: see ``make bench``. Below a batch of 16 the
fixed cost of the extra operations outweighs the gain, so `course_utils.train.fit` does not use it there.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.models.lecun_layers import TrainablePool2d
from course_utils.models.lenet import ScaledTanh

MATRIX_CHANNELS = 3  # of an image; with more channels, and where the input needs a gradient, oneDNN is faster
POINTWISE = (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.GELU)


@functools.cache
def _taps(kernel: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Constant 0/1 tensor (kernel**2, 4 * 4 * size**2): where each tap of the kernel goes, for each output phase."""
    size = (kernel + 2) // 2
    with torch.inference_mode(False):  # kept for later calls, which may want gradients
        # row, column, phase out, phase in, row, column
        taps = torch.zeros(kernel, kernel, 4, 4, size, size, device="cpu", dtype=torch.float32)
        for row in range(kernel):
            for column in range(kernel):
                for phase in range(4):
                    r, c = row + phase // 2, column + phase % 2
                    taps[row, column, phase, 2 * (r % 2) + c % 2, r // 2, c // 2] = 1
        return taps.reshape(kernel * kernel, -1).to(device, dtype)


class PhaseBlock(nn.Module):
    """Convolution (stride 1), pointwise activation and 2 x 2 pooling (stride 2) in one, with the pixels as channels."""

    def __init__(
        self, convolution: nn.Conv2d, activation: nn.Module, pooling: nn.AvgPool2d | nn.MaxPool2d | TrainablePool2d
    ) -> None:
        super().__init__()
        self.convolution, self.activation, self.pooling = convolution, activation, pooling

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, H', W'), H' = floor((H + 2 padding - kernel + 1) / 2)."""
        weight, bias = self.convolution.weight, self.convolution.bias
        out_channels, in_channels, kernel, _ = weight.shape
        padding = int(self.convolution.padding[0])
        size = (kernel + 2) // 2
        rows, columns = ((length + 2 * padding - kernel + 1) // 2 + size - 1 for length in x.shape[2:])
        x = F.pad(x, (padding, 2 * columns - x.shape[3] - padding, padding, 2 * rows - x.shape[2] - padding))
        taps = _taps(kernel, weight.device, weight.dtype)
        phases = (weight.reshape(-1, kernel * kernel) @ taps).view(out_channels, in_channels, 4, 4, size, size)
        phases = phases.transpose(1, 2).reshape(4 * out_channels, 4 * in_channels, size, size)
        bias = None if bias is None else bias.repeat_interleave(4)
        x = F.pixel_unshuffle(x, 2)
        if x.requires_grad or bias is None or in_channels > MATRIX_CHANNELS or self.convolution.groups > 1:
            wide = F.conv2d(x, phases, bias, groups=self.convolution.groups)
        else:
            wide = _convolve_as_matrices(x, phases, bias)
        window = self.activation(wide).unflatten(1, (out_channels, 4))
        if isinstance(self.pooling, TrainablePool2d):
            return self.pooling.scale(window.sum(2))
        return window.mean(2) if isinstance(self.pooling, nn.AvgPool2d) else window.amax(2)


def _convolve_as_matrices(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What `torch.nn.functional.conv2d` gives for square kernels, as one matrix product for each image (im2col)."""
    n, channels, height, width = x.shape
    out_channels, size = len(weight), weight.shape[-1]
    rows, columns = height - size + 1, width - size + 1
    image, channel, down, right = x.stride()
    shape, stride = (n, channels, size, size, rows, columns), (image, channel, down, right, down, right)
    windows = x.as_strided(shape, stride).reshape(n, -1, rows * columns)
    kernels = weight.reshape(1, out_channels, -1).expand(n, -1, -1)
    return torch.baddbmm(bias.view(1, -1, 1), kernels, windows).view(n, out_channels, rows, columns)


def _is_plain_convolution(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.kernel_size[0] == module.kernel_size[1]
        and module.stride == (1, 1)
        and module.dilation == (1, 1)
        and module.groups == 1
        and not isinstance(module.padding, str)
        and module.padding[0] == module.padding[1]
        and module.padding_mode == "zeros"
    )


def _halves(module: nn.Module) -> bool:
    if type(module) not in (nn.AvgPool2d, nn.MaxPool2d):
        return False
    return any(_settings(module) == _settings(type(module)(size)) for size in (2, (2, 2)))


def _settings(module: nn.Module) -> dict[str, object]:
    return {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "training"}


def _is_hooked(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks)


def fuse(model: nn.Module) -> nn.Module:
    """Return a module that computes what `model` computes, faster on a CPU where it can; parameters are shared.

    Only an `nn.Sequential` with a run of convolution, pointwise activation and 2 x 2 pooling (also LeNet-5's, with its
    coefficient and bias) is changed, and only if nobody listens to them or to the model (hooks would never fire).
    Otherwise `model` itself is returned.
    """
    if type(model) is not nn.Sequential or _is_hooked(model):
        return model
    layers = list(model)
    fused: list[nn.Module] = []
    while layers:
        convolution, activation, pooling, *_ = [*layers, nn.Identity(), nn.Identity()][:3]
        is_pair = isinstance(activation, POINTWISE) and _halves(pooling)
        is_lecuns_pair = type(activation) in (ScaledTanh, nn.Sigmoid) and type(pooling) is TrainablePool2d
        matches = _is_plain_convolution(convolution) and (is_pair or is_lecuns_pair)
        if matches and not any(map(_is_hooked, layers[:3])):
            fused.append(PhaseBlock(convolution, activation, pooling))  # type: ignore[arg-type]
            del layers[:3]
        else:
            fused.append(layers.pop(0))
    return nn.Sequential(*fused) if any(isinstance(layer, PhaseBlock) for layer in fused) else model
