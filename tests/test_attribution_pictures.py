"""`overlay` and `as_picture`: every usual form of an image comes out the same, and nothing is guessed in silence."""

import numpy as np
import pytest
import torch

from course_utils.attribution import as_picture, colorize, overlay

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
PICTURE[0, 0], PICTURE[-1, -1] = 0, 255  # so that stretching finds both ends
FLOATS = PICTURE / 255
MAP = np.random.default_rng(1).random((12, 16))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def tensor(array):
    return torch.from_numpy(array).movedim(-1, 0)


def near(some, other):
    return np.abs(some.astype(int) - other.astype(int)).max() <= 1  # a last bit may be rounded the other way


def test_the_mixture_is_what_it_says():
    mixed = overlay(PICTURE, MAP, 0.3)
    assert mixed.dtype == np.uint8
    assert mixed.shape == (12, 16, 3)
    assert np.abs(mixed / 255 - (0.7 * FLOATS + 0.3 * colorize(MAP))).max() <= 0.5 / 255 + 1e-9
    assert np.array_equal(overlay(PICTURE, MAP, 0), PICTURE)
    assert np.array_equal(overlay(PICTURE, MAP, 1), (colorize(MAP) * 255).round().astype(np.uint8))


def test_colors_get_lighter_all_the_way():
    lightness = colorize(np.linspace(0, 1, 256)[None])[0] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize(
    "image",
    [
        PICTURE,
        FLOATS,
        FLOATS.astype(np.float32),
        np.moveaxis(PICTURE, 2, 0),
        PICTURE[None],
        torch.from_numpy(PICTURE),
        tensor(PICTURE),
        tensor(FLOATS),
        tensor(FLOATS)[None],
        tensor(FLOATS).requires_grad_(),
        tensor(FLOATS).to(torch.float64),
        np.dstack([PICTURE, np.full((12, 16), 255, np.uint8)]),
        np.dstack([FLOATS, np.ones((12, 16))]),
        PICTURE.astype(int),
    ],
)
def test_every_form_of_a_picture(image):
    assert np.abs(as_picture(image) - FLOATS).max() < 1e-6
    assert near(overlay(image, MAP), overlay(PICTURE, MAP))


@pytest.mark.parametrize(
    "map_", [MAP, MAP[None], torch.from_numpy(MAP), torch.from_numpy(MAP)[None, None].requires_grad_()]
)
def test_every_form_of_a_map(map_):
    assert near(overlay(PICTURE, map_), overlay(PICTURE, MAP))


@pytest.mark.parametrize("gray", [FLOATS[..., 0], FLOATS[..., :1], tensor(FLOATS[..., :1]), tensor(FLOATS)[0]])
def test_gray_pictures(gray):
    assert np.abs(as_picture(gray) - FLOATS[..., :1]).max() < 1e-6


def test_normalized_pictures_with_their_mean_and_std():
    normalized = (tensor(FLOATS) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    assert np.abs(as_picture(normalized, MEAN, STD) - FLOATS).max() < 1e-6
    assert near(overlay(normalized, MAP, mean=MEAN, std=STD), overlay(PICTURE, MAP))
    assert np.abs(as_picture((FLOATS - 0.5) / 0.5, 0.5, 0.5) - FLOATS).max() < 1e-6


def test_normalized_pictures_without_are_stretched():
    stretched = as_picture((FLOATS - 0.3) / 0.2)
    assert np.abs(stretched - FLOATS).max() < 1e-6
    assert as_picture(FLOATS * 255).max() == 1


def test_transparency_is_laid_on_white():
    image = np.dstack([np.zeros((2, 2, 3)), [[0.0, 1.0], [0.5, 0.0]]])
    assert as_picture(image)[..., 0].tolist() == [[1, 0], [0.5, 1]]


def test_whole_numbers_that_look_like_a_dark_picture_stay_dark():
    assert as_picture(np.ones((4, 4), np.uint8)).max() == pytest.approx(1 / 255)
    assert as_picture(np.ones((4, 4), bool)).max() == 1
    assert as_picture(np.full((4, 4), 7.0)).max() == 0  # no contrast to stretch


def test_small_maps_are_enlarged_as_explain_does():
    small = torch.rand(1, 1, 3, 4, dtype=torch.float64)
    large = torch.nn.functional.interpolate(small, (12, 16), mode="bilinear", align_corners=False)
    assert np.array_equal(overlay(PICTURE, small), overlay(PICTURE, large))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ([[0.0]], TypeError, "image must be a tensor or an array, given list"),
        (np.zeros((2, 5, 5, 3)), ValueError, r"image must be one of .*given \(2, 5, 5, 3\)"),
        (np.zeros((5, 5, 2)), ValueError, "with C 1, 3 or 4"),
        (np.zeros((0, 5)), ValueError, r"given \(0, 5\)"),
        (np.full((5, 5), np.nan), ValueError, "image must be finite"),
        (np.full((5, 5), 300), ValueError, "whole numbers must be from 0 to 255, given 300 to 300"),
    ],
)
def test_images_that_cannot_be_read(image, error, message):
    with pytest.raises(error, match=message):
        overlay(image, MAP)


@pytest.mark.parametrize(
    ("map_", "error", "message"),
    [
        (MAP * 2, ValueError, r"map must be in \[0, 1\], given 0.0116 to 2"),
        (MAP - 1, ValueError, r"map must be in \[0, 1\]"),
        (MAP * np.nan, ValueError, r"map must be in \[0, 1\], given nan"),
        (MAP[:8], ValueError, "map of 8 x 16 does not fit an image of 12 x 16"),
        (np.stack([MAP, MAP]), ValueError, r"map must have shape \(H, W\), given \(2, 12, 16\)"),
        (MAP.tolist(), TypeError, "map must be a tensor or an array"),
    ],
)
def test_maps_that_cannot_be_shown(map_, error, message):
    with pytest.raises(error, match=message):
        overlay(PICTURE, map_)


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="alpha must be from 0 to 1, given 2"):
        overlay(PICTURE, MAP, 2)
    with pytest.raises(ValueError, match="mean and std belong together"):
        overlay(PICTURE, MAP, mean=0.5)
    with pytest.raises(ValueError, match="with this mean and std the image would reach from 0.50 to 1.50"):
        overlay(FLOATS, MAP, mean=0.5, std=1)
    with pytest.raises(ValueError, match="mean and std must be one number or 1, one for each channel"):
        overlay(FLOATS[..., 0], MAP, mean=MEAN, std=STD)
