"""Many training runs of one architecture at once, on one device.

A small network leaves a processor idle most of the time: each operation is over before the next one has been asked for.
Here the runs of an ensemble share their operations. Their feature maps lie side by side as channels, shape
(N, runs * C, H, W), so a convolution becomes one convolution with `runs` groups, a dense layer one batched matrix
product, and everything that works on single values or single channels stays as it is. No number passes from one run to
another: each has its own seed, initialization, order of the data and learning rate, and a run that diverges leaves the
others alone. Only the batch size, the number of updates, the optimizer and the schedule are shared.

Measured on one core of an AMD EPYC, torch 2.14.1, LeNet, time per step and run, ten runs together against one alone:
batch 2, 0.8 against 2.0 ms; batch 4, 1.3 against 3.0; batch 8, 1.5 against 3.5; batch 16, 2.3 against 4.0. At batch 256
there is nothing to gain on a CPU. Hence `group` forms ensembles of small batches only, five runs each: nearly as fast
as ten, and less is lost when a process is killed.

On an H100, torch 2.11, a step of 180 LeNets at batch 256 takes 19 ms with the phases of `course_utils.models.phases`,
51 ms without, and 35 and 40 ms with two ways of writing the convolutions as matrix products. Where steps are short, the
processor's time to start the kernels bounds them, and `course_utils.cuda_graph` takes most of it away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from course_utils import runs, train
from course_utils.checks import checked_seed, choose, positive_int
from course_utils.cuda_graph import GraphedStep
from course_utils.data import Batches, Split
from course_utils.device import Stopwatch, keep_freed_memory, pick_device, seed_everything
from course_utils.device import precision as precision_context
from course_utils.losses import LOSSES
from course_utils.models.phases import fuse
from course_utils.models.stacked import can_stack, stack, unstack
from course_utils.modes import mode

LARGEST_CPU_BATCH = 16  # above it, runs one by one are as fast on a CPU
CPU_RUNS = 5
FUSED_ON = ("cpu", "cuda")  # where `fuse` pays
EVALUATION_IMAGES = {"cpu": 1000, "cuda": 40_000, "mps": 10_000}  # in an evaluation step, all runs together


class Outcome(NamedTuple):
    """What became of one run: its finished epochs, and None or the reason why it stopped."""

    history: train.History
    diverged: str | None


def fit_many(
    models: Sequence[nn.Module],
    train_split: Split,
    test_split: Split | None = None,
    *,
    seeds: Sequence[int],
    lrs: Sequence[float],
    epochs: int = 10,
    batch_size: int = 256,
    max_updates: int | None = None,
    loss: str = "cross_entropy",
    optimizer: str = "sgd",
    schedule: str = "constant",
    mean: float = 0.0,
    std: float = 1.0,
    device: str | torch.device | None = "auto",
    precision: str = "float32",
    compile: bool = False,
    chunk: int | None = None,
    progress: bool = True,
) -> list[Outcome]:
    """Train several models of one architecture at once, each as `course_utils.train.fit` would train it alone.

    Alone or together, a run sees the same images in the same order; its numbers agree up to rounding, which training
    may magnify in later epochs.

    Parameters
    ----------
    models
        Networks that `stack` takes, each with its own initial weights. They are trained in place.
    train_split, test_split
        As for `course_utils.train.fit`, the same for all.
    seeds, lrs
        One per model: the seed of its order of the data, and its learning rate.
    epochs, batch_size, max_updates, loss, optimizer, schedule, mean, std, device, precision
        As for `course_utils.train.fit`, shared; the optimizer by name.
    compile
        Pass the stacked network through `torch.compile` first.
    chunk
        At most so many runs at once. Default: all. When CUDA runs out of memory, the chunk is halved and begun again.
    progress
        Show a progress bar.

    Returns
    -------
    list of Outcome
        One per model. A run whose loss or weights are not finite ends before that epoch, with the weights it had then.
        The seconds of an epoch are shared out equally.

    Raises
    ------
    ValueError
        If an argument is out of range, or models, seeds and learning rates do not match.
    torch.OutOfMemoryError
        If not even one run fits.
    """
    positive_int(epochs, "epochs")
    positive_int(batch_size, "batch_size")
    seeds = [checked_seed(seed) for seed in seeds]
    if not len(models) == len(seeds) == len(lrs):
        raise ValueError(f"{len(models)} models need as many seeds and lrs, given {len(seeds)} and {len(lrs)}")
    if not all(math.isfinite(lr) and lr >= 0 for lr in lrs):
        raise ValueError(f"lrs must be finite numbers that are not negative, given {list(lrs)}")
    place = pick_device(device)
    chunk = len(models) if chunk is None else positive_int(chunk, "chunk")
    shared: dict[str, Any] = dict(epochs=epochs, batch_size=batch_size, optimizer=optimizer, schedule=schedule)
    shared |= dict(loss=loss, mean=mean, std=std, precision=precision, max_updates=max_updates)
    train_split = train_split.to(place)
    test_split = None if test_split is None else test_split.to(place)
    if place.type == "cpu":
        keep_freed_memory()

    outcomes: list[Outcome] = []
    with tqdm(total=len(models) * epochs, unit="epoch", disable=not progress) as bar:
        while len(outcomes) < len(models):
            part = slice(len(outcomes), len(outcomes) + chunk)
            try:
                ensemble = _Ensemble(models[part], seeds[part], lrs[part], train_split, place, shared, compile)
                outcomes += ensemble.train(test_split)
                bar.update(epochs * len(models[part]))
            except torch.OutOfMemoryError:
                size = len(models[part])
                if size == 1:
                    raise
                chunk = (size + 1) // 2
                tqdm.write(f"{size} runs at once do not fit the memory of {place}; going on with {chunk}")
            if place.type == "cuda":
                torch.cuda.empty_cache()
    return outcomes


class _Ensemble:
    """Runs in progress."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        seeds: Sequence[int],
        lrs: Sequence[float],
        split: Split,
        device: torch.device,
        shared: dict[str, Any],
        compile: bool,
    ) -> None:
        self.models, self.split, self.device, self.shared = models, split, device, shared
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        models = [model.to(device) for model in models]
        self.net = stack([fuse(model) for model in models] if device.type in FUSED_ON else models)
        self.forward = torch.compile(self.net) if compile else self.net
        self.compute_gradients: Callable[[Tensor], Tensor] = self._compute_gradients
        if device.type == "cuda" and not compile:
            self.compute_gradients = GraphedStep(self._compute_gradients, self.net)
        self.batches = Batches(split, shared["batch_size"], device, mean=shared["mean"], std=shared["std"])
        all_updates = shared["epochs"] * len(self.batches)
        self.updates = min(all_updates, shared["max_updates"] or all_updates)
        self.parameters = list(self.net.parameters())
        # All optimizers of the course move a weight in proportion to lr. So the optimizer works with lr 1 (times what
        # the schedule makes of it), and each run's move is scaled by its own lr.
        self.lrs = torch.tensor(lrs, dtype=torch.float32, device=device)
        self.scales = [
            self.lrs.repeat_interleave(p.shape[0] // len(lrs)).view(-1, *[1] * (p.ndim - 1)) for p in self.parameters
        ]
        self.loss_function = choose(LOSSES, shared["loss"], "loss")
        self.optimizer = choose(train.OPTIMIZERS, shared["optimizer"], "optimizer")(self.parameters, lr=1.0)
        self.scheduler = choose(train.SCHEDULES, shared["schedule"], "schedule")(self.optimizer, self.updates, 1.0)
        self.histories = [
            train.History(shared | dict(seed=seed, lr=lr), str(device), torch.get_num_threads())
            for seed, lr in zip(seeds, lrs, strict=True)
        ]
        self.diverged: list[str | None] = [None] * len(models)

    def train(self, test: Split | None) -> list[Outcome]:
        with precision_context(self.shared["precision"], self.device), mode(self.net, training=True):
            for left in range(self.updates, 0, -len(self.batches)):
                before = {name: value.clone() for name, value in self.net.state_dict().items()}
                with Stopwatch(self.device) as watch:
                    losses, accuracies = self._epoch(min(left, len(self.batches)))
                    test_accuracies = None if test is None else self._accuracies(test)
                finite = self._finite(losses)
                for run, history in enumerate(self.histories):
                    if self.diverged[run] is not None:
                        continue
                    if not finite[run]:
                        self.diverged[run] = (
                            f"the training loss became {float(losses[run])}, or a weight overflowed, in epoch "
                            f"{history.epochs + 1}"
                        )
                        unstack(before, self.models, run)
                        continue
                    history.train_loss.append(float(losses[run]))
                    history.train_accuracy.append(float(accuracies[run]))
                    history.seconds.append(watch.seconds / len(self.models))
                    if test_accuracies is not None:
                        history.test_accuracy.append(float(test_accuracies[run]))
                if all(self.diverged):
                    break
        for run, reason in enumerate(self.diverged):
            if reason is None:
                unstack(self.net.state_dict(), self.models, run)
        return [Outcome(history, reason) for history, reason in zip(self.histories, self.diverged, strict=True)]

    def _epoch(self, updates: int) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy of each run, on the host. Nothing before the end waits for the device."""
        orders = [torch.randperm(len(self.split), generator=generator) for generator in self.generators]
        order = torch.stack(orders, dim=1).to(self.device)  # images, runs
        labels = self.split.labels[order]
        logits = None
        for step, index in enumerate(order.split(self.shared["batch_size"])[:updates]):
            outputs = self.compute_gradients(index)
            self._step()
            if logits is None:  # one block for the epoch: thousands of small ones would keep the heap from shrinking
                logits = outputs.new_empty(len(order), *outputs.shape[1:])
            done = step * self.shared["batch_size"] + len(index)
            logits[done - len(index) : done] = outputs
        assert logits is not None
        logits, labels = logits[:done], labels[:done]
        losses = self.loss_function(logits.transpose(1, 2).float(), labels, reduction="none").double().mean(0)
        accuracies = (logits.argmax(2) == labels).double().mean(0)
        return losses.cpu(), accuracies.cpu()

    def _compute_gradients(self, index: Tensor) -> Tensor:
        """Gradients of one step, and the logits (N, runs, classes) of the images (N, runs) that it was taken with."""
        x = self.batches._normalize(self.split.images[index].flatten(1, 2))  # N, runs * C, H, W
        y = self.split.labels[index]  # N, runs
        self.optimizer.zero_grad(set_to_none=True)
        outputs = self.forward(x).unflatten(1, (len(self.models), -1))
        # a sum over runs, whose gradients do not meet, of means over images
        (self.loss_function(outputs.flatten(0, 1), y.flatten(), reduction="sum") / len(y)).backward()
        return outputs.detach()

    @torch.no_grad()
    def _step(self) -> None:
        if self.shared["optimizer"] == "sgd":
            factor = self.optimizer.param_groups[0]["lr"]
            gradients = [parameter.grad for parameter in self.parameters]
            torch._foreach_addcmul_(self.parameters, gradients, self.scales, -factor)  # type: ignore[arg-type]
            self.optimizer._opt_called = True  # type: ignore[attr-defined]
        else:
            start = [parameter.clone() for parameter in self.parameters]
            self.optimizer.step()
            for parameter, old, scale in zip(self.parameters, start, self.scales, strict=True):
                parameter.sub_(old).mul_(scale).add_(old)
        if self.scheduler is not None:
            self.scheduler.step()

    @torch.no_grad()
    def _accuracies(self, test: Split) -> Tensor:
        runs_ = len(self.models)
        size = max(1, EVALUATION_IMAGES[self.device.type] // runs_)
        correct = torch.zeros(runs_, dtype=torch.float64, device=self.device)
        with mode(self.net, training=False):
            for x, y in Batches(test, size, self.device, mean=self.shared["mean"], std=self.shared["std"]):
                logits = self.forward(x.repeat(1, runs_, 1, 1)).unflatten(1, (runs_, -1))
                correct += (logits.argmax(2) == y[:, None]).sum(0)
        return (correct / len(test)).cpu()

    def _finite(self, losses: Tensor) -> list[bool]:
        finite = losses.isfinite()
        for value in self.net.state_dict().values():
            if value.ndim:
                finite = finite & value.reshape(len(self.models), -1).isfinite().all(1).cpu()
        return finite.tolist()


def group(jobs: Sequence[tuple[str, dict[str, Any], int]], device: torch.device) -> list[list[Any]]:
    """Put runs together that `run_jobs` can do at once: alike but for seed and lr.

    On a CPU only where the batch is small, five at a time. Networks that cannot be stacked stay alone, and so do runs
    with a setting of `course_utils.runs.RECIPE_ARGUMENTS`.
    """
    groups: dict[str, list[Any]] = {}
    full: list[list[Any]] = []
    for job in jobs:
        config = runs.canonical(job[1])
        settings, _ = runs.complete(config)
        plain = all(settings[name] == runs.DEFAULTS[name] for name in runs.RECIPE_ARGUMENTS)
        small = device.type != "cpu" or settings["batch_size"] <= LARGEST_CPU_BATCH
        if not plain or not small or not can_stack(runs.build_quietly(config)):
            full.append([job])
            continue
        name = str(sorted((key, value) for key, value in config.items() if key != "lr"))
        if name not in groups or (device.type == "cpu" and len(groups[name]) >= CPU_RUNS):
            groups[name] = []
            full.append(groups[name])
        groups[name].append(job)
    return full


def run_jobs(jobs: Sequence[tuple[str, dict[str, Any], int]], device: str) -> list[dict[str, Any]]:
    """Carry out runs that `group` put together and return their records, as `course_utils.runs.run_one` does."""
    if len(jobs) == 1:
        _, config, seed = jobs[0]
        return [runs.run_one(config, seed, device)]
    place = pick_device(device)
    settings, _ = runs.complete(jobs[0][1])
    train_split, test_split = runs.splits(jobs[0][1], place)
    with runs.alone():
        models = []
        for _, config, seed in jobs:
            seed_everything(seed)
            models.append(runs.build(config))
        outcomes = fit_many(
            models,
            train_split,
            test_split,
            seeds=[seed for _, _, seed in jobs],
            lrs=[runs.complete(config)[0]["lr"] for _, config, _ in jobs],
            device=place,
            progress=False,
            **{name: settings[name] for name in runs.FIT_ARGUMENTS if name != "lr"},
        )
        where = runs.provenance(place, f"ensemble of {len(jobs)}")
        return [
            runs.record(config, seed, outcome.history, outcome.diverged) | where
            for (_, config, seed), outcome in zip(jobs, outcomes, strict=True)
        ]
