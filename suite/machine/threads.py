"""Number of threads a library may use, where none is asked for: the user's variables, else the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from suite.machine.cgroup import limits
from suite.machine.cpu import allowed_processors
from suite.machine.procfs import ROOT
from suite.machine.variables import THREADS

MOST = 4096


def number_of_threads(environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> int:
    """As many as the variables say, else as there are processors, of the quota's too.

    Raises:
        ValueError: a variable holds no number of threads, or two hold different ones; one line.
    """
    given = {name: environ[name].strip() for name in THREADS if environ.get(name, "").strip()}
    for name, value in given.items():
        if not (value.isascii() and value.isdecimal() and len(value) <= 4 and 1 <= int(value) <= MOST):
            raise ValueError(f"{name}: {value!r} is no number of threads; set it to one, or give --threads")
    if len({int(value) for value in given.values()}) > 1:
        words = ", ".join(f"{name}={value}" for name, value in given.items())
        raise ValueError(f"{words}: not the same number of threads; set them alike, or give --threads")
    if given:
        return int(next(iter(given.values())))
    quota = limits(root).processors
    processors = len(allowed_processors())
    return processors if quota is None else max(1, min(processors, int(quota)))
