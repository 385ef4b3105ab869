"""Where finished runs are kept: one line of JSON each, on the disk before anything else happens.

A file is only ever appended to, one run a line, so a process that is killed loses the run it was in and no other. Locks
belong to the operating system and vanish with their process: nothing has to be cleaned up after a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


class StoreError(RuntimeError):
    """A run could not be written. The message says why, and that earlier runs are safe."""


def study_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """`folder`, else the environment's ``COURSE_STUDY_DIR``, else ``studies`` under the current folder."""
    return Path(folder or os.environ.get("COURSE_STUDY_DIR") or "studies")


class Store:
    """Finished runs of one kind of device, in ``runs-<device>.jsonl``.

    Each kind has a file of its own, so that a study never mixes them. Several processes, also on several machines with
    a shared disk that supports locks, may use one store at once.

    Parameters
    ----------
    folder
        As for `study_folder`. It is created by the first `claim` or `append`.
    device
        "cpu", "cuda" or "mps".

    Attributes
    ----------
    records
        Finished runs by key, as of the last `refresh`.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, device: str = "cpu") -> None:
        self.folder = study_folder(folder)
        self.path = self.folder / f"runs-{device}.jsonl"
        self.claims = self.folder / "claims" / device
        self.records: dict[str, dict[str, Any]] = {}
        self._read_up_to = 0
        self._lock = FileLock(self.folder / f"runs-{device}.lock")
        if self.path.exists():
            self.refresh()

    def refresh(self) -> None:
        """Read what has been added since the last time, by this process or another."""
        if self.path.exists():
            with self._lock:
                self._repair()
                self._read()

    def append(self, record: dict[str, Any]) -> None:
        """Add one finished run and wait until it is on the disk. A run that is there already is not added again.

        Raises
        ------
        StoreError
            If it cannot be written, for example because the disk is full. What was there before is unharmed.
        """
        self._make_folders()
        with self._lock:
            self._repair()
            self._read()
            if record["key"] in self.records:
                return
            line = json.dumps(record, allow_nan=False).encode() + b"\n"
            size = self.path.stat().st_size if self.path.exists() else 0
            try:
                _write(self.path, line)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.truncate(self.path, size)
                raise StoreError(
                    f"a finished run could not be written to {self.path}: {error.strerror or error}. The "
                    f"{len(self.records)} runs before it are safe; mend this and start again, it goes on from there."
                ) from error
            self._read()

    def claim(self, keys: Iterable[str]) -> tuple[Claims, list[str]]:
        """Take those runs that are neither finished nor claimed by another process.

        Returns
        -------
        Claims
            The runs taken, to be released when they are finished or given up.
        list
            Keys that another process is busy with.
        """
        self._make_folders()
        taken: dict[str, FileLock] = {}
        busy = []
        for key in keys:
            lock = FileLock(self.claims / f"{key}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                busy.append(key)
            else:
                taken[key] = lock
        # Only now, with the locks held, is it certain that nobody finishes one of them behind our back.
        self.refresh()
        claims = Claims(self, taken)
        claims.release([key for key in taken if key in self.records])
        return claims, busy

    def _make_folders(self) -> None:
        try:
            self.claims.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder {self.claims} cannot be made: {error.strerror or error}") from error

    def _repair(self) -> None:
        """Cut off a last line that was not finished. The caller holds the lock, so nobody is still writing it."""
        if not self.path.exists():
            return
        content_end = size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            while content_end > 0:
                start = max(0, content_end - 4096)
                file.seek(start)
                newline = file.read(content_end - start).rfind(b"\n")
                if newline >= 0:
                    content_end = start + newline + 1
                    break
                content_end = start
        if content_end < size:
            os.truncate(self.path, content_end)
            warnings.warn(
                f"{self.path}: the last line was cut short (the program was killed while writing) and has been "
                "removed; that run will be done again",
                stacklevel=3,
            )

    def _read(self) -> None:
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            file.seek(self._read_up_to)
            for line in file:
                try:
                    record = json.loads(line)
                    key, _, _ = record["key"], record["seed"], record["config"]
                except (ValueError, KeyError, TypeError):
                    warnings.warn(
                        f"{self.path}: the line from byte {self._read_up_to} is damaged and is passed over; "
                        "that run will be done again",
                        stacklevel=3,
                    )
                else:
                    self.records.setdefault(key, record)
                self._read_up_to += len(line)


class Claims:
    """Runs that this process has taken on. The locks also vanish when the process does."""

    def __init__(self, store: Store, locks: dict[str, FileLock]) -> None:
        self._store = store
        self._locks = locks

    def __contains__(self, key: object) -> bool:
        return key in self._locks

    def __len__(self) -> int:
        return len(self._locks)

    def release(self, keys: Iterable[str] | None = None) -> None:
        """Give up all claims, or some."""
        for key in list(self._locks) if keys is None else keys:
            lock = self._locks.pop(key)
            if key in self._store.records:
                # Whoever holds the old file still finds the run in the store, so the file may go.
                with contextlib.suppress(OSError):
                    Path(lock.lock_file).unlink()
            lock.release()


def _write(path: Path, line: bytes) -> None:
    with open(path, "ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
