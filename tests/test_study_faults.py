"""Studies whose processes are killed: complete and equal all the same."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from unittest import mock

import pandas as pd
import pytest

from course_utils import runs, store, study
from course_utils.study import Study

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = {"train_size": 512, "test_size": 200, "epochs": 2, "batch_size": 64}
TINY = Study("tiny", "?", {"slow": {"lr": 0.1}, "relu": {"conv_activation": "relu"}}, base=SHORT, seeds=(0, 1))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_STUDY_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run(TINY, folder=tmp_path_factory.mktemp("expected"))


def run(item, **arguments):
    return study.run(item, **dict(engine="serial", device="cpu", progress=False) | arguments)


def assert_same(a, b):
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a thing of POSIX")
def test_a_killed_worker_process_is_replaced(expected):
    killed = []

    def kill_one():
        while not (store.study_folder() / "runs-cpu.jsonl").exists():
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            victim = multiprocessing.active_children()[0].pid
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    with pytest.warns(UserWarning, match="a worker process died; its runs are begun again"):
        four_seeds = run(TINY, engine="processes", workers=2, seeds=4)
    killer.join(5)
    assert killed
    assert_same(four_seeds[four_seeds["seed"] < 2].reset_index(drop=True), expected)
    assert len(four_seeds) == 16
    assert store.Store().path.read_bytes().count(b"\n") == 8


RUNNER = """
from course_utils import study
from course_utils.study import Study
if __name__ == "__main__":
    base = {"train_size": 512, "test_size": 200, "epochs": 2, "batch_size": 64}
    arms = {"slow": {"lr": 0.1}, "relu": {"conv_activation": "relu"}}
    study.run(Study("tiny", "?", arms, base, range(1000)), engine="processes", workers=2, device="cpu", progress=False)
"""


@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks for the workers in /proc")
def test_kill_9_of_the_runner_loses_no_finished_run_and_leaves_no_worker(tmp_path, monkeypatch, expected):
    (tmp_path / "runner.py").write_text(RUNNER)
    with subprocess.Popen([sys.executable, "runner.py"]) as process:
        deadline = time.monotonic() + 600
        while not store.Store().records and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = _children(process.pid)
        process.kill()
    finished = len(store.Store().records)
    assert finished
    assert workers
    deadline = time.monotonic() + 60
    while any(map(_is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_is_running, workers))
    already = study.status(TINY, device="cpu").done
    calls, real = [], runs.run_one
    monkeypatch.setattr(runs, "run_one", lambda *arguments: calls.append(1) or real(*arguments))
    assert_same(run(TINY), expected)
    assert len(calls) == 4 - already


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_that_loses_a_worker(expected):
    distributed = pytest.importorskip("distributed", reason="extra 'cluster' is not installed")
    with (
        mock.patch.dict(os.environ),  # the cluster writes its limits here too: notebooks would inherit them
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def kill_one():
            while not (store.study_folder() / "runs-cpu.jsonl").exists():
                time.sleep(0.02)
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

        killer = threading.Thread(target=kill_one, daemon=True)
        killer.start()
        four_seeds = run(TINY, engine=client.get_executor(), workers=4, seeds=4)
        killer.join(10)
    assert not killer.is_alive()
    assert_same(four_seeds[four_seeds["seed"] < 2].reset_index(drop=True), expected)
    assert len(four_seeds) == 16
    assert store.Store().path.read_bytes().count(b"\n") == 8
