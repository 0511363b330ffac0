"""Numba on the CPU, on torch's threads: prefetches later rows, streams large outputs past the caches."""

import ctypes
import platform
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, ClassVar

from backends.base import Array, Backend, BackendUnavailable, Lookup

# A job is one array of int64, so that a call passes a single number: its address. These are its fields; from
# COUNTERS on, each share of the batch has a cache line that counts the chunks done of it.
TABLE, IDS, OUT, ROW_BYTES, ID_BYTES, BATCH, AHEAD, STREAM, APART, LEFT = range(10)
CHUNK, SHARE, SHARES, KERNEL, COPY, RUN, THREAD = range(10, 17)
COUNTERS, MOST_SHARES, LINE = 24, 256, 64
X86 = platform.machine() in ("x86_64", "AMD64")
COLD_TICKS = 150  # of the time-stamp counter: more than a cache takes to answer, less than memory
TRUSTED = 7  # calls for which an answer holds
KERNEL_TYPE = "void(int64, int64, int64, int64, int64)"


def _operation(emit: Callable[..., Any], returns: bool = True) -> Any:
    """A function of int64 for compiled code: the LLVM instructions that ``emit(builder, *values)`` writes."""
    from numba import types
    from numba.extending import intrinsic

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        result = emit(builder, *values)
        return result if returns else context.get_dummy_value()

    @wraps(emit)  # Numba reads the number of parameters off the signature
    def typed(_context: Any, *arguments: Any) -> Any:
        return (types.int64 if returns else types.void)(*[types.int64] * len(arguments)), generate

    return intrinsic(typed)


def _compile(function: Callable[..., Any]) -> Any:
    from numba import njit

    return njit(function)


def _at(b: Any, address: Any, kind: Any) -> Any:
    return b.inttoptr(address, kind.as_pointer())


@cache
def _memory() -> tuple[Any, ...]:
    """Loads of 4 and 8 bytes, the store of 8, and the fence after streaming stores."""
    from llvmlite import ir

    i32, i64 = ir.IntType(32), ir.IntType(64)
    load4 = _operation(lambda b, a: b.sext(b.load(_at(b, a, i32), align=1), i64))
    load8 = _operation(lambda b, a: b.load(_at(b, a, i64), align=1))
    store8 = _operation(lambda b, a, value: b.store(value, _at(b, a, i64)), returns=False)
    return load4, load8, store8, _operation(lambda b: b.fence("seq_cst"), returns=False)


@cache
def _copies() -> tuple[Any, ...]:
    """Copies of a line past the caches, and of 64, 32, 16, 8, 4, 2 and 1 bytes through them."""
    from llvmlite import ir

    def copy(b: Any, to: Any, source: Any, size: int) -> Any:
        kind = ir.VectorType(ir.IntType(8), size)
        return b.store(b.load(_at(b, source, kind), align=1), _at(b, to, kind), align=1)

    def copier(size: int) -> Any:
        return _operation(lambda b, to, source: copy(b, to, source, size), returns=False)

    def stream64(b: Any, to: Any, source: Any) -> None:  # to: on a 64-byte boundary
        store = copy(b, to, source, 64)
        store.align = 64
        store.set_metadata("nontemporal", b.module.add_metadata([ir.IntType(32)(1)]))

    return _operation(stream64, returns=False), *map(copier, (64, 32, 16, 8, 4, 2, 1))


@cache
def _prefetcher(near: int) -> Any:
    """The prefetch of a line for reading, into the caches that ``near`` says; see NumbaCpu.prefetch_near."""
    from llvmlite import ir

    i8, i32 = ir.IntType(8), ir.IntType(32)

    def prefetch(b: Any, address: Any) -> None:  # for reading (0), so near, as data (1)
        kind = ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32])
        function = b.module.declare_intrinsic("llvm.prefetch", [i8.as_pointer()], kind)
        b.call(function, [_at(b, address, i8), i32(0), i32(near), i32(1)])

    return _operation(prefetch, returns=False)


@cache
def _calls() -> tuple[Any, ...]:
    """An atomic count, this thread's number, and calls of GOMP_parallel and of a kernel, all by address."""
    from llvmlite import ir

    i32, i64, void = ir.IntType(32), ir.IntType(64), ir.VoidType()

    def run(b: Any, function: Any, copy: Any, job: Any) -> None:  # GOMP_parallel; 0 threads: as many as usual
        b.call(_at(b, function, ir.FunctionType(void, [i64, i64, i32, i32])), [copy, job, i32(0), i32(0)])

    def kernel(b: Any, function: Any, job: Any, first: Any, last: Any, end: Any, warm: Any) -> None:
        b.call(_at(b, function, ir.FunctionType(void, [i64] * 5)), [job, first, last, end, warm])

    count = _operation(lambda b, a: b.atomic_rmw("add", _at(b, a, i64), i64(1), "monotonic"))
    thread = _operation(lambda b, f: b.sext(b.call(_at(b, f, ir.FunctionType(i32, [])), []), i64))
    return count, thread, _operation(run, returns=False), _operation(kernel, returns=False)


@cache
def _clock() -> Any:
    """The ticks that reading an address takes; 0 on processors other than x86."""
    from llvmlite import ir
    from numba.core.cgutils import get_or_insert_function

    i64, void = ir.IntType(64), ir.VoidType()

    def latency(b: Any, address: Any) -> Any:
        def ask(name: str, returns: Any) -> Any:
            return b.call(
                get_or_insert_function(b.module, ir.FunctionType(returns, []), f"llvm.x86.{name}"), []
            )

        if not X86:
            return i64(0)
        ask("sse2.lfence", void)
        start = ask("rdtsc", i64)
        ask("sse2.lfence", void)
        b.load_atomic(_at(b, address, i64), "acquire", 8)  # a plain load would be optimised away
        ask("sse2.lfence", void)
        return b.sub(ask("rdtsc", i64), start)

    return _operation(latency)


def _two_pieces(width: int, piece: Any, shorter: Any) -> Any:
    @_compile
    def copy(to: int, source: int, size: int) -> None:
        if size >= width:
            piece(to, source)
            piece(to + size - width, source + size - width)
        else:
            shorter(to, source, size)

    return copy


@cache
def _short_copier() -> Any:
    """``copy(to, source, size)`` of less than a line, as two pieces that may overlap."""
    _, _, *pieces = _copies()
    copy = _compile(lambda to, source, size: None)
    for width, piece in zip((1, 2, 4, 8, 16, 32), reversed(pieces), strict=True):
        copy = _two_pieces(width, piece, copy)
    return copy


@cache
def _line_copier(near: int) -> Any:
    """``copy(to, source, later, stream)`` of a line, past the caches if ``stream``; prefetches ``later``."""
    prefetch, (stream64, copy64, *_) = _prefetcher(near), _copies()

    @_compile
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

    load4, load8, _, fence = _memory()
    prefetch, copy_line = _prefetcher(near), _line_copier(near)

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

    load4, load8, _, fence = _memory()
    prefetch, copy_short, (stream64, copy64, *_) = _prefetcher(near), _short_copier(), _copies()

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


@cache
def _part() -> Any:
    """The part of one thread, of a job's address: the chunks of its own share, then those of the others."""
    from numba import cfunc

    (_, load8, _, _), (count, thread, _, kernel) = _memory(), _calls()

    def copy_chunks(job: int) -> None:  # its own first: its caches have those rows
        batch, chunk, share = load8(job + 8 * BATCH), load8(job + 8 * CHUNK), load8(job + 8 * SHARE)
        shares, own = load8(job + 8 * SHARES), thread(load8(job + 8 * THREAD))
        copy = load8(job + 8 * KERNEL)
        for turn in range(own, own + shares):
            start, counter = share * (turn % shares), job + 8 * (COUNTERS + 8 * (turn % shares))
            end = min(start + share, batch)
            first, last = start + chunk * count(counter), -1
            while first < end:
                warm, last = first == last, min(first + chunk, end)
                kernel(copy, job, first, last, end, 1 if warm else 0)
                first = start + chunk * count(counter)

    return cfunc("void(int64)")(copy_chunks)


@cache
def _chooser() -> Any:
    """``choose(job)``: whether this call streams, by what the last one left in the caches."""
    (_, load8, store8, _), ticks = _memory(), _clock()

    @_compile
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
def _compiled() -> tuple[Callable[[int], None], Callable[[int], None], int, Any]:
    """Two functions of a job's address, on one thread and on all; the address of a thread's part; owners."""
    from numba import njit

    (_, load8, store8, _), (_, _, run, kernel) = _memory(), _calls()
    choose = _chooser()

    def on_all(job: int) -> None:
        choose(job)
        for k in range(load8(job + 8 * SHARES)):
            store8(job + 8 * (COUNTERS + 8 * k), 0)
        run(load8(job + 8 * RUN), load8(job + 8 * COPY), job)

    def on_one(job: int) -> None:
        choose(job)
        batch = load8(job + 8 * BATCH)
        kernel(load8(job + 8 * KERNEL), job, 0, batch, batch, 0)

    owners = [njit("void(int64)")(function) for function in (on_one, on_all)]
    # The entry points themselves: Numba's dispatcher would check the argument's type at each call.
    one, every = (next(iter(owner.overloads.values())).entry_point for owner in owners)
    return one, every, _part().address, owners


def _openmp() -> tuple[int, int, int]:
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
def _last_level_cache_bytes() -> int:
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((int(s.read_text().strip().removesuffix("K")) << 10 for s in sizes), default=32 << 20)


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
        import numpy as np

        one, every, copy_chunks, _ = _compiled()
        parallel, thread, threads = _openmp()
        size, batch = table.shape[1] * table.itemsize, len(indices)
        cost = size + self.row_cost_bytes
        stream, if_cold = (self.streams(size, out.nbytes, out.ctypes.data, cold) for cold in (False, True))
        four = size >= self.four_bytes and size % LINE == 0 and not (if_cold and out.ctypes.data % LINE)
        least = 4 if four else 1
        chunk = max(least, self.chunk_bytes // cost, -(-batch // (self.chunks_per_thread * threads)))
        chunk = max(1, min(chunk, -(-batch // threads)))
        job = np.zeros(COUNTERS + 8 * threads, np.int64)
        job[[TABLE, IDS, OUT]] = [a.ctypes.data for a in (table, indices, out)]
        job[[ROW_BYTES, ID_BYTES, BATCH]] = size, indices.itemsize, batch
        job[[CHUNK, SHARE, SHARES]] = chunk, -(-batch // (chunk * threads)) * chunk, threads
        kernel = _long_rows(self.prefetch_near) if four else _rows(self.prefetch_near)
        job[[KERNEL, COPY, RUN, THREAD]] = kernel.address, copy_chunks, parallel, thread
        ahead = self.ahead_short_rows if size <= LINE else self.ahead_rows
        job[AHEAD] = max(least, min(ahead, self.ahead_bytes // size))
        job[[STREAM, APART]] = if_cold, 0 if stream or not if_cold else out.nbytes // 4 // LINE * LINE
        run = every if threads > 1 and batch * cost >= self.parallel_bytes else one
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
        return nbytes >= min(least, self.stream_cold_fraction if cold else least) * _last_level_cache_bytes()
