"""A measured table that ships with the package: a CSV, and a JSON beside it that says how it came about."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd


def results_folder() -> Path:
    """Where the package keeps its measured tables."""
    return Path(__file__).parent / "results"


def origin(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Where, how, with which versions and when the records of a store were measured; ready for `write`."""
    records = list(records)

    def distinct(name: str) -> list[Any]:
        values = [record[name] for record in records]
        return [value for index, value in enumerate(values) if value not in values[:index]]

    return {
        **{name: distinct(name) for name in ("device", "device_name", "threads", "method", "versions")},
        "first_finished": min(record["finished"] for record in records),
        "last_finished": max(record["finished"] for record in records),
    }


def write(csv: Path, frame: pd.DataFrame, details: Mapping[str, Any], float_format: str = "%.6g") -> None:
    """Write a table, and `details` with the number of rows and the table's checksum.

    Each file is written beside its place and moved there, so that there is never half a file.
    """
    csv.parent.mkdir(parents=True, exist_ok=True)
    _replace(csv, frame.to_csv(index=False, float_format=float_format, lineterminator="\n"))
    details = {**details, "rows": len(frame), "sha256": checksum(csv)}
    _replace(csv.with_suffix(".json"), json.dumps(details, indent=2) + "\n")


def read(csv: Path, command: str, **options: Any) -> pd.DataFrame:
    """Read a table, with its details in ``attrs["provenance"]``.

    Parameters
    ----------
    csv
        What `write` wrote.
    command
        What publishes it again; the errors name it.
    options
        For `pandas.read_csv`.

    Raises
    ------
    ValueError
        If one of the two files is missing or damaged, or the table is not the one that was published.
    """
    try:
        details = json.loads(csv.with_suffix(".json").read_text(encoding="utf-8"))
        expected, found = details["sha256"], checksum(csv)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{csv} or {csv.stem}.json is missing or damaged ({error!r}): restore it, or publish again with '{command}'"
        ) from error
    if found != expected:
        raise ValueError(
            f"{csv} has been changed since it was published (its checksum differs from the one in the JSON beside "
            f"it). Measured results are not edited by hand: restore it, or publish again with '{command}'"
        )
    frame = pd.read_csv(csv, **options)
    frame.attrs["provenance"] = details
    return frame


def checksum(path: Path) -> str:
    """SHA-256 of a text file, the same whatever its line ends are."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)
