"""The built book: every page is there, nothing on it comes from elsewhere, and its links lead somewhere."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import build
import page_shell
import pytest
import repository
from conftest import BOOK_PAGES as TOC
from conftest import CONFIG, NOTEBOOKS, ROOT, course_files

# What a browser fetches by itself; an ordinary link waits for a click.
FETCHED = {
    ("img", "src"),
    ("script", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("embed", "src"),
    ("object", "data"),
}
FETCHING_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "prefetch",
    "manifest",
}


class Page(HTMLParser):
    """Collects what a page fetches, what it links to, and its images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.ids: set[str] = set()
        self.feed(text)
        inline = re.findall(r"<(?:script|style)[^>]*>(.*?)</", text, re.DOTALL)
        self.fetched += [
            found
            for block in inline
            for found in re.findall(r"""(?:https?:)?//[^\s"'()]+\.(?:js|css|woff2?)\b""", block)
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.fetched += [values[key] for name, key in FETCHED if name == tag and key in values]
        if tag == "link" and FETCHING_LINKS & set(values.get("rel", "").split()):
            self.fetched.append(values["href"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)
        if "id" in values:
            self.ids.add(values["id"])


def external(page: Page) -> list[str]:
    """What the page fetches from another host."""
    return [url for url in page.fetched if urlsplit(url).netloc]


def bad_images(page: Page) -> list[str]:
    """Images without alt text, or whose alt text is a file name; the logo has none, for its words stand beside it."""
    return [
        image["src"]
        for image in page.images
        if "logo__image" not in image.get("class", "")
        if not image.get("alt", "").strip() or re.search(r"\.\w{3,4}$", image["alt"])
    ]


@pytest.fixture(scope="session")
def pages(html) -> dict[str, Page]:
    """Every page that a reader may open."""
    return {name: Page((html / f"{name}.html").read_text(encoding="utf-8")) for name in [*TOC, "index", "search"]}


def test_every_toc_entry_has_its_page(html) -> None:
    assert build.missing_pages() == []
    assert {f"notebooks/{path.stem}" for path in NOTEBOOKS} <= set(TOC), "every notebook is in _toc.yml"


def test_a_missing_page_is_found(tmp_path) -> None:
    (tmp_path / "_toc.yml").write_text("{root: intro, parts: [{chapters: [{file: a, sections: [{file: b}]}]}]}")
    (tmp_path / "_build" / "html").mkdir(parents=True)
    for name in ("index", "intro", "a"):
        (tmp_path / "_build" / "html" / f"{name}.html").touch()
    assert build.missing_pages(tmp_path) == ["b"]


def test_pages_fetch_nothing_from_elsewhere(pages) -> None:
    assert {name: found for name, page in pages.items() if (found := external(page))} == {}


def test_styles_fetch_nothing_from_elsewhere(html) -> None:
    sheets = html.rglob("*.css")
    assert [
        sheet.name
        for sheet in sheets
        if re.search(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", sheet.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize("text", [
    '<script src="https://cdn.example/x.js"></script>',
    '<link rel="stylesheet" href="//cdn.example/x.css">',
    '<img src="https://cdn.example/x.png">',
    '<script>const url = "https://cdn.example/x.js"</script>',
])  # fmt: skip
def test_what_comes_from_elsewhere_is_found(text) -> None:
    assert external(Page(text))


def broken(html: Path, name: str, page: Page, pages: dict[str, Page]) -> Iterator[str]:
    """What the page fetches or links to inside the book and that isn't there."""
    for url in page.fetched + page.links:
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            continue
        target = (html / f"{name}.html").parent / unquote(parts.path) if parts.path else html / f"{name}.html"
        if not target.is_file():
            yield url
            continue
        linked = pages.get(target.resolve().relative_to(html.resolve()).as_posix().removesuffix(".html"))
        if parts.fragment and linked and unquote(parts.fragment) not in linked.ids:
            yield url


def test_links_inside_the_book_resolve(html, pages) -> None:
    assert {name: found for name, page in pages.items() if (found := list(broken(html, name, page, pages)))} == {}


def test_broken_links_are_found(tmp_path) -> None:
    text = '<a href="no.html">a</a><img src="no.png"><a href="#no">b</a><a href="#x">c</a><p id="x">'
    (tmp_path / "x.html").write_text(text)
    page = Page(text)
    assert sorted(broken(tmp_path, "x", page, {"x": page})) == ["#no", "no.html", "no.png"]


def test_colab_links_open_files_of_the_repository(pages) -> None:
    slug = repository.current_url().removeprefix("https://github.com/")
    start = f"https://colab.research.google.com/github/{slug}/blob/{CONFIG['repository']['branch']}/"
    files = {path.relative_to(ROOT).as_posix() for path in course_files()}
    for name, page in pages.items():
        colab = [link for link in page.links if link.startswith("https://colab.research.google.com/github/")]
        assert [link for link in colab if link.removeprefix(start) not in files] == [], name
        assert colab or not name.startswith("notebooks/"), f"{name} has no Colab button"


def test_every_image_has_alt_text(pages) -> None:
    images = {name: bad_images(page) for name, page in pages.items()}
    assert {name: found for name, found in images.items() if found} == {}
    assert bad_images(
        Page('<img src="a.png"><img src="b.png" alt="../_images/b.png"><img src="c.png" alt="A cat.">')
    ) == ["a.png", "b.png"]


def test_search_knows_every_page(html) -> None:
    text = (html / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert set(TOC) <= set(index["docnames"])


def test_math_is_set_by_our_own_copy_of_mathjax(html, pages) -> None:
    with_math = [name for name in TOC if 'class="math' in (html / f"{name}.html").read_text(encoding="utf-8")]
    assert with_math
    for name in with_math:
        scripts = [url for url in pages[name].fetched if "mathjax" in url.lower()]
        assert len(scripts) == 1, name
        assert not urlsplit(scripts[0]).netloc


def test_the_theme_is_mended_on_every_page(html) -> None:
    """A theme that changes its templates would make the mends void without a word, so each must have worked."""
    assert [
        path.name for path in html.rglob("*.html") if page_shell.mend(text := path.read_text(encoding="utf-8")) != text
    ] == []
    assert "fontawesome.js" not in (html / "book" / "intro.html").read_text(encoding="utf-8")
    assert "thebe" not in (html / "book" / "intro.html").read_text(encoding="utf-8").lower()
