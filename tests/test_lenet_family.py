"""The nets before LeNet-5: counts as published, tables, and what they say no to."""

import pytest
import torch
from sample import load_sample
from torch import nn

from course_utils import runs, train
from course_utils.device import seed_everything
from course_utils.models import lenet1, lenet4_like, linear, mlp
from course_utils.models.lecun_layers import PaddedInput, count_connections, initialize
from course_utils.models.lenet_family import LENET1_TABLE, LENET4_TABLE, PairedPool2d

pytestmark = pytest.mark.usefixtures("one_thread")

TRAIN = load_sample().train
BUILDERS = {"linear": linear, "mlp": mlp, "lenet1": lenet1, "lenet4_like": lenet4_like}


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_lenet1_has_the_published_counts():
    counts = count_connections(lenet1())
    assert {name: tuple(c.values()) for name, c in counts.items()} == {
        "H1": (104, 59_904),
        "H2": (8, 2_880),
        "H3": (512, 32_768),
        "H4": (24, 960),
        "output": (1_930, 1_930),
    }
    assert sum(c["connections"] for c in counts.values()) == 98_442
    assert parameters(lenet1()) == 2_578


def test_the_table_of_lenet1_column_by_column():
    columns = [{h3 + 1 for h3, row in enumerate(LENET1_TABLE) if h2 in row} for h2 in range(4)]
    assert columns == [{1, 2, 3, 5, 6}, {2, 3, 4, 5, 6}, {7, 8, 9, 11, 12}, {8, 9, 10, 11, 12}]
    assert sum(map(len, LENET1_TABLE)) == 20


def test_lenet4_like_has_the_connections_of_lenet4_but_not_its_parameters():
    counts = count_connections(lenet4_like())
    assert sum(c["connections"] for c in counts.values()) == 262_306
    assert parameters(lenet4_like()) == 50_698
    assert counts["C5"]["parameters"] == 48_120


def test_the_table_of_lenet4_like():
    links = [link for row in LENET4_TABLE for link in row]
    assert len(LENET4_TABLE) == len(set(LENET4_TABLE)) == 16
    assert [links.count(source) for source in range(8)] == [6] * 8
    assert {len(row) for row in LENET4_TABLE} == {3}


def test_paired_pooling_makes_two_maps_of_one():
    layer = PairedPool2d((0, 0, 1, 1))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    x = torch.rand(2, 2, 4, 4)
    total = 4 * nn.functional.avg_pool2d(x, 2)
    expected = torch.stack([total[:, 0], 2 * total[:, 0], 3 * total[:, 1], 4 * total[:, 1]], 1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("hidden", "count"), [((), 7_850), ((300,), 238_510), ((300, 100), 266_610), ((1000,), 795_010)], ids=str
)
def test_parameters_of_dense_nets(hidden, count):
    model = mlp(hidden=hidden)
    assert parameters(model) == count
    assert sum(c["connections"] for c in count_connections(model).values()) == count


def test_linear_is_an_mlp_without_hidden_layers():
    seed_everything(0)
    first = linear()
    seed_everything(0)
    second = mlp(hidden=())
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(first(x), second(x))
    pixels = 1.275 * x.flatten(1) - 0.1
    torch.testing.assert_close(first(x), pixels @ first.output.weight.T + first.output.bias)


def test_lenet1_shrinks_its_digits_and_keeps_the_plane():
    image = torch.zeros(1, 1, 28, 28)
    image[..., 4:24, 4:24] = 1
    plane = PaddedInput(3, "unit", size=22)(image)
    assert plane.shape == (1, 1, 28, 28)
    bright = (plane[0, 0] > 0.5).any(0)
    assert int(bright.sum()) in (15, 16)
    assert torch.equal(lenet1(digits="20x20").input(image), PaddedInput(0)(image))


@pytest.mark.parametrize("name", BUILDERS)
def test_every_net_gives_logits_and_learns(name):
    seed_everything(0)
    model = BUILDERS[name]()
    history = train.fit(
        model, TRAIN, epochs=6, batch_size=20, lr=0.01, optimizer="momentum", device="cpu", progress=False
    )
    assert history.train_loss[-1] < 0.75 * history.train_loss[0]
    runs.check({"model": name, "dataset": "mnist"})


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("setting", ["digits", "activation", "input_scale", "initialization"])
def test_bad_names_are_refused_with_those_that_exist(name, setting):
    if setting not in runs.complete({"model": name})[1]:
        pytest.skip(f"{name} has no {setting}")
    with pytest.raises(ValueError, match=f"{setting} 'none' is not known; allowed: '"):
        BUILDERS[name](**{setting: "none"})


@pytest.mark.parametrize("hidden", [(0,), (300, -1), (2.5,)])
def test_hidden_layers_need_units(hidden):
    with pytest.raises(ValueError, match="hidden must be a positive integer"):
        mlp(hidden=hidden)


@pytest.mark.parametrize("how", ["lecun", "xavier"])
def test_initial_bounds_of_a_dense_net(how):
    seed_everything(0)
    model = mlp(initialization=how)
    bound = {"lecun": 2.4 / 784, "xavier": (6 / (784 + 300)) ** 0.5}[how]
    assert 0.99 * bound < float(model.F1.weight.abs().max()) <= bound


def test_xavier_leaves_no_weight_where_there_is_no_link():
    seed_everything(0)
    model = lenet1(initialization="xavier")
    bound = (6 / (25 * (4 + 12))) ** 0.5
    assert model.H3.weight.shape == (20, 5, 5)
    assert 0.9 * bound < float(model.H3.weight.abs().max()) <= bound
    initialize(model, "lecun")
    assert float(model.H1.weight.abs().max()) <= 2.4 / 25
