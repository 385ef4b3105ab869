"""`make pdf`: the book as one document whose links lead to places in it, and whose outline has the chapters' names."""

import logging

import chromium
import pdf
import pytest
from bs4 import BeautifulSoup
from conftest import BOOK_PAGES

PAGES = {"book/intro", "notebooks/07_lenet_in_pytorch"}


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://example.org/a.html#b", "https://example.org/a.html#b"),
        ("#pooling", "#notebooks-07_lenet_in_pytorch--pooling"),
        ("../book/intro.html", "#book-intro"),
        ("../book/intro.html#who", "#book-intro--who"),
        ("../_images/a%20b.png", "_images/a%20b.png"),
        ("02_other.html", "notebooks/02_other.html"),
    ],
)
def test_links_lead_to_places_in_the_document(url, wanted) -> None:
    assert pdf.moved(url, "notebooks/07_lenet_in_pytorch", PAGES) == wanted


def test_every_page_but_the_status_is_a_chapter() -> None:
    assert [page for _, page in pdf.chapters()] == [page for page in BOOK_PAGES if page not in pdf.WITHOUT]


@pytest.fixture(scope="module")
def document(html) -> str:
    return pdf.joined()


def test_inner_links_have_their_targets(document) -> None:
    soup = BeautifulSoup(document, "html.parser")
    ids = [str(element["id"]) for element in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    links = {str(link["href"])[1:] for link in soup.select("a[href^='#']")}
    assert links
    assert links - set(ids) == set()


def test_every_chapter_has_one_title_and_stands_in_the_contents(document) -> None:
    titles = [title for level, title in pdf.headings(document) if level == 1]
    entries = BeautifulSoup(document, "html.parser").select("nav.contents li a")
    assert titles == ["Contents", *(entry.get_text() for entry in entries)]


def test_nothing_is_folded_or_a_button(document) -> None:
    soup = BeautifulSoup(document, "html.parser")
    assert soup.select("details:not([open]), button, .headerlink") == []


LONG = "A heading that is much too long for one line of the narrow paper on which this test has it printed"


@pytest.fixture
def printed(tmp_path):
    """Two chapters on paper of ten centimeters."""
    pytest.importorskip("playwright")
    if chromium.find() is None:
        pytest.skip(chromium.ADVICE)
    from playwright.sync_api import sync_playwright

    text = f"<title>t</title><h1>Contents</h1><h1 style='break-before: page'>{LONG}</h1><h2>Part</h2><p>text"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
        page = browser.new_page()
        page.set_content(text)
        page.pdf(path=tmp_path / "a.pdf", outline=True, tagged=True, width="10cm", height="10cm")
        browser.close()
    return tmp_path / "a.pdf", pdf.headings(text)


def test_the_outline_has_the_headings_words(printed) -> None:
    from pypdf import PdfReader

    file, wanted = printed
    assert pdf.mend_outline(file, wanted) == [2]
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    assert [str(entry.title) for entry in pdf._flat(PdfReader(file).outline)] == ["Contents", LONG, "Part"]


def test_an_outline_that_does_not_fit_is_refused(printed) -> None:
    file, wanted = printed
    with pytest.raises(ValueError, match="has 3 entries for 4 headings"):
        pdf.mend_outline(file, [*wanted, (2, "more")])


def test_without_a_browser_the_way_to_one_is_told(html, monkeypatch, capsys) -> None:
    monkeypatch.setattr(pdf, "find", lambda: None)
    assert pdf.main() == 1
    assert "apt-get install chromium" in capsys.readouterr().err
