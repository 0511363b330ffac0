"""Instructions that Numba has no words for, emitted as LLVM: of addresses, which are integers of 64 bits."""

import platform
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

X86 = platform.machine() in ("x86_64", "AMD64")
LINE = 64  # bytes of a cache line


def operation(emit: Callable[..., Any], returns: bool = True) -> Any:
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


def compiled(function: Callable[..., Any]) -> Any:
    from numba import njit

    return njit(function, forceinline=True)


def at(b: Any, address: Any, kind: Any) -> Any:
    return b.inttoptr(address, kind.as_pointer())


@cache
def memory() -> tuple[Any, ...]:
    """Loads of 4 and 8 bytes, the store of 8, and the fence after streaming stores."""
    from llvmlite import ir

    i32, i64 = ir.IntType(32), ir.IntType(64)
    load4 = operation(lambda b, a: b.sext(b.load(at(b, a, i32), align=1), i64))
    load8 = operation(lambda b, a: b.load(at(b, a, i64), align=1))
    store8 = operation(lambda b, a, value: b.store(value, at(b, a, i64)), returns=False)
    return load4, load8, store8, operation(lambda b: b.fence("seq_cst"), returns=False)


@cache
def copies() -> tuple[Any, ...]:
    """Copies of a line past the caches, and of 64, 32, 16, 8, 4, 2 and 1 bytes through them."""
    from llvmlite import ir

    def copy(b: Any, to: Any, source: Any, size: int) -> Any:
        kind = ir.VectorType(ir.IntType(8), size)
        return b.store(b.load(at(b, source, kind), align=1), at(b, to, kind), align=1)

    def copier(size: int) -> Any:
        return operation(lambda b, to, source: copy(b, to, source, size), returns=False)

    def stream64(b: Any, to: Any, source: Any) -> None:  # to: on a 64-byte boundary
        store = copy(b, to, source, 64)
        store.align = 64
        store.set_metadata("nontemporal", b.module.add_metadata([ir.IntType(32)(1)]))

    return operation(stream64, returns=False), *map(copier, (64, 32, 16, 8, 4, 2, 1))


def prefetch_line(b: Any, address: Any, near: int) -> None:
    """Emit the prefetch of a line for reading, into the cache of level 3, 2 or 1: ``near`` 1, 2 or 3."""
    from llvmlite import ir

    i8, i32 = ir.IntType(8), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32])
    function = b.module.declare_intrinsic("llvm.prefetch", [i8.as_pointer()], kind)
    b.call(function, [at(b, address, i8), i32(0), i32(near), i32(1)])  # for reading, so near, as data


@cache
def prefetcher(near: int) -> Any:
    """``prefetch(address)`` of a line."""
    return operation(lambda b, address: prefetch_line(b, address, near), returns=False)


@cache
def calls() -> tuple[Any, ...]:
    """An atomic count, this thread's number, and calls of GOMP_parallel and of a kernel, all by address."""
    from llvmlite import ir

    i32, i64, void = ir.IntType(32), ir.IntType(64), ir.VoidType()

    def run(b: Any, function: Any, copy: Any, job: Any) -> None:  # GOMP_parallel; 0 threads: as many as usual
        b.call(at(b, function, ir.FunctionType(void, [i64, i64, i32, i32])), [copy, job, i32(0), i32(0)])

    def kernel(b: Any, function: Any, job: Any, first: Any, last: Any, end: Any, warm: Any) -> None:
        b.call(at(b, function, ir.FunctionType(void, [i64] * 5)), [job, first, last, end, warm])

    count = operation(lambda b, a: b.atomic_rmw("add", at(b, a, i64), i64(1), "monotonic"))
    thread = operation(lambda b, f: b.sext(b.call(at(b, f, ir.FunctionType(i32, [])), []), i64))
    return count, thread, operation(run, returns=False), operation(kernel, returns=False)


@cache
def clock() -> Any:
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
        b.load_atomic(at(b, address, i64), "acquire", 8)  # a plain load would be optimised away
        ask("sse2.lfence", void)
        return b.sub(ask("rdtsc", i64), start)

    return operation(latency)


def two_pieces(width: int, piece: Any, shorter: Any) -> Any:
    @compiled
    def copy(to: int, source: int, size: int) -> None:
        if size >= width:
            piece(to, source)
            piece(to + size - width, source + size - width)
        else:
            shorter(to, source, size)

    return copy


@cache
def short_copier() -> Any:
    """``copy(to, source, size)`` of less than a line, as two pieces that may overlap."""
    _, _, *pieces = copies()
    copy = compiled(lambda to, source, size: None)
    for width, piece in zip((1, 2, 4, 8, 16, 32), reversed(pieces), strict=True):
        copy = two_pieces(width, piece, copy)
    return copy
