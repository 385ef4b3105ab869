"""The machines that `colab_check` pretends to have from Google.

One environment has Colab's packages. Any number of new ones on top of it cost next to nothing.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from course_utils import sources

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(__file__).with_name("colab_stub.py")
PYTHON = "3.13"
# Colab's newest runtime known to us. pandas 2.2.2, which it has, was never built for Python 3.13 by its makers.
COLAB = {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "numpy": "2.1.3",
    "pandas": "2.2.3",
    "scipy": "1.16.3",
    "matplotlib": "3.10.0",
    "pillow": "11.3.0",
    "scikit-learn": "1.6.1",
    "scikit-image": "0.25.2",
}
ALSO = ("opencv-python-headless", "tqdm", "requests", "ipykernel")  # in whatever version fits


def cache() -> Path:
    """Return the folder that keeps what runs share: ``COURSE_COLAB_DIR``, else one in the user's cache."""
    return Path(os.environ.get("COURSE_COLAB_DIR") or sources.cache_root().parent / "colab").expanduser()


def version_of(python: str) -> str | None:
    """Major and minor version of an interpreter, or None if it doesn't run."""
    try:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def find_python() -> str:
    """Return Colab's Python where this machine has it, else the one that runs this; ``COLAB_PYTHON`` names another."""
    if asked := os.environ.get("COLAB_PYTHON"):
        if version_of(asked) is None:
            raise ValueError(f"COLAB_PYTHON={asked} does not run here; name a Python {PYTHON}")
        return asked
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (f"python{PYTHON}", *map(str, sorted(pyenv.glob(f"{PYTHON}.*/bin/python")))):
        if version_of(candidate) == PYTHON:
            return candidate
    print(f"colab-check: no Python {PYTHON} here; going on with {platform.python_version()}, which Colab doesn't have")
    return sys.executable


def site_packages(environment: Path) -> Path:
    """Return the folder into which an environment's packages are installed."""
    return next(environment.glob("lib/python*/site-packages"), environment / "Lib" / "site-packages")


def interpreter(environment: Path) -> Path:
    """Return an environment's Python."""
    return environment / ("Scripts" if os.name == "nt" else "bin") / "python"


def base_environment(python: str) -> Path:
    """Make the environment with Colab's packages, unless it is there.

    Raises
    ------
    RuntimeError
        If it can't be made; pip has said why.
    ValueError
        If it would lie in the repository.
    """
    folder = cache() / f"python{version_of(python)}"
    if folder.resolve().is_relative_to(ROOT):
        raise ValueError(
            f"{folder} is in the repository, which a notebook may not read; set COURSE_COLAB_DIR elsewhere"
        )
    wanted = [f"{name}=={version}" for name, version in COLAB.items()] + list(ALSO)
    stamp = folder / "ready"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == "\n".join(wanted):
        return folder
    print(f"colab-check: making {folder} (once; about 7 GB, most of it PyTorch's GPU libraries)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", *wanted]
    for command in ([python, "-m", "venv", str(folder)], [str(interpreter(folder)), *install]):
        if subprocess.run(command).returncode:
            raise RuntimeError(f"Colab's packages could not be installed into {folder}; the lines above say why")
    stamp.write_text("\n".join(wanted), encoding="utf-8")
    return folder


def new_machine(base: Path, folder: Path) -> Path:
    """Make an environment that sees the packages of `base` and takes new ones into itself; return its Python."""
    subprocess.run([str(interpreter(base)), "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = site_packages(folder)
    (packages / "0_base.pth").write_text(f"{site_packages(base)}\n", encoding="utf-8")
    (packages / "1_colab.pth").write_text("import colab_stub\n", encoding="utf-8")
    shutil.copy(STUB, packages)
    return interpreter(folder)


def kernel_environment(home: Path, forbidden: Path, data: Path) -> dict[str, str]:
    """Environment variables of a new machine: nothing of the course, an empty home, and what may not be opened."""
    dropped = ("COURSE_", "IPYTHON", "JUPYTER", "PYTHON", "VIRTUAL_ENV", "MPL")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(dropped) and (name == "PATH" or str(ROOT) not in value)
    }
    return kept | {
        "HOME": str(home),
        "COURSE_DATA_DIR": str(data),
        "COLAB_CHECK_FORBIDDEN": str(forbidden),
        "MPLCONFIGDIR": str(cache() / "matplotlib"),
        "PIP_CACHE_DIR": str(cache() / "pip"),
    }
