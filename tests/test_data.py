import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sample import PATH, TEST_PER_CLASS, TRAIN_PER_CLASS, first_of_each_class, load_sample

from course_utils import data, sources
from course_utils.data import Batches, Dataset, Split


def full_set(name: str) -> Dataset:
    """The whole data set, if its files are on this machine."""
    folder = sources.raw_folder(name)
    if not all((folder / filename).is_file() for filename in sources.get_origin(name).sha256):
        pytest.skip(f"{name} is not in {folder}; python -m course_utils data --fetch gets it")
    return data.load(name, progress=False)


def small_split(count: int = 10, channels: int = 1) -> Split:
    """Images that are all different: image i is filled with i."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, channels, 4, 4).contiguous()
    return Split(images, torch.arange(count) % 10)


def test_the_sample_equals_the_first_of_each_class_of_the_full_set():
    sample, full = load_sample(), full_set("fashion-mnist")
    for part, whole, per_class in [
        (sample.train, full.train, TRAIN_PER_CLASS),
        (sample.test, full.test, TEST_PER_CLASS),
    ]:
        expected = first_of_each_class(whole, per_class)
        assert torch.equal(part.images, expected.images)
        assert torch.equal(part.labels, expected.labels)
        assert part.labels.bincount().tolist() == [per_class] * 10


def test_the_sample_is_small():
    assert PATH.stat().st_size < 500_000


@pytest.mark.parametrize(("name", "mean", "std"), [("fashion-mnist", 0.28604, 0.35302), ("mnist", 0.13066, 0.30811)])
def test_each_full_set_has_its_published_statistics(name, mean, std):
    dataset = full_set(name)
    assert dataset.name == name
    assert dataset.train.images.shape == (60_000, 1, 28, 28)
    assert dataset.test.images.shape == (10_000, 1, 28, 28)
    assert len(dataset.classes) == 10
    share = np.bincount(dataset.train.images.numpy().ravel(), minlength=256) / dataset.train.images.numel()
    values = np.arange(256) / 255
    assert share @ values == pytest.approx(mean, abs=5e-6)
    assert np.sqrt(share @ (values - mean) ** 2) == pytest.approx(std, abs=5e-6)
    if name == "fashion-mnist":
        assert dataset.train.labels.bincount().tolist() == [6000] * 10
    assert dataset.train.labels[:3].tolist() == {"fashion-mnist": [9, 0, 0], "mnist": [5, 0, 4]}[name]


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(ValueError, match="data set 'cifar10' is not known; allowed: 'fashion-mnist', 'mnist'"):
        data.load("cifar10")


def test_loading_reads_the_files_that_fetch_returns(monkeypatch, tmp_path):
    paths = {}
    for name, header, body in [
        (sources.TRAIN_IMAGES, 16, bytes(range(256)) * 49),  # 16 images
        (sources.TRAIN_LABELS, 8, bytes(range(10)) + bytes(6)),
        (sources.TEST_IMAGES, 16, bytes([200]) * 784),
        (sources.TEST_LABELS, 8, bytes([9])),
    ]:
        paths[name] = tmp_path / name
        paths[name].write_bytes(bytes([77]) * header + body)
    asked = []
    monkeypatch.setattr(sources, "fetch", lambda *args: asked.append(args) or paths)
    dataset = data.load("mnist", tmp_path, progress=False)
    assert asked == [("mnist", tmp_path, False)]
    assert dataset.train.images.shape == (16, 1, 28, 28)
    assert dataset.train.images.flatten()[:300].tolist() == [*range(256), *range(44)]
    assert dataset.train.labels.tolist() == [*range(10), 0, 0, 0, 0, 0, 0]
    assert dataset.test.labels.tolist() == [9]
    assert dataset.classes == tuple("0123456789")


IMAGES, LABELS = torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 5, 9])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.float(), LABELS, r"images must be uint8 \(0 to 255\), given torch.float32"),
        (IMAGES.long(), LABELS, r"images must be uint8 \(0 to 255\), given torch.int64"),
        (IMAGES[:, 0], LABELS, r"shape \(N, 1 or 3, H, W\), given \(3, 4, 4\)"),
        (IMAGES.expand(3, 2, 4, 4), LABELS, r"shape \(N, 1 or 3, H, W\), given \(3, 2, 4, 4\)"),
        (IMAGES.permute(0, 2, 3, 1), LABELS, r"shape \(N, 1 or 3, H, W\), given \(3, 4, 4, 1\)"),
        (IMAGES, LABELS.int(), "labels must be int64, given torch.int32"),
        (IMAGES, LABELS.float(), "labels must be int64, given torch.float32"),
        (IMAGES, LABELS[:2], r"labels must have shape \(3,\), one per image, given \(2,\)"),
        (IMAGES, LABELS[:, None], r"labels must have shape \(3,\), one per image, given \(3, 1\)"),
        (IMAGES[:0], LABELS[:0], "at least one image, given none"),
        (IMAGES, torch.tensor([0, 1, 10]), "labels must lie in 0 to 9, given 0 to 10"),
        (IMAGES, torch.tensor([-1, 1, 2]), "labels must lie in 0 to 9, given -1 to 2"),
    ],
)
def test_a_bad_split_says_what_was_given_and_what_is_allowed(images, labels, message):
    with pytest.raises(ValueError, match=message):
        Split(images, labels)


@pytest.mark.parametrize("classes", [3, 6])
def test_labels_must_be_below_the_number_of_classes(classes):
    with pytest.raises(ValueError, match=f"labels must lie in 0 to {classes - 1}, given 0 to 9"):
        Split(IMAGES, LABELS, classes)


def test_a_split_of_color_images_can_be_cut_and_moved():
    split = Split(IMAGES.expand(3, 3, 4, 4), LABELS, classes=11)
    for part in (split[1:], split[torch.tensor([1, 2])], split.to("cpu")[1:]):
        assert len(part) == 2
        assert part.labels.tolist() == [5, 9]
        assert part.classes == 11


def test_fitting_and_validation_share_no_image_and_leave_none_out():
    count = data.VALIDATION_SIZE + 50
    images = torch.zeros(count, 1, 1, 1, dtype=torch.uint8)
    train = Split(images, torch.arange(count), classes=count)
    dataset = Dataset("numbered", (), train, train[:1])
    assert len(dataset.fitting) == 50
    assert len(dataset.validation) == 10_000
    assert torch.equal(torch.cat([dataset.fitting.labels, dataset.validation.labels]), train.labels)


@pytest.mark.parametrize("part", ["fitting", "validation"])
def test_a_set_too_small_to_validate_on_says_so(part):
    with pytest.raises(ValueError, match="validation needs more than 10,000 training images, given 600"):
        getattr(load_sample(), part)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("size", "lengths"), [(4, [4, 4, 2]), (5, [5, 5]), (1, [1] * 10), (99, [10])])
def test_a_pass_holds_every_image_once_and_keeps_the_short_batch(size, lengths, shuffle):
    batches = Batches(small_split(), size, shuffle=shuffle)
    found = list(batches)
    assert [len(y) for _, y in found] == lengths
    assert len(batches) == len(lengths)
    values = torch.cat([x[:, 0, 0, 0] * 255 for x, _ in found]).round().long()
    labels = torch.cat([y for _, y in found])
    assert sorted(values.tolist()) == list(range(10))
    assert torch.equal(values, labels), "an image lost its label"
    assert shuffle or values.tolist() == list(range(10))


def order(batches: Batches) -> list[int]:
    return torch.cat([y for _, y in batches]).tolist()


def passes(count: int = 3, size: int = 3, seed: int = 0) -> list[list[int]]:
    batches = Batches(small_split(), size, shuffle=True, seed=seed)
    return [order(batches) for _ in range(count)]


def test_the_order_depends_on_the_seed_and_the_number_of_the_pass():
    assert passes() == passes()
    first, second, third = passes()
    assert first != second != third != first
    assert passes(seed=1) != passes(seed=2)


def test_the_order_depends_on_nothing_else():
    assert passes(size=4) == passes(size=7), "on the batch size"
    torch.manual_seed(123)
    torch.rand(5)
    assert passes() == passes(), "on the global generator"
    batches = Batches(small_split(), 3, shuffle=True)
    next(iter(batches))
    assert order(batches) == passes()[1], "on whether the pass before was finished"


def test_shuffling_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    passes()
    assert torch.equal(torch.get_rng_state(), before)


def test_images_stay_bytes_until_their_batch_is_made():
    split = load_sample().test
    batches = Batches(split, 50)
    assert batches.split.images.dtype == torch.uint8
    x, y = next(iter(batches))
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert x.shape == (50, 1, 28, 28)
    assert split.images.dtype == torch.uint8
    assert torch.equal(split.images, load_sample().test.images), "making a batch wrote into the images"


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.28604, 0.35302), (0.0, 0.5), (-0.5, 1.0)])
def test_pixels_become_standardized_numbers(mean, std, shuffle):
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    x, _ = next(iter(Batches(Split(images, torch.tensor([0])), 1, mean=mean, std=std, shuffle=shuffle)))
    exact = (torch.arange(256).double() / 255 - mean) / std
    torch.testing.assert_close(x.flatten().double(), exact, rtol=1e-6, atol=3e-7)


def test_pixels_are_from_exactly_0_to_exactly_1():
    x, _ = next(iter(Batches(Split(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2), LABELS[:1]), 1)))
    assert x.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "8", None])
def test_a_bad_batch_size_says_what_is_allowed(size):
    with pytest.raises(ValueError, match="batch_size must be a positive integer, given"):
        Batches(small_split(), size)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(std=0), "std must be positive and finite, given 0"),
        (dict(std=-1.0), "std must be positive"),
        (dict(std=float("nan")), "std must be positive"),
        (dict(std=float("inf")), "std must be positive and finite"),
        (dict(mean=float("nan")), "mean must be finite, given nan"),
        (dict(seed=-1), "seed must be an integer from 0"),
        (dict(seed=1.5), "seed must be an integer from 0"),
    ],
)
def test_other_bad_settings_say_what_is_allowed(settings, message):
    with pytest.raises(ValueError, match=message):
        Batches(small_split(), 2, **settings)


@pytest.mark.parametrize("folder_name", ["data", "cache", "with space"])
def test_d2ls_path_leads_to_the_data_folder(tmp_path, folder_name):
    root = tmp_path / folder_name
    root.mkdir()
    (root / "here").touch()
    before = Path.cwd()
    with data.d2l_folder(root) as folder:
        assert Path.cwd() == folder.resolve()
        assert Path("../data/here").exists()
    assert Path.cwd() == before
    assert (root / "here").exists(), "leaving the block deleted the data"


def test_the_data_folder_may_be_relative_or_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "here").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_DATA_DIR", "cache")
    with data.d2l_folder():
        assert Path("../data/here").exists()
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("folder_name", ["data", "cache"])
def test_the_working_directory_comes_back_after_an_error(tmp_path, folder_name):
    (tmp_path / folder_name).mkdir()
    before = os.getcwd()
    with pytest.raises(KeyError), data.d2l_folder(tmp_path / folder_name):
        raise KeyError
    assert os.getcwd() == before


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("root_name", ["data", "elsewhere"])
def test_d2l_finds_the_files_and_downloads_nothing(tmp_path, monkeypatch, root_name):
    d2l = pytest.importorskip("d2l.torch", reason="d2l is not installed; pip install --no-deps d2l==1.0.3")
    full = full_set("fashion-mnist")
    root = tmp_path / root_name
    root.symlink_to(sources.cache_root(), target_is_directory=True)
    if root_name == "elsewhere":  # a real folder of another name
        root.unlink()
        root.mkdir()
        (root / "FashionMNIST").symlink_to(sources.cache_root() / "FashionMNIST", target_is_directory=True)
    import torchvision.datasets.mnist as readers

    monkeypatch.setattr(readers, "download_and_extract_archive", lambda *_, **__: pytest.fail("d2l downloads"))
    with data.d2l_folder(root):
        train, test = d2l.load_data_fashion_mnist(256)
    assert torch.equal(train.dataset.data, full.train.images[:, 0])
    assert torch.equal(test.dataset.targets, full.test.labels)
    x, y = test.dataset[0]
    assert y == full.test.labels[0]
    torch.testing.assert_close(x, next(iter(Batches(full.test, 1)))[0][0], rtol=1e-6, atol=1e-7)
