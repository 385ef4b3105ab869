"""The tables of `course_utils.planted`: from finished measurements to files that ship with the package, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from course_utils import shipped_table

KEYS = {"scores": "method", "accuracies": "mark"}  # each table and what its rows differ in, within a seed and network
COMMAND = "python -m course_utils.planted"


def publish(
    records: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], folder: str | os.PathLike[str] | None = None
) -> Path:
    """Write the tables ``scores`` and ``accuracies``, and return their folder.

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
    records = sorted(records, key=lambda record: record["seed"])
    details = {
        **settings,
        "seeds": [record["seed"] for record in records],
        "seconds": round(sum(record["seconds"] for record in records)),
        **shipped_table.origin(records),
        "command": COMMAND,
    }
    for name, key in KEYS.items():
        frame = pd.concat([pd.DataFrame(record[name]).assign(seed=record["seed"]) for record in records])
        first = ["seed", "arm", key]
        shipped_table.write(_csv(name, folder), frame[[*first, *frame.columns.difference(first, sort=False)]], details)
    return _csv("scores", folder).parent


def load_scores(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """How well each method finds the mark, by seed, network (``arm``), ``method``; see `course_utils.planted.scores`.

    Errors are those of `course_utils.shipped_table.read`.
    """
    return shipped_table.read(_csv("scores", folder), COMMAND)


def load_accuracies(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Accuracies by seed, network (``arm``) and place of the ``mark``; see `course_utils.planted.accuracies`.

    Errors are those of `course_utils.shipped_table.read`.
    """
    return shipped_table.read(_csv("accuracies", folder), COMMAND)


def _csv(name: str, folder: str | os.PathLike[str] | None) -> Path:
    return Path(folder or shipped_table.results_folder() / "planted") / f"{name}.csv"
