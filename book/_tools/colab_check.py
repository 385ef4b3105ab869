"""Run the notebooks as Colab would: its packages, an empty folder, and of the course nothing but the notebook's file.

Usage: ``python book/_tools/colab_check.py [--fresh-data] [NOTEBOOK ...]`` (or ``make colab-check NOTEBOOKS="…"``).

An environment with the versions of `COLAB` is made once and kept (``COURSE_COLAB_DIR``, else in the user's cache). Each
notebook then gets a new environment on top of it, empty like a new machine of Google's, and runs whole, the set-up cell
included. Only where that cell fetches the package from differs: from a wheel of this checkout, because the tag may not
exist yet. The data sets come from the cache that is there; ``--fresh-data`` starts with none.

Checked: every cell runs, Colab's packages are the same afterwards, memory stays below 6 GB, no file of the repository
is opened, and the set-up cell prints its one line about the device.
"""

import argparse
import json
import platform
import re
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import release
from colab_machine import COLAB, base_environment, find_python, kernel_environment, new_machine, version_of
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode

import notebooks
from course_utils import sources

ROOT = Path(__file__).resolve().parents[2]
PEAK_LIMIT = 6.0  # GB; a free machine of Colab's has twice as much
DEVICE_LINE = re.compile(r"torch \S+, GPU: (cuda.*|none \(Runtime > Change runtime type > T4 GPU\))\n")
COLORS = re.compile(r"\x1b\[[\d;]*m")
PROBE = "import colab_stub, json\nprint(json.dumps(colab_stub.report({packages!r})))"
CELL_TIMEOUT = 1200


@dataclass
class Outcome:
    """What became of one notebook; `problems` is empty where all is well."""

    notebook: str
    set_up_seconds: float = 0.0
    seconds: float = 0.0
    peak_gb: float = 0.0
    problems: list[str] = field(default_factory=list)


def point_at_wheel(notebook: NotebookNode, wheel: Path) -> None:
    """Let the set-up cell, else unchanged, install the package from a wheel instead of the repository's tag.

    Raises
    ------
    ValueError
        If the second cell isn't the set-up cell, or names no address of the package.
    """
    if len(notebook.cells) < 2 or notebook.cells[1].source != notebooks.SETUP_CELL:
        raise ValueError("the second cell is not book/_tools/setup_cell.py; `make notebooks` puts it there")
    address = re.compile(r'(?<="course_utils": )f"[^"\n]+\.zip"')
    notebook.cells[1].source, count = address.subn(lambda _: repr(str(wheel)), notebook.cells[1].source)
    if count != 1:
        raise ValueError(f"the set-up cell must name one address of the package, and names {count}")


def output_text(cell: NotebookNode) -> str:
    """What a cell printed on standard output."""
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def judge(report: dict) -> list[str]:
    """Turn what the kernel says about itself into problems."""
    problems = [f"{name} is {got} afterwards, was {COLAB[name]}" for name, got in report["versions"].items()
                if got.split("+")[0] != COLAB[name]]  # fmt: skip
    problems += [f"{name} {got} was imported instead of {COLAB[name]}" for name, got in report["imported"].items()
                 if got.split("+")[0] != COLAB[name]]  # fmt: skip
    if (peak := report["peak_bytes"] / 1e9) >= PEAK_LIMIT:
        problems.append(f"{peak:.1f} GB of memory, the limit is {PEAK_LIMIT:.0f}")
    return problems + [f"opened {path}, a file of the repository" for path in report["refused"]]


def run_notebook(path: Path, base: Path, wheel: Path, data: Path | None = None, forbidden: Path = ROOT) -> Outcome:
    """Run one notebook on a new machine.

    Parameters
    ----------
    path
        The notebook; it is left as it is.
    base
        Environment with Colab's packages.
    wheel
        The course's package.
    data
        Folder of the data sets; by default one that is empty.
    forbidden
        Folder whose files the notebook may not open.
    """
    outcome = Outcome(path.name)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        place = Path(temporary).resolve()
        content, home, kernels = place / "content", place / "home", place / "kernels" / "colab"
        for folder in (content, home, kernels, place / "data"):
            folder.mkdir(parents=True)
        shutil.copy(path, content)
        notebook = nbformat.read(content / path.name, as_version=4)
        try:
            point_at_wheel(notebook, Path(shutil.copy(wheel, place)))
        except ValueError as error:
            outcome.problems.append(str(error))
            return outcome
        python = new_machine(base, place / "machine")
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "Colab", "language": "python"}
        (kernels / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        specs = KernelSpecManager(kernel_dirs=[str(kernels.parent)], ensure_native_kernel=False)
        manager = AsyncKernelManager(kernel_name="colab", kernel_spec_manager=specs)
        client = NotebookClient(notebook, km=manager, timeout=CELL_TIMEOUT, record_timing=False)
        environment = kernel_environment(home, forbidden, data or place / "data")
        kernel = {"cwd": str(content), "env": environment}
        with (place / "stderr").open("w") as log, client.setup_kernel(cleanup_kc=True, stderr=log, **kernel):
            execute(client, outcome)
        if any(problem.startswith("cell 2:") for problem in outcome.problems):  # the set-up: pip says why
            said = (place / "stderr").read_text(encoding="utf-8", errors="replace").splitlines()
            outcome.problems += [f"pip: {line}" for line in said if line.startswith("ERROR")]
    return outcome


def execute(client: NotebookClient, outcome: Outcome) -> None:
    """Run the cells up to the first that fails, then ask the kernel about itself."""
    cells = client.nb.cells
    probe = nbformat.v4.new_code_cell(PROBE.format(packages=list(COLAB)))
    cells.append(probe)
    number = 0
    try:
        for number, cell in enumerate(cells[:-1]):
            start = time.perf_counter()
            client.execute_cell(cell, number)
            if number == 1:
                outcome.set_up_seconds = round(time.perf_counter() - start, 1)
                if not DEVICE_LINE.fullmatch(printed := output_text(cell)):
                    outcome.problems.append(f"the set-up cell must print one line about the device, not {printed!r}")
            else:
                outcome.seconds += time.perf_counter() - start
    except (CellControlSignal, DeadKernelError) as error:
        words = COLORS.sub("", str(error)).strip() or repr(error)
        outcome.problems.append(f"cell {number + 1}: {words.splitlines()[-1]}")
    outcome.seconds = round(outcome.seconds, 1)
    try:
        client.execute_cell(probe, len(cells) - 1)
        report = json.loads(output_text(probe))
    except (CellControlSignal, DeadKernelError, RuntimeError, ValueError):
        outcome.problems.append("the kernel is dead, so its memory and versions are not known")
        return
    outcome.peak_gb = round(report["peak_bytes"] / 1e9, 2)
    outcome.problems += judge(report)


def table(outcomes: list[Outcome]) -> str:
    """One line for each notebook, and below it whatever is wrong."""
    width = max([len(outcome.notebook) for outcome in outcomes], default=8)
    lines = [f"{'notebook':{width}}  set-up s  cells s  peak GB"]
    for outcome in outcomes:
        numbers = f"{outcome.set_up_seconds:8.0f}  {outcome.seconds:7.0f}  {outcome.peak_gb:7.2f}"
        lines.append(f"{outcome.notebook:{width}}  {numbers}  {'FAILED' if outcome.problems else 'ok'}")
        lines += [f"  ! {problem}" for problem in outcome.problems]
    return "\n".join(lines)


def save(outcomes: list[Outcome], target: Path, python: str) -> None:
    """Write the outcomes as JSON, beside those of other notebooks from earlier runs in the same environment."""
    environment = {"python": version_of(python), "packages": COLAB, "machine": platform.machine()}
    entries = {}
    if target.is_file():
        earlier = json.loads(target.read_text(encoding="utf-8"))
        if earlier["environment"] == environment:
            entries = earlier["notebooks"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries |= {outcome.notebook: asdict(outcome) | {"finished": now} for outcome in outcomes}
    text = json.dumps({"environment": environment, "notebooks": dict(sorted(entries.items()))}, indent=1)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")


def data_folder() -> Path:
    """Return the folder of the data sets; ValueError if it lies in the repository."""
    folder = sources.cache_root().resolve()
    if folder.is_relative_to(ROOT):
        raise ValueError(f"{folder} is in the repository; set COURSE_DATA_DIR elsewhere, or start with --fresh-data")
    return folder


def main(arguments: list[str]) -> int:
    """Check the notebooks that are named, or all."""
    parser = argparse.ArgumentParser(prog="colab-check", description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--fresh-data", action="store_true", help="start without data sets, as Colab does")
    asked = parser.parse_args(arguments)
    paths = asked.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    if absent := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(absent)}")
    outcomes = []
    with tempfile.TemporaryDirectory() as temporary:
        try:
            data = None if asked.fresh_data else data_folder()
            python = find_python()
            base = base_environment(python)
            wheel = release.build_wheel(Path(temporary))
        except (RuntimeError, ValueError) as error:
            print(f"colab-check: {error}", file=sys.stderr)
            return 2
        for path in paths:
            print(f"{path.name} ...", flush=True)
            outcomes.append(run_notebook(path, base, wheel, data))
            save(outcomes[-1:], ROOT / "_build" / "colab-check.json", python)
            for problem in outcomes[-1].problems:
                print(f"  ! {problem}", flush=True)
    print(table(outcomes))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
