"""`make new-chapter`: what it writes passes the tests of the notebooks and stands in its place in the contents."""

import nbformat
import new_chapter
import pytest
import test_notebooks
import timings
import yaml
from build import toc_pages
from conftest import ROOT

TOC = """format: jb-book
root: book/intro
parts:
  - caption: One
    chapters:
      - file: notebooks/02_a
      - file: notebooks/05_b
  - caption: Two
    chapters:
      - file: notebooks/09_c
      - file: book/references
"""


@pytest.fixture
def course(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_toc.yml").write_text(TOC)
    return tmp_path


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    (root / "notebooks").mkdir()
    (root / "_toc.yml").write_text(TOC)
    assert new_chapter.main(["06_small_steps"], root) == 0
    return root / "notebooks" / "06_small_steps.ipynb"


@pytest.mark.parametrize("check", test_notebooks.CHECKS, ids=lambda check: check.__name__)
def test_the_new_chapter_has_the_form_of_the_others(chapter, check) -> None:
    assert list(check(nbformat.read(chapter, as_version=4))) == []


def test_its_links_and_seconds_are_those_of_a_page_of_the_course(chapter) -> None:
    text = "\n\n".join(test_notebooks.markdown(nbformat.read(chapter, as_version=4)))
    home = ROOT / "notebooks" / chapter.name  # where a chapter of the course would stand
    assert list(test_notebooks.broken_links(text, home)) == []
    assert timings.stated_seconds(chapter)


def test_its_title_and_figure_are_named_after_it(chapter) -> None:
    notebook = nbformat.read(chapter, as_version=4)
    assert notebook.cells[0].source.startswith("# Small steps\n")
    names = [cell.metadata["mystnb"]["figure"]["name"] for cell in notebook.cells if "mystnb" in cell.metadata]
    assert names == ["fig-small-steps-first"]


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("06_new", ["02_a", "05_b", "06_new", "09_c"]),
        ("01_new", ["01_new", "02_a", "05_b", "09_c"]),
        ("99_new", ["02_a", "05_b", "09_c", "99_new"]),
    ],
)
def test_the_contents_keep_the_order(name, pages) -> None:
    found = toc_pages(yaml.safe_load(new_chapter.add_to_toc(TOC, name)))
    assert [page.removeprefix("notebooks/") for page in found if page.startswith("notebooks/")] == pages


def test_the_other_lines_of_the_contents_stay() -> None:
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert new_chapter.add_to_toc(text, "98_new").replace("      - file: notebooks/98_new\n", "") == text


def test_contents_without_notebooks_are_refused() -> None:
    with pytest.raises(ValueError, match="names no notebook"):
        new_chapter.add_to_toc("root: book/intro\n", "01_new")


@pytest.mark.parametrize("name", ["", "alexnet", "6_alexnet", "16_AlexNet", "16-alexnet", "16_", "../16_x", "16_a__b"])
def test_bad_names_are_refused(course, name, capsys) -> None:
    assert new_chapter.main([name], course) == 2
    assert (
        f"must look like 16_alexnet: two digits and words in small letters, given {name!r}" in capsys.readouterr().err
    )
    assert (course / "_toc.yml").read_text() == TOC


def test_a_number_that_is_taken_is_refused(course) -> None:
    (course / "notebooks" / "16_other.ipynb").touch()
    with pytest.raises(ValueError, match="number 16 is taken by 16_other.ipynb"):
        new_chapter.create("16_alexnet", course)


def test_nothing_is_left_of_a_chapter_that_does_not_run(course, monkeypatch) -> None:
    monkeypatch.setattr(new_chapter, "CHECK", "1 / 0")
    with pytest.raises(RuntimeError, match="doesn't run"):
        new_chapter.create("16_alexnet", course)
    assert list((course / "notebooks").iterdir()) == []
    assert (course / "_toc.yml").read_text() == TOC
