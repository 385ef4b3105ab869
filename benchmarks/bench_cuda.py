"""Measure the study of learning rates on a GPU against d2l's training loop there: ``python benchmarks/bench_cuda.py``.

The whole study `lr` is timed from a new process to the last result on the disk: 18 learning rates with ten seeds each,
ten epochs a run. d2l's `train_ch6` runs one epoch after a first one to warm up; 1,800 such epochs are what the study
would take with it. On an H100 it has not been run to its end: the first try was stopped after 90 seconds.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")

import torch
from d2l import torch as d2l

from course_utils import data
from course_utils.device import describe_device
from course_utils.models import lenet
from course_utils.studies import STUDIES


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call, whose output is swallowed."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Print both times and their ratio."""
    data.load("fashion-mnist", progress=False)  # so that nothing is fetched while the clock runs
    study = STUDIES["lr"]
    epochs = 10 * len(study.jobs())
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "course_utils", "study", "run", "lr", "--device", "cuda", "--quiet"]
        start = time.perf_counter()
        subprocess.run(command, check=True, env=os.environ | {"COURSE_STUDY_DIR": folder})
        took = time.perf_counter() - start
    with data.d2l_folder():
        loaders = d2l.load_data_fashion_mnist(256)
    epoch = [seconds(lambda: d2l.train_ch6(lenet(), *loaders, 1, 0.9, torch.device("cuda"))) for _ in range(2)][-1]
    print(f"{describe_device('cuda')}, torch {torch.__version__}")
    print(f"study lr, {len(study.jobs())} runs of 10 epochs: {took:.1f} s")
    print(f"d2l.train_ch6, one epoch: {epoch:.2f} s; {epochs} of them: {epoch * epochs:,.0f} s")
    print(f"ratio: {epoch * epochs / took:.0f}")


if __name__ == "__main__":
    main()
