"""Numba on the CPU, on torch's threads: prefetches later rows, dequantises a line of the result at a time."""

import sys
from functools import cache
from typing import Any, ClassVar

from backends.base import Array, Backend, Lookup
from backends.compiled.instructions import LINE, at, compiled, memory, operation, prefetcher
from backends.compiled.job import (
    AHEAD,
    ID_BYTES,
    IDS,
    KERNEL_TYPE,
    OUT,
    OWN,
    ROW_BYTES,
    STREAM,
    TABLE,
    last_level_cache_bytes,
    made,
    runner,
    streaming,
)
from backends.dequantised.base import Layout, layout_of

DIM, SCALES = OWN, OWN + 1
NEAR = 2  # rows to come are asked for into the second level of cache
UPPER = int(sys.byteorder == "little")  # which half of a float32 is its bfloat16


@cache
def _factor(scale: str, shift: int) -> Any:
    """``factor(address)``: the scale or bias there, times 2^shift, as the bits of a float32."""
    from llvmlite import ir

    i8, i16, i32, i64, f32 = (*map(ir.IntType, (8, 16, 32, 64)), ir.FloatType())

    def emit(b: Any, address: Any) -> Any:
        if scale == "e8m0":
            bits = b.shl(b.zext(b.load(at(b, address, i8)), i32), i32(23))
        elif scale == "bfloat16":
            bits = b.shl(b.zext(b.load(at(b, address, i16), align=1), i32), i32(16))
        elif scale == "float16":
            bits = b.bitcast(b.fpext(b.load(at(b, address, ir.HalfType()), align=1), f32), i32)
        else:
            bits = b.load(at(b, address, i32), align=1)
        value = b.fmul(b.bitcast(bits, f32), ir.Constant(f32, 2.0**shift))
        return b.zext(b.bitcast(value, i32), i64)

    return operation(emit)


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
        packed = b.load(at(b, source, half), align=1)
        low, high = (ir.Constant(half, [value] * (count // 2)) for value in (15, 4))
        order = [n // 2 + n % 2 * (count // 2) for n in range(count)]
        mask = ir.Constant(vector(i32), order)
        bytes_of = b.shuffle_vector(b.and_(packed, low), b.lshr(packed, high), mask)
    else:
        bytes_of = b.load(at(b, source, vector(i8)), align=1)
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

    i16, i32 = ir.IntType(16), ir.IntType(32)

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
        if result == "bfloat16":  # to the nearest, or the even one of two: the upper half of each
            bits = b.bitcast(values, vector(i32))
            odd = b.and_(b.lshr(bits, all_of(16)), all_of(1))
            halves = b.bitcast(b.add(b.add(bits, odd), all_of(0x7FFF)), ir.VectorType(i16, 2 * count))
            upper = ir.Constant(vector(i32), [2 * n + UPPER for n in range(count)])
            values = b.shuffle_vector(halves, halves, upper)
        elif result == "float16":
            values = b.fptrunc(values, vector(ir.HalfType()))
        width = count * _width(result)
        store = b.store(values, at(b, to, values.type), align=width if stream else 1)
        if stream:
            store.set_metadata("nontemporal", b.module.add_metadata([i32(1)]))

    return operation(emit, returns=False)


def _offset(offset: int) -> Any:
    """``offset_of(scale)``: so many times the scale, both the bits of a float32."""
    from llvmlite import ir

    i32, i64, f32 = ir.IntType(32), ir.IntType(64), ir.FloatType()

    def emit(b: Any, bits: Any) -> Any:
        value = b.fmul(b.bitcast(b.trunc(bits, i32), f32), ir.Constant(f32, float(offset)))
        return b.zext(b.bitcast(value, i32), i64)

    return operation(emit)


@cache
def _pieces(layout: Layout, result: str) -> Any:
    """``dequantise(to, source, later, c, end, scale, bias, stream)``: elements c to end of a row.

    Each line of codes that is read asks for that of the row to come, so that memory and arithmetic overlap.
    """
    width, half, widest = _width(result), layout.code == "int4", LINE // _width(result)
    prefetch, line_codes = prefetcher(NEAR), 2 * LINE if half else LINE

    def steps(count: int, shorter: Any) -> Any:
        piece, streamed = (_piece(layout, result, count, stream) for stream in (False, count == widest))

        @compiled
        def dequantise(
            to: int, source: int, later: int, c: int, end: int, scale: int, bias: int, stream: int
        ) -> None:
            while c <= end - count:
                place = c // 2 if half else c
                if c & (line_codes - 1) == 0:
                    prefetch(later + place)
                if stream:
                    streamed(to + c * width, source + place, scale, bias)
                else:
                    piece(to + c * width, source + place, scale, bias)
                c += count
            shorter(to, source, later, c, end, scale, bias, stream)

        return dequantise

    dequantise = compiled(lambda to, source, later, c, end, scale, bias, stream: None)
    for count in dict.fromkeys((4, 16, widest)):
        dequantise = steps(count, dequantise)
    return dequantise


@cache
def _row(layout: Layout, result: str) -> Any:
    """``dequantise(to, source, pair, later, dim, stream)`` of a row, from its codes and its scales on."""
    scale, block, apart = layout.scale or result, layout.block, layout.apart
    factor, bias_of = _factor(scale, 8 if layout.code == "fp8" else 0), _factor(scale, 0)
    offset_of, pieces, scale_bytes = _offset(layout.offset), _pieces(layout, result), _scale_bytes(scale)

    @compiled
    def dequantise(to: int, source: int, pair: int, later: int, dim: int, stream: int) -> None:
        each = block if block else dim
        for start in range(0, dim, each):
            times = factor(pair)
            plus = offset_of(times) if apart else bias_of(pair + scale_bytes)
            pieces(to, source, later, start, start + each, times, plus, stream)
            pair += scale_bytes

    return dequantise


def _width(result: str) -> int:
    return 4 if result == "float32" else 2


def _scale_bytes(scale: str) -> int:
    return {"float32": 4, "e8m0": 1}.get(scale, 2)


@cache
def _kernel(layout: Layout, result: str) -> Any:
    """The kernel: dequantises rows first to last of a job."""
    from numba import cfunc

    (load4, load8, _, fence), prefetch, dequantise = memory(), prefetcher(NEAR), _row(layout, result)
    width, scale_bytes = _width(result), _scale_bytes(layout.scale or result)
    apart, codes, inside, block = layout.apart, layout.codes, layout.scales or 0, layout.block
    from_end = inside < 0

    def dequantise_rows(job: int, first: int, last: int, end: int, warm: int) -> None:
        table, ids, out = load8(job + 8 * TABLE), load8(job + 8 * IDS), load8(job + 8 * OUT)
        scales, size, dim = load8(job + 8 * SCALES), load8(job + 8 * ROW_BYTES), load8(job + 8 * DIM)
        stream, ahead, id_bytes = load8(job + 8 * STREAM), load8(job + 8 * AHEAD), load8(job + 8 * ID_BYTES)
        of_row = dim // (block if block else dim) * scale_bytes
        for i in range(first - (0 if warm else ahead), last):
            k = min(i + ahead, end - 1)
            next_id = load8(ids + 8 * k) if id_bytes == 8 else load4(ids + 4 * k)
            later = table + next_id * size
            prefetch(later + size - 1)
            if apart:
                for done in range(0, of_row, LINE):
                    prefetch(scales + next_id * of_row + done)
            if i < first:
                for done in range(0, size, LINE):
                    prefetch(later + done)
                continue
            row = load8(ids + 8 * i) if id_bytes == 8 else load4(ids + 4 * i)
            source = table + row * size
            pair = scales + row * of_row if apart else source + inside + (size if from_end else 0)
            dequantise(out + i * dim * width, source + codes, pair, later, dim, stream)
        if stream:
            fence()

    return cfunc(KERNEL_TYPE)(dequantise_rows)


class NumbaDequantised(Backend):
    devices = ("cpu",)
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("numba", "torch")
    whose = "suite"
    operation = "dequantised"

    ahead_bytes: ClassVar[int] = 16384  # of rows to come that are asked for
    parallel_bytes: ClassVar[int] = 1 << 16  # of the result, from which on threads are worth it
    chunk_bytes: ClassVar[int] = 12 << 10  # of the result, that a thread takes at a time
    stream_fraction: ClassVar[float] = 1 / 4  # of the last-level cache: results from which on go past it
    stream_cold_fraction: ClassVar[float] = 1 / 128  # the same, of results that are in no cache

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        layout, (batch, dim), size = layout_of(variant), out.shape, table.shape[1]
        bytes_out = out.numel() * out.element_size()
        step = LINE // out.element_size()
        whole = out.data_ptr() % LINE == dim % step == (layout.block or step) % step == 0
        always, if_cold = (
            whole and bytes_out >= fraction * last_level_cache_bytes()
            for fraction in (self.stream_fraction, self.stream_cold_fraction)
        )
        fields = {
            TABLE: table.data_ptr(),
            IDS: indices.data_ptr(),
            OUT: out.data_ptr(),
            SCALES: scales.data_ptr() if scales is not None else 0,
            ROW_BYTES: size,
            ID_BYTES: indices.element_size(),
            DIM: dim,
            AHEAD: max(1, min(32, self.ahead_bytes // size)),
            **streaming(always, if_cold, bytes_out),
        }
        kernel = _kernel(layout, str(out.dtype).removeprefix("torch."))
        job = made(kernel, batch, fields, self.chunk_bytes * batch // bytes_out)
        run, address = runner(job, threaded=bytes_out >= self.parallel_bytes), int(job.ctypes.data)
        held = table, indices, scales, job  # which points into them

        def lookup(_held: Array = held) -> Array:
            run(address)
            return out

        return lookup
