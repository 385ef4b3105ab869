"""The minutes that each page states are those that were measured, and the measuring itself is sound."""

import json

import nbformat
import pytest
import timings
from conftest import NOTEBOOKS

MEASURED = timings.load().get("cpu", {})


def entry(seconds: float = 10.0, busy: bool = False, cpu_seconds: float = 16.0) -> dict:
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "busy": busy,
        "date": "2026-01-01",
        "cores": 2,
        "machine": "",
    }


def notebook(folder, text: str, name: str = "01_x.ipynb"):
    path = folder / name
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)
    return path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_page_states_its_seconds(path) -> None:
    assert timings.stated_seconds(path), "the first cell must say 'about N seconds on two CPU cores'"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_stated_seconds_are_those_measured(path) -> None:
    if path.stem not in MEASURED:
        pytest.skip(f"not measured yet: make notebooks NOTEBOOKS=notebooks/{path.name}")
    low, high = timings.allowed_range(MEASURED[path.stem])
    assert low <= timings.stated_seconds(path) <= high, f"measured: {MEASURED[path.stem]}"


def test_measurements_are_of_notebooks_that_exist() -> None:
    stems = {path.stem for path in NOTEBOOKS}
    assert {name for its in timings.load().values() for name in its} <= stems
    assert all(its["seconds"] > 0 for device in timings.load().values() for its in device.values())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("The code runs in about 60 seconds on two CPU cores.", 60),
        ("about 2\nminutes on two CPU\ncores", 120),
        ("about 1 minute on two CPU cores", 60),
        ("35 minutes to read", None),
    ],
)
def test_stated_seconds_are_read(tmp_path, text, seconds) -> None:
    assert timings.stated_seconds(notebook(tmp_path, text)) == seconds


def test_a_factor_of_two_is_allowed_and_a_busy_machine_widens_it() -> None:
    assert timings.allowed_range(entry(10)) == (5, 20)
    assert timings.allowed_range(entry(100, busy=True, cpu_seconds=16)) == (4, 32)


def test_a_busy_measurement_fills_a_gap_and_replaces_no_quiet_one(tmp_path) -> None:
    path, file = notebook(tmp_path, "x"), tmp_path / "seconds.json"
    assert timings.record(path, "cpu", entry(50, busy=True), file) == "recorded, on a busy machine"
    assert timings.record(path, "cpu", entry(10), file) == "recorded"
    assert timings.record(path, "cpu", entry(70, busy=True), file) == "not recorded: the machine was busy"
    assert timings.load(file)["cpu"]["01_x"]["seconds"] == 10
    timings.record(path, "cuda", entry(3), file)
    assert timings.load(file)["cuda"]["01_x"]["seconds"] == 3


def test_measurements_of_notebooks_that_are_gone_are_dropped(tmp_path) -> None:
    file = tmp_path / "seconds.json"
    file.write_text(json.dumps({"cpu": {"00_gone": entry()}}))
    timings.record(notebook(tmp_path, "x"), "cpu", entry(), file)
    assert list(timings.load(file)["cpu"]) == ["01_x"]


def test_the_stopwatch_tells_a_busy_machine_from_a_quiet_one(monkeypatch) -> None:
    clock = {"wall": 0.0, "own": 0.0, "all": 0.0}
    monkeypatch.setattr(timings.time, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(timings, "own_seconds", lambda: clock["own"])
    monkeypatch.setattr(timings, "machine_seconds", lambda: clock["all"])
    monkeypatch.setattr(timings.os, "cpu_count", lambda: 2)
    for others, busy in ((0.5, False), (10.0, True)):
        clock.update(wall=0, own=0, all=100)
        watch = timings.Stopwatch()
        clock.update(wall=10, own=12, all=112 + others)
        result = watch.stop()
        assert (result["seconds"], result["cpu_seconds"], result["busy"]) == (10, 12, busy)


def test_without_proc_the_machine_counts_as_quiet(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(timings, "PROC_STAT", tmp_path / "stat")
    assert timings.machine_seconds() is None
    assert timings.Stopwatch().stop()["busy"] is False


def test_proc_is_read(monkeypatch, tmp_path) -> None:
    (tmp_path / "stat").write_text("cpu  100 100 100 5000 700 50 25 25 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    monkeypatch.setattr(timings, "PROC_STAT", tmp_path / "stat")
    monkeypatch.setattr(timings.os, "sysconf", lambda name: 100)
    assert timings.machine_seconds() == 4.0
