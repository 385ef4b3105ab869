"""The post's tables are the post's, and the tables beside them are what the results give."""

import math

import numpy as np
import pandas as pd
import pytest

from course_utils import published, seed_tables, stats
from course_utils.claims import SEED_CLAIMS
from course_utils.studies import STUDIES
from course_utils.study import COLUMNS, load_results

# Tables 3 and 4 once more, in the order in which the post prints them: a row for each quantity.
PRINTED = {
    3: (
        [0.469, 0.459, 0.444, 0.425, 0.411, 0.423, 0.438, 0.446, 0.461],
        [0.821, 0.827, 0.835, 0.843, 0.847, 0.842, 0.835, 0.822, 0.81],
        [0.809, 0.828, 0.766, 0.83, 0.825, 0.831, 0.772, 0.764, 0.758],
    ),
    4: (
        [0.54, 0.316, 0.27, 0.269, 0.306, 0.329, 0.376, 0.469, 0.599, 0.916],
        [0.811, 0.882, 0.898, 0.9, 0.885, 0.878, 0.861, 0.821, 0.767, 0.637],
        [0.82, 0.862, 0.887, 0.888, 0.861, 0.869, 0.856, 0.809, 0.737, 0.618],
    ),
}
DEFAULT = {3: "0.9", 4: "256", 5: "sigmoid", 6: "avg", 7: "5", 8: "2", 10: "default"}


def results(**arms):
    """Ten seeds an arm, one epoch; an accuracy of None is a run that diverged at once."""
    rows = [
        (arm, seed, 1, 1 - mean, mean + 0.05, mean + offset, 1.0, False)
        if mean is not None
        else (arm, seed, 0, *[math.nan] * 4, True)
        for arm, mean in arms.items()
        for seed, offset in enumerate(np.linspace(-0.01, 0.01, 10))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize("number", PRINTED)
def test_tables_are_the_posts(number):
    table = seed_tables.table(number)
    assert list(table.columns) == seed_tables.NUMBERS
    for column, printed in zip(table, PRINTED[number], strict=True):
        assert table[column].tolist() == printed


@pytest.mark.parametrize("number", DEFAULT)
def test_every_table_holds_the_same_default(number):
    assert seed_tables.table(number).loc[DEFAULT[number]].tolist() == [0.469, 0.821, 0.809]


def test_the_chosen_settings_are_words():
    assert seed_tables.table(9)["choice"].to_dict() == {
        "lr": "1.2-1.4",
        "batch_size": "8 or 16",
        "epochs": "about 50",
        "activation": "ReLU",
        "pooling": "AvgPool or MaxPool",
        "conv_kernel": "5",
        "pool_size": "2",
    }


def test_an_unknown_table_lists_those_that_are_there():
    with pytest.raises(ValueError, match=r"table '2' is not known; allowed: '3', '4'"):
        seed_tables.table(2)


@pytest.mark.parametrize("name", STUDIES)
def test_reported_arms_are_arms_of_the_study(name):
    reported = seed_tables.reported(name)
    assert set(reported.index) <= set(STUDIES[name].arms)
    assert (len(reported) > 0) == (name in seed_tables.STUDY_TABLES)


def test_rows_stand_beside_the_arm_that_they_describe():
    assert seed_tables.reported("activation").loc["relu_conv", "test_accuracy"] == 0.884
    assert seed_tables.reported("pool_size").loc["1, stride 2", "train_loss"] == 0.435
    assert seed_tables.reported("best").loc["lr 1.4, batch 16", "test_accuracy"] == 0.906


def test_the_comparison_says_it_in_one_form():
    table = seed_tables.comparison("lr", results(**{"0.8": 0.8, "0.9": 0.81}))
    assert list(table.columns) == [
        *(("the post", name) for name in ("loss", "train accuracy", "test accuracy")),
        *(("ours", name) for name in ("loss", "train accuracy", "test accuracy", "failed", "seeds")),
    ]
    assert table.loc["0.9", "the post"].tolist() == ["0.469", "0.821", "0.809"]
    assert table.loc["0.8", "the post"].tolist() == ["", "", ""]
    assert table.loc["0.9", ("ours", "test accuracy")] == "0.810 [0.805, 0.815]"
    assert table.loc["0.9", ("ours", "train accuracy")] == "0.860 [0.860, 0.860]"
    assert table["ours", "seeds"].tolist() == [10, 10]


def test_failed_runs_are_counted_and_stay_in_the_mean():
    frame = results(a=0.8, b=0.8, c=None)
    frame.loc[frame.index[:5], ["epoch", *COLUMNS[3:6]]] = [0, *[math.nan] * 3]
    frame.loc[frame.index[:5], "diverged"] = True
    table = seed_tables.comparison("pooling", frame)
    assert list(table.columns.levels[0]) == ["ours"]
    assert table["ours", "failed"].tolist() == [5, 0, 10]
    assert table["ours", "test accuracy"].str[:5].tolist() == [
        f"{stats.interval(values).mean:.3f}" for values in stats.by_seed(frame).to_numpy().T
    ]
    assert table["ours", "loss"].tolist() == ["0.200 [0.200, 0.200]"] * 2 + [""]


def test_an_earlier_epoch_can_be_reported():
    frame = pd.concat([results(a=0.3), results(a=0.8).assign(epoch=2)])
    assert seed_tables.comparison("x", frame, epoch=1).loc["a", ("ours", "test accuracy")].startswith("0.300")
    assert seed_tables.comparison("x", frame).loc["a", ("ours", "test accuracy")].startswith("0.800")


def test_one_seed_has_no_interval():
    frame = results(a=0.8)
    assert seed_tables.comparison("x", frame[frame["seed"] == 0]).loc["a", ("ours", "test accuracy")] == "0.790"


@pytest.mark.parametrize("name", published.available())
def test_published_studies_give_the_table(name):
    table = seed_tables.comparison(name)
    assert list(table.index) == list(dict.fromkeys(load_results(name)["arm"]))
    assert ("the post" in table.columns.levels[0]) == (name in seed_tables.STUDY_TABLES)


def test_verdicts_are_those_of_the_claims():
    table = seed_tables.verdicts("lr", "no-such-study")
    assert list(table.columns) == ["sentence", "source", "verdict", "evidence"]
    assert list(table.index) == [claim.name for claim in SEED_CLAIMS if claim.study == "lr"]
    assert table["verdict"].isin(["reproduced", "not reproduced", "undecided"]).all()
    assert len(seed_tables.verdicts()) == len(SEED_CLAIMS)
    assert list(seed_tables.verdicts("no-such-study").columns) == list(table.columns)
