"""LeNet-5 as published: its counts, its parts, its losses, and that its switches lead to the textbooks' LeNet."""

import math

import pytest
import torch
from sample import load_sample
from torch.nn import functional as F

from course_utils import losses, runs, train
from course_utils.device import seed_everything
from course_utils.ensemble import fit_many, group
from course_utils.layers import layer_table
from course_utils.models import lenet, lenet5
from course_utils.models.bitmaps import digit_bitmaps
from course_utils.models.lecun_layers import PaddedInput, TableConv2d, TrainablePool2d, WholeConv2d, count_connections
from course_utils.models.lenet import ScaledTanh
from course_utils.models.lenet5 import C3_TABLE, BitmapRBF, penalties
from course_utils.models.phases import PhaseBlock, fuse
from course_utils.models.stacked import can_stack

pytestmark = pytest.mark.usefixtures("one_thread")

TRAIN, TEST = load_sample().train, load_sample().test
SWITCHES = {
    "activation": "sigmoid",
    "pooling": "avg",
    "c3": "full",
    "output": "linear",
    "input_scale": "unit",
    "padding": "zeros",
    "initialization": "xavier",
}
LAYERS = {  # LeCun et al. 1998, section II.B: output shape, parameters, connections
    "C1": ((6, 28, 28), 156, 122_304),
    "S2": ((6, 14, 14), 12, 5_880),
    "C3": ((16, 10, 10), 1_516, 151_600),
    "S4": ((16, 5, 5), 32, 2_000),
    "C5": ((120, 1, 1), 48_120, 48_120),
    "F6": ((84,), 10_164, 10_164),
    "output": ((10,), 0, 840),
}


def built(seed=0, **settings):
    seed_everything(seed)
    return lenet5(**settings)


# ---- the network as published


def test_every_layer_has_the_published_counts():
    counts = count_connections(lenet5())
    assert {name: (c["parameters"], c["connections"]) for name, c in counts.items()} == {
        name: row[1:] for name, row in LAYERS.items()
    }
    assert sum(c["connections"] for c in counts.values()) == 340_908
    assert sum(parameter.numel() for parameter in lenet5().parameters() if parameter.requires_grad) == 60_000


def test_the_layer_table_knows_its_layers():
    table = layer_table(lenet5(), (1, 28, 28)).set_index("layer")
    assert {name: table.output_shape[name] for name in LAYERS} == {name: row[0] for name, row in LAYERS.items()}
    assert table.parameters.sum() == 60_000
    assert table.macs["C3"] == 150_000
    assert [table.receptive_field[name] for name in ("C1", "S2", "C3", "S4", "C5")] == [5, 6, 14, 16, 32]


def test_the_table_of_c3():
    links = [link for row in C3_TABLE for link in row]
    assert len(C3_TABLE) == len(set(C3_TABLE)) == 16
    assert len(links) == 60
    assert [links.count(source) for source in range(6)] == [10] * 6
    assert [len(row) for row in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert all(list(row) == sorted(set(row)) for row in C3_TABLE)


def test_c3_has_no_other_weights_than_its_links_also_after_training():
    model = built()
    absent = torch.ones(16, 6, dtype=torch.bool)
    for output, row in enumerate(C3_TABLE):
        absent[output, list(row)] = False
    assert absent.sum() == 36
    before = model.C3.full_weight().detach().clone()
    train.fit(model, TRAIN, epochs=1, batch_size=32, lr=0.001, loss="rubbish_class", device="cpu", progress=False)
    after = model.C3.full_weight()
    assert torch.equal(after[absent], torch.zeros(36, 5, 5))
    assert (after[~absent] != before[~absent]).any(dim=(1, 2)).all()


def test_a_table_convolution_is_a_full_one_with_a_mask():
    seed_everything(0)
    layer = TableConv2d(4, [(0, 2), (1,), (0, 1, 2, 3)], 3)
    full = layer.full_weight().detach().clone().requires_grad_()
    x = torch.rand(2, 4, 7, 7)
    ours, theirs = layer(x), F.conv2d(x, full, layer.bias)
    torch.testing.assert_close(ours, theirs)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    linked = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    torch.testing.assert_close(layer.weight.grad, full.grad[linked])


@pytest.mark.parametrize("row", [(), (0, 0), (4,), (-1,)])
def test_a_table_with_a_bad_row_is_refused(row):
    with pytest.raises(ValueError, match="map 1 must read maps from 0 to 3, one at least and none twice, given"):
        TableConv2d(4, [(0,), row], 3)


def test_trainable_pooling_is_a_sum_times_a_coefficient_plus_a_bias():
    layer = TrainablePool2d(2)
    x = torch.rand(3, 2, 4, 6)
    torch.testing.assert_close(layer(x), F.avg_pool2d(x, 2), msg="it starts as the average")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -2.0]))
        layer.bias.copy_(torch.tensor([1.0, 3.0]))
    window = x[1, 1, 2:4, 0:2].sum()
    assert layer(x)[1, 1, 1, 0].item() == pytest.approx(float(-2 * window + 3), rel=1e-5)


def test_the_squash_maps_one_to_one():
    squash = ScaledTanh()
    a = torch.tensor([-1.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    assert squash(a)[:2].tolist() == pytest.approx([-0.9999973, 0.9999973], abs=1e-7)
    slope = torch.autograd.grad(squash(a).sum(), a)[0][2]
    assert float(slope) == pytest.approx(1.7159 * 2 / 3)


@pytest.mark.parametrize(("scale", "low", "high"), [("published", -0.1, 1.175), ("unit", 0.0, 1.0)])
def test_the_input_is_padded_and_stretched(scale, low, high):
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 3, 4] = 1
    plane = PaddedInput(2, scale)(image)
    assert plane.shape == (1, 1, 32, 32)
    assert float(plane[0, 0, 5, 6]) == pytest.approx(high)
    assert float(plane.sum()) == pytest.approx(1023 * low + high, rel=1e-5)
    zeros = PaddedInput(2, scale, "zeros")(image)
    assert zeros[0, 0, 0].abs().sum() == 0
    assert torch.equal(zeros[..., 2:-2, 2:-2], plane[..., 2:-2, 2:-2])


def test_initial_weights_stay_within_two_point_four_by_fan_in():
    model = built()
    fan_in = {"C1": 25, "S2": 4, "S4": 4, "C5": 400, "F6": 120}
    for name, inputs in fan_in.items():
        layer = model.get_submodule(name)
        largest = max(float(layer.weight.detach().abs().max()), float(layer.bias.detach().abs().max()))
        assert 0.5 * 2.4 / inputs < largest <= 2.4 / inputs, name
    for row, kernels in zip(C3_TABLE, model.C3.weight.split([len(row) for row in C3_TABLE]), strict=True):
        bound = 2.4 / (25 * len(row))
        assert 0.9 * bound < float(kernels.detach().abs().max()) <= bound


# ---- bitmaps, RBF units and losses


def test_ten_different_bitmaps_of_plus_and_minus_one():
    bitmaps = digit_bitmaps()
    assert bitmaps.shape == (10, 12, 7)
    assert set(bitmaps.unique().tolist()) == {-1.0, 1.0}
    distances = torch.cdist(bitmaps.flatten(1), bitmaps.flatten(1)).square() / 4  # pixels in which they differ
    assert float(distances[~torch.eye(10, dtype=torch.bool)].min()) >= 8


def test_rbf_units_are_equation_7():
    rbf = BitmapRBF(scale=0.5, rubbish=2.0)
    x = torch.randn(3, 84)
    written_out = [[sum((x[n, j] - rbf.prototypes[i, j]) ** 2 for j in range(84)) for i in range(10)] for n in range(3)]
    torch.testing.assert_close(rbf.penalties(x), torch.tensor(written_out), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(rbf(x), 2.0 - 0.5 * rbf.penalties(x))
    assert rbf.penalties(digit_bitmaps().flatten(1)).diag().tolist() == [0] * 10
    assert not list(rbf.parameters())
    assert [p.numel() for p in BitmapRBF(adaptive=True).parameters()] == [840]


@pytest.mark.parametrize("j", [0.5, 3.0])
def test_equation_9_is_cross_entropy_over_eleven_classes(j):
    torch.manual_seed(0)
    y = (5 * torch.rand(6, 10, dtype=torch.float64)).requires_grad_()
    labels = torch.tensor([0, 3, 9, 1, 1, 5])
    equation = (y[range(6), labels] + torch.log(math.exp(-j) + torch.exp(-y).sum(1))).mean()
    eleven = F.cross_entropy(torch.cat([-y, torch.full((6, 1), -j, dtype=torch.float64)], 1), labels)
    ours = losses.rubbish_class(j - y, labels)
    assert float(ours) == pytest.approx(float(equation), rel=1e-12) == float(eleven)
    gradients = [torch.autograd.grad(value, y)[0] for value in (ours, equation, eleven)]
    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], gradients[2])


def test_equation_8_is_the_penalty_of_the_right_class():
    y, labels, j = torch.rand(4, 10), torch.tensor([2, 0, 7, 7]), 1.5
    expected = float(y[range(4), labels].mean())
    assert float(losses.right_penalty(j - y, labels)) == pytest.approx(expected - j)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_reductions_agree_with_each_other_and_with_stacked_runs(name):
    loss = losses.LOSSES[name]
    logits, labels = torch.randn(5, 10, 3), torch.randint(10, (5, 3))
    each = loss(logits, labels, reduction="none")
    assert each.shape == (5, 3)
    for run in range(3):
        torch.testing.assert_close(each[:, run].mean(), loss(logits[:, :, run], labels[:, run]))
        torch.testing.assert_close(each[:, run].sum(), loss(logits[:, :, run], labels[:, run], reduction="sum"))


def test_equation_8_collapses_if_the_prototypes_may_move():
    """With nothing but the right penalty to lower, all prototypes and all F6 outputs become one."""
    model = built(adaptive=True)
    before = torch.pdist(model.output.prototypes).mean()
    history = train.fit(
        model,
        TRAIN,
        epochs=15,
        batch_size=20,
        lr=0.01,
        optimizer="momentum",
        loss="right_penalty",
        device="cpu",
        progress=False,
    )
    assert torch.pdist(model.output.prototypes).mean() < before / 10
    assert history.train_loss[-1] < 1


# ---- the switches


@pytest.mark.parametrize("name", SWITCHES)
def test_each_switch_changes_the_network(name):
    x = torch.rand(2, 1, 28, 28)
    switched = built(**{name: SWITCHES[name]})
    assert switched(x).shape == (2, 10)
    assert not torch.equal(switched(x), built()(x))
    with pytest.raises(ValueError, match=f"{name} 'none' is not known; allowed: .*'{SWITCHES[name]}'"):
        lenet5(**{name: "none"})


def test_all_switches_together_are_the_lenet_of_the_textbook():
    ours = built(**SWITCHES)
    seed_everything(0)
    theirs = lenet()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine.flatten(), other.flatten())
    x = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(ours(x), theirs(x))


def test_the_padding_matters_only_where_the_background_is_not_zero():
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(built(input_scale="unit")(x), built(input_scale="unit", padding="zeros")(x))


def test_logits_and_penalties_tell_the_same():
    model = built(penalty_scale=0.1, rubbish=2.0)
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(model(x), 2.0 - 0.1 * penalties(model, x))


# ---- training


def test_it_learns_with_equation_9():
    model = built(penalty_scale=0.05)
    history = train.fit(
        model,
        TRAIN,
        TEST,
        epochs=8,
        batch_size=20,
        lr=0.06,
        optimizer="momentum",
        schedule="one_cycle",
        loss="rubbish_class",
        device="cpu",
        progress=False,
    )
    assert history.train_loss[-1] < 0.6 * history.train_loss[0]
    assert history.test_accuracy[-1] > 0.6
    assert history.settings["loss"] == "rubbish_class"


def test_the_training_loss_is_that_which_was_asked_for():
    split = TRAIN[:50]
    model = built()
    logits = train.predict(model, split)
    for name, loss in losses.LOSSES.items():
        history = train.fit(built(), split, epochs=1, batch_size=50, lr=0.0, loss=name, device="cpu", progress=False)
        assert history.train_loss[0] == pytest.approx(float(loss(logits, split.labels)), rel=1e-4)


def test_an_ensemble_trains_with_any_loss():
    def networks():
        models = []
        for seed in (0, 1):
            seed_everything(seed)
            models.append(lenet(conv_activation="tanh", dense_activation="tanh"))
        return models

    shared = dict(epochs=1, batch_size=16, loss="rubbish_class")
    outcomes = fit_many(networks(), TRAIN, seeds=(0, 1), lrs=(0.05, 0.02), device="cpu", progress=False, **shared)
    for seed, (model, lr, outcome) in enumerate(zip(networks(), (0.05, 0.02), outcomes, strict=True)):
        alone = train.fit(model, TRAIN, seed=seed, lr=lr, device="cpu", progress=False, **shared)
        assert outcome.history.train_loss == pytest.approx(alone.train_loss, rel=1e-3)
        assert outcome.history.settings["loss"] == "rubbish_class"


@pytest.mark.parametrize("call", [train.fit, lambda model, split, **arguments: runs.complete(arguments)])
def test_an_unknown_loss_lists_those_that_exist(call):
    with pytest.raises(ValueError, match="loss 'mse' is not known; allowed: 'cross_entropy', 'rubbish_class'"):
        call(lenet5(), TRAIN, loss="mse")


@pytest.mark.parametrize("settings", [{}, {"c3": "full"}, {"activation": "sigmoid"}], ids=str)
def test_the_fast_path_computes_the_same(settings):
    model = built(**settings)
    fast = fuse(model)
    assert any(isinstance(layer, PhaseBlock) for layer in fast)
    x, labels = torch.rand(5, 1, 28, 28), torch.randint(10, (5,))
    torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-4)
    gradients = []
    for network in (fast, model):
        model.zero_grad()
        losses.rubbish_class(network(x), labels).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


def test_c5_is_a_convolution_and_a_dense_layer():
    layer = WholeConv2d(3, 4, 5)
    for side, places in ((5, 1), (7, 3)):
        x = torch.rand(2, 3, side, side)
        assert layer(x).shape == (2, 4, places, places)
        torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight, layer.bias))


def test_it_is_not_stacked():
    model = lenet5()
    assert not can_stack(model)
    assert not can_stack(fuse(model[1:4]))
    jobs = [(str(seed), {"model": "lenet5", "batch_size": 16}, seed) for seed in (0, 1)]
    assert group(jobs, torch.device("cpu")) == [[jobs[0]], [jobs[1]]]


# ---- runs


def test_the_keys_of_earlier_runs_are_what_they_were():
    assert runs.key({}, 0) == "84725a716deaff5e"
    literal = {"lr": 1.2, "batch_size": 8, "epochs": 50, "conv_activation": "relu", "dataset": "mnist"}
    assert runs.key(literal, 3) == "f012ca66e5a6b6c1"
    assert runs.key({"loss": "cross_entropy"}, 0) == runs.key({}, 0) != runs.key({"loss": "rubbish_class"}, 0)


def test_a_sequence_is_one_setting_as_tuple_and_as_list():
    assert runs.canonical({"model": "mlp", "hidden": (300,)}) == {"model": "mlp"}
    assert runs.canonical({"model": "mlp", "hidden": (300, 100)}) == {"model": "mlp", "hidden": [300, 100]}
    assert runs.key({"model": "mlp", "hidden": [300, 100]}, 0) == runs.key({"model": "mlp", "hidden": (300, 100)}, 0)
