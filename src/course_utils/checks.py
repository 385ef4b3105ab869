"""Checks of arguments that several modules share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def choose(table: Mapping[str, T], name: str, what: str) -> T:
    """Look `name` up in `table`.

    Raises
    ------
    ValueError
        If it is not there; the message lists the names that are.
    """
    if name not in table:
        raise ValueError(f"{what} {name!r} is not known; allowed: {', '.join(map(repr, table))}")
    return table[name]


def positive_int(value: object, what: str) -> int:
    """Return `value` if it is a positive integer (a bool is none); ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{what} must be a positive integer, given {value!r}")
    return value


def checked_seed(value: object) -> int:
    """Return `value` as an int if it is an integer from 0 to 2**32 - 1 (a bool is none); ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < 2**32:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, given {value!r}")
    return int(value)
