"""The ledger of claims: the committed page is what the results say."""

import ledger

from course_utils import claims


def test_the_page_is_up_to_date() -> None:
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.text(), "run 'python book/_tools/ledger.py'"


def test_every_claim_is_on_the_page() -> None:
    page = ledger.PAGE.read_text(encoding="utf-8")
    assert claims.SEED_CLAIMS
    assert claims.COURSE_CLAIMS
    assert all(f"| {claim.sentence} |" in page for claim in claims.SEED_CLAIMS + claims.COURSE_CLAIMS)


def test_every_study_with_claims_has_a_chapter() -> None:
    assert {claim.study for claim in claims.SEED_CLAIMS + claims.COURSE_CLAIMS} <= set(ledger.CHAPTERS)
