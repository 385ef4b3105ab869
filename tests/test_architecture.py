"""The picture in the README is drawn from the imports, and is that of the package as it is."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import architecture
import pytest
from conftest import ROOT

GRAPH = architecture.module_graph()
LETTERS = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": set()}


def test_the_picture_is_up_to_date() -> None:
    drawn = architecture.draw(GRAPH)
    assert architecture.PICTURE.read_text(encoding="utf-8") == drawn, "run 'python book/_tools/architecture.py'"


def test_the_readme_shows_it() -> None:
    path = architecture.PICTURE.relative_to(ROOT).as_posix()
    assert re.search(rf"!\[[^\]]{{40,}}\]\({path}\)", (ROOT / "README.md").read_text(encoding="utf-8"))


def test_every_module_is_in_one_group_and_every_group_has_its_modules() -> None:
    modules = [module for _, its in architecture.GROUPS.values() for module in its]
    assert sorted(modules) == sorted(GRAPH)


def test_the_picture_names_every_module_and_stays_within_its_frame() -> None:
    picture = ElementTree.fromstring(architecture.draw(GRAPH))
    texts = " ".join(element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert [module for module in GRAPH if module not in re.findall(r"\w+", texts)] == []
    width = float(picture.get("width"))
    for frame in picture.iter("{http://www.w3.org/2000/svg}rect"):
        left = float(frame.get("x", 0))
        assert left >= 0
        assert left + float(frame.get("width")) <= width


def test_imports_are_read_from_the_code(tmp_path) -> None:
    files = {
        "__init__.py": "",
        "one.py": "import course_utils.two\nimport numpy\n",
        "two.py": "def f():\n    from course_utils.many import part\n",
        "many/__init__.py": "from course_utils import one, __version__\nfrom course_utils.many import part\n",
        "many/part.py": "from . import x\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert architecture.module_graph(tmp_path) == {"many": {"one"}, "one": {"two"}, "two": {"many"}}


def test_a_module_in_no_group_is_named() -> None:
    with pytest.raises(ValueError, match="name brand_new in GROUPS of book/_tools/architecture.py, then run it"):
        architecture.group_graph({"brand_new": set(), "data": set()})


def test_the_command_says_what_to_do_and_leaves_the_picture(monkeypatch, capsys) -> None:
    before = architecture.PICTURE.read_bytes()
    monkeypatch.setattr(architecture, "module_graph", lambda: {"brand_new": set()})
    assert architecture.main() == 1
    assert "architecture: name brand_new in GROUPS" in capsys.readouterr().err
    assert architecture.PICTURE.read_bytes() == before


def test_a_circle_of_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="imports itself in a circle"):
        architecture.group_graph({"train": {"data"}, "data": {"train"}})


def test_arrows_that_follow_from_others_are_left_out() -> None:
    assert architecture.shown(LETTERS) == {"a": {"b"}, "b": {"c"}, "c": set(), "d": set()}


def test_a_group_stands_below_all_that_it_imports(monkeypatch) -> None:
    monkeypatch.setattr(architecture, "GROUPS", dict.fromkeys(LETTERS, ("", ("m",))))
    rows, alone = architecture.columns(LETTERS)
    assert (rows, alone) == ([["c"], ["b"], ["a"]], ["d"])


def test_boxes_of_a_row_do_not_overlap() -> None:
    layout = architecture.Layout(architecture.shown(architecture.group_graph(GRAPH)))
    for row in layout.rows:
        for left, right in pairwise(row):
            apart = layout.x[right] - layout.x[left]
            assert apart >= (layout.width(left) + layout.width(right)) / 2
