"""Measure the training loop against d2l's and against the machine's own arithmetic: ``make bench``.

Everything is measured in one run, in alternation, so that the ratios hold while the absolute figures move with the
machine's mood. `fit` and `d2l.train_ch6` work in one process with the same number of threads; a study takes its ten
seeds to its own processes, one for each core, as it always does. Takes about ten minutes. Prints a table and writes
``benchmarks/latest.json``.
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import torch
from attribution import explain_vs_library
from d2l import torch as d2l

from course_utils import data, study
from course_utils.device import describe_device, seed_everything
from course_utils.layers import layer_table
from course_utils.models import lenet
from course_utils.train import fit

ROUNDS = 3
BATCH = 256
LR = 0.9
SEEDS = range(10)
SMALL_BATCHES = {2: 6_000, 16: 30_000}  # batch size: training images, so that d2l's epoch takes about ten seconds


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


def d2l_rate(dataset: data.Dataset, batch_size: int, images: int) -> float:
    """Training images per second of an epoch of `d2l.train_ch6` on the first so many images, given as tensors.

    Its own loader always reads all 60,000, and turns each into a PIL picture and back; handed over as tensors they cost
    it less, so this flatters d2l. As in a whole epoch, a sixth as many test images are evaluated.
    """
    train_iter = d2l.load_array((dataset.train.images[:images] / 255, dataset.train.labels[:images]), batch_size)
    test = (dataset.test.images[: images // 6] / 255, dataset.test.labels[: images // 6])
    test_iter = d2l.load_array(test, batch_size, is_train=False)
    return images / seconds(lambda: d2l.train_ch6(lenet(), train_iter, test_iter, 1, LR, torch.device("cpu")))


def study_rate(batch_size: int, images: int, epochs: int) -> float:
    """Training images per second of a new study of ten seeds, the start of its processes included."""
    config = {"batch_size": batch_size, "train_size": images, "test_size": images // 6, "epochs": epochs}
    item = study.Study("bench", "How fast?", {"default": config}, seeds=SEEDS)
    with tempfile.TemporaryDirectory() as folder:
        took = seconds(lambda: study.run(item, device="cpu", folder=folder, progress=False))
    return len(SEEDS) * epochs * images / took


def peak_memory_of_fit() -> int:
    """MB that one training run takes in a process of its own, PyTorch and the data set included."""
    script = """
import resource
from course_utils import data, train
from course_utils.models import lenet
dataset = data.load("fashion-mnist")
train.fit(lenet(), dataset.train, dataset.test, epochs=1, device="cpu", progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    return int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Run all measurements, print them, and write them down."""
    peak_memory = peak_memory_of_fit()  # first: Linux counts the memory of the parent, as it is at the start, as well
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
    fastest_d2l = max((name for name in rate if name.startswith("d2l")), key=rate.__getitem__)
    baseline = rate[fastest_d2l]
    ten_runs = n * len(SEEDS) / sum(seconds(contestants[fastest_d2l]) for _ in SEEDS)
    studies = {BATCH: (study_rate(BATCH, n, 3), ten_runs)}
    for batch_size, images in SMALL_BATCHES.items():
        studies[batch_size] = study_rate(batch_size, images, 1), d2l_rate(dataset, batch_size, images)

    result = {
        "fit_vs_d2l": round(rate["fit"] / baseline, 2),
        "sgemm_share": round(rate["fit, training only"] * operations_per_image() / max(gemm), 3),
        "study_vs_d2l": round(studies[BATCH][0] / studies[BATCH][1], 2),
        "study_vs_d2l_by_batch": {str(size): round(ours / theirs, 2) for size, (ours, theirs) in studies.items()},
        "study_images_per_second": {str(size): round(ours) for size, (ours, _) in studies.items()},
        "explain_vs_library": round(explain_vs_library(), 1),
        "images_per_second": {name: round(value) for name, value in rate.items()},
        "sgemm_gflops": round(max(gemm) / 1e9, 1),
        "operations_per_image": operations_per_image(),
        "peak_memory_mb": peak_memory,
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
    print("\nten seeds of the default arm through a study, against d2l.train_ch6 at the same batch size")
    for size, (ours, theirs) in sorted(studies.items()):
        print(f"batch {size:<46}{ours:>10.0f}{ours / theirs:>9.2f}")
    print(
        f"\nGrad-CAM of 64 images: explain is {result['explain_vs_library']} times as fast as the library, one by one"
    )
    print(f"\npeak memory of a process that loads the data and calls fit: {result['peak_memory_mb']} MB")
    Path(__file__).with_name("latest.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
