"""Execute all notebooks in place, in reading order, and keep of each run only what is the same every time.

Usage: ``python book/_tools/notebooks.py [NOTEBOOK ...]``; without a name, all of them. The seconds that each of the
course's own took are kept in ``benchmarks/notebook_seconds.json``.
"""

import sys
from pathlib import Path

import nbformat
import timings
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
SETUP_CELL = (ROOT / "book" / "_tools" / "setup_cell.py").read_text(encoding="utf-8").strip()
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT = ("cellView", "mystnb", "tags")  # cellView folds a solution away in Colab


def place_setup_cell(notebook: NotebookNode) -> None:
    """Make the second cell the course's set-up cell; what an older one said is replaced."""
    cells = notebook.cells
    if len(cells) < 2 or cells[1].cell_type != "code" or not cells[1].source.startswith("# Set-up"):
        cells.insert(1, nbformat.v4.new_code_cell(id="setup"))
    cells[1].source = SETUP_CELL
    cells[1].metadata["tags"] = ["hide-input"]


def clean(notebook: NotebookNode) -> None:
    """Drop the metadata that editors and runs leave behind: versions, widget state, times, scroll positions."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: value for key, value in cell.metadata.items() if key in KEPT})


def main(names: list[str]) -> int:
    """Execute the notebooks; stop at the first cell that fails, leaving that notebook as it was."""
    paths = [Path(name) for name in names] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        place_setup_cell(notebook)
        print(f"{path.name} ...", end=" ", flush=True)
        watch = timings.Stopwatch()
        kernel = {"kernel_name": "python3", "resources": {"metadata": {"path": path.parent}}}
        try:
            NotebookClient(notebook, timeout=1200, record_timing=False, coalesce_streams=True, **kernel).execute()
        except (CellControlSignal, DeadKernelError) as error:
            print(f"\n{error}\nnotebooks: {path.name} is unchanged; mend the cell above, run again.", file=sys.stderr)
            return 1
        clean(notebook)
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
        entry = watch.stop()
        print(f"{entry['seconds']:.0f} s{note(path, entry)}", flush=True)
    return 0


def note(path: Path, entry: dict) -> str:
    """Keep the measurement, if the notebook is one of the course's pages, and say so."""
    if path.resolve().parent != ROOT / "notebooks" or path.name.startswith("."):
        return ""
    from course_utils.device import pick_device

    return f" ({timings.record(path.resolve(), pick_device().type, entry)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
