"""`make release`: a wheel with all that the package needs, an archive of the book, and the steps that remain."""

import subprocess
import zipfile
from pathlib import Path

import pytest
import release
import repository
from conftest import PROJECT, ROOT

import course_utils


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return release.build_wheel(tmp_path_factory.mktemp("dist"))


def test_the_wheel_holds_the_package_and_its_data(wheel) -> None:
    assert wheel.name == f"course_utils-{course_utils.__version__}-py3-none-any.whl"
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("course_utils/")}
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
    }
    assert wanted - inside == set(), "name them in [tool.setuptools.package-data] of pyproject.toml"


def test_building_leaves_nothing_behind(wheel) -> None:
    assert not (ROOT / "build").exists()


def test_the_version_is_read(tmp_path) -> None:
    assert release.version() == PROJECT["project"]["version"]
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ValueError, match='must hold a line version = "X.Y.Z"'):
        release.version(tmp_path)


def test_a_wheel_that_cannot_be_built_is_told_in_pips_words(monkeypatch, tmp_path) -> None:
    def fail(command, **keywords):
        return subprocess.CompletedProcess(command, 1, stdout="", stderr="no room on the disk")

    monkeypatch.setattr(release.subprocess, "run", fail)
    with pytest.raises(RuntimeError, match="the wheel was not built; pip says:\nno room on the disk"):
        release.build_wheel(tmp_path)


@pytest.fixture
def course(tmp_path):
    """A course with one page, and the wheel's building left out."""
    (tmp_path / "_toc.yml").write_text("{format: jb-book, root: intro}")
    (tmp_path / "pyproject.toml").write_text('version = "1.2.3"\nRepository = "https://github.com/me/fork"\n')
    (tmp_path / "_build" / "html").mkdir(parents=True)
    for name in ("index", "intro"):
        (tmp_path / "_build" / "html" / f"{name}.html").write_text("<html>")
    return tmp_path


def test_everything_lands_in_dist_and_the_steps_are_printed(course, monkeypatch, capsys) -> None:
    monkeypatch.setattr(release, "build_wheel", lambda folder, root: folder / "course_utils-1.2.3-py3-none-any.whl")
    assert release.main(course) == 0
    archive = zipfile.ZipFile(course / "dist" / "book-1.2.3-html.zip")
    assert {"index.html", "intro.html"} <= set(archive.namelist())
    out = capsys.readouterr().out
    assert "git tag v1.2.3" in out
    assert "https://github.com/me/fork/releases/new?tag=v1.2.3" in out
    assert "dist/course_utils-1.2.3-py3-none-any.whl and dist/book-1.2.3-html.zip" in out


def test_a_book_that_is_not_built_is_not_released(course, monkeypatch, capsys) -> None:
    (course / "_build" / "html" / "intro.html").unlink()
    monkeypatch.setattr(release, "build_wheel", lambda folder, root: folder / "x.whl")
    assert release.main(course) == 1
    assert "release: no HTML for intro; run 'make book' first" in capsys.readouterr().err


def test_the_tag_is_the_one_that_colab_installs_from() -> None:
    cell = (ROOT / "book" / "_tools" / "setup_cell.py").read_text(encoding="utf-8")
    assert f"git tag v{release.version()} " in release.STEPS.format(version=release.version(), url="", files="")
    assert f"tags/v{release.version()}.zip" in cell
    assert repository.current_url() in cell
