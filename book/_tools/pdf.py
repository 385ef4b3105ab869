"""Print the built book into one file, ``make pdf``: title page, contents, every chapter, through headless Chromium.

The pages of `_build/html` are joined into one, so that their links lead to places in the file. It is printed twice: the
first print tells on which page each chapter begins, and the second one has these numbers in the table of contents.
"""

import logging
import posixpath
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from build import ROOT, missing_pages, toc_pages
from chromium import ADVICE, ARGUMENTS, find

HTML = ROOT / "_build" / "html"
JOINED = HTML / "print.html"  # beside the pages while it is printed, so that their pictures are where they were
PDF = ROOT / "_build" / "convolutional-networks-measured.pdf"
WITHOUT = {"book/status"}  # it tells of this machine's build, not of the course
DROPPED = "script, button, .headerlink, .copybtn, noscript"
STYLES = (
    "styles/theme.css",
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "sphinx-design.min.css",
    "course.css",
    "print.css",
)
FILL_IN = """numbers => document.querySelectorAll('.page-number').forEach(
  (element, place) => { element.textContent = numbers[place]; })"""
FOOTER = (
    '<div style="width: 100%; font: 8px sans-serif; color: #555; text-align: center"><span class="pageNumber"></span>'
    "</div>"
)


def chapters(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield (part, page) in reading order; the part's name stands at its first page only."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    yield "", toc["root"]
    parts: list[dict[str, Any]] = toc.get("parts") or [{"chapters": toc.get("chapters", [])}]
    for part in parts:
        pages = [page for page in toc_pages(part["chapters"]) if page not in WITHOUT]
        for number, page in enumerate(pages):
            yield ("" if number else part.get("caption", "")), page


def slug(page: str) -> str:
    """A page's id in the joined document."""
    return page.replace("/", "-")


def moved(url: str, page: str, pages: set[str]) -> str:
    """A link or a picture's address of one page, as it has to read in the joined document."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return url
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path))) if parts.path else page
    target = path.removesuffix(".html")
    if target in pages:
        return f"#{slug(target)}--{unquote(parts.fragment)}" if parts.fragment else f"#{slug(target)}"
    return quote(path)


def article(page: str, pages: set[str], html: Path = HTML) -> Tag:
    """The text of one page, made fit to stand among others."""
    soup = BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    text = soup.select_one("article.bd-article")
    if text is None:
        raise ValueError(f"{page}.html has no article; build the book first")
    for unwanted in text.select(DROPPED):
        unwanted.decompose()
    for folded in text.select("details"):
        folded["open"] = ""
    for element in text.select("[id]"):
        element["id"] = f"{slug(page)}--{element['id']}"
    for element in text.select("[href]"):
        element["href"] = moved(str(element["href"]), page, pages)
    for element in text.select("[src]"):
        element["src"] = moved(str(element["src"]), page, pages)
    text["id"] = slug(page)
    return text


def mathjax(page: str, html: Path = HTML) -> str:
    """The script tags by which a page sets its mathematics."""
    soup = BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    scripts = [tag for tag in soup.select("script") if "mathjax" in str(tag).lower() and "searchindex" not in str(tag)]
    for tag in scripts:
        if tag.get("src"):
            tag["src"] = moved(str(tag["src"]), page, set())
    return "\n".join(map(str, scripts))


def joined(root: Path = ROOT) -> str:
    """The whole book as one document."""
    html = root / "_build" / "html"
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    order = list(chapters(root))
    pages = {page for _, page in order}
    contents, texts = [], []
    for part, page in order:
        text = article(page, pages, html)
        heading = text.select_one("h1")
        title = " ".join(heading.get_text().split()) if heading else page
        if part:
            contents += ["</ol>", f'<p class="part">{part}</p>', "<ol>"]
            text.insert(0, BeautifulSoup(f'<p class="part">{part}</p>', "html.parser"))
        contents.append(f'<li><a href="#{slug(page)}">{title}</a><span class="page-number"></span></li>')
        texts.append(str(text))
    with_math = next(page for _, page in order if 'class="math' in (html / f"{page}.html").read_text(encoding="utf-8"))
    own = Path(__file__).with_name("edition.css").read_text(encoding="utf-8")
    sheets = [name for name in STYLES if (html / "_static" / name).is_file()]
    sheets += [path.name for path in sorted((html / "_static").glob("mystnb*.css"))]
    links = "\n".join(f'<link rel="stylesheet" href="_static/{name}">' for name in sheets)
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light">
<head>
<meta charset="utf-8">
<title>{config["title"]}</title>
<meta name="author" content="{config["author"]}">
{links}
<style>{own}</style>
{mathjax(with_math, html)}
</head>
<body>
<div class="title-page">
<p class="title">{config["title"]}</p>
<p>Version {version}</p>
<img src="_static/cover.png" alt="">
<p>{config["author"]}</p>
<p>Text and figures: CC BY 4.0. Code: MIT license.</p>
<p><a href="{config["repository"]["url"]}">{config["repository"]["url"]}</a></p>
</div>
<nav class="contents"><h1>Contents</h1><ol>{"".join(contents)}</ol></nav>
{"".join(texts)}
</body>
</html>
"""


def headings(text: str) -> list[tuple[int, str]]:
    """Every heading of the joined document, in order: its level, 1 to 6, and its words."""
    found = BeautifulSoup(text, "html.parser").find_all(re.compile(r"^h[1-6]$"))
    return [(int(heading.name[1]), " ".join(heading.get_text().split())) for heading in found]


def mend_outline(pdf: Path, wanted: list[tuple[int, str]]) -> list[int]:
    """Give the outline's entries their words back, and return the pages, counted from 1, on which chapters begin.

    Chromium writes the outline, with each place right, and loses spaces or repeats words where a heading has two lines.

    Raises
    ------
    ValueError
        If the outline doesn't have as many entries as the document has headings.
    """
    from pypdf import PdfWriter
    from pypdf.generic import NameObject, TextStringObject

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of a count that Chromium writes too small
    writer = PdfWriter(clone_from=pdf)
    entries = list(_flat(writer.outline))
    if len(entries) != len(wanted):
        raise ValueError(f"the outline of {pdf.name} has {len(entries)} entries for {len(wanted)} headings")
    chapters_at = []
    for entry, (level, title) in zip(entries, wanted, strict=True):
        entry.node[NameObject("/Title")] = TextStringObject(title)
        if level == 1:
            chapters_at.append(writer.get_destination_page_number(entry) + 1)
    writer.write(pdf)
    return chapters_at[1:]  # the first is the table of contents


def _flat(outline: list[Any]) -> Iterator[Any]:
    for entry in outline:
        if isinstance(entry, list):
            yield from _flat(entry)
        else:
            yield entry


def write(browser_path: str, root: Path = ROOT, pdf: Path = PDF) -> list[int]:
    """Print the joined book; returns the page on which each chapter begins."""
    from playwright.sync_api import sync_playwright

    text = joined(root)
    wanted = headings(text)
    source = root / "_build" / "html" / JOINED.name
    source.write_text(text, encoding="utf-8")
    settings = dict(
        path=pdf,
        prefer_css_page_size=True,
        print_background=True,
        outline=True,
        tagged=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
    )
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
            page = browser.new_page()
            page.set_default_timeout(0)
            page.goto(source.as_uri(), wait_until="load")
            page.evaluate("window.MathJax && MathJax.startup.promise")
            page.pdf(**settings)
            numbers = mend_outline(pdf, wanted)
            page.evaluate(FILL_IN, numbers)
            page.pdf(**settings)
            mend_outline(pdf, wanted)
            browser.close()
    finally:
        source.unlink()
    return numbers


def main() -> int:
    """Print what `make book` built."""
    if missing := missing_pages():
        print(f"pdf: no HTML for {', '.join(missing)}; run `make book` first.", file=sys.stderr)
        return 1
    browser_path = find()
    if browser_path is None:
        print(f"pdf: {ADVICE}.", file=sys.stderr)
        return 1
    numbers = write(browser_path)
    print(f"pdf: {len(numbers)} chapters, the last begins on page {numbers[-1]}; open {PDF}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
