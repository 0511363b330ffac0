"""Numba on the CPU, on torch's threads: a bag is added up in registers while later rows are prefetched."""

from functools import cache
from typing import Any, ClassVar

from backends.base import Array, Backend, Lookup
from backends.compiled.instructions import LINE, at, memory, operation, prefetch_line
from backends.compiled.job import AHEAD, ID_BYTES, IDS, KERNEL_TYPE, OUT, OWN, ROW_BYTES, TABLE, made, runner

OFFSETS, WEIGHTS, MEAN = range(OWN, OWN + 3)
WIDEST = 128  # columns whose sums fit the registers
NEAR = 2  # rows to come are asked for into the second level of cache


def _pieces(columns: int) -> tuple[tuple[int, int], ...]:
    """Where the vectors begin that so many columns are, and how wide they are: powers of two."""
    found, start = [], 0
    while start < columns:
        width = min(WIDEST, 1 << (columns - start).bit_length() - 1)
        found.append((start, width))
        start += width
    return tuple(found)


def _wide(b: Any, bits: Any, dtype: str) -> Any:
    """Numbers of a type, one or a vector, as float32."""
    from llvmlite import ir

    count = getattr(bits.type, "count", 0)
    single, word = ir.FloatType(), ir.IntType(32)
    floats, words = (ir.VectorType(t, count) if count else t for t in (single, word))
    if dtype == "float32":
        return bits
    if dtype == "float16":
        return b.fpext(bits, floats)
    upper = ir.Constant(words, [16] * count if count else 16)
    return b.bitcast(b.shl(b.zext(bits, words), upper), floats)


def _narrow(b: Any, sums: Any, dtype: str) -> Any:
    """A vector of float32 as numbers of a type: the nearest, an even one of two."""
    from llvmlite import ir

    count = sums.type.count
    if dtype == "float32":
        return sums
    if dtype == "float16":
        return b.fptrunc(sums, ir.VectorType(ir.HalfType(), count))
    words = ir.VectorType(ir.IntType(32), count)

    def all_of(value: int) -> Any:
        return ir.Constant(words, [value] * count)

    bits = b.bitcast(sums, words)
    odd = b.and_(b.lshr(bits, all_of(16)), all_of(1))
    rounded = b.lshr(b.add(b.add(bits, all_of(0x7FFF)), odd), all_of(16))
    return b.trunc(rounded, ir.VectorType(ir.IntType(16), count))


def _splat(b: Any, one: Any, width: int) -> Any:
    """A vector of one float32 over and over."""
    from llvmlite import ir

    kind = ir.VectorType(ir.FloatType(), width)
    first = b.insert_element(ir.Constant(kind, ir.Undefined), one, ir.Constant(ir.IntType(32), 0))
    return b.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width))


@cache
def _element(dtype: str) -> tuple[Any, int]:
    """The type of an element as LLVM has it, and its bytes."""
    from llvmlite import ir

    kinds = {"float32": (ir.FloatType(), 4), "float16": (ir.HalfType(), 2), "bfloat16": (ir.IntType(16), 2)}
    return kinds[dtype]


Sums = list[tuple[Any, int, int]]
"""Of each piece where its sums are kept, its first column and its width."""


def _add_row(b: Any, sums: Sums, row: Any, factor: Any, dtype: str) -> None:
    """Emit the addition of a row, times the factor if there is one, to the sums."""
    from llvmlite import ir

    element, item = _element(dtype)
    for place, start, width in sums:
        address = b.add(row, ir.IntType(64)(start * item))
        values = _wide(b, b.load(at(b, address, ir.VectorType(element, width)), align=1), dtype)
        values = values if factor is None else b.fmul(values, _splat(b, factor, width))
        b.store(b.fadd(b.load(place), values), place)


def _write(b: Any, sums: Sums, out: Any, divisor: Any, dtype: str) -> None:
    """Emit the store of the sums over the divisor."""
    from llvmlite import ir

    for place, start, width in sums:
        over = _splat(b, b.sitofp(divisor, ir.FloatType()), width)
        result = _narrow(b, b.fdiv(b.load(place), over), dtype)
        address = b.add(out, ir.IntType(64)(start * _element(dtype)[1]))
        b.store(result, at(b, address, result.type), align=1)


@cache
def _adder(columns: int, dtype: str, id_bytes: int, weighted: bool) -> Any:
    """``add(table, ids, weights, first, last, ahead, limit, size, out, divisor)`` of some columns of a bag.

    It adds up the rows of ids first to last, prefetches the row ``ahead`` ids later, or that of ``limit``,
    and writes the sum over ``divisor``.
    """
    from llvmlite import ir
    from numba.core import cgutils

    i64, (element, item) = ir.IntType(64), _element(dtype)

    def add(  # type: ignore[no-untyped-def]  # an operand each, since Numba reads their number off it
        b, table, ids, weights, first, last, ahead, limit, size, out, divisor
    ):
        sums: Sums = []
        for start, width in _pieces(columns):
            kind = ir.VectorType(ir.FloatType(), width)
            sums.append((cgutils.alloca_once(b, kind), start, width))
            b.store(ir.Constant(kind, [0.0] * width), sums[-1][0])

        def row(i: Any) -> Any:
            place = at(b, b.add(ids, b.mul(i, i64(id_bytes))), ir.IntType(8 * id_bytes))
            number = b.load(place, align=1)
            return b.add(table, b.mul(size, b.sext(number, i64) if id_bytes < 8 else number))

        with cgutils.for_range_slice(b, first, last, i64(1), i64) as (i, _):
            later = b.add(i, ahead)
            beyond = row(b.select(b.icmp_signed("<", later, limit), later, limit))
            for line in range(0, columns * item, LINE):
                prefetch_line(b, b.add(beyond, i64(line)), NEAR)
            factor = None
            if weighted:
                word = b.load(at(b, b.add(weights, b.mul(i, i64(item))), element), align=1)
                factor = _wide(b, word, dtype)
            _add_row(b, sums, row(i), factor, dtype)
        _write(b, sums, out, divisor, dtype)

    return operation(add, returns=False)


@cache
def _kernel(dim: int, dtype: str, id_bytes: int, weighted: bool) -> Any:
    """The kernel: adds up bags first to last of a job; prefetches rows up to those of bag ``end``."""
    from numba import cfunc

    load4, load8, _, _ = memory()
    item = 4 if dtype == "float32" else 2
    full, rest, step = dim // WIDEST, dim % WIDEST, WIDEST * item
    add_full = _adder(WIDEST, dtype, id_bytes, weighted)
    add_rest = _adder(rest, dtype, id_bytes, weighted) if rest else add_full
    load = load8 if id_bytes == 8 else load4

    def add_bags(job: int, first: int, last: int, end: int, warm: int) -> None:
        table, ids, out = load8(job + 8 * TABLE), load8(job + 8 * IDS), load8(job + 8 * OUT)
        offsets, weights = load8(job + 8 * OFFSETS), load8(job + 8 * WEIGHTS)
        size, ahead, mean = load8(job + 8 * ROW_BYTES), load8(job + 8 * AHEAD), load8(job + 8 * MEAN)
        limit = load(offsets + id_bytes * end) - 1
        start = load(offsets + id_bytes * first)
        for bag in range(first, last):
            stop = load(offsets + id_bytes * (bag + 1))
            divisor = max(1, stop - start) if mean else 1
            to = out + bag * size
            for k in range(full):
                at = k * step
                add_full(table + at, ids, weights, start, stop, ahead, limit, size, to + at, divisor)
            if rest:
                at = full * step
                add_rest(table + at, ids, weights, start, stop, ahead, limit, size, to + at, divisor)
            start = stop

    return cfunc(KERNEL_TYPE)(add_bags)


class NumbaBag(Backend):
    devices = ("cpu",)
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("numba", "torch")
    whose = "suite"
    operation = "bag"

    ahead_bytes: ClassVar[int] = 8192  # as far ahead as numba_cpu prefetches, and as many rows at most
    ahead_rows: ClassVar[int] = 32
    row_cost_bytes: ClassVar[int] = 256  # a row costs its bytes and, to find it, as much as these
    parallel_bytes: ClassVar[int] = 1 << 16

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        dtype, id_bytes = str(table.dtype).removeprefix("torch."), indices.element_size()
        size = table.shape[1] * table.element_size()
        cost = len(indices) * (size + self.row_cost_bytes)
        fields = {
            TABLE: table.data_ptr(),
            IDS: indices.data_ptr(),
            OUT: out.data_ptr(),
            OFFSETS: offsets.data_ptr(),
            WEIGHTS: 0 if weights is None else weights.data_ptr(),
            MEAN: mode == "mean",
            ROW_BYTES: size,
            ID_BYTES: id_bytes,
            AHEAD: max(4, min(self.ahead_rows, self.ahead_bytes // size)),
        }
        job = made(_kernel(table.shape[1], dtype, id_bytes, weights is not None), len(out), fields)
        run, address = runner(job, threaded=cost >= self.parallel_bytes), int(job.ctypes.data)
        held = table, indices, offsets, weights, job  # which points into them

        def lookup(_held: Array = held) -> Array:
            run(address)
            return out

        return lookup
