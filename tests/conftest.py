"""What several test modules share: the repository's root, its files, its notebooks, and how they run side by side."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import browsing
import build
import pytest
import yaml

MOST_AT_ONCE = 4  # files tested side by side with `-n auto`; a notebook may need 2.5 GB
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Each worker, and each notebook that it runs, computes on its share of the cores. Set before torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
BOOK_PAGES = list(build.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
HTML = ROOT / "_build" / "html"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MADE = re.compile(r"(_build|build|data|studies|\.venv|\.\w+_cache)/|.*(__pycache__|\.ipynb_checkpoints|\.egg-info)/")


def course_files() -> list[Path]:
    """Every file in git or about to be; in an unpacked archive, which has no git, all but what a build makes."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        names = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
        return [ROOT / name for name in names if not MADE.match(name)]


@pytest.fixture(scope="module")
def one_thread():
    """Compute on one thread: models this small gain nothing from more, and lose where other work runs beside them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


def is_stale() -> bool:
    """Tell whether the built book is absent or older than what it is made of."""
    sources = [
        ROOT / "_config.yml",
        ROOT / "_toc.yml",
        *NOTEBOOKS,
        *(path for path in course_files() if "book" in path.parts),
    ]
    index = HTML / "index.html"
    return not index.is_file() or index.stat().st_mtime < max(path.stat().st_mtime for path in sources)


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book, built first where that is needed."""
    if is_stale():
        assert build.main() == 0, "the book doesn't build; the captured output says why"
    return HTML


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A file a core, as far as memory allows."""
    return min(MOST_AT_ONCE, os.cpu_count() or 1)


def pytest_terminal_summary(terminalreporter) -> None:
    """Say how fast and how heavy the pages are, where they were looked at."""
    for report in terminalreporter.getreports("passed"):
        if summary := dict(report.user_properties).get(browsing.SUMMARY):
            terminalreporter.section("the book in a browser")
            terminalreporter.line(summary)
