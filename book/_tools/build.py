"""Build the book into `_build/html`; fail on any warning, and when a page of `_toc.yml` has no HTML.

The status page is written first, by `status`: it tells of the build itself.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"  # the package has no __main__


def toc_pages(toc: Any) -> Iterator[str]:
    """Yield every page that a parsed `_toc.yml` names, without suffix, in reading order."""
    if isinstance(toc, list):
        for entry in toc:
            yield from toc_pages(entry)
    elif isinstance(toc, dict):
        yield from (str(toc[key]) for key in ("root", "file") if key in toc)
        for value in toc.values():
            yield from toc_pages(value)


def missing_pages(root: Path = ROOT) -> list[str]:
    """Return the pages of `_toc.yml` that have no HTML."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    html = root / "_build" / "html"
    return [page for page in ["index", *toc_pages(toc)] if not (html / f"{page}.html").is_file()]


def main(root: Path = ROOT) -> int:
    """Build from nothing: Sphinx repeats no warning about a page that it takes from an earlier build."""
    shutil.rmtree(root / "_build", ignore_errors=True)
    write_status = [sys.executable, str(Path(__file__).with_name("status.py"))]
    if subprocess.run(write_status, cwd=root).returncode:
        print("\nbook: not built; the status page could not be written, the lines above say why.", file=sys.stderr)
        return 1
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(root), "-W", "--keep-going"]
    if subprocess.run(command, cwd=root).returncode:
        print("\nbook: not built; mend the warnings above and run `make book` again.", file=sys.stderr)
        return 1
    if missing := missing_pages(root):
        print(f"\nbook: no HTML for {', '.join(missing)}; does _toc.yml name files that exist?", file=sys.stderr)
        return 1
    print(f"\nbook: open {root / '_build' / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
