"""`explain` under hard conditions: what callers get wrong is said, and the model is left exactly as it was."""

import ast
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT
from test_attribution import gap_net
from torch import nn

from course_utils.attribution import METHODS, explain
from course_utils.attribution.explaining import LAYER_METHODS, PIXEL_METHODS
from course_utils.models import lenet

pytestmark = pytest.mark.usefixtures("one_thread")
HOOKS = [name for name in vars(nn.Module()) if name.endswith("hooks")]


@pytest.fixture
def images():
    return torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def everything(model):
    """All that must not change: values, gradients, flags, modes, hooks, modules."""
    return {
        "state": {name: (value.data_ptr(), value.clone()) for name, value in model.state_dict().items()},
        "parameters": {
            name: (id(p), p.requires_grad, id(p.grad), None if p.grad is None else p.grad.clone())
            for name, p in model.named_parameters()
        },
        "modules": [
            (name, id(module), module.training, vars(module).get("inplace")) for name, module in model.named_modules()
        ],
        "hooks": [(name, list(getattr(module, name))) for module in model.modules() for name in HOOKS],
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def lived_in():
    """A net as one finds it: with gradients, one layer frozen, modes mixed, somebody else's hook, work in place."""
    net = gap_net(inplace=True).train()
    net(torch.rand(2, 1, 16, 16)).sum().backward()
    net[0].weight.requires_grad_(False)
    net[4].eval()
    net[3].register_forward_hook(lambda module, inputs, output: None)
    return net


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(method, images):
    net, kept = lived_in(), images.clone()
    before = everything(net)
    explain(net, images, 1, method)
    assert same(before, everything(net))
    assert torch.equal(images, kept)
    assert not images.requires_grad


class Fails(nn.Module):
    """Raises at a certain call, in the middle of the work."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, x):
        self.calls += 1
        if self.calls == self.at:
            raise KeyError("in the middle")
        return x


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was_after_an_exception(method, at, images):
    net = lived_in()
    net.insert(6, Fails(at))
    before = everything(net)
    with pytest.raises(KeyError, match="in the middle"):
        explain(net, images, 1, method, layer="5" if method in LAYER_METHODS else "auto", batch_size=1)
    assert same(before, everything(net))


def test_buffers_that_the_model_writes_are_put_back(images):
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))
            self.register_buffer("other", torch.zeros(()))
            self.net = gap_net()

        def forward(self, x):
            self.seen += len(x)
            self.other = self.other + 1
            return self.net(x)

    model = Counts()
    before = everything(model)
    for method in ("grad_cam", "gradient", "score_cam"):
        explain(model, images, 1, method)
        assert same(before, everything(model))


# Callers and models in every state


@pytest.mark.parametrize("method", METHODS)
def test_frozen_models_and_callers_without_gradients(method, images):
    expected = explain(gap_net(), images, 2, method)
    frozen = gap_net(inplace=True).requires_grad_(False).train()
    for context in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with context():
            explanation = explain(frozen, images, 2, method)
        assert torch.allclose(explanation.raw, expected.raw, atol=1e-6)
        assert not explanation.maps.requires_grad
        assert not explanation.maps.is_inference()
        assert not explanation.raw.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_models_and_images_that_were_made_in_inference_mode(method, images):
    expected = explain(gap_net(), images, 2, method)
    with torch.inference_mode():
        net, made_here = gap_net(), images.clone()
        assert torch.allclose(explain(net, made_here, 2, method).raw, expected.raw, atol=1e-6)
    assert torch.allclose(explain(net, made_here, 2, method).raw, expected.raw, atol=1e-6)


@pytest.mark.parametrize("method", LAYER_METHODS[1:])  # CAM applies at the last layer only
@pytest.mark.parametrize("layer", ["0", "3", "4"])
def test_activations_that_work_in_place_do_not_overwrite_the_layer(method, layer, images):
    apart, in_place = (explain(gap_net(inplace=flag), images, 2, method, layer) for flag in (False, True))
    assert torch.allclose(apart.raw, in_place.raw, atol=1e-6)


def test_the_first_layer_may_work_in_place(images):
    net = nn.Sequential(nn.ReLU(inplace=True), gap_net())
    shifted = images - 0.5
    kept = shifted.clone()
    for method in METHODS:
        explain(net, shifted, 1, method)
        assert torch.equal(shifted, kept), method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_number_of_channels(method, channels):
    explanation = explain(gap_net(channels), torch.rand(2, channels, 16, 16), 0, method)
    assert explanation.maps.shape == (2, 16, 16)


def test_one_image_without_batch_axis(images):
    one = explain(gap_net(), images[0], 1)
    assert torch.allclose(one.maps, explain(gap_net(), images, 1).maps[:1], atol=1e-6)
    assert len(one) == 1


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus", "eigen_cam", "gradient", "occlusion"])
def test_other_precisions(method, images):
    expected = explain(gap_net(), images, 1, method)
    double = explain(gap_net().double(), images, 1, method)
    assert double.raw.dtype == (torch.float64 if method != "grad_cam_plus_plus" else double.raw.dtype)
    assert torch.allclose(double.maps, expected.maps, atol=1e-4)
    short = explain(gap_net().bfloat16(), images, 1, method)
    assert short.maps.dtype == torch.float32
    assert torch.isfinite(short.maps).all()


def test_a_model_without_parameters(images):
    class Patch(nn.Module):
        def forward(self, x):
            return x[:, :, 4:8, 4:8].sum((2, 3)) * torch.tensor([1.0, -1.0])

    gradient = explain(Patch(), images, 0, "gradient").maps
    assert gradient[0, 4:8, 4:8].min() == 1
    assert gradient.sum() == 3 * 16


# Targets


@pytest.mark.parametrize(
    "target", [3, np.int64(3), [3, 3, 3], (3, 3, 3), np.array([3, 3, 3]), torch.tensor(3), torch.tensor([3, 3, 3]),
               torch.tensor([3, 3, 3], dtype=torch.uint8)]
)  # fmt: skip
def test_targets_are_broadcast(target, images):
    explanation = explain(gap_net(), images, target)
    assert explanation.targets.tolist() == [3, 3, 3]
    assert torch.equal(explanation.maps, explain(gap_net(), images, [3] * 3).maps)


def test_without_target_it_is_the_predicted_class(images):
    net = gap_net()
    assert torch.equal(explain(net, images).targets, net(images).argmax(1))


@pytest.mark.parametrize("method", ["grad_cam", "gradient"])
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (5, ValueError, r"target must be from 0 to 4, the model's classes, given 5"),
        (-1, ValueError, r"from 0 to 4, the model's classes, given -1"),
        ([0, 1, 7], ValueError, "given 7"),
        ([0, 1], ValueError, r"one for each of the 3 images, given shape \(2,\)"),
        ([1], ValueError, r"given shape \(1,\)"),
        (torch.zeros(3, 5, dtype=torch.long), ValueError, r"given shape \(3, 5\)"),
        (1.0, TypeError, "whole numbers"),
        ([0.0, 1.0, 2.0], TypeError, "whole numbers"),
        (True, TypeError, "whole numbers"),
        ("cat", TypeError, "target must be a class number, one for each image, or None, given 'cat'"),
        ([None, 1, 2], TypeError, "target must be a class number"),
    ],
)
def test_wrong_targets(method, target, error, message, images):
    net = lived_in()
    before = everything(net)
    with pytest.raises(error, match=message):
        explain(net, images, target, method)
    assert same(before, everything(net))


# Images


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x.numpy(), TypeError, "images must be a tensor of shape .N, C, H, W., given ndarray"),
        (lambda x: x[0, 0], ValueError, r"given \(16, 16\)"),
        (lambda x: x[:0], ValueError, r"given \(0, 1, 16, 16\)"),
        (lambda x: x[None], ValueError, r"given \(1, 3, 1, 16, 16\)"),
        (lambda x: (x * 255).to(torch.uint8), ValueError, "must be floating-point, scaled as the model was trained"),
        (lambda x: x.index_fill(0, torch.tensor([1]), float("nan")), ValueError, "NaN or infinity in image 1"),
        (lambda x: x / 0, ValueError, "NaN or infinity in image 0, 1, 2"),
        (lambda x: x.repeat(1, 3, 1, 1), ValueError, r"the model cannot take images of shape \(3, 3, 16, 16\)"),
        (lambda x: x[..., :1, :1], ValueError, r"the model cannot take images of shape \(3, 1, 1, 1\)"),
        (lambda x: x.to("meta"), ValueError, "the images are on 'meta' and the model is on 'cpu'; move them"),
    ],
)  # fmt: skip
def test_wrong_images(change, error, message, images):
    net = lived_in()
    before = everything(net)
    with pytest.raises(error, match=message):
        explain(net, change(images))
    assert same(before, everything(net))


def test_a_model_on_another_device(images):
    with pytest.raises(
        ValueError, match=r"the images are on 'cpu' and the model is on 'meta'; move them: images.to\('meta'\)"
    ):
        explain(gap_net().to("meta"), images)


# Layers


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("conv2d", ValueError, "layer 'conv2d' is not in the model; did you mean"),
        (
            "7",
            ValueError,
            r"layer '7' has no spatial map: its output is \(N, 12\); the last that have one: '3', '4', '5'",
        ),
        ("6", ValueError, r"layer '6' has no spatial map: its output is \(N, 12, 1, 1\)"),
        ("8", ValueError, r"layer '8' has no spatial map: its output is \(N, 5\)"),
        (nn.Conv2d(1, 1, 1), ValueError, "the given layer, a Conv2d, is not in the model"),
        (["5"], TypeError, "layer must be 'auto', a name or a module of the model, given list"),
        (None, TypeError, "given NoneType"),
    ],
)
def test_wrong_layers(layer, error, message, images):
    net = lived_in()
    before = everything(net)
    with pytest.raises(error, match=message):
        explain(net, images, layer=layer)
    assert same(before, everything(net))


def test_layers_that_are_not_called_or_do_not_count(images):
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.unused, self.aside = gap_net(), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 2, 3)
            self.pair = Pair()

        def forward(self, x):
            self.aside(x)
            self.pair(x)
            return self.net(x)

    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    model = Aside()
    with pytest.raises(ValueError, match="layer 'unused' is not called when the model runs"):
        explain(model, images, layer="unused")
    with pytest.raises(ValueError, match="the logits do not depend on layer 'aside'"):
        explain(model, images, layer="aside")
    with pytest.raises(ValueError, match="layer 'pair' has no spatial map: its output is no tensor"):
        explain(model, images, layer="pair")


def test_a_model_that_cuts_the_gradient(images):
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = gap_net()

        def forward(self, x):
            with self.without():
                features = self.net[:6](x)
            return self.net[6:](features.clone())

    for without in (torch.no_grad, torch.inference_mode):
        Cut.without = staticmethod(without)
        # The last layer of the part without gradients still works, and what is before it cannot.
        assert torch.allclose(explain(Cut(), images, 1).raw, explain(gap_net(), images, 1).raw, atol=1e-6)
        with pytest.raises(ValueError, match="logits do not depend on layer 'net.3', or the model cuts the gradient"):
            explain(Cut(), images, 1, layer="net.3")


def test_a_model_without_maps():
    net = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
    with pytest.raises(ValueError, match="no layer of this model has a spatial map"):
        explain(net, torch.rand(2, 1, 16, 16))
    assert explain(net, torch.rand(2, 1, 16, 16), method="gradient").layer is None


# Methods, options, outputs


@pytest.mark.parametrize("method", PIXEL_METHODS)
def test_pixel_methods_take_no_layer(method, images):
    with pytest.raises(ValueError, match="works on the pixels and takes no layer, given '5'"):
        explain(gap_net(), images, method=method, layer="5")


def test_wrong_methods_and_options(images):
    net = gap_net()
    with pytest.raises(ValueError, match="method 'gradcam' is not known; allowed: 'cam', 'grad_cam'"):
        explain(net, images, method="gradcam")
    with pytest.raises(TypeError, match="method 'grad_cam' has no option 'steps'; allowed: none"):
        explain(net, images, steps=3)
    with pytest.raises(TypeError, match="no option 'step'; allowed: baseline, steps"):
        explain(net, images, method="integrated_gradients", step=3)
    with pytest.raises(ValueError, match="batch_size must be a positive integer, given 0"):
        explain(net, images, batch_size=0)
    with pytest.raises(ValueError, match=r"stride must be at most the patch \(4\)"):
        explain(net, images, method="occlusion", stride=5)
    with pytest.raises(ValueError, match="noise must be at least 0"):
        explain(net, images, method="smooth_grad", noise=-1)
    with pytest.raises(ValueError, match="baseline must be a number or fit the images"):
        explain(net, images, method="integrated_gradients", baseline=torch.zeros(2, 3, 1, 16, 16))
    with pytest.raises(TypeError, match="model must be a torch.nn.Module, given function"):
        explain(lambda x: x, images)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: {"logits": x}, r"must return logits \(N, classes\), but returns dict"),
        (lambda x: x, r"must return logits \(1, classes\), but returns shape \(1, 1, 16, 16\)"),
        (lambda x: x.sum((1, 2, 3)), r"but returns shape \(1,\)"),
        (lambda x: x.flatten(1) / 0 * 0, "NaN or infinity for finite images"),
    ],
)
def test_models_that_return_something_else(output, message, images):
    class Odd(nn.Module):
        def forward(self, x):
            return output(x)

    for method in ("grad_cam", "gradient"):
        with pytest.raises(ValueError, match=message):
            explain(Odd(), images, method=method)


def test_without_the_library_its_methods_say_what_to_install(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(RuntimeError, match='pip install "grad-cam'):
        explain(gap_net(), images, method="score_cam")
    assert explain(gap_net(), images).maps.any()


# Blank maps


def note(net, images, target=0, method="grad_cam", **arguments):
    explanation = explain(net, images, target, method, **arguments)
    assert [not shown.any() for shown in explanation.maps] == [text.startswith("blank") for text in explanation.notes]
    return explanation.notes[0]


def test_why_a_map_is_blank(images):
    net = gap_net()
    with torch.no_grad():
        net[8].weight[0] = -net[8].weight[0].abs() - 0.1
    for method in ("cam", "grad_cam", "hires_cam"):
        assert note(net, images, 0, method) == "blank: no evidence at this layer speaks for class 0"
    with torch.no_grad():
        net[8].weight[1] = 0
    assert (
        note(net, images, 1)
        == "blank: the gradient at the layer is zero, because units behind it are silent or saturated"
    )
    assert (
        note(net, images, 1, "gradient")
        == "blank: no pixel changes the score, or, for occlusion, no covered patch lowers it"
    )
    with torch.no_grad():
        net[4].bias.fill_(-100.0)
    assert note(net, images, 2) == "blank: the layer's output is zero for this image"
    even = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        even[0].weight.fill_(0)
        even[0].bias.fill_(1)
    assert note(even, images) == "blank: the map is the same everywhere"


def test_a_gradient_that_is_not_a_number(images):
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(1, 2, 1, bias=False)

        def forward(self, x):
            return (self.features(x) * 0).sqrt().mean((2, 3))

    whole = torch.cat([images, images])
    assert not explain(Root(), whole, 0).maps.any()
    assert note(Root(), images) == "blank: the gradient at the layer is not a number"
    assert note(Root(), images, method="gradient") == "blank: the gradient is not a number"


def test_probabilities_instead_of_logits_are_noted(images):
    net = nn.Sequential(gap_net(), nn.Softmax(1))
    assert all("the model returns probabilities; explain its logits" in text for text in explain(net, images, 0).notes)
    assert explain(gap_net(), images, 1).notes == ("",) * 3


# The house


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_only_attribution_imports_the_libraries():
    package = ROOT / "src" / "course_utils"
    users = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if any(name.split(".")[0] in ("pytorch_grad_cam", "captum") for name in imports(path))
    }
    assert users == {"attribution"}


def test_importing_attribution_imports_neither_library_nor_matplotlib():
    import subprocess

    code = (
        "import sys;"
        "from course_utils import attention, attribution, faithfulness, photographs;"
        "print(sorted({'pytorch_grad_cam', 'captum', 'matplotlib', 'cv2', 'skimage', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_lenet_of_the_course_with_every_method():
    for method in METHODS:
        if method in ("cam", "guided_backprop", "deconvnet"):
            continue
        assert explain(lenet(), torch.rand(2, 1, 28, 28), 3, method).maps.shape == (2, 28, 28)
