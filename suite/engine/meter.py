"""The meter: at what speed the processor runs now, by a fixed piece of work, compiled, in registers only."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from ctypes import CDLL, CFUNCTYPE, addressof, c_int64, c_uint, c_void_p
from dataclasses import dataclass
from time import perf_counter_ns  # bound before any backend could put another in its place
from typing import Any

METER_NS = 5_000_000
"""So long after a reading, the next one is due between two samples of a turn."""
STEPS = 10_000
"""Of the work: some 15 µs, which is long beside the clock and short beside a turn."""
RUNS = 3
"""Timed for a reading, which is the least of them: an interrupt is no speed."""
CHAINS = (1, 2, 3, 5, 7, 11, 13, 17)
"""What each chain of operations begins with. Eight that do not wait for each other keep every unit of a
processor busy, so that a neighbour on its other hardware thread shows; one alone leaves it room."""
RESULT = -79_976
"""What the work comes to: the sum of the chains' ends."""


class MeterChanged(RuntimeError):
    """The work came to something else than ever before, so that its time says nothing."""


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads the speed of the processors that it runs on.

    Attributes:
        read: seconds that the work takes. Raises MeterChanged.
        threads: how many threads do it, each the whole of it, at once.
    """

    read: Callable[[], float]
    threads: int


def meter_of(threaded: bool) -> Meter | None:
    """The meter of this process on the calling thread, or on all of torch's OpenMP threads.

    Of threads it is the caller's where torch is not loaded or its OpenMP is not GNU's; it is None without
    Numba's compiler. To be asked first before any backend is loaded, for that is when it is made.
    """
    return (_of_the_pool() if threaded else None) or _of_the_caller()


@functools.cache
def _of_the_caller() -> Meter | None:
    address = _compiled()
    return _meter(CFUNCTYPE(None, c_void_p)(address), 1) if address else None


def _of_the_pool() -> Meter | None:
    torch = sys.modules.get("torch")
    return _of_library(str(torch._C.__file__)) if torch is not None else None


@functools.cache
def _of_library(path: str) -> Meter | None:
    address, library = _compiled(), CDLL(path)
    try:
        parallel, most = library.GOMP_parallel, library.omp_get_max_threads
    except AttributeError:
        return None
    parallel.argtypes, parallel.restype = (c_void_p, c_void_p, c_uint, c_uint), None
    return _meter(lambda cell: parallel(address, cell, 0, 0), most()) if address else None


def _meter(work: Callable[[int], Any], threads: int) -> Meter | None:
    """A meter, if the work comes to what it should. What it needs is its own: names of modules may change."""
    now, runs, changed, cell = perf_counter_ns, RUNS, MeterChanged, c_int64()
    at, wanted = addressof(cell), (1 + runs) * threads * RESULT

    def read() -> float:
        cell.value, least = 0, 1 << 62
        work(at)  # not timed: the threads wake up, the code comes into the caches
        for _ in range(runs):
            began = now()
            work(at)
            least = min(least, now() - began)
        if cell.value != wanted:
            raise changed("the meter's work came to another result: its memory or its threads were changed")
        return least * 1e-9

    try:
        read()
    except MeterChanged:
        return None
    return Meter(read, threads)


@functools.cache
def _compiled() -> Any:
    """The address of the work, ``void(int64 *)``, which adds its result to what it is given; or None.

    Written in LLVM's own language, since Numba takes ten times as long to be imported and would rewrite it.
    """
    try:
        import llvmlite.binding as llvm
    except Exception:  # of whatever kind: it can't be loaded
        return None
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
    try:
        module = llvm.parse_assembly(_source(), context=llvm.create_context())
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
    except RuntimeError:
        return None
    _kept.append(engine)
    return engine.get_function_address("work")


_kept: list[Any] = []
"""The compiled code goes with its engine."""


def _source() -> str:
    """For i from 0: each chain's x becomes x ^ (x + i)."""
    chains = range(len(CHAINS))
    begin = "\n".join(f"%x{k} = phi i64 [{CHAINS[k]}, %entry], [%z{k}, %loop]" for k in chains)
    step = "\n".join(f"%y{k} = add i64 %x{k}, %i\n%z{k} = xor i64 %x{k}, %y{k}" for k in chains)
    total = "\n".join(f"%s{k} = add i64 {f'%s{k - 1}' if k else '0'}, %z{k}" for k in chains)
    return f"""
define void @work(ptr %to) {{
entry:
br label %loop
loop:
%i = phi i64 [0, %entry], [%next, %loop]
{begin}
{step}
%next = add i64 %i, 1
%more = icmp ult i64 %next, {STEPS}
br i1 %more, label %loop, label %end
end:
{total}
%before = atomicrmw add ptr %to, i64 %s{chains[-1]} seq_cst
ret void
}}
"""
