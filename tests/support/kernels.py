"""CUDA C++ kernels run by a compiler for the host: each byte they move is checked, and no other may move."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from backends import Backend
from backends.cupy_rawkernel import CupyRawKernel
from tests.stand_ins import cuda_shim
from tests.stand_ins.cuda_shim import nvrtc

torch = pytest.importorskip("torch")

needs_compiler = pytest.mark.skipif(cuda_shim.COMPILER is None, reason="no g++ or clang++ on PATH")
needs_nvrtc = pytest.mark.skipif(nvrtc.library() is None, reason="nvidia-cuda-nvrtc is not installed")


def needs_driver() -> None:
    """Skip where a GPU is stood in for: what calls the CUDA driver itself finds none."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("no GPU: there is no libcuda.so.1")


GUARD_BYTES, CANARY = 4096, 0xA5
Array = np.ndarray[Any, Any]


def table_of(noise: Array, vocab: int, dim: int, dtype: type, shift: int = 0) -> Array:
    """A (vocab, dim) table in the noise, its base `shift` elements off the widest alignment."""
    elements = noise.view(dtype)[shift:]
    vocab = min(vocab, len(elements) // dim)
    return elements[: vocab * dim].reshape(vocab, dim)


def ids_of(kind: str, vocab: int, batch: int, dtype: type) -> Array:
    """Ids that are all equal, in order, or random with the table's last row first and last."""
    if kind == "equal":
        return np.full(batch, vocab - 1, dtype)
    ids = np.random.default_rng(batch).integers(0, vocab, batch).astype(dtype)
    if kind == "sorted":
        ids.sort()
    else:
        ids[[0, -1]] = vocab - 1
    return ids


def check(
    library: cuda_shim.Library,
    table: Array,
    ids: Array,
    shift: int = 0,
    processors: int = 132,
    backend: type[Backend] = CupyRawKernel,
) -> None:
    """Run the backend's own prepare and lookup, and assert that every byte it moved, and no other, is right.

    Args:
        shift: how many elements the base of out is off the widest alignment.
        processors: as many multiprocessors the device says to have.
    """
    start, size = GUARD_BYTES + shift * table.itemsize, len(ids) * table.shape[1] * table.itemsize
    memory = np.full(start + size + GUARD_BYTES, CANARY, np.uint8)
    out = memory[start : start + size].view(table.dtype).reshape(len(ids), table.shape[1])
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, processors)):
        lookup = backend().prepare(*map(torch.from_numpy, (table, ids, out)))
    watch = library.watch
    for array, seen in ((table, watch.table), (ids, watch.ids), (out, watch.out)):
        seen.start, seen.stop = array.ctypes.data, array.ctypes.data + array.nbytes
    for _ in range(2 if size < 1 << 20 else 1):
        watch.misaligned = watch.outside = watch.stored_bytes = 0
        assert lookup().data_ptr() == (out.ctypes.data if out.size else 0)
        assert np.array_equal(out, np.take(table, ids, axis=0))
        assert (memory[:start] == CANARY).all()
        assert (memory[start + size :] == CANARY).all()
        assert (watch.misaligned, watch.outside, watch.stored_bytes) == (0, 0, size)
        ids[:] = ids[::-1].copy()  # the next call must see the ids as they are then


BEYOND = {
    "bytes": (2**31 // 129 + 9, 129, np.int8),
    "4-byte elements": (2**31 // 129 + 9, 129, np.int32),
    "16-byte vectors": (2**31 // 512 + 9, 2048, np.int32),
}


def sparse(rows: int, dim: int, dtype: type) -> Array:
    """An array of zeros; pages that nobody writes are never allocated."""
    no_reserve = 0x4000  # Linux's MAP_NORESERVE
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
    try:
        memory = mmap.mmap(-1, rows * dim * np.dtype(dtype).itemsize, flags)
    except OSError as error:
        pytest.skip(f"so much address space can't be had: {error}")
    return np.frombuffer(memory, dtype).reshape(rows, dim)


def check_beyond(
    library: cuda_shim.Library,
    past: str,
    backend: type[Backend] = CupyRawKernel,
    index: type = np.int64,
) -> None:
    """Look up the last rows of a table past 2^31."""
    vocab, dim, dtype = BEYOND[past]
    table = sparse(vocab, dim, dtype)
    table[-5:] = np.arange(5 * dim).reshape(5, dim).astype(dtype)
    ids = np.array([vocab - 1, vocab - 3, vocab - 5, vocab - 2] * 5, index)
    check(library, table, ids, backend=backend)


FAR_ROW = 2**16
"""Bytes of a row in an output of more than 2^31 elements, so that few tokens are enough."""
LAST = 5


def check_far_out(
    library: cuda_shim.Library, backend: type[Backend] = CupyRawKernel, index: type = np.int64
) -> None:
    """Look up into an output past 2^31 elements, of which only the last rows may be written."""
    table = np.random.default_rng(1).integers(-128, 128, (7, FAR_ROW)).astype(np.int8)
    ids = np.resize(np.array([6, 3, 0], index), 2**31 // FAR_ROW + 10)
    out = sparse(len(ids), FAR_ROW, np.int8)
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, 132)):
        lookup = backend().prepare(*map(torch.from_numpy, (table, ids, out)))
    watch = library.watch
    for array, seen in ((table, watch.table), (ids, watch.ids), (out[-LAST:], watch.out)):
        seen.start, seen.stop = array.ctypes.data, array.ctypes.data + array.nbytes
    watch.misaligned = watch.outside = watch.stored_bytes = 0
    lookup()
    assert np.array_equal(out[-LAST:], table[ids[-LAST:]])
    assert (watch.misaligned, watch.stored_bytes) == (0, LAST * FAR_ROW)


ROWS = (*(1, 2, 3, 4, 6, 8, 12, 15, 16, 17, 24, 31, 32, 48, 64, 100), *(127, 255, 1000, 4097, 65535, 65536))
"""Bytes of a row, up to 64 KB."""
SHIFTS = ((0, 0), (1, 0), (0, 1), (2, 4), (4, 2), (8, 0), (0, 8), (8, 8), (3, 5), (12, 6), (16, 16))
"""Bytes by which table and output lie off the widest alignment."""


def check_bytes(library: cuda_shim.Library, noise: Array, row: int, shifts: tuple[int, int]) -> None:
    """Rows of so many bytes, of a table and an output that begin at these bytes, by ids of 4."""
    table = table_of(noise, 40, row, np.int8, shifts[0])
    check(library, table, ids_of("random", len(table), 11, np.int32), shifts[1], 4)


def check_batches(library: cuda_shim.Library, noise: Array, backend: type[Backend]) -> None:
    """None at all, and 2^20."""
    table = table_of(noise, 1000, 4, np.int32)
    check(library, table, np.zeros(0, np.int32), backend=backend)
    check(library, table, ids_of("random", len(table), 1 << 20, np.int32), backend=backend)
