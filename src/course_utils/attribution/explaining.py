"""`explain`: one call from a model and images to maps of what its answer rests on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.attribution import formulas, gradients
from course_utils.attribution.borrow import Evidence, Run, Tapped, borrowed, collect
from course_utils.attribution.checks import Target, checked_images, checked_logits, checked_targets
from course_utils.attribution.layers import Call, choose_layer, iterate_chunks, survey
from course_utils.attribution.library import library_map
from course_utils.checks import choose, positive_int

WRITTEN_OUT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "grad_cam": formulas.grad_cam,
    "hires_cam": formulas.hires_cam,
    "layer_cam": formulas.layer_cam,
}
FROM_LIBRARY = ("grad_cam_plus_plus", "score_cam", "eigen_cam", "ablation_cam")
LAYER_METHODS = ("cam", *WRITTEN_OUT, *FROM_LIBRARY)
PIXEL_METHODS: dict[str, Callable[..., Any]] = {
    "gradient": gradients.gradient,
    "smooth_grad": gradients.smooth_grad,
    "integrated_gradients": gradients.integrated_gradients,
    "guided_backprop": gradients.guided_backprop,
    "deconvnet": gradients.deconvnet,
    "occlusion": gradients.occlusion,
}
METHODS = (*LAYER_METHODS, *PIXEL_METHODS)
STEPS = (64, 256, 1024)  # of integrated gradients, more where completeness is missed by more than
LARGEST_GAP = 0.01


@dataclass(frozen=True)
class Explanation:
    """Maps of N images and what is needed to read them.

    Attributes
    ----------
    maps
        Shape (N, H, W), as large as the images, each scaled to [0, 1] by itself. Maps of different images, classes or
        methods can therefore not be compared by their brightness; compare `raw`.
    raw
        What the method gave, with its sign: (N, h, w) at the layer's size, or (N, C, H, W) per pixel and channel, or
        (N, H, W) for occlusion.
    raw_range
        Smallest and largest value of `raw`, shape (N, 2).
    targets, scores
        The explained class of each image and its logit, shape (N,).
    method, layer
        How and where; `layer` is None for a method that works on the pixels.
    notes
        One text for each image: why its map is blank, or what to beware of. Empty where there is nothing to say.
    gap
        For integrated gradients, how far each image misses completeness, as a share; otherwise None.
    """

    maps: Tensor
    raw: Tensor
    raw_range: Tensor
    targets: Tensor
    scores: Tensor
    method: str
    layer: str | None
    notes: tuple[str, ...]
    gap: Tensor | None = None

    def __len__(self) -> int:
        return len(self.maps)


@dataclass
class _Parts:
    """What the chunks yield, one after the other."""

    raw: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)
    gap: list[Tensor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def explain(
    model: nn.Module,
    images: Tensor,
    target: Target = None,
    method: str = "grad_cam",
    layer: str | nn.Module = "auto",
    batch_size: int = 32,
    **options: Any,
) -> Explanation:
    """Say where in each image the evidence for a class lies.

    The model may be frozen, in training mode, without ReLUs or full of ones that work in place, and the caller inside
    `torch.no_grad` or `torch.inference_mode`; it is left exactly as it was, also after an error.

    Parameters
    ----------
    model
        From images to logits (N, classes).
    images
        Shape (N, C, H, W), or (C, H, W) for one, scaled as the model was trained, on the model's device.
    target
        The class to explain: one for all images, one for each, or None for the class that the model predicts.
    method
        A name from `METHODS`.
    layer
        For the methods of the CAM family: a module of the model, its name, or ``"auto"``, the last map before pooling.
    batch_size
        Images (masked, noisy or covered copies included) that the model sees at once. It bounds the memory; the
        result is the same but for rounding.
    **options
        Settings of the method: see `smooth_grad`, `integrated_gradients` and `occlusion`. Without ``steps``, integrated
        gradients take as many as each image needs for a gap of at most 1 %: 64, 256 or 1,024.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit; the message says what was given and what is allowed.
    RuntimeError
        If the method comes from the grad-cam library and that is not installed.
    """
    choose(dict.fromkeys(METHODS), method, "method")
    batch_size = positive_int(batch_size, "batch_size")
    _check_options(method, layer, options)
    images = checked_images(model, images)
    with borrowed(model) as run:
        logits, calls = _try(model, run, images)
        targets = checked_targets(target, len(images), logits.shape[1], logits.device)
        place = choose_layer(model, layer, calls) if method in LAYER_METHODS else None
        parts = _Parts()
        for chunk in iterate_chunks(images, batch_size):
            wanted = None if targets is None else targets[chunk]
            if place is None:
                _attribute(parts, run, images[chunk], wanted, method, _for(chunk, len(images), options))
            else:
                _look(parts, run, images[chunk], wanted, method, place, model, batch_size)
        return _assemble(parts, method, place, images)


def _check_options(method: str, layer: object, options: dict[str, Any]) -> None:
    if method in PIXEL_METHODS and not (isinstance(layer, str) and layer == "auto"):
        raise ValueError(f"method {method!r} works on the pixels and takes no layer, given {layer!r}")
    parameters = inspect.signature(PIXEL_METHODS[method]).parameters.values() if method in PIXEL_METHODS else ()
    allowed = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    if unknown := [name for name in options if name not in allowed]:
        raise TypeError(f"method {method!r} has no option {unknown[0]!r}; allowed: {', '.join(allowed) or 'none'}")


def _try(model: nn.Module, run: Run, images: Tensor) -> tuple[Tensor, list[Call]]:
    """Logits of the first image, and the calls it made."""
    try:
        logits, calls = survey(model, run, images[:1])
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(f"the model cannot take images of shape {tuple(images.shape)}: {error}") from error
    return checked_logits(logits, 1), calls


def _look(
    parts: _Parts,
    run: Run,
    images: Tensor,
    targets: Tensor | None,
    method: str,
    place: Call,
    model: nn.Module,
    batch_size: int,
) -> None:
    """Maps of the CAM family."""
    tapped = Tapped(run, place.module, place.number, images.device)
    evidence = collect(tapped, images, targets, place.name)
    checked_logits(evidence.logits, len(images))
    if method == "cam":
        weights = formulas.cam_weights(model, evidence.activations, evidence.logits)
        raw = formulas.cam(evidence.activations, weights[evidence.targets])
    elif method in WRITTEN_OUT:
        raw = WRITTEN_OUT[method](evidence.activations, evidence.gradients)
    else:
        raw = library_map(method, tapped, images, evidence, batch_size)
    parts.raw.append(raw)
    parts.targets.append(evidence.targets)
    parts.logits.append(evidence.logits)
    low, high = raw.flatten(1).aminmax(dim=1)
    shown = torch.isfinite(raw).flatten(1).all(1) & (high > low.clamp(min=0))
    parts.notes += ["" if good else _why_blank(i, raw, evidence, method) for i, good in enumerate(shown.tolist())]


def _why_blank(i: int, raw: Tensor, evidence: Evidence, method: str) -> str:
    """Why nothing is to be seen in the map of image i."""
    if not torch.isfinite(raw[i]).all():
        return "blank: the gradient at the layer is not a number"
    if not evidence.activations[i].any():
        return "blank: the layer's output is zero for this image"
    if method != "eigen_cam" and not evidence.gradients[i].any():
        return "blank: the gradient at the layer is zero, because units behind it are silent or saturated"
    if raw[i].max() <= 0:
        return f"blank: no evidence at this layer speaks for class {int(evidence.targets[i])}"
    return "blank: the map is the same everywhere"


def _attribute(
    parts: _Parts, run: Run, images: Tensor, targets: Tensor | None, method: str, options: dict[str, Any]
) -> None:
    """Attributions to the pixels."""
    with torch.no_grad():
        logits = checked_logits(run(images), len(images))
    chosen = logits.argmax(1) if targets is None else targets

    def attribute(some: Tensor, classes: Tensor, **settings: Any) -> Any:
        return PIXEL_METHODS[method](lambda x: run(x).gather(1, classes[:, None])[:, 0], some, **settings)

    notes = [""] * len(images)
    if method != "integrated_gradients":
        raw = attribute(images, chosen, **options)
    else:
        raw, gap = attribute(images, chosen, **{"steps": STEPS[0], **options})
        for steps in () if "steps" in options else STEPS[1:]:
            if (missed := gap > LARGEST_GAP).any():
                raw[missed], gap[missed] = attribute(
                    images[missed], chosen[missed], steps=steps, **_for(missed, len(images), options)
                )
        parts.gap.append(gap)
        notes = [f"completeness is missed by {g:.1%}; take more steps" if g > LARGEST_GAP else "" for g in gap.tolist()]
    for i in range(len(images)):
        if not torch.isfinite(raw[i]).all():
            notes[i] = "blank: the gradient is not a number"
        elif not _one_map(raw[i : i + 1], method).any():
            notes[i] = "blank: no pixel changes the score, or, for occlusion, no covered patch lowers it"
    parts.raw.append(raw)
    parts.targets.append(chosen)
    parts.logits.append(logits)
    parts.notes += notes


def _for(some: slice | Tensor, n: int, options: dict[str, Any]) -> dict[str, Any]:
    """The options for some of n images: a baseline may be another one for each image."""
    baseline = options.get("baseline")
    if isinstance(baseline, Tensor) and baseline.ndim == 4 and len(baseline) == n:
        return options | {"baseline": baseline[some]}
    return options


def _one_map(raw: Tensor, method: str) -> Tensor:
    """From signed attributions to one map (N, H, W), nowhere negative.

    Gradients: the largest absolute value over the channels. Integrated gradients: the absolute value of the channels'
    sum, which keeps completeness per pixel. Occlusion and the CAM family: the positive part.
    """
    if raw.ndim == 3:
        return raw.relu()
    return raw.sum(1).abs() if method == "integrated_gradients" else raw.abs().amax(1)


def _assemble(parts: _Parts, method: str, place: Call | None, images: Tensor) -> Explanation:
    raw, logits, targets = torch.cat(parts.raw).detach(), torch.cat(parts.logits), torch.cat(parts.targets)
    finite = torch.isfinite(raw).flatten(1).all(1)
    maps = _one_map(torch.where(finite.view(-1, *[1] * (raw.ndim - 1)), raw, 0), method).float()
    if maps.shape[1:] != images.shape[2:]:
        maps = F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    maps = torch.where(high > low, (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny), 0)
    notes = parts.notes
    if ((logits >= 0) & (logits <= 1)).all() and torch.allclose(logits.sum(1), torch.ones(()).to(logits), atol=1e-4):
        warning = "the model returns probabilities; explain its logits, whose gradient does not die where it is sure"
        notes = [f"{note}; {warning}" if note else warning for note in notes]
    return Explanation(
        maps=maps.clamp(0, 1),
        raw=raw,
        raw_range=torch.stack([raw.flatten(1).amin(1), raw.flatten(1).amax(1)], 1),
        targets=targets,
        scores=logits.gather(1, targets[:, None])[:, 0],
        method=method,
        layer=None if place is None else place.name,
        notes=tuple(notes),
        gap=torch.cat(parts.gap) if parts.gap else None,
    )
