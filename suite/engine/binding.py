"""Thread binding: while a clock runs, the caller and OpenMP's threads have a processor each."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from suite.machine.cpu import processors_by_core

OF_THE_USER = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
"""Variables by which threads are bound otherwise, or are not to be."""


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the suite binds threads: on Linux, unless the user has said how they are to be bound."""
    return sys.platform == "linux" and not any(environ.get(name) for name in OF_THE_USER)


class Binding:
    """The processors this process may use; the first of them is the caller's, the others are the pool's.

    Left to itself, a kernel may wake a sleeping thread on the processor of the one that waits for it, and
    leave it there for a whole turn: the same lookup then takes many times as long in one turn as in the next
    (tests/tools/two_speeds.py). OpenMP's own binding would hold the caller where it is between turns too,
    and what other libraries start then stays there with it.

    Args:
        processors: to be given out, in order; none: threads are left alone.
    """

    def __init__(self, processors: tuple[int, ...]) -> None:
        self.processors = processors

    @contextmanager
    def caller(self) -> Iterator[None]:
        """The calling thread on its processor, and then on any again."""
        _bind(self.processors[:1])
        try:
            yield
        finally:
            _bind(self.processors)

    def pool(self) -> None:
        """Give each thread of torch's OpenMP its processor; it is torch's that the backends use."""
        torch = sys.modules.get("torch")
        if torch is None or len(self.processors) < 2:
            return
        library = ctypes.CDLL(str(torch._C.__file__))
        others = self.processors[1:]

        def bind(_: object) -> None:
            number = library.omp_get_thread_num()
            if number:
                _bind((others[(number - 1) % len(others)],))

        with suppress(AttributeError):  # of another OpenMP than GNU's
            library.GOMP_parallel(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(bind), None, 0, 0)


@functools.cache
def of_this_process() -> Binding:
    """The binding of the process, by what it may use when this is first asked."""
    return Binding(processors_by_core() if wanted(os.environ) else ())


@contextmanager
def kept() -> Iterator[None]:
    """Give every thread of this process back the processors it may use, and new ones those of the caller."""
    before, own = {thread: _processors(thread) for thread in _threads()}, _processors(0)
    try:
        yield
    finally:
        for thread in _threads():
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(thread, before.get(thread, own) or own)


def _threads() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/task")]  # noqa: PTH208 - names only
    except OSError:  # where /proc is not mounted
        return []


def _processors(thread: int) -> set[int]:
    try:
        return os.sched_getaffinity(thread)
    except OSError:
        return set()


def _bind(processors: tuple[int, ...]) -> None:
    if processors:
        with suppress(OSError):  # what the process may use has changed
            os.sched_setaffinity(0, processors)
