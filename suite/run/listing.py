"""``--list``: every backend, what it says of itself, and whether it can run here; imports none of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from backends import DTYPES, Description, describe, missing_packages, names

_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/proc/driver/nvidia"))


def lines(width: int, more: Sequence[str] = ()) -> list[str]:
    """One line a backend, cut to the width of a terminal; ``more`` are paths of further backends' files."""
    rows = [("backend", "runs on", "dtypes", "here", "what it is")]
    rows += [_row(describe(which)) for which in (*names(), *more)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    made = []
    for row in rows:
        start = "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=False))
        made.append(f"{start}  {shorten(row[4], max(20, width - len(start) - 2), placeholder=' …')}")
    return made


def _row(one: Description) -> tuple[str, str, str, str, str]:
    missing = missing_packages(one.packages)
    here = "available"
    if missing:
        here = f"no: needs {', '.join(missing)}"
    elif one.devices == ("cuda",) and not any(map(Path.exists, _DRIVERS)):
        here = "no: no NVIDIA driver here"
    dtypes = "all" if set(one.dtypes) >= set(DTYPES) else " ".join(one.dtypes)
    return one.name, " ".join(one.devices) or "?", dtypes, here, one.summary


def print_backends(more: Sequence[str] = ()) -> None:
    """Print them."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 160
    print("\n".join(lines(width, more)))
