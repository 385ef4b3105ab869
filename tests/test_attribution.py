"""The maps: written-out formulas against each other, against the grad-cam library, and against captum."""

import importlib.util
import io
from contextlib import redirect_stderr

import pytest
import torch
from conftest import ROOT
from sample import load_sample
from torch import nn
from torch.nn import functional as F

from course_utils import attribution
from course_utils.attribution import METHODS, evidence, explain, formulas, gradients, map_layers
from course_utils.models import lenet

pytestmark = pytest.mark.usefixtures("one_thread")


def gap_net(channels: int = 1, *, inplace: bool = False, seed: int = 0) -> nn.Sequential:
    """Two convolutions, global average pooling, one linear layer: the net that CAM was made for."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(inplace=inplace),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(inplace=inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    ).eval()


@pytest.fixture
def images():
    return torch.rand(4, 1, 20, 24, generator=torch.Generator().manual_seed(1))


def scaled(maps):
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


# CAM and its relatives


def test_cam_equals_grad_cam_after_scaling(images):
    for target in range(5):
        cam, grad_cam, hires = (
            explain(gap_net(), images, target, method) for method in ("cam", "grad_cam", "hires_cam")
        )
        assert torch.allclose(scaled(cam.raw), scaled(grad_cam.raw), atol=1e-5)
        assert torch.allclose(scaled(cam.raw), scaled(hires.raw), atol=1e-5)
        assert torch.allclose(cam.maps, grad_cam.maps, atol=1e-5)
        assert torch.allclose(grad_cam.raw * 10 * 12, cam.raw, atol=1e-5)  # 1/Z, and Z is the number of places
        assert cam.layer == grad_cam.layer == "5"


def test_layer_cam_differs_because_it_drops_negative_weights(images):
    layer_cam, cam = (explain(gap_net(), images, 2, method).raw for method in ("layer_cam", "cam"))
    assert (scaled(layer_cam) - scaled(cam)).abs().max() > 0.05


def test_cam_and_grad_cam_differ_elsewhere(images):
    found = evidence(gap_net(), images, 1, layer="1")
    assert not torch.allclose(
        formulas.grad_cam(found.activations, found.gradients), formulas.hires_cam(found.activations, found.gradients)
    )


def test_cam_of_a_network_in_network_has_one_channel_per_class(images):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 7, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    found = evidence(net, images, 3)
    assert torch.equal(explain(net, images, 3, "cam").raw, found.activations[:, 3])


def test_cam_of_a_convolutional_classifier(images):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 4, 1), nn.Flatten()).eval()
    cam, grad_cam = (explain(net, images, 2, method, layer="1") for method in ("cam", "grad_cam"))
    assert torch.allclose(scaled(cam.raw), scaled(grad_cam.raw), atol=1e-5)


@pytest.mark.parametrize("layer", ["auto", "C1"])
def test_cam_is_refused_where_it_does_not_apply(layer):
    with pytest.raises(ValueError, match="CAM needs global average pooling followed by one linear layer"):
        explain(lenet(), torch.rand(2, 1, 28, 28), 0, "cam", layer)


def test_grad_cam_by_hand(images):
    net = gap_net()
    activations = net[:6](images).detach().requires_grad_()
    net[6:](activations)[:, 3].sum().backward()
    weights = activations.grad.mean((2, 3), keepdim=True)
    raw = (weights * activations).sum(1).detach()
    explanation = explain(net, images, 3)
    assert torch.allclose(explanation.raw, raw, atol=1e-7)
    large = F.interpolate(raw.relu()[:, None], (20, 24), mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(explanation.maps, scaled(large), atol=1e-5)
    assert torch.allclose(explanation.raw_range, torch.stack([raw.amin((1, 2)), raw.amax((1, 2))], 1))
    assert torch.allclose(explanation.scores, net(images)[:, 3])


# Which layer


def test_auto_is_the_map_before_pooling(images):
    assert explain(gap_net(), images).layer == "5"
    assert map_layers(gap_net(), images)["5"] == (12, 10, 12)
    net = lenet(conv_activation="relu")
    x = torch.rand(1, 1, 28, 28)
    layer = explain(net, x).layer
    assert map_layers(net, x)[layer] == (16, 10, 10)


def test_auto_of_a_residual_network_is_its_last_stage():
    torchvision = pytest.importorskip("torchvision")
    net = torchvision.models.resnet18(weights=None)
    explanation = explain(net, torch.rand(1, 3, 64, 64))
    assert explanation.layer == "layer4"
    assert explanation.raw.shape == (1, 2, 2)


def test_auto_passes_over_a_container_that_ends_in_pooling(images):
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout2d())
    net = nn.Sequential(features, nn.Flatten(), nn.LazyLinear(3)).eval()
    net(images)
    assert explain(net, images).layer == "0.1"


def test_a_module_called_several_times_is_looked_at_the_last_time(images):
    class Shared(nn.Module):
        def __init__(self, *relus: nn.Module) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.linear = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 3)
            self.relu, self.again = relus if len(relus) == 2 else relus * 2

        def forward(self, x):
            return self.linear(self.again(self.b(self.relu(self.a(x)))).mean((2, 3)))

    shared, apart = Shared(nn.ReLU(inplace=True)), Shared(nn.ReLU(), nn.ReLU())
    for method in ("grad_cam", "score_cam", "ablation_cam", "guided_backprop"):
        layer = {} if method == "guided_backprop" else {"layer": "relu"}
        other = {} if method == "guided_backprop" else {"layer": "again"}
        raw = explain(shared, images, 1, method, **layer).raw
        assert torch.allclose(raw, explain(apart, images, 1, method, **other).raw, atol=1e-6)
    assert explain(shared, images).layer == "relu"


def test_a_layer_may_be_given_as_module(images):
    net = gap_net()
    assert torch.equal(explain(net, images, 1, layer=net[3]).maps, explain(net, images, 1, layer="3").maps)


# Against the grad-cam library


def library_maps(name, net, layer, images, targets):
    library = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with redirect_stderr(io.StringIO()):  # progress bars
        maps = getattr(library, name)(net, [layer])(images, [ClassifierOutputTarget(t) for t in targets])
    return torch.from_numpy(maps)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("grad_cam", "GradCAM"),
        ("hires_cam", "HiResCAM"),
        ("layer_cam", "LayerCAM"),
        ("grad_cam_plus_plus", "GradCAMPlusPlus"),
        ("score_cam", "ScoreCAM"),
    ],
)
@pytest.mark.parametrize("layer", ["5", "3", "0"])
@pytest.mark.parametrize("channels", [1, 3])
def test_equal_to_the_library(method, name, layer, channels, images):
    images, targets = images.repeat(1, channels, 1, 1), [1, 4, 0, 3]
    net = gap_net(channels)
    theirs = library_maps(name, net, net[int(layer)], images, targets)
    ours = explain(net, images, targets, method, layer, batch_size=3)
    shown = theirs.amax((1, 2)) > 0.5
    assert torch.allclose(ours.maps[shown], theirs[shown], atol=1e-5)
    assert [bool(note) for note in ours.notes] == [not good for good in shown.tolist()]


def test_eigen_cam_is_the_librarys_but_for_its_sign(images):
    pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    net = gap_net()
    found = evidence(net, images, 0)
    theirs = torch.from_numpy(get_2d_projection(found.activations.numpy()))
    ours = explain(net, images, 0, "eigen_cam").raw
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5) or torch.allclose(one, -other, atol=1e-5)
    agreement = ((ours - ours.mean((1, 2), keepdim=True)) * found.activations.mean(1)).sum((1, 2))
    assert (agreement > 0).all()
    assert torch.equal(ours, explain(net, images, 3, "eigen_cam").raw)  # it knows no classes


def test_ablation_cam_is_the_librarys_where_that_ablates_to_zero(images):
    net = gap_net()
    targets = net(images).argmax(1).tolist()
    theirs = library_maps("AblationCAM", net, net[5], images, targets)
    assert torch.allclose(explain(net, images, targets, "ablation_cam").maps, theirs, atol=1e-4)


@pytest.mark.parametrize("layer", ["5", "4", "0"])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_ablation_cam_by_hand(layer, target, images):
    net = gap_net()
    after = int(layer) + 1
    with torch.no_grad():
        activations = net[:after](images)
        score = net[after:](activations)[:, target]
        weights = []
        for channel in range(activations.shape[1]):
            ablated = activations.clone()
            ablated[:, channel] = 0
            weights.append((score - net[after:](ablated)[:, target]) / score.abs())
        raw = formulas.cam(activations, torch.stack(weights, 1))
    assert torch.allclose(explain(net, images, target, "ablation_cam", layer, batch_size=3).raw, raw, atol=1e-5)


def test_progress_bars_stay_silent_and_come_back(images, capfd):
    pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam import ablation_cam

    before = ablation_cam.tqdm
    for method in ("score_cam", "ablation_cam"):
        explain(gap_net(), images, 1, method)
    assert capfd.readouterr() == ("", "")
    assert ablation_cam.tqdm is before


# Attribution to pixels, against captum


@pytest.fixture
def captum():
    return pytest.importorskip("captum.attr")


@pytest.fixture
def targets():
    return torch.tensor([1, 4, 0, 3])


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_to_captum(channels, captum, images, targets):
    net, images = gap_net(channels), images.repeat(1, channels, 1, 1)
    theirs = {
        "gradient": captum.Saliency(net).attribute(images.clone(), targets, abs=False),
        "guided_backprop": captum.GuidedBackprop(net).attribute(images.clone(), targets),
        "deconvnet": captum.Deconvolution(net).attribute(images.clone(), targets),
    }
    for method, expected in theirs.items():
        assert torch.allclose(explain(net, images, targets, method).raw, expected, atol=1e-6), method


@pytest.mark.parametrize("baseline", [0.0, 0.3])
def test_integrated_gradients_equal_captums(baseline, captum, images, targets):
    net = gap_net()
    expected = captum.IntegratedGradients(net).attribute(
        images, baseline, targets, n_steps=32, method="riemann_middle", internal_batch_size=64
    )
    ours = explain(net, images, targets, "integrated_gradients", steps=32, baseline=baseline)
    assert torch.allclose(ours.raw, expected, atol=1e-6)


@pytest.mark.parametrize(("patch", "stride"), [(4, 2), (5, 3), (6, 6), (7, 7), (1, 1)])
def test_occlusion_equals_captums(patch, stride, captum, images, targets):
    net, some = gap_net(), images[:, :, :12, :13]
    expected = captum.Occlusion(net).attribute(some, (1, patch, patch), (1, stride, stride), 0.2, targets)
    ours = explain(net, some, targets, "occlusion", patch=patch, stride=stride, baseline=0.2)
    assert torch.allclose(ours.raw, expected[:, 0], atol=1e-5)


def test_smooth_grad_agrees_with_captums(captum, images, targets):
    net = gap_net()
    sigma = 0.15 * float(images.amax() - images.amin())
    torch.manual_seed(0)
    expected = captum.NoiseTunnel(captum.Saliency(net)).attribute(
        images.clone(), nt_samples=400, nt_samples_batch_size=50, stdevs=sigma, target=targets, abs=False
    )
    ours = explain(net, images, targets, "smooth_grad", samples=400, noise=0.15).raw
    assert torch.corrcoef(torch.stack([ours.flatten(), expected.flatten()]))[0, 1] > 0.98


def test_layer_grad_cam_equals_captums(captum, images, targets):
    net = gap_net()
    expected = captum.LayerGradCam(net, net[5]).attribute(images, targets)
    assert torch.allclose(explain(net, images, targets).raw, expected[:, 0], atol=1e-6)


# What is known without any library


def test_integrated_gradients_are_complete(images):
    net = gap_net()
    explanation = explain(net, images, 2, "integrated_gradients")
    difference = (net(images) - net(torch.zeros_like(images)))[:, 2]
    assert torch.allclose(explanation.raw.sum((1, 2, 3)), difference, rtol=0.01)
    assert (explanation.gap < 0.01).all()
    assert explanation.notes == ("",) * 4


def test_integrated_gradients_take_as_many_steps_as_completeness_needs():
    images = load_sample().test.images[::25] / 255
    torch.manual_seed(0)
    for net in (lenet(), lenet(conv_activation="relu", pooling="max"), gap_net()):
        explanation = explain(net, images, None, "integrated_gradients")
        assert (explanation.gap < 0.01).all()
        assert not any(explanation.notes)


def test_a_baseline_may_be_another_one_for_each_image(images):
    net, baselines = gap_net(), 0.2 * torch.rand(4, 1, 20, 24, generator=torch.Generator().manual_seed(2))
    options = dict(baseline=baselines, steps=64)
    whole, pieces = (explain(net, images, 1, "integrated_gradients", batch_size=size, **options) for size in (4, 3))
    assert torch.allclose(whole.raw, pieces.raw, atol=1e-6)
    expected = (net(images) - net(baselines))[:, 1]
    assert torch.allclose((whole.raw.sum((1, 2, 3)) - expected).abs() / expected.abs(), whole.gap, atol=1e-4)
    assert (whole.gap < 0.05).all()


def test_too_few_steps_are_noted(images):
    explanation = explain(gap_net(), images * 3, 2, "integrated_gradients", steps=1)
    worst = int(explanation.gap.argmax())
    assert explanation.gap[worst] > 0.01
    assert explanation.notes[worst] == f"completeness is missed by {explanation.gap[worst]:.1%}; take more steps"


def linear_score(weights):
    return lambda images: (images * weights).sum((1, 2, 3))


def test_all_methods_give_a_linear_models_weights(images):
    weights = torch.randn(1, 20, 24, generator=torch.Generator().manual_seed(0))
    score, expected = linear_score(weights), weights.expand_as(images)
    assert torch.equal(gradients.gradient(score, images), expected)
    assert torch.allclose(gradients.smooth_grad(score, images), expected, atol=1e-6)
    attributions, gap = gradients.integrated_gradients(score, images)
    assert torch.allclose(attributions, images * weights, atol=1e-5)
    assert (gap < 1e-4).all()
    covered = gradients.occlusion(score, images, patch=1, stride=1)
    assert torch.allclose(covered, (images * weights)[:, 0], atol=1e-4)


def test_relu_rules_on_one_unit():
    x = torch.tensor([2.0, -2.0, 2.0, -2.0]).view(4, 1, 1, 1)
    sign = torch.tensor([1.0, 1.0, -1.0, -1.0])

    def score(images):
        return images.relu().flatten() * sign

    assert gradients.gradient(score, x).flatten().tolist() == [1, 0, -1, 0]
    assert gradients.guided_backprop(score, x).flatten().tolist() == [1, 0, 0, 0]
    assert gradients.deconvnet(score, x).flatten().tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    "relu",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        F.relu,
        torch.relu,
        lambda x: x.relu(),
        lambda x: F.relu(x, inplace=True),
        lambda x: torch.relu_(x),
        lambda x: (x.relu_(), x)[1],
        lambda x: (F.relu(x, inplace=True), x)[1],
    ],
)
@pytest.mark.parametrize("rule", ["guided_backprop", "deconvnet"])
def test_every_way_to_write_a_relu_obeys_the_rule(relu, rule):
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(3))
    x = torch.randn(2, 1, 1, 6, generator=torch.Generator().manual_seed(4))

    def score(relu):
        return lambda images: (relu(images.flatten(1) @ weights) @ weights).sum(1)

    expected = getattr(gradients, rule)(score(torch.relu), x)
    assert torch.equal(getattr(gradients, rule)(score(relu), x), expected)


@pytest.mark.parametrize("relu6", [nn.ReLU6(), nn.ReLU6(inplace=True), F.relu6, nn.Hardtanh(0, 6)])
def test_relu6_stops_where_it_is_full(relu6):
    x = torch.tensor([-1.0, 3.0, 7.0]).view(3, 1, 1, 1)
    score = lambda images: relu6(images * 1).flatten()  # noqa: E731
    assert gradients.guided_backprop(score, x).flatten().tolist() == [0, 1, 0]
    assert gradients.deconvnet(score, x).flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
def test_no_relu_no_rule(method):
    with pytest.raises(ValueError, match="has no ReLU, so this method would be the plain gradient"):
        explain(lenet(), torch.rand(1, 1, 28, 28), 0, method)


@pytest.mark.parametrize("method", METHODS)
def test_the_batch_size_changes_nothing(method, images):
    net = gap_net(inplace=True)
    whole, pieces = (explain(net, images, None, method, batch_size=size) for size in (64, 3))
    assert torch.allclose(whole.raw, pieces.raw, atol=1e-5)
    assert torch.equal(whole.targets, pieces.targets)
    assert torch.equal(whole.targets, net(images).argmax(1))
    assert whole.maps.shape == (4, 20, 24)
    assert whole.maps.min() == 0
    assert whole.maps.max() == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_model_never_sees_more_than_a_batch(method, images):
    sizes = []
    net = gap_net()
    net[0].register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    explain(net, images.repeat(3, 1, 1, 1), 1, method, batch_size=5)
    assert max(sizes) <= 5


# Features


def test_feature_maps_are_the_layers_outputs(images):
    net = gap_net(inplace=True)
    maps = attribution.feature_maps(net, images, ["0", "4"], batch_size=3)
    with torch.no_grad():
        assert torch.allclose(maps["0"], net[0](images), atol=1e-6)
        assert torch.allclose(maps["4"], gap_net()[:5](images), atol=1e-6)
        assert torch.allclose(attribution.last_features(net, images, 3), gap_net()[:8](images), atol=1e-6)


def test_strongest_images_come_first(images):
    net = gap_net()
    indices, places = attribution.strongest(net, images, "1", 2, k=3)
    maps = net[:2](images)[:, 2]
    assert torch.equal(indices, maps.flatten(1).amax(1).topk(3).indices)
    for index, (row, column) in zip(indices, places, strict=True):
        assert maps[index, row, column] == maps[index].max()


def test_maximized_images_excite_their_channel_and_regularizers_calm_them():
    net, shape = gap_net(), (1, 16, 16)
    before = net[:4](torch.full((1, *shape), 0.5))[:, 3].mean()
    image = attribution.maximize_activation(net, shape, "3", 3, steps=40)
    assert net[:4](image[None])[:, 3].mean() > before
    assert image.min() >= 0
    assert image.max() <= 1
    smooth = attribution.maximize_activation(net, shape, "3", 3, steps=40, smoothness=10.0)
    assert smooth.diff(dim=2).square().mean() < image.diff(dim=2).square().mean()
    assert torch.equal(image, attribution.maximize_activation(net, shape, "3", 3, steps=40))


def test_features_with_wrong_names(images):
    net = gap_net()
    with pytest.raises(ValueError, match="layer 'x' is not in the model; layers: 0, 1"):
        attribution.feature_maps(net, images, ["x"])
    with pytest.raises(ValueError, match="channel 8"):
        attribution.strongest(net, images, "0", 8)
    with pytest.raises(ValueError, match="channel 99"):
        attribution.maximize_activation(net, (1, 16, 16), "0", 99)
    with pytest.raises(ValueError, match="no linear layer"):
        attribution.last_features(net[:6], images)


# The benchmark


def test_the_benchmark_prints_and_returns_its_ratio(capsys):
    pytest.importorskip("pytorch_grad_cam")
    spec = importlib.util.spec_from_file_location("bench_attribution", ROOT / "benchmarks" / "attribution.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    ratio = benchmark.explain_vs_library(1, load_sample().test.images[:16] / 255)
    assert ratio > 1
    assert f"explain is {ratio:.1f} times faster" in capsys.readouterr().out
