"""Triton gather: a tile of tokens by columns for each program, launched by Triton's own launcher."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from subprocess import CalledProcessError
from typing import Any, NamedTuple

from backends.base import Array, Backend, BackendUnavailable, Lookup

tl: Any = None  # set in prepare; Triton finds the names a kernel uses among its module's globals


def gather_rows(table, ids, out, batch, columns, high: tl.constexpr, wide: tl.constexpr):  # type: ignore[no-untyped-def]
    """The kernel: out[t, c] = table[ids[t], c] for one tile of tokens by columns; offsets have 64 bits."""
    token = tl.program_id(0).to(tl.int64) * high + tl.arange(0, high)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
    inside = (token < batch)[:, None] & (column < columns)[None, :]
    row = tl.load(ids + token, mask=token < batch, other=0).to(tl.int64)
    values = tl.load(table + row[:, None] * columns + column[None, :], mask=inside)
    tl.store(out + token[:, None] * columns + column[None, :], values, mask=inside, cache_modifier=".cs")


class Geometry(NamedTuple):
    """The width in bytes at which rows are moved, the tile, and the number of tiles."""

    width: int
    tile: tuple[int, int]
    grid: tuple[int, int]


def geometry(item: int, dim: int, batch: int, addresses: int, processors: int) -> Geometry:
    """How to launch for rows of this size.

    Args:
        item: bytes of an element.
        addresses: the base addresses of table and out, or-ed; their low zero bits are the alignment.
        processors: how many multiprocessors there are to fill.
    """
    bits = dim * item | addresses
    # Triton makes 16-byte vectors of any element when a row holds a multiple of 16; else wider ones help.
    width = item if dim % 16 == 0 and addresses % 16 == 0 else min(8, bits & -bits)
    columns = dim * item // width
    size = 8192 // width  # 64 bytes for each of 128 threads
    while True:
        wide = min(size, 1 << (columns - 1).bit_length())
        high = size // wide
        grid = -(-batch // high), -(-columns // wide)
        if grid[0] * grid[1] >= 2 * processors or size * width <= 1024:
            return Geometry(width, (high, wide), grid)
        size //= 2


@cache
def compiler() -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    import triton

    return triton.jit(gather_rows)


def configure(
    table: Array, indices: Array, out: Array, processors: int
) -> tuple[Callable[..., object], tuple[Any, ...]]:
    """The kernel bound to its grid, and its arguments."""
    global tl  # noqa: PLW0603
    try:
        import torch
        import triton.language as tl
    except ImportError as error:
        raise BackendUnavailable(str(error)) from error
    offsets = (table.storage_offset() | out.storage_offset()) * table.element_size()
    bases = table.data_ptr() | out.data_ptr() | offsets
    width, tile, grid = geometry(table.element_size(), table.shape[1], len(out), bases, processors)
    view = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[width]
    table, out = table.view(view), out.view(view)
    return compiler()[grid], (table, indices, out, *out.shape, *tile)


class TritonGather(Backend):
    devices = ("cuda",)
    packages = ("triton",)
    whose = "suite"
    stream = "current"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        import torch

        processors = torch.cuda.get_device_properties(table.device).multi_processor_count
        launch, arguments = configure(table, indices, out, processors)
        with warnings.catch_warnings():  # about float options, which a gather does not use
            warnings.simplefilter("ignore", UserWarning)
            try:
                launch(*arguments)  # compiles
            except (OSError, CalledProcessError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and "C compiler" not in str(error):
                    raise
                # For its launcher, not for the kernel: that it can't be had is no fault of the kernel.
                raise BackendUnavailable(
                    f"Triton needs a C compiler and Python's headers: {error}"
                ) from error

        def lookup() -> Array:
            launch(*arguments)
            return out

        return lookup
