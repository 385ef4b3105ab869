"""One training run as a pure function of its configuration and its seed.

A configuration is a flat dictionary of what differs from `DEFAULTS` and from the model's own defaults, for example
``{"lr": 1.2, "conv_activation": "relu"}``. Two configurations that mean the same have the same `key`, whichever study
they stand in, so that a run which several studies share is done once.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import functools
import hashlib
import inspect
import json
import platform
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

import course_utils
from course_utils import data, train
from course_utils.augment import AUGMENTATIONS
from course_utils.checks import choose, positive_int
from course_utils.device import PRECISIONS, pick_device, seed_everything
from course_utils.losses import LOSSES
from course_utils.models import MODELS

RESULTS_VERSION = 1  # raise it when a change of the code changes what a run gives: then everything is run again

# The arm to which the studies compare: d2l's LeNet, trained as d2l trains it.
DEFAULTS: dict[str, Any] = {
    "dataset": "fashion-mnist",
    "split": "test",  # "validation": fit on the first 50,000 training images, measure on the last 10,000
    "train_size": None,  # only the first so many training images
    "test_size": None,  # only the first so many test images
    "model": "lenet",
    "epochs": 10,
    "max_updates": None,
    "batch_size": 256,
    "lr": 0.9,
    "loss": "cross_entropy",
    "optimizer": "sgd",
    "schedule": "constant",
    "mean": 0.0,
    "std": 1.0,
    "augment": "none",
    "weight_decay": None,  # the optimizer's own
    "ema": 0.0,
    "precision": "float32",  # "tf32" and "bfloat16" are faster on a GPU; they are other runs, never mixed with these
    "channels_last": False,  # may be faster for deep networks; it rounds otherwise, so these are other runs too
}
SPLITS = ("test", "validation")
FIT_ARGUMENTS = (
    "epochs",
    "max_updates",
    "batch_size",
    "lr",
    "loss",
    "optimizer",
    "schedule",
    "mean",
    "std",
    "precision",
)
# For networks larger than LeNet. `course_utils.ensemble` does not have them: such runs go one by one.
RECIPE_ARGUMENTS = ("augment", "weight_decay", "ema", "channels_last")

_one_at_a_time = threading.RLock()


def complete(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the training, and arguments of the model, with all defaults filled in.

    Raises
    ------
    ValueError
        If a name or a value is not allowed; the message lists what is.
    """
    settings = DEFAULTS | {name: value for name, value in config.items() if name in DEFAULTS}
    build = choose(MODELS, settings["model"], "model")
    arguments = {name: parameter.default for name, parameter in inspect.signature(build).parameters.items()}
    for name, value in config.items():
        if name not in DEFAULTS:
            choose(arguments, name, "setting")
            arguments[name] = value
    for name in ("lr", "mean", "std"):
        settings[name] = float(settings[name])  # 1 and 1.0 are one setting
    if not settings["std"] > 0:
        raise ValueError(f"std must be positive, given {settings['std']!r}")
    if not 0 <= settings["lr"] < float("inf"):
        raise ValueError(f"lr must be a finite number that is not negative, given {settings['lr']!r}")
    for name in ("epochs", "batch_size"):
        positive_int(settings[name], name)
    for name in ("train_size", "test_size", "max_updates"):
        if settings[name] is not None:
            positive_int(settings[name], name)
    if not isinstance(settings["channels_last"], bool):
        raise ValueError(f"channels_last must be true or false, given {settings['channels_last']!r}")
    choose(data.CLASSES, settings["dataset"], "dataset")
    choose(dict.fromkeys(SPLITS), settings["split"], "split")
    choose(LOSSES, settings["loss"], "loss")
    choose(train.OPTIMIZERS, settings["optimizer"], "optimizer")
    choose(AUGMENTATIONS, settings["augment"], "augment")
    choose(train.SCHEDULES, settings["schedule"], "schedule")
    choose(dict.fromkeys(PRECISIONS), settings["precision"], "precision")
    return settings, arguments


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the defaults, and nothing else."""
    settings, arguments = complete(config)
    build = inspect.signature(MODELS[settings["model"]]).parameters
    different = {name: value for name, value in settings.items() if value != DEFAULTS[name]}
    different |= {name: value for name, value in arguments.items() if _plain(value) != _plain(build[name].default)}
    return {name: _plain(value) for name, value in different.items()}


def _plain(value: Any) -> Any:
    """A sequence as JSON gives it back: a list."""
    return list(value) if isinstance(value, tuple) else value


def key(config: Mapping[str, Any], seed: int) -> str:
    """Sixteen characters that stand for configuration, seed and `RESULTS_VERSION`."""
    text = json.dumps([RESULTS_VERSION, canonical(config), seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check(config: Mapping[str, Any]) -> None:
    """Build the model once and pass one image through it, so that a hopeless configuration is found before any run.

    Raises
    ------
    ValueError
        If a setting is not allowed, or the model cannot be built or cannot take the images.
    """
    settings, _ = complete(config)
    model = build_quietly(config).eval()
    try:
        with torch.no_grad():
            shape = model(torch.zeros(1, 1, 28, 28)).shape
    except RuntimeError as error:
        raise ValueError(f"the model cannot take images of shape (1, 28, 28): {error}") from error
    classes = len(data.CLASSES[settings["dataset"]])
    if shape != (1, classes):
        raise ValueError(f"the model must give {classes} logits per image, given shape {tuple(shape)}")


def build(config: Mapping[str, Any]) -> nn.Module:
    """The untrained model of a configuration. Its weights depend on the state of PyTorch's global generator."""
    settings, arguments = complete(config)
    return MODELS[settings["model"]](**arguments)


def build_quietly(config: Mapping[str, Any]) -> nn.Module:
    """The same, to look at: the global generator is left as it was, and no thread draws from it in the meantime."""
    with _one_at_a_time, torch.random.fork_rng([]):
        return build(config)


def splits(config: Mapping[str, Any], device: torch.device | str = "cpu") -> tuple[data.Split, data.Split]:
    """What a configuration is trained on and measured on. Loaded once per process and device."""
    settings, _ = complete(config)
    return _splits(*(settings[name] for name in ("dataset", "split", "train_size", "test_size")), str(device))


@functools.lru_cache(maxsize=2)
def _splits(
    name: str, split: str, train_size: int | None, test_size: int | None, device: str
) -> tuple[data.Split, data.Split]:
    dataset = _dataset(name)
    pair = (dataset.train, dataset.test) if split == "test" else (dataset.fitting, dataset.validation)
    return pair[0][:train_size].to(device), pair[1][:test_size].to(device)


@functools.lru_cache(maxsize=2)
def _dataset(name: str) -> data.Dataset:
    return data.load(name, progress=False)


def run_one(config: Mapping[str, Any], seed: int, device: str = "cpu") -> dict[str, Any]:
    """Build and train one model and return its record: `train_one` without the model."""
    return train_one(config, seed, device)[0]


def train_one(config: Mapping[str, Any], seed: int, device: str = "cpu") -> tuple[dict[str, Any], nn.Module]:
    """Build and train one model and return its record and the model itself.

    The same configuration and seed give the same numbers on the same machine, whatever ran before in the process: the
    seed fixes the initialization and the order of the data, and on a CPU the run has one thread to itself. Threads
    that call this take turns.

    Parameters
    ----------
    config
        What differs from the defaults.
    seed
        From 0 to 2**32 - 1.
    device
        As for `course_utils.device.pick_device`.

    Returns
    -------
    record, model
        The record has ``key, config, seed``; one number per finished epoch in ``train_loss`` (nats),
        ``train_accuracy``, ``test_accuracy`` (on the validation images if the split is "validation") and
        ``epoch_seconds``;
        ``seconds`` in all; ``diverged``, None or the reason; and where it ran, as `provenance` says it.

    Raises
    ------
    ValueError
        As `check`, and if the device is not there.
    """
    settings, _ = complete(config)
    place = pick_device(device)
    train_split, test_split = splits(config, place)
    with alone():
        seed_everything(seed)
        model = build(config)
        reason = None
        arguments = {name: settings[name] for name in FIT_ARGUMENTS + RECIPE_ARGUMENTS}
        try:
            arguments |= dict(seed=seed, device=place, cuda_graph=place.type == "cuda", progress=False)
            history = train.fit(model, train_split, test_split, **arguments)
        except train.TrainingDivergedError as error:
            history, reason = error.history, str(error)
        return record(config, seed, history, reason) | provenance(place, "single"), model


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one thread at a time pass, and give PyTorch one core: a run seeds the global generators."""
    with _one_at_a_time:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            _give_back_memory()


def _give_back_memory() -> None:
    """Return freed memory to the system (glibc), else what `keep_freed_memory` holds on to grows from run to run."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def record(config: Mapping[str, Any], seed: int, history: train.History, diverged: str | None) -> dict[str, Any]:
    """What the store keeps of a run, without where it ran."""
    return {
        "key": key(config, seed),
        "config": canonical(config),
        "seed": seed,
        "train_loss": history.train_loss,
        "train_accuracy": history.train_accuracy,
        "test_accuracy": history.test_accuracy,
        "epoch_seconds": [round(seconds, 4) for seconds in history.seconds],
        "seconds": round(sum(history.seconds), 4),
        "diverged": diverged,
    }


def provenance(device: torch.device, method: str) -> dict[str, Any]:
    """Where a run ran: device and its name, threads, method ("single" or "ensemble"), versions, time (UTC)."""
    return {
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "method": method,
        "versions": {
            "course_utils": course_utils.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


@functools.cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
