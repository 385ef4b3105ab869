import pytest
import torch

from course_utils.augment import AUGMENTATIONS, flip
from course_utils.data import Batches, Split


def numbered(n: int = 40, channels: int = 2, height: int = 6, width: int = 5) -> torch.Tensor:
    """Images all of whose pixels differ, and none of which is 0."""
    return torch.arange(1, n * channels * height * width + 1).view(n, channels, height, width)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("name", "margin"), [("crop_flip", 2), ("crop1_flip", 1)])
def test_each_image_is_shifted_and_flipped_in_its_own_way(name, margin) -> None:
    images = numbered()
    padded = torch.nn.functional.pad(images, [margin] * 4)
    seen = set()
    for image, changed in zip(padded, AUGMENTATIONS[name](images, generator()), strict=True):
        ways = [
            (down, right, mirrored)
            for down in range(2 * margin + 1)
            for right in range(2 * margin + 1)
            for mirrored in (False, True)
            if torch.equal(mirror(image, margin, mirrored)[:, down : down + 6, right : right + 5], changed)
        ]
        assert len(ways) == 1
        seen.add(ways[0])
    assert {way[2] for way in seen} == {False, True}
    assert {way[0] for way in seen} == {way[1] for way in seen} == set(range(2 * margin + 1))


def mirror(padded: torch.Tensor, margin: int, mirrored: bool) -> torch.Tensor:
    """The picture inside the frame, mirrored or not: the flip comes before the shift."""
    if not mirrored:
        return padded
    inner = padded[:, margin:-margin, margin:-margin].flip(2)
    return torch.nn.functional.pad(inner, [margin] * 4)


def test_flip_mirrors_about_half_of_the_images_and_moves_nothing() -> None:
    images = numbered(400)
    changed = flip(images, generator())
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(changed, images, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(changed, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 160 < sum(mirrored) < 240


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS.keys() - {"none"}))
def test_type_shape_and_input_stay_and_the_generator_decides(name) -> None:
    images = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8, generator=generator(1))
    before = images.clone()
    change = AUGMENTATIONS[name]
    first, second, other = change(images, generator()), change(images, generator()), change(images, generator(5))
    assert (first.shape, first.dtype) == (images.shape, torch.uint8)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)


def test_batches_are_changed_anew_in_each_pass_and_repeatably() -> None:
    split = Split(torch.randint(0, 256, (32, 1, 28, 28), dtype=torch.uint8), torch.arange(32) % 10)
    batches = Batches(split, 32, shuffle=True, seed=3, augment="crop_flip")
    passes = [next(iter(batches))[0] for _ in range(2)]
    assert not torch.equal(*passes)
    again = next(iter(Batches(split, 32, shuffle=True, seed=3, augment="crop_flip")))
    assert torch.equal(again[0], passes[0])
    plain = next(iter(Batches(split, 32, shuffle=True, seed=3)))
    assert torch.equal(again[1], plain[1])  # the order of the data does not depend on it in the first pass


def test_an_unknown_name_is_refused() -> None:
    split = Split(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.arange(4))
    with pytest.raises(ValueError, match=r"augment 'rotate' is not known; allowed: 'none', 'flip', 'crop_flip'"):
        Batches(split, 2, augment="rotate")
