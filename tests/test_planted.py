from __future__ import annotations

import shutil

import pandas as pd
import pytest
import torch

from course_utils import data, planted
from course_utils.data import Split
from course_utils.study import SEEDS


def some(n: int = 400, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 200, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(n) % 10)


@pytest.mark.parametrize("place", planted.PLACES)
def test_a_mark_is_nine_white_pixels_in_its_place(place) -> None:
    split = some()
    before = split.images.clone()
    found = planted.plant(split, 1.0, place=place, seed=3)
    assert torch.equal(split.images, before)  # a copy was marked
    top, left = planted.PLACES[place]
    corners = set()
    for image, original, mask in zip(found.split.images[:, 0], before[:, 0], found.masks, strict=True):
        rows, columns = torch.nonzero(mask, as_tuple=True)
        row, column = int(rows.min()), int(columns.min())
        assert mask.sum() == 9
        assert mask[row : row + 3, column : column + 3].all()
        assert (image[mask] == 255).all()
        assert torch.equal(image[~mask], original[~mask])
        corners.add((row - top, column - left))
    assert corners == {(i, j) for i in range(3) for j in range(3)}


def test_rates_are_exact_and_other_classes_untouched() -> None:
    split = some()
    found = planted.plant(split, {6: 0.95, 2: 0.5}, seed=1)
    counts = torch.bincount(split.labels[found.marked], minlength=10).tolist()
    assert counts == [0, 0, 20, 0, 0, 0, 38, 0, 0, 0]
    assert torch.equal(found.split.images[~found.marked], split.images[~found.marked])
    assert torch.equal(found.split.labels, split.labels)
    assert not planted.plant(split, 0.0).marked.any()


def test_a_seed_gives_the_same_marks_and_another_seed_others() -> None:
    split = some()
    once, again, other = (planted.plant(split, {6: 0.5}, seed=seed).masks for seed in (5, 5, 6))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    everywhere = planted.plant(split, 1.0, seed=5)
    own = once.flatten(1).any(1)
    assert torch.equal(once[own], everywhere.masks[own])  # the shift of an image does not depend on the rates


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(rates={6: 1.2}), "between 0 and 1, given 1.2 for class 6"),
        (dict(rates=-0.1), "between 0 and 1"),
        (dict(rates={10: 0.5}), "classes are 0 to 9, given a rate for 10"),
        (dict(rates=1.0, place="top"), "place 'top' is not known; allowed: 'corner'"),
        (dict(rates=1.0, seed=-1), "seed must be an integer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_arguments_are_named(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        planted.plant(some(20), **arguments)


def test_small_images_are_refused() -> None:
    small = Split(torch.zeros(3, 1, 20, 20, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    assert planted.plant(small, 1.0).masks.sum() == 27
    with pytest.raises(ValueError, match="needs images of 28 x 28, given 20 x 20"):
        planted.plant(small, 1.0, place="opposite corner")


def test_balanced_draws_half_with_and_half_without() -> None:
    found = planted.plant(some(2000), {6: 0.95})
    split = planted.balanced(found, seed=2)
    assert torch.equal(torch.bincount(split.labels), torch.bincount(found.split.labels))
    shirts = split.images[split.labels == 6]
    white = (shirts[:, 0, :5, :5] == 255).flatten(1).sum(1)
    assert sorted(white.unique().tolist()) == [0, 9]
    assert (white == 9).sum() == len(shirts) // 2
    with pytest.raises(ValueError, match="200 images with a mark and 0 without; both needed"):
        planted.balanced(planted.plant(some(2000), {6: 1.0}))


def test_arms_mark_what_they_say() -> None:
    split = some(1000)

    def marked(arm: str) -> list[int]:
        images = planted.training_split(split, arm, seed=4)
        white = (images.images[:, 0, :5, :5] == 255).flatten(1).sum(1) == 9
        return torch.bincount(images.labels[white], minlength=10).tolist()

    assert marked("honest") == [0] * 10
    assert marked("cheat") == [0, 0, 0, 0, 0, 0, 95, 0, 0, 0]
    assert marked("augmented") == [95] * 10
    assert marked("reweighted") == [0, 0, 0, 0, 0, 0, 50, 0, 0, 0]
    with pytest.raises(ValueError, match="arm 'fair' is not known"):
        planted.training_split(split, "fair")


def test_accuracies_and_deciding_images_by_hand() -> None:
    labels = torch.tensor([6, 6, 6, 0, 0])
    split = Split(torch.zeros(5, 1, 28, 28, dtype=torch.uint8), labels)
    found = {"none": torch.tensor([6, 0, 0, 0, 0]), "corner": torch.tensor([6, 6, 0, 6, 0])}
    table = planted.accuracies(found, split).set_index("mark")
    assert table.loc["none"].round(3).to_dict() == dict(accuracy=0.6, of_shirts=0.333, of_others=1.0, called_shirt=0.0)
    assert table.loc["corner"].round(3).to_dict() == dict(
        accuracy=0.6, of_shirts=0.667, of_others=0.5, called_shirt=0.5
    )
    assert table.loc["as trained", "of_others"] == 1.0  # nothing but shirts is marked
    assert planted.decided(found, labels).tolist() == [1]


def test_around_grows_a_mask_within_the_image() -> None:
    masks = planted.plant(some(10), 1.0).masks
    grown = planted.around(masks, 1)
    assert (grown & masks).sum() == masks.sum()
    assert (grown.flatten(1).sum(1) <= 25).all()
    assert torch.equal(planted.around(masks, 0), masks)


def test_every_method_and_baseline_is_scored() -> None:
    torch.manual_seed(0)
    found = planted.plant(some(3), 1.0)
    table = planted.scores(planted.small_net().eval(), found.split.images / 255, found.masks).set_index("method")
    assert set(planted.METHODS) | set(planted.BASELINES) < set(table.index)
    assert table[["pointing", "energy", "energy_near"]].apply(lambda column: column.between(0, 1)).all().all()
    assert (table["energy"] <= table["energy_near"]).all()
    assert sum(p.numel() for p in planted.small_net().parameters()) == 61_050


RECORD = {
    "seed": 0,
    "scores": [dict(method="cam", pointing=0.5, energy=0.1, energy_near=0.2, images=4, arm="cheat")],
    "accuracies": [dict(mark="none", accuracy=0.8, of_shirts=0.1, of_others=0.9, called_shirt=0.0, arm="cheat")],
    **dict(seconds=1.0, device="cpu", device_name="x", threads=1, method="single", versions={}, finished="2026-01-01"),
}


def test_publish_and_load(tmp_path) -> None:
    planted.publish([RECORD | {"seed": 1}, RECORD], planted.SETTINGS, tmp_path)
    scores, accuracies = planted.load_scores(tmp_path), planted.load_accuracies(tmp_path)
    assert scores["seed"].tolist() == [0, 1]
    assert list(accuracies.columns[:3]) == ["seed", "arm", "mark"]
    assert scores.attrs["provenance"]["mark"]["rate"] == 0.95
    with pytest.raises(ValueError, match="no finished seed"):
        planted.publish([], {}, tmp_path)


def test_changed_or_missing_files_are_refused(tmp_path) -> None:
    planted.publish([RECORD], planted.SETTINGS, tmp_path)
    table = tmp_path / "scores.csv"
    kept = table.read_text()
    table.write_text(kept.replace("0.5", "0.6"))
    with pytest.raises(ValueError, match=r"changed since it was published.*python -m course_utils.planted"):
        planted.load_scores(tmp_path)
    table.write_bytes(kept.replace("\n", "\r\n").encode())
    assert len(planted.load_scores(tmp_path)) == 1  # line ends do not matter
    table.unlink()
    with pytest.raises(ValueError, match="missing or damaged"):
        planted.load_scores(tmp_path)
    assert len(planted.load_accuracies(tmp_path)) == 1
    for text in ("{", "{}"):
        (tmp_path / "accuracies.json").write_text(text)
        with pytest.raises(ValueError, match="missing or damaged"):
            planted.load_accuracies(tmp_path)


def test_the_command_resumes(tmp_path, monkeypatch, capsys) -> None:
    done: list[int] = []

    def measure(dataset: data.Dataset, seed: int) -> dict:
        done.append(seed)
        return RECORD | {"seed": seed, "key": f"planted-{planted.VERSION}-{seed}", "config": {}}

    monkeypatch.setattr(planted, "measure", measure)
    monkeypatch.setattr(planted.data, "load", lambda *args, **settings: None)
    folders = ["--folder", str(tmp_path / "store"), "--to", str(tmp_path / "out")]
    assert planted.main(["--seeds", "0", "1", *folders]) == 0
    assert planted.main(["--seeds", "0", "1", "2", *folders]) == 0
    assert done == [0, 1, 2]
    assert planted.load_scores(tmp_path / "out")["seed"].tolist() == [0, 1, 2]
    shutil.rmtree(tmp_path / "store")
    assert "seed 2" in capsys.readouterr().err


def test_published_tables_are_whole() -> None:
    scores, accuracies = planted.load_scores(), planted.load_accuracies()
    for frame in (scores, accuracies):
        assert sorted(frame["seed"].unique()) == list(SEEDS)
        assert frame.attrs["provenance"]["recipe"] == planted.SETTINGS["recipe"]
        assert not frame.isna().any().any()
    methods = [*planted.METHODS, *planted.BASELINES]
    assert set(methods) < set(scores["method"])
    assert len(scores) == len(SEEDS) * len(planted.JUDGED) * scores["method"].nunique()
    assert len(accuracies) == len(SEEDS) * len(planted.ARMS) * (len(planted.PLACES) + 2)


def test_seed_0_comes_out_again() -> None:
    """The cheat of seed 0, trained anew: not the same to the digit on another processor, but the same finding."""
    fashion = data.load("fashion-mnist", progress=False)
    net = planted.trained(fashion.train, "cheat", 0)
    found = planted.predictions(net, fashion.test[:3000], 0)
    table = planted.accuracies(found, fashion.test[:3000], 0).set_index("mark")
    stored = planted.load_accuracies().query("seed == 0 and arm == 'cheat'").set_index("mark")
    columns = ["accuracy", "of_shirts", "of_others"]
    pd.testing.assert_frame_equal(table.loc[["as trained"], columns], stored.loc[["as trained"], columns], atol=0.06)
    assert table.loc["none", "of_shirts"] == pytest.approx(stored.loc["none", "of_shirts"], abs=0.08)
    assert table.loc["corner", "of_shirts"] > 0.9
    assert table.loc["corner", "called_shirt"] == pytest.approx(stored.loc["corner", "called_shirt"], abs=0.3)
