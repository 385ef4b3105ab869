"""Claims: verdicts follow from numbers, and from nothing else."""

import numpy as np
import pandas as pd
import pytest

from course_utils import claim_checks, claims, published
from course_utils.__main__ import main
from course_utils.claim_checks import NOT_REPRODUCED, REPRODUCED, UNDECIDED
from course_utils.claims import COURSE_CLAIMS, NOT_MEASURED, SEED_CLAIMS
from course_utils.studies import STUDIES

NOISE = np.random.default_rng(0).normal(size=(10, 30))


def made_up(spread=0.002, **means):
    """Ten seeds of one epoch: accuracies around the given means, loss = 1 - accuracy."""
    rows = []
    for column, (arm, mean) in enumerate(means.items()):
        for seed in range(10):
            accuracy = mean + spread * NOISE[seed, column]
            rows.append((arm, seed, 1, 1 - accuracy, accuracy, accuracy, 1.0, False))
    columns = ["arm", "seed", "epoch", "train_loss", "train_accuracy", "test_accuracy", "seconds", "diverged"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("check", "results", "outcome"),
    [
        (claim_checks.higher("a", "b"), made_up(a=0.83, b=0.80), REPRODUCED),
        (claim_checks.higher("a", "b"), made_up(a=0.80, b=0.83), NOT_REPRODUCED),
        (claim_checks.higher("a", "b"), made_up(0.1, a=0.80, b=0.80), UNDECIDED),
        (claim_checks.higher("a", "b", size=0.06), made_up(a=0.83, b=0.80), REPRODUCED),
        (claim_checks.higher("a", "b", size=0.06), made_up(a=0.81, b=0.80), NOT_REPRODUCED),
        (claim_checks.higher("a", "b", size=0.06), made_up(0.1, a=0.80, b=0.80), UNDECIDED),
        (claim_checks.higher(("a", "b"), "c"), made_up(a=0.83, b=0.79, c=0.80), REPRODUCED),
        (claim_checks.higher("a", "b", "train_loss"), made_up(a=0.80, b=0.83), REPRODUCED),
        (claim_checks.rising("a", "b", "c"), made_up(a=0.7, b=0.8, c=0.9), REPRODUCED),
        (claim_checks.rising("a", "b", "c"), made_up(a=0.7, b=0.9, c=0.8), NOT_REPRODUCED),
        (claim_checks.rising("a", "b", "c"), made_up(0.05, a=0.5, b=0.8, c=0.8), UNDECIDED),
        (claim_checks.best("a"), made_up(a=0.9, b=0.8, c=0.7), REPRODUCED),
        (claim_checks.best("a"), made_up(a=0.8, b=0.9, c=0.7), NOT_REPRODUCED),
        (claim_checks.best("a"), made_up(0.05, a=0.8, b=0.8, c=0.4), UNDECIDED),
        (claim_checks.best("a", among=("a", "b")), made_up(a=0.8, b=0.7, c=0.9), REPRODUCED),
        (claim_checks.best("a", value="train_loss", lowest=True), made_up(a=0.9, b=0.8), REPRODUCED),
        (claim_checks.similar("a", "b"), made_up(a=0.800, b=0.801), REPRODUCED),
        (claim_checks.similar("a", "b"), made_up(a=0.80, b=0.85), NOT_REPRODUCED),
        (claim_checks.similar("a", "b"), made_up(0.1, a=0.80, b=0.80), UNDECIDED),
        (claim_checks.about("a", 0.81), made_up(a=0.81), REPRODUCED),
        (claim_checks.about("a", 0.81), made_up(a=0.78), NOT_REPRODUCED),
        (claim_checks.about("a", 0.81), made_up(0.05, a=0.81), UNDECIDED),
        (claim_checks.at_least(("a", "b"), 0.9), made_up(a=0.95, b=0.1), REPRODUCED),
        (claim_checks.at_least(("a", "b"), 0.9), made_up(a=0.85, b=0.1), NOT_REPRODUCED),
        (claim_checks.at_least(("a",), 0.9), made_up(0.05, a=0.9), UNDECIDED),
    ],
)
def test_verdicts_follow_from_the_numbers(check, results, outcome):
    finding = check(results)
    assert finding.outcome == outcome, finding.evidence
    assert "10 seeds" in finding.evidence


def test_a_diverged_run_counts_with_the_loss_of_guessing():
    results = made_up(a=0.8, b=0.8)
    results.loc[results.index[:5], ["epoch", "train_loss", "diverged"]] = [0, np.nan, True]
    assert claim_checks.higher("a", "b", "train_loss")(results).outcome == REPRODUCED


def test_epochs_are_compared_within_a_run():
    late = made_up(default=0.9).assign(epoch=2)
    assert claim_checks.epochs_similar(2, 1)(pd.concat([made_up(default=0.9), late])).outcome == REPRODUCED
    assert claim_checks.epochs_similar(2, 1)(pd.concat([made_up(default=0.8), late])).outcome == NOT_REPRODUCED
    assert claim_checks.epochs_higher(2, 1)(pd.concat([made_up(default=0.8), late])).outcome == REPRODUCED
    assert claim_checks.epochs_higher(2, 1)(pd.concat([made_up(default=0.9), late])).outcome == UNDECIDED
    assert claim_checks.epochs_higher(1, 2)(pd.concat([made_up(default=0.8), late])).outcome == NOT_REPRODUCED


def test_each_claim_is_well_formed():
    every = SEED_CLAIMS + COURSE_CLAIMS
    assert len({claim.name for claim in every}) == len({claim.sentence for claim in every}) == len(every)
    for claim in every:
        assert claim.study in STUDIES
        assert claim.sentence.endswith(".")


@pytest.mark.parametrize("claim", SEED_CLAIMS + COURSE_CLAIMS, ids=lambda claim: claim.name)
def test_each_claim_can_be_checked_on_its_study(claim):
    epochs = range(1, 101) if claim.study == "epochs" else [1]
    arms = dict.fromkeys(STUDIES[claim.study].arms, 0.8)
    results = pd.concat([made_up(**arms).assign(epoch=epoch) for epoch in epochs])
    assert claim.check(results).outcome in (REPRODUCED, NOT_REPRODUCED, UNDECIDED)


def test_without_results_nothing_is_claimed(tmp_path):
    verdicts = claims.evaluate(folder=tmp_path)
    assert len(verdicts) == len(SEED_CLAIMS) + len(COURSE_CLAIMS)
    assert len(claims.evaluate(folder=tmp_path, claims=SEED_CLAIMS)) == len(SEED_CLAIMS)
    assert {verdict.outcome for verdict in verdicts} == {NOT_MEASURED}
    assert claims.evaluate(["lr"], tmp_path)[0].claim.study == "lr"
    assert claims.evaluate([], tmp_path) == []


@pytest.mark.parametrize("name", published.available())
def test_published_results_give_a_verdict_on_each_claim(name):
    for verdict in claims.evaluate([name]):
        assert verdict.outcome in (REPRODUCED, NOT_REPRODUCED, UNDECIDED)
        assert verdict.evidence


@pytest.mark.parametrize("verdict", claims.evaluate(claims=COURSE_CLAIMS), ids=lambda verdict: verdict.claim.name)
def test_what_our_pages_say_is_still_true(verdict):
    assert verdict.outcome in (REPRODUCED, NOT_MEASURED), f"{verdict.claim.sentence} {verdict.evidence}"


def test_the_command_prints_tables_and_claims(capsys):
    assert main(["results"]) == 0
    assert main(["results", "nonsense"]) == 2
    assert "no results of a study 'nonsense' are published" in capsys.readouterr().err
