"""The checks of maps, tried on networks whose truth is known: they look at one patch, or have learned nothing."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from test_attribution import gap_net
from test_attribution_safety import everything, same
from torch import nn

from course_utils import faithfulness, stats
from course_utils.attribution import explain
from course_utils.faithfulness import perturb

pytestmark = pytest.mark.usefixtures("one_thread")
TOP, SIDE, SIZE = 4, 4, 16
PATCH = (slice(TOP, TOP + SIDE), slice(TOP, TOP + SIDE))


class LooksAtOnePatch(nn.Module):
    """Class 1 is the brighter the likelier its patch is; nothing else counts."""

    def __init__(self, gain: float = 0.5) -> None:
        super().__init__()
        self.gain = gain
        self.features = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.features.weight)

    def forward(self, x):
        bright = self.gain * (self.features(x)[:, 0, *PATCH].sum((1, 2)) - SIDE**2 / 2)
        return torch.stack([-bright, bright], 1)


@pytest.fixture
def images():
    return 0.9 + 0.1 * torch.rand(6, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def truth(images):
    masks = torch.zeros(len(images), SIZE, SIZE)
    masks[:, *PATCH] = 1
    return masks


# Deletion and insertion


def test_deletion_follows_the_known_curve(truth):
    model, white = LooksAtOnePatch(), torch.ones(6, 1, SIZE, SIZE)
    curve = faithfulness.deletion(model, white, truth, 1, steps=SIZE**2)
    left = np.clip(SIDE**2 - np.arange(SIZE**2 + 1), 0, None)
    expected = 1 / (1 + np.exp(-2 * model.gain * (left - SIDE**2 / 2)))
    assert curve.scores == pytest.approx(np.tile(expected, (6, 1)), abs=1e-6)
    assert curve.shares == pytest.approx(np.linspace(0, 1, SIZE**2 + 1))
    assert curve.auc == pytest.approx(((expected[1:] + expected[:-1]) / 2).mean())


def test_insertion_from_black_is_deletion_backwards(truth):
    model, white = LooksAtOnePatch(), torch.ones(6, 1, SIZE, SIZE)
    curve = faithfulness.insertion(model, white, truth, 1, start=0.0, steps=SIZE**2)
    seen = np.clip(np.arange(SIZE**2 + 1), None, SIDE**2)
    assert curve.scores[0] == pytest.approx(1 / (1 + np.exp(-2 * model.gain * (seen - SIDE**2 / 2))), abs=1e-6)


def test_the_true_map_wins_and_its_opposite_loses(images, truth):
    model = LooksAtOnePatch()
    guess = faithfulness.random_maps(images)
    deleted = [faithfulness.deletion(model, images, some, 1).auc for some in (truth, guess, 1 - truth)]
    assert (deleted[0] < deleted[1]).all()
    assert (deleted[1] < deleted[2]).all()
    dark = torch.zeros_like(images)
    inserted = [faithfulness.insertion(model, images, some, 1, start=dark).auc for some in (truth, guess, 1 - truth)]
    assert (inserted[0] > inserted[1]).all()
    assert (inserted[1] > inserted[2]).all()


def test_the_gradient_of_the_patch_model_is_the_true_map(images, truth):
    assert torch.equal(explain(LooksAtOnePatch(), images, 1, "gradient").maps, truth)


def test_ends_of_the_curves(images, truth):
    net = gap_net()
    probabilities = net(images).softmax(1).detach().numpy()
    target = probabilities.argmax(1)
    deletion, insertion = faithfulness.deletion(net, images, truth), faithfulness.insertion(net, images, truth)
    best = probabilities[np.arange(6), target]
    assert deletion.scores[:, 0] == pytest.approx(best, abs=1e-6)
    assert insertion.scores[:, -1] == pytest.approx(best, abs=1e-6)
    black = net(torch.zeros_like(images)).softmax(1).detach().numpy()[np.arange(6), target]
    assert deletion.scores[:, -1] == pytest.approx(black, abs=1e-6)
    blurred = insertion.scores[:, 0]
    assert np.abs(blurred - black).min() > 1e-6  # insertion starts from the blurred image


def test_equal_values_are_taken_in_random_order_and_the_batch_size_does_not_matter(images):
    model, flat = LooksAtOnePatch(), torch.zeros(6, SIZE, SIZE)
    first = faithfulness.deletion(model, images, flat, 1)
    assert np.array_equal(first.scores, faithfulness.deletion(model, images, flat, 1).scores)
    assert first.scores == pytest.approx(faithfulness.deletion(model, images, flat, 1, batch_size=4).scores)
    assert not np.array_equal(first.scores, faithfulness.deletion(model, images, flat, 1, seed=1).scores)
    # Halfway about half of the patch is covered, so nothing is known from the place of the patch.
    halves = [
        faithfulness.deletion(model, images, flat, 1, steps=2, seed=seed).scores[:, 1].mean() for seed in range(20)
    ]
    assert 0.2 < np.mean(halves) < 0.8


def test_pixels_are_ranked():
    maps = torch.tensor([[[0.1, 0.9], [0.5, 0.2]], [[4.0, 3.0], [2.0, 1.0]]])
    assert perturb.rank_pixels(maps, 0).tolist() == [[[3, 0], [1, 2]], [[0, 1], [2, 3]]]
    ties = perturb.rank_pixels(torch.zeros(3, 5, 5), 0)
    assert all(sorted(one.flatten().tolist()) == list(range(25)) for one in ties)


# ROAD


def test_road_finds_the_true_map(images, truth):
    pytest.importorskip("pytorch_grad_cam")
    model, pictures = LooksAtOnePatch(), images * 0.1
    pictures[:, 0, *PATCH] = 1  # a bright patch, which the surroundings do not fill in
    state = torch.get_rng_state()
    scores = [
        faithfulness.road(model, pictures, some, 1) for some in (truth, faithfulness.random_maps(images), 1 - truth)
    ]
    assert scores[0].shape == (6,)
    assert (scores[0] > 0.2).all()
    assert (scores[0] > scores[1]).all()
    assert (scores[1] > scores[2]).all()
    assert scores[0] == pytest.approx(-scores[2], abs=0.1)
    assert torch.equal(state, torch.get_rng_state())
    assert scores[0] == pytest.approx(faithfulness.road(model, pictures, truth, 1))


def test_road_is_the_librarys(images):
    pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.metrics.road import ROADCombined
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    net, maps = gap_net(), faithfulness.random_maps(images)
    targets = net(images).argmax(1).tolist()
    torch.manual_seed(0)
    expected = ROADCombined(percentiles=[30, 70])(
        images, maps.numpy(), [ClassifierOutputSoftmaxTarget(t) for t in targets], net
    )
    assert faithfulness.road(net, images, maps, percentiles=(30, 70)) == pytest.approx(expected, abs=2e-3)


# What all of them leave alone and refuse


def test_models_are_left_as_they_were(images, truth):
    net = gap_net(inplace=True).train()
    before = everything(net)
    faithfulness.deletion(net, images, truth)
    faithfulness.insertion(net, images, truth)
    faithfulness.cascading_randomization(net, images)
    with torch.inference_mode():
        faithfulness.deletion(net, images, truth)
    assert same(before, everything(net))


@pytest.mark.parametrize("check", [faithfulness.deletion, faithfulness.insertion, faithfulness.road])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: m[:2], ValueError, r"maps must have shape \(6, 16, 16\), given \(2, 16, 16\)"),
        (lambda m: m[:, None], ValueError, r"given \(6, 1, 16, 16\)"),
        (lambda m: m / 0, ValueError, "maps must be finite"),
        (lambda m: m.numpy(), TypeError, "maps must be a tensor of shape .N, H, W., given ndarray"),
    ],
)
def test_wrong_maps(check, change, error, message, images, truth):
    with pytest.raises(error, match=message):
        check(gap_net(), images, change(truth))


def test_wrong_settings(images, truth):
    with pytest.raises(ValueError, match="target must be from 0 to 4"):
        faithfulness.deletion(gap_net(), images, truth, 9)
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        faithfulness.deletion(gap_net(), images, truth, steps=0)
    with pytest.raises(ValueError, match="the filling must be a number or fit the images"):
        faithfulness.insertion(gap_net(), images, truth, start=torch.zeros(2, 6, 1, SIZE, SIZE))
    with pytest.raises(ValueError, match="percentiles must lie between 0 and 100"):
        faithfulness.road(gap_net(), images, truth, percentiles=(0, 50))


# Randomization


def test_weight_layers_stand_with_their_normalization():
    assert faithfulness.weight_layers(gap_net()) == [["0"], ["3", "4"], ["8"]]


def test_the_cascade_goes_from_the_output_to_the_input():
    net = gap_net()
    with torch.no_grad():
        net[4].bias.fill_(3)
        net[4].running_mean.fill_(2)
    before = everything(net)
    state = torch.get_rng_state()
    steps = list(faithfulness.cascade(net, seed=5))
    assert torch.equal(state, torch.get_rng_state())
    assert same(before, everything(net))
    assert [name for name, _ in steps] == ["8", "3", "0"]
    for step, (_, copied) in enumerate(steps):
        changed = [not torch.equal(copied[i].weight, net[i].weight) for i in (8, 3, 0)]
        assert changed == [True, step >= 1, step >= 2]
        assert (copied[4].bias == (0 if step else 3)).all()
        assert (copied[4].running_mean == (0 if step else 2)).all()
    assert torch.equal(steps[1][1][8].weight, steps[0][1][8].weight)  # what is random stays
    again, other = ([copied for _, copied in faithfulness.cascade(net, seed)] for seed in (5, 6))
    assert torch.equal(again[2][0].weight, steps[2][1][0].weight)
    assert not torch.equal(other[2][0].weight, steps[2][1][0].weight)


def test_a_module_of_its_own_kind_is_shuffled():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.arange(20.0).view(4, 5))

        def forward(self, x):
            return x

    (_, copied), *_ = faithfulness.cascade(nn.Sequential(Own()))
    assert not torch.equal(copied[0].weight, torch.arange(20.0).view(4, 5))
    assert sorted(copied[0].weight.flatten().tolist()) == list(range(20))


def test_no_parameters_no_cascade():
    with pytest.raises(ValueError, match="no parameters that could be made random"):
        list(faithfulness.cascade(nn.ReLU()))


def test_rank_correlation():
    maps, others = torch.rand(5, 6, 7), torch.rand(5, 6, 7)
    others[0] = maps[0].exp()
    others[1] = -maps[1]
    others[2] = 0
    others[3] = (others[3] * 4).round()  # ties
    found = faithfulness.rank_correlation(maps, others)
    assert found[:3] == pytest.approx([1, -1, 0])
    for i in (3, 4):
        assert found[i] == pytest.approx(spearmanr(maps[i].flatten(), others[i].flatten()).statistic)
    with pytest.raises(ValueError, match="maps must have one shape"):
        faithfulness.rank_correlation(maps, others[:2])


def test_cascading_randomization_tells_edges_from_evidence(images):
    """The map of a trained-like net changes; a map that ignores the weights would not."""
    pictures = torch.rand(6, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(7))
    table = faithfulness.cascading_randomization(gap_net(), pictures, method="grad_cam", seed=1)
    assert [*table.layer] == ["", "8", "3", "0"]
    assert [*table.columns] == ["layer", "similarity", "low", "high", "images", "blank"]
    assert table.similarity[0] == 1
    assert table.similarity[3] < 0.7
    assert (table.low <= table.similarity).all()
    assert (table.similarity <= table.high).all()
    assert (table.images == 6).all()
    fixed = faithfulness.cascading_randomization(gap_net(), pictures, 2, method="eigen_cam")
    assert fixed.similarity[1] == pytest.approx(1)  # Eigen-CAM does not know the last layer
    pixels = faithfulness.cascading_randomization(gap_net(), pictures, method="gradient")
    assert pixels.similarity[3] < 0.5


def test_label_randomization(images):
    labels = torch.arange(100) % 10
    shuffled = faithfulness.shuffled_labels(labels, 1)
    assert torch.equal(shuffled.sort().values, labels.sort().values)
    assert not torch.equal(shuffled, labels)
    assert torch.equal(shuffled, faithfulness.shuffled_labels(labels, 1))
    net = gap_net()
    assert faithfulness.map_agreement(net, net, images).mean == pytest.approx(1)
    found = faithfulness.map_agreement(net, gap_net(seed=3), images, 1, method="gradient")
    assert found.mean < 0.9
    assert found.n == 6


# Pointing


def test_pointing_game(truth):
    maps = torch.zeros(4, SIZE, SIZE)
    maps[0, 5, 6] = 1  # inside
    maps[1, 12, 12] = 1  # far outside
    maps[2, 5, 9] = 1  # two pixels to the right of the patch
    assert faithfulness.pointing_game(maps, truth[:4]).tolist() == [1, 0, 0, SIDE**2 / SIZE**2]  # the last is blank
    assert faithfulness.pointing_game(maps, truth[:4], tolerance=2).tolist()[:3] == [1, 0, 1]
    maps[0, 12, 12] = 1  # as large, and outside
    assert faithfulness.pointing_game(maps, truth[:4])[0] == 0.5


def test_energy_share(truth):
    maps = torch.stack([truth[0], 1 - truth[0], torch.ones(SIZE, SIZE), torch.zeros(SIZE, SIZE)])
    even = SIDE**2 / SIZE**2
    assert faithfulness.energy_share(maps, truth[:4]) == pytest.approx([1, 0, even, even])
    with pytest.raises(ValueError, match="nowhere negative"):
        faithfulness.energy_share(-maps, truth[:4])


def test_boxes(truth):
    masks = faithfulness.boxes_to_masks([(4, 4, 8, 8), (0, 1, 16, 2)], (SIZE, SIZE))
    assert torch.equal(masks[0].float(), truth[0])
    assert masks[1].sum() == 16
    for box in [(4, 4, 4, 8), (0, 0, 17, 3), (-1, 0, 3, 3), (8, 8, 4, 4)]:
        with pytest.raises(ValueError, match=r"a box is \(left, top, right, bottom\) inside an image of 16 x 16"):
            faithfulness.boxes_to_masks([box], (SIZE, SIZE))


def test_maps_and_masks_must_fit(truth):
    with pytest.raises(ValueError, match="maps and masks must have one shape"):
        faithfulness.pointing_game(truth, truth[:2])
    with pytest.raises(ValueError, match="each mask must hold at least one pixel"):
        faithfulness.pointing_game(truth, torch.zeros_like(truth))
    with pytest.raises(ValueError, match="maps must be finite"):
        faithfulness.energy_share(truth / 0, truth)


# Rivals that know nothing


def test_edge_maps_see_edges():
    pictures = torch.zeros(2, 3, SIZE, SIZE)
    pictures[0, :, :, 8:] = 1
    edges = faithfulness.edge_maps(pictures)
    assert edges.shape == (2, SIZE, SIZE)
    assert (edges[0, :, 7:9] == 1).all()
    assert not edges[0, :, :7].any()
    assert not edges[0, :, 9:].any()
    assert not edges[1].any()


def test_random_maps(images):
    fine, coarse = faithfulness.random_maps(images), faithfulness.random_maps(images, grid=4)
    assert fine.shape == coarse.shape == (6, SIZE, SIZE)
    assert torch.equal(fine, faithfulness.random_maps(images))
    assert coarse.diff(dim=2).abs().mean() < 0.4 * fine.diff(dim=2).abs().mean()
    assert (
        0.3 < faithfulness.pointing_game(faithfulness.random_maps(torch.zeros(400, 1, 8, 8)), _half(400)).mean() < 0.7
    )


def _half(n):
    masks = torch.zeros(n, 8, 8)
    masks[:, :4] = 1
    return masks


# Intervals


def test_intervals_over_images():
    values = np.random.default_rng(0).normal(0.6, 0.1, 64)
    bootstrap, student = faithfulness.over_images(values), faithfulness.over_images(values, kind="t")
    assert (student.low, student.high) == (stats.interval(values).low, stats.interval(values).high)
    assert bootstrap.mean == student.mean == pytest.approx(values.mean())
    assert bootstrap.high - bootstrap.low == pytest.approx(student.high - student.low, rel=0.15)
    assert str(student) == f"{student.mean:.3f} [{student.low:.3f}, {student.high:.3f}], 64 images"
    assert str(faithfulness.over_images(torch.tensor([0.5]))) == "0.500, 1 image"
    hits = faithfulness.over_images([1.0] * 30 + [0.0] * 2)
    assert hits.high <= 1  # a bootstrap never leaves the range of the values
    assert faithfulness.over_images(values) == faithfulness.over_images(values)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = [
        (found := faithfulness.over_images(rng.random(50) < 0.7, samples=400)).low <= 0.7 <= found.high
        for _ in range(200)
    ]
    assert 0.88 < np.mean(covered) < 0.99


def test_wrong_values():
    with pytest.raises(ValueError, match="kind 'z' is not known; allowed: 'bootstrap', 't'"):
        faithfulness.over_images([1.0, 2.0], kind="z")
    for values in ([], [1.0, np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="a row of finite numbers"):
            faithfulness.over_images(values)


def test_scorecard(images, truth):
    pytest.importorskip("pytorch_grad_cam")
    pictures = images * 0.1
    pictures[:, 0, *PATCH] = 1
    maps = {"truth": truth, "random": faithfulness.random_maps(images)}
    table = faithfulness.scorecard(LooksAtOnePatch(), pictures, maps, 1, masks=truth)
    assert [*table.columns] == ["method", "check", "better", "mean", "low", "high", "images"]
    means = table.pivot(index="check", columns="method", values="mean")
    assert set(means.index) == {"deletion", "insertion", "road", "pointing", "energy"}
    for check, better in dict(zip(table.check, table.better, strict=True)).items():
        gain = means.truth[check] - means.random[check]
        assert gain < 0 if better == "low" else gain > 0, check
    short = faithfulness.scorecard(LooksAtOnePatch(), pictures, maps, 1, with_road=False)
    assert set(short.check) == {"deletion", "insertion"}
