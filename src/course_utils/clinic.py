"""Seven checks for a training that raises no error and is wrong all the same.

Each measures one number on the model or on the data, compares it with what a healthy training gives, and says the
result in a sentence. None asks how the training was set up. A check that finds nothing rules out one fault, not all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from itertools import cycle, islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.checks import choose, positive_int
from course_utils.clinic_data import (
    Batch,
    Finding,
    check_labels,
    check_leakage,
    check_normalization,
    check_order,
    enough,
)
from course_utils.modes import mode
from course_utils.train import OPTIMIZERS

__all__ = [
    "Finding",
    "check_labels",
    "check_leakage",
    "check_learning_rate",
    "check_logits",
    "check_modes",
    "check_normalization",
    "check_order",
    "early_losses",
    "loss_floor",
]

LARGEST_WOBBLE = 0.01  # rounding moves logits by about 1e-6 of their spread
LARGEST_LOSS = 0.1  # nats that a tenth of the learning rate may be ahead


def check_modes(model: nn.Module, x: Tensor) -> Finding:
    """Ask whether an image gets the same logits every time, whatever images are beside it.

    Call it where your evaluation calls the model: the modes are left as they are. In training mode dropout makes the
    logits a matter of chance, and batch normalization (Ioffe and Szegedy 2015) a matter of the other images.

    Parameters
    ----------
    model
        Takes (N, C, H, W) and returns (N, classes). Its buffers are as before when the function returns.
    x
        Images as the model sees them, shape (N, C, H, W), N at least 4.

    Returns
    -------
    Finding
        `measured` is the root mean square of the change, in units of the standard deviation of all logits.

    Raises
    ------
    ValueError
        If there are fewer than 4 images, or the logits are not finite.
    """
    enough(x, 4, "x")
    before = {name: value.clone() for name, value in model.named_buffers()}
    with torch.no_grad():
        once, again = model(x), model(x)
        halves = torch.cat([model(half) for half in x.chunk(2)])
        for name, value in model.named_buffers():
            value.copy_(before[name])
    if not once.isfinite().all():
        raise ValueError("the logits are not finite, so they cannot be compared; look at the learning rate first")
    spread = float(once.std()) or 1.0
    alone, company = (float((other - once).square().mean().sqrt()) / spread for other in (again, halves))
    wobble = max(alone, company)
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    training = [name for name, module in model.named_modules() if module.training and isinstance(module, kinds)]
    blame = f" In training mode: {', '.join(training)}." if training else ""
    if wobble <= LARGEST_WOBBLE:
        return Finding("modes", True, "An image gets the same logits each time, in any company.", wobble)
    why = "from one call to the next" if alone > LARGEST_WOBBLE else "with the other images of the batch"
    return Finding("modes", False, f"Logits change {why}, by {wobble:.2f} of their spread.{blame}", wobble)


def loss_floor(width: float, classes: int = 10) -> float:
    """Smallest cross-entropy, in nats, of outputs that all lie in an interval of this width.

    It is reached where the right class has the largest output and all others the smallest:
    ``log(1 + (classes - 1) * exp(-width))``. For probabilities (width 1) and ten classes it is log(e + 9) - 1 = 1.461.
    """
    return math.log1p((classes - 1) * math.exp(-width))


def check_logits(model: nn.Module, x: Tensor) -> Finding:
    """Ask whether the outputs are logits, or a softmax (or sigmoid) has been applied already.

    Cross-entropy applies softmax itself. Outputs that lie between 0 and 1 keep it from ever becoming small.

    Parameters
    ----------
    model, x
        As for `check_modes`; the model is put into evaluation mode for the call.

    Returns
    -------
    Finding
        `measured` is the width of the range of the outputs.

    Raises
    ------
    ValueError
        If there are fewer than 4 images, or the outputs are not finite.
    """
    enough(x, 4, "x")
    with mode(model, training=False), torch.no_grad():
        outputs = model(x)
    if not outputs.isfinite().all():
        raise ValueError("the outputs are not finite, so they have no range; look at the learning rate first")
    low, high = float(outputs.min()), float(outputs.max())
    if low < 0 or high > 1:
        return Finding("logits", True, f"Outputs lie between {low:.2f} and {high:.2f}, as logits may.", high - low)
    to_one = bool((outputs.sum(1) - 1).abs().max() < 1e-3)
    what = "Outputs are probabilities: each row sums to 1." if to_one else "All outputs lie between 0 and 1."
    floor = loss_floor(1.0, outputs.shape[1])
    return Finding("logits", False, f"{what} Cross-entropy cannot fall below {floor:.3f}.", high - low)


def early_losses(
    model: nn.Module,
    batches: Iterable[Batch],
    lr: float,
    *,
    optimizer: str | Callable[..., torch.optim.Optimizer] = "sgd",
    steps: int = 30,
) -> list[float]:
    """Cross-entropy of each of the first steps of a training, in nats; the model itself is not touched.

    Parameters
    ----------
    model
        Freshly built; a copy of it is trained.
    batches
        `(x, y)`, begun again when they are used up.
    lr, optimizer
        As for `course_utils.train.fit`.
    steps
        How many.

    Raises
    ------
    ValueError
        If `steps` is not a positive integer, the optimizer is not known, or there is no batch.
    """
    positive_int(steps, "steps")
    make = choose(OPTIMIZERS, optimizer, "optimizer") if isinstance(optimizer, str) else optimizer
    patient = copy.deepcopy(model)
    update = make(patient.parameters(), lr=lr)
    losses: list[float] = []
    cuda = sorted({p.device.index or 0 for p in patient.parameters() if p.device.type == "cuda"})
    with mode(patient, training=True), torch.random.fork_rng(cuda):
        torch.manual_seed(0)  # dropout draws the same numbers whenever this is called
        for x, y in islice(cycle(batches), steps):
            loss = F.cross_entropy(patient(x), y)
            update.zero_grad()
            loss.backward()
            update.step()
            losses.append(loss.item())
    if not losses:
        raise ValueError("batches must hold one batch at least, given none")
    return losses


def check_learning_rate(
    model: nn.Module,
    batches: Iterable[Batch],
    lr: float,
    *,
    optimizer: str | Callable[..., torch.optim.Optimizer] = "sgd",
    steps: int = 30,
) -> Finding:
    """Ask whether a tenth of the learning rate gets further in the first steps.

    A step along the gradient lowers the loss if it is short enough. If ten times shorter steps, on the same batches and
    from the same weights, end lower by more than 0.1 nats, the long ones overshoot. It finds rates that are too high
    for the start of a training, not those that are too low.

    Parameters
    ----------
    model, batches, optimizer, steps
        As for `early_losses`. The batches should come in random order.
    lr
        The learning rate in question.

    Returns
    -------
    Finding
        `measured` is the mean loss of the last third of the steps at `lr`.

    Raises
    ------
    ValueError
        As `early_losses`.
    """
    batches = list(islice(batches, steps))  # the same for both
    ends = []
    for rate in (lr, lr / 10):
        losses = early_losses(model, batches, rate, optimizer=optimizer, steps=steps)
        last = losses[-max(1, steps // 3) :]
        ends.append(sum(last) / len(last))
    healthy = math.isfinite(ends[0]) and ends[0] - ends[1] <= LARGEST_LOSS
    said = f"After {steps} steps the loss is {ends[0]:.2f} at lr {lr:g} and {ends[1]:.2f} at lr {lr / 10:g}."
    return Finding("learning rate", healthy, said, ends[0])
