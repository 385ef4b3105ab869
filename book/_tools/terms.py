"""Sphinx extension that writes the index of terms, ``book/terms``, and joins the glossary to the pages.

The terms are those of the glossary: paragraphs that begin with a term in bold and a colon. Each gets an anchor of its
own, such as ``book/glossary.md#term-receptive-field``. A chapter belongs to a term if it defines the term, which it
does in bold, or uses it at least `OFTEN` times; where there is none, the first one that uses it does.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from build import toc_pages
from docutils import nodes

GLOSSARY, INDEX = "book/glossary", "book/terms"
OFTEN, MOST = 4, 5


@dataclass
class Use:
    """How one page uses a term."""

    page: str
    count: int = 0
    anchor: str = ""  # of the section that defines it, or that uses it first
    defines: bool = False


@dataclass
class Term:
    """A term of the glossary and the pages that use it, in reading order."""

    name: str
    uses: dict[str, Use] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        """The id of its entry in the glossary."""
        return "term-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def pattern(self) -> re.Pattern:
        """What the term looks like in running text: any case where it has none of its own, one or many."""
        words = re.split(r"[\s-]+", re.sub(r"\s*\(.*\)", "", self.name))
        text = r"[\s-]+".join(map(re.escape, words))
        return re.compile(rf"(?<![\w-]){text}(?:s|es)?(?![\w-])", 0 if text != text.lower() else re.IGNORECASE)

    def pages(self) -> list[Use]:
        """The pages that belong to it: see above."""
        kept = [use for use in self.uses.values() if use.defines or use.count >= OFTEN] or [*self.uses.values()][:1]
        best = sorted(kept, key=lambda use: (not use.defines, -use.count))[:MOST]
        return [use for use in kept if use in best]


def entries(glossary) -> list[tuple[Term, nodes.paragraph]]:
    """The terms of the glossary's document, each with its paragraph."""
    found = []
    for paragraph in glossary.findall(nodes.paragraph):
        bold = paragraph.next_node(nodes.strong)
        if bold is not None and paragraph.astext().startswith(f"{bold.astext()}:"):
            found.append((Term(bold.astext()), paragraph))
    return found


def mark_entries(app, document):
    """Give each entry of the glossary its anchor."""
    if app.env.docname == GLOSSARY:
        for term, paragraph in entries(document):
            paragraph["ids"].append(term.anchor)


def read_page(page: str, document, terms: list[Term]) -> None:
    """Count the terms in the sections of one page."""
    for section in document.findall(nodes.section):
        parts = [child for child in section.children if not isinstance(child, nodes.section)]
        texts = [
            node
            for part in parts
            for node in part.findall(nodes.Text)
            if not isinstance(node.parent, (nodes.literal, nodes.literal_block, nodes.math, nodes.raw))
        ]
        running = " ".join(" ".join(texts).split())
        bold = {node.astext().lower() for part in parts for node in part.findall(nodes.strong)}
        for term in terms:
            count = len(term.pattern.findall(running))
            if not count:
                continue
            use = term.uses.setdefault(page, Use(page))
            use.count += count
            defines = any(term.pattern.fullmatch(text) for text in bold)
            if not use.anchor or (defines and not use.defines):
                use.anchor = section["ids"][0]
            use.defines = use.defines or defines


def collect(app, env):
    """Find the terms on all pages, once these have been read."""
    if GLOSSARY not in env.found_docs:
        return
    terms = [term for term, _ in entries(env.get_doctree(GLOSSARY))]
    toc = yaml.safe_load((Path(app.srcdir) / "_toc.yml").read_text(encoding="utf-8"))
    for page in toc_pages(toc):
        if page in env.found_docs and page.startswith("notebooks/"):  # the chapters; other pages define nothing
            read_page(page, env.get_doctree(page), terms)
    env.course_terms = {term.name: term for term in terms}


def link(app, start: str, page: str, anchor: str, text: str) -> nodes.reference:
    """A link from the page `start` to a place on another one."""
    target = "" if start == page else app.builder.get_relative_uri(start, page)
    return nodes.reference("", text, internal=True, refuri=f"{target}#{anchor}")


def title(app, page: str) -> str:
    """The title of a page."""
    return app.env.titles[page].astext()


def fill_glossary(app, terms: dict[str, Term], document) -> None:
    """Link each entry to the page that defines it, and to the entries that it names in italics."""
    for term, paragraph in entries(document):
        for emphasis in list(paragraph.findall(nodes.emphasis)):
            other = terms.get(emphasis.astext())
            if other and other.name != term.name:
                reference = link(app, GLOSSARY, GLOSSARY, other.anchor, "")
                emphasis.replace_self(reference)
                reference += emphasis
        uses = terms[term.name].pages()
        if uses:
            home = next((use for use in uses if use.defines), uses[0])
            where = nodes.inline("", " In ", classes=["defined-on"])
            where += link(app, GLOSSARY, home.page, home.anchor, title(app, home.page))
            where += nodes.Text(".")
            paragraph += where


def fill_index(app, terms: dict[str, Term], document) -> None:
    """Append the terms to the page, letter by letter."""
    home = nodes.container(classes=["term-index"])
    letter, items = "", None
    for term in sorted(terms.values(), key=lambda term: (term.name.lower(), term.name)):
        first = term.name[0].upper() if term.name[0].isalpha() else "0–9"
        if first != letter:
            letter, items = first, nodes.bullet_list()
            home += [nodes.rubric("", letter), items]
        paragraph = nodes.paragraph("", "", link(app, INDEX, GLOSSARY, term.anchor, term.name))
        for number, use in enumerate(term.pages()):
            paragraph += nodes.Text(", " if number else ": ")
            reference = link(app, INDEX, use.page, use.anchor, title(app, use.page))
            paragraph += nodes.strong("", "", reference) if use.defines else reference
        items += nodes.list_item("", paragraph)
    document.next_node(nodes.section).append(home)


def fill(app, document, docname):
    """Write what depends on all pages into the two that show it."""
    terms = getattr(app.env, "course_terms", {})
    if docname == GLOSSARY:
        fill_glossary(app, terms, document)
    elif docname == INDEX:
        fill_index(app, terms, document)


def setup(app):
    """Connect to Sphinx."""
    app.connect("doctree-read", mark_entries)
    app.connect("env-updated", collect)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
