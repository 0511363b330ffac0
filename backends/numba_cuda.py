"""Numba CUDA gather: rows seen as 8-byte integers where they are aligned, four loads in flight per thread."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from backends.base import Array, Backend, BackendUnavailable, Lookup, current_stream

cuda: Any = None  # set in prepare; a global, since that is what Numba's simulator replaces in a kernel


def gather_rows(table: Array, ids: Array, out: Array, tall: int) -> None:
    """The kernel: out[t, c] = table[ids[t], c].

    threadIdx.x walks the columns, threadIdx.y the tokens of a block; blockIdx likewise. A thread moves four
    elements: of four tokens if tall is 1, of one token's row if it is 0. It loads all four before it stores
    one; past the end of the batch or of the row it loads the last one again, so no branch parts the loads.
    """
    batch, columns = out.shape
    lanes, groups = cuda.blockDim.x, cuda.blockDim.y
    down, across = groups * tall, lanes * (1 - tall)
    block_tokens, block_columns = groups + 3 * down, lanes + 3 * across
    c0 = cuda.blockIdx.x * block_columns + cuda.threadIdx.x
    c1, c2, c3 = c0 + across, c0 + 2 * across, c0 + 3 * across
    t0 = cuda.blockIdx.y * block_tokens + cuda.threadIdx.y
    final, edge = batch - 1, columns - 1
    while c0 < columns and t0 < batch:
        t1, t2, t3 = t0 + down, t0 + 2 * down, t0 + 3 * down
        id0, id1, id2, id3 = ids[t0], ids[min(t1, final)], ids[min(t2, final)], ids[min(t3, final)]
        v0, v1 = table[id0, c0], table[id1, min(c1, edge)]
        v2, v3 = table[id2, min(c2, edge)], table[id3, min(c3, edge)]
        out[t0, c0] = v0
        if t1 < batch and c1 < columns:
            out[t1, c1] = v1
        if t2 < batch and c2 < columns:
            out[t2, c2] = v2
        if t3 < batch and c3 < columns:
            out[t3, c3] = v3
        # The y extent of a grid ends at 65535 blocks: a longer batch comes round again.
        t0 += cuda.gridDim.y * block_tokens


class Geometry(NamedTuple):
    """The type as which rows are moved, and how to launch."""

    view: np.dtype[Any]
    tall: int
    grid: tuple[int, int]
    block: tuple[int, int]


def geometry(row_bytes: int, batch: int, addresses: int, processors: int) -> Geometry:
    """How to launch for rows of this size.

    Args:
        addresses: the base addresses of table and out, or-ed; their low zero bits are the alignment.
        processors: how many multiprocessors there are to fill.
    """
    bits = row_bytes | addresses
    width = min(8, bits & -bits)
    columns = row_bytes // width
    # Four steps along a row must each be a 128-byte line, or 32 narrow elements; shorter rows go by fours.
    tall = int(columns < 4 * min(32, 128 // width))
    steps, threads = 1 if tall else 4, 256
    while True:
        segments = -(-columns // (steps * threads))
        lanes = -(-columns // (steps * segments))
        groups = threads // lanes
        blocks = -(-batch // (groups * 4 if tall else groups))
        if segments * blocks >= 2 * processors or threads == 64:
            grid = segments, min(max(blocks, 1), 65535)
            return Geometry(np.dtype(f"i{width}"), tall, grid, (lanes, groups))
        threads //= 2


@cache
def dispatcher(kernel: Callable[..., None]) -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    return cuda.jit(kernel)


def configure(
    table: Array, indices: Array, out: Array, addresses: int, processors: int, stream: Any = 0
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Compile for these arrays, Numba's own or the simulator's; the launch on a stream and its arguments."""
    batch, dim = out.shape
    view, tall, grid, block = geometry(dim * out.dtype.itemsize, batch, addresses, processors)
    arguments = (table.view(view), indices, out.view(view), tall)
    kernel = dispatcher(gather_rows).specialize(*arguments)
    with warnings.catch_warnings():  # about a small grid, which is all that a few tokens need
        warnings.simplefilter("ignore")
        return kernel[grid, block, stream], arguments  # stream 0 is CUDA's legacy default stream


class NumbaCuda(Backend):
    devices = ("cuda",)
    packages = ("numba-cuda>=0.30.4|numba-cuda-mlir|numba",)
    whose = "suite"
    stream = "current"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        global cuda  # noqa: PLW0603
        vars(np).setdefault("row_stack", np.vstack)  # not in NumPy 2.5; numba-cuda 0.30 still uses it
        # numba-cuda replaces numba.cuda; its successor has a module of its own.
        successor = find_spec("numba_cuda") is None and find_spec("numba_cuda_mlir") is not None
        try:
            cuda = importlib.import_module("numba_cuda_mlir.cuda" if successor else "numba.cuda")
        except (ImportError, AttributeError) as error:  # beside a Numba or NumPy that it does not know
            raise BackendUnavailable(f"numba.cuda can't be loaded: {error}") from error
        if not cuda.is_available():
            raise BackendUnavailable(f"{cuda.__name__}: {cuda.cuda_error() or 'NVVM is missing'}")
        cuda.select_device(table.device.index)
        # Numba's own arrays: others are wrapped anew at each launch, which costs more than the launch.
        rows, ids, result = map(cuda.as_cuda_array, (table, indices, out))
        processors = cuda.get_current_device().MULTIPROCESSOR_COUNT
        bases, address = table.data_ptr() | out.data_ptr(), current_stream(table)
        stream = cuda.external_stream(address) if address else 0
        launch, arguments = configure(rows, ids, result, bases, processors, stream)

        def lookup() -> Array:
            launch(*arguments)
            return out

        return lookup
