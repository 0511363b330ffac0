"""The Numba kernel as machine code of the host: every size and offset, and past 32 bits; its mutants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("numba")

from backends import numba_cuda
from tests.support import numba_host
from tests.support.kernels import ROWS, SHIFTS, Array, ids_of, sparse, table_of
from tests.support.numba_host import SOURCE, looked_up

pytestmark = pytest.mark.slow
GUARD = 64
Run = Callable[..., None]
MUTANTS = {
    "a column too many": ("c3 < columns", "c3 <= columns"),
    "a token too many": ("if t1 < batch and", "if t1 <= batch and"),
    "reads past the row": ("min(c3, edge)", "c3"),
    "reads past the ids": ("min(t3, final)", "t3"),
    "steps along a row overlap": ("c0 + 2 * across", "c0 + across"),
    "tokens of a thread overlap": ("t0 + 3 * down", "t0 + 2 * down"),
    "segments overlap": ("cuda.blockIdx.x * block_columns", "cuda.blockIdx.x * lanes"),
    "lanes taken for a warp": ("lanes, groups = cuda.blockDim.x,", "lanes, groups = 32,"),
    "no second round": ("t0 += cuda.gridDim.y * block_tokens", "t0 = batch"),
    "one id for all": ("ids[min(t2, final)]", "ids[t0]"),
    "another's row": ("table[id2, min(c2, edge)]", "table[id1, min(c2, edge)]"),
    "stored in another's place": ("out[t3, c3] = v3", "out[t2, c3] = v3"),
    "32-bit tokens": (
        "t0 = cuda.blockIdx.y * block_tokens + cuda.threadIdx.y",
        "t0 = np.int32(np.int32(cuda.blockIdx.y) * np.int32(block_tokens) * np.int32(65535))",
    ),
}


@pytest.fixture(scope="module")
def run() -> Run:
    return numba_host.launcher(numba_host.kernel())


def check(run: Run, table: Array, ids: Array, shift: int = 0, processors: int = 132) -> None:
    """Rows are moved to an output that lies so many bytes off its alignment, and nothing beside it."""
    memory = np.full(len(ids) * table.shape[1] * table.itemsize + 2 * GUARD + shift, 0xA5, np.uint8)
    start, stop = GUARD + shift, len(memory) - GUARD
    out = memory[start:stop].view(table.dtype).reshape(len(ids), table.shape[1])
    for _ in range(2):
        looked_up(run, table, ids, out, processors)
        assert np.array_equal(out, table[ids])
        assert (memory[:start] == 0xA5).all() and (memory[stop:] == 0xA5).all()
        ids[:] = ids[::-1].copy()


@pytest.mark.parametrize("row", ROWS)
def test_rows_of_any_size_at_any_byte_are_looked_up(run: Run, noise: Array, row: int) -> None:
    for table_shift, out_shift in SHIFTS:
        table = table_of(noise, 40, row, np.int8, table_shift)
        check(run, table, ids_of("random", len(table), 37, np.int32), out_shift, 1 + 131 * (out_shift % 2))


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_a_batch_of_none_and_one_of_a_million_are_looked_up(run: Run, noise: Array, index: type) -> None:
    table = table_of(noise, 1000, 3, np.int8)
    check(run, table, np.zeros(0, index))
    check(run, table, ids_of("random", 1000, 1 << 20, index))


def check_beyond(run: Run) -> None:
    """A table of more than 2^31 elements of a byte, by ids of 4 bytes."""
    vocab = 2**31 // 129 + 9
    table = sparse(vocab, 129, np.int8)
    table[-5:] = np.arange(5 * 129).reshape(5, 129).astype(np.int8)
    check(run, table, np.array([vocab - 1, vocab - 3, vocab - 5] * 5, np.int32))


def check_far_out(run: Run) -> None:
    """The last blocks of a launch whose output has more than 2^31 elements of a byte."""
    table = np.random.default_rng(1).integers(-128, 128, (7, 129)).astype(np.int8)
    batch = 2**31 // 129 + 10
    ids, out = np.resize(np.array([6, 3, 0], np.int32), batch), sparse(batch, 129, np.int8)
    made = numba_cuda.geometry(129, batch, out.ctypes.data | table.ctypes.data | 1, 132)
    block_tokens = made.block[1] * (4 if made.tall else 1)
    tokens = np.arange(batch)
    mine = tokens[tokens // block_tokens % made.grid[1] == made.grid[1] - 1][-3 * block_tokens :]
    run(table, ids, out, made.tall, made.grid, made.block, made.grid[1] - 1)
    assert np.array_equal(out[mine], table[ids[mine]])


def test_rows_and_outputs_beyond_32_bits_are_right(run: Run) -> None:
    check_beyond(run)
    check_far_out(run)


def check_few(run: Run, noise: Array) -> None:
    """A few cases, each faulted by some mutant: tails of rows and of batches, segments, a full grid."""
    check(run, table_of(noise, 50, 129, np.int8), ids_of("random", 50, 95, np.int64))
    check(run, table_of(noise, 50, 8000, np.int8, 1), ids_of("random", 50, 9, np.int64), processors=1)
    check(run, table_of(noise, 50, 3, np.int8), ids_of("random", 50, 65535 * 4 * 85 + 5, np.int64))
    for batch in range(
        20, 400, 19
    ):  # so that each of a thread's four tokens is once the first that is not there
        check(run, table_of(noise, 50, 3, np.int8), ids_of("random", 50, batch, np.int64))
    check_far_out(run)


def test_the_source_passes_where_mutants_fail(run: Run, noise: Array) -> None:
    check_few(run, noise)


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_mutant_is_caught(fault: str, noise: Array) -> None:
    right, wrong = MUTANTS[fault]
    assert SOURCE.count(right) == 1
    mutant = numba_host.launcher(numba_host.kernel(SOURCE.replace(right, wrong)))
    with pytest.raises((AssertionError, IndexError)):
        check_few(mutant, noise)
