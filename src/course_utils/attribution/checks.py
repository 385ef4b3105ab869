"""Checks of what a caller hands over, each with a message that says what is wrong and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

Target = int | Sequence[int] | np.ndarray | Tensor | None


def checked_images(model: nn.Module, images: Tensor) -> Tensor:
    """Images (N, C, H, W) in the model's precision, without history; one image (C, H, W) becomes a batch of one.

    Raises
    ------
    TypeError
        If `images` is no tensor, or `model` no module.
    ValueError
        If the shape is another, there is no image, a value is not finite, the values are whole numbers, or the images
        are on another device than the model.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, given {type(model).__name__}")
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor of shape (N, C, H, W), given {type(images).__name__}")
    if images.ndim == 3:
        images = images[None]
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images must have shape (N, C, H, W) or (C, H, W), none of them 0, given {_shape(images)}")
    if not images.is_floating_point():
        raise ValueError(
            f"images must be floating-point, scaled as the model was trained, given {images.dtype}; "
            "(images / 255) is a start"
        )
    own = next(chain(model.parameters(), model.buffers()), None)
    if own is not None and own.device != images.device:
        raise ValueError(
            f"the images are on {str(images.device)!r} and the model is on {str(own.device)!r}; "
            f"move them: images.to({str(own.device)!r})"
        )
    bad = torch.nonzero(~torch.isfinite(images.detach()).flatten(1).all(1)).flatten().tolist()
    if bad:
        raise ValueError(f"images must be finite; NaN or infinity in image {', '.join(map(str, bad[:5]))}")
    weights = next((parameter for parameter in model.parameters() if parameter.is_floating_point()), None)
    return images.detach() if weights is None else images.detach().to(weights.dtype)


def checked_targets(target: Target, n: int, classes: int, device: torch.device) -> Tensor | None:
    """Class numbers, int64, shape (N,); one number is for all images, and None stays None.

    Raises
    ------
    TypeError
        If they are not whole numbers.
    ValueError
        If there is not one for each image, or one is not from 0 to classes - 1.
    """
    if target is None:
        return None
    try:
        given = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"target must be a class number, one for each image, or None, given {target!r}") from error
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise TypeError(f"target must hold whole numbers (classes), given {given.dtype}")
    if given.ndim == 0:
        given = given.expand(n)
    if given.shape != (n,):
        raise ValueError(f"target must be one class, or one for each of the {n} images, given shape {_shape(given)}")
    outside = given[(given < 0) | (given >= classes)]
    if len(outside):
        raise ValueError(f"target must be from 0 to {classes - 1}, the model's classes, given {outside[0].item()}")
    return given.to(device=device, dtype=torch.int64)


def checked_logits(logits: object, n: int) -> Tensor:
    """The model's output if it is a finite tensor (N, classes).

    Raises
    ------
    ValueError
        Otherwise; the message says what the model returned.
    """
    if not isinstance(logits, Tensor):
        raise ValueError(f"the model must return logits (N, classes), but returns {type(logits).__name__}")
    if logits.ndim != 2 or len(logits) != n:
        raise ValueError(f"the model must return logits ({n}, classes), but returns shape {_shape(logits)}")
    if not torch.isfinite(logits).all():
        raise ValueError("the model returns NaN or infinity for finite images: its weights are broken")
    return logits


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
