"""The built book in a browser: every page in light, in dark and on a phone, and what can be done with the keyboard.

Without Chromium these tests are skipped, with a line that says how to get one; where the variable COURSE_BROWSER is
`required`, as it is in `.ci/run`, its absence is a failure.
"""

import importlib.util
import json
import os
import re
import statistics
import time

import browsing
import chromium
import pytest
import repository
from conftest import BOOK_PAGES, CONFIG, ROOT, course_files

REQUIRED = os.environ.get("COURSE_BROWSER") == "required"
REPORT = ROOT / "_build" / "browser.json"
NAMES = [f"{page}.html" for page in [*BOOK_PAGES, "search"]]
# What a page may weigh with everything that it fetches, its own pictures aside.
RAW, GZIPPED = 3_000_000, 1_200_000


@pytest.fixture(scope="session", autouse=True)
def browser() -> None:
    """Skip or fail everything here where there is nothing to look through."""
    give_up = pytest.fail if REQUIRED else pytest.skip
    if importlib.util.find_spec("playwright") is None:
        give_up('no Playwright here: pip install -c constraints.txt -e ".[test]"')
    if chromium.find() is None:
        give_up(chromium.ADVICE)


@pytest.fixture(scope="session")
def visits(browser, html) -> dict[str, browsing.Visit]:
    """Every page of the book, visited once; what was measured goes into `_build/browser.json`."""
    start = time.perf_counter()
    visits = browsing.look(html, NAMES)
    seconds = time.perf_counter() - start
    measured = {
        visit.page: {key: getattr(visit, key) for key in ("first_paint", "raw", "gzipped", "formulas", "seconds")}
        for visit in visits.values()
    }
    REPORT.write_text(json.dumps({"seconds": round(seconds, 1), "pages": measured}, indent=1), encoding="utf-8")
    return visits


def summary(visits: dict[str, browsing.Visit]) -> str:
    """How fast and how heavy the pages are, in a line for the end of the run."""
    paints = {visit.first_paint: visit.page for visit in visits.values()}
    heaviest = max(visits.values(), key=lambda visit: visit.raw)
    packed = max(visits.values(), key=lambda visit: visit.gzipped)
    seconds = json.loads(REPORT.read_text(encoding="utf-8"))["seconds"]
    return (
        f"{len(visits)} pages in {seconds:.0f} s; first contentful paint {statistics.median(paints):.0f} ms in the "
        f"median, {max(paints)} ms at most ({paints[max(paints)]}); heaviest without its pictures "
        f"{heaviest.raw / 1e6:.2f} MB ({heaviest.page}), gzipped {packed.gzipped / 1e6:.2f} MB ({packed.page}); "
        f"each page in {REPORT.relative_to(ROOT)}"
    )


def found(visits: dict[str, browsing.Visit], what: str) -> dict[str, list[str]]:
    """The pages on which a list is not empty."""
    return {name: getattr(visit, what) for name, visit in visits.items() if getattr(visit, what)}


@pytest.mark.parametrize("what", ["errors", "failed", "elsewhere", "unset", "unloaded", "sideways", "light", "dark"])
def test_no_page_has(what, visits) -> None:
    """Each is a field of `browsing.Visit`, which says what it holds."""
    assert found(visits, what) == {}


def test_faults_of_color_are_found(browser, tmp_path) -> None:
    """Though of texts and links that look alike only one is tried."""
    page = """<!doctype html><html lang="en"><title>A page</title><meta name="viewport" content="width=device-width">
      <style>body {{ background: #fff; color: #000 }} a {{ color: #00e; {line} }} .pale {{ color: {pale} }}</style>
      <main><h1>A page</h1><p>A text with <a href="#">a link</a> in it.</p><p><a href="#">A link alone.</a></p>
      <p>A text with <a href="#"><code>code</code></a> in it.</p><p class="pale">A pale text.</p></main></html>"""
    faults = {
        "good.html": ("", "#000", []),
        "links.html": ("text-decoration: none", "#000", ["link-in-text-block"]),
        "pale.html": ("", "#ccc", ["color-contrast"]),
    }
    for name, (line, pale, _) in faults.items():
        (tmp_path / name).write_text(page.format(line=line, pale=pale), encoding="utf-8")
    for name, visit in browsing.look(tmp_path, faults).items():
        for violations in (visit.light, visit.dark):
            assert [violation.split(":")[0] for violation in violations] == faults[name][2], violations


def test_formulas_are_there_to_be_set(visits) -> None:
    assert sum(visit.formulas for visit in visits.values()) > len(visits)


def test_pages_are_light_enough(visits) -> None:
    heavy = {
        name: (visit.raw, visit.gzipped) for name, visit in visits.items() if visit.raw > RAW or visit.gzipped > GZIPPED
    }
    assert heavy == {}


def test_every_page_was_painted(visits, record_property) -> None:
    record_property(browsing.SUMMARY, summary(visits))
    assert [name for name, visit in visits.items() if visit.first_paint < 0] == []


def test_buttons_open_files_of_the_repository(visits) -> None:
    """Colab's button, and every link to a file on GitHub, of the page itself or in its text."""
    slug = repository.current_url().removeprefix("https://github.com/")
    branch = CONFIG["repository"]["branch"]
    pattern = re.compile(rf"(?:github\.com|colab\.research\.google\.com/github)/{slug}/(?:blob|edit|tree|raw)/([^#?]+)")
    files = {path.relative_to(ROOT).as_posix() for path in course_files()}
    for name, visit in visits.items():
        named = [match[1] for link in visit.links if (match := pattern.search(link))]
        assert [path for path in named if path.removeprefix(f"{branch}/") not in files] == [], name
        assert f"https://github.com/{slug}" in visit.links, f"{name} has no button to the repository"
        if name.startswith("notebooks/"):
            own = f"{branch}/{name.removesuffix('.html')}.ipynb"
            assert own in named, f"{name} has no Colab button of its own"


@pytest.fixture(scope="module")
def page(browser, html):
    """A page to type into; `page.goto("book/intro.html")` opens one of the book."""
    from playwright.sync_api import sync_playwright

    with browsing.served(html) as base, sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
        context = window.new_context(base_url=base, viewport=browsing.DESK, reduced_motion="reduce")
        context.set_default_timeout(60_000)
        yield context.new_page()
        window.close()


def test_the_front_door_leads_to_the_first_page(page, html) -> None:
    door = page.context.new_page()
    door.goto("index.html")
    door.wait_for_url(f"**/{BOOK_PAGES[0]}.html")
    assert door.title()
    door.close()


def test_search_finds_by_keyboard_alone(page) -> None:
    page.goto(f"{BOOK_PAGES[0]}.html", wait_until="load")
    page.keyboard.press("Control+K")
    page.keyboard.type("receptive field")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"search\.html\?q=receptive"))
    page.wait_for_selector("#search-results ul.search li a")
    assert page.locator("#search-results ul.search li a").count() >= 1


def tab_to(page, selector: str, limit: int = 200) -> None:
    """Press Tab until something that the selector names has the focus."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached in {limit} presses of Tab")


@pytest.mark.skipif("book/stepper" not in BOOK_PAGES, reason="the book has no stepper")
def test_the_stepper_obeys_the_keyboard(page) -> None:
    page.goto("book/stepper.html", wait_until="load")
    page.wait_for_function("document.querySelector('.ls-sentence')?.textContent")
    tab_to(page, ".ls-maps")
    said = [page.inner_text(".ls-sentence")]
    for key in ("ArrowRight", "ArrowDown", "PageDown"):
        page.keyboard.press(key)
        said.append(page.inner_text(".ls-sentence"))
    assert len(set(said)) == len(said), "each key moves the marker, and the sentence tells where it is"
    layer = page.input_value("[name=ls-layer]:checked")
    page.goto("book/stepper.html", wait_until="load")
    page.wait_for_function("document.querySelector('.ls-sentence')?.textContent")
    tab_to(page, "[name=ls-layer]")
    page.keyboard.press("ArrowRight")
    assert page.input_value("[name=ls-layer]:checked") != layer
