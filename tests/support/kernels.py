"""CUDA C++ kernels run by a compiler for the host: each byte they move is checked, and no other may move."""

from __future__ import annotations

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
    out = memory[start : start + size].view(table.dtype).reshape(len(ids), -1)
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, processors)):
        lookup = backend().prepare(*map(torch.from_numpy, (table, ids, out)))
    watch = library.watch
    for array, seen in ((table, watch.table), (ids, watch.ids), (out, watch.out)):
        seen.start, seen.stop = array.ctypes.data, array.ctypes.data + array.nbytes
    for _ in range(2 if size < 1 << 20 else 1):
        watch.misaligned = watch.outside = watch.stored_bytes = 0
        assert lookup().data_ptr() == out.ctypes.data
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


def check_beyond(library: cuda_shim.Library, past: str, backend: type[Backend] = CupyRawKernel) -> None:
    """Look up the last rows of a table past 2^31; pages that nobody touches are never allocated."""
    vocab, dim, dtype = BEYOND[past]
    no_reserve = 0x4000  # Linux's MAP_NORESERVE
    try:
        memory = mmap.mmap(
            -1, vocab * dim * np.dtype(dtype).itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
        )
    except OSError as error:
        pytest.skip(f"so much address space can't be had: {error}")
    table = np.frombuffer(memory, dtype).reshape(vocab, dim)
    table[-5:] = np.arange(5 * dim).reshape(5, dim).astype(dtype)
    ids = np.array([vocab - 1, vocab - 3, vocab - 5, vocab - 2] * 5, np.int64)
    check(library, table, ids, backend=backend)
