"""Studies: what they say no to, what a run is, and that they survive whatever is killed."""

import os
import threading
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from course_utils import data, ensemble, runs, store, study, train
from course_utils.__main__ import main
from course_utils.device import seed_everything
from course_utils.models import lenet
from course_utils.studies import STUDIES
from course_utils.study import Study

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = {"train_size": 512, "test_size": 200, "epochs": 2, "batch_size": 64}
TINY = Study("tiny", "?", {"slow": {"lr": 0.1}, "relu": {"conv_activation": "relu"}}, base=SHORT, seeds=(0, 1))
NUMBERS = ["train_loss", "train_accuracy", "test_accuracy"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_STUDY_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run(TINY, folder=tmp_path_factory.mktemp("expected"))


@pytest.fixture
def calls(monkeypatch):
    """The (configuration, seed) of each run that is really done."""
    done = []
    real = runs.run_one

    def counting(config, seed, device="cpu"):
        done.append((runs.canonical(config), seed))
        return real(config, seed, device)

    monkeypatch.setattr(runs, "run_one", counting)
    return done


def run(item, **arguments):
    return study.run(item, **dict(engine="serial", device="cpu", progress=False) | arguments)


def assert_same(a, b):
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))


# ---- definitions


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(arms={}), "no arm"),
        (dict(arms={"a": {}}, seeds=()), "one seed at least"),
        (dict(arms={"a": {}}, seeds=(1, 1)), "none twice"),
    ],
)
def test_a_study_needs_arms_and_seeds(arguments, message):
    with pytest.raises(ValueError, match=message):
        Study("s", "?", **arguments)


def test_an_unknown_arm_lists_those_that_exist():
    with pytest.raises(ValueError, match="arm of study 'tiny' 'fast' is not known; allowed: 'slow', 'relu'"):
        TINY.config("fast")


def test_jobs_go_seed_by_seed():
    assert [(config.get("lr"), seed) for _, config, seed in TINY.jobs()] == [(0.1, 0), (None, 0), (0.1, 1), (None, 1)]


def test_configurations_that_mean_the_same_have_one_key():
    assert runs.key({"lr": 0.9, "pooling": "avg", "epochs": 10}, 3) == runs.key({}, 3)
    assert runs.key({"lr": 1}, 0) == runs.key({"lr": 1.0}, 0)
    assert len({runs.key({}, 0), runs.key({}, 1), runs.key({"lr": 1.0}, 0), runs.key({"pooling": "max"}, 0)}) == 4


def test_a_new_version_of_the_results_is_a_new_key(monkeypatch):
    before = runs.key({}, 0)
    monkeypatch.setattr(runs, "RESULTS_VERSION", runs.RESULTS_VERSION + 1)
    assert runs.key({}, 0) != before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"learning_rate": 1}, "setting 'learning_rate' is not known; allowed: .*conv_activation"),
        ({"model": "lenet9"}, "model 'lenet9' is not known; allowed: 'lenet'"),
        ({"dataset": "cifar"}, "dataset 'cifar'"),
        ({"split": "train"}, "split 'train' is not known; allowed: 'test', 'validation'"),
        ({"optimizer": "sdg"}, "optimizer 'sdg'"),
        ({"schedule": "linear"}, "schedule 'linear'"),
        ({"precision": "half"}, "precision 'half'"),
        ({"channels_last": "yes"}, "channels_last must be true or false, given 'yes'"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"batch_size": 2.5}, "batch_size must be a positive integer"),
        ({"train_size": 0}, "train_size must be a positive integer"),
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"std": 0}, "std must be positive"),
        ({"conv_kernel": 40}, "C1: a 40 x 40 window does not fit"),
        ({"conv_activation": "selu"}, "conv_activation 'selu'"),
        ({"classes": 3}, "10 logits per image"),
        ({"in_channels": 3}, "cannot take images of shape"),
    ],
)
def test_a_hopeless_arm_is_named_before_anything_runs(config, message, calls, tmp_path):
    bad = Study("bad", "?", {"good": {}, "hopeless": config}, base=SHORT)
    with pytest.raises(ValueError, match=f"(?s)study 'bad', arm 'hopeless': .*{message}"):
        run(bad)
    assert calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seeds", [0, -1, [], ()])
def test_no_seeds_is_an_error(seeds):
    with pytest.raises(ValueError, match="seed"):
        run(TINY, seeds=seeds)


def test_seeds_as_a_number_are_the_first_ones_and_then_new_ones():
    assert study.pick_seeds(TINY, 1) == [0]
    assert study.pick_seeds(TINY, 4) == [0, 1, 2, 3]
    assert study.pick_seeds(TINY, [7]) == [7]
    assert study.pick_seeds(TINY, None) == [0, 1]


def test_unknown_engine_and_no_workers():
    with pytest.raises(ValueError, match="engine 'threads' is not known; allowed: 'auto', 'processes'"):
        run(TINY, engine="threads")
    with pytest.raises(ValueError, match="workers must be a positive integer"):
        run(TINY, engine="processes", workers=0)


@pytest.mark.parametrize("item", STUDIES.values(), ids=lambda item: item.name)
def test_every_named_study_can_be_built(item):
    item.check()
    assert len(item.seeds) >= 3
    assert list(item.seeds) == list(range(len(item.seeds)))
    assert len(set(map(str, item.arms.values()))) == len(item.arms), "two arms are the same"


# ---- one run


def test_a_run_is_what_fit_does_by_hand():
    config = {**SHORT, "lr": 0.5, "conv_activation": "relu"}
    dataset = data.load(progress=False)
    seed_everything(3)
    model = lenet(conv_activation="relu")
    history = train.fit(
        model, dataset.train[:512], dataset.test[:200], epochs=2, batch_size=64, lr=0.5, seed=3, progress=False
    )
    record = runs.run_one(config, 3)
    assert [record[name] for name in NUMBERS] == [getattr(history, name) for name in NUMBERS]


def test_the_layout_in_memory_is_a_setting_and_changes_no_more_than_rounding():
    config = SHORT | {"max_updates": 3}
    plain, innermost = (runs.run_one(config | {"channels_last": value}, 0) for value in (False, True))
    assert plain["key"] != innermost["key"]
    assert innermost["config"]["channels_last"] is True
    assert innermost["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-5)


def test_a_run_depends_on_its_seed_and_on_nothing_before_it():
    first = runs.run_one(SHORT, 0)
    torch.rand(3)
    np.random.rand(3)  # noqa: NPY002
    runs.run_one({**SHORT, "pooling": "stochastic"}, 1)
    again, other = runs.run_one(SHORT, 0), runs.run_one(SHORT, 1)
    assert again["train_loss"] == first["train_loss"] != other["train_loss"]
    assert first["threads"] == 1
    assert first["versions"]["torch"] == torch.__version__


def test_validation_measures_on_the_last_training_images():
    train_split, test_split = runs.splits({"split": "validation"})
    dataset = data.load(progress=False)
    assert len(train_split) == 50_000
    assert torch.equal(test_split.images, dataset.train.images[50_000:])


def test_max_updates_ends_within_an_epoch(one_thread):
    record = runs.run_one({**SHORT, "max_updates": 9}, 0)
    assert len(record["train_loss"]) == 2  # 8 updates an epoch
    assert record["train_loss"][0] == runs.run_one(SHORT, 0)["train_loss"][0]
    assert record["train_loss"][1] != runs.run_one(SHORT, 0)["train_loss"][1]


# ---- the runner


def test_results_have_a_row_per_epoch(expected):
    assert list(expected.columns) == study.COLUMNS
    assert list(zip(expected["arm"], expected["seed"], expected["epoch"], strict=True)) == [
        (arm, seed, epoch) for arm in ("slow", "relu") for seed in (0, 1) for epoch in (1, 2)
    ]
    assert expected["test_accuracy"].between(0, 1).all()


def test_a_finished_study_is_not_run_again_and_a_longer_one_goes_on(calls, expected):
    run(TINY, seeds=1)
    assert len(calls) == 2
    assert_same(run(TINY), expected)
    assert [seed for _, seed in calls] == [0, 0, 1, 1]
    run(TINY)
    assert len(calls) == 4


def test_an_arm_that_two_studies_share_is_run_once(calls):
    other = Study("other", "?", {"same": {"lr": 0.1}, "new": {"lr": 0.2}}, base=SHORT, seeds=(0,))
    frame = run([TINY, other])
    assert len(calls) == 5
    assert list(frame["study"].unique()) == ["tiny", "other"]


def test_a_run_that_diverges_at_once_is_a_result(calls):
    item = Study("nan", "?", {"huge": {"lr": 1e30, "conv_activation": "relu"}, "fine": {}}, base=SHORT, seeds=(0,))
    frame = run(item)
    assert frame["diverged"].tolist() == [True, False, False]
    assert frame.iloc[0][["arm", "seed", "epoch"]].tolist() == ["huge", 0, 0]
    assert frame.iloc[0][NUMBERS].isna().all()
    assert "in epoch 1" in next(iter(store.Store().records.values()))["diverged"]
    run(item)
    assert len(calls) == 2
    assert study.status(item, device="cpu").diverged == 1


def test_status_counts_and_estimates():
    empty = study.status(TINY, device="cpu")
    assert (empty.done, empty.total, empty.seconds_left) == (0, 4, None)
    run(TINY, seeds=1)
    half = study.status(TINY, device="cpu")
    assert (half.done, half.total) == (2, 4)
    assert half.seconds_left == pytest.approx(sum(r["seconds"] for r in store.Store().records.values()))
    run(TINY)
    assert study.status(TINY, device="cpu").seconds_left == 0


def test_an_error_in_a_run_names_it_and_keeps_the_finished_ones(monkeypatch):
    real = runs.run_one

    def failing(config, seed, device):
        if seed == 1:
            raise RuntimeError("out of luck")
        return real(config, seed, device)

    monkeypatch.setattr(runs, "run_one", failing)
    with pytest.raises(RuntimeError, match="out of luck") as caught:
        run(TINY)
    assert "'lr': 0.1" in caught.value.__notes__[0]
    assert study.status(TINY, device="cpu").done == 2


def test_interrupted_and_taken_up_again(monkeypatch, expected):
    real = runs.run_one

    def interrupted(config, seed, device):
        if seed == 1:
            raise KeyboardInterrupt
        return real(config, seed, device)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "run_one", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(TINY)
    assert_same(run(TINY), expected)


def test_a_full_disk_stops_with_a_clear_error_and_can_be_taken_up(monkeypatch, expected):
    real, written = store._write, []

    def full(path, line):
        if len(written) == 2:
            raise OSError(28, os.strerror(28))
        written.append(line)
        real(path, line)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_write", full)
        with pytest.raises(store.StoreError, match="No space left on device"):
            run(TINY)
    assert study.status(TINY, device="cpu").done == 2
    assert_same(run(TINY), expected)


def test_whoever_looks_at_a_model_waits_for_a_run_in_another_thread():
    seeded, looking, drawn = threading.Event(), threading.Event(), []

    def draw():
        with runs.alone():
            seed_everything(0)
            seeded.set()
            looking.wait(10)
            drawn.append(torch.rand(3))

    def look():
        seeded.wait(10)
        runs.check({})

    threads = [threading.Thread(target=target) for target in (draw, look)]
    for thread in threads:
        thread.start()
    threads[1].join(0.5)
    assert threads[1].is_alive()
    looking.set()
    for thread in threads:
        thread.join()
    seed_everything(0)
    assert torch.equal(drawn[0], torch.rand(3))


def test_two_runners_share_the_work(calls, expected):
    threads = [threading.Thread(target=run, args=(TINY,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 4
    assert store.Store().path.read_bytes().count(b"\n") == 4
    assert_same(run(TINY), expected)


def test_any_executor_will_do(expected):
    with ThreadPoolExecutor(2) as executor:
        assert_same(run(TINY, engine=executor), expected)
        assert executor.submit(int).result() == 0, "the executor is not ours to shut down"


@pytest.mark.filterwarnings("ignore:a worker process died")
def test_workers_that_always_die_are_given_up():
    class Dying(Executor):
        submitted = 0

        def submit(self, *_):
            self.submitted += 1
            raise BrokenExecutor

    executor = Dying()
    with pytest.raises(RuntimeError, match="died 3 times while it ran .*'lr': 0.1.*Finished runs are safe"):
        run(TINY, engine=executor, workers=1)
    assert executor.submitted == 3


# ---- the commands


def test_list_names_each_study(capsys):
    assert main(["study", "list"]) == 0
    listing = capsys.readouterr().out
    assert all(name in listing for name in STUDIES)


@pytest.mark.parametrize("action", ["run", "status", "export"])
def test_an_unknown_study_lists_those_that_exist(action, capsys):
    assert main(["study", action, "lrr"]) == 2
    assert "study 'lrr' is not known; allowed: 'lr', 'batch_size'" in capsys.readouterr().err


def test_zero_seeds_on_the_command_line(capsys):
    assert main(["study", "run", "lr", "--seeds", "0"]) == 2
    assert "seeds must be a positive integer, given 0" in capsys.readouterr().err


def test_run_and_status_on_the_command_line(monkeypatch, capsys):
    monkeypatch.setitem(STUDIES, "tiny", TINY)
    assert main(["study", "run", "tiny", "--seeds", "1", "--engine", "serial", "--device", "cpu", "--quiet"]) == 0
    assert main(["study", "status", "tiny", "--device", "cpu"]) == 0
    assert "2 of   4" in capsys.readouterr().out


def test_ctrl_c_on_the_command_line(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "run_jobs", interrupt)
    monkeypatch.setitem(STUDIES, "tiny", TINY)
    assert main(["study", "run", "tiny", "--engine", "serial", "--device", "cpu", "--quiet"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
