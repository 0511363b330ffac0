"""Triton gradient by atomic adds: zeros all rows, then adds each gradient to its row, in any order."""

from __future__ import annotations

from functools import cache
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported

tl: Any = None  # set in prepare; Triton finds the names a kernel uses among its module's globals
WIDEST = 1024


def add_rows(ids, gradients, out, columns, wide: tl.constexpr):  # type: ignore[no-untyped-def]
    """The kernel: out[ids[n], c] += gradients[n, c]; offsets into memory have 64 bits."""
    place = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
    row = tl.load(ids + place).to(tl.int64)
    values = tl.load(gradients + place * columns + column, mask=column < columns, other=0.0)
    tl.atomic_add(out + row * columns + column, values, mask=column < columns, sem="relaxed")


@cache
def compiler() -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    import triton

    return triton.jit(add_rows)


def configure(indices: Array, gradients: Array, out: Array) -> Any:
    """A call that zeroes the output and launches the kernel."""
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
        launch(indices, gradients, out, columns, wide)
        return out

    return lookup


class TritonGradientAtomic(Backend):
    operation = "gradient"
    devices = ("cuda",)
    view = "values"
    dtypes = ("float32", "float16")
    packages = ("triton",)
    whose = "suite"

    def prepare(self, indices: Array, gradients: Array, out: Array, variant: str, vocab: int) -> Lookup:
        if variant != "dense":
            raise Unsupported("makes dense gradients")
        lookup: Lookup = configure(indices, gradients, out)
        lookup()  # compiles
        return lookup
