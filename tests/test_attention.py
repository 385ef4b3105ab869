"""Attention: scores on cases with known answers, models on pictures with an obvious spot, and the folder of scenes."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from course_utils import attention, plotting
from course_utils.attention import features, metrics, models
from course_utils.plotting import attention as draw

SHAPE = (24, 32)
RNG = np.random.default_rng(0)
DENSITY = np.exp(-(((np.indices(SHAPE) - np.array([[[8]], [[20]]])) / 4) ** 2).sum(0) / 2)
DENSITY /= DENSITY.sum()
FIXATIONS = np.concatenate(attention.simulate_observers(DENSITY, observers=40, fixations=10))


def grid(*values):
    return np.array([values], float)


def places(*columns):
    return np.array([[0, column] for column in columns])


# Scores with known answers


@pytest.mark.parametrize(
    ("saliency", "fixations", "expected"),
    [
        (grid(1, 2, 3, 4), places(3), 1),
        (grid(1, 2, 3, 4), places(2, 3), 1),
        (grid(4, 3, 2, 1), places(3), 0.5),  # one threshold, all pixels above: a straight line
        (grid(4, 3, 2, 1), places(2, 3), 0.25),
        (grid(1, 1, 1, 1), places(0, 2), 0.5),
        (grid(1, 2, 3, 4, 5), places(2), 0.75),  # the corner of the curve is cut: half of 1 / 2 too much
        (grid(1, 2, 3, 4), places(3, 3, 2), 1),
    ],
)
def test_auc_judd(saliency, fixations, expected):
    assert attention.auc_judd(saliency, fixations) == pytest.approx(expected)


def roc_by_hand(saliency, fixations):
    """The definition, in loops."""
    positives = [saliency[tuple(place)] for place in fixations]
    fixated = {tuple(place) for place in fixations.tolist()}
    negatives = [saliency[place] for place in np.ndindex(saliency.shape) if place not in fixated]
    points = [(0.0, 0.0)]
    for threshold in sorted(set(positives), reverse=True):
        points.append((np.mean([n >= threshold for n in negatives]), np.mean([p >= threshold for p in positives])))
    points.append((1.0, 1.0))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


def test_auc_judd_by_hand():
    saliency = RNG.integers(0, 9, (6, 7)).astype(float)
    fixations = RNG.integers(0, 6, (8, 2))
    assert attention.auc_judd(saliency, fixations) == pytest.approx(roc_by_hand(saliency, fixations))


def test_all_auc_scores_do_not_mind_a_rising_transformation_that_keeps_the_scale():
    saliency = RNG.random(SHAPE)
    for score in (attention.auc_judd, lambda s, f: attention.auc_shuffled(s, f, FIXATIONS[::-1] // 2)):
        assert score(saliency, FIXATIONS) == pytest.approx(score(saliency * 7 - 3, FIXATIONS))
        assert score(saliency, FIXATIONS) == pytest.approx(score(np.exp(saliency), FIXATIONS))
    assert attention.auc_borji(saliency, FIXATIONS) == pytest.approx(attention.auc_borji(saliency * 7 - 3, FIXATIONS))
    # A density over many pixels, sharpened, has tiny values only; they are contrast all the same.
    assert attention.auc_borji(DENSITY * 1e-15, FIXATIONS) == attention.auc_borji(DENSITY, FIXATIONS) > 0.6


def test_auc_borji():
    spot = np.zeros(SHAPE)
    spot[3, 4] = 1
    assert attention.auc_borji(spot, np.array([[3, 4]] * 20)) == pytest.approx(1, abs=2e-3)
    assert attention.auc_borji(np.ones(SHAPE), FIXATIONS) == 0.5
    uniform = np.concatenate(attention.simulate_observers(np.ones(SHAPE), observers=50, fixations=20))
    assert attention.auc_borji(RNG.random(SHAPE), uniform) == pytest.approx(0.5, abs=0.03)
    assert attention.auc_borji(DENSITY, FIXATIONS, seed=1) == attention.auc_borji(DENSITY, FIXATIONS, seed=1)
    # Against all pixels at all thresholds the area is the probability of a larger value; here it is a draw from that.
    assert attention.auc_borji(DENSITY, FIXATIONS, step=0.001) == pytest.approx(
        attention.auc_shuffled(DENSITY, FIXATIONS, np.argwhere(DENSITY >= 0)), abs=0.01
    )


def test_auc_shuffled():
    saliency = grid(1, 2, 3, 4)
    assert attention.auc_shuffled(saliency, places(3), places(0, 1)) == 1
    assert attention.auc_shuffled(saliency, places(0), places(2, 3)) == 0
    assert attention.auc_shuffled(saliency, places(1, 3), places(2, 2)) == 0.5
    assert attention.auc_shuffled(saliency, places(2), places(2)) == 0.5  # ties count half
    center = attention.center_bias(SHAPE)
    looks = attention.simulate_observers(center, observers=2, fixations=3000)
    assert attention.auc_judd(center, looks[0]) > 0.7  # knowing the middle pays
    assert attention.auc_shuffled(center, looks[0], looks[1]) == pytest.approx(0.5, abs=0.02)  # and here it does not


def test_nss():
    assert attention.nss(grid(0, 0, 0, 4), places(3)) == pytest.approx(math.sqrt(3))
    assert attention.nss(grid(0, 0, 0, 4), places(0, 1, 2, 3)) == pytest.approx(0)
    assert attention.nss(grid(0, 0, 0, 4), places(3, 3, 3, 0)) == pytest.approx(
        (3 * math.sqrt(3) - 1 / math.sqrt(3)) / 4
    )
    assert attention.nss(np.full(SHAPE, 0.3), FIXATIONS) == 0
    saliency = RNG.random(SHAPE)
    assert attention.nss(saliency, FIXATIONS) == pytest.approx(attention.nss(5 * saliency - 2, FIXATIONS))


def test_cc():
    saliency = RNG.random(SHAPE)
    assert attention.cc(saliency, saliency * 3 + 1) == pytest.approx(1)
    assert attention.cc(saliency, -saliency) == pytest.approx(-1)
    assert attention.cc(np.ones(SHAPE), saliency) == 0
    assert attention.cc(grid(1, 0, 1, 0), grid(1, 1, 0, 0)) == pytest.approx(0)


def test_sim():
    assert attention.sim(DENSITY, DENSITY * 9) == pytest.approx(1)
    assert attention.sim(grid(1, 0, 0), grid(0, 0, 1)) == 0
    assert attention.sim(grid(1, 1, 0, 0), grid(0, 1, 1, 0)) == pytest.approx(0.5)
    assert attention.sim(np.ones((1, 4)), grid(0, 0, 0, 1)) == pytest.approx(0.25)


def test_kl():
    assert attention.kl(DENSITY, DENSITY) == pytest.approx(0, abs=1e-9)
    assert attention.kl(grid(1, 1, 1, 1), grid(1, 1, 0, 0)) == pytest.approx(math.log(2))
    assert attention.kl(grid(1, 1, 1, 1), grid(1, 0, 0, 0)) == pytest.approx(math.log(4))
    assert attention.kl(grid(1, 0), grid(0, 1)) == pytest.approx(math.log(1 / metrics.EPSILON))
    assert attention.kl(grid(3, 1), grid(1, 1)) != attention.kl(grid(1, 1), grid(3, 1))


def test_information_gain():
    even = np.ones(SHAPE)
    assert attention.information_gain(grid(2, 1, 1), places(0), grid(1, 1, 2)) == pytest.approx(1)
    assert attention.information_gain(even, FIXATIONS, even) == 0
    assert attention.information_gain(grid(1, 1, 0, 0), places(0, 1), grid(1, 1, 1, 1)) == pytest.approx(1)
    # The gain of the true density over an even one is what its entropy lacks, in the mean.
    expected = math.log2(DENSITY.size) + (DENSITY[DENSITY > 0] * np.log2(DENSITY[DENSITY > 0])).sum()
    assert attention.information_gain(DENSITY, FIXATIONS, even) == pytest.approx(expected, abs=0.1)


def test_no_map_beats_the_density_in_information_gain_and_likelihood_scores():
    even = np.ones(SHAPE)
    best = attention.information_gain(DENSITY, FIXATIONS, even)
    for other in (np.sqrt(DENSITY), DENSITY**2, np.roll(DENSITY, 2, axis=1), DENSITY + DENSITY.max() / 20):
        assert attention.information_gain(other, FIXATIONS, even) < best
        assert attention.kl(other, DENSITY) > 0.01


def test_scores_disagree():
    """A sharper map keeps the order of pixels and loses likelihood; a veil changes neither order nor contrast."""
    sharp = DENSITY**4
    assert attention.auc_shuffled(sharp, FIXATIONS, np.argwhere(DENSITY >= 0)) == pytest.approx(
        attention.auc_shuffled(DENSITY, FIXATIONS, np.argwhere(DENSITY >= 0)), abs=1e-3
    )
    assert attention.nss(sharp, FIXATIONS) < attention.nss(DENSITY, FIXATIONS)
    assert attention.information_gain(sharp, FIXATIONS, DENSITY) < -1
    veiled = DENSITY + DENSITY.max()
    assert attention.auc_judd(veiled, FIXATIONS) == pytest.approx(attention.auc_judd(DENSITY, FIXATIONS))
    assert attention.nss(veiled, FIXATIONS) == pytest.approx(attention.nss(DENSITY, FIXATIONS))
    assert attention.cc(veiled, DENSITY) == pytest.approx(1)
    assert attention.kl(veiled, DENSITY) > 0.5
    assert attention.information_gain(veiled, FIXATIONS, DENSITY) < -1


def test_density_of_fixations():
    density = attention.fixation_density(np.array([[5, 5], [5, 5], [15, 20]]), SHAPE, 1.0)
    assert density.sum() == pytest.approx(1)
    assert density[5, 5] == pytest.approx(2 * density[15, 20])
    assert attention.fixation_density(np.array([[5, 5]]), SHAPE, 0)[5, 5] == 1


@pytest.mark.parametrize(
    ("fixations", "message"),
    [
        (np.zeros((0, 2), int), "F at least 1"),
        (np.zeros((3, 3), int), r"shape \(3, 3\)"),
        (np.zeros((3, 2)), "whole numbers"),
        (np.array([[24, 0]]), "inside the map of 24 x 32"),
        (np.array([[-1, 0]]), "inside the map"),
    ],
)
def test_wrong_fixations(fixations, message):
    for score in (attention.auc_judd, attention.nss, attention.auc_borji):
        with pytest.raises(ValueError, match=message):
            score(DENSITY, fixations)
    with pytest.raises(ValueError, match=message):
        attention.auc_shuffled(DENSITY, FIXATIONS, fixations)


def test_wrong_maps():
    with pytest.raises(ValueError, match="saliency must be a map"):
        attention.nss(np.full(SHAPE, np.nan), FIXATIONS)
    with pytest.raises(ValueError, match=r"maps of one shape, given \(24, 32\) and \(32, 24\)"):
        attention.cc(DENSITY, DENSITY.T)
    with pytest.raises(ValueError, match="may not be negative"):
        attention.kl(DENSITY - 1, DENSITY)
    with pytest.raises(ValueError, match="may not be negative"):
        attention.information_gain(DENSITY, FIXATIONS, np.zeros(SHAPE))
    with pytest.raises(ValueError, match="every pixel is fixated"):
        attention.auc_judd(grid(1, 2), places(0, 1))
    with pytest.raises(ValueError, match="must be finite"):
        attention.sim(DENSITY, DENSITY * np.inf)


# Simulated observers


def test_observers_look_where_the_density_says():
    people = attention.simulate_observers(DENSITY, observers=5, fixations=400, seed=3)
    assert [one.shape for one in people] == [(400, 2)] * 5
    assert not np.array_equal(people[0], people[1])
    assert np.array_equal(people[4], attention.simulate_observers(DENSITY, observers=5, fixations=400, seed=3)[4])
    counts = attention.fixation_density(np.concatenate(people), SHAPE, 0)
    assert counts == pytest.approx(DENSITY, abs=0.006)
    assert (counts[DENSITY == 0] == 0).all()


@pytest.mark.parametrize("density", [np.zeros(SHAPE), DENSITY - 1, np.full(SHAPE, np.nan), DENSITY[0]])
def test_no_density_no_observers(density):
    with pytest.raises(ValueError, match="density must be a map"):
        attention.simulate_observers(density)


# Models


def spotted(spot, background, noise=0.02):
    picture = np.random.default_rng(2).normal(background, noise, (256, 320, 3))
    picture[100:124, 220:244] = np.random.default_rng(3).normal(spot, noise, (24, 24, 3))
    return picture.clip(0, 1)


MODELS = [attention.spectral_residual, attention.itti_koch, attention.gbvs]


@pytest.mark.parametrize("model", MODELS)
def test_a_bright_spot_is_salient(model):
    picture = spotted((0.9, 0.9, 0.9), (0.3, 0.3, 0.3))
    saliency = model(picture)
    assert saliency.shape == (256, 320)
    assert saliency.min() == 0
    assert saliency.max() == 1
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    assert 80 <= row <= 144
    assert 200 <= column <= 264
    assert np.array_equal(saliency, model(picture))


@pytest.mark.parametrize("model", [attention.itti_koch, attention.gbvs])
def test_a_red_spot_among_green_of_the_same_brightness_is_salient(model):
    saliency = model(spotted((0.7, 0.2, 0.3), (0.2, 0.7, 0.3)))
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    assert 80 <= row <= 144
    assert 200 <= column <= 264


def test_the_seam_of_the_transform_does_not_win():
    """Left edge and right edge of a picture that gets brighter differ, and for the transform they are neighbors."""
    picture = np.tile(np.linspace(0.2, 0.6, 320), (256, 1))
    picture[100:124, 190:214] += 0.1
    row, column = np.unravel_index(attention.spectral_residual(picture).argmax(), picture.shape)
    assert 80 <= row <= 144
    assert 170 <= column <= 234


def test_waves_that_are_missing_do_not_win():
    """Bars without any noise have waves of amplitude 0."""
    picture = np.full((240, 320), 0.5)
    for row in (40, 120, 200):
        for column in (40, 120, 200, 280):
            picture[row - 18 : row + 18, column - 5 : column + 5] = 0.25
    picture[102:138, 195:205] = 1
    row, column = np.unravel_index(attention.spectral_residual(picture).argmax(), picture.shape)
    assert 100 <= row <= 140
    assert 190 <= column <= 210


def test_lying_stripes_among_upright_ones_are_salient():
    y, x = np.indices((256, 320))
    picture = (np.sin(x * np.pi / 2 / 4) + 1) / 2
    lying = (slice(96, 128), slice(208, 240))
    picture[lying] = ((np.sin(y * np.pi / 2 / 4) + 1) / 2)[lying]
    maps = attention.itti_koch_maps(picture)
    assert {name: len(some) for name, some in maps.items()} == {"intensity": 6, "color": 12, "orientation": 24}
    row, column = np.unravel_index(attention.itti_koch(picture).argmax(), picture.shape)
    assert 72 <= row <= 152
    assert 184 <= column <= 264


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("shape", [(256, 320), (213, 299)])
def test_a_flipped_picture_has_a_flipped_map(model, shape):
    """Levels of a pyramid that are not in register would shift the surround against its center."""
    picture = spotted((0.9, 0.5, 0.4), (0.3, 0.3, 0.3), noise=0.2)[: shape[0], : shape[1]]
    saliency = model(picture)
    assert model(picture[:, ::-1])[:, ::-1] == pytest.approx(saliency, abs=0.01)
    assert model(picture[::-1])[::-1] == pytest.approx(saliency, abs=0.01)


def test_a_pyramid_stays_in_place():
    y, x = np.indices((256, 320))
    blob = np.exp(-((y - 80) ** 2 + (x - 200) ** 2) / (2 * 30**2))
    for level, image in enumerate(features.pyramid(blob, 6)):
        middle = [(index * image).sum() / image.sum() for index in np.indices(image.shape)]
        assert (np.array(middle) + 0.5) * 2**level == pytest.approx([80.5, 200.5], abs=1)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_salient_where_there_is_nothing(model):
    saliency = model(np.full((160, 200), 0.4))
    assert saliency.shape == (160, 200)
    assert np.isfinite(saliency).all()
    assert saliency.max() in (0, 1)
    assert not attention.spectral_residual(np.zeros((40, 50))).any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "turn", [lambda p: p, lambda p: (p * 255).round().astype(np.uint8), lambda p: torch.from_numpy(p).movedim(2, 0)]
)
def test_pictures_in_every_form(model, turn):
    picture = spotted((0.9, 0.9, 0.9), (0.3, 0.3, 0.3))
    assert np.abs(model(turn(picture)) - model(picture)).max() < 0.2


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        ([[0.5]], TypeError, "picture must be an array or a tensor, given list"),
        (np.zeros((5, 5, 4)), ValueError, r"given \(5, 5, 4\)"),
        (np.full((5, 5), 2.0), ValueError, "a picture's values must be from 0 to 1, given 2.0"),
        (np.full((5, 5), 300), ValueError, "from 0 to 255, given 300"),
        (np.full((5, 5), np.nan), ValueError, "from 0 to 1, given nan"),
    ],
)
def test_pictures_that_are_none(picture, error, message):
    for model in MODELS:
        with pytest.raises(error, match=message):
            model(picture)


def test_nine_scales_need_a_picture_of_some_size():
    with pytest.raises(
        ValueError, match="nine scales need at least 129 pixels a side, given 128 x 300; enlarge the picture"
    ):
        attention.itti_koch(np.zeros((128, 300)))
    assert attention.itti_koch(np.zeros((129, 129))).shape == (129, 129)


def test_settings_of_the_models():
    picture = spotted((0.9, 0.9, 0.9), (0.3, 0.3, 0.3))
    assert attention.gbvs(picture, dissimilarity="log", grid=16).shape == (256, 320)
    with pytest.raises(ValueError, match="dissimilarity 'ratio' is not known; allowed: 'difference', 'log'"):
        attention.gbvs(picture, dissimilarity="ratio")
    with pytest.raises(ValueError, match="size must be a positive integer"):
        attention.spectral_residual(picture, size=0)
    assert attention.gbvs(np.random.default_rng(0).random((28, 28))).shape == (28, 28)


def test_promotion_prefers_one_peak_to_many():
    one, many = np.zeros((40, 40)), np.zeros((40, 40))
    one[20, 20] = 1
    many[5::10, 5::10] = 1
    assert models.promote(one).max() == 1
    assert models.promote(many).max() == 0
    many[5, 5] = 2  # twice as high as its rivals
    assert models.promote(many).max() == pytest.approx(0.25)
    assert not models.promote(np.ones((5, 5))).any()


def walked(weights):
    """The left eigenvector of the step matrix for the eigenvalue 1."""
    values, vectors = np.linalg.eig((weights / weights.sum(axis=1, keepdims=True)).T)
    vector = vectors[:, np.abs(values - 1).argmin()].real
    return vector / vector.sum()


def test_equilibrium_of_a_walk():
    chain = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0.0]])  # the one in the middle is visited every other step
    assert models.equilibrium(chain, np.ones(3)) == pytest.approx([0.25, 0.5, 0.25])
    ties = RNG.random((20, 20))
    ties, pull = ties + ties.T, RNG.random(20)
    assert models.equilibrium(ties, np.ones(20)) == pytest.approx(walked(ties))
    assert models.equilibrium(ties, pull) == pytest.approx(walked(ties * pull))
    assert models.equilibrium(np.zeros((3, 3)), np.ones(3)) == pytest.approx([1 / 3] * 3)


def test_far_places_are_in_equilibrium_too():
    """Two heaps so far apart that a walker hardly ever changes from one to the other."""
    at = np.array([0, 1, 2, 100, 101])
    ties = np.exp(-((at[:, None] - at[None]) ** 2) / 2) + 1e-9
    assert models.equilibrium(ties, np.ones(5)) == pytest.approx(walked(ties))


def test_center_bias():
    bias = attention.center_bias((21, 41))
    assert np.unravel_index(bias.argmax(), bias.shape) == (10, 20)
    assert np.allclose(bias, bias[::-1, ::-1])
    assert bias[10, 30] == pytest.approx(bias[5, 20], abs=0.02)  # as wide as the picture
    with pytest.raises(ValueError, match="sigma must be positive"):
        attention.center_bias((5, 5), sigma=0)


def test_scanpath_goes_from_peak_to_peak():
    saliency = np.zeros((40, 40))
    for value, place in zip((3, 2, 1), ((5, 5), (30, 30), (5, 30)), strict=True):
        saliency[place] = value
    saliency[6, 6] = 2.9  # in the shadow of the first
    assert attention.scanpath(saliency, 3).tolist() == [[5, 5], [30, 30], [5, 30]]
    assert len(attention.scanpath(saliency, 50, radius=1.0)) < 10


def test_channels():
    red, yellow = np.zeros((9, 9, 3)), np.zeros((9, 9, 3))
    red[..., 0], yellow[..., :2] = 1, 1
    red_green, blue_yellow = features.opponent_colors(red)
    assert (red_green > 0).all()
    assert np.allclose(features.opponent_colors(yellow)[0], 0)
    assert (features.opponent_colors(yellow)[1] < 0).all()
    assert not features.opponent_colors(np.zeros((9, 9, 3)))[0].any()
    x = np.tile(np.arange(32), (32, 1))
    stripes = (np.sin(x * np.pi / 2) + 1) / 2
    assert features.orientation(stripes, 0).mean() > 5 * features.orientation(stripes, 90).mean()
    assert np.abs(features.orientation(np.full((20, 20), 0.7), 45)).max() < 1e-9


@pytest.mark.parametrize("shape", [(7, 9), (24, 32), (50, 41), (1, 1), (48, 5)])
def test_resizing_keeps_what_is_even_and_the_mean(shape):
    assert features.resize(np.full((24, 32), 0.3), shape) == pytest.approx(np.full(shape, 0.3))
    image = np.add.outer(np.arange(24.0), np.arange(32.0))
    assert features.resize(image, shape).shape == shape
    assert features.resize(image, shape).mean() == pytest.approx(image.mean(), rel=0.02)


# A folder like MIT1003's


@pytest.fixture
def folder(tmp_path):
    for name in ("ALLSTIMULI", "ALLFIXATIONMAPS"):
        (tmp_path / name).mkdir()
    points = np.zeros((30, 40), np.uint8)
    points[10, 12] = points[20, 33] = 255
    blurred = (attention.fixation_density(np.argwhere(points), (30, 40), 4) * 255 * 50).astype(np.uint8)
    for name in ("i01", "i02"):
        Image.new("RGB", (40, 30), "teal").save(tmp_path / "ALLSTIMULI" / f"{name}.jpeg")
        Image.fromarray(points).save(tmp_path / "ALLFIXATIONMAPS" / f"{name}_fixPts.jpg", quality=95)
        Image.fromarray(blurred).save(tmp_path / "ALLFIXATIONMAPS" / f"{name}_fixMap.jpg")
    return tmp_path


def test_scenes_are_read(folder):
    (folder / "ALLSTIMULI" / "Thumbs.db").write_bytes(b"")
    (folder / "ALLFIXATIONMAPS" / "i02_fixMap.jpg").unlink()
    scenes = attention.SceneFolder(folder)
    assert len(scenes) == 2
    first, second = scenes
    assert first.name == "i01"
    assert first.picture.shape == (30, 40, 3)
    assert first.fixations.tolist() == [[10, 12], [20, 33]]
    assert first.density.sum() == pytest.approx(1)
    assert attention.nss(first.density, first.fixations) > 2
    assert second.density is None


def test_folders_that_are_not_like_it(folder, tmp_path):
    with pytest.raises(
        ValueError, match=r"it lacks ALLSTIMULI and ALLFIXATIONMAPS. Get ALLSTIMULI.zip and ALLFIXATIONMAPS.zip"
    ):
        attention.SceneFolder(tmp_path / "nowhere")
    (folder / "ALLFIXATIONMAPS" / "i02_fixPts.jpg").unlink()
    with pytest.raises(
        ValueError, match=r"1 of 2 pictures have no fixations in .*, the first i02.jpeg, which needs i02_fixPts.jpg"
    ):
        attention.SceneFolder(folder)
    for file in (folder / "ALLSTIMULI").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="holds no pictures"):
        attention.SceneFolder(folder)


def test_scenes_that_cannot_be_used(folder):
    scenes = attention.SceneFolder(folder)
    points = folder / "ALLFIXATIONMAPS" / "i01_fixPts.jpg"
    Image.new("L", (40, 30)).save(points)
    with pytest.raises(ValueError, match=r"nobody looked at i01.jpeg"):
        scenes[0]
    Image.new("L", (41, 30), 255).save(points)
    with pytest.raises(ValueError, match=r"i01.jpeg is 30 x 40, but its fixations are 30 x 41 pixels"):
        scenes[0]
    points.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"i01_fixPts.jpg cannot be read as a picture"):
        scenes[0]
    Image.new("L", (40, 30)).save(folder / "ALLFIXATIONMAPS" / "i02_fixMap.jpg")
    with pytest.raises(ValueError, match=r"the blurred fixations of i02.jpeg are 30 x 40 pixels, or all black"):
        scenes[1]
    points.unlink()
    with pytest.raises(ValueError, match="a file has gone"):
        scenes[0]


# Figures of the page


@pytest.fixture
def closed_figures():
    yield
    plotting.plt.close("all")


@pytest.mark.usefixtures("closed_figures")
class TestFigures:
    def test_places_are_dots_or_numbers(self):
        photograph, saliency = np.zeros((24, 32, 3), np.uint8), DENSITY
        marked = {1: np.array([[3, 4], [5, 6]])}
        dots, blank = draw.panels([photograph, saliency], ["a", "b"], places=marked).axes[::-1]
        assert dots.collections[0].get_offsets().tolist() == [[4, 3], [6, 5]]
        assert not blank.collections
        numbered = draw.panels(
            [photograph, saliency, saliency], ["a", "b", "c"], columns=2, places=marked, numbered=True
        )
        assert [text.get_text() for text in numbered.axes[1].texts] == ["1", "2"]
        assert [axis.get_title() for axis in numbered.axes] == ["a", "b", "c", ""]

    def test_panels_need_titles_and_pictures(self):
        with pytest.raises(ValueError, match="1 images need as many titles, at least one, given 0"):
            draw.panels([DENSITY], [])
        with pytest.raises(ValueError, match=r"must be \(H, W\) or \(H, W, 3\), given \(2, 2, 4\)"):
            draw.panels([np.zeros((2, 2, 4))], ["a"])

    def test_ranks_turn_a_score_where_little_is_good(self):
        scores = pd.DataFrame({"NSS": [2.0, 1.0, 0.0], "KL": [0.1, 0.9, 0.9]}, index=["truth", "GBVS", "mine"])
        (axis,) = draw.ranks(scores, lower_is_better=["KL"]).axes
        assert [line.get_ydata().tolist() for line in axis.lines] == [[1, 1], [2, 2.5], [3, 2.5]]
        assert [line.get_color() for line in axis.lines][:2] == [draw.MAPS["truth"][0], draw.MAPS["GBVS"][0]]
        assert axis.get_ylim()[0] > axis.get_ylim()[1]  # the best on top

    def test_a_model_looks_alike_in_all_curves(self):
        frame = pd.DataFrame({"KL, GBVS": [1.0, 2.0], "AUC": [0.5, 0.6]}, index=[1, 2])
        left, right = draw.curves(frame, ["KL, GBVS"], ["AUC"], xlabel="x", labels=("KL", "AUC"), base=2).axes
        assert left.lines[0].get_color() == draw.MAPS["GBVS"][0]
        assert [axis.get_legend().get_texts()[0].get_text() for axis in (left, right)] == ["GBVS", "AUC"]
        assert right.get_xscale() == "log"
