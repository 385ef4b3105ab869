"""The pieces of `make colab-check`, on a machine of its own that stands on this environment instead of Colab's."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import colab_check
import colab_machine
import nbformat
import pytest
import torch
from colab_check import Outcome
from conftest import ROOT

import notebooks

GOOD = {"versions": {"numpy": "1.2"}, "imported": {"numpy": "1.2"}, "peak_bytes": 2e9, "refused": []}
SMALL_SET_UP = """# Set-up
sources = {"course_utils": f"x.zip"}
print("torch 2, GPU: none (Runtime > Change runtime type > T4 GPU)")"""


@pytest.fixture
def small(monkeypatch):
    """One package of Colab's, in the version that is installed here, and a set-up cell that installs nothing."""
    monkeypatch.setitem(colab_machine.COLAB, "numpy", importlib.metadata.version("numpy"))
    for name in [name for name in colab_machine.COLAB if name != "numpy"]:
        monkeypatch.delitem(colab_machine.COLAB, name)
    monkeypatch.setattr(notebooks, "SETUP_CELL", SMALL_SET_UP)


def notebook(folder: Path, *sources: str, set_up: str | None = None) -> Path:
    path = folder / "01_small.ipynb"
    cells = [nbformat.v4.new_markdown_cell("# Small")]
    cells += [nbformat.v4.new_code_cell(source) for source in (set_up or notebooks.SETUP_CELL, *sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=notebooks.METADATA), path)
    return path


def run(folder: Path, *sources: str, set_up: str | None = None) -> Outcome:
    """Run a notebook of these cells; the folder `forbidden` stands for the repository."""
    (folder / "forbidden").mkdir()
    (folder / "forbidden" / "results.csv").write_text("a,b\n")
    (folder / "course.whl").touch()
    path = notebook(folder, *sources, set_up=set_up)
    before = path.read_bytes()
    outcome = colab_check.run_notebook(path, Path(sys.prefix), folder / "course.whl", forbidden=folder / "forbidden")
    assert path.read_bytes() == before, "the notebook itself is left as it is"
    return outcome


def test_a_notebook_that_needs_nothing_passes(small, tmp_path) -> None:
    cells = (
        "import os\nassert os.listdir('.') == ['01_small.ipynb'], 'only the notebook is there'",
        "assert not os.listdir(os.environ['HOME']) or os.listdir(os.environ['HOME']) == ['.ipython']",
        "assert not [name for name in os.environ if name.startswith('COURSE_') and name != 'COURSE_DATA_DIR']",
        "import sys\nassert 'google.colab' in sys.modules\nassert sources['course_utils'].endswith('course.whl')",
        "import numpy",
    )
    ballast = bytearray(1_200_000_000)  # what this process holds is no memory of the notebook's
    outcome = run(tmp_path, *cells)
    assert len(ballast) > 1e9
    assert outcome.problems == []
    assert 0.01 < outcome.peak_gb < 1


def test_a_file_of_the_repository_is_noticed_even_where_the_error_is_swallowed(small, tmp_path) -> None:
    file = tmp_path / "forbidden" / "results.csv"
    outcome = run(tmp_path, f"try:\n    open({str(file)!r})\nexcept OSError:\n    pass")
    assert outcome.problems == [f"opened {file}, a file of the repository"]


def test_a_cell_that_fails_and_one_line_too_many_are_told(small, tmp_path) -> None:
    outcome = run(tmp_path, "1 / 0", "never = 1", set_up=SMALL_SET_UP)
    assert outcome.problems == ["cell 3: ZeroDivisionError: division by zero"]
    assert outcome.peak_gb > 0


def test_a_set_up_that_fails_tells_what_pip_said(small, monkeypatch, tmp_path) -> None:
    failing = (
        SMALL_SET_UP
        + """
import subprocess, sys
code = "import sys; sys.exit('ERROR: no such version')"
subprocess.run([sys.executable, "-c", code], check=True)"""
    )
    monkeypatch.setattr(notebooks, "SETUP_CELL", failing)
    outcome = run(tmp_path)
    assert "returned non-zero exit status 1" in outcome.problems[0]
    assert outcome.problems[1:] == ["pip: ERROR: no such version"]


def test_a_kernel_that_dies_is_told(small, tmp_path) -> None:
    outcome = run(tmp_path, "import os\nos._exit(9)")
    assert outcome.problems[0].startswith("cell 3: ")
    assert "the kernel is dead" in outcome.problems[-1]


def test_another_set_up_cell_is_refused(small, tmp_path) -> None:
    outcome = run(tmp_path, set_up="# Set-up: of last year")
    assert outcome.problems == [
        "the second cell is not book/_tools/setup_cell.py; `make notebooks` puts it there"
    ]  # fmt: skip


def cells_of(set_up: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_markdown_cell("# T"), nbformat.v4.new_code_cell(set_up)]
    return nbformat.v4.new_notebook(cells=cells)


def test_only_the_address_of_the_package_is_replaced() -> None:
    made = cells_of(notebooks.SETUP_CELL)
    colab_check.point_at_wheel(made, Path("/tmp/course_utils-1.whl"))
    before, after = notebooks.SETUP_CELL.splitlines(), made.cells[1].source.splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0][1].strip() == "\"course_utils\": '/tmp/course_utils-1.whl',"


def test_a_set_up_cell_without_an_address_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(notebooks, "SETUP_CELL", "# Set-up")
    with pytest.raises(ValueError, match="must name one address of the package, and names 0"):
        colab_check.point_at_wheel(cells_of("# Set-up"), Path("x.whl"))


@pytest.mark.parametrize("gpu", [False, True])
def test_the_set_up_cell_says_which_device_and_what_to_click(monkeypatch, capsys, gpu) -> None:
    from test_notebooks import NEEDED, run_setup_cell

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert run_setup_cell(monkeypatch, colab=True, installed=NEEDED) == []
    line = capsys.readouterr().out
    assert colab_check.DEVICE_LINE.fullmatch(line)
    assert ("T4 GPU" in line) != gpu


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"versions": {"numpy": "1.3"}}, "numpy is 1.3 afterwards, was 1.2"),
        ({"imported": {"numpy": "1.1"}}, "numpy 1.1 was imported instead of 1.2"),
        ({"peak_bytes": 6.4e9}, "6.4 GB of memory, the limit is 6"),
        ({"refused": ["/r/x"]}, "opened /r/x, a file of the repository"),
    ],
)
def test_what_is_wrong_is_told(monkeypatch, change, problem) -> None:
    monkeypatch.setitem(colab_machine.COLAB, "numpy", "1.2")
    assert colab_check.judge(GOOD) == []
    assert colab_check.judge(GOOD | {"imported": {"numpy": "1.2+cu130"}}) == []
    assert colab_check.judge(GOOD | change) == [problem]


def test_the_table_shows_each_notebook_and_what_is_wrong_with_it() -> None:
    outcomes = [
        Outcome("02_a.ipynb", 31.2, 59.6, 1.234),
        Outcome("03_longer.ipynb", 1, 2, 3, ["cell 4: KeyError: 'x'"]),
    ]
    assert colab_check.table(outcomes).splitlines() == [
        "notebook         set-up s  cells s  peak GB",
        "02_a.ipynb             31       60     1.23  ok",
        "03_longer.ipynb         1        2     3.00  FAILED",
        "  ! cell 4: KeyError: 'x'",
    ]


def test_outcomes_of_earlier_runs_are_kept_unless_the_environment_changed(monkeypatch, tmp_path) -> None:
    target = tmp_path / "_build" / "check.json"
    colab_check.save([Outcome("b", 1, 2, 3)], target, sys.executable)
    colab_check.save([Outcome("a", 1, 2, 3, ["bad"])], target, sys.executable)
    found = json.loads(target.read_text())
    assert list(found["notebooks"]) == ["a", "b"]
    assert found["notebooks"]["a"]["problems"] == ["bad"]
    monkeypatch.setitem(colab_machine.COLAB, "numpy", "0.1")
    colab_check.save([Outcome("c", 1, 2, 3)], target, sys.executable)
    assert list(json.loads(target.read_text())["notebooks"]) == ["c"]


def test_a_new_machine_sees_the_base_and_is_empty_itself(tmp_path) -> None:
    python = colab_machine.new_machine(Path(sys.prefix), tmp_path / "machine")
    code = "import sys, importlib.util as u; print('google.colab' in sys.modules, u.find_spec('numpy').origin)"
    for forbidden, colab in ((None, "False"), ("/nowhere", "True")):
        extra = {"COLAB_CHECK_FORBIDDEN": forbidden} if forbidden else {}
        done = subprocess.run([python, "-c", code], env=os.environ | extra, capture_output=True, text=True, check=True)
        seen, origin = done.stdout.split(maxsplit=1)
        assert seen == colab
        assert Path(sys.prefix).resolve() in Path(origin.strip()).resolve().parents
    own = colab_machine.site_packages(tmp_path / "machine")
    assert {path.name for path in own.iterdir()} - {"__pycache__"} == {"0_base.pth", "1_colab.pth", "colab_stub.py"}


def test_the_kernel_gets_nothing_of_the_course(monkeypatch, tmp_path) -> None:
    for name in ("COURSE_STUDY_DIR", "PYTHONPATH", "VIRTUAL_ENV", "MPLBACKEND"):
        monkeypatch.setenv(name, str(ROOT))
    made = colab_machine.kernel_environment(tmp_path, ROOT, tmp_path / "data")
    assert {name for name, value in made.items() if str(ROOT) in value} - {"PATH"} == {"COLAB_CHECK_FORBIDDEN"}
    assert made["HOME"] == str(tmp_path)


def test_python_is_looked_for_and_its_absence_told(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLAB_PYTHON", "/no/such/python")
    with pytest.raises(ValueError, match="COLAB_PYTHON=/no/such/python does not run here; name a Python 3.13"):
        colab_machine.find_python()
    monkeypatch.setenv("COLAB_PYTHON", sys.executable)
    assert colab_machine.find_python() == sys.executable
    monkeypatch.delenv("COLAB_PYTHON")
    monkeypatch.setattr(colab_machine, "version_of", lambda python: None)
    assert colab_machine.find_python() == sys.executable
    assert "no Python 3.13 here" in capsys.readouterr().out
    monkeypatch.setattr(colab_machine, "version_of", lambda python: "3.13")
    assert colab_machine.find_python() == "python3.13"


def test_the_base_is_made_once_and_anew_when_the_versions_change(monkeypatch, tmp_path) -> None:
    commands = []

    def pretend(command, **keywords):
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("COURSE_COLAB_DIR", str(tmp_path / "colab"))
    monkeypatch.setattr(colab_machine, "version_of", lambda python: "3.13")
    monkeypatch.setattr(colab_machine.subprocess, "run", pretend)
    folder = colab_machine.base_environment("python3.13")
    assert folder == tmp_path / "colab" / "python3.13"
    assert {"torch==2.11.0", "scikit-learn==1.6.1", "opencv-python-headless"} <= set(commands[1])
    assert colab_machine.base_environment("python3.13") == folder
    assert len(commands) == 2
    monkeypatch.setitem(colab_machine.COLAB, "torch", "2.12.0")
    colab_machine.base_environment("python3.13")
    assert "torch==2.12.0" in commands[3]


def test_a_base_that_cannot_be_made_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("COURSE_COLAB_DIR", str(tmp_path))
    monkeypatch.setattr(colab_machine, "version_of", lambda python: "3.13")
    monkeypatch.setattr(colab_machine.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1))
    with pytest.raises(RuntimeError, match="could not be installed into .*; the lines above say why"):
        colab_machine.base_environment("python3.13")
    monkeypatch.setenv("COURSE_COLAB_DIR", str(ROOT / "colab"))
    with pytest.raises(ValueError, match="set COURSE_COLAB_DIR elsewhere"):
        colab_machine.base_environment("python3.13")


def test_main_refuses_what_it_cannot_check(monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        colab_check.main(["notebooks/00_nothing.ipynb"])
    assert "no such notebook: notebooks/00_nothing.ipynb" in capsys.readouterr().err
    monkeypatch.setenv("COURSE_DATA_DIR", str(ROOT / "data"))
    assert colab_check.main([]) == 2
    assert "set COURSE_DATA_DIR elsewhere, or start with --fresh-data" in capsys.readouterr().err
