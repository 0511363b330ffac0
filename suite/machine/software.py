"""Versions of the distributions in use, of the C library and of the suite itself."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from suite.machine.procfs import printable
from suite.records.record import Fact

PACKAGES = (
    "numpy",
    "torch",
    "numba",
    "llvmlite",
    "numba-cuda",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "triton",
    "jax",
    "nvidia-ml-py",
    "pandas",
    "psutil",
)
"""Distributions whose versions are always recorded; null for those not installed."""

_HERE = Path(__file__).resolve().parents[2]
_GIT_LIMIT_S = 5


def versions(packages: Iterable[str]) -> dict[str, Fact]:
    """Versions of PACKAGES and of ``packages`` from their metadata; imports none of them."""
    names = [name for alternatives in packages for name in alternatives.split("|")]
    normal = {re.sub(r"[-_.]+", "-", name.strip()).lower() for name in (*PACKAGES, *names)}
    return {name: _version(name) for name in sorted(normal) if name}


def _version(name: str) -> str | None:
    try:
        return printable(str(metadata.version(name)))
    except (metadata.PackageNotFoundError, KeyError, OSError, ValueError):
        return None


def checkout(place: Path = _HERE) -> tuple[str, bool | None]:
    """The git commit the suite runs from, and whether its code was changed since.

    ``("unknown", None)`` if the suite is installed, even inside another project's checkout.
    """
    top = _git(place, "rev-parse", "--show-toplevel", "HEAD").split("\n")
    if len(top) != 2 or not re.fullmatch(r"[0-9a-f]{40,64}", top[1]) or Path(top[0]).resolve() != place:
        return "unknown", None
    try:
        changed = _run_git(place, "status", "--porcelain", "--", "suite", "backends", "pyproject.toml")
    except (OSError, subprocess.SubprocessError):
        return top[1], None
    return top[1], bool(changed)


def _git(place: Path, *words: str) -> str:
    try:
        return _run_git(place, *words)
    except (OSError, subprocess.SubprocessError):
        return ""


def _run_git(place: Path, *words: str) -> str:
    # Variables such as GIT_DIR would point git to another checkout. Its index is not refreshed.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    process = subprocess.run(
        ["git", *words],
        cwd=place,
        env={**environ, "GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_GIT_LIMIT_S,
        check=True,
    )
    return process.stdout.decode(errors="replace").strip()


def libc() -> str | None:
    """The C library and its version."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):  # not glibc
        return printable(" ".join(platform.libc_ver(sys.executable)))
