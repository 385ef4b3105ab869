"""The losses that a network can be trained with, by name: each a function of logits and labels.

Logits have shape (N, classes), or (N, classes, runs), and labels (N,), or (N, runs).

Where a network gives penalties, as LeNet-5 does (small means likely), its logits are minus the penalties.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def rubbish_class(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Cross-entropy with one class more, which no image has and whose logit is always 0.

    It is LeNet-5's loss, equation 9 of LeCun et al. 1998. With penalties y and the paper's constant j, the equation
    says y_label + log(exp(-j) + sum_i exp(-y_i)). Logits j - y_i, which is what `course_utils.models.lenet5` gives,
    make it log(1 + sum_i exp(logit_i)) - logit_label, which is the same number.

    Parameters and shapes are those of `torch.nn.functional.cross_entropy`.
    """
    rubbish = torch.zeros_like(logits[:, :1])
    return F.cross_entropy(torch.cat([logits, rubbish], dim=1), labels, reduction=reduction)


def right_penalty(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """The penalty of the right class, which is minus its logit; the other classes do not enter.

    Equation 8 of LeCun et al. 1998: with penalties that are squared distances it is the mean squared error, less the
    constant that the logits may contain.

    Parameters and shapes are those of `torch.nn.functional.cross_entropy`.
    """
    penalty = -logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    return penalty if reduction == "none" else getattr(penalty, reduction)()


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Cross-entropy with a tenth of the target spread evenly over all classes.

    Label smoothing, Szegedy et al. 2016, section 7. Parameters and shapes are those of
    `torch.nn.functional.cross_entropy`.
    """
    return F.cross_entropy(logits, labels, reduction=reduction, label_smoothing=0.1)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "rubbish_class": rubbish_class,
    "right_penalty": right_penalty,
    "smoothed_cross_entropy": smoothed_cross_entropy,
}
