"""How long each notebook takes: the measurements in ``benchmarks/notebook_seconds.json``, and what its page states.

`notebooks` measures whenever it executes one. On a machine that other programs keep busy the seconds say little, so
such a measurement only fills a gap, is marked, and is judged by the seconds of processor time instead.
"""

import json
import os
import platform
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "benchmarks" / "notebook_seconds.json"
STATED = re.compile(r"about\s+(\d+)\s+(second|minute)s?\s+on\s+two\s+CPU\s+cores")
BUSY_SHARE = 0.15  # of the machine, taken by others
PROC_STAT = Path("/proc/stat")


def load(file: Path = FILE) -> dict[str, dict[str, dict]]:
    """Return the measurements by kind of device ("cpu", "cuda", "mps") and notebook."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def stated_seconds(path: Path) -> int | None:
    """Return the seconds on two CPU cores that a notebook's first cell states, or None if it states none."""
    match = STATED.search(nbformat.read(path, as_version=4).cells[0].source)
    return match and int(match[1]) * (60 if match[2] == "minute" else 1)


def allowed_range(entry: dict) -> tuple[float, float]:
    """Return the least and the most that a page may state: within a factor of two of what was measured.

    Where the machine was busy, two cores would have taken between half of the processor's seconds and all of them.
    """
    if entry["busy"]:
        return entry["cpu_seconds"] / 4, entry["cpu_seconds"] * 2
    return entry["seconds"] / 2, entry["seconds"] * 2


def machine_seconds() -> float | None:
    """Return the seconds that all cores together have worked since the start, or None where the system won't say."""
    try:
        user, nice, system, _, _, *others = map(int, PROC_STAT.read_text().splitlines()[0].split()[1:9])
    except (OSError, ValueError, IndexError):
        return None
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Return the processor seconds of this process and of its children that have ended: a notebook's kernel is one."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Stopwatch:
    """Measures from its making to `stop`."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), own_seconds(), machine_seconds()

    def stop(self) -> dict:
        """Return the measurement: seconds, processor seconds, whether others kept the machine busy, date, machine."""
        wall, own, all_work = self.start
        seconds, cpu_seconds = time.perf_counter() - wall, own_seconds() - own
        cores, now = os.cpu_count() or 1, machine_seconds()
        others = 0.0 if now is None or all_work is None else now - all_work - cpu_seconds
        return {
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu_seconds, 1),
            "busy": others > BUSY_SHARE * seconds * cores,
            "date": datetime.now(UTC).date().isoformat(),
            "cores": cores,
            "machine": f"{platform.system()} {platform.machine()}",
        }


def record(notebook: Path, device: str, entry: dict, file: Path = FILE) -> str:
    """Keep a measurement and drop those of notebooks that are gone; return what became of it, in words."""
    entries = load(file)
    of_device = entries.setdefault(device, {})
    kept = of_device.get(notebook.stem)
    if entry["busy"] and kept and not kept["busy"]:
        return "not recorded: the machine was busy"
    of_device[notebook.stem] = entry
    present = {path.stem for path in notebook.parent.glob("*.ipynb")}
    entries = {
        kind: {name: its[name] for name in sorted(its) if name in present} for kind, its in sorted(entries.items())
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return "recorded, on a busy machine" if entry["busy"] else "recorded"
