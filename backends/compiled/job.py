"""A job: the rows that one call makes, and how torch's threads share them."""

import ctypes
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from backends.base import Array, BackendUnavailable
from backends.compiled.instructions import LINE, calls, clock, compiled, memory

# A job is one array of int64, so that a call passes a single number: its address. These are its fields; those
# from OWN on are the kernel's own, and from COUNTERS on each share of the rows has a cache line that counts
# the chunks done of it.
TABLE, IDS, OUT, ROW_BYTES, ID_BYTES, BATCH, AHEAD, STREAM, APART, LEFT = range(10)
CHUNK, SHARE, SHARES, KERNEL, PART, PARALLEL, THREAD, OWN = range(10, 18)
COUNTERS, MOST_SHARES = 24, 256
CHUNKS_PER_THREAD = 16
COLD_TICKS = 150  # of the time-stamp counter: more than a cache takes to answer, less than memory
TRUSTED = 7  # calls for which an answer holds
KERNEL_TYPE = "void(int64, int64, int64, int64, int64)"
"""Of a kernel: job, first, last, end, warm. It makes rows first to last, and asks ahead for those up to end,
and from first on unless they are warm."""


def made(
    kernel: Any, batch: int, fields: Mapping[int, int], least: int = 1, per_thread: int = CHUNKS_PER_THREAD
) -> Array:
    """A job for torch's threads, each of which has a share of the rows.

    Args:
        kernel: compiled, of KERNEL_TYPE. batch: its rows. fields: the others, by their place.
        least: so many rows are a chunk at least, if every thread gets one. per_thread: chunks of a share.
    """
    import numpy as np

    parallel, thread, threads = openmp()
    chunk = max(1, min(max(least, -(-batch // (per_thread * threads))), -(-batch // threads)))
    job = np.zeros(COUNTERS + 8 * threads, np.int64)
    job[list(fields)] = list(fields.values())
    job[[BATCH, CHUNK]] = batch, chunk
    job[[SHARE, SHARES]] = -(-batch // (chunk * threads)) * chunk, threads
    job[[KERNEL, PART, PARALLEL, THREAD]] = kernel.address, part().address, parallel, thread
    return job


def streaming(always: bool, if_cold: bool, nbytes: int) -> dict[int, int]:
    """Fields by which an output of so many bytes goes past the caches: always, or if it is in none."""
    return {STREAM: if_cold, APART: 0 if always or not if_cold else nbytes // 4 // LINE * LINE}


def runner(job: Array, threaded: bool) -> Callable[[int], None]:
    """What runs a job, given its address: on all threads or in the caller."""
    one, every, _ = runners()
    return every if threaded and job[SHARES] > 1 else one


@cache
def part() -> Any:
    """The part of one thread, of a job's address: the chunks of its own share, then those of the others."""
    from numba import cfunc

    (_, load8, _, _), (count, thread, _, kernel) = memory(), calls()

    def make_chunks(job: int) -> None:  # its own first: its caches have those rows
        batch, chunk, share = load8(job + 8 * BATCH), load8(job + 8 * CHUNK), load8(job + 8 * SHARE)
        shares, own = load8(job + 8 * SHARES), thread(load8(job + 8 * THREAD))
        make = load8(job + 8 * KERNEL)
        for turn in range(own, own + shares):
            start, counter = share * (turn % shares), job + 8 * (COUNTERS + 8 * (turn % shares))
            end = min(start + share, batch)
            first, last = start + chunk * count(counter), -1
            while first < end:
                warm, last = first == last, min(first + chunk, end)
                kernel(make, job, first, last, end, 1 if warm else 0)
                first = start + chunk * count(counter)

    return cfunc("void(int64)")(make_chunks)


@cache
def chooser() -> Any:
    """``choose(job)``: whether this call streams, by what the last one left in the caches."""
    (_, load8, store8, _), ticks = memory(), clock()

    @compiled
    def choose(job: int) -> None:
        # Output that does not stay in the caches is streamed past them. After a call that wrote through the
        # caches three of its lines are timed. Streaming calls show nothing, so after some one does so again.
        out, apart, left, slow = load8(job + 8 * OUT), load8(job + 8 * APART), load8(job + 8 * LEFT), 0
        if left:
            store8(job + 8 * LEFT, left - 1)
        elif apart:
            for k in range(1, 1 if load8(job + 8 * STREAM) else 4):
                first = ticks(out + k * apart)
                slow += 1 if first - ticks(out + k * apart) > COLD_TICKS else 0
            store8(job + 8 * STREAM, 1 if slow == 3 else 0)
            store8(job + 8 * LEFT, TRUSTED if slow == 3 else 0)

    return choose


@cache
def runners() -> tuple[Callable[[int], None], Callable[[int], None], Any]:
    """Two functions of a job's address, on one thread and on all, and what keeps them."""
    from numba import njit

    (_, load8, store8, _), (_, _, run, kernel) = memory(), calls()
    choose = chooser()

    def on_all(job: int) -> None:
        choose(job)
        for k in range(load8(job + 8 * SHARES)):
            store8(job + 8 * (COUNTERS + 8 * k), 0)
        run(load8(job + 8 * PARALLEL), load8(job + 8 * PART), job)

    def on_one(job: int) -> None:
        choose(job)
        batch = load8(job + 8 * BATCH)
        kernel(load8(job + 8 * KERNEL), job, 0, batch, batch, 0)

    owners = [njit("void(int64)")(function) for function in (on_one, on_all)]
    # The entry points themselves: Numba's dispatcher would check the argument's type at each call.
    one, every = (next(iter(owner.overloads.values())).entry_point for owner in owners)
    return one, every, owners


def openmp() -> tuple[int, int, int]:
    """GOMP_parallel, omp_get_thread_num, how many threads: torch's, as two pools would share cores."""
    import torch

    library = ctypes.CDLL(str(torch._C.__file__))
    try:
        functions = library.GOMP_parallel, library.omp_get_thread_num
    except AttributeError:
        raise BackendUnavailable("torch is not linked to an OpenMP that has GOMP_parallel") from None
    parallel, thread = (ctypes.cast(f, ctypes.c_void_p).value or 0 for f in functions)
    return parallel, thread, min(library.omp_get_max_threads(), MOST_SHARES)


@cache
def last_level_cache_bytes() -> int:
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((int(s.read_text().strip().removesuffix("K")) << 10 for s in sizes), default=32 << 20)
