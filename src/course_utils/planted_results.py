"""The tables of `course_utils.planted`: from finished measurements to files that ship with the package, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from course_utils.checks import choose
from course_utils.study import checksum, results_folder

KEYS = {"scores": "method", "accuracies": "mark"}  # each table and what its rows differ in, within a seed and network
PROVENANCE = "provenance.json"
COMMAND = "python -m course_utils.planted"


def publish(
    records: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], folder: str | os.PathLike[str] | None = None
) -> Path:
    """Write ``scores.csv``, ``accuracies.csv`` and ``provenance.json``, and return their folder.

    Parameters
    ----------
    records
        What `course_utils.planted.measure` gave, one for each seed.
    settings
        What else the provenance is to say of how they were measured.
    folder
        Default: ``results/planted`` in the package.

    Raises
    ------
    ValueError
        If there is no record.
    """
    if not records:
        raise ValueError("there is no finished seed to publish")
    target = Path(folder or results_folder() / "planted")
    target.mkdir(parents=True, exist_ok=True)
    records = sorted(records, key=lambda record: record["seed"])
    for name, key in KEYS.items():
        frame = pd.concat([pd.DataFrame(record[name]).assign(seed=record["seed"]) for record in records])
        first = ["seed", "arm", key]
        frame = frame[[*first, *frame.columns.difference(first, sort=False)]]
        text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        (target / f"{name}.csv").write_text(text, encoding="utf-8", newline="\n")
    details = {
        **settings,
        "seeds": [record["seed"] for record in records],
        "seconds": round(sum(record["seconds"] for record in records)),
        **{key: records[0][key] for key in ("device", "device_name", "threads", "versions")},
        "first_finished": min(record["finished"] for record in records),
        "last_finished": max(record["finished"] for record in records),
        "command": COMMAND,
        "sha256": {f"{name}.csv": checksum(target / f"{name}.csv") for name in KEYS},
    }
    (target / PROVENANCE).write_text(json.dumps(details, indent=2) + "\n", encoding="utf-8", newline="\n")
    return target


def load(name: str, folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Published measurements, ``"scores"`` or ``"accuracies"``, and how they came about in ``attrs["provenance"]``.

    Columns are ``seed``, ``arm``, and those of `course_utils.planted.scores` and `course_utils.planted.accuracies`.

    Raises
    ------
    ValueError
        If a file is missing, damaged, or not the one that was published.
    """
    choose(KEYS, name, "measurement")
    source = Path(folder or results_folder() / "planted")
    again = f"restore it, or measure again with '{COMMAND}'"
    try:
        provenance = json.loads((source / PROVENANCE).read_text(encoding="utf-8"))
        expected, found = provenance["sha256"][f"{name}.csv"], checksum(source / f"{name}.csv")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{name}.csv or {PROVENANCE} in {source} is missing or damaged ({error!r}): {again}"
        ) from error
    if found != expected:
        raise ValueError(f"{source / name}.csv has been changed since it was published (its checksum differs): {again}")
    frame = pd.read_csv(source / f"{name}.csv")
    frame.attrs["provenance"] = provenance
    return frame


def load_scores(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """How well each method finds the mark, by seed, network (``arm``), ``method``; see `course_utils.planted.scores`.

    Errors are those of `load`.
    """
    return load("scores", folder)


def load_accuracies(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Accuracies by seed, network (``arm``) and place of the ``mark``; see `course_utils.planted.accuracies`.

    Errors are those of `load`.
    """
    return load("accuracies", folder)
