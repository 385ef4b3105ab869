"""Sphinx extension that mends what the theme and its parts get wrong on every page of the book."""

import re
from pathlib import Path

# pattern -> replacement in each written page, with the reason
MENDS = {
    # Icons come from the theme's web fonts already; this is the same set again, as 1.5 MB of JavaScript.
    r'\s*<!-- So that users can add custom icons -->\s*<script defer src="[^"]*fontawesome\.js[^"]*"></script>': "",
    # A label that differs from the words on the button leaves those who steer by voice without a name to say.
    r'(<button class="btn search-button-field[^>]*?) aria-label="Search"': r"\1",
    r'<summary aria-label="Toggle hidden content">': "<summary>",
    r'(<i class="theme-switch [^>]*?) title="[^"]*"': r'\1 aria-hidden="true"',
    # A list whose children are not list items is announced as an empty one.
    r'<div role="list" class="citation-list">': '<div class="citation-list">',
}

# page -> styles and scripts that it needs beside those of all pages
FILES = {
    "book/quizzes": ("quiz.css", "quiz.js"),
    "book/stepper": ("stepper.css", "lenet.js", "stepper.js"),
}


def know_citations(app, env):
    """Let a link name a single work, ``../book/references.md#lecun1998gradient``, as if it were a heading."""
    domain = env.get_domain("cite")
    for citation in domain.citations:
        docname = citation.bibliography_key.docname
        slugs = env.metadata[docname].setdefault("myst_slugs", {})
        slugs[citation.citation_id] = (0, citation.citation_id, citation.key)


def add_files(app, pagename, templatename, context, doctree):
    """Let the pages with something to operate fetch what operates it."""
    for name in FILES.get(pagename, ()):
        if name.endswith(".css"):
            app.add_css_file(name)
        else:
            app.add_js_file(name, defer="defer")


# Jupyter Book's own has no language, no title and no icon.
FRONT_DOOR = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={first}">
<link rel="icon" href="_static/{icon}">
<title>{title}</title>
</head>
<body><p><a href="{first}">{title}</a></p></body>
</html>
"""


def mend(html):
    """Return the page's HTML with every mend made."""
    for pattern, replacement in MENDS.items():
        html = re.sub(pattern, replacement, html)
    return html


def mend_pages(app, exception):
    """Rewrite the pages once all are written."""
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            page.write_text(mend(page.read_text(encoding="utf-8")), encoding="utf-8")
        if app.builder.name == "html":
            first = app.builder.get_target_uri(app.config.root_doc)
            icon = Path(app.config.html_favicon).name
            door = FRONT_DOOR.format(first=first, icon=icon, title=app.config.html_title)
            (Path(app.outdir) / "index.html").write_text(door, encoding="utf-8")


def setup(app):
    """Connect to Sphinx."""
    app.connect("env-updated", know_citations)
    app.connect("html-page-context", add_files)
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
