"""Number of threads a library may use, where none is asked for, and how many it says that it uses."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from suite.machine.cgroup import limits
from suite.machine.cpu import allowed_processors
from suite.machine.procfs import ROOT
from suite.machine.variables import THREADS
from suite.records.figures import THREADS as FIGURE

if TYPE_CHECKING:
    from suite.records.record import Fact

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


def asked(environ: Mapping[str, str] = os.environ) -> dict[str, Fact]:
    """How many threads this process was started with, as a figure of a record; empty if none were named."""
    given = [environ[name] for name in THREADS if environ.get(name, "").isdecimal()]
    return {f"{FIGURE}asked": int(given[0])} if given else {}


def seen() -> dict[str, Fact]:
    """How many threads the libraries that are loaded here say they use, as figures of a record."""
    found: dict[str, Fact] = {}
    for library, number_of in _LIBRARIES.items():
        with contextlib.suppress(Exception):  # not loaded, not whole, or linked to another
            found[f"{FIGURE}{library}"] = number_of()
    return found


def _of_numba() -> int:
    pool = sys.modules["numba.np.ufunc.parallel"]
    started = pool._is_initialized  # to ask a pool that is not starts it
    return int(pool.get_num_threads() if started else sys.modules["numba"].config.NUMBA_NUM_THREADS)


def _of_linked(module: str, *names: str) -> int:
    """By the first of these functions that there is in what a module is linked to."""
    import ctypes  # here, since --help answers at once

    linked = ctypes.CDLL(str(sys.modules[module].__file__))
    return next(int(getattr(linked, name)()) for name in names if hasattr(linked, name))


_BLAS = ("openblas_get_num_threads", "openblas_get_num_threads64_")
_LIBRARIES: dict[str, Callable[[], int]] = {
    "torch": lambda: int(sys.modules["torch"].get_num_threads()),
    "numba": _of_numba,
    "openmp": lambda: _of_linked("torch._C", "omp_get_max_threads"),
    "blas": lambda: _of_linked(
        "numpy._core._multiarray_umath", *_BLAS, *(f"scipy_{name}" for name in _BLAS), "MKL_Get_Max_Threads"
    ),
}
