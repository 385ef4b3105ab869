import copy
import json
import math

import pandas as pd
import pytest
import torch
from sample import load_sample
from torch import nn
from torch.nn import functional as F

from course_utils import train as train_module
from course_utils.data import Batches, Split
from course_utils.device import seed_everything
from course_utils.models import lenet
from course_utils.models.phases import PhaseBlock
from course_utils.train import OPTIMIZERS, SCHEDULES, History, TrainingDivergedError, evaluate, fit, predict

NAN, INF = float("nan"), float("inf")
TRAIN, TEST = load_sample().train, load_sample().test
pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = dict(epochs=1, device="cpu", progress=False)


def on_cuda(test):
    """Mark a test that needs a GPU."""
    return pytest.mark.cuda(pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")(test))


def relu_lenet(seed: int = 0, **settings: object) -> nn.Sequential:
    """A LeNet that learns within one epoch of the sample."""
    seed_everything(seed)
    return lenet(conv_activation="relu", dense_activation="relu", **settings)


def dense(*middle: nn.Module, inputs: int = 784, classes: int = 10) -> nn.Sequential:
    """A network so small that a step takes no time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 16), nn.ReLU(), *middle, nn.Linear(16, classes))


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def is_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


# Training


@pytest.mark.parametrize("batch_size", [7, 64, 256, 1000])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_fit_is_the_plain_loop(batch_size, activation):
    seed_everything(0)
    ours = lenet(conv_activation=activation, dense_activation=activation)
    plain = copy.deepcopy(ours)
    lr, epochs, seed = 0.05, 2, 3
    history = fit(
        ours, TRAIN, TEST, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, device="cpu", progress=False
    )

    images, test_images = TRAIN.images.float() / 255, TEST.images.float() / 255
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        loss_sum, correct = 0.0, 0
        for start in range(0, len(images), batch_size):
            index = order[start : start + batch_size]
            logits = plain(images[index])
            loss = F.cross_entropy(logits, TRAIN.labels[index])
            gradients = torch.autograd.grad(loss, [*plain.parameters()])
            with torch.no_grad():
                for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                    parameter -= lr * gradient
            loss_sum += float(loss.detach()) * len(index)
            correct += int((logits.argmax(1) == TRAIN.labels[index]).sum())
        assert history.train_loss[epoch] == pytest.approx(loss_sum / len(images), abs=1e-4)
        assert history.train_accuracy[epoch] == pytest.approx(correct / len(images), abs=1.5 / len(images))
        test_correct = (plain(test_images).argmax(1) == TEST.labels).double().mean()
        assert history.test_accuracy[epoch] == pytest.approx(float(test_correct), abs=1.5 / len(TEST))
    for mine, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-4)


def test_fit_learns():
    model = relu_lenet()
    history = fit(model, TRAIN, TEST, epochs=10, batch_size=16, lr=0.05, device="cpu", progress=False)
    assert history.train_loss[-1] < 0.8 < 1.2 < history.train_loss[0]
    assert history.test_accuracy[-1] > 0.65


def test_the_same_seed_gives_the_same_history_and_another_seed_another():
    def run(seed: int) -> tuple[list[float], list[float]]:
        history = fit(dense(), TRAIN, TEST, lr=0.1, seed=seed, batch_size=32, **QUICK)
        return history.train_loss, history.test_accuracy

    assert run(0) == run(0)
    assert run(0)[0] != run(1)[0]


def test_dropout_is_reproduced_by_the_seed():
    def run(seed: int, drawn_before: int = 0) -> list[float]:
        model = dense(nn.Dropout(0.5))
        torch.rand(drawn_before)  # must not matter
        return fit(model, TRAIN, lr=0.1, seed=seed, batch_size=100, **QUICK).train_loss

    assert run(0) == run(0, drawn_before=5)
    assert run(0) != run(1)


def test_fit_leaves_every_global_generator_alone(monkeypatch):
    import random

    import numpy as np

    def states() -> tuple[object, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    model = dense(nn.Dropout())
    before = states()
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("CUDA was reseeded by a run on the CPU"))
    fit(model, TRAIN, TEST, lr=0.1, **QUICK)
    assert states() == before


def test_phases_are_used_from_a_batch_of_16_on_and_change_nothing(monkeypatch):
    seen = []
    original = train_module.fuse
    monkeypatch.setattr(train_module, "fuse", lambda model: seen.append(original(model)) or seen[-1])
    histories = []
    for smallest in (16, 10_000):
        monkeypatch.setattr(train_module, "SMALLEST_FUSED_BATCH", smallest)
        seen.clear()
        histories.append(fit(relu_lenet(), TRAIN, lr=0.05, batch_size=16, **QUICK))
        assert any(isinstance(model[0], PhaseBlock) for model in seen) == (smallest == 16)
    assert histories[0].train_loss == pytest.approx(histories[1].train_loss, abs=1e-4)


def test_the_last_short_batch_is_used():
    split = Split(TRAIN.images[:5], TRAIN.labels[:5])
    sizes = []
    model = dense()
    model[1].register_forward_hook(lambda module, inputs, _: sizes.append(len(inputs[0])) if module.training else None)
    fit(model, split, lr=0.1, batch_size=2, **QUICK)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize(("limit", "steps", "epochs"), [(1, 1, 1), (6, 6, 1), (8, 8, 2), (12, 12, 2), (99, 18, 3)])
def test_training_stops_after_so_many_updates(limit, steps, epochs):
    made = []
    history = fit(
        dense(),
        TRAIN,
        TEST,
        epochs=3,
        batch_size=100,
        lr=0.1,
        max_updates=limit,
        schedule="one_cycle",
        optimizer=lambda parameters, lr: made.append(Recorder(parameters, lr)) or made[0],
        device="cpu",
        progress=False,
    )
    assert len(made[0].rates) == steps
    assert history.epochs == len(history.test_accuracy) == epochs
    assert history.settings["max_updates"] == limit
    if steps > 1:
        assert made[0].rates[-1] < 1e-4, "the schedule ends with the last update"


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_optimizer_runs_with_every_schedule(name, schedule):
    model = dense()
    before = state(model)
    history = fit(model, TRAIN, TEST, lr=1e-3, optimizer=name, schedule=schedule, batch_size=100, **QUICK)
    assert not is_same(before, state(model))
    assert math.isfinite(history.train_loss[0])
    assert (history.settings["optimizer"], history.settings["schedule"]) == (name, schedule)


@pytest.mark.parametrize(
    ("name", "kind", "momentum"),
    [
        ("sgd", torch.optim.SGD, 0),
        ("momentum", torch.optim.SGD, 0.9),
        ("adagrad", torch.optim.Adagrad, None),
        ("rmsprop", torch.optim.RMSprop, 0),
        ("adam", torch.optim.Adam, None),
        ("adamw", torch.optim.AdamW, None),
    ],
)
def test_an_optimizers_name_is_what_it_is(name, kind, momentum):
    optimizer = OPTIMIZERS[name](dense().parameters(), lr=0.5)
    assert type(optimizer) is kind
    assert optimizer.defaults["lr"] == 0.5
    assert optimizer.defaults.get("momentum") == momentum


class Recorder(torch.optim.SGD):
    """SGD that writes down the learning rate and momentum of each step."""

    def __init__(self, parameters, lr, momentum=0.0):
        super().__init__(parameters, lr=lr, momentum=momentum)
        self.rates, self.momenta = [], []

    def step(self, closure=None):
        self.rates.append(self.param_groups[0]["lr"])
        self.momenta.append(self.param_groups[0]["momentum"])
        return super().step(closure)


def trajectory(schedule: str, momentum: float = 0.0) -> Recorder:
    """20 steps at most 0.5."""
    made = []

    def make(parameters, lr):
        made.append(Recorder(parameters, lr, momentum))
        return made[0]

    settings = dict(optimizer=make, schedule=schedule, batch_size=60, lr=0.5, device="cpu", progress=False)
    history = fit(dense(), TRAIN, epochs=2, **settings)
    assert history.settings["optimizer"] == "custom"
    assert len(made[0].rates) == 20
    return made[0]


def test_constant_and_step_and_cosine_rates():
    assert trajectory("constant").rates == [0.5] * 20
    assert trajectory("step").rates == pytest.approx([0.5] * 10 + [0.05] * 5 + [0.005] * 5)
    cosine = [0.25 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert trajectory("cosine").rates == pytest.approx(cosine)


def test_one_cycle_goes_up_to_the_rate_and_down_to_almost_nothing():
    rates = trajectory("one_cycle").rates
    peak = rates.index(max(rates))
    assert rates[0] == pytest.approx(0.5 / 25)
    assert max(rates) == pytest.approx(0.5)
    assert peak == 5  # 30 % of 20 steps, counted from 0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(0.5 / 25 / 1e4)


def test_one_cycle_adds_no_momentum_to_plain_sgd():
    assert set(trajectory("one_cycle").momenta) == {0}
    momenta = trajectory("one_cycle", momentum=0.9).momenta
    assert (max(momenta), min(momenta)) == pytest.approx((0.95, 0.85))


def test_compiling_is_asked_of_pytorch(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model: compiled.append(model) or model)
    fit(dense(), TRAIN, lr=0.1, **QUICK)
    assert compiled == []
    fit(dense(), TRAIN, lr=0.1, compile=True, **QUICK)
    assert len(compiled) == 1


def test_channels_last_changes_no_number():
    plain = fit(relu_lenet(), TRAIN, lr=0.05, batch_size=100, **QUICK)
    other = fit(relu_lenet(), TRAIN, lr=0.05, batch_size=100, channels_last=True, **QUICK)
    assert other.train_loss == pytest.approx(plain.train_loss, abs=1e-4)


def test_bfloat16_is_close_to_float32_and_leaves_the_weights_in_float32():
    model = relu_lenet()
    plain = fit(relu_lenet(), TRAIN, TEST, lr=0.05, batch_size=100, **QUICK)
    history = fit(model, TRAIN, TEST, lr=0.05, batch_size=100, precision="bfloat16", **QUICK)
    assert history.settings["precision"] == "bfloat16"
    assert history.train_loss == pytest.approx(plain.train_loss, abs=0.02)
    assert history.train_loss != plain.train_loss
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert predict(model, TEST).dtype == torch.float32


def test_the_standardization_reaches_training_and_evaluation():
    mean, std = 0.286, 0.353
    model = dense()
    history = fit(model, TRAIN, TEST, lr=0.05, mean=mean, std=std, **QUICK)
    x = (TEST.images.float() / 255 - mean) / std
    torch.testing.assert_close(predict(model, TEST, mean=mean, std=std), model(x), rtol=1e-4, atol=1e-5)
    assert history.test_accuracy == [evaluate(model, TEST, mean=mean, std=std).accuracy]
    assert not torch.allclose(predict(model, TEST), model(x))


def test_a_rate_of_zero_trains_nothing():
    model = dense()
    before = state(model)
    fit(model, TRAIN, lr=0, **QUICK)
    assert is_same(before, state(model))


def test_color_images_and_other_numbers_of_classes():
    split = Split(TRAIN.images.expand(-1, 3, -1, -1)[:40], torch.arange(40) % 3, classes=3)
    model = lenet(in_channels=3, classes=3)
    history = fit(model, split, split, lr=0.1, **QUICK)
    assert history.epochs == 1
    assert predict(model, split).shape == (40, 3)


# Modes


def mixed_model() -> nn.Sequential:
    model = dense(nn.BatchNorm1d(16), nn.Dropout())
    model[3].eval()
    return model


@pytest.mark.parametrize("action", ["fit", "evaluate", "predict", "failing predict", "failing fit"])
@pytest.mark.parametrize("training", [True, False])
def test_each_module_is_in_the_mode_it_was_in(action, training):
    model = mixed_model()
    for module in (model, model[0], model[4]):
        module.training = training
    before = [module.training for module in model.modules()]
    if action == "fit":
        fit(model, TRAIN, TEST, lr=0.01, **QUICK)
    elif action == "evaluate":
        evaluate(model, TEST)
    elif action == "predict":
        predict(model, TEST)
    elif action == "failing predict":
        with pytest.raises(ValueError, match="cannot take"):
            predict(model, Split(TEST.images[:, :, 1:], TEST.labels))
    else:
        with pytest.raises(TrainingDivergedError):
            fit(model, TRAIN, lr=1e38, epochs=9, device="cpu", progress=False)
    assert [module.training for module in model.modules()] == before


def test_training_trains_and_evaluation_evaluates():
    model = dense(nn.Dropout())
    modes = []
    model[-2].register_forward_hook(lambda module, inputs, _: modes.append((module.training, len(inputs[0]))))
    fit(model, TRAIN, TEST, lr=0.1, batch_size=300, **QUICK)
    assert [size for training, size in modes if training] == [300, 300]
    assert {size for training, size in modes if not training} == {1, 200}
    assert torch.equal(predict(model, TEST), predict(model, TEST))


# Evaluation


@pytest.mark.parametrize("size", [1, 7, 64, 199, 200, 1000])
def test_a_score_does_not_depend_on_the_evaluation_batch(monkeypatch, size):
    model = relu_lenet()
    fit(model, TRAIN, lr=0.05, batch_size=16, **QUICK)
    x, y = TEST.images.float() / 255, TEST.labels
    with torch.no_grad():
        logits = model(x)
    monkeypatch.setattr(train_module, "EVALUATION_BATCH", size)
    score = evaluate(model, TEST)
    assert score.loss == pytest.approx(float(F.cross_entropy(logits, y)), abs=1e-5)
    assert score.accuracy == float((logits.argmax(1) == y).double().mean())
    assert 0.1 < score.accuracy < 1


def test_predictions_are_in_order_and_carry_no_gradient():
    model = relu_lenet()
    logits = predict(model, TEST)
    assert logits.shape == (200, 10)
    assert not logits.requires_grad
    torch.testing.assert_close(logits[17:18], model(TEST.images[17:18].float() / 255))


def test_perfect_and_worthless_predictions():
    class Oracle(nn.Module):
        def forward(self, x):
            return F.one_hot(x[:, 0, 0, 0].mul(255).round().long().clamp(max=9), 10) * 100.0

    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    assert evaluate(Oracle(), Split(images, torch.arange(10))) == (0, 1)
    loss, accuracy = evaluate(Oracle(), Split(images, (torch.arange(10) + 1) % 10))
    assert accuracy == 0
    assert loss == pytest.approx(100)


def test_evaluation_sees_a_model_that_is_listened_to():
    model = lenet()
    maps = []
    model.S2.register_forward_hook(lambda *arguments: maps.append(arguments[2].shape))
    evaluate(model, TEST)
    assert maps[-1] == (200, 6, 14, 14)


# History


def some_history(test: bool = True) -> History:
    return fit(dense(), TRAIN, TEST if test else None, epochs=3, lr=0.1, device="cpu", progress=False)


def test_a_history_tells_what_was_done():
    history = fit(
        dense(), TRAIN, TEST, epochs=2, batch_size=100, lr=0.1, seed=4, optimizer="adam", device="cpu", progress=False
    )
    assert history.epochs == 2
    assert history.device == "cpu"
    assert history.threads == torch.get_num_threads()
    assert history.settings == {
        "epochs": 2,
        "batch_size": 100,
        "lr": 0.1,
        "loss": "cross_entropy",
        "optimizer": "adam",
        "schedule": "constant",
        "seed": 4,
        "mean": 0.0,
        "std": 1.0,
        "precision": "float32",
        "max_updates": None,
        "channels_last": False,
        "compile": False,
        "cuda_graph": False,
        "augment": "none",
        "weight_decay": None,
        "ema": 0.0,
    }
    assert all(seconds > 0 for seconds in history.seconds)


@pytest.mark.parametrize("test", [True, False])
def test_a_history_becomes_a_frame(test):
    history = some_history(test)
    frame = history.to_frame()
    assert [*frame.columns] == ["train_loss", "train_accuracy", *["test_accuracy"] * test, "seconds"]
    assert [*frame.index] == [1, 2, 3]
    assert frame.index.name == "epoch"
    assert [*frame.train_loss] == history.train_loss


def test_a_history_survives_json():
    history = some_history()
    again = History(**json.loads(json.dumps(history.to_dict())))
    assert again == history
    pd.testing.assert_frame_equal(again.to_frame(), history.to_frame())


def test_a_history_in_words():
    history = History(train_loss=[1.23456], train_accuracy=[0.5], seconds=[1.0])
    assert str(history) == "epoch 1: loss 1.235, train accuracy 0.500"
    history.test_accuracy.append(0.25)
    assert str(history) == "epoch 1: loss 1.235, train accuracy 0.500, test accuracy 0.250"
    assert str(History()) == "no epoch finished"
    assert History().to_frame().empty


def test_numpy_seeds_survive_json():
    import numpy as np

    history = fit(dense(), TRAIN, lr=0.1, seed=np.int64(3), **QUICK)
    assert json.loads(json.dumps(history.to_dict()))["settings"]["seed"] == 3


@pytest.mark.parametrize("progress", [True, False])
def test_the_bar_is_silent_when_told(capsys, progress):
    fit(dense(), TRAIN, TEST, epochs=1, lr=0.1, device="cpu", progress=progress)
    output, errors = capsys.readouterr()
    assert output == ""
    assert bool(errors) == progress
    assert ("test accuracy" in errors) == progress


# Divergence


class Bomb(nn.Module):
    """Turns its input into NaN from a certain training step on."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.left = step

    def forward(self, x):
        if self.training:
            self.left -= 1
        return x * (float("nan") if self.left < 0 else 1.0)


def test_a_loss_that_turns_nan_keeps_the_epochs_before():
    def run(epochs: int, step: int) -> tuple[nn.Module, History]:
        model = dense(Bomb(step), nn.BatchNorm1d(16))
        return model, fit(model, TRAIN, TEST, epochs=epochs, batch_size=100, lr=0.1, device="cpu", progress=False)

    good_model, good_history = run(2, 10_000)
    with pytest.raises(TrainingDivergedError, match=r"loss became nan in epoch 3 \(lr 0.1, batch_size 100\)") as caught:
        run(5, 14)  # 6 steps an epoch
    history = caught.value.history
    assert history.epochs == 2
    assert history.train_loss == good_history.train_loss
    assert history.test_accuracy == good_history.test_accuracy
    assert len(history.seconds) == 2

    model = dense(Bomb(14), nn.BatchNorm1d(16))
    with pytest.raises(TrainingDivergedError):
        fit(model, TRAIN, epochs=5, batch_size=100, lr=0.1, device="cpu", progress=False)
    assert is_same(state(good_model), state(model)), "the weights and statistics of the last finite epoch"


def test_a_rate_far_too_large_loses_nothing():
    model = dense()
    before = state(model)
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1 .*a smaller lr is the first thing to try") as caught:
        fit(model, TRAIN, lr=1e38, batch_size=100, **QUICK)
    assert is_same(before, state(model))
    assert caught.value.history.epochs == 0


class Overflowing(torch.optim.SGD):
    """SGD whose third step overflows one weight."""

    steps = 0

    def step(self, closure=None):
        super().step(closure)
        self.steps += 1
        if self.steps == 3:
            self.param_groups[0]["params"][0].data[0, 0] = INF


def test_weights_that_overflow_in_the_last_step_of_an_epoch_are_noticed_in_that_epoch():
    model, shorter = dense(), dense()
    settings = dict(batch_size=600, lr=0.1, optimizer=Overflowing, device="cpu", progress=False)
    fit(shorter, TRAIN, epochs=2, **settings)
    with pytest.raises(TrainingDivergedError, match="a weight overflowed in epoch 3") as caught:
        fit(model, TRAIN, epochs=3, **settings)
    assert caught.value.history.epochs == 2
    assert is_same(state(shorter), state(model))


# Bad input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(lr=NAN), "lr must be a finite number that is not negative, given nan"),
        (dict(lr=-0.1), "lr must be a finite number that is not negative, given -0.1"),
        (dict(lr=INF), "lr must be a finite number that is not negative, given inf"),
        (dict(lr=1e39), r"lr must be a finite number that is not negative, given 1e\+39"),
        (dict(lr="0.1"), "lr must be a finite number that is not negative, given '0.1'"),
        (dict(lr=True), "lr must be a finite number that is not negative, given True"),
        (dict(lr=None), "lr must be a finite number that is not negative, given None"),
        (dict(epochs=0), "epochs must be a positive integer, given 0"),
        (dict(epochs=-3), "epochs must be a positive integer, given -3"),
        (dict(epochs=True), "epochs must be a positive integer, given True"),
        (dict(epochs=1.0), "epochs must be a positive integer, given 1.0"),
        (dict(batch_size=0), "batch_size must be a positive integer, given 0"),
        (dict(batch_size=True), "batch_size must be a positive integer, given True"),
        (dict(batch_size=2.5), "batch_size must be a positive integer, given 2.5"),
        (dict(max_updates=0), "max_updates must be a positive integer, given 0"),
        (dict(max_updates=1.5), "max_updates must be a positive integer, given 1.5"),
        (dict(seed=-1), "seed must be an integer from 0"),
        (dict(seed="0"), "seed must be an integer from 0"),
        (dict(optimizer="lion"), "optimizer 'lion' is not known; allowed: 'sgd', 'momentum', 'adagrad'"),
        (dict(schedule="linear"), "schedule 'linear' is not known; allowed: 'constant', 'step', 'cosine', 'one_cycle'"),
        (dict(precision="float16"), "precision 'float16' is not known; allowed: 'float32', 'tf32', 'bfloat16'"),
        (dict(precision="tf32"), "precision 'tf32' exists on CUDA only, given device 'cpu'"),
        (dict(std=0), "std must be positive"),
        (dict(device="tpu"), "device 'tpu' is not known; allowed here: 'auto'"),
        (dict(test=Split(TEST.images[:, :, 4:, 4:], TEST.labels)), r"cannot take images of shape \(1, 24, 24\)"),
        (dict(test=Split(TEST.images, TEST.labels, classes=11)), "must give 11 logits per image"),
    ],
    ids=lambda value: ", ".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_a_bad_setting_is_refused_before_anything_is_trained(capsys, settings, message):
    model = dense()
    before = state(model)
    with pytest.raises(ValueError, match=message):
        fit(model, TRAIN, **({"epochs": 1, "device": "cpu", "lr": 0.1, "progress": False} | settings))
    assert is_same(before, state(model))
    assert model.training
    assert capsys.readouterr().err == ""


def test_cuda_where_there_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'cuda' was asked for, but this machine has only"):
        fit(dense(), TRAIN, device="cuda")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lenet(in_channels=3), r"the model cannot take images of shape \(1, 28, 28\): .*channels"),
        (lenet(image_size=32), r"the model cannot take images of shape \(1, 28, 28\)"),
        (lenet(classes=9), r"the model must give 10 logits per image, shape \(1, 10\), given shape \(1, 9\)"),
        (nn.Conv2d(1, 10, 3), r"the model must give 10 logits .* given shape \(1, 10, 26, 26\)"),
    ],
    ids=["channels", "size", "classes", "maps"],
)
def test_a_model_that_does_not_fit_the_images_is_refused(model, message):
    for action in (lambda: fit(model, TRAIN, **QUICK), lambda: evaluate(model, TEST), lambda: predict(model, TEST)):
        with pytest.raises(ValueError, match=message):
            action()


def test_labels_out_of_range_never_reach_the_loop():
    with pytest.raises(ValueError, match="labels must lie in 0 to 9, given 0 to 10"):
        fit(dense(), Split(TRAIN.images[:2], torch.tensor([0, 10])), **QUICK)
    with pytest.raises(ValueError, match=r"must give 12 logits per image, shape \(1, 12\), given shape \(1, 10\)"):
        fit(dense(), Split(TRAIN.images[:2], torch.tensor([0, 11]), classes=12), **QUICK)


# On a GPU


def cuda_history(model: nn.Module | None = None, **settings: object) -> History:
    settings = dict(epochs=1, lr=0.05, batch_size=64, device="cuda", progress=False) | settings
    return fit(model or relu_lenet(), TRAIN, TEST, **settings)


@on_cuda
def test_the_first_epoch_on_cuda_is_that_of_the_cpu():
    here, there = cuda_history(device="cpu"), cuda_history()
    assert there.device.startswith("cuda")
    assert there.train_loss == pytest.approx(here.train_loss, abs=2e-3)
    assert there.test_accuracy == pytest.approx(here.test_accuracy, abs=0.02)


@on_cuda
@pytest.mark.parametrize(
    "settings", [dict(precision="tf32"), dict(channels_last=True), dict(precision="bfloat16")], ids=str
)
def test_faster_ways_on_cuda_are_close(settings):
    flags = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    assert cuda_history(**settings).train_loss == pytest.approx(cuda_history().train_loss, abs=0.05)
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == flags


@on_cuda
def test_predictions_are_made_on_the_models_device():
    model = relu_lenet().cuda()
    logits = predict(model, TEST)
    assert logits.is_cuda
    torch.testing.assert_close(logits.cpu(), predict(model.cpu(), TEST), rtol=1e-3, atol=1e-3)


@on_cuda
def test_bytes_are_normalized_on_cuda_as_on_the_cpu():
    here = list(Batches(TRAIN, 100, "cpu", shuffle=True, seed=5, mean=0.3, std=0.4))
    there = list(Batches(TRAIN, 100, "cuda", shuffle=True, seed=5, mean=0.3, std=0.4))
    for (x, y), (other_x, other_y) in zip(here, there, strict=True):
        assert other_x.is_cuda
        assert torch.equal(y, other_y.cpu())
        torch.testing.assert_close(x, other_x.cpu())


@on_cuda
@pytest.mark.parametrize("place", ["cuda", "cpu"])
def test_the_generator_of_cuda_is_left_alone(place):
    model = dense(nn.Dropout())
    before = torch.cuda.get_rng_state()
    cuda_history(model, device=place)
    assert torch.equal(torch.cuda.get_rng_state(), before)


@on_cuda
def test_dropout_on_cuda_is_reproduced_by_the_seed():
    losses = [cuda_history(dense(nn.Dropout()), batch_size=600).train_loss[0] for _ in range(2)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


# Recipes for larger networks


def test_weight_decay_pulls_the_weights_toward_zero():
    def after(weight_decay):
        model = dense()
        fit(model, TRAIN, lr=0.05, batch_size=50, weight_decay=weight_decay, **QUICK)
        return sum(parameter.square().sum() for parameter in model.parameters()).item()

    assert after(1.0) < 0.9 * after(0.0)
    assert after(None) == after(0.0)  # which is the default of SGD


def test_decay_of_weights_is_that_of_the_optimizer():
    ours, plain = dense(), dense()
    fit(ours, TRAIN, lr=0.05, batch_size=500, weight_decay=0.1, **QUICK)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, weight_decay=0.1)
    for x, y in Batches(TRAIN, 500, shuffle=True, seed=0):
        optimizer.zero_grad()
        F.cross_entropy(plain(x), y).backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_moving_average_of_weights_is_the_recursion():
    ours, plain, decay = dense(), dense(), 0.8
    fit(ours, TRAIN, lr=0.05, batch_size=500, ema=decay, **QUICK)
    optimizer, average = torch.optim.SGD(plain.parameters(), lr=0.05), None
    for x, y in Batches(TRAIN, 500, shuffle=True, seed=0):
        optimizer.zero_grad()
        F.cross_entropy(plain(x), y).backward()
        optimizer.step()
        now = [parameter.detach().clone() for parameter in plain.parameters()]
        average = now if average is None else [decay * a + (1 - decay) * b for a, b in zip(average, now, strict=True)]
    for a, b in zip(ours.parameters(), average, strict=True):
        torch.testing.assert_close(a, b)


def test_the_average_is_what_is_measured():
    model = relu_lenet(batch_norm=True)
    history = fit(model, TRAIN, TEST, lr=0.1, ema=0.9, **QUICK)
    assert history.test_accuracy[-1] == evaluate(model, TEST).accuracy
    assert history.settings["ema"] == 0.9


def test_statistics_of_batch_normalization_are_those_of_the_averaged_weights():
    model = relu_lenet(batch_norm=True)
    fit(model, TRAIN, lr=0.5, ema=0.99, **QUICK | {"epochs": 2})
    layer = next(module for module in model if isinstance(module, nn.BatchNorm2d))
    inputs = []
    handle = layer.register_forward_pre_hook(lambda module, given: inputs.append(given[0].detach()))
    predict(model, TRAIN)
    handle.remove()
    torch.testing.assert_close(layer.running_mean, torch.cat(inputs).mean((0, 2, 3)), rtol=0.02, atol=0.02)


def test_label_smoothing_is_torchs_and_is_what_the_loss_says():
    model = dense()
    history = fit(model, TRAIN, lr=0.0, loss="smoothed_cross_entropy", **QUICK)
    with torch.no_grad():
        logits = predict(model, TRAIN)
    expected = F.cross_entropy(logits, TRAIN.labels, label_smoothing=0.1).item()
    assert history.train_loss[-1] == pytest.approx(expected, rel=1e-5)


def test_augmented_images_are_what_the_model_sees():
    plain, changed = dense(), dense()
    fit(plain, TRAIN, **QUICK)
    fit(changed, TRAIN, augment="crop_flip", **QUICK)
    assert not is_same(state(plain), state(changed))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(ema=1.0), "ema must be at least 0 and below 1, given 1.0"),
        (dict(ema=-0.1), "ema must be at least 0 and below 1"),
        (dict(weight_decay=-1.0), "weight_decay must be a finite number that is not negative, given -1.0"),
        (dict(weight_decay=INF), "weight_decay must be a finite number"),
        (dict(augment="rotate"), "augment 'rotate' is not known"),
    ],
)
def test_recipe_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        fit(dense(), TRAIN, **settings, **QUICK)
