"""The store: nothing that was finished is ever lost, doubled or done twice."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from course_utils import store as store_module
from course_utils.store import Store, StoreError, study_folder


def record(key, **extra):
    return {"key": key, "seed": 0, "config": {}, **extra}


def filled(folder, count=3):
    store = Store(folder)
    for number in range(count):
        store.append(record(f"run{number}", value=number))
    return store


def test_what_is_appended_is_read_back_in_order(tmp_path):
    filled(tmp_path)
    again = Store(tmp_path)
    assert list(again.records) == ["run0", "run1", "run2"]
    assert again.records["run1"]["value"] == 1


def test_one_line_of_json_per_run(tmp_path):
    lines = filled(tmp_path).path.read_bytes().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["run0", "run1", "run2"]


def test_a_run_is_on_the_disk_when_append_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(store_module.os, "fsync", synced.append)
    filled(tmp_path, 2)
    assert len(synced) == 2


def test_the_same_run_is_kept_once(tmp_path):
    store = filled(tmp_path, 1)
    store.append(record("run0", value="other"))
    Store(tmp_path).append(record("run0", value="other"))
    assert store.path.read_bytes().count(b"\n") == 1
    assert Store(tmp_path).records["run0"]["value"] == 0


def test_nan_is_refused_rather_than_written(tmp_path):
    store = filled(tmp_path, 1)
    with pytest.raises(ValueError, match="JSON compliant"):
        store.append(record("bad", value=float("nan")))
    assert list(Store(tmp_path).records) == ["run0"]


def test_devices_do_not_mix(tmp_path):
    filled(tmp_path)
    assert Store(tmp_path, "cuda").records == {}


def test_a_half_written_last_line_is_removed_and_the_rest_stays(tmp_path):
    path = filled(tmp_path).path
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key": "run3", "seed": 0, "conf')
    with pytest.warns(UserWarning, match="cut short"):
        store = Store(tmp_path)
    assert list(store.records) == ["run0", "run1", "run2"]
    assert path.read_bytes() == whole
    store.append(record("run3"))
    assert list(Store(tmp_path).records) == ["run0", "run1", "run2", "run3"]


def test_a_half_written_line_by_another_process_is_repaired_before_the_next_run(tmp_path):
    store = filled(tmp_path, 1)
    with open(store.path, "ab") as file:
        file.write(b'{"key": "x')
    with pytest.warns(UserWarning, match="cut short"):
        store.append(record("run1"))
    assert list(Store(tmp_path).records) == ["run0", "run1"]


def test_a_file_that_is_one_half_line(tmp_path):
    (tmp_path / "runs-cpu.jsonl").write_bytes(b"x" * 10_000)
    with pytest.warns(UserWarning, match="cut short"):
        assert Store(tmp_path).records == {}


@pytest.mark.parametrize(
    "damage", [b"\0" * 40, b'{"key": "run1", "se#', b"\xff\xfe\xff", b'["run1"]', b'{"key": "run1"}', b"3"]
)
def test_a_damaged_line_costs_its_own_run_only(tmp_path, damage):
    path = filled(tmp_path).path
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], damage, lines[2]]) + b"\n")
    with pytest.warns(UserWarning, match="damaged"):
        store = Store(tmp_path)
    assert list(store.records) == ["run0", "run2"]
    store.append(record("run1"))
    assert sorted(store.records) == ["run0", "run1", "run2"]


def test_a_full_disk_is_said_and_costs_nothing_that_was_there(tmp_path, monkeypatch):
    store = filled(tmp_path)
    whole = store.path.read_bytes()

    def half(path, line):
        with open(path, "ab") as file:
            file.write(line[: len(line) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_write", half)
        with pytest.raises(StoreError, match=r"No space left on device.*The 3 runs before it are safe"):
            store.append(record("run3"))
    assert store.path.read_bytes() == whole
    store.append(record("run3"))
    assert len(Store(tmp_path).records) == 4


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        Store(tmp_path / "file" / "studies").append(record("run0"))


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_STUDY_DIR", raising=False)
    assert str(study_folder()) == "studies"
    monkeypatch.setenv("COURSE_STUDY_DIR", str(tmp_path))
    assert study_folder() == tmp_path
    assert str(study_folder("here")) == "here"


def test_reading_makes_no_folder(tmp_path):
    assert Store(tmp_path / "new").records == {}
    assert not (tmp_path / "new").exists()


def test_a_claimed_run_is_busy_for_others_until_released(tmp_path):
    mine, busy = Store(tmp_path).claim(["a", "b"])
    assert "a" in mine
    assert len(mine) == 2
    assert busy == []
    theirs, busy = Store(tmp_path).claim(["b", "c"])
    assert "c" in theirs
    assert busy == ["b"]
    mine.release(["b"])
    again, busy = Store(tmp_path).claim(["a", "b"])
    assert "b" in again
    assert busy == ["a"]


def test_a_finished_run_is_not_handed_out_again_even_if_another_process_finished_it(tmp_path):
    mine, other = Store(tmp_path), Store(tmp_path)
    other.append(record("a"))
    claims, busy = mine.claim(["a"])
    assert len(claims) == 0
    assert busy == []
    assert "a" in mine.records


def test_a_claim_ends_with_its_process(tmp_path):
    code = (
        "from course_utils.store import Store\n"
        f"claims = Store({str(tmp_path)!r}).claim(['a'])\n"
        "print('!', flush=True)\n"
        "input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.read(1)
        assert Store(tmp_path).claim(["a"])[1] == ["a"]
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()
    claims, busy = Store(tmp_path).claim(["a"])
    assert "a" in claims
    assert busy == []


def test_many_processes_at_once_lose_and_double_nothing(tmp_path):
    code = (
        "import sys\nfrom course_utils.store import Store\n"
        f"store = Store({str(tmp_path)!r})\n"
        "for n in range(40):\n"
        "    store.append({'key': f'{n % 30 + int(sys.argv[1])}', 'seed': 0, 'config': {}, 'pad': 'x' * 5000})"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(10 * number)]) for number in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    keys = [json.loads(line)["key"] for line in Store(tmp_path).path.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 50


def test_killed_while_writing_again_and_again(tmp_path):
    code = (
        "import os\nfrom course_utils.store import Store\n"
        f"store = Store({str(tmp_path)!r})\n"
        "for n in range(10**6):\n"
        "    store.append({'key': f'{os.getpid()}-{n}', 'seed': 0, 'config': {}, 'pad': 'x' * 20000})"
    )
    seen = set()
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code]) as process:
            before = len(seen)
            deadline = time.monotonic() + 20
            while len(seen) <= before + 3 and time.monotonic() < deadline:
                time.sleep(0.05)
                seen |= set(Store(tmp_path).records)
            process.kill()
        records = set(Store(tmp_path).records)
        assert seen <= records
        assert len(records) > before
        seen = records
