import pandas as pd
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from course_utils.layers import layer_table
from course_utils.models import lenet

pytestmark = pytest.mark.usefixtures("one_thread")

LENET = """
C1             Conv2d     6x28x28     156  117600   5  1
C1_activation  Sigmoid    6x28x28       0       0   5  1
S2             AvgPool2d  6x14x14       0       0   6  2
C3             Conv2d     16x10x10   2416  240000  14  2
C3_activation  Sigmoid    16x10x10      0       0  14  2
S4             AvgPool2d  16x5x5        0       0  16  4
flatten        Flatten    400           0       0  28  -
F5             Linear     120       48120   48000  28  -
F5_activation  Sigmoid    120           0       0  28  -
F6             Linear     84        10164   10080  28  -
F6_activation  Sigmoid    84            0       0  28  -
output         Linear     10          850     840  28  -
"""


def test_lenets_table_has_the_numbers_found_by_hand():
    table = layer_table(lenet(), (1, 28, 28))
    assert [*table.columns] == [
        "layer",
        "kind",
        "output_shape",
        "parameters",
        "macs",
        "receptive_field",
        "stride",
    ]
    rows = [line.split() for line in LENET.strip().splitlines()]
    assert len(table) == len(rows)
    for found, (layer, kind, shape, parameters, macs, field, stride) in zip(table.itertuples(), rows, strict=True):
        assert (found.layer, found.kind) == (layer, kind)
        assert found.output_shape == tuple(map(int, shape.split("x")))
        assert (found.parameters, found.macs, found.receptive_field) == (int(parameters), int(macs), int(field))
        assert (pd.isna(found.stride) and stride == "-") or found.stride == int(stride)
    assert table.parameters.sum() == 61_706
    assert table.macs.sum() == 416_520


def test_activations_are_counted_on_request():
    table = layer_table(lenet(), (1, 28, 28), activations=True)
    assert table.columns[-1] == "activations"
    assert [*table.activations] == [4704, 4704, 1176, 1600, 1600, 400, 0, 120, 120, 84, 84, 10]


def on_meta(name: str, **settings: object) -> nn.Module:
    """A network of torchvision without memory for its weights: building it takes no time."""
    with torch.device("meta"):
        return torchvision.models.get_model(name, weights=None, **settings)


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("alexnet", 61_100_840, 714_188_480),
        ("vgg11", 132_863_336, 7.609e9),
        ("vgg16", 138_357_544, 15.470e9),
        ("googlenet", 6_624_904, 1.498e9),
        ("resnet18", 11_689_512, 1.814e9),
        ("resnet34", 21_797_672, 3.664e9),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("densenet121", 7_978_856, 2.834e9),
        ("mobilenet_v2", 3_504_872, 0.301e9),
        ("efficientnet_b0", 5_288_548, 0.386e9),
    ],
)
def test_torchvisions_networks_have_their_published_totals(name, parameters, macs):
    settings = dict(init_weights=False) if name == "googlenet" else {}
    table = layer_table(on_meta(name, **settings), (3, 224, 224))
    assert table.parameters.sum() == parameters
    assert table.macs.sum() == (macs if isinstance(macs, int) else pytest.approx(macs, abs=0.0005e9))


def test_convnexts_dense_layers_are_counted_at_every_position():
    table = layer_table(on_meta("convnext_tiny"), (3, 224, 224))
    assert table.macs.sum() == pytest.approx(4.456e9, abs=0.0005e9)
    assert table[table.layer == "features.7.2.block.3"].stride.item() == 32


@pytest.mark.parametrize(
    ("name", "layer", "field", "stride"),
    [
        ("alexnet", "features.0", 11, 4),
        ("alexnet", "features.10", 163, 16),
        ("vgg16", "features.28", 196, 16),
        ("vgg16", "features.30", 212, 32),
        ("resnet18", "layer4.1.conv2", 435, 32),
        ("resnet50", "layer4.2.conv2", 427, 32),
    ],
)
def test_receptive_fields_of_well_known_layers(name, layer, field, stride):
    row = layer_table(on_meta(name), (3, 224, 224)).set_index("layer").loc[layer]
    assert (row.receptive_field, row.stride) == (field, stride)


def seen_pixels(model: nn.Module, side: int) -> int:
    """Side of the patch of pixels that moves one value in the middle of the map."""
    x = torch.ones(1, 1, side, side, dtype=torch.double, requires_grad=True)
    for parameter in model.double().parameters():
        parameter.data = torch.rand_like(parameter) + 0.1
    output = model.eval()(x)
    output[0, 0, output.shape[2] // 2, output.shape[3] // 2].backward()
    return int((x.grad[0, 0].abs().sum(0) > 0).sum())


class Branches(nn.Module):
    """A wide and a narrow way, added and then concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, stride=2)
        self.wide = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 5, padding=2))
        self.narrow = nn.Conv2d(2, 2, 1)
        self.after = nn.Conv2d(4, 1, 3)

    def forward(self, x):
        x = self.stem(x)
        return self.after(torch.cat([self.narrow(x), self.wide(x) + x], dim=1))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3)), 5),
        (nn.Sequential(nn.Conv2d(1, 2, 5, padding=2), nn.AvgPool2d(2), nn.Conv2d(2, 1, 5), nn.AvgPool2d(2)), 16),
        (nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 2)), 9),
        (nn.Sequential(nn.AvgPool2d(3, 2), nn.Sigmoid(), nn.Conv2d(1, 1, 4, stride=3)), 9),
        (Branches(), 19),
    ],
)
def test_receptive_fields_are_what_gradients_measure(model, expected):
    table = layer_table(model, (1, 63, 63))
    assert table.receptive_field.iloc[-1] == expected
    assert seen_pixels(model, 63) == expected


@pytest.mark.parametrize("pooling", ["avg", "max", "mixed", "stochastic", "strided_conv"])
def test_every_pooling_of_lenet_has_its_row_and_its_window(pooling):
    table = layer_table(lenet(pooling=pooling), (1, 28, 28)).set_index("layer")
    assert [*table.loc[["S2", "C3", "S4"]].receptive_field] == [6, 14, 16]
    assert [*table.loc[["S2", "C3", "S4"]].stride] == [2, 2, 4]
    assert table.loc["S4"].output_shape == (16, 5, 5)


def test_modules_that_are_not_pytorchs_have_a_row():
    table = layer_table(lenet(conv_activation="scaled_tanh", batch_norm=True), (1, 28, 28))
    assert "ScaledTanh" in [*table.kind]
    assert table[table.layer == "C1_norm"].parameters.item() == 12


def test_a_module_that_is_called_twice_has_two_rows():
    relu = nn.ReLU()
    assert [*layer_table(nn.Sequential(relu, nn.Conv2d(1, 1, 1), relu), (1, 4, 4)).kind] == ["ReLU", "Conv2d", "ReLU"]


def test_after_global_pooling_a_value_sees_the_whole_image():
    table = layer_table(nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1)), (1, 9, 12))
    assert [*table.receptive_field] == [3, 12, 12]
    assert table.stride.isna().tolist() == [False, True, True]


def test_adaptive_pooling_that_changes_nothing_changes_nothing():
    table = layer_table(nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(7)), (1, 9, 9))
    assert [*table.receptive_field] == [3, 3]


class Meeting(nn.Module):
    """A branch whose field is known meets one whose field is not."""

    def __init__(self) -> None:
        super().__init__()
        self.known, self.after = nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.Conv2d(2, 1, 1)

    def forward(self, x):
        return self.after(torch.cat([self.known(x), x[:, :, ::2, ::2]], dim=1))


def test_where_branches_meet_one_unknown_field_makes_it_unknown():
    assert layer_table(Meeting(), (1, 8, 8)).receptive_field.isna().tolist() == [False, True]


class Functional(nn.Module):
    def __init__(self, step) -> None:
        super().__init__()
        self.step = step
        self.first, self.second = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3)

    def forward(self, x):
        return self.second(self.step(self.first(x)))


@pytest.mark.parametrize(
    "step", [lambda x: F.max_pool2d(x, 2), lambda x: x[:, :, ::2, ::2], lambda x: F.interpolate(x, scale_factor=2)]
)
def test_a_field_that_is_not_known_is_not_invented(step):
    table = layer_table(Functional(step), (1, 16, 16))
    assert table.receptive_field.isna().tolist() == [False, True]
    assert table.output_shape.iloc[-1] == tuple(Functional(step)(torch.zeros(1, 1, 16, 16)).shape[1:])


@pytest.mark.parametrize(
    "step", [lambda x: F.pad(x, (1, 1, 1, 1)), torch.relu, lambda x: x + 1, lambda x: x.permute(0, 1, 3, 2)]
)
def test_functions_that_move_nothing_keep_the_field(step):
    assert [*layer_table(Functional(step), (1, 16, 16)).receptive_field] == [3, 5]


def test_images_need_not_be_square():
    table = layer_table(nn.Sequential(nn.Conv2d(3, 2, 3), nn.MaxPool2d(2), nn.Flatten()), (3, 10, 20))
    assert [*table.output_shape] == [(2, 8, 18), (2, 4, 9), (72,)]
    assert [*table.receptive_field] == [3, 4, 20]
    assert table.macs.iloc[0] == 3 * 2 * 9 * 8 * 18


def test_grouped_convolutions_cost_less():
    table = layer_table(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4)), (4, 5, 5))
    assert (table.parameters.item(), table.macs.item()) == (40, 36 * 9)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten())
    model.train()
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    layer_table(model, (1, 8, 8))
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_the_mode_comes_back_after_an_error():
    model = lenet().train()
    with pytest.raises(ValueError, match=r"the model cannot take an image of shape \(3, 28, 28\)"):
        layer_table(model, (3, 28, 28))
    assert all(module.training for module in model.modules())


def test_a_network_that_acts_otherwise_in_training_is_seen_in_evaluation():
    model = on_meta("googlenet", init_weights=False).train()
    assert not any("aux" in layer for layer in layer_table(model, (3, 224, 224)).layer)


@pytest.mark.parametrize("shape", [(28, 28), (1, 1, 28, 28), (1, 0, 28), (1, -28, 28), (1, 28.0, 28), ()])
def test_a_bad_input_shape_says_what_is_allowed(shape):
    with pytest.raises(ValueError, match=r"input_shape must be \(channels, height, width\), all positive, given"):
        layer_table(lenet(), shape)


@pytest.mark.parametrize("shape", [(1, 27, 5), (1, 32, 32), (2, 28, 28)])
def test_an_image_that_does_not_fit_says_its_shape(shape):
    with pytest.raises(ValueError, match="the model cannot take an image of shape"):
        layer_table(lenet(), shape)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 1, (3, 5)),
        nn.Conv2d(1, 1, 3, stride=(1, 2)),
        nn.MaxPool2d((2, 1)),
        nn.Conv2d(1, 1, 3, dilation=(1, 2)),
    ],
)
def test_windows_that_are_not_square_are_refused(layer):
    with pytest.raises(ValueError, match="square windows only"):
        layer_table(nn.Sequential(layer), (1, 9, 9))
