"""From the store to the files that ship with the package: one CSV of all epochs and one JSON that says how."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import runs, shipped_table
from course_utils.device import device_kind
from course_utils.store import Store
from course_utils.study import Study, load_results, to_frame


def available(folder: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the studies whose results are published."""
    return sorted(path.stem for path in Path(folder or shipped_table.results_folder()).glob("*.csv"))


def export(
    study: Study,
    *,
    device: str = "auto",
    store: str | os.PathLike[str] | None = None,
    to: str | os.PathLike[str] | None = None,
    partial: bool = False,
) -> Path:
    """Write ``NAME.csv`` and ``NAME.json`` and return the path of the CSV.

    Parameters
    ----------
    study
        What to publish.
    device
        Whose store to take it from; as for `course_utils.device.device_kind`.
    store
        As for `course_utils.store.study_folder`.
    to
        Default: the results folder of the package.
    partial
        Publish although runs are missing. Only seeds that every arm has are taken, and the JSON says which.

    Raises
    ------
    ValueError
        If runs are missing and `partial` is false, or not one seed is whole.
    """
    records = Store(store, device_kind(device)).records
    missing = collections.Counter(seed for key, _, seed in study.jobs() if key not in records)
    if missing and not partial:
        raise ValueError(
            f"study {study.name!r} lacks {missing.total()} of {len(study.jobs())} runs (seeds "
            f"{', '.join(map(str, sorted(missing)))}); go on with 'python -m course_utils study run {study.name}', or "
            "publish the seeds that are whole with --partial"
        )
    seeds = [seed for seed in study.seeds if seed not in missing]
    if not seeds:
        raise ValueError(f"study {study.name!r} has not one seed that is finished in all arms")
    frame = to_frame(study, records, seeds)
    folder = Path(to or shipped_table.results_folder())
    csv = folder / f"{study.name}.csv"
    used = [records[key] for key, _, _ in study.jobs(seeds)]
    shipped_table.write(csv, frame, describe(study, seeds, used))
    load_results(study.name, folder)
    return csv


def describe(study: Study, seeds: Sequence[int], records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How the results came about, ready for JSON."""
    records = list(records)
    settings, _ = runs.complete(study.base)
    return {
        "study": study.name,
        "description": study.description,
        "base": dict(study.base),
        "arms": {arm: runs.canonical(study.config(arm)) for arm in study.arms},
        "seeds": list(seeds),
        "partial": list(seeds) != list(study.seeds),
        "accuracy_on": "test images" if settings["split"] == "test" else "validation images",
        "runs": len(records),
        "diverged": sum(record["diverged"] is not None for record in records),
        "seconds": round(sum(record["seconds"] for record in records)),
        "results_version": runs.RESULTS_VERSION,
        **shipped_table.origin(records),
        "command": f"python -m course_utils study run {study.name} && python -m course_utils study export {study.name}",
    }
