"""The sample of Fashion-MNIST that the unit tests train on, and how it was made: ``python tests/sample.py``.

The first 60 training images and the first 20 test images of each class, in the order of the published files. Nothing
else was done to the pixels. Fashion-MNIST is (c) 2017 Zalando SE, MIT license.
"""

from pathlib import Path

import numpy as np
import torch

from course_utils import data

PATH = Path(__file__).parent / "data" / "fashion-mnist-sample.npz"
TRAIN_PER_CLASS, TEST_PER_CLASS = 60, 20


def first_of_each_class(split: data.Split, per_class: int) -> data.Split:
    """The first images of each class, in the order in which they come."""
    wanted = [torch.nonzero(split.labels == label).flatten()[:per_class] for label in range(split.classes)]
    return split[torch.cat(wanted).sort().values]


def load_sample() -> data.Dataset:
    """600 training and 200 test images of Fashion-MNIST."""
    with np.load(PATH) as arrays:
        train, test = (
            data.Split(torch.from_numpy(arrays[f"{name}_images"]), torch.from_numpy(arrays[f"{name}_labels"]).long())
            for name in ("train", "test")
        )
    return data.Dataset("fashion-mnist", data.CLASSES["fashion-mnist"], train, test)


def make() -> None:
    """Write the sample from the full set."""
    full = data.load("fashion-mnist")
    arrays = {}
    for name, split, per_class in [("train", full.train, TRAIN_PER_CLASS), ("test", full.test, TEST_PER_CLASS)]:
        chosen = first_of_each_class(split, per_class)
        arrays[f"{name}_images"] = chosen.images.numpy()
        arrays[f"{name}_labels"] = chosen.labels.to(torch.uint8).numpy()
    PATH.parent.mkdir(exist_ok=True)
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    make()
