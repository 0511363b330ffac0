"""The Numba kernel in Numba's CUDA simulator, and its geometry; the simulator needs a process of its own."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backends.numba_cuda as backend

CASES = (  # dim, dtype, batch, multiprocessors, elements that table and out are shifted by
    (1, np.int8, 17, 1, (0, 0)),
    (7, np.int16, 65, 132, (0, 0)),
    (100, np.int32, 17, 132, (0, 0)),
    (129, np.int8, 8, 1, (0, 0)),
    (256, np.int16, 5, 1, (0, 2)),
    (1601, np.int16, 1, 1, (0, 0)),
    (100, np.int32, 23, 1, (1, 0)),
    (8192, np.int8, 1, 132, (0, 0)),
    (8192, np.int32, 1, 1, (0, 0)),
)
MUTANTS = {
    "a column too many": ("c3 < columns", "c3 <= columns"),
    "a token too many": ("if t1 < batch and", "if t1 <= batch and"),
    "steps along a row overlap": ("c0 + 2 * across", "c0 + across"),
    "tokens of a thread overlap": ("t0 + 3 * down", "t0 + 2 * down"),
    "segments overlap": ("cuda.blockIdx.x * block_columns", "cuda.blockIdx.x * lanes"),
    "no second round": ("t0 += cuda.gridDim.y * block_tokens", "t0 = batch"),
    "one id for all": ("ids[min(t2, final)]", "ids[t0]"),
}


def check(dim: int, dtype: type, batch: int, processors: int, shifts: tuple[int, int]) -> bool:
    """Whether two launches, the second on other ids, move the rows and nothing beside them."""
    rng = np.random.default_rng(dim)
    item, vocab, guard = np.dtype(dtype).itemsize, 40, 64
    table = rng.integers(-128, 128, vocab * dim + shifts[0]).astype(dtype)[shifts[0] :].reshape(vocab, dim)
    memory = np.full((batch * dim + shifts[1]) * item + 2 * guard, 0xA5, np.uint8)
    start, stop = guard + shifts[1] * item, len(memory) - guard
    out = memory[start:stop].view(dtype).reshape(batch, dim)
    ids = rng.integers(0, vocab, batch).astype(np.int32 if dim % 2 else np.int64)
    ids[0] = vocab - 1
    launch, arguments = backend.configure(table, ids, out, table.ctypes.data | out.ctypes.data, processors)
    right = True
    for _ in range(2):
        launch(*arguments)
        right &= np.array_equal(out, table[ids])
        right &= bool((memory[:start] == 0xA5).all() and (memory[stop:] == 0xA5).all())
        ids[:] = ids[::-1].copy()
    return right


def check_round() -> bool:
    """Whether a batch that needs more blocks than the grid has comes round; with a grid of two blocks."""
    table, ids, out = np.arange(20).reshape(20, 1), np.arange(19), np.zeros((19, 1), np.int64)
    _, arguments = backend.configure(table, ids, out, 0, 1)
    backend.cuda.jit(backend.gather_rows)[(1, 2), (1, 2)](*arguments)
    return np.array_equal(out, table[ids])


def passes() -> bool:
    try:
        return check_round() and all(check(*case) for case in CASES)
    except (IndexError, AssertionError):  # how the simulator reports an access outside an array
        return False


def simulate() -> None:
    """What the child process does: print the name of each version of the kernel that passes."""
    from numba import cuda

    backend.cuda = cuda
    kernel, source = backend.gather_rows, inspect.getsource(backend.gather_rows)
    if passes():
        print("the source")
    configured = backend.configure(np.zeros((1, 3)), np.zeros(5, np.int64), np.zeros((5, 3)), 0, 1)
    assert backend.dispatcher.cache_info().currsize == 1, "a thousand lookups are compiled once"
    assert configured[1][2].shape == (5, 3)
    for fault, (right, wrong) in MUTANTS.items():
        assert source.count(right) == 1, fault
        exec(source.replace(right, wrong), vars(backend))
        if passes():
            print(fault)
        backend.gather_rows = kernel


def test_only_the_source_passes_in_the_simulator() -> None:
    """The kernel is right over the cases, and each of its mutants is caught by one of them."""
    pytest.importorskip("numba")
    home = Path(backend.__file__).parents[1]
    child = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines() == ["the source"]


@given(
    row_bytes=st.integers(1, 1 << 18),
    batch=st.integers(1, 1 << 22),
    address=st.integers(0, 15),
    processors=st.integers(1, 200),
)
@settings(deadline=None, derandomize=True, database=None)
def test_geometry_covers_every_element(row_bytes: int, batch: int, address: int, processors: int) -> None:
    view, tall, (segments, blocks), (lanes, groups) = backend.geometry(row_bytes, batch, address, processors)
    columns = row_bytes // view.itemsize
    wide, high = (lanes, 4 * groups) if tall else (4 * lanes, groups)
    assert columns * view.itemsize == row_bytes
    assert address % view.itemsize == 0
    assert 1 <= lanes * groups <= 256
    assert (segments - 1) * wide < columns <= segments * wide
    assert blocks == 65535 or (blocks - 1) * high < batch <= blocks * high


def test_no_ids_are_a_launch_that_a_driver_takes() -> None:
    assert backend.geometry(200, 0, 0, 132).grid == (1, 1)


if __name__ == "__main__":
    simulate()
