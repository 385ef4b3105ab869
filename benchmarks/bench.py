"""Measure the training loop against d2l's and against the machine's own arithmetic: ``make bench``.

Everything is measured in one process at one thread count, in alternation, so that the ratios hold while the absolute
figures move with the machine's mood. Prints a table and writes ``benchmarks/latest.json``.
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import torch
from d2l import torch as d2l

from course_utils import data
from course_utils.device import describe_device, seed_everything
from course_utils.layers import layer_table
from course_utils.models import lenet
from course_utils.train import fit

ROUNDS = 3
BATCH = 256
LR = 0.9


def sgemm_rate(side: int = 1024, repeats: int = 20) -> float:
    """Floating-point operations per second of float32 matrix multiplication, the best of five tries."""
    a, b, c = torch.rand(side, side), torch.rand(side, side), torch.empty(side, side)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            torch.mm(a, b, out=c)
        best = min(best, (time.perf_counter() - start) / repeats)
    return 2 * side**3 / best


def operations_per_image() -> int:
    """Additions and multiplications of one training step of LeNet, per image.

    Two for each multiply-add, three times (outputs, weight gradients, input gradients); nobody needs the gradient of
    the image, so the first layer is counted twice only. Activations, pooling and the update are not counted.
    """
    macs = layer_table(lenet(), (1, 28, 28))["macs"]
    return 2 * int(3 * macs.sum() - macs.iloc[0])


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call, whose output is swallowed."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    return time.perf_counter() - start


def main() -> None:
    """Run all measurements, print them, and write them down."""
    dataset = data.load("fashion-mnist")
    n = len(dataset.train)
    cpu = torch.device("cpu")
    shipped_workers = d2l.get_dataloader_workers()

    def d2l_epoch(workers: int) -> Callable[[], object]:
        d2l.get_dataloader_workers = lambda: workers
        with data.d2l_folder():
            loaders = d2l.load_data_fashion_mnist(BATCH)
        return lambda: d2l.train_ch6(lenet(), *loaders, 1, LR, cpu)

    def fit_epoch(test: data.Split | None) -> Callable[[], object]:
        return lambda: fit(lenet(), dataset.train, test, epochs=1, lr=LR, batch_size=BATCH, device=cpu, progress=False)

    contestants = {
        f"d2l.train_ch6, {shipped_workers} loader workers (as shipped)": d2l_epoch(shipped_workers),
        "d2l.train_ch6, no loader workers": d2l_epoch(0),
        "fit": fit_epoch(dataset.test),
        "fit, training only": fit_epoch(None),
    }
    seed_everything(0)
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    gemm = []
    for _ in range(ROUNDS):
        gemm.append(sgemm_rate())
        for name, work in contestants.items():
            rates[name].append(n / seconds(work))
    gemm.append(sgemm_rate())

    rate = {name: statistics.median(values) for name, values in rates.items()}
    # d2l is given the faster of its two loaders; the arithmetic is given its best rate.
    baseline = max(value for name, value in rate.items() if name.startswith("d2l"))
    result = {
        "fit_vs_d2l": round(rate["fit"] / baseline, 2),
        "sgemm_share": round(rate["fit, training only"] * operations_per_image() / max(gemm), 3),
        "images_per_second": {name: round(value) for name, value in rate.items()},
        "sgemm_gflops": round(max(gemm) / 1e9, 1),
        "operations_per_image": operations_per_image(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "rounds": ROUNDS,
        "batch_size": BATCH,
        "device": describe_device(cpu),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("torch", "torchvision", "d2l", "numpy")}
        | {"python": platform.python_version()},
        "date": time.strftime("%Y-%m-%d"),
    }
    print(f"LeNet on Fashion-MNIST, batch {BATCH}, whole epochs, {result['device']}; median of {ROUNDS}\n")
    print(f"{'':52}{'images/s':>10}{'to d2l':>9}")
    for name, value in rate.items():
        print(f"{name:52}{value:>10.0f}{value / baseline:>9.2f}")
    print(f"\nSGEMM {result['sgemm_gflops']} GFLOP/s; the training step reaches {result['sgemm_share']:.3f} of it")
    print(f"peak memory {result['peak_memory_mb']} MB")
    Path(__file__).with_name("latest.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
