"""Write the status page, ``book/status.md``: what was run, where, when and with which versions, and what was not.

`build` calls this before each build, so the page is never older than the book; it isn't committed. The facts come from
the installed packages, the notebooks' measured seconds, and the records that ship with the published results.
"""

import importlib.metadata
import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import build
import nbformat
import timings
import yaml

from course_utils.shipped_table import results_folder
from course_utils.studies import STUDIES
from course_utils.study import load_results

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "status.md"
PACKAGES = (
    *("course-utils", "torch", "torchvision", "numpy", "pandas", "scipy", "matplotlib", "pillow"),
    *("d2l", "grad-cam", "captum", "jupyter-book", "nbval"),
)
NOT_MEASURED = "not measured yet"
OPENING = """# Status

What stands behind this copy of the book. A program writes the page at each build, from the installed packages, from the
measured seconds of each notebook, and from the records that ship with the results.
"""
NOTEBOOKS = """## Notebooks

Seconds to run a notebook from its first cell to its last, with its data at hand. 'Stated' is what its first cell says;
a test fails when that is off by more than a factor of two. An asterisk marks a measurement on a machine that other
programs kept busy: there the number is the processor's seconds, and two free cores take between half of them and all.
"""


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines) + "\n"


def commit() -> str:
    """Return the short name of the checked-out commit, or 'unknown' where there is no git."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def installed(package: str) -> str:
    """Return a package's version, or 'not installed'."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def build_section() -> str:
    """When and with what the book was built."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows = [["Python", platform.python_version()], *([name, installed(name)] for name in PACKAGES)]
    return f"## This build\n\nBuilt on {now}, from commit {commit()}.\n\n" + table(["package", "version"], rows)


def title(path: Path) -> str:
    """Return the title of a notebook."""
    return nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ").strip()


def measured(entry: dict | None) -> str:
    """Return one measurement in words."""
    if entry is None:
        return NOT_MEASURED
    return f"{entry['cpu_seconds']:.0f}*" if entry["busy"] else f"{entry['seconds']:.0f}"


def notebooks_section(paths: list[Path], measurements: dict[str, dict[str, dict]]) -> str:
    """Seconds of each notebook."""
    gpus = [device for device in sorted(measurements) if device != "cpu" and measurements[device]]
    header = ["notebook", "stated", "CPU, two cores", "measured on", *(f"{device}" for device in gpus)]
    rows = []
    for path in paths:
        entry = measurements.get("cpu", {}).get(path.stem)
        stated = timings.stated_seconds(path)
        row = [f"[{title(path)}](../notebooks/{path.name})", str(stated or "nothing"), measured(entry)]
        row.append(entry["date"] if entry else "")
        rows.append(row + [measured(measurements[device].get(path.stem)) for device in gpus])
    text = NOTEBOOKS + "\n" + table(header, rows)
    return text if gpus else text + "\nNo notebook has been timed on a GPU so far.\n"


def studies_section(folder: Path | None = None) -> str:
    """How each published result came about."""
    published = [name for name in STUDIES if ((folder or results_folder()) / f"{name}.csv").is_file()]
    if not published:
        return "## Published results\n\nNone so far.\n"
    rows = []
    for name in published:
        record = load_results(name, folder).attrs["provenance"]
        counts = [str(record["runs"]), str(len(record["seeds"])), str(record["diverged"])]
        rows.append([name, *counts, *origin(record)])
    header = ["study", "runs", "seeds", "diverged", "device", "date", "versions"]
    return "## Published results\n\n" + table(header, rows)


def tables_section(folder: Path | None = None) -> str:
    """How the measured tables came about that are no studies."""
    rows = []
    for path in sorted((folder or results_folder()).glob("*/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        name = path.relative_to(path.parents[1]).with_suffix("").as_posix()
        rows.append([name, str(record["rows"]), *origin(record), f"`{record['command']}`"])
    header = ["table", "rows", "device", "date", "versions", "measured by"]
    return "## Other measured tables\n\n" + (table(header, rows) if rows else "None so far.\n")


def origin(record: dict) -> list[str]:
    """Device, days and versions of a record, in words."""
    versions = sorted({f"torch {its['torch']}, Python {its['python']}" for its in record["versions"]})
    days = sorted({record["first_finished"][:10], record["last_finished"][:10]})
    device = f"{', '.join(record['device'])} ({', '.join(record['device_name'])})"
    return [device, " to ".join(days), "; ".join(versions)]


def not_run_section(measurements: dict[str, dict[str, dict]], folder: Path | None = None) -> str:
    """What nobody has run yet."""
    results = folder or results_folder()
    devices = set(measurements)
    for path in results.glob("*.json"):
        devices |= set(json.loads(path.read_text(encoding="utf-8")).get("device", []))
    lines = ["## What was not run", ""]
    if "cuda" not in devices:
        lines += [
            "- On an NVIDIA GPU nothing has been run: no notebook, no study, and none of the tests that need one."
        ]
    if "mps" not in devices:
        lines += ["- On an Apple GPU nothing has been run."]
    waiting = [study for name, study in STUDIES.items() if not (results / f"{name}.csv").is_file()]
    if not waiting:
        return "\n".join([*lines, "- Every study of the course has published results.", ""])
    lines += ["- These studies are defined, and their results are not published:", ""]
    rows = [[study.name, study.description, str(len(study.arms) * len(study.seeds))] for study in waiting]
    return "\n".join([*lines, table(["study", "question", "runs"], rows)])


def text() -> str:
    """Return the whole page."""
    measurements = timings.load()
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    paths = [ROOT / f"{page}.ipynb" for page in build.toc_pages(toc) if page.startswith("notebooks/")]
    sections = [
        build_section(),
        notebooks_section(paths, measurements),
        studies_section(),
        tables_section(),
        not_run_section(measurements),
    ]
    return "\n".join([OPENING, *sections])


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
