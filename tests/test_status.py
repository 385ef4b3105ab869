"""The status page says what was run and what was not, and the build writes it anew."""

import json
import subprocess

import build
import nbformat
import pytest
import status
import yaml
from conftest import NOTEBOOKS, ROOT

from course_utils.shipped_table import results_folder
from course_utils.studies import STUDIES

PUBLISHED = {path.stem for path in results_folder().glob("*.csv")} & set(STUDIES)


def entry(seconds: float, busy: bool = False) -> dict:
    return {"seconds": seconds, "cpu_seconds": 90.0, "busy": busy, "date": "2026-02-03", "cores": 2, "machine": "m"}


@pytest.fixture(scope="module")
def page() -> str:
    return status.text()


def test_every_notebook_and_every_study_is_on_the_page(page) -> None:
    assert all(f"](../notebooks/{path.name})" in page for path in NOTEBOOKS)
    assert all(f"| {name} |" in page for name in STUDIES)


def test_published_studies_and_others_are_told_apart(page) -> None:
    before, after = page.split("## What was not run")
    for name in STUDIES:
        assert (f"| {name} |" in before) == (name in PUBLISHED), name
        assert (f"| {name} |" in after) == (name not in PUBLISHED), name


def test_provenance_is_that_of_the_records(page) -> None:
    for name in PUBLISHED:
        record = json.loads((results_folder() / f"{name}.json").read_text(encoding="utf-8"))
        line = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        for fact in (record["runs"], len(record["seeds"]), record["diverged"]):
            assert f"| {fact} |" in line
        assert record["device_name"][0] in line
        assert record["versions"][0]["torch"] in line


def test_tables_that_are_no_studies_are_there(page, tmp_path) -> None:
    for path in results_folder().glob("*/*.csv"):
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        line = next(line for line in page.splitlines() if line.startswith(f"| {path.parent.name}/{path.stem} |"))
        assert f"| {record['rows']} |" in line
        assert record["command"] in line
    assert "None so far." in status.tables_section(tmp_path)


def notebooks(folder):
    path = folder / "01_small.ipynb"
    cell = nbformat.v4.new_markdown_cell("# A | B\n\nabout 20 seconds on two CPU cores")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return [path]


def test_seconds_are_shown_as_measured(tmp_path) -> None:
    paths = notebooks(tmp_path)
    quiet = status.notebooks_section(paths, {"cpu": {"01_small": entry(25.4)}})
    assert r"| [A \| B](../notebooks/01_small.ipynb) | 20 | 25 | 2026-02-03 |" in quiet
    assert "No notebook has been timed on a GPU so far." in quiet
    assert "| 90* |" in status.notebooks_section(paths, {"cpu": {"01_small": entry(400, busy=True)}})
    assert status.NOT_MEASURED in status.notebooks_section(paths, {})


def test_a_gpu_that_was_measured_gets_its_column(tmp_path) -> None:
    measurements = {"cpu": {"01_small": entry(25)}, "cuda": {"01_small": entry(7)}}
    section = status.notebooks_section(notebooks(tmp_path), measurements)
    assert "| 25 | 2026-02-03 | 7 |" in section
    assert "No notebook has been timed" not in section
    assert "NVIDIA" not in status.not_run_section(measurements)
    assert "NVIDIA" in status.not_run_section({}, tmp_path)


def test_without_results_the_page_says_so(tmp_path) -> None:
    assert "None so far." in status.studies_section(tmp_path)
    assert all(f"| {name} |" in status.not_run_section({}, tmp_path) for name in STUDIES)


def test_when_all_is_published_the_page_says_so(tmp_path) -> None:
    for name in STUDIES:
        (tmp_path / f"{name}.csv").touch()
    assert "Every study of the course has published results." in status.not_run_section({}, tmp_path)


def test_without_git_the_commit_is_unknown(monkeypatch) -> None:
    def no_git(*arguments, **keywords):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert status.commit() == "unknown"
    assert status.installed("no-such-package") == "not installed"


def test_the_build_writes_the_page_and_git_ignores_it() -> None:
    assert "book/status.md" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "book/status" in build.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
