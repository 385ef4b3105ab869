"""Ask the web whether what the course links to is still there: ``python book/_tools/links.py`` (or ``make links``).

Links inside the book are checked by the tests, without a network. These are the others: of the notebooks, the pages,
the README and its neighbors, and the bibliography, with its DOIs. Each address is asked once, without its contents
(HEAD), and with them (GET) where a server refuses that. A DOI is asked of doi.org alone: what it leads to are
publishers, most of whom send programs away.

Exit status: 0 when none is broken, 1 when some are, 3 when nothing could be asked, as without a network.
"""

import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

import nbformat

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("*.md", "book/*.md", "notebooks/*.ipynb", "book/references.bib")
ADDRESS = re.compile(r"""https?://[^\s<>"'`{}|\\^\]]+""")
DOI = re.compile(r"""\bdoi\s*=\s*[{"]\s*(10\.\d+/[^}"\s]+)""", re.IGNORECASE)
PLACEHOLDER = "github.com/OWNER/"  # the repository's address before `make repository` has written it
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
RESOLVERS = {"doi.org"}  # their word is enough: a redirection means that the work is known
HEADERS = {"User-Agent": "Mozilla/5.0 (link check of a course's maintainers)"}
GONE = (404, 410)
ASK_AGAIN = (400, 403, 405, 406, 429, 500, 501, 503)  # servers answer HEAD with any of these and GET with the page
TIMEOUT = 20.0
AT_ONCE = 8


@dataclass(frozen=True)
class Answer:
    """What became of one address: 'ok', 'broken', 'refused' (the server won't say) or 'no answer'."""

    address: str
    outcome: str
    reason: str = ""


class Stay(HTTPRedirectHandler):
    """Follows no redirection."""

    def redirect_request(self, *arguments):
        """Decline, so that the redirection comes back as an `HTTPError`."""
        return None


def addresses(text: str) -> set[str]:
    """Return the web addresses in a text, without the punctuation that follows them."""
    found = set()
    for address in ADDRESS.findall(text):
        address = address.rstrip(".,;:!?*_")
        while address.endswith(")") and address.count("(") < address.count(")"):
            address = address[:-1].rstrip(".,;:!?*_")
        found.add(address.partition("#")[0])
    return found


def collect(root: Path = ROOT) -> dict[str, list[str]]:
    """Return each address with the files that name it, in order; code and placeholders are left out."""
    named: dict[str, list[str]] = {}
    for path in (path for pattern in PAGES for path in sorted(root.glob(pattern))):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = nbformat.reads(text, as_version=4).cells
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        if path.suffix != ".bib":
            text = CODE.sub("", text)
        found = addresses(text) | {f"https://doi.org/{doi}" for doi in DOI.findall(text) if path.suffix == ".bib"}
        for address in sorted(found):
            if PLACEHOLDER not in address and "/github/OWNER/" not in address:
                named.setdefault(address, []).append(path.relative_to(root).as_posix())
    return dict(sorted(named.items()))


def ask(address: str, timeout: float = TIMEOUT) -> Answer:
    """Ask for one address, at most twice."""
    resolver = urlsplit(address).netloc in RESOLVERS
    open_address = build_opener(Stay).open if resolver else urlopen
    for method in ("HEAD", "GET"):
        try:
            with open_address(Request(address, headers=HEADERS, method=method), timeout=timeout):
                return Answer(address, "ok")
        except HTTPError as error:
            if resolver and 300 <= error.code < 400:
                return Answer(address, "ok")
            if method == "HEAD" and error.code in (*ASK_AGAIN, *GONE):
                continue
            outcome = "broken" if error.code in GONE else "refused"
            return Answer(address, outcome, f"{error.code} {error.reason}")
        except URLError as error:
            return Answer(address, "no answer", str(error.reason))
        except (OSError, HTTPException, ValueError) as error:
            return Answer(address, "no answer", str(error) or type(error).__name__)
    raise AssertionError("unreachable")


def ask_all(named: Iterable[str], timeout: float = TIMEOUT) -> list[Answer]:
    """Ask for all addresses, a few at once; where a host doesn't answer at all, its other addresses aren't asked."""
    by_host: dict[str, list[str]] = {}
    for address in named:
        by_host.setdefault(urlsplit(address).netloc, []).append(address)

    def ask_host(its: list[str]) -> list[Answer]:
        answers = []
        for address in its:
            silent = answers and answers[-1].outcome == "no answer"
            answers.append(Answer(address, "no answer", answers[-1].reason) if silent else ask(address, timeout))
        return answers

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [answer for answers in pool.map(ask_host, by_host.values()) for answer in answers]


def report(answers: list[Answer], named: dict[str, list[str]]) -> tuple[str, int]:
    """Return what to print, and the exit status."""
    if answers and all(answer.outcome == "no answer" for answer in answers):
        hosts = {urlsplit(answer.address).netloc for answer in answers}
        text = f"links: nothing could be checked: none of {len(hosts)} hosts answered ({answers[0].reason})."
        return f"{text} Is there a network?", 3
    lines = []
    for outcome in ("broken", "no answer", "refused"):
        for answer in (answer for answer in answers if answer.outcome == outcome):
            lines.append(f"{outcome:9}  {answer.address}  ({answer.reason}; in {', '.join(named[answer.address])})")
    counts = [f"{sum(a.outcome == outcome for a in answers)} {outcome}" for outcome in ("ok", "broken")]
    counts += [f"{sum(a.outcome == outcome for a in answers)} {outcome}" for outcome in ("no answer", "refused")]
    lines.append(f"links: {len(answers)} addresses: {', '.join(counts)}")
    return "\n".join(lines), int(any(answer.outcome == "broken" for answer in answers))


def main(root: Path = ROOT) -> int:
    """Check every address of the course."""
    named = collect(root)
    text, status = report(ask_all(named), named)
    print(text, file=sys.stderr if status == 3 else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
