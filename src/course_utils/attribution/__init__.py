"""What does a network look at? Maps of the evidence for a class, feature maps, and pictures of both.

`explain` gives the maps and `overlay` shows them. The formulas are written out in `formulas` and `gradients`.
"""

from __future__ import annotations

from torch import Tensor, nn

from course_utils.attribution.borrow import Evidence, Tapped, borrowed, collect
from course_utils.attribution.checks import Target, checked_images, checked_targets
from course_utils.attribution.explaining import METHODS, Explanation, explain
from course_utils.attribution.features import feature_maps, last_features, maximize_activation, strongest
from course_utils.attribution.formulas import cam, cam_weights, grad_cam, hires_cam, layer_cam
from course_utils.attribution.gradients import (
    deconvnet,
    gradient,
    guided_backprop,
    integrated_gradients,
    occlusion,
    smooth_grad,
)
from course_utils.attribution.layers import choose_layer, map_layers, survey
from course_utils.attribution.pictures import as_picture, colorize, overlay

__all__ = [
    "METHODS",
    "Evidence",
    "Explanation",
    "as_picture",
    "cam",
    "cam_weights",
    "colorize",
    "deconvnet",
    "evidence",
    "explain",
    "feature_maps",
    "grad_cam",
    "gradient",
    "guided_backprop",
    "hires_cam",
    "integrated_gradients",
    "last_features",
    "layer_cam",
    "map_layers",
    "maximize_activation",
    "occlusion",
    "overlay",
    "smooth_grad",
    "strongest",
]


def evidence(model: nn.Module, images: Tensor, target: Target = None, layer: str | nn.Module = "auto") -> Evidence:
    """Activations of a layer, and the gradient of the target logits with respect to them: what CAMs are made of.

    The arguments are those of `explain`. All images go through the model at once.
    """
    images = checked_images(model, images)
    with borrowed(model) as run:
        logits, calls = survey(model, run, images[:1])
        place = choose_layer(model, layer, calls)
        targets = checked_targets(target, len(images), logits.shape[1], logits.device)
        return collect(Tapped(run, place.module, place.number, images.device), images, targets, place.name)
