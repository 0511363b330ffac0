"""Meters: at what speed the processor runs now, and the memory, by fixed pieces of work, compiled.

The processor's stays in registers. The memory's reads lines of an array that no cache holds: 2,000 a reading,
which puts 128 KB of the caches out.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from ctypes import CDLL, CFUNCTYPE, addressof, c_int64, c_uint, c_void_p
from dataclasses import dataclass
from time import perf_counter_ns  # bound before any backend could put another in its place
from typing import Any

import numpy as np

from suite.engine.arrays import HostArrays

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
MEMORY_LINES = 1 << 20
"""Of 64 bytes, in the array that the meter on memory reads. Each is read once before any is read again, which
takes 500 readings, and with the cold lookups between them more than a cache holds."""
READS = 500
"""Of one run of the meter on memory; none waits for another."""
MULTIPLIER = 0x5851F42D4C957F2D
"""Of the generator of lines: one more than a multiple of four, so that with an odd increment all come up."""


class MeterChanged(RuntimeError):
    """The work came to something else than ever before, so that its time says nothing."""


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads the speed of the processors that it runs on, or of the memory as they see it.

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
def memory_meter() -> Meter | None:
    """The meter of this process on memory, by independent reads of the calling thread at scattered places.

    It takes 64 MB for as long as the process lives. None without Numba's compiler, or without that memory.
    To be asked first as ``meter_of`` is.
    """
    address = _compiled(_memory_source())
    if not address:
        return None
    try:
        array = HostArrays().bytes(64 * MEMORY_LINES).view(np.int64)
    except (OSError, MemoryError):
        return None
    array[:] = 1  # written to, or all of it would be the kernel's one page of zeros, which a cache holds
    _kept.append(array)
    return _meter(CFUNCTYPE(None, c_void_p)(address), 1, READS, array.ctypes.data)


@functools.cache
def _of_the_caller() -> Meter | None:
    address = _compiled(_source())
    return _meter(CFUNCTYPE(None, c_void_p)(address), 1) if address else None


def _of_the_pool() -> Meter | None:
    torch = sys.modules.get("torch")
    return _of_library(str(torch._C.__file__)) if torch is not None else None


@functools.cache
def _of_library(path: str) -> Meter | None:
    address, library = _compiled(_source()), CDLL(path)
    try:
        parallel, most = library.GOMP_parallel, library.omp_get_max_threads
    except AttributeError:
        return None
    parallel.argtypes, parallel.restype = (c_void_p, c_void_p, c_uint, c_uint), None
    return _meter(lambda cell: parallel(address, cell, 0, 0), most()) if address else None


def _meter(work: Callable[[int], Any], threads: int, result: int = RESULT, array: int = 0) -> Meter | None:
    """A meter, if the work comes to what it should. What it needs is its own: names of modules may change.

    Args:
        work: takes the address of three int64: the sum that it adds to and, where it reads an array, the
            line it has come to and the array's address.
        result: what a thread's run adds.
    """
    now, runs, changed, cell = perf_counter_ns, RUNS, MeterChanged, (c_int64 * 3)(0, 0, array)
    at, wanted = addressof(cell), (1 + runs) * threads * result

    def read() -> float:
        cell[0], least = 0, 1 << 62
        work(at)  # not timed: the threads wake up, the code comes into the caches
        for _ in range(runs):
            began = now()
            work(at)
            least = min(least, now() - began)
        if cell[0] != wanted:
            raise changed("the meter's work came to another result: its memory or its threads were changed")
        return least * 1e-9

    try:
        read()
    except MeterChanged:
        return None
    return Meter(read, threads)


@functools.cache
def _compiled(source: str) -> Any:
    """The address of the work, ``void(int64 *)``, which adds its result to what it is given; or None.

    Written in LLVM's own language, since Numba takes ten times as long to be imported and would rewrite it.
    """
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return None
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
    try:
        module = llvm.parse_assembly(source, context=llvm.create_context())
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
    except RuntimeError:
        return None
    _kept.append(engine)
    return engine.get_function_address("work")


_kept: list[Any] = []
"""The compiled code goes with its engine, and the array with its last name."""


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


def _memory_source() -> str:
    """From line to line by a generator that has a period of all; its low bits, which alone would repeat soon,
    are mixed with high ones."""
    return f"""
define void @work(ptr %to) {{
entry:
%place = getelementptr i64, ptr %to, i64 1
%held = getelementptr i64, ptr %to, i64 2
%first = load i64, ptr %place
%array = load ptr, ptr %held
br label %loop
loop:
%i = phi i64 [0, %entry], [%next, %loop]
%x = phi i64 [%first, %entry], [%y, %loop]
%sum = phi i64 [0, %entry], [%more_sum, %loop]
%product = mul i64 %x, {MULTIPLIER}
%shifted = add i64 %product, 1
%y = and i64 %shifted, {MEMORY_LINES - 1}
%high = lshr i64 %y, 10
%line = xor i64 %y, %high
%word = shl i64 %line, 3
%from = getelementptr i64, ptr %array, i64 %word
%value = load i64, ptr %from
%more_sum = add i64 %sum, %value
%next = add i64 %i, 1
%more = icmp ult i64 %next, {READS}
br i1 %more, label %loop, label %end
end:
store i64 %y, ptr %place
%before = load i64, ptr %to
%after = add i64 %before, %more_sum
store i64 %after, ptr %to
ret void
}}
"""
