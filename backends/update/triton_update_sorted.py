"""Triton update by segments: torch sorts the ids, then a program sums an id's gradients and steps."""

from __future__ import annotations

from functools import cache
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported

tl: Any = None  # set in prepare; Triton finds the names a kernel uses among its module's globals
WIDEST = 4096


def update_segments(  # type: ignore[no-untyped-def]
    ids, order, gradients, table, state, batch, columns, count, rate, eps,
    adagrad: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    """The kernel: where a segment of the sorted ids begins, the sum of its gradients, and its row's step."""
    place = tl.program_id(0)
    column = tl.arange(0, wide)
    row = tl.load(ids + place)
    before = tl.load(ids + place - 1, mask=place > 0, other=-1)
    if row != before:
        total = tl.zeros((wide,), tl.float32)
        here = row
        while here == row:
            at = tl.load(order + place).to(tl.int64) * columns + column
            total += tl.load(gradients + at, mask=column < columns, other=0.0).to(tl.float32)
            place += 1
            here = tl.load(ids + place, mask=place < batch, other=-1)
        step = rate
        if adagrad:
            moment = tl.load(state + row) + tl.div_rn(tl.sum(total * total, axis=0), count)
            tl.store(state + row, moment)
            step = tl.div_rn(rate, tl.sqrt_rn(moment) + eps)
        target = table + row.to(tl.int64) * columns + column
        values = tl.load(target, mask=column < columns, other=0.0).to(tl.float32) - step * total
        tl.store(target, values.to(table.dtype.element_ty), mask=column < columns)


@cache
def compiler() -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    import triton

    return triton.jit(update_segments)


def configure(table: Array, indices: Array, gradients: Array, state: Array, rate: float, eps: float) -> Any:
    """A call that sorts the ids and launches the kernel."""
    global tl  # noqa: PLW0603
    try:
        import triton.language as tl
    except ImportError as error:
        raise BackendUnavailable(str(error)) from error
    batch, columns = gradients.shape
    if columns > WIDEST:
        raise Unsupported(f"holds a row in one program: at most {WIDEST:,} columns")
    launch, adagrad = compiler()[(batch,)], state is not None
    last = (table if state is None else state), batch, columns, float(columns), rate, eps, adagrad

    def lookup() -> Array:
        ids, order = indices.sort(stable=True)
        launch(ids, order, gradients, table, *last, 1 << (columns - 1).bit_length())
        return table

    return lookup


class TritonUpdateSorted(Backend):
    operation = "update"
    devices = ("cuda",)
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("triton",)
    whose = "suite"

    def prepare(
        self,
        table: Array,
        indices: Array,
        gradients: Array,
        out: Array,
        variant: str,
        learning_rate: float,
        eps: float,
        state: Array = None,
    ) -> Lookup:
        lookup: Lookup = configure(table, indices, gradients, state, learning_rate, eps)
        lookup()  # compiles
        return lookup
