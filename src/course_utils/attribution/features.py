"""Looking inside without a target class: feature maps, what excites a channel most, and the last features of images."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils.attribution.borrow import borrowed
from course_utils.attribution.checks import checked_images
from course_utils.attribution.layers import choose_layer, iterate_chunks, survey
from course_utils.checks import checked_seed, positive_int


def feature_maps(model: nn.Module, images: Tensor, layers: Sequence[str], batch_size: int = 256) -> dict[str, Tensor]:
    """Outputs of several layers, by name, on the CPU; of a layer that is called several times, those of its last call.

    Raises
    ------
    ValueError
        If a name is not in the model, or the layer is not called or returns no tensor.
    """
    images = checked_images(model, images)
    modules = dict(model.named_modules())
    if unknown := [name for name in layers if name not in modules]:
        raise ValueError(f"layer {unknown[0]!r} is not in the model; layers: {', '.join(filter(None, modules))}")
    outputs: dict[str, list[Tensor]] = {name: [] for name in layers}
    last: dict[str, object] = {}
    with borrowed(model) as run, contextlib.ExitStack() as hooks, torch.no_grad():
        for name in layers:

            def keep(module: nn.Module, inputs: tuple, output: object, name: str = name) -> None:
                # A copy, because the next layer may work in place.
                last[name] = output.clone() if isinstance(output, Tensor) else output

            hooks.callback(modules[name].register_forward_hook(keep).remove)
        for chunk in iterate_chunks(images, positive_int(batch_size, "batch_size")):
            run(images[chunk])
            for name in layers:
                output = last.get(name)
                if not isinstance(output, Tensor):
                    raise ValueError(f"layer {name!r} is not called when the model runs, or returns no tensor")
                outputs[name].append(output.cpu())
    return {name: torch.cat(parts) for name, parts in outputs.items()}


def last_features(model: nn.Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """What the last linear layer sees of each image, shape (N, features), on the CPU.

    Raises
    ------
    ValueError
        If the model has no linear layer.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise ValueError("the model has no linear layer, so it has no features before it")
    images = checked_images(model, images)
    seen: list[Tensor] = []
    with borrowed(model) as run, torch.no_grad():
        hook = dict(model.named_modules())[names[-1]].register_forward_pre_hook(
            lambda module, inputs: seen.append(inputs[0].flatten(1).cpu())
        )
        try:
            for chunk in iterate_chunks(images, positive_int(batch_size, "batch_size")):
                run(images[chunk])
        finally:
            hook.remove()
    return torch.cat(seen)


def strongest(model: nn.Module, images: Tensor, layer: str, channel: int, k: int = 9) -> tuple[Tensor, Tensor]:
    """Which `k` of the images excite a channel most, by the largest value of its map, and where that value stands.

    Returns
    -------
    indices, places
        Shape (k,), best first, and row and column in the feature map, shape (k, 2).
    """
    maps = feature_maps(model, images, [layer])[layer]
    if maps.ndim != 4 or not 0 <= channel < maps.shape[1]:
        raise ValueError(f"layer {layer!r} has output {tuple(maps.shape)}; channel {channel!r} of a map was asked for")
    values, flat = maps[:, channel].flatten(1).max(1)
    best = values.topk(min(positive_int(k, "k"), len(values))).indices
    return best, torch.stack([flat[best] // maps.shape[3], flat[best] % maps.shape[3]], 1)


def maximize_activation(
    model: nn.Module,
    shape: tuple[int, int, int],
    layer: str,
    channel: int,
    *,
    steps: int = 128,
    lr: float = 0.05,
    decay: float = 1e-3,
    smoothness: float = 1e-2,
    jitter: int = 2,
    limits: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
) -> Tensor:
    """An image that excites one channel, found by gradient ascent from gray noise (Erhan et al. 2009).

    Parameters
    ----------
    shape
        Of the image, (C, H, W).
    layer, channel
        Whose mean is made large. Without regularizers the result is noise that excites and shows nothing.
    decay, smoothness
        Weights of the penalties: mean square of the pixels' distance from the middle of `limits`, and of the
        differences between neighbors.
    jitter
        Before each step the image is shifted at random, by up to so many pixels, so that no detail depends on its
        place.
    limits
        Smallest and largest pixel value, scaled as the model's images are.

    Returns
    -------
    Tensor
        Shape (C, H, W).
    """
    generator = torch.Generator().manual_seed(checked_seed(seed))
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    low, high = limits
    middle = (low + high) / 2
    start = (middle + 0.05 * (high - low) * torch.randn(1, *shape, generator=generator)).clamp(low, high).to(device)
    start = checked_images(model, start)
    with borrowed(model) as run:
        _, calls = survey(model, run, start)
        place = choose_layer(model, layer, calls)
        if place.shape is None or not 0 <= channel < place.shape[0]:
            raise ValueError(f"layer {place.name!r} has output {place.shape}; channel {channel!r} was asked for")
        seen: list[Tensor] = []
        hook = place.module.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
        x = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=lr * (high - low))
        try:
            for _ in range(positive_int(steps, "steps")):
                seen.clear()
                rows, columns = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
                run(x.roll((rows, columns), (2, 3)))
                rough = (x[..., 1:, :] - x[..., :-1, :]).square().mean() + (x[..., 1:] - x[..., :-1]).square().mean()
                loss = decay * (x - middle).square().mean() + smoothness * rough - seen[-1][:, channel].mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    x.clamp_(low, high)
        finally:
            hook.remove()
        return x.detach()[0]
