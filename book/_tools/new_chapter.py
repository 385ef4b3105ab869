"""Begin a chapter: ``python book/_tools/new_chapter.py 16_alexnet`` (or ``make new-chapter NAME=16_alexnet``).

Writes a notebook that has the form of the others and passes their tests, executes it, and adds it to `_toc.yml` after
the chapter with the next lower number.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

import notebooks

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"(\d\d)_[a-z0-9]+(?:_[a-z0-9]+)*")
FIGURE = {
    "image": {"alt": "What a person would see in the figure, and what they would conclude."},
    "figure": {
        "caption": "The message of the figure in one sentence. Then its conditions.",
        "name": "fig-{topic}-first",
    },
}
SOLUTION = {"cellView": "form", "tags": ["hide-cell"]}

# Text between cells is Markdown, the rest code; what is in angle brackets is to be written by you.
OPENING = """# {title}

⟨A question that the page answers, with a number or a picture that makes it bite.⟩

You will be able to

- ⟨say, compute or build something⟩,
- ⟨and something else⟩.

**Time:** 20 minutes to read. The code runs in about 5 seconds on two CPU cores. We have not timed it on a GPU."""
IMPORTS = """import matplotlib.pyplot as plt
import torch

from course_utils import plotting

plotting.use_style()"""
EFFECT = """## ⟨The smallest code that shows the effect⟩

⟨What the next cell does. What do you expect it to show? Decide before you look.⟩"""
PLOT = """x = torch.linspace(-3, 3, 61)
plt.plot(x, torch.relu(x))
plt.xlabel("input")
plt.ylabel("output")
plt.show()"""
MECHANISM = """## ⟨Why it is so⟩

⟨The mechanism, with a formula that the next cell checks: $\\max(x, 0)$.⟩"""
CHECK = """assert torch.equal(torch.relu(x), torch.where(x > 0, x, 0.0))
print("the formula agrees with PyTorch")"""
CLOSING = """## What to do in practice

⟨Two or three sentences.⟩

## Summary

⟨Three sentences that answer the opening question.⟩

## Exercises

**1.** ⟨Something that can be recalled or computed from the page.⟩"""
ANSWER = """# @title Solution 1
print(torch.relu(torch.tensor([-1.0, 2.0])).tolist())"""
SOURCES = """## Sources

⟨Works, as links to their key: [LeCun et al. 1998](../book/references.md#lecun1998gradient).⟩"""


def skeleton(name: str) -> NotebookNode:
    """Return a notebook with the parts that a chapter has."""
    topic = name[3:].replace("_", "-")
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    figure = {**FIGURE, "figure": {**FIGURE["figure"], "name": FIGURE["figure"]["name"].format(topic=topic)}}
    cells = [
        text(OPENING.format(title=topic.replace("-", " ").capitalize())),
        code(IMPORTS),
        text(EFFECT),
        code(PLOT, metadata={"mystnb": figure}),
        text(MECHANISM),
        code(CHECK),
        text(CLOSING),
        code(ANSWER, metadata=SOLUTION),
        text(SOURCES),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number:02d}"
    return nbformat.v4.new_notebook(cells=cells)


def add_to_toc(toc: str, name: str) -> str:
    """Return the text of `_toc.yml` with the notebook after the one with the next lower number."""
    lines = toc.splitlines()
    entry = re.compile(r"( *)- file: notebooks/(\d\d)_")
    entries = [(number, match) for number, line in enumerate(lines) if (match := entry.match(line))]
    if not entries:
        raise ValueError("_toc.yml names no notebook beside which the new one could stand")
    before = [(match[2], number, match[1]) for number, match in entries if match[2] < name[:2]]
    if before:
        _, place, indent = max(before)
        place += 1
    else:
        place, indent = entries[0][0], entries[0][1][1]
    lines.insert(place, f"{indent}- file: notebooks/{name}")
    return "\n".join(lines) + "\n"


def create(name: str, root: Path = ROOT) -> Path:
    """Write, execute and enter the chapter `name`; return its notebook.

    Raises
    ------
    ValueError
        If the name isn't like 16_alexnet, or its number is taken.
    RuntimeError
        If the notebook doesn't run; nothing is left of it then.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"NAME must look like 16_alexnet: two digits and words in small letters, given {name!r}")
    if taken := sorted((root / "notebooks").glob(f"{match[1]}_*.ipynb")):
        raise ValueError(f"number {match[1]} is taken by {taken[0].name}; choose another")
    toc = root / "_toc.yml"
    entered = add_to_toc(toc.read_text(encoding="utf-8"), name)
    path = root / "notebooks" / f"{name}.ipynb"
    nbformat.write(skeleton(name), path)
    if notebooks.main([str(path)]):
        path.unlink()
        raise RuntimeError("the new notebook doesn't run; the lines above say why. Does `make test` pass?")
    toc.write_text(entered, encoding="utf-8", newline="\n")
    return path


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Create the one chapter that is named, and say what comes next."""
    try:
        path = create(arguments[0] if arguments else "", root)
    except (ValueError, RuntimeError) as error:
        print(f"new-chapter: {error}", file=sys.stderr)
        return 2
    name = path.relative_to(root).as_posix()
    print(f"{name} is there and in _toc.yml. Next:")
    print("  make lab                             write it; replace all that stands in ⟨…⟩")
    print(f"  make notebooks NOTEBOOKS={name}   execute it and measure its seconds")
    print("  make test")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
