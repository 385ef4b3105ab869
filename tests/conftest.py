"""What several test modules share: the repository's root, its files, its notebooks."""

import re
import subprocess
import tomllib
from pathlib import Path

import browsing
import build
import pytest
import yaml

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


def pytest_terminal_summary(terminalreporter, config) -> None:
    """Say how fast and how heavy the pages are, where they were looked at."""
    if summary := config.stash.get(browsing.SUMMARY, None):
        terminalreporter.section("the book in a browser")
        terminalreporter.line(summary)
