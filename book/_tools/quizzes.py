"""Write the page of quizzes, ``book/quizzes.md``, from its questions: ``python book/_tools/quizzes.py``.

The page is committed, so that it can be read where a result changes an answer, and a test compares it with what this
writes.
"""

import html
import json
import textwrap
from pathlib import Path

from quiz_questions import PARTS, Question

from course_utils.exercises import EXERCISES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "quizzes.md"
OPENING = """# Check yourself

Questions on each part of the book, {count} in all. Each can be answered from its pages, with paper and a pen. If your
answer is wrong, this page tries to say which way of thinking leads there, and where to read on. No answer leaves your
computer. Without JavaScript, unfold the answers below the questions.

Every right answer is computed by a program, from the package and the published results. The questions that ask for a
number are also in the package: `from course_utils import check`, then `check.number("output size", 20)`.
"""


def link(question: Question) -> str:
    """Where the answer is taught."""
    path = ROOT / "notebooks" / f"{question.page}.ipynb"
    title = (
        "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).split("\n")[0].removeprefix("# ")
    )
    return f"[{title}](../notebooks/{path.name}#{question.heading})"


def shown(value: float, tolerance: float) -> str:
    """A number as the page shows it."""
    return f"{value:,.0f}" if not tolerance else f"{value:.3g}"


def rows(question: Question) -> list[tuple[str, str, str, bool]]:
    """Each answer that the page knows: its value for the script, its text, what to say of it, and if it is right."""
    if question.answer is None:
        exercise = EXERCISES[question.name]
        numbers = [(exercise.answer(), exercise.why, True)]
        numbers += [(slip.value(), slip.message, False) for slip in exercise.slips]
        return [(f"{value:.12g}", shown(value, exercise.tolerance), why, right) for value, why, right in numbers]
    right = question.answer()
    return [(choice.key, choice.text, choice.why, choice.key == right) for choice in question.choices]


def section(number: int, question: Question) -> str:
    """One question: the form, and the reasons as a list that can be unfolded without JavaScript."""
    name = question.name.lower().replace(" ", "-")
    known = rows(question)
    if question.answer is None:
        exercise = EXERCISES[question.name]
        unit = f" {exercise.unit}" if exercise.unit else ""
        kind = f'data-tolerance="{max(exercise.tolerance, 1e-9):g}"'
        inputs = [f'<label>Your answer: <input type="text" inputmode="decimal" autocomplete="off">{unit}</label>']
    else:
        kind = ""
        inputs = [
            f'<label><input type="radio" name="{name}" value="{html.escape(value)}"> {html.escape(text)}</label>'
            for value, text, _, _ in known
        ]
    reasons = [
        f'<li data-value="{html.escape(value)}"{" data-right" if right else ""}>'
        f"<strong>{html.escape(text)}</strong>{' is right' if right else ''}: <span>{html.escape(why)}</span></li>"
        for value, text, why, right in known
    ]
    lines = [
        f'<form class="quiz" id="quiz-{name}" {kind}>'.replace(" >", ">"),
        f'<div id="question-{name}">',
        "",
        *textwrap.wrap(f"**{number}.** {question.text}", 118, break_long_words=False, break_on_hyphens=False),
        "",
        "</div>",
        f'<fieldset aria-labelledby="question-{name}">',
        *inputs,
        "</fieldset>",
        '<button type="submit" hidden>Check</button>',
        '<div class="quiz-feedback" role="status"></div>',
        "<details><summary>Answer and reasons</summary>",
        "<ul>",
        *reasons,
        "</ul>",
        "",
        f"Told in {link(question)}.",
        "",
        "</details>",
        "</form>",
    ]
    return "\n".join(lines)


def text() -> str:
    """The whole page."""
    count = sum(map(len, PARTS.values()))
    blocks = [OPENING.format(count=count)]
    for part, questions in PARTS.items():
        blocks.append(f"## {part}\n")
        blocks += [section(number, question) + "\n" for number, question in enumerate(questions, start=1)]
    return "\n".join(blocks)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
