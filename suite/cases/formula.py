"""What every element of a table is: a hash of its row and column. The same lines serve NumPy and torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from suite.cases.dtypes import DTYPE_BYTES

Array = Any
Empty = Callable[[tuple[int, ...]], Array]
"""Makes an uninitialised int32 array of a shape, on the device where the rows are."""

HOST_CHUNK = 2**18
"""Elements hashed at once by one thread: large enough that NumPy's calls outweigh the interpreter's lock."""
CUDA_CHUNK = 2**24

# Where a float's exponent is all ones it is NaN or infinite (float8_e4m3fn: where all but the sign are).
_NOT_FINITE = {
    "float32": 0x7F800000,
    "float16": 0x7C000000,
    "bfloat16": 0x7F800000,
    "float8_e4m3fn": 0x7F000000,
}
_MIX = ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32), (16, 1))
_COLUMN = 0x9E3779B1 - 2**32


def expected(
    rows: Array, dim: int, dtype: str, empty: Empty, chunk: int = HOST_CHUNK, first_column: int = 0
) -> Iterator[tuple[slice, Array]]:
    """The rows that a lookup of ``rows`` must return, a chunk at a time.

    The mixer is lowbias32 (C. Wellons, "Prospecting for Hash Functions", 2018), a bijection of 32 bits, so no
    two rows of a table start from the same number. A narrower element is the top bits of the 32. A float has
    the top bit of its exponent inverted where it would not be finite.

    Args:
        rows: (n,) row numbers of any integer type, NumPy or torch.
        empty: makes int32 arrays beside them.
        first_column: of the ``dim`` columns, where they are not all that the table has.

    Yields:
        Where in ``rows`` the chunk stands, and (len(chunk), dim) int32: each element's bits, sign-extended.
        The array is used again for the next chunk.
    """
    shift = 32 - 8 * DTYPE_BYTES[dtype]
    step = max(1, min(chunk // dim, len(rows)))
    columns, x, t = empty((1, dim)), empty((step, dim)), empty((step, dim))
    r, s = empty((step, 1)), empty((step, 1))
    columns[...] = 1
    columns = (columns.cumsum(1) + first_column) * _COLUMN
    for start in range(0, len(rows), step):
        n = min(step, len(rows) - start)
        r[:n] = rows[start : start + n, None]
        _mix(r[:n], s[:n])
        x[:n] = columns
        x[:n] += r[:n]
        _mix(x[:n], t[:n])
        if dtype in _NOT_FINITE:
            _make_finite(x[:n], t[:n], _NOT_FINITE[dtype])
        if shift:
            x >>= shift
        yield slice(start, start + n), x[:n]


def _mix(x: Array, t: Array) -> None:
    for shift, factor in _MIX:
        t[...] = x
        t >>= shift
        t &= (1 << (32 - shift)) - 1
        x ^= t
        if factor != 1:
            x *= factor


def _make_finite(x: Array, t: Array, mask: int) -> None:
    # Adding the mask's lowest bit carries into the sign only if every bit of the mask is set.
    t[...] = x
    t &= mask
    t += mask & -mask
    t >>= 1
    t &= 0x40000000
    x ^= t


def parallel(work: Callable[[slice], Any], rows: int) -> list[Any]:
    """Call ``work`` on shares of the rows, one thread a processor this process may use; results in order.

    Where the system lets no thread start, the calling one does all, some shares perhaps again.
    """
    workers = len(os.sched_getaffinity(0))
    step = -(-rows // min(rows, 4 * workers))
    shares = [slice(a, min(a + step, rows)) for a in range(0, rows, step)]
    with ThreadPoolExecutor(workers) as pool:
        try:
            asked = [pool.submit(work, share) for share in shares]
        except RuntimeError:  # of a thread: what the work itself raises is in its future
            pool.shutdown(cancel_futures=True)
        else:
            return [future.result() for future in asked]
    return [work(share) for share in shares]
