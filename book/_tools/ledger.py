"""Write the ledger of claims, ``book/ledger.md``, from the published results: ``python book/_tools/ledger.py``.

The page is committed, so that it can be read where the results change, and a test compares it with what this writes.
"""

from pathlib import Path

from course_utils import claims
from course_utils.studies import STUDIES
from course_utils.study import load_results

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "ledger.md"
CHAPTERS = {  # study -> the chapter that tells it
    "before_lenet5": "05_before_lenet5",
    "lenet5": "06_lenet5_as_published",
    "lenet5_diff": "06_lenet5_as_published",
    "lenet5_sigmoid": "06_lenet5_as_published",
    "lr": "09_learning_rate",
    "optimizer": "09_learning_rate",
    "batch_size": "10_batch_size",
    "batch_size_equal_updates": "10_batch_size",
    "lr_batch": "10_batch_size",
    "epochs": "11_epochs",
    "activation": "12_activation_and_pooling",
    "pooling": "12_activation_and_pooling",
    "conv_kernel": "13_kernel_and_pool_size",
    "conv_kernel_same": "13_kernel_and_pool_size",
    "pool_size": "13_kernel_and_pool_size",
    "no_pooling": "13_kernel_and_pool_size",
    "ingredients": "16_alexnet",
    "normalization": "19_googlenet_and_batch_normalization",
    "schedule": "09_learning_rate",
    "initialization": "12_activation_and_pooling",
    "degradation": "20_resnet",
    "recipe": "21_resnet_in_practice",
    "ladder": "22_ladder",
    "best": "14_best_combination",
    "best_chosen": "14_best_combination",
    "mnist": "14_best_combination",
}
OPENING = """# Ledger of claims

Every statement of the blog post about its experiments, and every one of ours that a study can contradict, with what
the runs say about it. The page is written by a program from the published results; nobody types a verdict.

**Reproduced** means that the 95 % interval lies wholly where the sentence puts it. **Not reproduced** means that it
lies wholly elsewhere, or that a difference which was reported is less than half as large. **Undecided** means that the
interval holds both, at the number of seeds we have. A difference is taken seed by seed, and a run that failed counts
with the accuracy at which it ended. What 'within' or 'about' means for a sentence is written in the function that
checks it, in
[`course_utils.claim_checks`](https://github.com/OWNER/convolutional-networks-measured/blob/main/src/course_utils/claim_checks.py).

The source of a sentence is a table, a figure or a passage of the post, or this course. A sentence of ours that is no
longer reproduced fails a test, and then the page that says it is changed.
"""


def count(verdicts: list[claims.Verdict]) -> str:
    """How many of each verdict, in words."""
    outcomes = [verdict.outcome for verdict in verdicts]
    return ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))


def section(name: str, verdicts: list[claims.Verdict]) -> str:
    """Heading, question, conditions and table of one study."""
    study = STUDIES[name]
    notebook = ROOT / "notebooks" / f"{CHAPTERS.get(name, '')}.ipynb"
    lines = [f"## {name}", "", study.description]
    if notebook.is_file():
        lines[-1] += f"\n\nTold in [{notebook.stem[3:].replace('_', ' ')}](../notebooks/{notebook.name})."
    if verdicts[0].outcome != claims.NOT_MEASURED:
        results = load_results(name)
        runs = results.groupby(["arm", "seed"]).diverged.first()
        provenance = results.attrs["provenance"]
        where, when = ", ".join(provenance["device_name"]), provenance["last_finished"][:10]
        lines += ["", f"{len(runs)} runs, {runs.sum()} of them diverged; measured on {where}, {when}."]
    lines += ["", "| claim | source | verdict | evidence |", "|---|---|---|---|"]
    for verdict in verdicts:
        cells = (verdict.claim.sentence, verdict.claim.source, verdict.outcome, verdict.evidence)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines).replace("test_accuracy", "test accuracy").replace("train_loss", "training loss") + "\n"


def text() -> str:
    """The whole page."""
    verdicts = claims.evaluate()
    by_study: dict[str, list[claims.Verdict]] = {}
    for verdict in verdicts:
        by_study.setdefault(verdict.claim.study, []).append(verdict)
    whose = (("the post", claims.SEED_CLAIMS), ("this course", claims.COURSE_CLAIMS))
    total = "\n".join(
        f"Of {len(said)} claims of {name}: {count([verdict for verdict in verdicts if verdict.claim in said])}."
        for name, said in whose
    )
    return "\n".join([OPENING, total, "", *(section(name, its) for name, its in by_study.items())])


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
