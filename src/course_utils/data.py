"""The two data sets as tensors, and batches of them that live where the training happens."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_utils import sources
from course_utils.augment import AUGMENTATIONS
from course_utils.checks import checked_seed, choose, positive_int

CLASSES = {
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "mnist": tuple("0123456789"),
}
VALIDATION_SIZE = 10_000


@dataclass(frozen=True)
class Split:
    """Images and labels that belong together.

    Attributes
    ----------
    images
        uint8, shape (N, 1, H, W) or (N, 3, H, W), 0 is black.
    labels
        int64, shape (N,), from 0 to `classes` - 1.
    classes
        Number of classes.

    Raises
    ------
    ValueError
        If shape, dtype or labels are not as above.
    """

    images: Tensor
    labels: Tensor
    classes: int = 10

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8 (0 to 255), given {images.dtype}")
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"images must have shape (N, 1 or 3, H, W), given {tuple(images.shape)}")
        if labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64, given {labels.dtype}")
        if labels.shape != images.shape[:1]:
            raise ValueError(f"labels must have shape ({len(images)},), one per image, given {tuple(labels.shape)}")
        if len(labels) == 0:
            raise ValueError("a split must hold at least one image, given none")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.classes:
            raise ValueError(f"labels must lie in 0 to {self.classes - 1}, given {low} to {high}")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> Split:
        return Split(self.images[index], self.labels[index], self.classes)

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device."""
        return Split(self.images.to(device), self.labels.to(device), self.classes)


@dataclass(frozen=True)
class Dataset:
    """A data set with its published split, and a validation split for everything that is chosen.

    Attributes
    ----------
    name
        ``"fashion-mnist"`` or ``"mnist"``.
    classes
        Names of the ten classes, in the order of their labels.
    train, test
        60,000 and 10,000 images, 28 x 28.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split

    @property
    def fitting(self) -> Split:
        """All training images but the last 10,000: what a model is fitted on when something is chosen."""
        return self.train[: self._cut]

    @property
    def validation(self) -> Split:
        """The last 10,000 training images: what a choice is made on."""
        return self.train[self._cut :]

    @property
    def _cut(self) -> int:
        if len(self.train) <= VALIDATION_SIZE:
            raise ValueError(
                f"validation needs more than {VALIDATION_SIZE:,} training images, given {len(self.train):,}"
            )
        return len(self.train) - VALIDATION_SIZE


def load(name: str = "fashion-mnist", root: str | os.PathLike[str] | None = None, progress: bool = True) -> Dataset:
    """Load a data set, fetching and verifying its files first where needed.

    Parameters
    ----------
    name
        ``"fashion-mnist"`` (Xiao et al. 2017) or ``"mnist"`` (LeCun et al. 1998).
    root
        Folder for all data sets. Default: ``COURSE_DATA_DIR``, else a folder in the user's cache.
    progress
        Show a bar while something is downloaded.

    Raises
    ------
    ValueError
        If the name is unknown.
    course_utils.sources.DataUnavailableError
        If the files are not there and no source has them.
    """
    paths = sources.fetch(name, root, progress)

    def split(images: str, labels: str) -> Split:
        # The checksum has fixed the content, so the headers (16 and 8 bytes) need no parsing.
        pixels = np.fromfile(paths[images], np.uint8, offset=16).reshape(-1, 1, 28, 28)
        classes = np.fromfile(paths[labels], np.uint8, offset=8).astype(np.int64)
        return Split(torch.from_numpy(pixels), torch.from_numpy(classes))

    return Dataset(
        name,
        CLASSES[name],
        split(sources.TRAIN_IMAGES, sources.TRAIN_LABELS),
        split(sources.TEST_IMAGES, sources.TEST_LABELS),
    )


class Batches:
    """Batches of a split, on the device, shuffled by a generator of their own.

    The images stay on the device as uint8 and become float32 batch by batch: `x / 255`, then `(x - mean) / std`. No
    worker processes are used: on data that fits in memory they cost more than they bring. The last batch is short
    when the size does not divide the number of images.

    Parameters
    ----------
    split
        What to iterate over.
    batch_size
        Images in a batch.
    device
        Where the batches are wanted.
    shuffle
        Draw a new order in each pass. The order depends on `seed` and the number of the pass, on nothing else; it is
        drawn on the CPU, so that it is the same on every device.
    seed
        Seed of the order.
    mean, std
        Standardization, in units of `x / 255`. The defaults leave inputs in [0, 1], as d2l has them.
    augment
        A name in `course_utils.augment.AUGMENTATIONS`; its random numbers come from `seed`, too.

    Yields
    ------
    tuple
        `x`, float32 (B, C, H, W), and `y`, int64 (B,).

    Raises
    ------
    ValueError
        If `batch_size` is not a positive integer, `seed` is none of 0 to 2**32 - 1, `std` is not positive, or `mean` or
        `std` is not finite, or `augment` is unknown.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        device: torch.device | str = "cpu",
        *,
        shuffle: bool = False,
        seed: int = 0,
        mean: float = 0.0,
        std: float = 1.0,
        augment: str = "none",
    ) -> None:
        positive_int(batch_size, "batch_size")
        if not (std > 0 and math.isfinite(std)):
            raise ValueError(f"std must be positive and finite, given {std!r}")
        if not math.isfinite(mean):
            raise ValueError(f"mean must be finite, given {mean!r}")
        self.split = split.to(device)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.scale = 1 / (255 * std)
        self.shift = -mean / std
        self.augment = choose(AUGMENTATIONS, augment, "augment")
        self.generator = torch.Generator().manual_seed(checked_seed(seed))

    def __len__(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = self.split.images, self.split.labels
        if self.shuffle:
            order = torch.randperm(len(self.split), generator=self.generator).to(images.device)
            for index in order.split(self.batch_size):
                yield self._normalize(images[index]), labels[index]
        else:
            for x, y in zip(images.split(self.batch_size), labels.split(self.batch_size), strict=True):
                yield self._normalize(x), y

    def _normalize(self, images: Tensor) -> Tensor:
        if self.augment is not None:
            images = self.augment(images, self.generator)
        x = images.float().mul_(self.scale)
        return x.add_(self.shift) if self.shift else x


@contextlib.contextmanager
def d2l_folder(root: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Work in a folder from which d2l's fixed path ``../data`` is the course's data folder.

    d2l 1.0.3 reads and downloads to ``../data``, relative to the working directory. Inside this block its loaders
    find the verified files and download nothing.
    """
    cache = sources.cache_root(root).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        if cache.name == "data":
            folder = cache
        else:
            folder = Path(temporary, "work")
            folder.mkdir()
            Path(temporary, "data").symlink_to(cache, target_is_directory=True)
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)
