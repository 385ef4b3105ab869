"""Studies: a few arms, each run with the same seeds, on all cores, and resumed where they were stopped.

    from course_utils import study, studies
    results = study.run(studies.STUDIES["lr"])          # a DataFrame, one row per epoch of each run

On a CPU it starts one process per core, so a script needs ``if __name__ == "__main__":`` around it (a notebook does
not). To use several machines, pass any `concurrent.futures.Executor`. With Dask (``pip install course-utils[cluster]``)
two commands start a cluster, the second on each machine, where the course and its data must be installed:

    dask scheduler
    dask worker tcp://SCHEDULER:8786 --nworkers auto --nthreads 1

and then

    from distributed import Client
    with Client("tcp://SCHEDULER:8786") as client:
        study.run(studies.STUDIES["lr"], engine=client.get_executor())
"""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from course_utils import ensemble, runs, shipped_table
from course_utils.checks import choose, positive_int
from course_utils.device import device_kind, pick_device
from course_utils.store import Store
from course_utils.workers import Inline, Job, Runner, Workers

SEEDS = tuple(range(10))  # fixed before anything was run, the same for every arm
ENGINES = ("auto", "processes", "ensemble", "serial")


@dataclass(frozen=True)
class Study:
    """Arms to be compared.

    Attributes
    ----------
    name, description
        A short name, as in a file name, and the question that the study answers.
    arms
        Name of each arm and what it changes against `base`, in the order in which they are shown.
    base
        What all arms change against `course_utils.runs.DEFAULTS`.
    seeds
        The same for each arm, so that arms can be compared seed by seed.

    Raises
    ------
    ValueError
        If there is no arm, or no seed, or a seed twice.
    """

    name: str
    description: str
    arms: Mapping[str, Mapping[str, Any]]
    base: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] = SEEDS

    def __post_init__(self) -> None:
        if not self.arms:
            raise ValueError(f"study {self.name!r} has no arm")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"study {self.name!r} needs one seed at least, and none twice, given {list(self.seeds)}")

    def config(self, arm: str) -> dict[str, Any]:
        """The whole configuration of an arm; ValueError, with the names that exist, if there is no such arm."""
        return {**self.base, **choose(self.arms, arm, f"arm of study {self.name!r}")}

    def jobs(self, seeds: Iterable[int] | None = None) -> list[Job]:
        """All runs, seed by seed, so that a study stopped half-way has about as many seeds in each arm."""
        return [
            (runs.key(self.config(arm), seed), self.config(arm), seed)
            for seed in (self.seeds if seeds is None else seeds)
            for arm in self.arms
        ]

    def check(self) -> None:
        """Build every arm's model once; ValueError with the arm's name if one cannot be."""
        for arm in self.arms:
            try:
                runs.check(self.config(arm))
            except ValueError as error:
                raise ValueError(f"study {self.name!r}, arm {arm!r}: {error}") from error


def pick_seeds(study: Study, seeds: int | Iterable[int] | None) -> list[int]:
    """The first so many seeds of a study, or those given, or all; ValueError if that is none."""
    if isinstance(seeds, int):
        positive_int(seeds, "seeds")
        if seeds > len(study.seeds):
            return [*study.seeds, *range(max(study.seeds) + 1, max(study.seeds) + 1 + seeds - len(study.seeds))]
        return list(study.seeds[:seeds])
    chosen = list(study.seeds if seeds is None else seeds)
    if not chosen:
        raise ValueError("seeds must name one seed at least, given none")
    return chosen


def run(
    study: Study | Sequence[Study],
    *,
    seeds: int | Iterable[int] | None = None,
    device: str = "auto",
    engine: str | Executor = "auto",
    workers: int | None = None,
    nice: int = 0,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Do all runs of a study that the store does not hold yet, and return all of them.

    It may be stopped in any way at any time, and started again: finished runs are in the store. Several of these, in
    several processes, may work on one store; each run is done by one of them.

    Parameters
    ----------
    study
        One study, or several to be worked off in this order.
    seeds
        How many of the study's seeds (more than it has continue the count), or which. Default: its own.
    device
        As for `course_utils.device.pick_device`.
    engine
        "processes" (what "auto" takes on a CPU): one process per core with one thread each. "ensemble" (what "auto"
        takes on a GPU): many runs of one architecture at once, see `course_utils.ensemble`. "serial": one after
        the other in this process. Or any executor; its workers must be able to import this package, and one that
        uses threads does one run at a time.
    workers
        Number of processes, or of jobs that a given executor gets at once. Default: one per core; for an
        executor its number of workers where that is known, else 64.
    nice
        Niceness of the processes, 0 to 19.
    folder
        As for `course_utils.store.study_folder`.
    progress
        Show a bar.

    Returns
    -------
    pandas.DataFrame
        As `to_frame` gives it; with several studies, one below the other, with a column ``study``.

    Raises
    ------
    ValueError
        If an arm cannot be built (nothing has run then), or an argument is out of range.
    course_utils.store.StoreError
        If a result cannot be written.
    RuntimeError
        If a worker died three times at the same job.
    """
    todo = [study] if isinstance(study, Study) else list(study)
    place = pick_device(device)
    chosen = [(item, pick_seeds(item, seeds)) for item in todo]
    for item in todo:
        item.check()
    store = Store(folder, place.type)
    jobs = {job[0]: job for item, its_seeds in chosen for job in item.jobs(its_seeds)}
    name = engine if isinstance(engine, str) else "executor"
    if isinstance(engine, str):
        choose(dict.fromkeys(ENGINES), engine, "engine")
        if engine == "auto":
            name = "processes" if place.type == "cpu" else "ensemble"
    if workers is not None:
        positive_int(workers, "workers")

    batches = [[job] for job in jobs.values()]
    if name in ("processes", "ensemble"):
        batches = ensemble.group(list(jobs.values()), place)
    make: Callable[[], Executor]
    if isinstance(engine, Executor):
        slots = workers or getattr(engine, "_max_workers", None) or 64
        make = lambda: engine  # noqa: E731
    elif name == "processes":
        slots = workers or available_cores()
        make = lambda: Workers(slots, nice)  # noqa: E731
    else:
        slots, make = 1, Inline
    with tqdm(total=len(jobs), unit="run", disable=not progress, smoothing=0.05) as bar:
        Runner(store, make, slots, str(place), bar).work_off(batches)

    frames = [to_frame(item, store.records, its_seeds) for item, its_seeds in chosen]
    if isinstance(study, Study):
        return frames[0]
    return pd.concat([frame.assign(study=item.name) for frame, item in zip(frames, todo, strict=True)])


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def to_frame(
    study: Study, records: Mapping[str, Mapping[str, Any]], seeds: Iterable[int] | None = None
) -> pd.DataFrame:
    """One row per finished epoch of each finished run, in the order of arms, seeds, epochs.

    A run that diverged in its first epoch has one row, with epoch 0 and no numbers.

    Columns: ``arm, seed, epoch, train_loss`` (nats), ``train_accuracy, test_accuracy`` (fractions; on the validation
    images where the study says so), ``seconds`` (of the epoch), ``diverged`` (of the run).
    """
    rows: list[tuple[Any, ...]] = []
    for arm in study.arms:
        for seed in study.seeds if seeds is None else seeds:
            record = records.get(runs.key(study.config(arm), seed))
            if record is None:
                continue
            diverged = record["diverged"] is not None
            values = zip(
                record["train_loss"],
                record["train_accuracy"],
                record["test_accuracy"],
                record["epoch_seconds"],
                strict=True,
            )
            rows += [(arm, seed, epoch, *numbers, diverged) for epoch, numbers in enumerate(values, 1)]
            if not record["train_loss"]:
                rows.append((arm, seed, 0, *[float("nan")] * 4, diverged))
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = ["arm", "seed", "epoch", "train_loss", "train_accuracy", "test_accuracy", "seconds", "diverged"]


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes
    ----------
    done, total
        Runs.
    diverged
        How many of the finished ones diverged.
    seconds_left
        What the missing runs will take on one worker, judged by finished runs of the same arm (else of the study);
        None if there is nothing to judge by.
    """

    name: str
    done: int
    total: int
    diverged: int
    seconds_left: float | None


def status(study: Study, *, device: str = "auto", folder: str | os.PathLike[str] | None = None) -> Status:
    """Count what the store holds of a study."""
    records = Store(folder, device_kind(device)).records
    jobs = study.jobs()
    seconds = collections.defaultdict(list)
    for key, config, _ in jobs:
        if key in records:
            seconds[str(config)].append(records[key]["seconds"])
    mean = {config: sum(values) / len(values) for config, values in seconds.items()}
    overall = sum(mean.values()) / len(mean) if mean else None
    missing = [str(config) for key, config, _ in jobs if key not in records]
    left = None if overall is None else sum(mean.get(config, overall) for config in missing)
    diverged = sum(records[key]["diverged"] is not None for key, _, _ in jobs if key in records)
    return Status(study.name, len(jobs) - len(missing), len(jobs), diverged, left)


def load_results(name: str, folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Published results of a study: the columns of `to_frame`, and how they came about in ``attrs["provenance"]``.

    Raises
    ------
    ValueError
        If there are none of that name, or the CSV is not the one that was published.
    """
    folder = Path(folder or shipped_table.results_folder())
    names = sorted(path.stem for path in folder.glob("*.csv"))
    if name not in names:
        raise ValueError(
            f"no results of a study {name!r} are published; there are: {', '.join(map(repr, names)) or 'none'}. "
            f"To measure it: python -m course_utils study run {name}"
        )
    again = f"python -m course_utils study export {name}"
    return shipped_table.read(folder / f"{name}.csv", again, dtype={"arm": str, "diverged": bool})
