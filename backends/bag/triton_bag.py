"""Triton bags: a tile of a bag's rows by columns at a time, added up in float32, a program a bag and tile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup

tl: Any = None  # set in prepare; Triton finds the names a kernel uses among its module's globals
TILE = 2048  # elements added up side by side: 16 for each of 128 threads
ROWS = (4, 32)  # of a tile, at least and at most


def add_bags(  # type: ignore[no-untyped-def]
    table, ids, offsets, weights, out, columns,
    mean: tl.constexpr, weighted: tl.constexpr, high: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    """The kernel: out[b, c] = the sum over a bag's ids of table[id, c]; offsets into memory have 64 bits."""
    bag = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
    inside = column < columns
    start, end = tl.load(offsets + bag).to(tl.int64), tl.load(offsets + bag + 1).to(tl.int64)
    sums = tl.zeros((high, wide), tl.float32)
    for first in range(start, end, high):
        place = first + tl.arange(0, high)
        row = tl.load(ids + place, mask=place < end, other=0).to(tl.int64)
        here = (place < end)[:, None] & inside[None, :]
        values = tl.load(table + row[:, None] * columns + column[None, :], mask=here, other=0.0)
        if weighted:
            factor = tl.load(weights + place, mask=place < end, other=0.0).to(tl.float32)
            sums += values.to(tl.float32) * factor[:, None]
        else:
            sums += values.to(tl.float32)
    total = tl.sum(sums, axis=0)
    if mean:
        total = tl.div_rn(total, tl.maximum(end - start, 1).to(tl.float32))
    tl.store(out + bag * columns + column, total.to(out.dtype.element_ty), mask=inside)


@cache
def compiler() -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    import triton

    return triton.jit(add_bags)


def configure(
    table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array
) -> tuple[Callable[..., object], tuple[Any, ...]]:
    """The kernel bound to its grid, and its arguments."""
    global tl  # noqa: PLW0603
    try:
        import triton.language as tl
    except ImportError as error:
        raise BackendUnavailable(str(error)) from error
    bags, columns = out.shape
    wide = min(TILE // ROWS[0], 1 << (columns - 1).bit_length())
    high = min(TILE // wide, ROWS[1])
    tile = mode == "mean", weights is not None, high, wide
    given = table, indices, offsets, table if weights is None else weights, out, columns
    return compiler()[bags, -(-columns // wide)], (*given, *tile)


class TritonBag(Backend):
    devices = ("cuda",)
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("triton",)
    whose = "suite"
    stream = "current"
    operation = "bag"

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        launch, arguments = configure(table, indices, offsets, out, mode, weights)
        with warnings.catch_warnings():  # about float options, which say nothing of these sums
            warnings.simplefilter("ignore", UserWarning)
            try:
                launch(*arguments)  # compiles
            except RuntimeError as error:
                if "C compiler" not in str(error):
                    raise
                raise BackendUnavailable(f"Triton needs a C compiler: {error}") from error

        def lookup() -> Array:
            launch(*arguments)
            return out

        return lookup
