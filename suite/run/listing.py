"""List of the backends for ``--list``: what each is and whether it can run here; imports none of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from backends import DTYPES, Choice, Description, choose, describe, names
from backends import missing_packages as missing_here
from suite.run.environments import Facts, facts_of, missing_packages

if TYPE_CHECKING:
    from suite.run.options import Request

_DRIVERS = {"NVIDIA": (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/proc/driver/nvidia"))}
"""Vendor of GPUs to the files of which one is there if its driver is."""


def lines(
    width: int, more: Sequence[Choice] = (), environments: Mapping[str, Facts] | None = None
) -> list[str]:
    """One line a backend, cut to ``width`` columns.

    Args:
        more: further backends, in files of their own.
        environments: what each holds that takes turns; without any, it is asked what is installed here.
    """
    rows = [("backend", "runs on", "dtypes", "here", "what it is")]
    rows += [_row(backend, environments or {}) for backend in described(more)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = []
    for row in rows:
        start = "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=False))
        table.append(f"{start}  {shorten(row[4], max(20, width - len(start) - 2), placeholder=' …')}")
    return table


def described(more: Sequence[Choice]) -> list[Description]:
    """All backends there are, and further ones."""
    return [describe(backend) for backend in (*map(choose, names()), *more)]


def _row(backend: Description, environments: Mapping[str, Facts]) -> tuple[str, str, str, str, str]:
    dtypes = "all" if set(backend.dtypes) >= set(DTYPES) else " ".join(backend.dtypes)
    lacking = {name: missing_packages(backend.packages, facts) for name, facts in environments.items()}
    here = [f"{name}: {_here(backend, missing)}" for name, missing in lacking.items()]
    said = "; ".join(here) or _here(backend, missing_here(backend.packages))
    where = " ".join(backend.devices) or "?"
    where += f" ({' '.join(backend.placements)})" if backend.placements else ""
    return backend.name, where, dtypes, said, backend.summary


def _here(backend: Description, missing: Sequence[str]) -> str:
    """Whether a backend can run on this machine, as far as files show."""
    if missing:
        return f"no: needs {', '.join(missing)}"
    if backend.devices == ("cuda",) and not any(
        file.exists() for files in _DRIVERS.values() for file in files
    ):
        return f"no: no {' or '.join(_DRIVERS)} driver here"
    return "available"


def print_backends(request: Request) -> None:
    """Print the list, as wide as the terminal.

    Raises:
        BadRequest: an environment that was given can't run the suite's workers.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 160
    more = [backend for backend in request.backends if backend.source != backend.name]
    packages = [package for backend in described(more) for package in backend.packages]
    print("\n".join(lines(width, more, facts_of(request, packages))))
