"""Build what a release consists of, into `dist`: the package's wheel and an archive of the book's HTML.

Usage: ``python book/_tools/release.py`` (or ``make release``, which builds the book first). Nothing is published: the
steps that remain are printed.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import build
import repository

ROOT = Path(__file__).resolve().parents[2]
# What the wheel is made of. It is built from a copy: setuptools leaves folders behind where it builds.
WHEEL_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")
STEPS = """
What remains, for version {version}:

  1. CHANGELOG.md has a section '## {version}' that tells a reader what changed; `make test` is green.
  2. git commit --all --message 'Release {version}'
  3. git tag v{version}            (Colab's set-up cell installs the package from this tag)
  4. git push origin main v{version}
  5. {url}/releases/new?tag=v{version}: attach {files}
  6. `make colab-check`, then one notebook on Colab itself, opened from the published book.
  7. Right after: the next version number, where CONTRIBUTING.md lists it.
"""


def version(root: Path = ROOT) -> str:
    """Return the version that pyproject.toml gives."""
    match = re.search(r'^version = "([^"]+)"', (root / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise ValueError('pyproject.toml must hold a line version = "X.Y.Z"')
    return match[1]


def build_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Build the package's wheel into `folder`.

    Raises
    ------
    RuntimeError
        With pip's own words, if it can't be built.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "course"
        copy.mkdir()
        for name in WHEEL_SOURCES:
            source = root / name
            if source.is_dir():
                unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(source, copy / name, ignore=unwanted)
            else:
                shutil.copy(source, copy / name)
        out = Path(temporary) / "out"
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out)]
        if importlib.util.find_spec("setuptools"):  # PyTorch asks for it, so it is here and pip need not fetch it again
            command.append("--no-build-isolation")
        result = subprocess.run([*command, str(copy)], capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"the wheel was not built; pip says:\n{result.stdout}{result.stderr}")
        wheel = next(out.glob("*.whl"))
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, folder))


def archive_html(folder: Path, root: Path = ROOT) -> Path:
    """Pack the built book into one zip file.

    Raises
    ------
    ValueError
        If the book isn't built, or not wholly.
    """
    if missing := build.missing_pages(root):
        raise ValueError(f"no HTML for {', '.join(missing)}; run 'make book' first")
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / f"book-{version(root)}-html"
    return Path(shutil.make_archive(str(name), "zip", root / "_build" / "html"))


def main(root: Path = ROOT) -> int:
    """Build both and print what remains to be done."""
    try:
        files = [build_wheel(root / "dist", root), archive_html(root / "dist", root)]
    except (RuntimeError, ValueError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    names = " and ".join(f"dist/{path.name}" for path in files)
    print(STEPS.format(version=version(root), url=repository.current_url(root), files=names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
