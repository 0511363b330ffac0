"""The Numba CUDA kernel as machine code of the host: its own text, one thread after another, bounds checked.

Numba types the names of a launch as 32-bit integers, as here, and all that is computed from them as the text
says; so what would overflow on a GPU overflows here, where the simulator computes with Python's numbers.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from backends import numba_cuda

Array = np.ndarray[Any, Any]
PLACES = ("blockIdx_x", "blockIdx_y", "threadIdx_x", "threadIdx_y")
SIZES = ("gridDim_y", "blockDim_x", "blockDim_y")
SOURCE = inspect.getsource(numba_cuda.gather_rows)


def kernel(source: str = SOURCE) -> Any:
    """What one thread does, compiled; its arguments are the kernel's, then PLACES and SIZES."""
    text = re.sub(r"cuda\.(\w+)\.([xy])", r"\1_\2", source)
    assert "cuda." not in text
    text = re.sub(r"tall: int\)", f"tall, {', '.join((*PLACES, *SIZES))})", text)
    names: dict[str, Any] = {"Array": Any, "np": np}
    exec(text, names)
    return numba.njit(boundscheck=True)(names["gather_rows"])


def launcher(thread: Any) -> Callable[..., None]:
    """Runs it over a grid: table, ids, out, tall, grid, block, and the row of blocks to begin with."""

    @numba.njit
    def run(table, ids, out, tall, grid, block, first=0):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        for by in range(first, grid[1]):
            for bx in range(grid[0]):
                for ty in range(block[1]):
                    for tx in range(block[0]):
                        thread(
                            *(table, ids, out, tall, np.int32(bx), np.int32(by), np.int32(tx)),
                            *(np.int32(ty), np.int32(grid[1]), np.int32(block[0]), np.int32(block[1])),
                        )

    return run  # type: ignore[no-any-return]


def looked_up(run: Callable[..., None], table: Array, ids: Array, out: Array, processors: int = 132) -> None:
    """A launch as the backend configures it."""
    addresses = table.ctypes.data | out.ctypes.data
    made = numba_cuda.geometry(out.shape[1] * out.itemsize, len(ids), addresses, processors)
    run(table.view(made.view), ids, out.view(made.view), made.tall, made.grid, made.block)
