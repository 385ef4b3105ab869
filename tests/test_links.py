"""The check of external links, against a server of our own on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import links
import nbformat
import pytest
from conftest import ROOT


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: /404 with 404, and /get-only with 405 to HEAD."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012

    def answer(self) -> None:
        self.asked.append((self.command, self.path))
        code = int(self.path.strip("/")) if self.path.strip("/").isdigit() else 200
        if self.path == "/get-only" and self.command == "HEAD":
            code = 405
        self.send_response(code)
        if self.path == "/302":
            self.send_header("Location", "/404")
        self.end_headers()

    do_HEAD = do_GET = answer

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture(scope="module")
def server():
    """Address of a running server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def nowhere() -> str:
    """Address of a server that has been shut down."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        return f"http://127.0.0.1:{httpd.server_port}/"


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/here", "ok"),
        ("/get-only", "ok"),
        ("/404", "broken"),
        ("/410", "broken"),
        ("/403", "refused"),
        ("/503", "refused"),
    ],
)
def test_outcomes(server, path, outcome) -> None:
    answer = links.ask(server + path, timeout=5)
    assert answer.outcome == outcome
    assert bool(answer.reason) == (outcome != "ok")


def test_a_page_is_fetched_only_where_head_is_refused(server) -> None:
    Handler.asked.clear()
    links.ask(f"{server}/here", timeout=5)
    links.ask(f"{server}/get-only", timeout=5)
    assert Handler.asked == [("HEAD", "/here"), ("HEAD", "/get-only"), ("GET", "/get-only")]


def test_a_resolver_is_asked_and_the_publisher_is_not(server, monkeypatch) -> None:
    assert links.ask(f"{server}/302", timeout=5).outcome == "broken"
    monkeypatch.setattr(links, "RESOLVERS", {server.removeprefix("http://")})
    assert links.ask(f"{server}/302", timeout=5).outcome == "ok"
    assert links.ask(f"{server}/404", timeout=5).outcome == "broken"


def test_no_server_no_answer(nowhere) -> None:
    answer = links.ask(nowhere, timeout=5)
    assert answer.outcome == "no answer"
    assert "refused" in answer.reason.lower()


def test_a_silent_host_is_asked_once(monkeypatch) -> None:
    asked = []

    def ask(address, timeout):
        asked.append(address)
        return links.Answer(address, "no answer" if "silent" in address else "ok", "timed out")

    monkeypatch.setattr(links, "ask", ask)
    answers = links.ask_all(["http://silent/a", "http://other/b", "http://silent/c"])
    assert sorted(asked) == ["http://other/b", "http://silent/a"]
    assert [answer.outcome for answer in answers] == ["no answer", "no answer", "ok"]


def page(root, text: str):
    (root / "README.md").write_text(text)
    return root


def test_broken_links_are_named_with_their_page(server, tmp_path, capsys) -> None:
    assert links.main(page(tmp_path, f"[a]({server}/here) [b]({server}/404)")) == 1
    out = capsys.readouterr().out
    assert f"broken     {server}/404  (404 Not Found; in README.md)" in out
    assert "links: 2 addresses: 1 ok, 1 broken, 0 no answer, 0 refused" in out


def test_all_is_well(server, tmp_path) -> None:
    assert links.main(page(tmp_path, f"<{server}/here>")) == 0


def test_without_a_network_it_says_that_nothing_was_checked(nowhere, tmp_path, capsys) -> None:
    assert links.main(page(tmp_path, f"[a]({nowhere}x)")) == 3
    assert "nothing could be checked: none of 1 hosts answered" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[x](https://a.example/b).", {"https://a.example/b"}),
        ("<https://a.example/b>, and", {"https://a.example/b"}),
        ("(see https://a.example/b_(c))", {"https://a.example/b_(c)"}),
        ("https://a.example/b#part;", {"https://a.example/b"}),
        ("[x](../book/a.md)", set()),
    ],
)
def test_addresses_are_found_in_text(text, found) -> None:
    assert links.addresses(text) == found


def test_addresses_of_notebooks_and_bibliography(tmp_path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book").mkdir()
    cells = [nbformat.v4.new_markdown_cell("<https://a.example>"), nbformat.v4.new_code_cell("'https://code.example'")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_x.ipynb")
    (tmp_path / "book" / "references.bib").write_text(
        "@article{x,\n doi = {10.1/ab(c)},\n url = {https://b.example/p}}"
    )
    page(tmp_path, "https://github.com/OWNER/convolutional-networks-measured, `https://example.org/in-code`")
    assert links.collect(tmp_path) == {
        "https://a.example": ["notebooks/01_x.ipynb"],
        "https://b.example/p": ["book/references.bib"],
        "https://doi.org/10.1/ab(c)": ["book/references.bib"],
    }


def test_the_course_has_links_to_check() -> None:
    named = links.collect(ROOT)
    assert len(named) > 10
    assert any("references.bib" in file for files in named.values() for file in files)
