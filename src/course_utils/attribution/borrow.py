"""Running a model, and looking inside, without changing it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor, nn
from torch.func import functional_call

from course_utils.modes import mode

Run = Callable[[Tensor], Tensor]


@contextlib.contextmanager
def borrowed(model: nn.Module) -> Iterator[Run]:
    """Yield a function from images to logits that leaves no trace in the model.

    In the block gradients are on, whatever the caller has switched off, and the model is in evaluation mode; each of
    its modules is put back afterwards. The function calls the model with stand-ins: detached parameters, which share
    the memory of the real ones, and copies of the buffers. So no `requires_grad` is touched and no `.grad` filled,
    frozen parameters are no obstacle, and what the model writes into its buffers is forgotten. Gradients flow to the
    images, or to the layer of a `Tapped`, and no further.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, given {type(model).__name__}")
    with mode(model, training=False), torch.inference_mode(False), torch.enable_grad():
        stand_ins = {name: _plain(tensor, copy=False) for name, tensor in model.named_parameters()}
        stand_ins |= {name: _plain(tensor, copy=True) for name, tensor in model.named_buffers()}
        # A copy of the images goes in, because the first layer may work in place.
        yield lambda images: functional_call(model, stand_ins, (images.clone(),))


def _plain(tensor: Tensor, *, copy: bool) -> Tensor:
    """The tensor without history; a copy where asked for, and where it was made in inference mode."""
    return tensor.detach().clone() if copy or tensor.is_inference() else tensor.detach()


class Tap(nn.Module):
    """Cuts the graph: what passes becomes a leaf, kept as `value`, to which gradients flow but not beyond."""

    value: Tensor

    def forward(self, output: Tensor) -> Tensor:
        """Keep the output, and pass it on."""
        self.value = output.detach().requires_grad_(torch.is_grad_enabled())
        return self.value


class Tapped(nn.Module):
    """A borrowed model with a `tap` in the output of one layer.

    What is behind the tap gets a copy, so that an activation that works in place cannot overwrite the kept value. The
    hook lives for one call only, also if the call fails. The model itself is no submodule: whoever switches modes,
    zeroes gradients or replaces layers in a `Tapped` does not reach it.
    """

    def __init__(self, run: Run, module: nn.Module, call: int, device: torch.device) -> None:
        super().__init__()
        self.tap = Tap()
        self.anchor = nn.Parameter(torch.empty(0, device=device), requires_grad=False)  # tells others the device
        self._borrowed = (run, module, call)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the images."""
        run, module, wanted = self._borrowed
        calls, with_gradients = count(), torch.is_grad_enabled()

        def through_the_tap(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
            if next(calls) != wanted:
                return output
            with torch.inference_mode(False), torch.set_grad_enabled(with_gradients):  # whatever the model does inside
                return self.tap(output.clone() if output.is_inference() else output).clone()

        handle = module.register_forward_hook(through_the_tap)
        try:
            return run(images)
        finally:
            handle.remove()


@dataclass(frozen=True)
class Evidence:
    """What a map is made of.

    Attributes
    ----------
    activations
        Output of the layer, shape (N, K, h, w).
    gradients
        Gradient of each image's target logit with respect to it, same shape.
    logits
        Shape (N, classes).
    targets
        int64, shape (N,).
    """

    activations: Tensor
    gradients: Tensor
    logits: Tensor
    targets: Tensor


def collect(tapped: Tapped, images: Tensor, targets: Tensor | None, layer: str) -> Evidence:
    """One forward pass, and a backward pass from the target logits (the largest ones without targets) to the tap.

    Raises
    ------
    ValueError
        If the logits do not depend on the layer.
    """
    logits = tapped(images)
    targets = logits.argmax(1) if targets is None else targets
    scores = logits.gather(1, targets[:, None]).sum()
    activations = tapped.tap.value
    gradients = torch.autograd.grad(scores, activations, allow_unused=True)[0] if scores.requires_grad else None
    if gradients is None:
        raise ValueError(f"the logits do not depend on layer {layer!r}, or the model cuts the gradient behind it")
    return Evidence(activations.detach(), gradients, logits.detach(), targets)
