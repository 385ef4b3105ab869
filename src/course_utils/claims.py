"""What has been said about these experiments, each sentence with the test that it must pass.

A verdict is computed from the published results, never typed in; `course_utils.claim_checks` says what the words mean.
The sentences are in `course_utils.seed_claims` and `course_utils.course_claims`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from course_utils.claim_checks import Claim
from course_utils.course_claims import COURSE_CLAIMS
from course_utils.published import available
from course_utils.seed_claims import SEED_CLAIMS
from course_utils.study import load_results

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Verdict:
    """A claim and what the results say about it."""

    claim: Claim
    outcome: str
    evidence: str


def evaluate(
    studies: Iterable[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    claims: Sequence[Claim] = SEED_CLAIMS + COURSE_CLAIMS,
) -> list[Verdict]:
    """Check claims, all or those about some studies, against the published results."""
    wanted = None if studies is None else set(studies)
    there = available(folder)
    loaded: dict[str, pd.DataFrame] = {}
    verdicts = []
    for claim in claims:
        if wanted is not None and claim.study not in wanted:
            continue
        if claim.study in there:
            if claim.study not in loaded:
                loaded[claim.study] = load_results(claim.study, folder)
            verdicts.append(Verdict(claim, *claim.check(loaded[claim.study])))
        else:
            verdicts.append(Verdict(claim, NOT_MEASURED, f"study {claim.study!r} is not published"))
    return verdicts
