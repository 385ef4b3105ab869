"""Choosing settings on the validation images, before the test images are looked at once.

Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) proposes, the course's runner measures. The proposals
follow from a fixed seed and from the results so far, and results are in the store, so a search that was stopped is
taken up by starting it again: it proposes the same and finds it measured. Another version of Optuna may propose
otherwise.
"""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from course_utils import published, study
from course_utils.study import Study

TRIALS = 32
AT_ONCE = 4  # proposals made before their results are known
FINALISTS, FINAL_SEEDS = 4, (0, 1, 2)
EPOCHS = 15
SAMPLER_SEED = 0
BASE = {"split": "validation", "epochs": EPOCHS}


def propose(trial: Any) -> dict[str, Any]:
    """Settings for an Optuna trial: those that the post varied, and the schedule."""
    return {
        "lr": float(f"{trial.suggest_float('lr', 0.02, 2.0, log=True):.2g}"),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32, 64, 128, 256]),
        "conv_activation": trial.suggest_categorical("conv_activation", ["sigmoid", "relu", "tanh"]),
        "dense_activation": trial.suggest_categorical("dense_activation", ["sigmoid", "relu", "tanh"]),
        "pooling": trial.suggest_categorical("pooling", ["avg", "max"]),
        "conv_kernel": trial.suggest_categorical("conv_kernel", [3, 5, 7]),
        "schedule": trial.suggest_categorical("schedule", ["constant", "cosine"]),
    }


def search(
    *,
    trials: int = TRIALS,
    base: dict[str, Any] | None = None,
    to: str | os.PathLike[str] | None = None,
    device: str = "auto",
    folder: str | os.PathLike[str] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Search, measure the best few with three seeds each, publish both as results, and return the best settings.

    The results are named ``search`` (one seed per trial) and ``search_finals``; accuracies are on the validation
    images.

    Parameters
    ----------
    trials
        Number of proposals.
    base
        What all trials share; default: 15 epochs, measured on the validation images.
    to
        Where to publish; default: the results folder of the package.
    device, folder
        As for `course_utils.study.run`.
    arguments
        Further arguments of `course_utils.study.run`.

    Raises
    ------
    ImportError
        If Optuna is not installed (``pip install course-utils[search]``).
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("the search needs Optuna: pip install 'course-utils[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=SAMPLER_SEED, n_startup_trials=min(12, trials))
    optimizer = optuna.create_study(direction="maximize", sampler=sampler)
    base = BASE if base is None else base
    arms: dict[str, dict[str, Any]] = {}
    while len(arms) < trials:
        asked = {f"trial {len(arms) + n}": optimizer.ask() for n in range(min(AT_ONCE, trials - len(arms)))}
        proposals = {name: propose(trial) for name, trial in asked.items()}
        arms |= proposals
        step = Study("search", "", proposals, base, (0,))
        accuracy = accuracies(study.run(step, device=device, folder=folder, **arguments))
        for name, trial in asked.items():
            optimizer.tell(trial, accuracy[name])
    whole = Study("search", "What do these settings give on the validation images?", arms, base, (0,))
    results = study.run(whole, device=device, folder=folder, **arguments)
    names = accuracies(results).sort_values(ascending=False, kind="stable").index
    finalists: dict[str, dict[str, Any]] = {}
    for name in names:
        if len(finalists) < FINALISTS and arms[name] not in finalists.values():
            finalists[name] = arms[name]
    finals = Study("search_finals", "Which of the best trials is best with three seeds?", finalists, base, FINAL_SEEDS)
    results = study.run(finals, device=device, folder=folder, **arguments)
    for item in (whole, finals):
        published.export(item, device=device, store=folder, to=to)
    winner = accuracies(results).idxmax()
    return {**{name: value for name, value in base.items() if name != "split"}, **arms[str(winner)]}


def accuracies(results: pd.DataFrame) -> pd.Series:
    """Mean final accuracy of each arm."""
    from course_utils.stats import summarize

    return summarize(results)["test_accuracy"]
