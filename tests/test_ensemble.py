"""Runs in an ensemble give what the same runs give alone."""

import pytest
import torch
from torch import nn

from course_utils import data, ensemble, runs, study, train
from course_utils.device import seed_everything
from course_utils.models import lenet
from course_utils.models.phases import fuse
from course_utils.models.stacked import can_stack, stack, unstack
from course_utils.study import Study

pytestmark = pytest.mark.usefixtures("one_thread")

LRS = (0.9, 0.5, 0.1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def splits():
    dataset = data.load(progress=False)
    return dataset.train[:400], dataset.test[:200]


def networks(count, **arguments):
    models = []
    for seed in range(count):
        seed_everything(seed)
        models.append(lenet(**arguments))
    return models


def together(models, splits, lrs=LRS, **arguments):
    return ensemble.fit_many(models, *splits, seeds=range(len(models)), lrs=lrs, progress=False, **arguments)


def alone(models, splits, lrs=LRS, **arguments):
    return [
        train.fit(model, *splits, seed=seed, lr=lr, progress=False, **arguments)
        for seed, (model, lr) in enumerate(zip(models, lrs, strict=True))
    ]


@pytest.mark.parametrize("batch_size", [8, 64])
@pytest.mark.parametrize(
    "network",
    [
        {},
        {"conv_activation": "relu", "pooling": "max"},
        {"pooling": "mixed", "dense_activation": "scaled_tanh"},
        {"pooling": "strided_conv"},
        {"batch_norm": True, "conv_kernel": 4},
        {"pool_size": 1},
    ],
    ids=str,
)
def test_the_first_steps_are_those_of_each_run_alone(network, batch_size, splits):
    ours, theirs = networks(3, **network), networks(3, **network)
    arguments = dict(epochs=2, max_updates=10, batch_size=batch_size, mean=0.3, std=0.35)
    lrs = (0.2, 0.1, 0.05)
    outcomes = together(ours, splits, lrs, **arguments)
    histories = alone(theirs, splits, lrs, **arguments)
    for outcome, history in zip(outcomes, histories, strict=True):
        assert outcome.diverged is None
        assert outcome.history.train_loss == pytest.approx(history.train_loss, rel=1e-4)
        assert outcome.history.train_accuracy == pytest.approx(history.train_accuracy, abs=0.01)
    # The gradient of a bias before batch normalization is rounding noise around zero.
    for mine, other in zip(ours, theirs, strict=True):
        for name, value in mine.state_dict().items():
            tolerance = 0.05 if network.get("batch_norm") else 1e-4
            torch.testing.assert_close(value, other.state_dict()[name], atol=tolerance, rtol=1e-3, msg=name)


@pytest.mark.parametrize("schedule", train.SCHEDULES)
@pytest.mark.parametrize("optimizer", train.OPTIMIZERS)
def test_every_optimizer_and_schedule(optimizer, schedule, splits):
    lrs = (0.003, 0.001, 0.0) if optimizer.startswith(("ada", "rms")) else (0.2, 0.1, 0.0)
    arguments = dict(epochs=2, batch_size=80, optimizer=optimizer, schedule=schedule)
    outcomes = together(networks(3), splits, lrs, **arguments)
    histories = alone(networks(3), splits, lrs, **arguments)
    for outcome, history in zip(outcomes, histories, strict=True):
        assert outcome.history.train_loss == pytest.approx(history.train_loss, rel=1e-3)


def test_after_an_epoch_accuracy_is_the_same_within_noise(splits):
    network = dict(conv_activation="relu", dense_activation="relu")
    dataset = data.load(progress=False)
    parts = dataset.train[:3000], dataset.test[:1000]
    outcomes = together(networks(3, **network), parts, (0.1, 0.05, 0.1), epochs=1, batch_size=16)
    histories = alone(networks(3, **network), parts, (0.1, 0.05, 0.1), epochs=1, batch_size=16)
    for outcome, history in zip(outcomes, histories, strict=True):
        assert history.test_accuracy[-1] > 0.5, "it must have learned something for this to mean anything"
        assert outcome.history.test_accuracy == pytest.approx(history.test_accuracy, abs=0.03)


def test_a_run_that_diverges_leaves_the_others_alone(splits):
    network = dict(conv_activation="relu")
    models = networks(3, **network)
    outcomes = together(models, splits, (0.1, 1e30, 0.1), epochs=2, batch_size=64)
    histories = alone(networks(3, **network), splits, (0.1, 0.1, 0.1), epochs=2, batch_size=64)
    assert [outcome.diverged is None for outcome in outcomes] == [True, False, True]
    assert "epoch 1" in outcomes[1].diverged
    assert outcomes[1].history.epochs == 0
    for run in (0, 2):
        assert outcomes[run].history.train_loss == pytest.approx(histories[run].train_loss, rel=1e-4)
    for name, value in networks(3, **network)[1].state_dict().items():
        assert torch.equal(models[1].state_dict()[name], value), "the weights from before the epoch"


def test_splitting_into_chunks_changes_nothing_but_rounding(splits):
    whole = together(networks(3), splits, epochs=1, batch_size=64)
    pieces = together(networks(3), splits, epochs=1, batch_size=64, chunk=2)
    for a, b in zip(whole, pieces, strict=True):
        assert a.history.train_loss == pytest.approx(b.history.train_loss, rel=1e-5)


def test_out_of_memory_halves_the_chunk_and_goes_on(splits, monkeypatch, capsys):
    real, sizes = ensemble._Ensemble.train, []

    def limited(self, test):
        sizes.append(len(self.models))
        if len(self.models) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, test)

    monkeypatch.setattr(ensemble._Ensemble, "train", limited)
    lrs = (0.9, 0.7, 0.5, 0.3, 0.1)
    outcomes = together(networks(5), splits, lrs, epochs=1, batch_size=64)
    assert sizes == [5, 3, 2, 2, 1]
    assert "do not fit" in capsys.readouterr().out
    histories = alone(networks(5), splits, lrs, epochs=1, batch_size=64)
    for outcome, history in zip(outcomes, histories, strict=True):
        assert outcome.history.train_loss == pytest.approx(history.train_loss, rel=1e-4)


def test_out_of_memory_with_a_single_run_is_an_error(splits, monkeypatch):
    def never(self, test):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ensemble._Ensemble, "train", never)
    with pytest.raises(torch.OutOfMemoryError):
        together(networks(3), splits, epochs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(seeds=[0, 1]), "3 models need as many seeds and lrs, given 2 and 3"),
        (dict(lrs=[0.1]), "given 3 and 1"),
        (dict(lrs=[0.1, 0.1, float("inf")]), "lrs must be finite"),
        (dict(seeds=[0, 1, -1]), "seed must be an integer"),
        (dict(epochs=0), "epochs must be a positive integer"),
        (dict(batch_size=0), "batch_size must be a positive integer"),
        (dict(chunk=0), "chunk must be a positive integer"),
        (dict(optimizer="sdg"), "optimizer 'sdg' is not known"),
        (dict(schedule="linear"), "schedule 'linear' is not known"),
        (dict(precision="half"), "precision 'half' is not known"),
    ],
)
def test_bad_arguments(arguments, message, splits):
    with pytest.raises(ValueError, match=message):
        ensemble.fit_many(networks(3), *splits, **dict(seeds=range(3), lrs=LRS, progress=False) | arguments)


def test_bfloat16_trains(splits):
    outcome = together(networks(2), splits, (0.1, 0.1), epochs=1, precision="bfloat16")[0]
    assert outcome.history.train_loss[0] < 4


# ---- the stacked network


@pytest.mark.parametrize("phases", [False, True])
def test_a_stacked_network_computes_what_its_parts_compute(phases):
    models = [model.eval() for model in networks(3, batch_norm=not phases)]
    x = torch.rand(5, 3, 28, 28)
    stacked = stack([fuse(model) for model in models] if phases else models).eval()
    with torch.no_grad():
        logits = stacked(x).unflatten(1, (3, -1))
        for run, model in enumerate(models):
            torch.testing.assert_close(logits[:, run], model(x[:, run : run + 1]))


def test_unstacking_gives_the_weights_back():
    models = networks(3, batch_norm=True)
    state = stack(models).state_dict()
    blank = networks(3, batch_norm=True, initialization="zeros")
    for run in range(3):
        unstack(state, blank, run)
    for model, copy in zip(models, blank, strict=True):
        for name, value in model.state_dict().items():
            assert torch.equal(copy.state_dict()[name], value)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "one model at least"),
        ([nn.Linear(2, 2)], "only an nn.Sequential"),
        ([nn.Sequential(nn.Dropout())], "pooling without random numbers"),
        ([lenet(pooling="stochastic")], "can be stacked"),
        ([lenet(), lenet(conv_kernel=3)], "same architecture"),
    ],
    ids=["none", "not sequential", "dropout", "stochastic", "unlike"],
)
def test_what_cannot_be_stacked(models, message):
    with pytest.raises(ValueError, match=message):
        stack(models)


# ---- ensembles in a study

SHORT = {"train_size": 200, "test_size": 100, "epochs": 1}


def test_groups_hold_runs_that_differ_in_seed_and_lr_only():
    arms = {"a": {"lr": 0.1}, "b": {"lr": 0.2}, "c": {"lr": 0.1, "pooling": "max"}, "d": {"pooling": "stochastic"}}
    jobs = Study("s", "?", arms, {"batch_size": 8}, range(4)).jobs()
    groups = ensemble.group(jobs, CPU)
    assert sorted(len(group) for group in groups) == [1, 1, 1, 1, 3, 4, 5]
    assert sorted(key for group in groups for key, _, _ in group) == sorted(key for key, _, _ in jobs)
    large = ensemble.group(jobs, torch.device("cuda"))
    assert sorted(len(group) for group in large) == [1, 1, 1, 1, 4, 8]


def test_on_a_cpu_only_small_batches_are_grouped():
    jobs = Study("s", "?", {"a": {}}).jobs()
    assert [len(group) for group in ensemble.group(jobs, CPU)] == [1] * 10


def test_a_study_gives_the_same_with_and_without(tmp_path):
    assert can_stack(lenet())
    item = Study("s", "?", {"a": {"lr": 0.1}, "b": {"lr": 0.2}}, {**SHORT, "batch_size": 16}, range(3))
    arguments = dict(device="cpu", progress=False)
    grouped = study.run(item, engine="ensemble", folder=tmp_path / "a", **arguments)
    single = study.run(item, engine="serial", folder=tmp_path / "b", **arguments)
    assert grouped[["arm", "seed", "epoch"]].equals(single[["arm", "seed", "epoch"]])
    for column in ("train_loss", "train_accuracy", "test_accuracy"):
        assert grouped[column].tolist() == pytest.approx(single[column].tolist(), rel=1e-4)
    records = study.Store(tmp_path / "a").records.values()
    assert {record["method"] for record in records} == {"ensemble of 5", "single"}


def test_run_jobs_marks_a_diverged_run():
    jobs = Study(
        "s", "?", {"a": {"lr": 1e30}, "b": {}}, {**SHORT, "batch_size": 50, "conv_activation": "relu"}, (0,)
    ).jobs()
    first, second = ensemble.run_jobs(jobs, "cpu")
    assert first["diverged"]
    assert second["diverged"] is None
    assert (first["key"], second["key"]) == tuple(runs.key(config, seed) for _, config, seed in jobs)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_on_cuda_as_on_the_cpu(precision, splits):
    arguments = dict(epochs=1, batch_size=64, precision=precision)
    outcomes = together(networks(3), splits, device="cuda", **arguments)
    histories = alone(networks(3), splits, epochs=1, batch_size=64, device="cpu")
    for outcome, history in zip(outcomes, histories, strict=True):
        assert outcome.history.train_loss == pytest.approx(history.train_loss, rel=0.02)
