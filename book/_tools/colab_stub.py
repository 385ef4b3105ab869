"""Makes an interpreter look like Colab's and keeps it out of the course's repository, which Colab does not have.

`colab_check` copies this file into the environment of each notebook, where a ``.pth`` file imports it whenever Python
starts. Only the standard library is used.
"""

import importlib.metadata
import os
import sys
from types import ModuleType

WATCHED = ("open", "os.listdir", "os.scandir")
refused: list[str] = []


def watch(event: str, arguments: tuple) -> None:
    """Audit hook: PermissionError for whatever lies in the folder ``COLAB_CHECK_FORBIDDEN``, and a note of it."""
    if event in WATCHED and arguments and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        forbidden = os.environ.get("COLAB_CHECK_FORBIDDEN", "")
        if forbidden and (path == forbidden or path.startswith(forbidden + os.sep)):
            refused.append(path)
            raise PermissionError(f"{path} is in the course's repository, which a notebook on Colab cannot read")


def peak_bytes() -> int:
    """The most memory that this process has held. On Linux getrusage would count what its parent held at the fork."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource  # here, because Windows has none and the rest works there

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def report(packages: list[str]) -> dict:
    """Peak memory of this process, versions of `packages`, and which files of the repository it asked for."""
    return {
        "peak_bytes": peak_bytes(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "imported": {name: sys.modules[name].__version__ for name in ("torch", "numpy") if name in sys.modules},
        "refused": sorted(set(refused)),
    }


if "COLAB_CHECK_FORBIDDEN" in os.environ:
    sys.modules["google.colab"] = ModuleType("google.colab")
    sys.addaudithook(watch)
