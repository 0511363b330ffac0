"""List of the backends for ``--list``: what each is and whether it can run here; imports none of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from backends import DTYPES, Description, describe, missing_packages, names

_DRIVERS = {"NVIDIA": (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/proc/driver/nvidia"))}
"""Vendor of GPUs to the files of which one is there if its driver is."""


def lines(width: int, more: Sequence[str] = ()) -> list[str]:
    """One line a backend, cut to ``width`` columns.

    Args:
        more: paths to the files of further backends.
    """
    rows = [("backend", "runs on", "dtypes", "here", "what it is")]
    rows += [_row(describe(backend)) for backend in (*names(), *more)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = []
    for row in rows:
        start = "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=False))
        table.append(f"{start}  {shorten(row[4], max(20, width - len(start) - 2), placeholder=' …')}")
    return table


def _row(backend: Description) -> tuple[str, str, str, str, str]:
    dtypes = "all" if set(backend.dtypes) >= set(DTYPES) else " ".join(backend.dtypes)
    return backend.name, " ".join(backend.devices) or "?", dtypes, _here(backend), backend.summary


def _here(backend: Description) -> str:
    """Whether a backend can run on this machine, as far as files show."""
    if missing := missing_packages(backend.packages):
        return f"no: needs {', '.join(missing)}"
    if backend.devices == ("cuda",) and not any(
        file.exists() for files in _DRIVERS.values() for file in files
    ):
        return f"no: no {' or '.join(_DRIVERS)} driver here"
    return "available"


def print_backends(more: Sequence[str] = ()) -> None:
    """Print the list, as wide as the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 160
    print("\n".join(lines(width, more)))
