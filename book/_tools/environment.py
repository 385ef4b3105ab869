"""Make `.venv` and install the course into it: the set-up step of every make target.

Runs on the interpreter that the environment shall have, before anything is installed: standard library only. It must
also start on Pythons that the course doesn't support, to be able to say so.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "ready"
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
D2L = "d2l==1.0.3"
EXTRAS = "book,attribution,cluster,search,test,dev"


def supported_versions(root=ROOT):
    """Return the minor versions of Python 3 that `requires-python` allows."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    lowest, above = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text).groups()
    return range(int(lowest), int(above))


def require(version):
    """Stop with what to do unless the course supports this version, (major, minor)."""
    minors = supported_versions()
    if version[0] != 3 or version[1] not in minors:
        sys.exit(
            f"set-up stopped: this is Python {version[0]}.{version[1]} and the course needs 3.{minors[0]} to "
            f"3.{minors[-1]}; name another, as in PYTHON=python3.{minors[-1]} make book."
        )


def run(*arguments, advice):
    """Run one command in the repository's root; `advice` is what to do if it fails."""
    print("set-up:", *arguments, flush=True)
    if subprocess.call([str(argument) for argument in arguments], cwd=str(ROOT)):
        sys.exit(f"\nset-up stopped: {advice}")


def runs_on(version):
    """Tell whether `.venv` works and has this version of Python."""
    try:
        code = "import sys; print(*sys.version_info[:2])"
        return subprocess.check_output([str(PYTHON), "-c", code]).split() == [b"%d" % number for number in version]
    except (OSError, subprocess.CalledProcessError):
        return False


def main():
    """Bring `.venv` up to date, or make it anew where it has another Python."""
    version = sys.version_info[:2]
    require(version)
    if VENV.exists() and not runs_on(version):
        print(f"set-up: .venv is not a working Python {version[0]}.{version[1]}; making it anew", flush=True)
        shutil.rmtree(str(VENV))
    if STAMP.exists():
        STAMP.unlink()  # until the last step has succeeded, the set-up is not done
    if not VENV.exists():
        run(
            sys.executable,
            "-m",
            "venv",
            VENV,
            advice="install Python's venv module (Debian: apt install python3-venv).",
        )
    advice = "pip says why above; check the network, the proxy and the disk (8 GB free), then run the same again."
    pip = (PYTHON, "-m", "pip", "install")
    run(*pip, "--constraint", "constraints.txt", "--editable", f".[{EXTRAS}]", advice=advice)
    # d2l pins a numpy that no Python above 3.11 can build, and works with the current one.
    run(*pip, "--no-deps", D2L, advice=advice)
    STAMP.write_text(f"{version[0]}.{version[1]}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
