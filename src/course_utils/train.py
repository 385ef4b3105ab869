"""The one training loop of the course, and the evaluation that goes with it.

What was measured before choosing (two cores of an AMD EPYC, torch 2.14.1, LeNet, batch 256; ``make bench`` repeats it):
images that stay in memory as uint8 beat `DataLoader` workers by a factor; the metrics of an epoch are computed once,
from the logits of all its steps, so that no step waits for the host; `course_utils.models.phases` takes a third off the
step. For many runs, one thread a run with runs side by side beats two threads on one run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler, swa_utils
from tqdm import tqdm

from course_utils.checks import checked_seed, choose, positive_int
from course_utils.cuda_graph import GraphedStep
from course_utils.data import Batches, Split
from course_utils.device import Stopwatch, keep_freed_memory, pick_device
from course_utils.device import precision as precision_context
from course_utils.losses import LOSSES
from course_utils.models.phases import fuse
from course_utils.modes import mode

EVALUATION_BATCH = 1000
SMALLEST_FUSED_BATCH = 16
CALIBRATION_BATCHES = 50  # for the statistics of batch normalization that belong to averaged weights
LARGEST_LR = torch.finfo(torch.float32).max

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, int, float], lr_scheduler.LRScheduler | None]] = {
    "constant": lambda optimizer, steps, lr: None,
    # a tenth after half, a hundredth after three quarters of the steps
    "step": lambda optimizer, steps, lr: lr_scheduler.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4]),
    "cosine": lambda optimizer, steps, lr: lr_scheduler.CosineAnnealingLR(optimizer, steps),
    # momentum runs opposite to the learning rate, where the optimizer has any
    "one_cycle": lambda optimizer, steps, lr: lr_scheduler.OneCycleLR(
        optimizer, lr, steps, cycle_momentum=bool(optimizer.defaults.get("momentum") or "betas" in optimizer.defaults)
    ),
}


class TrainingDivergedError(RuntimeError):
    """The training loss or a weight is not finite any more.

    `history` holds the epochs before, and the model has the weights from the end of the last of them.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


class Score(NamedTuple):
    """Mean cross-entropy in nats, and the fraction classified correctly; both over images, not over batches."""

    loss: float
    accuracy: float


@dataclass
class History:
    """What one training run did, epoch by epoch.

    Attributes
    ----------
    train_loss
        Mean loss (cross-entropy in nats, unless another was asked for) over the images of an epoch, each taken at its
        own step, while the weights moved.
    train_accuracy
        Fraction of these images that were classified correctly at their step.
    test_accuracy
        Accuracy on the test split after the epoch; empty if no test split was given.
    seconds
        Wall-clock time of the epoch, evaluation included.
    settings
        The arguments of `fit`.
    device, threads
        Where it ran.
    """

    settings: dict[str, object] = field(default_factory=dict)
    device: str = "cpu"
    threads: int = 1
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.train_loss)

    def to_frame(self) -> pd.DataFrame:
        """One row per epoch, indexed from 1."""
        columns = {"train_loss": self.train_loss, "train_accuracy": self.train_accuracy}
        if self.test_accuracy:
            columns["test_accuracy"] = self.test_accuracy
        columns["seconds"] = self.seconds
        return pd.DataFrame(columns, index=pd.RangeIndex(1, self.epochs + 1, name="epoch"))

    def to_dict(self) -> dict[str, object]:
        """Plain lists and numbers, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        if not self.epochs:
            return "no epoch finished"
        test = f", test accuracy {self.test_accuracy[-1]:.3f}" if self.test_accuracy else ""
        return (
            f"epoch {self.epochs}: loss {self.train_loss[-1]:.3f}, train accuracy {self.train_accuracy[-1]:.3f}{test}"
        )


def _device_of(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _check_model_takes(model: nn.Module, split: Split, device: torch.device) -> None:
    shape = tuple(split.images.shape[1:])
    with mode(model, training=False), torch.no_grad():
        try:
            logits = model(torch.zeros(1, *shape, device=device))
        except RuntimeError as error:
            raise ValueError(f"the model cannot take images of shape {shape}: {error}") from error
    if logits.shape != (1, split.classes):
        raise ValueError(
            f"the model must give {split.classes} logits per image, shape (1, {split.classes}), "
            f"given shape {tuple(logits.shape)}"
        )


@torch.no_grad()
def predict(model: nn.Module, split: Split, *, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Logits (N, classes) of all images of a split, in order, in evaluation mode, on the model's device.

    `mean` and `std` are the standardization that the model was trained with. The modes of the model's modules are as
    before when the function returns.

    Raises
    ------
    ValueError
        If the model cannot take images of this shape, or does not give one logit per class.
    """
    device = _device_of(model)
    _check_model_takes(model, split, device)
    forward = fuse(model) if device.type == "cpu" else model
    with mode(model, training=False):
        return torch.cat([forward(x) for x, _ in Batches(split, EVALUATION_BATCH, device, mean=mean, std=std)])


def evaluate(model: nn.Module, split: Split, *, mean: float = 0.0, std: float = 1.0) -> Score:
    """Loss and accuracy of a model on a split, weighted by images, so that they do not depend on any batch size.

    Parameters and errors are those of `predict`.
    """
    return _score(predict(model, split, mean=mean, std=std), split.labels)


def _score(logits: Tensor, labels: Tensor, loss_function: Callable[..., Tensor] = F.cross_entropy) -> Score:
    labels = labels.to(logits.device)
    loss = loss_function(logits.float(), labels)
    accuracy = (logits.argmax(1) == labels).double().mean()
    return Score(float(loss), float(accuracy))


def fit(
    model: nn.Module,
    train: Split,
    test: Split | None = None,
    *,
    epochs: int = 10,
    batch_size: int = 256,
    lr: float = 0.9,
    max_updates: int | None = None,
    loss: str = "cross_entropy",
    optimizer: str | Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer] = "sgd",
    schedule: str = "constant",
    seed: int = 0,
    mean: float = 0.0,
    std: float = 1.0,
    augment: str = "none",
    weight_decay: float | None = None,
    ema: float = 0.0,
    device: str | torch.device | None = "auto",
    precision: str = "float32",
    channels_last: bool = False,
    compile: bool = False,
    cuda_graph: bool = False,
    progress: bool = True,
) -> History:
    """Train a classifier, with cross-entropy unless told otherwise, in place, and measure it after each epoch.

    With the defaults it does what d2l's `train_ch6` does (*Dive into Deep Learning*, section 7.6), but for the
    initialization, which is the model's own.

    Parameters
    ----------
    model
        Takes (N, C, H, W) float32 and returns logits (N, classes). It is moved to `device` and stays there.
    train, test
        What to train on, and what to measure accuracy on after each epoch.
    epochs, batch_size, lr
        Passes through the data, images in an update, learning rate. The last, short batch of a pass is used too.
    max_updates
        Stop after so many updates, within an epoch if need be; that epoch is measured like the others.
    loss
        A name in `course_utils.losses.LOSSES`.
    optimizer
        A name in `OPTIMIZERS`, or a function of (parameters, lr).
    schedule
        A name in `SCHEDULES`; the learning rate changes after each step.
    seed
        Fixes the order of the data and the random numbers drawn inside the model. It does not touch the
        initialization, which has happened already: call `course_utils.device.seed_everything` before building.
    mean, std
        Standardization of the inputs, in units of pixel / 255.
    augment
        A name in `course_utils.augment.AUGMENTATIONS`, for the training images.
    weight_decay
        What the optimizer is given, for all parameters; None leaves its own default.
    ema
        With a number between 0 and 1, an exponential moving average of the weights, of which each step keeps this
        share, is what is measured, and what the model holds at the end. The statistics of batch normalization belong to
        weights that averaging has changed, so they are taken anew from a few batches before each measurement (Izmailov
        et al. 2018, section 3.2).
    device
        As for `course_utils.device.pick_device`.
    precision
        ``"float32"``, ``"tf32"`` (CUDA) or ``"bfloat16"`` (autocast).
    channels_last
        Keep images with their channels innermost: often faster for wide networks on CUDA; on a CPU it depends on
        threads and width. There PyTorch 2.14 was seen to crash with it, in the backward pass of a ResNet that begins
        with 4 channels.
    compile
        Pass the model through `torch.compile` first. It takes a minute and needs a C++ compiler.
    cuda_graph
        Record the forward and backward pass once and replay it, see `course_utils.cuda_graph`: much faster on CUDA
        where the network is small. Hooks, and what else the model does in Python, run while it is recorded only.
    progress
        Show a progress bar.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If an argument is out of range, the device is not there, or model and images do not fit each other.
    TrainingDivergedError
        If the loss of an epoch, or a weight after it, is not finite. The model then has the weights from before that
        epoch.
    """
    positive_int(epochs, "epochs")
    if max_updates is not None:
        positive_int(max_updates, "max_updates")
    seed = checked_seed(seed)
    if isinstance(lr, bool) or not (isinstance(lr, (int, float)) and 0 <= lr <= LARGEST_LR):
        raise ValueError(f"lr must be a finite number that is not negative, given {lr!r}")
    loss_function = choose(LOSSES, loss, "loss")
    make_optimizer = choose(OPTIMIZERS, optimizer, "optimizer") if isinstance(optimizer, str) else optimizer
    make_schedule = choose(SCHEDULES, schedule, "schedule")
    if weight_decay is not None and not 0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay must be a finite number that is not negative, given {weight_decay!r}")
    if not 0 <= ema < 1:
        raise ValueError(f"ema must be at least 0 and below 1, given {ema!r}")
    device = pick_device(device)
    if cuda_graph and (device.type != "cuda" or compile):
        raise ValueError(
            f"cuda_graph works on CUDA and without compile, given device {str(device)!r}, compile={compile}"
        )
    batches = Batches(train, batch_size, device, shuffle=True, seed=seed, mean=mean, std=std, augment=augment)
    model.to(device)
    if channels_last:
        model.to(memory_format=torch.channels_last)
    _check_model_takes(model, train, device)
    if test is not None:
        test = test.to(device)
        _check_model_takes(model, test, device)

    if device.type == "cpu":
        keep_freed_memory()
    forward: Callable[[Tensor], Tensor] = model
    if device.type == "cpu" and batch_size >= SMALLEST_FUSED_BATCH:
        forward = fuse(model)
    if compile:
        forward = torch.compile(forward)
    sgd = make_optimizer(model.parameters(), lr=lr)  # type: ignore[call-arg]

    def compute_gradients(x: Tensor, y: Tensor) -> Tensor:
        sgd.zero_grad(set_to_none=True)
        logits = forward(x)
        loss_function(logits, y).backward()
        return logits.detach()

    gradients: Callable[[Tensor, Tensor], Tensor] = compute_gradients
    if cuda_graph:
        gradients = GraphedStep(compute_gradients, model)
    if weight_decay is not None:
        for group in sgd.param_groups:
            group["weight_decay"] = weight_decay
    average = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(ema)) if ema else None
    after_step = (lambda: None) if average is None else (lambda: average.update_parameters(model))
    updates = epochs * len(batches) if max_updates is None else min(max_updates, epochs * len(batches))
    scheduler = make_schedule(sgd, updates, lr)
    settings = dict(epochs=epochs, batch_size=batch_size, lr=lr, schedule=schedule, seed=seed, precision=precision)
    settings |= dict(optimizer=optimizer if isinstance(optimizer, str) else "custom", mean=mean, std=std)
    settings |= dict(loss=loss, max_updates=max_updates, channels_last=channels_last)
    settings |= dict(compile=compile, cuda_graph=cuda_graph)
    settings |= dict(augment=augment, weight_decay=weight_decay, ema=ema)
    history = History(settings, str(device), torch.get_num_threads())
    labels = train.labels.to(device)
    bar = tqdm(total=epochs, unit="epoch", disable=not progress)
    cuda = [device] if device.type == "cuda" else []
    with mode(model, training=True), torch.random.fork_rng(cuda), bar, precision_context(precision, device):
        _seed_generators(seed, device)
        for left in range(updates, 0, -len(batches)):
            before = {name: value.clone() for name, value in model.state_dict().items()}
            with Stopwatch(device) as watch:
                train_score = _epoch(
                    gradients, islice(batches, left), sgd, scheduler, loss_function, channels_last, after_step, labels
                )
                loss_is_finite = math.isfinite(train_score.loss)
                if not (loss_is_finite and all(bool(v.isfinite().all()) for v in model.state_dict().values())):
                    model.load_state_dict(before)
                    became = f"the training loss became {train_score.loss}"
                    what = "a weight overflowed" if loss_is_finite else became
                    raise TrainingDivergedError(
                        f"{what} in epoch {history.epochs + 1} "
                        f"(lr {lr}, batch_size {batch_size}); a smaller lr is the first thing to try",
                        history,
                    )
                measured = model if average is None else average.module
                if average is not None:
                    plain = Batches(batches.split, batch_size, device, mean=mean, std=std)
                    swa_utils.update_bn((x for x, _ in islice(plain, CALIBRATION_BATCHES)), measured)
                test_score = None if test is None else evaluate(measured, test, mean=mean, std=std)
            history.train_loss.append(train_score.loss)
            history.train_accuracy.append(train_score.accuracy)
            history.seconds.append(watch.seconds)
            if test_score is not None:
                history.test_accuracy.append(test_score.accuracy)
            bar.set_postfix_str(str(history).partition(": ")[2])
            bar.update()
    if average is not None:
        model.load_state_dict(average.module.state_dict())
    return history


def _seed_generators(seed: int, device: torch.device) -> None:
    # torch.manual_seed would reseed every device of the machine, also those that nothing runs on here
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _epoch(
    compute_gradients: Callable[[Tensor, Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    scheduler: lr_scheduler.LRScheduler | None,
    loss_function: Callable[..., Tensor],
    channels_last: bool,
    after_step: Callable[[], None],
    labels: Tensor,
) -> Score:
    # Loss and accuracy are computed once, from the logits of all steps: nothing in the loop waits for the device. They
    # go into one block, as thousands of small ones would keep the heap from shrinking.
    all_logits, all_labels, done = None, labels.new_empty(len(labels)), 0
    for x, y in batches:
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        logits = compute_gradients(x, y)
        optimizer.step()
        after_step()
        if scheduler is not None:
            scheduler.step()
        if all_logits is None:
            all_logits = logits.new_empty(len(labels), *logits.shape[1:])
        all_logits[done : done + len(y)], all_labels[done : done + len(y)] = logits, y
        done += len(y)
    assert all_logits is not None
    return _score(all_logits[:done], all_labels[:done], loss_function)
