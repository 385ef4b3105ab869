"""The quizzes: the committed page is what the questions say, and each right answer is what the code computes."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import chromium
import pytest
import quizzes
import yaml
from conftest import ROOT
from quiz_questions import PARTS, Question

from course_utils.exercises import EXERCISES

pytestmark = pytest.mark.usefixtures("one_thread")

QUESTIONS = {question.name: question for questions in PARTS.values() for question in questions}
CHOICES = {name: question for name, question in QUESTIONS.items() if question.answer}
# What the pages say, so that no change of the code can change a right answer without a word.
RIGHT = {
    "shuffled pixels": "a dense layer",
    "shifted image": "4 pixels",
    "most parameters": "VGG-16",
    "the 856": "in S2, C3 and S4",
    "interval": "no difference seen at ten seeds",
    "pairing": "about a fifth",
    "beyond 1.4": "not reproduced",
    "two claims about ReLU": "the first holds",
    "best pooling": "a convolution with stride 2",
    "out of memory": "the first block",
    "shuffled places": "the dense layer",
    "batch of two": "-1 and 1",
    "winner of 2014": "VGG-16",
    "blind map": "shuffled AUC",
    "power of a map": "AUC-Judd",
    "unread place": "the third",
    "brightest place": "1, like that of any class",
    "parts of a product": "3 and 3",
    "forgotten output": "guided backprop's",
    "shirts without the mark": "fewer than 5",
    "what is cut away": "57 %",
}


class Forms(HTMLParser):
    """For each form of the page its attributes, the values of its inputs, and the answers that its list knows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: dict[str, dict] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        if tag == "form":
            self.current = self.forms[values["id"]] = {"attributes": values, "inputs": [], "answers": {}}
        elif tag == "input":
            self.current["inputs"].append(values)
        elif tag == "li" and "data-value" in values:
            self.current["answers"][values["data-value"]] = "data-right" in values


FORMS = Forms(quizzes.PAGE.read_text(encoding="utf-8")).forms


def form(question: Question) -> dict:
    return FORMS[f"quiz-{question.name.lower().replace(' ', '-')}"]


def test_the_page_is_up_to_date() -> None:
    assert quizzes.PAGE.read_text(encoding="utf-8") == quizzes.text(), "run 'python book/_tools/quizzes.py'"


def test_each_part_of_the_book_has_five_to_ten_questions() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert set(PARTS) <= {part["caption"] for part in toc["parts"]}
    assert all(5 <= len(questions) <= 10 for questions in PARTS.values())
    assert len(QUESTIONS) == sum(map(len, PARTS.values())), "names are unique"


@pytest.mark.parametrize("name", CHOICES)
def test_the_computed_choice_is_the_right_one(name) -> None:
    question = CHOICES[name]
    computed = question.answer()
    (right,) = [choice.text for choice in question.choices if choice.key == computed]
    assert right == RIGHT[name]
    assert form(question)["answers"] == {choice.key: choice.key == computed for choice in question.choices}
    assert [box["value"] for box in form(question)["inputs"]] == [choice.key for choice in question.choices]


@pytest.mark.parametrize("name", sorted(set(QUESTIONS) - set(CHOICES)))
def test_the_computed_number_is_the_right_one(name) -> None:
    exercise, answers = EXERCISES[name], form(QUESTIONS[name])["answers"]
    (right,) = [float(value) for value, is_right in answers.items() if is_right]
    assert right == pytest.approx(exercise.answer(), rel=1e-9)
    wrong = [float(value) for value, is_right in answers.items() if not is_right]
    assert wrong == pytest.approx([slip.value() for slip in exercise.slips], rel=1e-9, abs=1e-12)
    assert float(form(QUESTIONS[name])["attributes"]["data-tolerance"]) == max(exercise.tolerance, 1e-9)


def test_every_answer_has_its_reason() -> None:
    for question in QUESTIONS.values():
        texts = [why for _, _, why, _ in quizzes.rows(question)]
        assert len(set(texts)) == len(texts) >= 3
        assert all(re.match(r"[\w(].{20,}\.$", why, re.DOTALL) for why in texts), question.name


def test_all_boxes_have_names_of_their_own() -> None:
    names = [{box["name"] for box in form(question)["inputs"]} for question in CHOICES.values()]
    assert all(len(name) == 1 for name in names)
    assert len(set().union(*names)) == len(names)


# What the script says, asked without a page: a number as typed, and which answer it is taken for.
TYPED = [
    ("output size", "19", "19"),
    ("output size", " 20 ", "20"),
    ("output size", "19.2", None),
    ("output size", "", None),
    ("output size", "many", None),
    ("lenet in color", "62,006", "62006"),
    ("lenet in color", "62006", "62006"),
    ("standard error", "0.003", "0.003"),
    ("standard error", "0,003", "0.003"),
    ("standard error", "0.3 %", None),
    ("stack of three", "55 %", "55.1020408163"),
    ("logit from CAM", "\u22121", None),
]


def test_the_script_understands_numbers_as_people_type_them(tmp_path) -> None:
    source = (ROOT / "book" / "_static" / "quiz.js").read_text(encoding="utf-8")
    inner = source[source.index("  /**") : source.index("  /** What was answered")]
    forms = {name: form(QUESTIONS[name]) for name in EXERCISES if name in QUESTIONS}
    known = {name: [one["attributes"]["data-tolerance"], list(one["answers"])] for name, one in forms.items()}
    ask = f"""{inner}
    const known = {json.dumps(known)};
    const found = {json.dumps(TYPED)}.map(([name, text]) => {{
      const [tolerance, values] = known[name];
      return values.find((value) => near(parse(text), Number(value), Number(tolerance))) ?? null;
    }});"""
    if node := shutil.which("node"):
        (tmp_path / "ask.js").write_text(f"{ask} console.log(JSON.stringify(found));", encoding="utf-8")
        command = [node, tmp_path / "ask.js"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    elif browser := chromium.find():
        page = tmp_path / "ask.html"
        page.write_text(
            f"<meta charset=utf-8><body><script>{ask}document.body.textContent = JSON.stringify(found);</script>"
        )
        command = [browser, *chromium.ARGUMENTS, "--headless", "--dump-dom", page.as_uri()]
        dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        answer = html.unescape(dump.partition("<body>")[2].partition("</body>")[0])
    else:
        pytest.skip("needs node or Chromium")
    assert json.loads(answer) == [value for _, _, value in TYPED]
