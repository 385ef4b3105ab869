"""The tables of the post that this course grew from, digit by digit, and the tables that put ours beside them.

The post says of its tables that each number is the mean of ten runs; it gives no spread. Its settings are batch 256,
lr 0.9 and 10 epochs wherever a table does not turn them. Table 3 is a part of a longer table that it does not show.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd

from course_utils import claims, stats
from course_utils.checks import choose
from course_utils.seed_claims import SEED_CLAIMS
from course_utils.study import load_results

NUMBERS = ["train_loss", "train_accuracy", "test_accuracy"]
HEADINGS = dict(zip(NUMBERS, ("loss", "train accuracy", "test accuracy"), strict=True))

_TABLES = {
    "3": """lr,loss,train_acc,test_acc
0.9,0.469,0.821,0.809
1.0,0.459,0.827,0.828
1.1,0.444,0.835,0.766
1.2,0.425,0.843,0.83
1.3,0.411,0.847,0.825
1.4,0.423,0.842,0.831
1.5,0.438,0.835,0.772
1.6,0.446,0.822,0.764
1.7,0.461,0.81,0.758""",
    "4": """batch_size,loss,train_acc,test_acc
2,0.54,0.811,0.82
4,0.316,0.882,0.862
8,0.27,0.898,0.887
16,0.269,0.9,0.888
32,0.306,0.885,0.861
64,0.329,0.878,0.869
128,0.376,0.861,0.856
256,0.469,0.821,0.809
512,0.599,0.767,0.737
1024,0.916,0.637,0.618""",
    "5": """activation,loss,train_acc,test_acc
sigmoid,0.469,0.821,0.809
relu,0.28,0.894,0.884""",
    "6": """pooling,loss,train_acc,test_acc
avg,0.469,0.821,0.809
max,0.429,0.841,0.811""",
    "7": """kernel,loss,train_acc,test_acc
3,0.486,0.818,0.792
4,0.47,0.823,0.782
5,0.469,0.821,0.809""",
    "8": """pool_size,loss,train_acc,test_acc
1,0.435,0.84,0.791
2,0.469,0.821,0.809""",
    "9": """parameter,choice
lr,1.2-1.4
batch_size,8 or 16
epochs,about 50
activation,ReLU
pooling,AvgPool or MaxPool
conv_kernel,5
pool_size,2""",
    "10": """setting,loss,train_acc,test_acc
optimal,0.175,0.938,0.906
default,0.469,0.821,0.809""",
}

# Which table reports on a study, and which row on an arm where the names differ. The post does not say which values of
# table 9 its "optimal" row used, so it stands beside both corners of the ranges.
STUDY_TABLES = {
    "lr": 3,
    "batch_size": 4,
    "activation": 5,
    "pooling": 6,
    "conv_kernel": 7,
    "pool_size": 8,
    "best": 10,
}
_ROWS = {
    "activation": {"sigmoid": "sigmoid", "relu_conv": "relu"},
    "pool_size": {"2": "2", "1, stride 2": "1"},
    "best": {"default": "default", "lr 1.2, batch 8": "optimal", "lr 1.4, batch 16": "optimal"},
}


def table(number: int) -> pd.DataFrame:
    """One of the post's tables 3 to 10.

    Parameters
    ----------
    number
        3 learning rate, 4 batch size, 5 activation, 6 pooling, 7 kernel size of C1, 8 pooling size, 9 the settings
        chosen from them, 10 these against the default.

    Returns
    -------
    pandas.DataFrame
        Indexed by the post's row names, as strings. Columns ``train_loss`` (nats), ``train_accuracy`` and
        ``test_accuracy`` (fractions); in table 9 the one column ``choice``.

    Raises
    ------
    ValueError
        If there is no such table here; the message lists those that are.
    """
    text = choose(_TABLES, str(number), "table")
    frame = pd.read_csv(io.StringIO(text), index_col=0, dtype={0: str})
    if "choice" in frame:
        return frame
    return frame.set_axis(NUMBERS, axis=1)


def reported(study: str) -> pd.DataFrame:
    """What the post reports on the arms of a study.

    Returns
    -------
    pandas.DataFrame
        As `table`, indexed by the names of the study's arms; without rows if the post has no table on this study.
    """
    if study not in STUDY_TABLES:
        return pd.DataFrame(columns=NUMBERS, index=pd.Index([], name="arm"), dtype=float)
    frame = table(STUDY_TABLES[study])
    rows = _ROWS.get(study) or {name: name for name in frame.index}
    return frame.loc[list(rows.values())].set_axis(pd.Index(rows, name="arm"))


def comparison(study: str, results: pd.DataFrame | None = None, *, epoch: int | None = None) -> pd.DataFrame:
    """The standard table of a study: each arm as the post reports it, and as the course measured it.

    Parameters
    ----------
    study
        Name of a study.
    results
        Its results as `course_utils.study.load_results` gives them, or some arms of them. Default: as published.
    epoch
        The epoch to report. Default: the last.

    Returns
    -------
    pandas.DataFrame
        A row for each arm, in two groups of columns, all text but the last two. ``the post`` has its loss, training
        and test accuracy, and is left out if it reports on no arm. ``ours`` has the same with 95 % intervals, in the
        form ``0.812 [0.806, 0.818]``, then ``failed`` (runs that diverged or ended at chance; they are part of the
        accuracies, and part of the loss if they have one) and ``seeds``.

    Raises
    ------
    ValueError
        If no results are given and none are published.
    """
    runs = stats.final(load_results(study) if results is None else results, epoch)
    post = reported(study)
    columns: dict[tuple[str, str], list[str] | list[int]] = {}
    groups = dict(list(runs.groupby("arm", sort=False)))
    if any(arm in post.index for arm in groups):
        for number, heading in HEADINGS.items():
            columns["the post", heading] = [
                f"{post.loc[arm, number]:.3f}" if arm in post.index else "" for arm in groups
            ]
    for number, heading in HEADINGS.items():
        columns["ours", heading] = [_with_interval(group[number]) for group in groups.values()]
    columns["ours", "failed"] = [int(group["failed"].sum()) for group in groups.values()]
    columns["ours", "seeds"] = [len(group) for group in groups.values()]
    return pd.DataFrame(columns, index=pd.Index(groups, name="arm"))


def _with_interval(values: pd.Series) -> str:
    """Mean and interval of the runs that have a value, without the number of seeds, which has a column of its own."""
    there = values.dropna()
    return str(stats.interval(there)).rpartition(", ")[0] if len(there) else ""


def verdicts(*studies: str) -> pd.DataFrame:
    """What the results of some studies say about each claim on them.

    Parameters
    ----------
    studies
        Names of studies. Default: all.

    Returns
    -------
    pandas.DataFrame
        A row for each claim, indexed by its short name: ``sentence``, ``source``, ``verdict`` (reproduced, not
        reproduced, undecided, or not measured if the study is not published) and ``evidence``.
    """
    wanted: Sequence[str] | None = studies or None
    rows = {
        verdict.claim.name: {
            "sentence": verdict.claim.sentence,
            "source": verdict.claim.source,
            "verdict": verdict.outcome,
            "evidence": verdict.evidence,
        }
        for verdict in claims.evaluate(wanted, claims=SEED_CLAIMS)
    }
    columns = ["sentence", "source", "verdict", "evidence"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("claim")
