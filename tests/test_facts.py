"""The tables of published facts: whole, sourced, and equal to what can be derived again."""

import re

import pandas as pd
import pytest
import torchvision
from conftest import PROJECT, ROOT

from course_utils import facts
from course_utils.facts.networks import construct

TABLES = sorted(path.stem for path in facts.FOLDER.glob("*.csv"))
ENTRIES = {
    match[1]: match[2]
    for match in re.finditer(r"^@\w+\{([^,]+),(.*)\}$", (ROOT / "book" / "references.bib").read_text(), re.MULTILINE)
}
MODELS = facts.load("imagenet_models")


def field(key: str, name: str) -> str | None:
    found = re.search(rf"\b{name}=\{{([^}}]+)\}}", ENTRIES[key])
    return found and found[1]


def test_there_are_tables():
    assert {"timeline", "ilsvrc", "imagenet_models", "mnist_1998"} <= set(TABLES)
    assert "facts/*.csv" in PROJECT["tool"]["setuptools"]["package-data"]["course_utils"]


@pytest.mark.parametrize("name", TABLES)
def test_each_row_is_whole_and_has_its_source(name):
    table = facts.load(name)
    assert len(table) > 5
    assert not table.duplicated().any()
    may_be_missing = ["preprint", "nets", "network"]
    assert not table.drop(columns=may_be_missing, errors="ignore").isna().any(axis=None)
    assert set(table["key"]) <= set(ENTRIES)


def test_an_unknown_table_lists_the_known_ones():
    with pytest.raises(ValueError, match="table 'nothing' is not known; allowed: 'ilsvrc', 'imagenet_models'"):
        facts.load("nothing")


@pytest.mark.parametrize("row", facts.load("timeline").to_dict("records"), ids=lambda row: row["key"])
def test_the_timeline_has_the_years_of_the_references(row):
    assert field(row["key"], "year") == str(row["year"])
    eprint = field(row["key"], "eprint")
    first = 2000 + int(eprint[:2]) if eprint else row["year"]
    assert (row["preprint"] if pd.notna(row["preprint"]) else row["year"]) == first


@pytest.mark.parametrize("row", MODELS.to_dict("records"), ids=lambda row: f"{row['model']}-{row['weights']}")
def test_a_model_has_the_parameters_and_accuracy_that_torchvision_gives(row):
    network = construct(row["model"], row["crop"])
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert sum(parameter.numel() for parameter in network.parameters()) == row["parameters"]
    weights = torchvision.models.get_model_weights(row["model"])[row["weights"]]
    accuracy = weights.meta["_metrics"]["ImageNet-1K"]
    assert (accuracy["acc@1"], accuracy["acc@5"]) == (row["top1"], row["top5"])
    assert weights.meta["_ops"] == pytest.approx(row["gmacs"], abs=5e-4)
    assert weights.transforms().crop_size == [row["crop"]]


def test_the_challenges_numbers_are_those_of_the_papers():
    table = facts.load("ilsvrc").set_index(["network", "data"])["top5_error"]
    assert table["AlexNet", "supplied"] == 16.4
    assert table["AlexNet", "extra"] == 15.3
    assert table["ResNet", "supplied"] == 3.57
    winners = facts.load("ilsvrc").query("place == 1 and data == 'supplied'")
    assert winners["year"].tolist() == list(range(2010, 2018))
    assert winners["top5_error"].is_monotonic_decreasing


def test_the_comparison_of_1998_has_all_its_rows():
    table = facts.load("mnist_1998").set_index(["method", "training"])["error"]
    assert len(table) == 27
    assert table["linear classifier", "plain"] == 12.0
    assert table["LeNet-5", "plain"] == 0.95


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="Unknown model no_such_net"):
        construct("no_such_net")
