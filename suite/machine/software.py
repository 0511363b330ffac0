"""Versions of the distributions in use, of the C library and of the suite itself."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
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

SHOWING = ("report", "compare", "claims", "doctor", "ranks")
"""Rooms of the suite on which no measurement of a run depends."""
_HERE = Path(__file__).resolve().parents[2]
_GIT_LIMIT_S = 5
COMMIT_VARIABLE, COMMIT_FILE = "EMBEDDING_LOOKUP_COMMIT", ".commit"
"""Where git can't say it a commit may be given by this variable, or by this file at the top of the tree."""
_CODE = (
    "suite",
    "backends",
    "pyproject.toml",
    "tests/conftest.py",
    "tests/support",
    "tests/run/test_benchmarks.py",
)
"""What measures, and what is measured."""


def code_digest(place: Path = _HERE) -> str:
    """What tells the code that measures from any other, committed or not; backends have digests of their own.

    Raises:
        OSError: a file of it can't be read.
    """
    found = hashlib.sha256()
    inside = [
        file for file in (place / "suite").rglob("*.py") if file.relative_to(place).parts[1] not in SHOWING
    ]
    for file in sorted([*inside, place / "backends/__init__.py", place / "backends/base.py"]):
        found.update(f"{file.relative_to(place)}\n".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]


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

    ``("unknown", None)`` if the suite is installed, even inside another project's checkout, or if git can't
    say; ``why_unknown`` has the reason. No setting of the user's hides a change.
    """
    try:
        commit = _commit(place)
    except _NoCommitError:
        return "unknown", None
    try:
        edited = _run_git(place, "diff", "--name-only", "--no-ext-diff", "HEAD", "--", *_CODE)
        new = _run_git(place, "ls-files", "--others", "--exclude-per-directory=.gitignore", "--", *_CODE)
    except (OSError, subprocess.SubprocessError):
        return commit, None
    return commit, bool(edited or new)


def given_commit(place: Path = _HERE, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """The commit that a tree copied without its ``.git`` is said to be of, and what says so; None if nothing.

    A word that is no whole hash is as good as none.
    """
    try:
        lines = (place / COMMIT_FILE).read_text(encoding="ascii")[:200]
    except (OSError, ValueError):
        lines = ""
    for word, source in ((environ.get(COMMIT_VARIABLE, ""), COMMIT_VARIABLE), (lines, COMMIT_FILE)):
        if re.fullmatch(r"[0-9a-f]{40,64}", word.strip()):
            return word.strip(), source
    return None


def why_unknown(place: Path = _HERE) -> str | None:
    """Why there is no commit, in some words; None if there is one."""
    try:
        _commit(place)
    except _NoCommitError as error:
        return str(error)
    return None


class _NoCommitError(Exception):
    """Why there is no commit."""


def _commit(place: Path) -> str:
    if not (place / ".git").exists():
        raise _NoCommitError("the suite does not run from a checkout")
    try:
        top = _run_git(place, "rev-parse", "--show-toplevel", "HEAD").split("\n")
    except FileNotFoundError:
        raise _NoCommitError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        fatal = re.search("^fatal: (.*)", error.stderr.decode(errors="replace"), re.MULTILINE)
        why = printable(fatal[1] if fatal else "") or "no reason given"
        raise _NoCommitError(f"git refuses the checkout, {why}") from None
    except subprocess.TimeoutExpired:
        raise _NoCommitError(f"git did not answer within {_GIT_LIMIT_S} s") from None
    except OSError as error:
        raise _NoCommitError(f"git can't be run, {error.strerror}") from None
    if len(top) != 2 or not re.fullmatch(r"[0-9a-f]{40,64}", top[1]) or Path(top[0]).resolve() != place:
        raise _NoCommitError("the suite does not run from the top of a checkout")
    return top[1]


def _run_git(place: Path, *words: str) -> str:
    # GIT_DIR and its like would point to another checkout; GIT_CONFIG_* may be what lets git read this one.
    environ = {key: value for key, value in os.environ.items() if not re.match("GIT_(?!CONFIG_)", key)}
    settings = ("core.fsmonitor=false", "core.quotePath=true", "diff.ignoreSubmodules=none")
    process = subprocess.run(
        ["git", *(word for setting in settings for word in ("-c", setting)), *words],
        cwd=place,
        env={**environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
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
