"""Triton SGD by atomic adds: a program a gradient and tile takes its share off the row, in any order."""

from __future__ import annotations

from functools import cache
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported

tl: Any = None  # set in prepare; Triton finds the names a kernel uses among its module's globals
WIDEST = 1024


def take_rows(  # type: ignore[no-untyped-def]
    ids, gradients, table, columns, rate, wide: tl.constexpr
):  # fmt: skip
    """The kernel: table[ids[n], c] -= rate * gradients[n, c]; offsets into memory have 64 bits."""
    place = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
    row = tl.load(ids + place).to(tl.int64)
    values = tl.load(gradients + place * columns + column, mask=column < columns, other=0.0)
    steps = (-rate * values.to(tl.float32)).to(values.dtype)
    tl.atomic_add(table + row * columns + column, steps, mask=column < columns, sem="relaxed")


@cache
def compiler() -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    import triton

    return triton.jit(take_rows)


def configure(table: Array, indices: Array, gradients: Array, rate: float) -> Any:
    """A call that launches the kernel."""
    global tl  # noqa: PLW0603
    try:
        import triton.language as tl
    except ImportError as error:
        raise BackendUnavailable(str(error)) from error
    batch, columns = gradients.shape
    wide = min(WIDEST, 1 << (columns - 1).bit_length())
    launch = compiler()[batch, -(-columns // wide)]

    def lookup() -> Array:
        launch(indices, gradients, table, columns, rate, wide)
        return table

    return lookup


class TritonUpdateAtomic(Backend):
    operation = "update"
    devices = ("cuda",)
    view = "values"
    dtypes = ("float32", "float16")
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
        if variant != "sgd":
            raise Unsupported("the root of a sum of squares needs the whole sum first")
        lookup: Lookup = configure(table, indices, gradients, learning_rate)
        lookup()  # compiles
        return lookup
