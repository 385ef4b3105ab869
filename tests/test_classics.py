"""The networks from AlexNet to ResNet against torchvision's, against hand arithmetic, and against bad input."""

import copy
import inspect
import json
from functools import partial

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models.convnext import CNBlock
from torchvision.models.densenet import _DenseLayer
from torchvision.models.mobilenetv2 import InvertedResidual as TorchvisionInvertedResidual

from course_utils.layers import layer_table
from course_utils.models.classics import SMALL, alexnet, convnext, densenet, googlenet, mobilenet, nin, resnet, vgg
from course_utils.models.classics.alexnet import LocalResponseNorm
from course_utils.models.classics.blocks import ConvNeXtBlock, DenseLayer, InvertedResidual, depthwise_separable
from course_utils.models.classics.common import least_size, map_size
from course_utils.models.classics.resnet import Residual, ZeroPadShortcut, residual_block

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def on_meta(build, **settings) -> nn.Module:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return build(**settings)


def torchvisions(name: str, **settings) -> nn.Module:
    if name == "googlenet":
        settings = dict(aux_logits=False, init_weights=False) | settings
    return on_meta(torchvision.models.get_model, name=name, weights=None, **settings)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def random_like(name: str, value: torch.Tensor) -> torch.Tensor:
    """Random weights that keep signals at their size, and normalizations that are not the identity."""
    if not value.is_floating_point():
        return torch.zeros_like(value, device="cpu")
    if value.ndim > 1:
        bound = (6 / value[0].numel()) ** 0.5
        return torch.empty(value.shape).uniform_(-bound, bound)
    is_scale = name.endswith(("var", "weight"))
    return torch.empty(value.shape).uniform_(0.5, 1.5) if is_scale else torch.empty(value.shape).uniform_(-0.2, 0.2)


def share_weights(ours: nn.Module, theirs: nn.Module, keys: list[str] | None = None) -> None:
    """Give both the same random weights, in order, asserting that each shape agrees."""
    own, other = ours.state_dict(), theirs.state_dict()
    keys = [*own] if keys is None else keys
    assert sorted(keys) == sorted(own)
    assert len(keys) == len(other)
    values = []
    for key, name in zip(keys, other, strict=True):
        assert own[key].shape == other[name].shape, (key, name)
        values.append(random_like(name, other[name]))
    ours.load_state_dict(dict(zip(keys, values, strict=True)), assign=True)
    theirs.load_state_dict(dict(zip(other, values, strict=True)), assign=True)


def outputs(model: nn.Module, names: list[str], x: torch.Tensor) -> list[torch.Tensor]:
    """Outputs of some layers by name, and the model's."""
    kept: dict[str, torch.Tensor] = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: kept.update({name: output}))
    with torch.no_grad():
        logits = model.eval()(x)
    return [*(kept[name] for name in names), logits]


# Equal to torchvision

ALEXNET = {"pool1": "features.2", "pool2": "features.5", "conv5_activation": "features.11", "pool5": "features.12"}
INCEPTIONS = {f"inception{name}": f"inception{name}" for name in ("3a", "3b", "4a", "4d", "4e", "5a", "5b")}
STAGES = {"pool1": "maxpool"} | {f"stage{i}": f"layer{i}" for i in (1, 2, 3, 4)}


def pools(*places: int) -> dict[str, str]:
    return {f"block{i}": f"features.{place}" for i, place in enumerate(places, 1)}


ALEXNET_SHAPES = [(64, 27, 27), (192, 13, 13), (256, 13, 13), (256, 6, 6)]
VGG_SHAPES = [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
INCEPTION_SHAPES = [
    (192, 28, 28),
    *[(256, 28, 28), (480, 28, 28)],
    *[(512, 14, 14), (528, 14, 14), (832, 14, 14)],
    *[(832, 7, 7), (1024, 7, 7)],
]
BASIC_SHAPES = [(64, 56, 56), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]
BOTTLENECK_SHAPES = [(64, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]


@pytest.mark.parametrize(
    ("name", "build", "stages", "shapes", "count"),
    [
        ("alexnet", alexnet, ALEXNET, ALEXNET_SHAPES, 61_100_840),
        ("vgg11", partial(vgg, depth=11), pools(2, 5, 10, 15, 20), VGG_SHAPES, 132_863_336),
        ("vgg13", partial(vgg, depth=13), pools(4, 9, 14, 19, 24), VGG_SHAPES, 133_047_848),
        ("vgg16", partial(vgg, depth=16), pools(4, 9, 16, 23, 30), VGG_SHAPES, 138_357_544),
        ("vgg19", partial(vgg, depth=19), pools(4, 9, 18, 27, 36), VGG_SHAPES, 143_667_240),
        ("vgg11_bn", partial(vgg, depth=11, batch_norm=True), pools(3, 7, 14, 21, 28), VGG_SHAPES, 132_868_840),
        ("googlenet", googlenet, {"pool2": "maxpool2"} | INCEPTIONS, INCEPTION_SHAPES, 6_624_904),
        ("resnet18", partial(resnet, depth=18), STAGES, BASIC_SHAPES, 11_689_512),
        ("resnet34", partial(resnet, depth=34), STAGES, BASIC_SHAPES, 21_797_672),
        ("resnet50", resnet, STAGES, BOTTLENECK_SHAPES, 25_557_032),
    ],
)
def test_outputs_equal_torchvisions(name, build, stages, shapes, count):
    ours, theirs = on_meta(build), torchvisions(name)
    assert parameters(ours) == parameters(theirs) == count
    share_weights(ours, theirs)
    image = torch.randn(1, 3, 224, 224)
    found = outputs(ours, [*stages], image)
    wanted = outputs(theirs, [*stages.values()], image)
    assert [tuple(value.shape[1:]) for value in found] == [*shapes, (1000,)]
    for layer, ours_there, theirs_there in zip([*stages, "logits"], found, wanted, strict=True):
        torch.testing.assert_close(ours_there, theirs_there, rtol=1e-5, atol=1e-5, msg=lambda m, at=layer: f"{at}: {m}")
    assert found[-1].std() > 0.1, "the comparison says nothing about outputs that are all the same"


@pytest.mark.parametrize("depth", [101, 152])
def test_the_deepest_have_torchvisions_weights_in_torchvisions_order(depth):
    ours, theirs = on_meta(resnet, depth=depth), torchvisions(f"resnet{depth}")
    assert [v.shape for v in ours.state_dict().values()] == [v.shape for v in theirs.state_dict().values()]
    assert parameters(ours) == {101: 44_549_160, 152: 60_192_808}[depth]


def test_auxiliary_classifiers_equal_torchvisions_in_training():
    ours = on_meta(googlenet, auxiliary_classifiers=True, classes=10, dropout=0.0, image_size=64)
    theirs = torchvisions("googlenet", aux_logits=True, num_classes=10, dropout=0.0, dropout_aux=0.0)

    def place(key: str) -> int:
        return 2 if key.startswith("output") else int(key.startswith("auxiliary"))

    keys = sorted(ours.state_dict(), key=place)  # torchvision's extra classifiers come last but for the output
    share_weights(ours, theirs, keys)
    for extra in (ours.auxiliary1, ours.auxiliary2):
        extra.dropout.p = 0.0
    images = torch.randn(3, 3, 64, 64)
    found, wanted = ours.train()(images), theirs.train()(images)
    assert len(found) == 3
    for ours_there, theirs_there in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours_there, theirs_there, rtol=1e-4, atol=1e-5)
    assert ours.eval()(images).shape == (3, 10)
    assert parameters(on_meta(googlenet, auxiliary_classifiers=True)) == 13_004_888


def test_a_training_step_equals_torchvisions():
    ours, theirs = resnet(depth=18, classes=10, image_size=64), torchvisions("resnet18", num_classes=10)
    share_weights(ours, theirs)
    theirs.load_state_dict({k: v.clone() for k, v in theirs.state_dict().items()}, assign=True)
    images, labels = torch.randn(4, 3, 64, 64), torch.tensor([1, 2, 3, 4])
    for model in (ours.train(), theirs.train()):
        F.cross_entropy(model(images), labels).backward()
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-5)
    for own, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (InvertedResidual(8, 8), TorchvisionInvertedResidual(8, 8, 1, 6)),
        (InvertedResidual(8, 12, 2, 4), TorchvisionInvertedResidual(8, 12, 2, 4)),
        (InvertedResidual(8, 8, 1, 1), TorchvisionInvertedResidual(8, 8, 1, 1)),
        (DenseLayer(8, 4), _DenseLayer(8, 4, bn_size=4, drop_rate=0)),
        (ConvNeXtBlock(8), CNBlock(8, layer_scale=1e-6, stochastic_depth_prob=0)),
    ],
    ids=["inverted", "inverted_stride", "inverted_narrow", "dense", "convnext"],
)
def test_newer_blocks_equal_torchvisions(ours, theirs):
    order = [*ours.state_dict()]
    own, other = ours.state_dict(), theirs.state_dict()
    assert len(own) == len(other)
    for key, name in zip(order, other, strict=True):
        assert own[key].numel() == other[name].numel()  # torchvision writes 1 x 1 convolutions as dense layers there
        value = random_like(name, own[key])
        own[key], other[name] = value, value.reshape(other[name].shape)
    ours.load_state_dict(own)
    theirs.load_state_dict(other)
    x = torch.randn(2, 8, 10, 10)
    wanted = theirs.eval()(x.clone())
    found = ours.eval()(x)
    if isinstance(ours, DenseLayer):
        assert torch.equal(found[:, :8], x)
        found = found[:, 8:]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


# By hand


def test_the_grouped_alexnet_has_the_papers_parameters_and_shapes():
    model = on_meta(alexnet, version="paper")
    convolutions = [(3, 96, 11), (96 // 2, 256, 5), (256, 384, 3), (384 // 2, 384, 3), (384 // 2, 256, 3)]
    dense = [(256 * 6 * 6, 4096), (4096, 4096), (4096, 1000)]
    by_hand = sum(k * k * i * o + o for i, o, k in convolutions) + sum(i * o + o for i, o in dense)
    assert parameters(model) == by_hand == 60_965_224
    table = layer_table(model, (3, 227, 227)).set_index("layer")
    assert table.output_shape[["conv1", "pool1", "pool2", "conv5", "pool5"]].tolist() == [
        (96, 55, 55),
        (96, 27, 27),
        (256, 13, 13),
        (256, 13, 13),
        (256, 6, 6),
    ]
    assert table.macs[["conv1", "conv2"]].tolist() == [55 * 55 * 96 * 3 * 121, 27 * 27 * 256 * 48 * 25]


def test_an_image_of_224_gives_the_paper_version_54_positions():
    table = layer_table(on_meta(alexnet, version="paper", image_size=224), (3, 224, 224)).set_index("layer")
    assert table.output_shape[["conv1", "pool5"]].tolist() == [(96, 54, 54), (256, 5, 5)]


def test_groups_keep_the_halves_apart():
    model = alexnet(small=True, version="paper", lrn=False).eval()
    x = torch.randn(1, 24, 11, 11, requires_grad=True)
    half = model.conv2.out_channels // 2
    model.conv2(x)[:, :half].sum().backward()
    assert x.grad[:, :12].abs().sum() > 0
    assert x.grad[:, 12:].abs().sum() == 0
    assert model.conv3.groups == 1


def test_local_response_normalization_is_the_papers():
    model = alexnet(small=True, lrn=True)
    a = 20 * torch.randn(2, 16, 3, 3)
    b = torch.empty_like(a)
    for i in range(16):
        near = a[:, max(0, i - 2) : i + 3]
        b[:, i] = a[:, i] / (2 + 1e-4 * (near**2).sum(1)) ** 0.75
    torch.testing.assert_close(model.conv1_lrn(a), b)
    assert [name for name, _ in model.named_children() if "lrn" in name] == ["conv1_lrn", "conv2_lrn"]


@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
def test_our_local_response_normalization_is_pytorchs(size):
    ours, theirs = (kind(size, alpha=0.3, beta=0.6, k=1.5) for kind in (LocalResponseNorm, nn.LocalResponseNorm))
    x = torch.randn(3, 7, 5, 4)
    gradients = []
    for layer in (ours, theirs):
        leaf = x.clone().requires_grad_()
        layer(leaf).pow(2).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(*gradients)


def test_local_response_normalization_keeps_its_small_sums_in_bfloat16():
    layer, x = LocalResponseNorm(5, alpha=5e-4, k=2), torch.full((1, 6, 2, 2), 3.0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x.bfloat16()), layer(x))
    assert layer(x).max() < 3 * 2**-0.75


def test_alexnets_ingredients_leave_the_parameters_as_they_are():
    count = parameters(alexnet(small=True))
    for settings in (
        dict(activation="tanh"),
        dict(lrn=True),
        dict(overlapping_pooling=False),
        dict(dropout=0.0),
        dict(initialization="default"),
    ):
        model = alexnet(small=True, **settings)
        assert parameters(model) == count, settings
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert not any(isinstance(m, nn.ReLU) for m in alexnet(small=True, activation="tanh").modules())
    assert parameters(alexnet(small=True, groups=2)) < count


NIN_IMAGENET = [(3, 96, 11), (96, 96, 1), (96, 96, 1), (96, 256, 5), (256, 256, 1), (256, 256, 1)]
NIN_IMAGENET += [(256, 384, 3), (384, 384, 1), (384, 384, 1), (384, 1024, 3), (1024, 1024, 1), (1024, 1000, 1)]
NIN_CIFAR = [(3, 192, 5), (192, 160, 1), (160, 96, 1), (96, 192, 5), (192, 192, 1), (192, 192, 1)]
NIN_CIFAR += [(192, 192, 3), (192, 192, 1), (192, 10, 1)]


@pytest.mark.parametrize(
    ("settings", "convolutions", "count", "shapes"),
    [
        ({}, NIN_IMAGENET, 7_595_176, [54, 27, 27, 13, 13, 6, 6]),
        (dict(small=True, width=4, in_channels=3, image_size=32), NIN_CIFAR, 966_986, [32, 16, 16, 8, 8]),
    ],
)
def test_nin_by_hand(settings, convolutions, count, shapes):
    model = on_meta(nin, **settings)
    side = settings.get("image_size", 224)
    table = layer_table(model, (3, side, side)).set_index("layer")
    assert parameters(model) == sum(k * k * i * o + o for i, o, k in convolutions) == count
    found = table[table.kind == "Conv2d"]
    assert found.parameters.tolist() == [k * k * i * o + o for i, o, k in convolutions]
    blocks = [f"mlpconv{i}.conv1" for i in range(1, len(convolutions) // 3 + 1)]
    places = [name for i, block in enumerate(blocks, 1) for name in (block, f"pool{i}")][:-1]
    assert [table.output_shape[place][1] for place in places] == shapes
    positions = [s for s in shapes[::2] for _ in range(3)]
    assert found.macs.tolist() == [s * s * k * k * i * o for s, (i, o, k) in zip(positions, convolutions, strict=True)]
    assert not (table.kind == "Linear").any()
    assert table.output_shape["global_pool"] == (convolutions[-1][1], 1, 1)


def test_nins_1_by_1_convolutions_are_a_dense_network_at_each_pixel_and_its_logits_are_means():
    model = nin(small=True).eval()
    x = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        block, logits = model.mlpconv3, model(x)
        maps = model[: [*model._modules].index("mlpconv3")](x)
        hidden = F.relu(block.conv1(maps)).permute(0, 2, 3, 1)  # N, H, W, C
        for layer in (block.conv2, block.conv3):
            hidden = F.linear(hidden, layer.weight.flatten(1), layer.bias)
            hidden = F.relu(hidden) if layer is block.conv2 else hidden
    torch.testing.assert_close(hidden.permute(0, 3, 1, 2), block(maps))
    torch.testing.assert_close(hidden.mean((1, 2)), logits)
    assert (logits < 0).any()


def test_googlenet_without_normalization_has_the_papers_parameters():
    table = [(192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64), (480, 192, 96, 208, 16, 48, 64)]
    table += [(512, 160, 112, 224, 24, 64, 64), (512, 128, 128, 256, 24, 64, 64), (512, 112, 144, 288, 32, 64, 64)]
    table += [
        (528, 256, 160, 320, 32, 128, 128),
        (832, 256, 160, 320, 32, 128, 128),
        (832, 384, 192, 384, 48, 128, 128),
    ]
    convolutions = [(3, 64, 7), (64, 64, 1), (64, 192, 3)]
    for i, one, reduce3, three, reduce5, five, pool in table:
        convolutions += [
            (i, one, 1),
            (i, reduce3, 1),
            (reduce3, three, 3),
            (i, reduce5, 1),
            (reduce5, five, 5),
            (i, pool, 1),
        ]
    by_hand = sum(k * k * i * o + o for i, o, k in convolutions) + 1024 * 1000 + 1000
    assert parameters(on_meta(googlenet, large_kernel=5, batch_norm=False)) == by_hand == 6_998_552


def test_branches_stand_side_by_side():
    module = googlenet(small=True).inception3a.eval()
    x = torch.randn(2, module.branch1.conv.in_channels, 7, 7)
    parts = module(x).split([16, 32, 8, 8], dim=1)
    for branch, part in zip((module.branch1, module.branch3, module.branch5, module.branch_pool), parts, strict=True):
        assert torch.equal(branch(x), part)


@pytest.mark.parametrize(
    ("depth", "count"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_small_resnets_by_hand(depth, count):
    n = (depth - 2) // 6
    weights, features = [(3, 16, 9)], 16
    for c in (16, 32, 64):
        weights += [(features, c, 9)] + [(c, c, 9)] * (2 * n - 1)
        features = c
    by_hand = sum(i * o * k + 2 * o for i, o, k in weights) + 64 * 10 + 10
    for shortcut in ("zero_pad", "none"):
        model = on_meta(resnet, small=True, depth=depth, shortcut=shortcut, in_channels=3, image_size=32)
        assert parameters(model) == by_hand == count


def layers_with_weights(model: nn.Module) -> int:
    return sum(isinstance(m, (nn.Conv2d, nn.Linear)) and "shortcut" not in name for name, m in model.named_modules())


@pytest.mark.parametrize(
    ("build", "settings"),
    [
        *[(vgg, dict(depth=depth)) for depth in (11, 13, 16, 19)],
        *[(vgg, dict(depth=depth, small=True)) for depth in (7, 9, 10, 11)],
        *[(resnet, dict(depth=depth)) for depth in (18, 34, 50, 101, 152)],
        *[(resnet, dict(depth=depth, small=True)) for depth in (8, 14, 20, 56)],
        *[(resnet, dict(depth=depth, small=True, bottleneck=True)) for depth in (11, 29)],
    ],
)
def test_depth_is_the_number_of_layers_with_weights(build, settings):
    assert layers_with_weights(on_meta(build, **settings)) == settings["depth"]


def test_resnet_18_for_small_images():
    model = on_meta(resnet, depth=18, stem="small", in_channels=3, classes=10, image_size=32)
    assert parameters(model) == 11_173_962
    assert "pool1" not in dict(model.named_children())


def test_a_pooled_stem_leaves_the_weights_and_a_fourth_of_the_arithmetic():
    whole, pooled = (resnet(small=True, stem=stem) for stem in ("small", "pooled"))
    assert parameters(pooled) == parameters(whole)
    table, quarter = (layer_table(model, (1, 28, 28)) for model in (whole, pooled))
    assert 3.5 < table.macs.sum() / quarter.macs.sum() < 4
    assert pooled.pool1(torch.zeros(1, 16, 28, 28)).shape == (1, 16, 14, 14)


# Residual blocks


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_block_is_what_it_computes_plus_what_it_was_given(bottleneck):
    block = residual_block(16 if not bottleneck else 64, 16, bottleneck=bottleneck).eval()
    x = torch.randn(2, 16 if not bottleneck else 64, 5, 5)
    torch.testing.assert_close(block(x), F.relu(block.residual(x) + x))
    halved = residual_block(16, 32, 2, bottleneck=bottleneck).eval()
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(halved(x), F.relu(halved.residual(x) + halved.shortcut(x)))


def test_the_shortcut_without_parameters_takes_every_second_pixel():
    x = torch.randn(2, 3, 5, 6)
    y = ZeroPadShortcut(3, 8, 2)(x)
    assert y.shape == (2, 8, 3, 3)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert (y[:, 3:] == 0).all()


def test_a_plain_block_adds_nothing():
    block = residual_block(4, 4, shortcut="none").eval()
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(block(x), F.relu(block.residual(x)))


def test_preactivation_leaves_the_shortcut_free():
    block = residual_block(4, 4, preactivation=True).eval()
    assert [name for name, _ in block.residual.named_children()] == [
        *["norm1", "activation1", "conv1"],
        *["norm2", "activation2", "conv2"],
    ]
    nn.init.zeros_(block.residual.conv2.weight)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)
    halved = residual_block(4, 8, 2, preactivation=True).eval()
    before = halved.before(x)
    torch.testing.assert_close(halved(x), halved.residual(before) + halved.shortcut(before))
    assert (before >= 0).all()
    model = resnet(small=True, depth=8, preactivation=True)
    assert [name for name, _ in model.named_children()][-5:] == [
        "norm",
        "activation",
        "global_pool",
        "flatten",
        "output",
    ]
    assert normalization_parameters(model) == 2 * (16 + 16 + 16 + 32 + 32 + 64) + 2 * 64
    assert normalization_parameters(resnet(small=True, depth=8)) == 2 * 16 + 2 * 2 * (16 + 32 + 64) + 2 * (32 + 64)


def normalization_parameters(model: nn.Module) -> int:
    return sum(parameters(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_zero_init_makes_each_block_pass_its_input_on():
    model = resnet(small=True, depth=14, zero_init=True).eval()
    block = model.stage2.block2
    x = torch.rand(2, 32, 14, 14)
    assert torch.equal(block(x), x)
    assert sum(isinstance(m, Residual) for m in model.modules()) == 6


def test_the_stride_of_a_bottleneck_can_stand_in_either_place():
    for first_stride, strides in ((False, [1, 2, 1]), (True, [2, 1, 1])):
        block = residual_block(16, 8, 2, bottleneck=True, first_stride=first_stride)
        assert [m.stride[0] for m in block.residual if isinstance(m, nn.Conv2d)] == strides


def test_a_depthwise_separable_convolution_costs_a_ninth_and_a_bit():
    table = layer_table(depthwise_separable(64, 128), (64, 14, 14))
    assert table.macs.sum() == 14 * 14 * 64 * (9 + 128)
    assert table.macs.sum() / (14 * 14 * 64 * 9 * 128) == pytest.approx(1 / 9 + 1 / 128)


# Tables and receptive fields


@pytest.mark.parametrize(
    ("build", "settings", "layer", "field"),
    [
        (alexnet, {}, "conv5", 163),
        (alexnet, {}, "pool5", 195),
        (alexnet, dict(version="paper"), "conv5", 163),
        (vgg, {}, "block5.conv3", 196),
        (vgg, {}, "block5.pool", 212),
        (resnet, dict(depth=18), "stage4.block2.after", 435),
        (resnet, dict(depth=34), "stage4.block3.after", 899),
        (resnet, {}, "stage4.block3.after", 427),
        (resnet, dict(first_stride=True), "stage4.block3.after", 483),
        (resnet, dict(depth=101), "stage4.block3.after", 971),
        (resnet, dict(depth=152, first_stride=True), "stage4.block3.after", 1507),
    ],
)
def test_receptive_fields(build, settings, layer, field):
    side = 227 if settings.get("version") == "paper" else 224
    row = layer_table(on_meta(build, **settings), (3, side, side)).set_index("layer").loc[layer]
    assert row.receptive_field == field
    assert row.stride == (16 if layer in ("conv5", "block5.conv3") else 32)


VARIANTS = SMALL | {
    "alexnet_paper": partial(alexnet, small=True, version="paper"),
    "vgg_norm": partial(vgg, small=True, batch_norm=True),
    "nin_norm": partial(nin, small=True, batch_norm=True),
    "googlenet_paper": partial(googlenet, small=True, batch_norm=False, large_kernel=5),
    "resnet_plain": partial(resnet, small=True, depth=8, shortcut="none"),
    "resnet_zero_pad": partial(resnet, small=True, depth=8, shortcut="zero_pad"),
    "resnet_preactivation": partial(resnet, small=True, depth=8, preactivation=True),
    "resnet_plain_preactivation": partial(resnet, small=True, depth=8, preactivation=True, shortcut="none"),
    "resnet_bottleneck": partial(resnet, small=True, depth=11, bottleneck=True),
    "resnet_pooled": partial(resnet, small=True, depth=8, stem="pooled", width=2.0),
    "resnet_18": partial(resnet, depth=18, stem="small", width=0.125, in_channels=1, classes=10, image_size=28),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_small_networks_have_a_table_and_learn_in_all_their_weights(name):
    model = VARIANTS[name]()
    table = layer_table(model, (1, 28, 28), activations=True)
    assert table.parameters.sum() == parameters(model) - (0 if name != "convnext_small" else 3 * 32 + 3 * 64)
    assert not table[table.kind == "Conv2d"].receptive_field.isna().any()
    assert table.output_shape.iloc[-1] == (10,)
    assert table.macs.sum() < 25e6 or "googlenet" in name
    logits = model(torch.rand(4, 1, 28, 28))
    assert logits.shape == (4, 10)
    F.cross_entropy(logits, torch.arange(4)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def test_small_networks_divide_the_image_as_described():
    def sides(name: str, *layers: str) -> list[int]:
        table = layer_table(SMALL[name](), (1, 28, 28)).set_index("layer")
        return [table.output_shape[layer][1] for layer in layers]

    assert sides("alexnet_small", "conv1", "pool1", "pool2", "pool5") == [23, 11, 5, 2]
    assert sides("vgg_small", "block1.pool", "block2.pool", "block3.pool") == [14, 7, 3]
    assert sides("nin_small", "mlpconv1.conv3", "pool1", "pool2", "mlpconv3.conv3") == [28, 14, 7, 7]
    assert sides("googlenet_small", "pool2", "pool3", "pool4") == [14, 7, 4]
    assert sides("resnet_small", "stage1.block2.after", "stage2.block2.after", "stage3.block2.after") == [28, 14, 7]
    assert sides("densenet_small", "conv1", "transition1.pool", "transition2.pool") == [14, 7, 3]
    assert sides("convnext_small", "halve1", "halve2") == [14, 7]


def test_presets_name_all_their_settings():
    for name, build in SMALL.items():
        settings = {key: parameter.default for key, parameter in inspect.signature(build).parameters.items()}
        assert json.loads(json.dumps(settings)) == settings, name
        assert {"initialization", "in_channels", "classes", "image_size", "width"} <= set(settings)


def test_a_seed_fixes_the_weights():
    for build in (SMALL["vgg_small"], SMALL["resnet_small"]):
        first, second = (torch.manual_seed(seed) and build().state_dict() for seed in (5, 5))
        assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_he_initialization_spares_the_layer_that_gives_the_logits():
    model = vgg(small=True, width=4)
    assert model.fc2.weight.std().item() == pytest.approx((2 / 2048) ** 0.5, rel=0.02)
    assert model.output.weight.std().item() == pytest.approx((1 / 3 / 2048) ** 0.5, rel=0.02)


def test_copies_slices_and_states_work():
    model = resnet(small=True, depth=8).eval()
    x = torch.rand(2, 1, 28, 28)
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(x), model(x))
    assert model[:4](x).shape == (2, 16, 28, 28)
    assert model[4:5](torch.rand(2, 16, 28, 28)).shape == (2, 32, 14, 14)
    assert model(torch.rand(2, 1, 40, 33)).shape == (2, 10)


# Bad input


@pytest.mark.parametrize(
    ("build", "least", "layer"),
    [
        (alexnet, 63, "pool5"),
        (partial(alexnet, version="paper"), 67, "pool5"),
        (vgg, 32, "block5.pool"),
        (partial(vgg, depth=11), 32, "block5.pool"),
        (nin, 39, "pool3"),
        (googlenet, 15, "pool3"),
        (partial(alexnet, small=True), 20, "pool5"),
        (partial(vgg, small=True), 8, "block3.pool"),
        (partial(nin, small=True), 4, "pool2"),
        (partial(googlenet, small=True), 4, "pool3"),
        (densenet, 7, "transition2.pool"),
        (convnext, 4, "halve2"),
    ],
)
def test_an_image_that_is_too_small_says_which_layer_and_which_size_works(build, least, layer):
    model = on_meta(build, image_size=least).eval()
    channels = model.in_channels
    with pytest.raises(ValueError, match=rf"at {layer} a \d x \d window does not fit .* least image_size is {least}$"):
        on_meta(build, image_size=least - 1)
    with pytest.raises(ValueError, match=rf"image_size 1 is too small: at .* the least image_size is {least}$"):
        on_meta(build, image_size=1)
    model(torch.zeros(1, channels, least, least, device="meta"))
    with pytest.raises(ValueError, match=rf"given \(1, {channels}, {least - 1}, {least - 1}\)"):
        model(torch.zeros(1, channels, least - 1, least - 1, device="meta"))
    with pytest.raises(RuntimeError):  # PyTorch agrees
        nn.Sequential(*model.children())(torch.zeros(1, channels, least - 1, least - 1, device="meta"))


def test_least_sizes_are_those_that_torchvision_documents():
    for name, build in {"alexnet": alexnet, "vgg16": vgg, "googlenet": googlenet, "resnet50": resnet}.items():
        least = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta["min_size"][0]
        assert on_meta(build, image_size=least).eval()(torch.zeros(1, 3, least, least, device="meta")).shape == (
            1,
            1000,
        )
        if least > 1:
            with pytest.raises(ValueError, match=f"least image_size is {least}"):
                on_meta(build, image_size=least - 1)


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_map_sizes_are_pytorchs(kernel, ceil_mode):
    for stride in (1, 2, 3):
        for padding in range(kernel // 2 + 1):
            pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil_mode)
            least = least_size(pool)
            for size in range(least, least + 8):
                assert map_size(pool, size) == pool(torch.zeros(1, 1, size, size)).shape[-1]
            if least > 1:
                with pytest.raises(RuntimeError):
                    pool(torch.zeros(1, 1, least - 1, least - 1))


def test_images_of_another_shape_are_refused_in_words():
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\), given \(2, 3, 28, 28\)"):
        vgg(small=True)(torch.zeros(2, 3, 28, 28))
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\), given \(2, 1, 28, 32\)"):
        vgg(small=True)(torch.zeros(2, 1, 28, 32))
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\) with H and W at least 4, given \(28, 28\)"):
        nin(small=True)(torch.zeros(28, 28))
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\) with H and W at least 1, given \(1, 1, 28, 28\)"):
        on_meta(resnet)(torch.zeros(1, 1, 28, 28, device="meta"))
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\) with H and W at least 4, given \(1, 1, 28, 3\)"):
        googlenet(small=True)(torch.zeros(1, 1, 28, 3))
    with pytest.raises(ValueError, match=r"the model cannot take an image of shape \(3, 28, 28\)"):
        layer_table(vgg(small=True), (3, 28, 28))


ALL = {"alexnet": alexnet, "vgg": vgg, "nin": nin, "googlenet": googlenet, "resnet": resnet}
ALL |= {"densenet": densenet, "mobilenet": mobilenet, "convnext": convnext}


@pytest.mark.parametrize("name", ALL)
def test_numbers_out_of_range_are_refused(name):
    build = partial(on_meta, ALL[name])
    for width in (0, -1.0, float("nan"), float("inf"), "wide", True, None):
        with pytest.raises(ValueError, match="width must be a positive number, given"):
            build(width=width)
    with pytest.raises(
        ValueError, match=r"width 0.001 is too small: it leaves \w+ without channels, of \d+ at width 1"
    ):
        build(width=0.001)
    for what in ("in_channels", "classes", "image_size"):
        for value in (0, -3, 2.0, "3", True):
            with pytest.raises(ValueError, match=f"{what} must be a positive integer, given {value!r}"):
                build(**{what: value})
    with pytest.raises(ValueError, match="initialization 'magic' is not known; allowed: 'default', 'xavier'"):
        build(initialization="magic")
    if "dropout" in inspect.signature(ALL[name]).parameters:
        for value in (1.0, -0.1, "half", True):
            with pytest.raises(ValueError, match="dropout must be a number from 0 up to but without 1, given"):
                build(dropout=value)


@pytest.mark.parametrize(
    ("build", "settings", "message"),
    [
        (vgg, dict(depth=12), "depth 12 is not known; allowed: 11, 13, 16, 19"),
        (vgg, dict(depth="16"), "depth '16' is not known"),
        (vgg, dict(depth=[16]), r"depth \[16\] is not known"),
        (vgg, dict(small=True, depth=16), "depth 16 is not known; allowed: 7, 9, 10, 11"),
        (resnet, dict(depth=20), "depth 20 is not known; allowed: 18, 34, 50, 101, 152"),
        (resnet, dict(small=True, depth=18), r"must be 6n \+ 2 \(8, 14, 20, ...\), given 18"),
        (resnet, dict(small=True, depth=2), r"must be 6n \+ 2 \(8, 14, 20, ...\), given 2"),
        (resnet, dict(small=True, depth=26, bottleneck=True), r"must be 9n \+ 2 \(11, 20, 29, ...\)"),
        (resnet, dict(depth=18, bottleneck=True), "bottleneck must be False at depth 18, given True"),
        (
            resnet,
            dict(shortcut="identity"),
            "shortcut 'identity' is not known; allowed: 'projection', 'zero_pad', 'none'",
        ),
        (resnet, dict(stem="tiny"), "stem 'tiny' is not known; allowed: 'imagenet', 'small', 'pooled'"),
        (resnet, dict(zero_init=True, preactivation=True), "zero_init needs blocks that end on a normalization"),
        (alexnet, dict(version="caffe"), "version 'caffe' is not known; allowed: 'torchvision', 'paper'"),
        (alexnet, dict(activation="step"), "activation 'step' is not known"),
        (alexnet, dict(groups=3), "groups must be 1 or 2, given 3"),
        (googlenet, dict(large_kernel=7), "large_kernel must be 3 or 5, given 7"),
        (densenet, dict(growth=0), "growth must be a positive integer"),
        (densenet, dict(layers_per_block=1.5), "layers_per_block must be a positive integer"),
        (mobilenet, dict(expansion=0), "expansion must be a positive integer"),
    ],
)
def test_unknown_variants_are_refused(build, settings, message):
    with pytest.raises(ValueError, match=message):
        on_meta(build, **settings)


def test_width_multiplies_the_channels():
    assert [s.block1.residual.conv2.out_channels for s in resnet(small=True, depth=8, width=1.5)[3:6]] == [24, 48, 96]
    assert vgg(small=True, width=1.5).block2.conv1.out_channels == 48
    assert alexnet(small=True, version="paper", width=0.3).conv2.out_channels % 2 == 0
    assert nin(small=True, width=0.5).mlpconv3.conv3.out_channels == 10
