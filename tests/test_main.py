import hashlib
import os
import subprocess
import sys

import pytest
import torch
from sample import load_sample

from course_utils import __version__, data, doctor, sources, train
from course_utils.__main__ import main
from course_utils.doctor import Finding
from course_utils.sources import Origin, SourceError

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = ["train", "--device", "cpu", "--epochs", "1"]


@pytest.fixture
def toy_sets(tmp_path, monkeypatch):
    """Both data sets as four tiny files each, to be had from one source."""
    contents = {}
    for name, origin in list(sources.ORIGINS.items()):
        files = {filename: f"{name} {filename}".encode() for filename in origin.sha256}
        contents[origin.folder] = files
        digests = {filename: hashlib.sha256(content).hexdigest() for filename, content in files.items()}
        monkeypatch.setitem(sources.ORIGINS, name, Origin(origin.folder, digests))
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(
        sources, "SOURCES", [("a toy source", lambda origin, name, progress: contents[origin.folder][name])]
    )
    return tmp_path


@pytest.fixture
def sample(monkeypatch):
    asked = []
    monkeypatch.setattr(data, "load", lambda name: asked.append(name) or load_sample())
    return asked


@pytest.mark.parametrize(
    ("findings", "status", "last_line"),
    [
        ([Finding("torch", "2.14.1")], 0, "all is well"),
        ([Finding("torch", "2.14.1"), Finding("d2l", "not installed", "pip install it")], 1, "1 to mend"),
        ([Finding("a", "b", "c")] * 2, 1, "2 to mend"),
    ],
)
def test_doctor_prints_its_findings_and_exits_1_if_anything_is_wrong(monkeypatch, capsys, findings, status, last_line):
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert main(["doctor"]) == status
    output = capsys.readouterr().out
    assert output == "\n".join(map(str, findings)) + f"\n\n{last_line}\n"


def test_data_lists_what_is_missing_and_how_to_get_it(toy_sets, capsys):
    assert main(["data"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"data folder: {toy_sets}"
    assert [line.split()[-1] for line in lines[1:-1]] == ["missing"] * 8
    assert lines[-1] == "get what is missing: python -m course_utils data --fetch"


def test_data_fetches_and_lists_where_from(toy_sets, capsys):
    assert main(["data", "--fetch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    for line in lines[1:]:
        assert line.endswith("verified  from a toy source")
    assert lines[1].split()[:2] == ["fashion-mnist", sources.TRAIN_IMAGES]
    assert main(["data"]) == 0


def test_data_tells_damaged_files_from_missing_and_those_put_there_by_hand(toy_sets, capsys):
    main(["data", "--fetch"])
    folder = toy_sets / "MNIST" / "raw"
    (folder / sources.TRAIN_IMAGES).write_bytes(b"damaged")
    (folder / sources.TEST_IMAGES).unlink()
    (folder / "sources.json").unlink()
    capsys.readouterr()
    assert main(["data"]) == 1
    states = {tuple(line.split()[:2]): " ".join(line.split()[2:]) for line in capsys.readouterr().out.splitlines()}
    assert states["mnist", sources.TRAIN_IMAGES] == "damaged"
    assert states["mnist", sources.TEST_IMAGES] == "missing"
    assert states["mnist", sources.TRAIN_LABELS] == "verified from an earlier download or by hand"
    assert states["fashion-mnist", sources.TEST_IMAGES] == "verified from a toy source"


def test_data_that_no_source_has_is_an_error_with_advice(toy_sets, monkeypatch, capsys):
    def down(*_):
        raise SourceError("is down")

    monkeypatch.setattr(sources, "SOURCES", [("only source", down)])
    assert main(["data", "--fetch"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: fashion-mnist: train-images-idx3-ubyte")
    assert "only source: is down" in errors
    assert "Traceback" not in errors


def test_a_data_folder_that_cannot_be_one_is_an_error(toy_sets, monkeypatch, capsys):
    (toy_sets / "file").touch()
    monkeypatch.setenv("COURSE_DATA_DIR", str(toy_sets / "file"))
    assert main(["data", "--fetch"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_train_trains_once_and_prints_each_epoch(sample, capsys):
    assert main([*QUICK, "--seed", "3", "--lr", "0.5", "--batch-size", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "LeNet on fashion-mnist, cpu, 1 thread, seed 3"
    assert lines[1].split() == ["train_loss", "train_accuracy", "test_accuracy", "seconds"]
    epoch, loss, *accuracies, seconds = map(float, lines[-1].split())
    assert epoch == 1
    assert 2 < loss < 3
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    assert sample == ["fashion-mnist"]


def test_train_gives_the_same_numbers_for_the_same_seed(sample, capsys):
    def numbers(seed: str) -> list[str]:
        main([*QUICK, "--data", "mnist", "--seed", seed])
        return capsys.readouterr().out.splitlines()[-1].split()[:-1]

    assert numbers("1") == numbers("1") != numbers("2")
    assert sample == ["mnist"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "cifar10"], "data set 'cifar10' is not known; allowed: 'fashion-mnist', 'mnist'"),
        (["--device", "gpu"], "device 'gpu' is not known"),
        (["--lr", "nan"], "lr must be a finite number that is not negative, given nan"),
        (["--lr", "-1"], "lr must be a finite number"),
        (["--epochs", "0"], "epochs must be a positive integer, given 0"),
        (["--batch-size", "0"], "batch_size must be a positive integer, given 0"),
        (["--seed", "-1"], "seed must be an integer from 0 to 2**32 - 1, given -1"),
        (["--lr", "1e38"], "in epoch 1 (lr 1e+38, batch_size 256)"),
    ],
    ids=" ".join,
)
def test_a_bad_value_is_one_line_and_exit_status_2(monkeypatch, capsys, arguments, message):
    load = data.load
    monkeypatch.setattr(data, "load", lambda name: load_sample() if name in sources.ORIGINS else load(name))
    assert main([*QUICK, *arguments]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert message in errors[0]


def test_cuda_where_there_is_none_is_exit_status_2(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["train", "--device", "cuda"]) == 2
    assert capsys.readouterr().err.startswith("error: device 'cuda' was asked for")


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["train", "--epochs", "ten"], ["data", "--download"], ["doctor", "extra"]]
)
def test_a_bad_command_line_is_exit_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("usage: python -m course_utils")
    assert sum("error:" in line for line in lines) == 1


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert all(command in output for command in ("doctor", "data", "train", "study", "results", "explain"))


@pytest.mark.parametrize(("arguments", "status"), [(["data"], 1), (["train", "--device", "gpu"], 2)])
def test_the_exit_status_reaches_the_shell(tmp_path, arguments, status):
    command = [sys.executable, "-m", "course_utils", *arguments]
    environment = {**os.environ, "COURSE_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_the_package_says_its_version():
    assert __version__.count(".") == 2


def test_train_prints_the_finished_epochs_when_it_diverges(sample, monkeypatch, capsys):
    history = train.History(train_loss=[0.5], train_accuracy=[0.8], test_accuracy=[0.7], seconds=[1.0])

    def diverge(*_, **__):
        raise train.TrainingDivergedError("the training loss became nan", history)

    monkeypatch.setattr(train, "fit", diverge)
    assert main(QUICK) == 2
    printed = capsys.readouterr()
    assert "0.8" in printed.out
    assert "nan" in printed.err
