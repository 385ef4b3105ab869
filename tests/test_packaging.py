"""The files that say what to install, who wrote it and where it lives agree with each other."""

import re
import shutil
import subprocess
import sys

import environment
import pytest
import repository
import yaml
from colab_machine import COLAB
from conftest import NOTEBOOKS, PROJECT, ROOT, course_files
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import course_utils

CORE = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRAS = PROJECT["project"]["optional-dependencies"]
DIRECT = CORE + [Requirement(line) for extra in EXTRAS.values() for line in extra]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins() -> dict[str, str]:
    lines = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == [], "a name and a version only"
    names = [canonicalize_name(line.split("==")[0]) for line in lines]
    assert len(set(names)) == len(names)
    return dict(zip(names, (line.split("==")[1] for line in lines), strict=True))


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_every_requirement_is_pinned_to_a_version_it_allows(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_no_platform_specific_pins() -> None:
    assert not [name for name in pins() if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_conda_installs_the_same() -> None:
    dependencies = yaml.safe_load(read("environment.yml"))["dependencies"]
    python = next(entry for entry in dependencies if str(entry).startswith("python="))
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(python.removeprefix("python="))
    pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert pip == ["--constraint constraints.txt", f"--editable .[{','.join(EXTRAS)}]"]
    assert environment.EXTRAS == ",".join(EXTRAS)


@pytest.mark.parametrize("requirement", CORE, ids=lambda requirement: requirement.name)
def test_colab_keeps_what_it_has(requirement: Requirement) -> None:
    assert {part.operator for part in requirement.specifier} == {">="}
    if requirement.name in COLAB:
        assert requirement.specifier.contains(COLAB[requirement.name])


def test_d2l_is_the_same_everywhere_and_never_a_requirement() -> None:
    assert not [requirement for requirement in DIRECT if requirement.name == "d2l"]
    assert environment.D2L == f"d2l=={pins()['d2l']}"
    for name in ("README.md", "environment.yml", "book/how_to_use.md"):
        assert f"pip install --no-deps {environment.D2L}" in read(name), name
    assert f'"{environment.D2L}"' in read("book/_tools/setup_cell.py")


def test_versions_agree() -> None:
    version = PROJECT["project"]["version"]
    assert course_utils.__version__ == version
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    assert f"tags/v{version}.zip" in read("book/_tools/setup_cell.py")
    assert f"## {version}" in read("CHANGELOG.md")


def test_repository_url_agrees() -> None:
    url = repository.current_url()
    assert yaml.safe_load(read("_config.yml"))["repository"]["url"] == url
    assert yaml.safe_load(read("CITATION.cff"))["repository-code"] == url
    for path in ("README.md", "book/how_to_use.md", "book/_tools/setup_cell.py", *NOTEBOOKS):
        assert url in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.fixture
def copy(tmp_path):
    """A copy of every file that may name the repository."""
    for glob in repository.FILES:
        for path in ROOT.glob(glob):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return tmp_path


@pytest.mark.parametrize("given", ["https://github.com/me/fork.of-it", "https://github.com/me/fork.of-it.git/"])
def test_repository_url_is_written_everywhere(copy, given) -> None:
    old, new = repository.current_url(copy), "https://github.com/me/fork.of-it"
    changed = {path.relative_to(copy).as_posix() for path in repository.write_url(given, copy)}
    assert {"pyproject.toml", "_config.yml", "README.md", "CITATION.cff", "book/_tools/setup_cell.py"} <= changed
    assert {path.relative_to(ROOT).as_posix() for path in NOTEBOOKS} <= changed
    for path in (path for path in copy.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8")
        assert old.removeprefix("https://github.com/") not in text, path
    assert repository.current_url(copy) == new
    repository.write_url(old, copy)
    assert [
        path
        for path in copy.rglob("*.*")
        if path.is_file() and path.read_bytes() != (ROOT / path.relative_to(copy)).read_bytes()
    ] == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "github.com/me/fork",
        "https://example.org/me/fork",
        "https://github.com/me",
        "https://github.com/me/a/b",
        "https://github.com/m'e/x",
    ],
)
def test_bad_repository_url_is_rejected(url, copy, capsys) -> None:
    with pytest.raises(ValueError, match=r"must look like https://github\.com/OWNER/NAME, given"):
        repository.write_url(url, copy)
    assert repository.main([url]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err


HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry." + "npmjs",
    "conda." + "anaconda.org",
    "deb." + "debian.org",
]
# A home folder (examples may say /home/me), the kernel's scratch file that a warning names, this checkout.
HOMES = [r"(?:/home|/Users)/(?!me\b)\w+", r"(?<![\w.])/root" + "/", "/tmp/ipy" + "kernel", re.escape(f"{ROOT}/")]
MACHINE = re.compile("|".join([*map(re.escape, HOSTS), *HOMES]))


def machine_traces(text: str) -> list[str]:
    """Hosts of package registries and paths of one machine."""
    return MACHINE.findall(text)


def test_no_registry_host_and_no_path_of_one_machine() -> None:
    suffixes = {".png", ".gz", ".npz", ".ico"}
    found = {
        path.relative_to(ROOT).as_posix(): traces
        for path in course_files()
        if path.suffix not in suffixes and (traces := machine_traces(path.read_text(encoding="utf-8", errors="ignore")))
    }
    assert found == {}


@pytest.mark.parametrize("text", [f"{ROOT}/x", f"https://{HOSTS[0]}/simple", "/home/" + "someone/x"])
def test_traces_of_a_machine_are_found(text) -> None:
    assert machine_traces(text)


def targets() -> dict[str, str]:
    return dict(re.findall(r"^([a-z-]+):.*## (.+)$", read("Makefile"), re.MULTILINE))


def test_every_make_target_is_documented() -> None:
    phony = set(re.search(r"^\.PHONY: (.+)$", read("Makefile"), re.MULTILINE)[1].split()) - {"FORCE"}
    assert set(targets()) == phony
    for target in ("book", "test", "lab"):
        assert f"make {target}" in read("README.md")


@pytest.mark.parametrize(
    "command",
    sorted(
        set(re.findall(r"-m course_utils (\w+)", read("Makefile") + read("README.md") + read("book/how_to_use.md")))
    ),
)
def test_every_named_command_exists(command) -> None:
    subprocess.run([sys.executable, "-m", "course_utils", command, "--help"], check=True, capture_output=True)


needs_make = pytest.mark.skipif(
    shutil.which("make") is None, reason="no make on this machine; the README has plain pip commands"
)


def make(*arguments: str, cwd) -> subprocess.CompletedProcess:
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True)


@needs_make
def test_make_alone_lists_the_targets() -> None:
    result = make(cwd=ROOT)
    assert result.returncode == 0
    assert all(f"make {target}" in result.stdout for target in targets())


@needs_make
def test_make_says_what_to_do_about_an_interpreter_that_does_not_run(tmp_path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    result = make("book", "PYTHON=no-such-python", cwd=tmp_path)
    assert result.returncode != 0
    assert "no-such-python does not run here; name a Python from 3.11 to 3.13" in result.stderr


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_unsupported_python_is_refused_with_advice(version) -> None:
    with pytest.raises(
        SystemExit, match=rf"this is Python {version[0]}\.{version[1]} and the course needs 3\.11 to 3\.13"
    ):
        environment.require(version)


@pytest.mark.parametrize("minor", environment.supported_versions())
def test_supported_python_is_accepted_and_tested(minor) -> None:
    environment.require((3, minor))
    assert f'"3.{minor}"' in read(".github/workflows/book.yml")


def test_a_failing_step_stops_the_set_up_with_advice() -> None:
    with pytest.raises(SystemExit, match="set-up stopped: do this"):
        environment.run(sys.executable, "-c", "raise SystemExit(3)", advice="do this.")
