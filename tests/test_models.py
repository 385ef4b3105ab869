import copy
import math

import pytest
import torch
from sample import load_sample
from torch import nn
from torch.nn import functional as F

from course_utils.models import lenet
from course_utils.models.lenet import (
    ACTIVATIONS,
    INITIALIZATIONS,
    POOLINGS,
    MixedPool2d,
    ScaledTanh,
    StochasticPool2d,
)
from course_utils.models.phases import PhaseBlock, fuse

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def pixels(count: int = 4) -> torch.Tensor:
    return load_sample().train.images[:count].float() / 255


def d2l_network() -> nn.Sequential:
    """The network as *Dive into Deep Learning* prints it."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        nn.Sigmoid(),
        nn.Linear(84, 10),
    )


def gradients(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    return [parameter.grad for parameter in model.parameters()]


# LeNet


def test_lenet_has_the_published_shapes_and_parameters():
    x, shapes = pixels(2), {}
    model = lenet()
    for name, layer in model.named_children():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    assert shapes == {
        "C1": (6, 28, 28),
        "C1_activation": (6, 28, 28),
        "S2": (6, 14, 14),
        "C3": (16, 10, 10),
        "C3_activation": (16, 10, 10),
        "S4": (16, 5, 5),
        "flatten": (400,),
        "F5": (120,),
        "F5_activation": (120,),
        "F6": (84,),
        "F6_activation": (84,),
        "output": (10,),
    }
    parameters = {
        name: sum(p.numel() for p in layer.parameters())
        for name, layer in model.named_children()
        if [*layer.parameters()]
    }
    assert parameters == {"C1": 156, "C3": 2416, "F5": 48_120, "F6": 10_164, "output": 850}
    assert sum(parameters.values()) == 61_706


def test_lenet_is_d2ls_network_in_output_and_gradients():
    ours, theirs = lenet(), d2l_network()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        other.data.copy_(mine.data)
    x, y = pixels(), load_sample().train.labels[:4]
    assert torch.equal(ours(x), theirs(x))
    for mine, other in zip(gradients(ours, x, y), gradients(theirs, x, y), strict=True):
        assert torch.equal(mine, other)


def test_lenet_draws_its_weights_as_d2l_does():
    def d2l_init(layer):
        if type(layer) in (nn.Linear, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)

    torch.manual_seed(5)
    theirs = d2l_network().apply(d2l_init)
    torch.manual_seed(5)
    ours = lenet()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


ACTIVATION_FORMULAS = {
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
    "relu": lambda a: max(a, 0),
    "tanh": math.tanh,
    "scaled_tanh": lambda a: 1.7159 * math.tanh(2 / 3 * a),
    "leaky_relu": lambda a: a if a > 0 else 0.01 * a,
    "gelu": lambda a: a * 0.5 * (1 + math.erf(a / math.sqrt(2))),
}


def test_every_activation_and_pooling_has_its_test():
    assert set(ACTIVATION_FORMULAS) == set(ACTIVATIONS)
    assert set(POOLINGS) == {"avg", "max", "mixed", "stochastic", "strided_conv"}
    assert set(INITIALIZATIONS) == {"default", "xavier", "he", "zeros"}


@pytest.mark.parametrize("name", ACTIVATION_FORMULAS)
def test_an_activation_does_what_its_name_says_where_it_was_asked_for(name):
    model = lenet(conv_activation=name)
    a = torch.linspace(-3, 3, 13)
    expected = torch.tensor([ACTIVATION_FORMULAS[name](float(value)) for value in a])
    for layer in (model.C1_activation, model.C3_activation):
        torch.testing.assert_close(layer(a), expected)
    assert isinstance(model.F5_activation, nn.Sigmoid)
    other = lenet(dense_activation=name)
    torch.testing.assert_close(other.F6_activation(a), expected)
    assert isinstance(other.C1_activation, nn.Sigmoid)
    assert model(pixels()).shape == other(pixels()).shape == (4, 10)


def test_scaled_tanh_maps_one_to_one():
    squashed = ScaledTanh()(torch.tensor([1.0, -1.0, 0.0, 50.0]))
    assert squashed[:2].tolist() == pytest.approx([0.9999973, -0.9999973], abs=1e-6)
    assert squashed[2:].tolist() == pytest.approx([0, 1.7159])


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (1, 2), (2, 1), (3, 2), (1, 1)])
@pytest.mark.parametrize("name", [*POOLINGS])
def test_each_pooling_has_the_shape_of_average_pooling(name, size, stride):
    x = torch.rand(2, 6, 9, 9)
    assert POOLINGS[name](6, size, stride)(x).shape == F.avg_pool2d(x, size, stride).shape


@pytest.mark.parametrize(("name", "function"), [("avg", F.avg_pool2d), ("max", F.max_pool2d)])
def test_average_and_maximum_are_pytorchs(name, function):
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(POOLINGS[name](3, 2, 2)(x), function(x, 2, 2))


def test_mixed_pooling_is_half_average_half_maximum():
    x = torch.tensor([[1.0, 2, 5, 5], [3, 6, 5, 5]]).view(1, 1, 2, 4)
    assert MixedPool2d(2, 2)(x).tolist() == [[[[4.5, 5.0]]]]
    y = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(MixedPool2d(3, 2)(y), (F.avg_pool2d(y, 3, 2) + F.max_pool2d(y, 3, 2)) / 2)


def test_strided_convolution_has_weights_of_its_own():
    model = lenet(pooling="strided_conv")
    assert (model.S2.weight.shape, model.S4.weight.shape) == ((6, 6, 2, 2), (16, 16, 2, 2))
    assert sum(p.numel() for p in model.parameters()) == 61_706 + 6 * 6 * 4 + 6 + 16 * 16 * 4 + 16


def test_stochastic_pooling_gives_the_expectation_in_evaluation():
    pool = StochasticPool2d(2, 2).eval()
    window = torch.tensor([[1.0, 2], [3, 4]]).view(1, 1, 2, 2)
    assert float(pool(window)) == pytest.approx((1 + 4 + 9 + 16) / 10)
    assert float(pool(torch.zeros(1, 1, 2, 2))) == 0


def test_stochastic_pooling_picks_members_in_proportion_to_their_value():
    torch.manual_seed(0)
    count = 40_000
    values = torch.tensor([[1.0, 2], [3, 4]])
    picked = StochasticPool2d(2, 2).train()(values.expand(count, 1, 2, 2)).flatten()
    assert set(picked.tolist()) == {1, 2, 3, 4}
    for value in (1, 2, 3, 4):
        share, expected = float((picked == value).double().mean()), value / 10
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / count)
    assert float(picked.mean()) == pytest.approx(3.0, abs=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_stochastic_pooling_never_picks_a_zero_beside_a_positive_value(dtype):
    torch.manual_seed(0)
    window = torch.tensor([[0.0, -1], [2, 0]], dtype=dtype).expand(20_000, 1, 2, 2)
    picked = StochasticPool2d(2, 2).train()(window)
    assert picked.dtype == dtype
    assert picked.unique().tolist() == [2]


def test_stochastic_pooling_picks_no_zero_even_if_it_draws_zero(monkeypatch):
    monkeypatch.setattr(torch, "rand_like", torch.zeros_like)
    assert float(StochasticPool2d(2, 2).train()(torch.tensor([[[[0.0, 0], [2, 1]]]]))) == 2


def test_stochastic_pooling_of_zeros_is_zero():
    assert StochasticPool2d(2, 2).train()(torch.zeros(3, 2, 4, 4)).abs().max() == 0


def test_stochastic_pooling_sends_the_gradient_to_what_it_picked():
    x = torch.tensor([[1.0, 2], [3, 4]]).view(1, 1, 2, 2).requires_grad_()
    picked = StochasticPool2d(2, 2).train()(x)
    picked.sum().backward()
    assert torch.equal(x.grad, (x == picked).float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", [*POOLINGS])
def test_a_lenet_of_each_pooling_trains_and_evaluates(name, dtype):
    model = lenet(pooling=name, conv_activation="relu")
    with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        assert all(g.isfinite().all() for g in gradients(model, pixels(), torch.tensor([0, 1, 2, 3])))
        assert model.eval()(pixels()).isfinite().all()


@pytest.mark.parametrize(
    ("settings", "c1", "features"),
    [
        (dict(conv_kernel=3), 30, 400),
        (dict(conv_kernel=4), 29, 400),
        (dict(conv_kernel=5), 28, 400),
        (dict(conv_kernel=7), 26, 16 * 4 * 4),
        (dict(conv_kernel=3, padding=1), 28, 400),
        (dict(padding=0), 24, 256),
        (dict(image_size=32, padding=0), 28, 400),
        (dict(image_size=14), 14, 16),
        (dict(pool_size=1), 28, 400),
        (dict(pool_size=1, pool_stride=1), 28, 16 * 24 * 24),
        (dict(pool_size=2, pool_stride=1), 28, 16 * 22 * 22),
        (dict(pool_size=3), 28, 16 * 4 * 4),
        (dict(in_channels=3, image_size=32, padding=0, classes=100), 28, 400),
    ],
    ids=str,
)
def test_sizes_follow_the_arguments(settings, c1, features):
    model = lenet(**settings)
    side, channels = settings.get("image_size", 28), settings.get("in_channels", 1)
    x = torch.rand(2, channels, side, side)
    assert model.C1(x).shape == (2, 6, c1, c1)
    assert model.F5.in_features == features
    assert model(x).shape == (2, settings.get("classes", 10))


def test_pool_size_one_keeps_every_other_pixel():
    x = torch.rand(1, 6, 28, 28)
    for name in ("avg", "max", "mixed"):
        assert torch.equal(lenet(pooling=name, pool_size=1).S2(x), x[:, :, ::2, ::2])


def test_batch_norm_stands_before_each_activation():
    names = [name for name, _ in lenet(batch_norm=True).named_children()]
    for layer in ("C1", "C3", "F5", "F6"):
        index = names.index(layer)
        assert names[index : index + 3] == [layer, f"{layer}_norm", f"{layer}_activation"]
    assert lenet(batch_norm=True)(pixels()).shape == (4, 10)
    assert not any("norm" in name for name, _ in lenet().named_children())


def weights(model: nn.Module) -> list[nn.Parameter]:
    return [module.weight.detach() for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def fans(weight: torch.Tensor) -> tuple[int, int]:
    field = weight[0, 0].numel()
    return weight.shape[1] * field, weight.shape[0] * field


def test_xavier_weights_fill_their_interval():
    bounds = []
    for weight in weights(lenet()):
        bounds.append(math.sqrt(6 / sum(fans(weight))))
        largest = float(weight.abs().max())
        assert 0.95 * bounds[-1] < largest <= bounds[-1]
        assert float(weight.std()) == pytest.approx(bounds[-1] / math.sqrt(3), rel=0.2)
    assert bounds[0] == pytest.approx(0.185, abs=5e-4)


def test_he_weights_have_their_standard_deviation():
    torch.manual_seed(0)
    for weight in weights(lenet(initialization="he"))[1:]:
        assert float(weight.std()) == pytest.approx(math.sqrt(2 / fans(weight)[0]), rel=0.1)


def test_default_weights_are_pytorchs():
    torch.manual_seed(1)
    ours = lenet(initialization="default")
    torch.manual_seed(1)
    theirs = d2l_network()
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_zero_weights_are_zero():
    assert not any(weight.any() for weight in weights(lenet(initialization="zeros")))


@pytest.mark.parametrize("name", [*INITIALIZATIONS])
def test_biases_stay_as_pytorch_draws_them(name):
    for module in lenet(initialization=name).modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(fans(module.weight)[0])
            assert 0 < float(module.bias.detach().abs().max()) <= bound


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(conv_activation="swish"), "conv_activation 'swish' is not known; allowed: 'sigmoid', 'relu', 'tanh'"),
        (dict(dense_activation=""), "dense_activation '' is not known; allowed: 'sigmoid'"),
        (dict(pooling="mean"), "pooling 'mean' is not known; allowed: 'avg', 'max', 'mixed', 'stochastic'"),
        (dict(initialization="ones"), "initialization 'ones' is not known; allowed: 'default', 'xavier', 'he'"),
        (dict(conv_kernel=0), "conv_kernel must be a positive integer, given 0"),
        (dict(pool_size=-1), "pool_size must be a positive integer, given -1"),
        (dict(pool_stride=2.0), "pool_stride must be a positive integer, given 2.0"),
        (dict(conv_kernel=True), "conv_kernel must be a positive integer, given True"),
        (dict(classes=0), "classes must be a positive integer, given 0"),
        (dict(in_channels=0), "in_channels must be a positive integer, given 0"),
        (dict(image_size=0), "image_size must be a positive integer, given 0"),
        (dict(padding=-1), "padding must be an integer from 0 up, given -1"),
        (dict(padding=0.5), "padding must be an integer from 0 up, given 0.5"),
        (dict(conv_kernel=33), "C1: a 33 x 33 window does not fit its 28 x 28 input"),
        (dict(pool_size=29), "S2: a 29 x 29 window does not fit its 28 x 28 input"),
        (dict(image_size=8), "C3: a 5 x 5 window does not fit its 4 x 4 input"),
        (dict(image_size=10), "S4: a 2 x 2 window does not fit its 1 x 1 input"),
    ],
    ids=str,
)
def test_a_lenet_that_cannot_be_says_why(settings, message):
    with pytest.raises(ValueError, match=message):
        lenet(**settings)


# Convolution and pooling by phases

SIGMOID, TANH, RELU, LEAKY, GELU = nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.LeakyReLU(0.2), nn.GELU()


def assert_same_numbers(plain: nn.Module, x: torch.Tensor, blocks: int = 1) -> None:
    """The fused model gives the plain one's outputs and gradients, for the parameters and for the images."""
    fused = fuse(plain)
    assert sum(isinstance(module, PhaseBlock) for module in fused.modules()) == blocks
    for wants_gradient in (True, False):  # without one for the images the first convolution is computed in another way
        results = []
        for model in (plain, fused):
            images = x.clone().requires_grad_(wants_gradient)
            output = model(images)
            torch.manual_seed(0)
            wanted = [images, *plain.parameters()] if wants_gradient else [*plain.parameters()]
            found = torch.autograd.grad((output * torch.randn_like(output)).sum(), wanted)
            results.append([output, *found])
        for mine, other in zip(*results, strict=True):
            scale = max(1.0, float(mine.detach().abs().max()))
            torch.testing.assert_close(mine / scale, other / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.MaxPool2d(2)], ids=["avg", "max"])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
def test_phases_equal_the_plain_layers(kernel, padding, pool):
    torch.manual_seed(kernel)
    for side in (12, 13):
        plain = nn.Sequential(nn.Conv2d(1, 6, kernel, padding=padding), SIGMOID, pool)
        assert_same_numbers(plain, torch.randn(3, 1, side, side))


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2, 2), nn.MaxPool2d((2, 2), (2, 2))], ids=["avg", "max"])
@pytest.mark.parametrize("activation", [SIGMOID, TANH, RELU, LEAKY, GELU], ids=str)
@pytest.mark.parametrize(("channels", "bias"), [((1, 6), True), ((3, 4), False), ((6, 16), True)])
def test_phases_take_every_activation_and_any_number_of_channels(channels, bias, activation, pool):
    torch.manual_seed(1)
    plain = nn.Sequential(nn.Conv2d(*channels, 5, padding=2, bias=bias), activation, pool)
    assert_same_numbers(plain, torch.randn(2, channels[0], 10, 10))


@pytest.mark.parametrize("shape", [(8, 14), (15, 6), (5, 31)])
def test_phases_take_images_that_are_not_square(shape):
    assert_same_numbers(nn.Sequential(nn.Conv2d(2, 3, 3), TANH, nn.AvgPool2d(2)), torch.randn(2, 2, *shape))


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("kernel", [3, 4, 5, 7])
def test_a_whole_lenet_is_fused_twice_and_equal_on_real_pixels(kernel, pooling):
    torch.manual_seed(2)
    model = lenet(conv_kernel=kernel, pooling=pooling, conv_activation="relu", dense_activation="relu")
    x, y = pixels(32), load_sample().train.labels[:32]
    fused = fuse(model)
    assert [type(layer) for layer in list(fused)[:2]] == [PhaseBlock, PhaseBlock]
    torch.testing.assert_close(fused(x), model(x), rtol=0, atol=1e-5)
    names = [name for name, _ in model.named_parameters()]
    plain = dict(zip(names, gradients(model, x, y), strict=True))
    model.zero_grad()
    F.cross_entropy(fused(x), y).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, plain[name], rtol=0, atol=1e-5)


def test_phases_share_their_parameters_with_the_model():
    model = lenet()
    fused = fuse(model)
    assert {id(p) for p in fused.parameters()} == {id(p) for p in model.parameters()}
    before = fused(pixels())
    with torch.no_grad():
        model.C1.weight.add_(1)
    assert not torch.allclose(fused(pixels()), before)
    torch.testing.assert_close(fused(pixels()), model(pixels()))
    model.eval()
    assert not fused[-1].training


def test_the_model_itself_is_left_as_it_was():
    model = lenet()
    names = [*model.state_dict()]
    fuse(model)(pixels()).sum().backward()
    assert [*model.state_dict()] == names
    assert isinstance(model[0], nn.Conv2d)


def test_double_precision_stays_double():
    model = lenet().double()
    torch.testing.assert_close(fuse(model)(pixels().double()), model(pixels().double()), rtol=1e-12, atol=1e-12)


def test_gradients_flow_after_a_first_use_without_any():
    plain = nn.Sequential(nn.Conv2d(1, 2, 6), SIGMOID, nn.AvgPool2d(2))
    with torch.inference_mode():
        fuse(plain)(torch.rand(1, 1, 11, 11))
    assert_same_numbers(plain, torch.rand(1, 1, 11, 11))


class Subclass(nn.Conv2d):
    pass


CONVOLUTION, POOL = nn.Conv2d(4, 4, 3), nn.AvgPool2d(2)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(4, 4, 3, stride=2), SIGMOID, POOL],
        [nn.Conv2d(4, 4, 3, dilation=2), SIGMOID, POOL],
        [nn.Conv2d(4, 4, 3, groups=2), SIGMOID, POOL],
        [nn.Conv2d(4, 4, (3, 5)), SIGMOID, POOL],
        [nn.Conv2d(4, 4, 3, padding=(1, 0)), SIGMOID, POOL],
        [nn.Conv2d(4, 4, 3, padding="same"), SIGMOID, POOL],
        [nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), SIGMOID, POOL],
        [Subclass(4, 4, 3), SIGMOID, POOL],
        [CONVOLUTION, nn.Softmax(1), POOL],
        [CONVOLUTION, nn.BatchNorm2d(4), SIGMOID, POOL],
        [CONVOLUTION, POOL],
        [CONVOLUTION, SIGMOID, nn.AvgPool2d(3)],
        [CONVOLUTION, SIGMOID, nn.AvgPool2d(2, 1)],
        [CONVOLUTION, SIGMOID, nn.AvgPool2d(1, 2)],
        [CONVOLUTION, SIGMOID, nn.AvgPool2d(2, padding=1)],
        [CONVOLUTION, SIGMOID, nn.AvgPool2d(2, ceil_mode=True)],
        [CONVOLUTION, SIGMOID, nn.AvgPool2d(2, divisor_override=3)],
        [CONVOLUTION, SIGMOID, nn.AvgPool2d([2, 2])],
        [CONVOLUTION, SIGMOID, nn.MaxPool2d(2, dilation=2)],
        [CONVOLUTION, SIGMOID, nn.MaxPool2d(2, return_indices=True)],
        [CONVOLUTION, SIGMOID, MixedPool2d(2, 2)],
        [CONVOLUTION, SIGMOID],
        [POOL],
        [],
    ],
    ids=lambda layers: "-".join(map(str, layers)) or "nothing",
)
def test_what_does_not_match_is_the_same_object(layers):
    model = nn.Sequential(*layers)
    assert fuse(model) is model


def test_only_a_plain_sequential_is_touched():
    class Own(nn.Sequential):
        def forward(self, x):
            return super().forward(x) * 2

    for model in (Own(CONVOLUTION, SIGMOID, POOL), CONVOLUTION, nn.ModuleList([CONVOLUTION, SIGMOID, POOL])):
        assert fuse(model) is model


HOOKS = ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"]


@pytest.mark.parametrize("place", [0, 1, 2, "model"])
@pytest.mark.parametrize("kind", [*HOOKS, "register_full_backward_pre_hook"])
def test_a_model_that_is_listened_to_is_left_alone(kind, place):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid(), nn.AvgPool2d(2))
    heard = []
    handle = getattr(model if place == "model" else model[place], kind)(lambda *_: heard.append(1))
    assert fuse(model) is model
    fuse(model)(torch.rand(1, 1, 8, 8, requires_grad=True)).sum().backward()
    assert heard == [1]
    handle.remove()
    assert fuse(model) is not model


def test_one_block_is_fused_where_another_is_listened_to():
    model = lenet()
    heard = []
    model.C3.register_forward_hook(lambda *_: heard.append(1))
    fused = fuse(model)
    assert [type(layer) for layer in list(fused)[:4]] == [PhaseBlock, nn.Conv2d, nn.Sigmoid, nn.AvgPool2d]
    torch.testing.assert_close(fused(pixels()), model(pixels()))
    assert len(heard) == 2


def test_a_fused_model_can_be_copied():
    fused = fuse(lenet())
    assert torch.equal(copy.deepcopy(fused)(pixels()), fused(pixels()))
