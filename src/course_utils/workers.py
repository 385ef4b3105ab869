"""Where the runs of a study are carried out: in this process, in processes side by side, or wherever an executor leads.

Measured on two cores of an AMD EPYC, LeNet at batch 256: two single-thread processes side by side get through about
twice as many images per second as one; two threads on one run gain a fifth.
"""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from multiprocessing.connection import Connection
from typing import Any

from tqdm import tqdm

from course_utils import ensemble, runs
from course_utils.store import Claims, Store

ATTEMPTS = 3  # of a job whose worker died

Job = tuple[str, dict[str, Any], int]  # key, configuration, seed


class Inline(Executor):
    """Do each job at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the job and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Workers(ProcessPoolExecutor):
    """Worker processes with one thread each. They end when this process does, however it ends.

    They are started afresh ("spawn"): a forked copy of a process that has threads may hang, and cannot use CUDA.
    A script that starts them therefore needs the usual ``if __name__ == "__main__":`` around what it does.

    Parameters
    ----------
    count
        Number of processes. About 0.5 GB of memory each.
    nice
        Added to the niceness of each, 0 to 19; higher is politer. Ignored where the system does not know it.
    """

    def __init__(self, count: int, nice: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._read_end, self._lifeline = context.Pipe(duplex=False)
        super().__init__(count, context, initializer=_start, initargs=(self._read_end, nice))

    def abandon(self) -> None:
        """End the workers now, in the middle of whatever they do."""
        self._lifeline.close()
        self.shutdown(cancel_futures=True)


def _start(lifeline: Connection, nice: int) -> None:
    # Ctrl-C in a terminal reaches all processes of the group; the parent alone decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()

    import torch

    torch.set_num_threads(1)


def _die_with_parent(lifeline: Connection) -> None:
    # Nothing is ever sent. The other end is held by the parent alone, and the system closes it even after kill -9.
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)


class Runner:
    """Hands out jobs, writes down what comes back, and starts new workers where some died.

    Parameters
    ----------
    store
        Where finished runs are kept, and claimed before they are begun.
    make
        Gives an executor; called again when its workers have died.
    slots
        How many lists of jobs the executor has at once.
    device
        Where its workers run.
    bar
        Counts finished runs.
    """

    def __init__(
        self,
        store: Store,
        make: Callable[[], Executor],
        slots: int,
        device: str,
        bar: tqdm,
    ) -> None:
        self.store, self.make, self.slots, self.device, self.bar = store, make, slots, device, bar
        self.failures: collections.Counter[str] = collections.Counter()
        self.flying: dict[Future[list[dict[str, Any]]], tuple[list[Job], Claims]] = {}
        self.waiting: collections.deque[list[Job]] = collections.deque()

    def work_off(self, batches: Iterable[list[Job]]) -> None:
        """Do all jobs that are not in the store; each list of jobs goes to one worker."""
        jobs = [[job for job in batch if job[0] not in self.store.records] for batch in batches]
        self.bar.update(self.bar.total - sum(map(len, jobs)))
        self.waiting.extend(batch for batch in jobs if batch)
        while self.waiting:
            executor = self.make()
            try:
                self._until_done_or_broken(executor)
                if isinstance(executor, Workers):
                    executor.shutdown()
            finally:
                if isinstance(executor, Workers):
                    executor.abandon()
                for _, claims in self.flying.values():
                    claims.release()
                self.flying.clear()

    def _until_done_or_broken(self, executor: Executor) -> None:
        while self.waiting or self.flying:
            self._hand_out(executor)
            if not self.flying:
                if self.waiting:
                    time.sleep(1)  # another process is busy with all that is left
                continue
            done, _ = wait(self.flying, return_when=FIRST_COMPLETED)
            broken = [self._take_in(future) for future in done]
            if any(broken):
                for jobs, claims in self.flying.values():
                    claims.release()
                    self.waiting.appendleft(jobs)
                self.flying.clear()
                return

    def _hand_out(self, executor: Executor) -> None:
        for _ in range(len(self.waiting)):
            if len(self.flying) >= self.slots:
                return
            jobs = self.waiting.popleft()
            claims, busy = self.store.claim(key for key, _, _ in jobs)
            mine = [job for job in jobs if job[0] in claims]
            theirs = [job for job in jobs if job[0] in busy]
            self.bar.update(len(jobs) - len(mine) - len(theirs))
            if theirs:
                self.waiting.append(theirs)
            if mine:
                try:
                    future = executor.submit(ensemble.run_jobs, mine, self.device)
                except BrokenExecutor as error:
                    future = Future()
                    future.set_exception(error)
                self.flying[future] = mine, claims

    def _take_in(self, future: Future[list[dict[str, Any]]]) -> bool:
        """Write down the results of a job; True if its worker died, and the job waits again."""
        jobs, claims = self.flying.pop(future)
        try:
            for record in future.result():
                self.store.append(record)
                self.bar.update()
        except BrokenExecutor as error:
            for key, config, seed in jobs:
                self.failures[key] += 1
                if self.failures[key] >= ATTEMPTS:
                    raise RuntimeError(
                        f"a worker process died {ATTEMPTS} times while it ran {runs.canonical(config)} with seed "
                        f"{seed}; perhaps memory ran out. Finished runs are safe in {self.store.path}"
                    ) from error
            warnings.warn("a worker process died; its runs are begun again", stacklevel=2)
            self.waiting.appendleft(jobs)
            return True
        except Exception as error:
            error.add_note(f"in one of: {[(runs.canonical(config), seed) for _, config, seed in jobs]}")
            raise
        finally:
            with contextlib.suppress(OSError):
                claims.release()
        return False
