"""``python -m course_utils doctor``: what is installed, what is wrong, and the command that mends it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass

from course_utils import __version__, sources

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "d2l",
    "grad-cam",
    "jupyter-book",
    "nbval",
)
REQUIRED = PACKAGES[: PACKAGES.index("d2l")]
# torchvision is compiled against exactly one torch: its minor version is torch's plus 15.
TORCHVISION_MINOR_OFFSET = 15
TORCHVISION_COMMAND = "pip install --upgrade torch torchvision"
D2L_COMMAND = "pip install --no-deps d2l==1.0.3"
D2L_IMPORTS_COMMAND = "pip install ipython matplotlib-inline pandas requests"  # what d2l itself imports


@dataclass(frozen=True)
class Finding:
    """One line of the report; `command` mends what is wrong and is empty where nothing is."""

    subject: str
    text: str
    command: str = ""

    def __str__(self) -> str:
        mend = f"\n{'':16}mend it: {self.command}" if self.command else ""
        return f"{'!' if self.command else ' '} {self.subject:13} {self.text}{mend}"


def installed_version(package: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_pair(torch_version: str, torchvision_version: str) -> Finding:
    """Whether a torchvision was built for a torch; a mismatch shows as `operator torchvision::nms does not exist`."""
    torch_minor, vision_minor = (int(re.split(r"\D", v)[1]) for v in (torch_version, torchvision_version))
    if int(torch_version.split(".")[0]) == 2 and vision_minor != torch_minor + TORCHVISION_MINOR_OFFSET:
        expected = f"0.{torch_minor + TORCHVISION_MINOR_OFFSET}"
        text = f"torchvision {torchvision_version} does not belong to torch {torch_version}, which needs {expected}"
        return Finding("torchvision", text, TORCHVISION_COMMAND)
    return Finding("torchvision", f"{torchvision_version} belongs to torch {torch_version}")


def check_import(module: str, command: str) -> Finding | None:
    """A finding if the module cannot be imported, with the reason."""
    try:
        importlib.import_module(module)
    except Exception as error:
        return Finding(module, f"cannot be imported ({type(error).__name__}: {error})", command)
    return None


def check_data(name: str) -> Finding:
    """Whether a data set's four files are in the cache and intact."""
    folder = sources.raw_folder(name)
    bad = [f for f, digest in sources.get_origin(name).sha256.items() if not sources.is_intact(folder / f, digest)]
    if not bad:
        return Finding(name, f"complete and verified in {folder}")
    state = "missing or damaged: " + ", ".join(bad)
    return Finding(name, f"{state} (in {folder})", "python -m course_utils data --fetch")


def examine() -> list[Finding]:
    """All findings, in the order of the report."""
    findings = [
        Finding("course_utils", __version__),
        Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    versions = {package: installed_version(package) for package in PACKAGES}
    for package, version in versions.items():
        if package == "torchvision" and version and versions["torch"]:
            findings.append(check_pair(versions["torch"], version))
        elif package == "d2l" and version is None:
            findings.append(Finding("d2l", "not installed; the LeNet page calls it", D2L_COMMAND))
        elif version is None and package in REQUIRED:
            findings.append(Finding(package, "not installed, and required", f"pip install {package}"))
        else:
            findings.append(Finding(package, version or "not installed (optional)"))
    broken = list(filter(None, [check_import(module, TORCHVISION_COMMAND) for module in ("torch", "torchvision")]))
    findings += broken
    if versions["d2l"]:
        findings += filter(None, [check_import("d2l.torch", D2L_IMPORTS_COMMAND)])

    if not any(finding.subject == "torch" for finding in broken):
        from course_utils import device  # here, so that a broken torch is reported and not raised

        findings.append(Finding("device", device.describe_device()))
    findings.append(Finding("processors", f"{os.cpu_count()} seen"))
    free = _free_memory()
    if free is not None:
        low = free < 1.5e9
        findings.append(
            Finding("free memory", f"{free / 1e9:.1f} GB", "close other programs; a training run needs 1.2 GB" * low)
        )
    findings.append(Finding("free disk", f"{shutil.disk_usage(os.getcwd()).free / 1e9:.1f} GB"))
    findings += [check_data(name) for name in sources.ORIGINS]
    return findings


def _free_memory() -> float | None:
    """Bytes that can be had without swapping, where the system says so."""
    if sys.platform.startswith("linux"):
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return float(line.split()[1]) * 1024
    return None
