"""Triton gradient by segments: torch sorts the ids, then a program adds up the gradients of an id."""

from __future__ import annotations

from functools import cache
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported

tl: Any = None  # set in prepare; Triton finds the names a kernel uses among its module's globals
WIDEST = 1024


def add_segments(  # type: ignore[no-untyped-def]
    ids, order, gradients, out, batch, columns, wide: tl.constexpr
):  # fmt: skip
    """The kernel: where a segment of the sorted ids begins, out[id, c] = the sum of its gradients."""
    place = tl.program_id(0)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
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
        target = out + row.to(tl.int64) * columns + column
        tl.store(target, total.to(out.dtype.element_ty), mask=column < columns)


@cache
def compiler() -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    import triton

    return triton.jit(add_segments)


def configure(indices: Array, gradients: Array, out: Array) -> Any:
    """A call that zeroes the output, sorts the ids and launches the kernel."""
    global tl  # noqa: PLW0603
    try:
        import triton.language as tl
    except ImportError as error:
        raise BackendUnavailable(str(error)) from error
    batch, columns = gradients.shape
    wide = min(WIDEST, 1 << (columns - 1).bit_length())
    launch = compiler()[batch, -(-columns // wide)]

    def lookup() -> Array:
        out.zero_()
        ids, order = indices.sort(stable=True)
        launch(ids, order, gradients, out, batch, columns, wide)
        return out

    return lookup


class TritonGradientSorted(Backend):
    operation = "gradient"
    devices = ("cuda",)
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("triton",)
    whose = "suite"

    def prepare(self, indices: Array, gradients: Array, out: Array, variant: str, vocab: int) -> Lookup:
        if variant != "dense":
            raise Unsupported("makes dense gradients")
        lookup: Lookup = configure(indices, gradients, out)
        lookup()  # compiles
        return lookup
