"""What those who carry on are told: the commands exist, and the forms that GitHub shows are forms."""

import re
import shlex

import pytest
import yaml
from conftest import ROOT
from test_packaging import targets

FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".github/pull_request_template.md"])
def test_every_make_command_that_is_named_exists(name) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text))
    named = set(re.findall(r"(?:^|\s)make ([a-z-]+)", code, re.MULTILINE))
    assert named
    assert named <= set(targets())


def test_every_file_that_the_guide_names_exists() -> None:
    made = {"_build/colab-check.json", "_build/html/index.html", "notebooks/NN_topic.ipynb"}
    named = set(re.findall(r"[\w./-]+/[\w.-]+\.(?:py|json|jsonl|ipynb|bib|md|html)\b", GUIDE)) - made
    assert {name for name in named if not (ROOT / name).exists() and not name.startswith("..")} == set()


def test_there_is_a_form_for_each_kind_of_report() -> None:
    assert [path.stem for path in FORMS] == ["number", "question", "text"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_are_what_github_accepts(path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(set(ids)) == len(ids) > 0
    for part in form["body"]:
        assert part["type"] in {"markdown", "input", "textarea", "dropdown"}
        assert part["attributes"].get("value" if part["type"] == "markdown" else "label")
        if part["type"] == "dropdown":
            assert len(set(part["attributes"]["options"])) == len(part["attributes"]["options"]) > 1
    assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_a_report_of_a_number_asks_for_what_is_needed_to_see_it_again() -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "number.yml").read_text(encoding="utf-8"))
    required = {part.get("id") for part in form["body"] if part.get("validations", {}).get("required")}
    assert required == {"where", "numbers", "place", "doctor"}


def test_the_hooks_run_what_exists() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert all(repo["repo"] == "local" for repo in config["repos"]), "other hooks would bring versions of their own"
    for hook in hooks:
        python, dash, _, *rest = shlex.split(hook["entry"])
        assert (python, dash) == (".venv/bin/python", "-m")
        assert all((ROOT / part).exists() for part in rest if "/" in part)
