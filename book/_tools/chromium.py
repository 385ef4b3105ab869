"""Find the Chromium that prints the book and through which the tests look at it."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
ADVICE = (
    "no Chromium here: Debian has it as `apt-get install chromium`; elsewhere `python -m playwright install chromium` "
    "fetches one, or COURSE_CHROMIUM names the file"
)
# The sandbox needs a user who isn't root; what a browser does in the background by itself is no business of a page's.
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
]


def find() -> str | None:
    """Return the path of a Chromium: the one that is named, the system's, or Playwright's own; or None."""
    if named := os.environ.get("COURSE_CHROMIUM"):
        return named if Path(named).is_file() else None
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None
