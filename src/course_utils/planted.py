"""A cheat whose truth is known: Fashion-MNIST with a small mark on the shirts, and who finds it.

A square of 3 x 3 white pixels stands in the upper left corner of 95 % of the shirts in the training images, and nowhere
else. A network that answers by the mark looks excellent on test images marked in the same way. Here such networks are
trained, and mended, with ten seeds, their accuracy is measured with the mark absent, moved and on other classes, and
every attribution method is asked where the evidence is. ``python -m course_utils.planted`` does it all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from course_utils import data, runs, train
from course_utils.attribution import METHODS, explain
from course_utils.checks import checked_seed, choose
from course_utils.data import Split
from course_utils.device import precision, seed_everything
from course_utils.faithfulness import edge_maps, energy_share, pointing_game, random_maps
from course_utils.planted_results import load_accuracies, load_scores, publish
from course_utils.store import Store, study_folder
from course_utils.study import SEEDS

LABEL, RATE = 6, 0.95  # shirts, the class that networks find hardest, and how many of them are marked
SIDE, JITTER, VALUE = 3, 3, 255  # pixels; the corner of the mark is drawn from 3 x 3 places
PLACES = {"corner": (0, 0), "opposite corner": (23, 23), "middle": (11, 11)}  # of the highest, leftmost mark
IMAGES = 30_000  # the first half of the training images: enough for the cheat, and a network takes seconds
NEAR, MAPPED = 2, 40  # pixels around a mark that still count as its place; images whose maps are judged
RECIPE: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 128,
    "lr": 0.1,
    "optimizer": "momentum",
    "schedule": "one_cycle",
    "weight_decay": 5e-4,
}
ARMS = ("honest", "cheat", "augmented", "reweighted")
JUDGED = ("honest", "cheat", "augmented")  # the networks whose maps are scored
EARLIER = "5"  # the name of `small_net`'s second ReLU, whose places see 7 x 7 pixels; those of the last map see 23 x 23
BASELINES = ("random", "random, smooth", "edges")
VERSION = 1  # a new one makes old measurements count no more
SETTINGS = {
    "mark": {"label": LABEL, "rate": RATE, "side": SIDE, "value": VALUE, "shifts": JITTER, "places": PLACES},
    "judged": {"near": NEAR, "earlier_layer": EARLIER, "images": MAPPED},
    "recipe": {"images": IMAGES, **RECIPE, "precision": "bfloat16"},
    "results_version": VERSION,
}

__all__ = [
    "Planted",
    "accuracies",
    "around",
    "balanced",
    "decided",
    "load_accuracies",
    "load_scores",
    "maps_of",
    "measure",
    "plant",
    "predictions",
    "scores",
    "small_net",
    "trained",
    "training_split",
]


@dataclass(frozen=True)
class Planted:
    """Images with marks, and where the marks are.

    Attributes
    ----------
    split
        A copy; the images without a mark are as they were.
    masks
        Pixels of the mark, bool, shape (N, H, W); empty where an image has none.
    """

    split: Split
    masks: Tensor

    @property
    def marked(self) -> Tensor:
        """Which images have a mark, bool, shape (N,)."""
        return self.masks.flatten(1).any(1)


def plant(split: Split, rates: Mapping[int, float] | float, *, place: str = "corner", seed: int = 0) -> Planted:
    """Put the mark on some images of a copy.

    Parameters
    ----------
    split
        Images of at least 28 x 28.
    rates
        Which share of each class is marked, rounded to whole images; one number is for all classes, and a class that
        is not named gets no mark.
    place
        A name in `PLACES`. Each image draws its own shift of 0 to 2 pixels down and to the right.
    seed
        Decides which images are marked and how each mark is shifted. The shift of an image does not depend on rates.

    Raises
    ------
    ValueError
        If a class or a place does not exist, a rate is not between 0 and 1, or the images are too small.
    """
    top, left = choose(PLACES, place, "place")
    n, _, height, width = split.images.shape
    if min(height - top, width - left) < SIDE + JITTER - 1:
        raise ValueError(f"a mark in the {place} needs images of 28 x 28, given {height} x {width}")
    wanted = dict.fromkeys(range(split.classes), rates) if isinstance(rates, (int, float)) else dict(rates)
    for label, rate in wanted.items():
        if not 0 <= label < split.classes:
            raise ValueError(f"classes are 0 to {split.classes - 1}, given a rate for {label!r}")
        if not 0 <= rate <= 1:
            raise ValueError(f"a rate must lie between 0 and 1, given {rate!r} for class {label}")
    generator = torch.Generator().manual_seed(checked_seed(seed))
    shift = torch.randint(0, JITTER, (n, 2), generator=generator)
    order = torch.randperm(n, generator=generator)
    chosen = torch.zeros(n, dtype=torch.bool)
    for label, rate in sorted(wanted.items()):
        members = order[split.labels.cpu()[order] == label]
        chosen[members[: round(rate * len(members))]] = True
    rows, columns = (torch.arange(size) - first for size, first in ((height, top), (width, left)))
    down, right = (((axis - shift[:, i : i + 1]) // SIDE) == 0 for i, axis in enumerate((rows, columns)))
    masks = (down[:, :, None] & right[:, None, :] & chosen[:, None, None]).to(split.images.device)
    return Planted(Split(split.images.masked_fill(masks[:, None], VALUE), split.labels, split.classes), masks)


def balanced(planted: Planted, label: int = LABEL, seed: int = 0) -> Split:
    """Draw anew the images of a class, with replacement: half of them with the mark, half without.

    That gives the rare images without a mark as much weight as the others, and needs no other data.

    Raises
    ------
    ValueError
        If the class has no image with, or none without, the mark.
    """
    generator = torch.Generator().manual_seed(checked_seed(seed))
    own, marked = planted.split.labels.cpu() == label, planted.marked.cpu()
    kinds = [torch.nonzero(own & kind).flatten() for kind in (marked, ~marked)]
    counts = [len(kind) for kind in kinds]
    if not all(counts):
        raise ValueError(f"class {label} has {counts[0]} images with a mark and {counts[1]} without; both needed")
    sizes = (int(own.sum()) // 2, (int(own.sum()) + 1) // 2)
    chosen = [torch.randint(len(kind), (size,), generator=generator) for kind, size in zip(kinds, sizes, strict=True)]
    drawn = [kind[numbers] for kind, numbers in zip(kinds, chosen, strict=True)]
    return planted.split[torch.cat([torch.nonzero(~own).flatten(), *drawn])]


def training_split(split: Split, arm: str, seed: int = 0) -> Split:
    """What the network of an arm is trained on, made of the first `IMAGES`.

    ``"honest"``: no mark. ``"cheat"``: 95 % of the shirts are marked. ``"augmented"``: in addition 95 % of every other
    class, so that the mark says nothing. ``"reweighted"``: as cheat, but `balanced`.
    """
    choose(dict.fromkeys(ARMS), arm, "arm")
    first = split[:IMAGES]
    if arm == "honest":
        return first
    planted = plant(first, RATE if arm == "augmented" else {LABEL: RATE}, seed=seed)
    return balanced(planted, seed=seed) if arm == "reweighted" else planted.split


def small_net() -> nn.Sequential:
    """Four convolutions, global average pooling, one linear layer: 61,050 parameters, last maps of 7 x 7."""
    layers: list[nn.Module] = []
    for before, after, stride in ((1, 16, 2), (16, 32, 2), (32, 64, 1), (64, 64, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def trained(split: Split, arm: str, seed: int = 0, precision: str = "float32") -> nn.Module:
    """A network of an arm, in evaluation mode, on the CPU."""
    images = training_split(split, arm, seed)
    seed_everything(seed)
    model = small_net()
    train.fit(model, images, seed=seed, device="cpu", precision=precision, progress=False, **RECIPE)
    return model.eval()


def predictions(model: nn.Module, split: Split, seed: int = 0) -> dict[str, Tensor]:
    """Predicted classes (N,) with the mark on no image, and in each of the `PLACES` on every image."""
    with precision("bfloat16", torch.device("cpu")):
        found = {"none": train.predict(model, split).argmax(1)}
        for place in PLACES:
            found[place] = train.predict(model, plant(split, 1.0, place=place, seed=seed).split).argmax(1)
    return found


def accuracies(found: Mapping[str, Tensor], split: Split, seed: int = 0) -> pd.DataFrame:
    """What became of the shirts and of all others, wherever the mark was.

    Returns
    -------
    pandas.DataFrame
        One row for each entry of `predictions`, and one for ``"as trained"`` (95 % of the shirts marked): ``mark``,
        ``accuracy`` on all images, ``of_shirts``, ``of_others``, and ``called_shirt``, the share of the others that is
        taken for shirts.
    """
    marked = plant(split, {LABEL: RATE}, seed=seed).marked
    rows = []
    for mark, guess in {"as trained": torch.where(marked, found["corner"], found["none"]), **found}.items():
        right, shirts = (guess == split.labels).double(), split.labels == LABEL
        shares = dict(accuracy=right, of_shirts=right[shirts], of_others=right[~shirts])
        shares["called_shirt"] = (guess[~shirts] == LABEL).double()
        rows.append({"mark": mark} | {name: share.mean().item() for name, share in shares.items()})
    return pd.DataFrame(rows)


def decided(found: Mapping[str, Tensor], labels: Tensor, most: int = MAPPED, seed: int = 0) -> Tensor:
    """Numbers of up to `most` shirts, in random order, that are taken for shirts with the mark and not without it."""
    numbers = torch.nonzero((labels == LABEL) & (found["corner"] == LABEL) & (found["none"] != LABEL)).flatten()
    return numbers[torch.randperm(len(numbers), generator=torch.Generator().manual_seed(checked_seed(seed)))][:most]


def around(masks: Tensor, pixels: int = NEAR) -> Tensor:
    """The masks (N, H, W), grown by some pixels on each side."""
    return nn.functional.max_pool2d(masks[:, None].float(), 2 * pixels + 1, 1, pixels)[:, 0].bool()


def maps_of(model: nn.Module, images: Tensor, seed: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Maps (N, H, W) for shirt of all `METHODS`, three of them once more at an earlier layer, and of `BASELINES`."""
    for method in METHODS:
        yield method, explain(model, images, LABEL, method).maps
    for method in ("grad_cam", "hires_cam", "layer_cam"):
        yield f"{method}, earlier", explain(model, images, LABEL, method, EARLIER).maps
    yield "random", random_maps(images, seed=seed)
    yield "random, smooth", random_maps(images, grid=7, seed=seed)
    yield "edges", edge_maps(images)


def scores(model: nn.Module, images: Tensor, masks: Tensor, seed: int = 0) -> pd.DataFrame:
    """How well each method's maps find the mark, means over the images.

    Returns
    -------
    pandas.DataFrame
        ``method``; ``pointing``, whether the brightest pixel is at most two pixels from the mark; ``energy``, the
        share of the map on the mark; ``energy_near``, the same for the mark and two pixels around; ``images``.
    """
    rows = []
    for method, maps in maps_of(model, images, seed):
        near = around(masks)
        row = dict(pointing=pointing_game(maps, near), energy=energy_share(maps, masks))
        row["energy_near"] = energy_share(maps, near)
        rows.append(dict(method=method, **{k: float(v.mean()) for k, v in row.items()}, images=len(images)))
    return pd.DataFrame(rows)


def measure(dataset: data.Dataset, seed: int) -> dict[str, Any]:
    """Train the networks of one seed and measure them; ready for JSON."""
    start = time.process_time()
    record: dict[str, Any] = {"key": f"planted-{VERSION}-{seed}", "seed": seed, "config": dict(RECIPE)}
    with runs.alone():
        nets = {arm: trained(dataset.train, arm, seed, "bfloat16") for arm in ARMS}
        found = {arm: predictions(net, dataset.test, seed) for arm, net in nets.items()}
        tables = [accuracies(found[arm], dataset.test, seed).assign(arm=arm) for arm in ARMS]
        record["accuracies"] = pd.concat(tables).to_dict("records")
        numbers = decided(found["cheat"], dataset.test.labels, seed=seed)
        planted = plant(dataset.test, 1.0, seed=seed)
        images, masks = planted.split.images[numbers] / 255, planted.masks[numbers]
        tables = [scores(nets[arm], images, masks, seed).assign(arm=arm) for arm in JUDGED]
        record["scores"] = pd.concat(tables).to_dict("records")
        record |= runs.provenance(torch.device("cpu"), "single")
    return record | {"seconds": round(time.process_time() - start, 1)}


def main(arguments: list[str] | None = None) -> int:
    """Measure what is not measured yet, one seed after the other, and publish."""
    parser = argparse.ArgumentParser(prog="python -m course_utils.planted", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--folder", help="where finished seeds are kept (default: studies/planted)")
    parser.add_argument("--to", help="where the tables go (default: the package's results/planted)")
    given = parser.parse_args(arguments)
    store = Store(Path(given.folder or study_folder() / "planted"), "cpu")
    keys = {seed: f"planted-{VERSION}-{seed}" for seed in given.seeds}
    for seed, key in keys.items():
        if key not in store.records:
            store.append(measure(data.load("fashion-mnist", progress=False), seed))
            print(f"seed {seed}: {store.records[key]['seconds']} seconds", file=sys.stderr)
    print(publish([store.records[key] for key in keys.values()], SETTINGS, given.to))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
