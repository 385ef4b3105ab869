"""Write the repository's address into every file that names it.

Usage: ``python book/_tools/repository.py https://github.com/OWNER/NAME`` (or ``make repository URL=…``).

`[project.urls]` in pyproject.toml is the place that counts: the address found there is replaced wherever it stands,
Colab's form of it included. Only the standard library is used, so that it works before anything is installed.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GITHUB = re.compile(r"https://github\.com/([A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+?)(?:\.git)?/?")
FILES = ("*.cff", "*.md", "*.toml", "*.yml", "book/*.md", "book/_tools/*.py", "notebooks/*.ipynb")


def current_url(root: Path = ROOT) -> str:
    """Return the address that pyproject.toml gives."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(r'^Repository = "(https://[^"]+)"', text, re.MULTILINE)
    if match is None:
        raise ValueError('pyproject.toml must hold a line Repository = "https://github.com/OWNER/NAME"')
    return match[1]


def write_url(url: str, root: Path = ROOT) -> list[Path]:
    """Replace the current address by `url`; return the files that changed.

    Raises
    ------
    ValueError
        If `url` isn't the address of a GitHub repository, the only kind that Colab opens.
    """
    new = GITHUB.fullmatch(url)
    if new is None:
        raise ValueError(f"URL must look like https://github.com/OWNER/NAME, given {url!r}")
    old = current_url(root).removeprefix("https://github.com/")
    # As in github.com/OWNER/NAME and in Colab's …/github/OWNER/NAME/blob/…, but not in github.com/OWNER/NAME-other.
    pattern = re.compile(rf"(github(?:\.com)?/){re.escape(old)}(?![\w-]|\.\w)")
    changed = []
    for path in sorted(path for glob in FILES for path in root.glob(glob)):
        before = path.read_text(encoding="utf-8")
        after = pattern.sub(lambda match: match[1] + new[1], before)
        if after != before:
            path.write_text(after, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


def main(arguments: list[str]) -> int:
    """Write the one address given and name the files that changed."""
    try:
        changed = write_url(arguments[0] if arguments else "")
    except ValueError as error:
        print(f"repository: {error}", file=sys.stderr)
        return 2
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"{len(changed)} files changed; the address is {current_url()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
