"""Where the arithmetic happens: choosing a device, seeding, precision, and honest timing."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import random
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch

from course_utils.checks import checked_seed

PRECISIONS = ("float32", "tf32", "bfloat16")


def available_devices() -> list[str]:
    """Kinds of device that work here, best first; ``"cpu"`` is always the last."""
    kinds = []
    if torch.cuda.is_available():
        kinds.append("cuda")
    if torch.backends.mps.is_available():
        kinds.append("mps")
    return [*kinds, "cpu"]


def pick_device(device: str | torch.device | None = "auto") -> torch.device:
    """Return the device to work on.

    Parameters
    ----------
    device
        ``"auto"`` or ``None`` takes the first of cuda, mps, cpu that works here. Anything else is taken at its
        word: ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"`` or a `torch.device`.

    Raises
    ------
    ValueError
        If the name is no device, or names one that this machine does not have.
    """
    available = available_devices()
    if device is None or device == "auto":
        return torch.device(available[0])
    chosen = _parse(device)
    if chosen.type not in available:
        hint = " On Colab: Runtime > Change runtime type > T4 GPU." if chosen.type == "cuda" else ""
        raise ValueError(f"device {str(chosen)!r} was asked for, but this machine has only {_quoted(available)}.{hint}")
    if chosen.type == "cuda" and chosen.index is not None and chosen.index >= torch.cuda.device_count():
        raise ValueError(
            f"device {str(chosen)!r} was asked for, but there are {torch.cuda.device_count()} CUDA devices"
        )
    return chosen


def device_kind(device: str | torch.device | None = "auto") -> str:
    """Kind of a device, "cpu", "cuda" or "mps", that need not be there: to read what another machine computed.

    Raises
    ------
    ValueError
        If the name is no device.
    """
    return pick_device().type if device is None or device == "auto" else _parse(device).type


def _parse(device: str | torch.device) -> torch.device:
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        allowed = _quoted(available_devices())
        raise ValueError(f"device {device!r} is not known; allowed here: 'auto', {allowed}") from error


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def describe_device(device: str | torch.device | None = "auto") -> str:
    """One line for people: ``"cpu, 2 threads"`` or ``"cuda, NVIDIA T4, 15.8 GB"``."""
    device = pick_device(device)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"cuda, {properties.name}, {properties.total_memory / 1e9:.1f} GB"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu, {threads} thread{'s' if threads != 1 else ''}"
    return device.type


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and PyTorch, and return a fresh CPU generator with the same seed.

    Give the generator to whatever shuffles. Then the order of the data does not depend on how many random numbers
    the initialization drew. On CUDA some kernels (atomic additions in backward passes) still differ in the last bits
    from run to run; `torch.use_deterministic_algorithms` removes that at a price in speed.

    Raises
    ------
    ValueError
        If the seed is not an integer between 0 and 2**32 - 1.
    """
    seed = checked_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - other libraries draw from the global generator
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished everything it was given (CUDA and MPS run behind Python's back)."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Stopwatch:
    """Time a block of work in seconds, right on asynchronous devices.

    >>> with Stopwatch(torch.device("cpu")) as watch:
    ...     _ = torch.ones(2) + 1
    >>> watch.seconds > 0
    True
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def __enter__(self) -> Stopwatch:
        synchronize(self.device)
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        synchronize(self.device)
        self.seconds = time.perf_counter() - self._start


@contextlib.contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Compute in ``"float32"``, ``"tf32"`` (CUDA, Ampere or newer) or ``"bfloat16"`` (autocast) inside a block.

    The settings that were in force before are put back at the end, also after an error.

    Raises
    ------
    ValueError
        If the name is unknown, or ``"tf32"`` is asked for on a device that is not CUDA.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision {name!r} is not known; allowed: {_quoted(list(PRECISIONS))}")
    if name == "tf32" and device.type != "cuda":
        raise ValueError(f"precision 'tf32' exists on CUDA only, given device {str(device)!r}")
    # Weights change inside the block, so autocast must not keep their bfloat16 copies until its end.
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16", cache_enabled=False)
    if device.type != "cuda":
        with autocast:
            yield
        return
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        with autocast:
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep large freed blocks instead of returning each to the system (Linux, CPU training).

    A training step frees and asks for the same few megabytes again and again. By default glibc gives them back to the
    kernel each time, and fresh pages must then be zeroed: about a tenth of a LeNet step on the CPU. Peak memory is not
    changed. Elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        mmap_threshold, trim_threshold, one_gigabyte = -3, -1, 1 << 30  # constants of <malloc.h>
        library.mallopt(mmap_threshold, one_gigabyte)
        library.mallopt(trim_threshold, one_gigabyte)
