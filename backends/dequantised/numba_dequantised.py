"""Numba on the CPU, on torch's threads: prefetches later rows, dequantises a line of the result at a time."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, ClassVar

from backends.base import Array, Backend, BackendUnavailable, Lookup
from backends.dequantised.base import Layout, layout_of

# A job is one array of int64, so that a call passes a single number: its address. These are its fields.
TABLE, IDS, OUT, SCALES, ROW_BYTES, BATCH, DIM, STREAM, KERNEL, PARALLEL, THREAD, THREADS = range(12)
APART, LEFT, ID_BYTES, AHEAD, FIELDS = range(12, 17)
LINE = 64
X86 = platform.machine() in ("x86_64", "AMD64")
COLD_TICKS = 150  # of the time-stamp counter: more than a cache takes to answer, less than memory
TRUSTED = 7  # calls for which an answer holds


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


def _at(b: Any, address: Any, kind: Any) -> Any:
    return b.inttoptr(address, kind.as_pointer())


@cache
def _loads() -> tuple[Any, Any]:
    """Of an integer of 4 and of 8 bytes."""
    from llvmlite import ir

    i32, i64 = ir.IntType(32), ir.IntType(64)
    four = _operation(lambda b, a: b.sext(b.load(_at(b, a, i32), align=1), i64))
    return four, _operation(lambda b, a: b.load(_at(b, a, i64), align=1))


@cache
def _calls() -> tuple[Any, ...]:
    """A prefetch, a fence, this thread's number, and calls of GOMP_parallel and of a kernel, by address."""
    from llvmlite import ir

    i8, i32, i64, void = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.VoidType()

    def prefetch(b: Any, address: Any) -> None:  # for reading (0), into the second cache (2), as data (1)
        kind = ir.FunctionType(void, [i8.as_pointer(), i32, i32, i32])
        function = b.module.declare_intrinsic("llvm.prefetch", [i8.as_pointer()], kind)
        b.call(function, [_at(b, address, i8), i32(0), i32(2), i32(1)])

    def on_all(b: Any, function: Any, part: Any, job: Any) -> None:  # 0 threads: as many as usual
        b.call(_at(b, function, ir.FunctionType(void, [i64, i64, i32, i32])), [part, job, i32(0), i32(0)])

    thread = _operation(lambda b, f: b.sext(b.call(_at(b, f, ir.FunctionType(i32, [])), []), i64))
    some = [_operation(emit, returns=False) for emit in (prefetch, lambda b: b.fence("seq_cst"), on_all)]
    return some[0], some[1], thread, some[2]


@cache
def _factor(scale: str, shift: int) -> Any:
    """``factor(address)``: the scale or bias there, times 2^shift, as the bits of a float32."""
    from llvmlite import ir

    i8, i16, i32, i64, f32 = (*map(ir.IntType, (8, 16, 32, 64)), ir.FloatType())

    def emit(b: Any, address: Any) -> Any:
        if scale == "e8m0":
            bits = b.shl(b.zext(b.load(_at(b, address, i8)), i32), i32(23))
        elif scale == "bfloat16":
            bits = b.shl(b.zext(b.load(_at(b, address, i16), align=1), i32), i32(16))
        elif scale == "float16":
            bits = b.bitcast(b.fpext(b.load(_at(b, address, ir.HalfType()), align=1), f32), i32)
        else:
            bits = b.load(_at(b, address, i32), align=1)
        value = b.fmul(b.bitcast(bits, f32), ir.Constant(f32, 2.0**shift))
        return b.zext(b.bitcast(value, i32), i64)

    return _operation(emit)


def _codes(b: Any, code: str, source: Any, count: int) -> Any:
    """So many elements from an address on, as a vector of float32; of ``fp8`` 2^-8 of what they are."""
    from llvmlite import ir

    def vector(kind: Any) -> Any:
        return ir.VectorType(kind, count)

    def all_of(kind: Any, value: int) -> Any:
        return ir.Constant(vector(kind), [value] * count)

    i8, i16, i32, floats = ir.IntType(8), ir.IntType(16), ir.IntType(32), vector(ir.FloatType())
    if code == "int4":
        half = ir.VectorType(i8, count // 2)
        packed = b.load(_at(b, source, half), align=1)
        low, high = (ir.Constant(half, [value] * (count // 2)) for value in (15, 4))
        order = [n // 2 + n % 2 * (count // 2) for n in range(count)]
        mask = ir.Constant(vector(i32), order)
        bytes_of = b.shuffle_vector(b.and_(packed, low), b.lshr(packed, high), mask)
    else:
        bytes_of = b.load(_at(b, source, vector(i8)), align=1)
    if code == "fp8":  # its exponent and fraction are a half's, which has one bit more of exponent
        wide = b.zext(bytes_of, vector(i16))
        sign = b.shl(b.and_(wide, all_of(i16, 0x80)), all_of(i16, 8))
        rest = b.shl(b.and_(wide, all_of(i16, 0x7F)), all_of(i16, 7))
        return b.fpext(b.bitcast(b.or_(sign, rest), vector(ir.HalfType())), floats)
    widened = (b.sext if code == "signed" else b.zext)(bytes_of, vector(i32))
    return b.sitofp(widened, floats)


@cache
def _piece(layout: Layout, result: str, count: int, stream: bool) -> Any:
    """``piece(to, source, scale, bias)`` of so many elements; of ``fp8`` without bias."""
    from llvmlite import ir

    i32 = ir.IntType(32)

    def vector(kind: Any) -> Any:
        return ir.VectorType(kind, count)

    def all_of(value: int) -> Any:
        return ir.Constant(vector(i32), [value] * count)

    def splat(b: Any, bits: Any) -> Any:
        value = b.bitcast(b.trunc(bits, i32), ir.FloatType())
        first = b.insert_element(ir.Constant(vector(ir.FloatType()), ir.Undefined), value, i32(0))
        return b.shuffle_vector(first, first, all_of(0))

    def emit(b: Any, to: Any, source: Any, scale: Any, bias: Any) -> None:
        values = b.fmul(_codes(b, layout.code, source, count), splat(b, scale))
        if layout.code != "fp8":  # whose -0.0 keeps its sign
            values = b.fadd(values, splat(b, bias))
        if result == "bfloat16":  # to the nearest, or the even one of two
            bits = b.bitcast(values, vector(i32))
            odd = b.and_(b.lshr(bits, all_of(16)), all_of(1))
            bits = b.lshr(b.add(b.add(bits, odd), all_of(0x7FFF)), all_of(16))
            values = b.trunc(bits, vector(ir.IntType(16)))
        elif result == "float16":
            values = b.fptrunc(values, vector(ir.HalfType()))
        width = count * (4 if result == "float32" else 2)
        store = b.store(values, _at(b, to, values.type), align=width if stream else 1)
        if stream:
            store.set_metadata("nontemporal", b.module.add_metadata([i32(1)]))

    return _operation(emit, returns=False)


@cache
def _kernel(layout: Layout, result: str) -> Any:
    """The kernel: ``(job, first, last)`` dequantises rows first to last of a job."""
    from numba import cfunc

    width, scale = 4 if result == "float32" else 2, layout.scale or result
    (load4, load8), (prefetch, fence, _, _) = _loads(), _calls()
    factor, bias_of = _factor(scale, 8 if layout.code == "fp8" else 0), _factor(scale, 0)
    offset_of = _offset(layout.offset)
    long, streamed, short = (
        _piece(layout, result, count, stream) for count, stream in ((16, False), (16, True), (4, False))
    )
    scale_bytes = {"float32": 4, "e8m0": 1}.get(scale, 2)
    apart, codes, inside, block = layout.apart, layout.codes, layout.scales or 0, layout.block
    half, from_end = layout.code == "int4", inside < 0

    def dequantise(job: int, first: int, last: int) -> None:
        table, ids, out = load8(job + 8 * TABLE), load8(job + 8 * IDS), load8(job + 8 * OUT)
        scales, size, dim = load8(job + 8 * SCALES), load8(job + 8 * ROW_BYTES), load8(job + 8 * DIM)
        stream, ahead, id_bytes = load8(job + 8 * STREAM), load8(job + 8 * AHEAD), load8(job + 8 * ID_BYTES)
        each = block if block else dim
        of_row = dim // each * scale_bytes
        for i in range(first - ahead, last):
            k = min(i + ahead, last - 1)
            later = load8(ids + 8 * k) if id_bytes == 8 else load4(ids + 4 * k)
            for done in range(0, size, LINE):
                prefetch(table + later * size + done)
            prefetch(table + later * size + size - 1)
            if apart:
                prefetch(scales + later * of_row)
            if i < first:
                continue
            row = load8(ids + 8 * i) if id_bytes == 8 else load4(ids + 4 * i)
            at, to = table + row * size, out + i * dim * width
            pair = scales + row * of_row if apart else at + inside + (size if from_end else 0)
            source = at + codes
            for start in range(0, dim, each):
                times = factor(pair)
                plus = offset_of(times) if apart else bias_of(pair + scale_bytes)
                c, end = start, start + each
                while c <= end - 16:
                    place = source + (c // 2 if half else c)
                    if stream:
                        streamed(to + c * width, place, times, plus)
                    else:
                        long(to + c * width, place, times, plus)
                    c += 16
                while c < end:
                    short(to + c * width, source + (c // 2 if half else c), times, plus)
                    c += 4
                pair += scale_bytes
        if stream:
            fence()

    return cfunc("void(int64, int64, int64)")(dequantise)


def _offset(offset: int) -> Any:
    """``offset_of(scale)``: so many times the scale, both the bits of a float32."""
    from llvmlite import ir

    i32, i64, f32 = ir.IntType(32), ir.IntType(64), ir.FloatType()

    def emit(b: Any, bits: Any) -> Any:
        value = b.fmul(b.bitcast(b.trunc(bits, i32), f32), ir.Constant(f32, float(offset)))
        return b.zext(b.bitcast(value, i32), i64)

    return _operation(emit)


@cache
def _chooser() -> Any:
    """``choose(job)``: whether this call streams, by whether its output stayed in a cache after the last."""
    from llvmlite import ir
    from numba import njit
    from numba.core.cgutils import get_or_insert_function

    i64, void, (_, load8) = ir.IntType(64), ir.VoidType(), _loads()
    write = _operation(lambda b, a, value: b.store(value, _at(b, a, i64)), returns=False)

    def latency(b: Any, address: Any) -> Any:  # in ticks; 0 on processors other than x86
        def ask(name: str, returns: Any) -> Any:
            kind = ir.FunctionType(returns, [])
            return b.call(get_or_insert_function(b.module, kind, f"llvm.x86.{name}"), [])

        if not X86:
            return i64(0)
        ask("sse2.lfence", void)
        start = ask("rdtsc", i64)
        ask("sse2.lfence", void)
        b.load_atomic(_at(b, address, i64), "acquire", 8)  # a plain load would be optimised away
        ask("sse2.lfence", void)
        return b.sub(ask("rdtsc", i64), start)

    ticks = _operation(latency)

    def choose(job: int) -> None:
        # Three lines of an output that was written through the caches are timed. Streaming calls leave
        # nothing there to be timed, so after some of them one writes through the caches.
        out, apart, left, slow = load8(job + 8 * OUT), load8(job + 8 * APART), load8(job + 8 * LEFT), 0
        if left:
            write(job + 8 * LEFT, left - 1)
        elif apart:
            for k in range(1, 1 if load8(job + 8 * STREAM) else 4):
                slow += 1 if ticks(out + k * apart) > COLD_TICKS else 0
            write(job + 8 * STREAM, 1 if slow == 3 else 0)
            write(job + 8 * LEFT, TRUSTED if slow == 3 else 0)

    return njit(choose)


@cache
def _compiled() -> tuple[Any, Any, Any]:
    """Functions of a job: on one thread, and on all, with the address of a thread's part; and that part."""
    from llvmlite import ir
    from numba import cfunc, njit

    (_, load8), (_, _, thread, on_all) = _loads(), _calls()
    i64, void = ir.IntType(64), ir.VoidType()

    def call(b: Any, function: Any, job: Any, first: Any, last: Any) -> None:
        b.call(_at(b, function, ir.FunctionType(void, [i64] * 3)), [job, first, last])

    kernel = _operation(call, returns=False)

    def part(job: int) -> None:
        batch, own = load8(job + 8 * BATCH), thread(load8(job + 8 * THREAD))
        each = -(-batch // load8(job + 8 * THREADS))
        if each * own < batch:
            kernel(load8(job + 8 * KERNEL), job, each * own, min(batch, each * own + each))

    choose = _chooser()
    compiled = cfunc("void(int64)")(part)

    def on_one(job: int) -> None:
        choose(job)
        kernel(load8(job + 8 * KERNEL), job, 0, load8(job + 8 * BATCH))

    def parallel(job: int, address: int) -> None:
        choose(job)
        on_all(load8(job + 8 * PARALLEL), address, job)

    return njit("void(int64)")(on_one), njit("void(int64, int64)")(parallel), compiled


def _openmp() -> tuple[int, int, int]:
    """GOMP_parallel, omp_get_thread_num, how many threads: torch's, as two pools would share cores."""
    import torch

    library = ctypes.CDLL(str(torch._C.__file__))
    try:
        functions = library.GOMP_parallel, library.omp_get_thread_num
    except AttributeError:
        raise BackendUnavailable("torch is not linked to an OpenMP that has GOMP_parallel") from None
    parallel, thread = (ctypes.cast(f, ctypes.c_void_p).value or 0 for f in functions)
    return parallel, thread, library.omp_get_max_threads()


@cache
def _last_level_cache_bytes() -> int:
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((int(s.read_text().strip().removesuffix("K")) << 10 for s in sizes), default=32 << 20)


class NumbaDequantised(Backend):
    devices = ("cpu",)
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("numba", "torch")
    whose = "suite"
    operation = "dequantised"

    ahead_bytes: ClassVar[int] = 8192  # of rows to come that are asked for
    parallel_bytes: ClassVar[int] = 1 << 16  # of the result, from which on threads are worth it
    stream_fraction: ClassVar[float] = 1 / 4  # of the last-level cache: results from which on go past it
    stream_cold_fraction: ClassVar[float] = 1 / 128  # the same, of results that are in no cache

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        import numpy as np

        layout, (batch, dim), size = layout_of(variant), out.shape, table.shape[1]
        bytes_out = out.numel() * out.element_size()
        whole = (dim * out.element_size() | out.data_ptr()) % LINE == 0 and (layout.block or dim) % 16 == 0
        always, if_cold = (
            whole and bytes_out >= fraction * _last_level_cache_bytes()
            for fraction in (self.stream_fraction, self.stream_cold_fraction)
        )
        kernel = _kernel(layout, str(out.dtype).removeprefix("torch."))
        (one, every, part), (parallel, thread, threads) = _compiled(), _openmp()
        job = np.zeros(FIELDS, np.int64)
        job[[TABLE, IDS, OUT]] = [array.data_ptr() for array in (table, indices, out)]
        job[ID_BYTES], job[AHEAD] = indices.element_size(), max(1, min(32, self.ahead_bytes // size))
        job[SCALES] = scales.data_ptr() if scales is not None else 0
        job[[ROW_BYTES, BATCH, DIM, STREAM]] = size, batch, dim, if_cold
        job[APART] = 0 if always or not if_cold else bytes_out // 4 // LINE * LINE
        job[[KERNEL, PARALLEL, THREAD, THREADS]] = kernel.address, parallel, thread, threads
        on_all, address, of_thread = (
            bytes_out >= self.parallel_bytes and threads > 1,
            job.ctypes.data,
            part.address,
        )

        def lookup(_held: Array = (table, indices, scales, job, kernel)) -> Array:  # the job points into them
            if on_all:
                every(address, of_thread)
            else:
                one(address)
            return out

        return lookup
