"""Numba on the CPU, on torch's threads: prefetches later rows, streams large outputs past the caches."""

from functools import cache
from typing import Any, ClassVar

from backends.base import Array, Backend, Lookup
from backends.compiled.instructions import LINE, compiled, copies, memory, prefetcher, short_copier
from backends.compiled.job import (
    AHEAD,
    ID_BYTES,
    IDS,
    KERNEL_TYPE,
    OUT,
    ROW_BYTES,
    STREAM,
    TABLE,
    last_level_cache_bytes,
    made,
    runner,
    streaming,
)


@cache
def _line_copier(near: int) -> Any:
    """``copy(to, source, later, stream)`` of a line, past the caches if ``stream``; prefetches ``later``."""
    prefetch, (stream64, copy64, *_) = prefetcher(near), copies()

    @compiled
    def copy_line(to: int, source: int, later: int, stream: int) -> None:
        prefetch(later)
        if stream:
            stream64(to, source)
        else:
            copy64(to, source)

    return copy_line


@cache
def _long_rows(near: int) -> Any:
    """The kernel of long rows: copies four side by side, to wait for four places in memory at once."""
    from numba import cfunc

    load4, load8, _, fence = memory()
    prefetch, copy_line = prefetcher(near), _line_copier(near)

    def copy_rows(job: int, first: int, last: int, end: int, warm: int) -> None:
        table, ids, out = load8(job + 8 * TABLE), load8(job + 8 * IDS), load8(job + 8 * OUT)
        size, id_bytes = load8(job + 8 * ROW_BYTES), load8(job + 8 * ID_BYTES)
        stream, ahead = load8(job + 8 * STREAM), load8(job + 8 * AHEAD)

        def row(i: int) -> Any:
            k = min(i, end - 1)
            return table + size * (load8(ids + 8 * k) if id_bytes == 8 else load4(ids + 4 * k))

        for i in range(first, first if warm else first + ahead):
            for k in range(0, size, 64):
                prefetch(row(i) + k)
        fours = last - (last - first) % 4
        for i in range(first, fours, 4):
            to, n = out + i * size, i + ahead
            a, b, c, d = row(i), row(i + 1), row(i + 2), row(i + 3)
            e, f, g, h = row(n), row(n + 1), row(n + 2), row(n + 3)
            for k in range(0, size, 64):
                copy_line(to + k, a + k, e + k, stream)
                copy_line(to + size + k, b + k, f + k, stream)
                copy_line(to + 2 * size + k, c + k, g + k, stream)
                copy_line(to + 3 * size + k, d + k, h + k, stream)
        for i in range(fours, last):
            for k in range(0, size, 64):
                copy_line(out + i * size + k, row(i) + k, row(i + ahead) + k, stream)
        if stream:
            fence()

    return cfunc(KERNEL_TYPE)(copy_rows)


@cache
def _rows(near: int) -> Any:
    """The kernel: copies rows first to last of a job; prefetches to end, and from first on unless warm."""
    from numba import cfunc

    load4, load8, _, fence = memory()
    prefetch, copy_short, (stream64, copy64, *_) = prefetcher(near), short_copier(), copies()

    def copy_rows(job: int, first: int, last: int, end: int, warm: int) -> None:
        # Read from the job once: the compiler can't know that no row is copied over it.
        table, ids, out = load8(job + 8 * TABLE), load8(job + 8 * IDS), load8(job + 8 * OUT)
        size, id_bytes = load8(job + 8 * ROW_BYTES), load8(job + 8 * ID_BYTES)
        stream, ahead = load8(job + 8 * STREAM), load8(job + 8 * AHEAD)
        for i in range(first - (0 if warm else ahead), last):
            k = min(i + ahead, end - 1)
            later = table + size * (load8(ids + 8 * k) if id_bytes == 8 else load4(ids + 4 * k))
            if i < first:
                for done in range(0, size, 64):
                    prefetch(later + done)
                continue
            source = table + size * (load8(ids + 8 * i) if id_bytes == 8 else load4(ids + 4 * i))
            to = out + i * size
            done = -to & 63 if stream else 0  # a line is streamed whole or not at all
            if done:
                copy_short(to, source, done)
            while done <= size - 64:
                prefetch(later + done)
                if stream:
                    stream64(to + done, source + done)
                else:
                    copy64(to + done, source + done)
                done += 64
            prefetch(later + size - 1)
            if done < size:
                prefetch(later + done)
                copy_short(to + done, source + done, size - done)
        if stream:
            fence()

    return cfunc(KERNEL_TYPE)(copy_rows)


class NumbaCpu(Backend):
    devices = ("cpu",)
    packages = ("numba", "torch")
    whose = "suite"

    # By measurement: results/tuning/ has the tables named here, made by tests/tools/tune_cpu.py.
    prefetch_near: ClassVar[int] = 2  # near: 3 into the first level of cache, 2 into the second
    ahead_short_rows: ClassVar[int] = 64  # distance: of rows within a line
    ahead_rows: ClassVar[int] = 32  # distance
    ahead_bytes: ClassVar[int] = 8192  # distance
    row_cost_bytes: ClassVar[int] = 256  # threads: a row costs its bytes and, to find it, as much as these
    parallel_bytes: ClassVar[int] = 1 << 16  # threads
    chunk_bytes: ClassVar[int] = 12 << 10  # chunks
    chunks_per_thread: ClassVar[int] = 16  # chunks
    stream_cache_fraction: ClassVar[float] = 0.25  # stream: of the last-level cache, the least output
    stream_short_row_bytes: ClassVar[int] = 128  # stream: rows up to this, from less output on
    stream_short_fraction: ClassVar[float] = 1 / 32  # stream
    stream_cold_fraction: ClassVar[float] = 1 / 32  # stream: rows of any length, if the output is in no cache
    stream_ragged_row_bytes: ClassVar[int] = 1024  # stream: the least row that is no whole lines
    four_bytes: ClassVar[int] = 4096  # four: the least row of which four are copied side by side

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        size, batch = table.shape[1] * table.itemsize, len(indices)
        cost = size + self.row_cost_bytes
        stream, if_cold = (self.streams(size, out.nbytes, out.ctypes.data, cold) for cold in (False, True))
        four = size >= self.four_bytes and size % LINE == 0 and not (if_cold and out.ctypes.data % LINE)
        least = 4 if four else 1
        ahead = self.ahead_short_rows if size <= LINE else self.ahead_rows
        fields = {
            TABLE: table.ctypes.data,
            IDS: indices.ctypes.data,
            OUT: out.ctypes.data,
            ROW_BYTES: size,
            ID_BYTES: indices.itemsize,
            AHEAD: max(least, min(ahead, self.ahead_bytes // size)),
            **streaming(stream, if_cold, out.nbytes),
        }
        kernel, chunk = (
            (_long_rows if four else _rows)(self.prefetch_near),
            max(least, self.chunk_bytes // cost),
        )
        job = made(kernel, batch, fields, chunk, self.chunks_per_thread)
        run = runner(job, threaded=batch * cost >= self.parallel_bytes)
        address = int(job.ctypes.data)

        def lookup(_held: Array = (table, indices, job)) -> Array:  # the job points into them
            run(address)
            return out

        return lookup

    def streams(self, size: int, nbytes: int, address: int, cold: bool = False) -> bool:
        """Whether rows of ``size`` bytes are streamed past the caches into an output of ``nbytes``.

        Streaming parts of lines is slow.

        Args:
            cold: the output is known to be in no cache.
        """
        whole = (size | address) % LINE == 0
        if size < (LINE if whole else max(LINE, self.stream_ragged_row_bytes)):
            return False
        short = size <= self.stream_short_row_bytes
        least = self.stream_short_fraction if short else self.stream_cache_fraction
        return nbytes >= min(least, self.stream_cold_fraction if cold else least) * last_level_cache_bytes()
