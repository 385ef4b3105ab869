import builtins
import hashlib
import io
import sys

import pytest
import torch

from course_utils import doctor, sources
from course_utils.doctor import D2L_COMMAND, TORCHVISION_COMMAND, Finding
from course_utils.sources import Origin

FETCH_COMMAND = "python -m course_utils data --fetch"


@pytest.fixture(autouse=True)
def small_data(tmp_path, monkeypatch):
    """Two data sets of four tiny files, all there."""
    for name, origin in list(sources.ORIGINS.items()):
        contents = {filename: f"{name} {filename}".encode() for filename in origin.sha256}
        digests = {filename: hashlib.sha256(content).hexdigest() for filename, content in contents.items()}
        monkeypatch.setitem(sources.ORIGINS, name, Origin(origin.folder, digests))
        folder = tmp_path / origin.folder / "raw"
        folder.mkdir(parents=True)
        for filename, content in contents.items():
            (folder / filename).write_bytes(content)
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these versions are installed, and importable."""
    versions = dict.fromkeys(doctor.PACKAGES, "1.0") | {"torch": "2.14.1+cu130", "torchvision": "0.29.1+cu130"}
    monkeypatch.setattr(doctor, "installed_version", versions.get)
    monkeypatch.setattr(doctor, "check_import", lambda module, command: None)
    monkeypatch.setattr(doctor, "_free_memory", lambda: 8e9)
    return versions


def wrong() -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor.examine() if finding.command}


def test_a_machine_in_order_has_nothing_to_mend(installed):
    assert wrong() == {}
    subjects = [finding.subject for finding in doctor.examine()]
    assert subjects[:2] == ["course_utils", "python"]
    for subject in (*doctor.PACKAGES, "device", "processors", "free memory", "free disk", "fashion-mnist", "mnist"):
        assert subjects.count(subject) == 1


@pytest.mark.parametrize(
    ("torch_version", "torchvision_version"),
    [("2.14.1", "0.29.1"), ("2.11.0+cu128", "0.26.0+cu128"), ("2.6.0", "0.21.0"), ("2.10.0a0+git1", "0.25.0a0")],
)
def test_pairs_that_belong_together(torch_version, torchvision_version):
    finding = doctor.check_pair(torch_version, torchvision_version)
    assert finding == Finding("torchvision", f"{torchvision_version} belongs to torch {torch_version}")


@pytest.mark.parametrize(
    ("torch_version", "torchvision_version", "needed"),
    [("2.14.1", "0.26.0", "0.29"), ("2.11.0+cu128", "0.29.1", "0.26"), ("2.9.0", "0.25.0+cpu", "0.24")],
)
def test_a_mismatched_pair_is_said_in_words_with_the_command(torch_version, torchvision_version, needed):
    finding = doctor.check_pair(torch_version, torchvision_version)
    assert finding.text == (
        f"torchvision {torchvision_version} does not belong to torch {torch_version}, which needs {needed}"
    )
    assert finding.command == TORCHVISION_COMMAND


def test_a_mismatched_pair_is_in_the_report(installed):
    installed["torchvision"] = "0.26.0"
    assert "which needs 0.29" in wrong()["torchvision"].text


def test_this_installation_is_a_pair():
    finding = doctor.check_pair(doctor.installed_version("torch"), doctor.installed_version("torchvision"))
    assert not finding.command


def test_missing_d2l_comes_with_its_command(installed):
    installed["d2l"] = None
    assert wrong() == {"d2l": Finding("d2l", "not installed; the LeNet page calls it", D2L_COMMAND)}
    assert "--no-deps" in D2L_COMMAND


def test_what_is_optional_may_be_missing(installed):
    installed["grad-cam"] = None
    assert wrong() == {}
    assert Finding("grad-cam", "not installed (optional)") in doctor.examine()


def test_a_distribution_that_is_not_installed_has_no_version():
    assert doctor.installed_version("no-such-distribution-here") is None
    assert torch.__version__.startswith(doctor.installed_version("torch"))


def test_a_module_that_cannot_be_imported_says_why(monkeypatch, tmp_path):
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = doctor.check_import("broken_module", "mend it so")
    assert finding == Finding(
        "broken_module", "cannot be imported (RuntimeError: operator torchvision::nms does not exist)", "mend it so"
    )
    assert doctor.check_import("json", "") is None


def test_a_broken_torch_is_reported_and_not_raised(monkeypatch):
    for name in [name for name in sys.modules if name == "torch" or name.startswith(("torch.", "torchvision"))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "course_utils.device", raising=False)
    monkeypatch.delattr("course_utils.device", raising=False)
    found = wrong()
    assert "cannot be imported" in found["torch"].text
    assert found["torch"].command == TORCHVISION_COMMAND


@pytest.mark.parametrize("state", ["missing", "damaged"])
def test_data_that_is_not_right_is_named_with_its_command(installed, small_data, state):
    path = small_data / "MNIST" / "raw" / sources.TEST_LABELS
    if state == "missing":
        path.unlink()
    else:
        path.write_bytes(b"damaged")
    finding = doctor.check_data("mnist")
    assert finding.text == f"missing or damaged: {sources.TEST_LABELS} (in {path.parent})"
    assert wrong() == {"mnist": finding}
    assert finding.command == FETCH_COMMAND


def test_complete_data_says_where_it_is(small_data):
    finding = doctor.check_data("fashion-mnist")
    assert finding == Finding("fashion-mnist", f"complete and verified in {small_data / 'FashionMNIST' / 'raw'}")


@pytest.mark.parametrize(("free", "is_low"), [(1.4e9, True), (1.6e9, False)])
def test_low_memory_is_something_to_mend(installed, monkeypatch, free, is_low):
    monkeypatch.setattr(doctor, "_free_memory", lambda: free)
    found = wrong()
    assert ("free memory" in found) == is_low
    if is_low:
        assert found["free memory"].text == "1.4 GB"
        assert "1.2 GB" in found["free memory"].command


def test_free_memory_is_what_the_system_says(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(
        builtins, "open", lambda _: io.StringIO("MemTotal:  99 kB\nMemFree:  1 kB\nMemAvailable:   2000 kB\n")
    )
    assert doctor._free_memory() == 2_048_000


def test_free_memory_is_left_out_where_the_system_does_not_say(installed, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert doctor._free_memory() is None


def test_a_finding_is_one_line_and_its_command_another():
    assert str(Finding("torch", "2.14.1")) == "  torch         2.14.1"
    lines = str(Finding("d2l", "not installed", "pip install it")).split("\n")
    assert lines == ["! d2l           not installed", " " * 16 + "mend it: pip install it"]


@pytest.mark.parametrize(("package", "mended"), [("pandas", "pip install pandas"), ("nbval", "")])
def test_a_missing_package_is_mended_if_it_is_required(installed, package, mended):
    installed[package] = None
    assert {finding.command for finding in doctor.examine() if finding.subject == package} == {mended}
