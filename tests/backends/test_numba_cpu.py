"""The CPU kernel is bit exact on every shape, alignment and thread count, and writes nothing but its rows."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.base import Backend
from backends.compiled.instructions import X86
from backends.compiled.job import STREAM, TRUSTED
from backends.numba_cpu import NumbaCpu

pytest.importorskip("numba")
pytest.importorskip("torch")

DIMS = (1, 7, 100, 129, 1601, 8192)
BATCHES = (1, 16, 17, 4096, 65536)
MOST_BYTES = 1 << 27
GUARD = 256
CANARY = -91


class OneThread(NumbaCpu):
    parallel_bytes = 1 << 60
    stream_cache_fraction = stream_short_fraction = stream_cold_fraction = 1e9


class AllThreads(NumbaCpu):
    parallel_bytes = 0
    chunk_bytes = 1
    chunks_per_thread = 1000
    stream_cache_fraction = stream_short_fraction = stream_cold_fraction = 1e9


class OneThreadStreaming(OneThread):
    stream_cache_fraction = stream_short_fraction = 0
    stream_ragged_row_bytes = 64


class AllThreadsStreaming(AllThreads):
    stream_cache_fraction = stream_short_fraction = 0
    stream_ragged_row_bytes = 64


class FourAtOnce(AllThreads):
    four_bytes = 64
    chunk_bytes = 1 << 12
    chunks_per_thread = 2


class FourAtOnceStreaming(AllThreadsStreaming):
    four_bytes = 64
    chunk_bytes = 1 << 12
    chunks_per_thread = 2


class IfCold(FourAtOnce):
    stream_cold_fraction = 0
    stream_ragged_row_bytes = 64


PATHS = (
    *(NumbaCpu, OneThread, AllThreads, FourAtOnce, IfCold),
    *(OneThreadStreaming, AllThreadsStreaming, FourAtOnceStreaming),
)


def guarded(shape: tuple[int, int], dtype: type, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """All bytes, filled with a canary, and within them an array whose base is `offset` past a cache line."""
    nbytes = shape[0] * shape[1] * np.dtype(dtype).itemsize
    whole = np.full(nbytes + 2 * GUARD, CANARY, np.int8)
    start = GUARD // 2 + -(whole.ctypes.data + GUARD // 2) % 64 + offset
    return whole, whole[start : start + nbytes].view(dtype).reshape(shape)


def filled(shape: tuple[int, int], dtype: type, offset: int) -> np.ndarray:
    """A table of random bits at that offset from a cache line."""
    _, table = guarded(shape, dtype, offset)
    flat = table.reshape(-1).view(np.int8)
    flat[:] = np.random.default_rng(7).integers(-128, 128, flat.size, np.int8)
    return table


def check(path: type[Backend], table: np.ndarray, ids: np.ndarray, offset: int) -> None:
    """The rows are right, for the ids as they are at the call, and the bytes around them are untouched."""
    whole, out = guarded((len(ids), table.shape[1]), table.dtype.type, offset)
    before = (out.ctypes.data - whole.ctypes.data, out.nbytes)
    lookup = path().prepare(table, ids, out)
    for _ in range(2):
        assert lookup() is out
        assert np.array_equal(out, table[ids])
        ids[:] = ids[::-1].copy() if len(ids) > 1 else len(table) - 1 - ids
    edge = np.ones(len(whole), bool)
    edge[before[0] : before[0] + before[1]] = False
    assert (whole[edge] == CANARY).all()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
@pytest.mark.parametrize("dim", DIMS)
def test_contract_shapes_are_bit_exact(dim: int, dtype: type) -> None:
    table = filled((97, dim), dtype, 0)
    for batch in (b for b in BATCHES if b * dim * table.itemsize <= MOST_BYTES):
        for index in (np.int32, np.int64):
            ids = np.random.default_rng(batch).integers(0, len(table), batch).astype(index)
            ids[-1] = len(table) - 1
            check(NumbaCpu, table, ids, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
@pytest.mark.parametrize("dim", [*DIMS, 16, 31, 32, 33, 63, 64, 65])
def test_every_path_is_bit_exact_at_misaligned_bases(path: type[Backend], dim: int, dtype: type) -> None:
    width = np.dtype(dtype).itemsize
    for offset in (0, width, 64 - width, 16, 32):
        table = filled((97, dim), dtype, (offset * 3) % 64)
        for batch in (1, 17, 301):
            ids = np.random.default_rng(batch).integers(0, len(table), batch).astype(np.int64)
            check(path, table, ids, offset)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("row", [0, 96])
def test_equal_ids_are_bit_exact(path: type[Backend], row: int) -> None:
    table = filled((97, 100), np.int32, 4)
    check(path, table, np.full(4096, row, np.int32), 8)


@settings(max_examples=150, deadline=None)
@given(
    path=st.sampled_from(PATHS),
    dtype=st.sampled_from([np.int8, np.int16, np.int32]),
    index=st.sampled_from([np.int32, np.int64]),
    dim=st.integers(64, 700) | st.integers(1, 12).map(lambda lines: 64 * lines),
    ids=st.lists(st.integers(0, 12), min_size=1, max_size=400),
    offsets=st.tuples(st.integers(0, 15), st.integers(0, 15)),
)
def test_any_shape_is_bit_exact(path: Path, dtype: Any, index: Any, dim: Any, ids: Any, offsets: Any) -> None:
    width = np.dtype(dtype).itemsize
    table = filled((13, dim), dtype, offsets[0] * width)
    check(path, table, np.array(ids, index), offsets[1] * width)


@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(PATHS[:5]),
    dtype=st.sampled_from([np.int8, np.int16, np.int32]),
    dim=st.integers(1, 64),
    ids=st.lists(st.integers(0, 12), min_size=1, max_size=100),
    offset=st.integers(0, 15),
)
def test_any_short_row_is_bit_exact(path: Path, dtype: Any, dim: Any, ids: Any, offset: Any) -> None:
    width = np.dtype(dtype).itemsize
    check(path, filled((13, dim), dtype, offset * width), np.array(ids, np.int64), offset * width)


def test_table_and_ids_are_read_at_the_call() -> None:
    table, ids = filled((50, 129), np.int16, 2), np.arange(50, dtype=np.int32)
    out = np.empty_like(table)
    lookup = NumbaCpu().prepare(table, ids, out)
    lookup()
    table[:], ids[:] = ~table, ids[::-1].copy()
    assert np.array_equal(lookup(), table[ids])


def test_offsets_beyond_32_bits_are_bit_exact() -> None:
    dim = 8192
    vocab = (1 << 32) // dim + 3
    memory = mmap.mmap(-1, vocab * dim, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    table = np.frombuffer(memory, np.int8).reshape(vocab, dim)  # only the pages written to below exist
    rows = [0, (1 << 31) // dim - 1, (1 << 31) // dim, (1 << 32) // dim - 1, (1 << 32) // dim, vocab - 1]
    for k, row in enumerate(rows):
        table[row] = k + 1
    for index in (np.int32, np.int64):
        check(NumbaCpu, table, np.array(rows * 20, index), 0)


def test_the_address_of_ids_and_job_need_not_be_aligned() -> None:
    raw = np.zeros(8 * 301 + 8, np.int8)
    ids = raw[1 : 1 + 8 * 300].view(np.int64)
    ids[:] = np.random.default_rng(3).integers(0, 97, 300)
    check(NumbaCpu, filled((97, 129), np.int8, 3), ids, 5)


@pytest.mark.parametrize(
    ("size", "out_bytes", "address", "streamed"),
    [
        *[(size, 1 << 30, 0, size >= 64) for size in (32, 64, 128, 192, 4096)],
        *[(size, 1 << 30, 0, size >= 1024) for size in (65, 96, 1000, 1030)],  # parts of lines: at a loss
        *[(size, 1 << 30, 4, size >= 1024) for size in (64, 128, 1024)],
        *[(size, 1 << 10, 0, False) for size in (64, 4096)],
    ],
)
def test_lines_are_streamed_whole(size: int, out_bytes: int, address: int, streamed: bool) -> None:
    assert NumbaCpu().streams(size, out_bytes, address) == streamed


def test_short_rows_are_streamed_into_less() -> None:
    short, long = ([NumbaCpu().streams(size, 1 << n, 0) for n in range(10, 31)] for size in (64, 256))
    assert short == sorted(short) and long == sorted(long)
    assert sum(short) > sum(long) > 0


@pytest.mark.skipif(not X86, reason="the processor is not asked whether an output is in its caches")
def test_an_output_is_streamed_into_if_it_is_in_no_cache() -> None:
    """By and large: a cache is shared with whatever else runs."""
    table, ids, sweep = filled((4096, 512), np.int8, 0), np.arange(512), np.zeros(1 << 27, np.int8)
    _, out = guarded((512, 512), np.int8, 0)

    class Small(OneThread):
        stream_cold_fraction = 0

    lookup = Small().prepare(table, ids, out)
    job = lookup.__defaults__[0][2]

    def streamed(before: np.ndarray) -> bool:
        before += 1
        lookup()
        return bool(job[STREAM])

    assert not streamed(sweep), "nobody can tell yet"
    cold = [streamed(sweep) for _ in range(4 * TRUSTED)]
    assert sum(cold) > 2 * TRUSTED and not all(cold), "now and then it asks again"

    def hot() -> int:
        return sum([streamed(out) for _ in range(4 * TRUSTED)][TRUSTED:])

    assert min(hot() for _ in range(9)) < 2 * TRUSTED, "what is written over and over stays in the caches"


def test_an_output_known_to_be_cold_is_streamed_into_from_less_on() -> None:
    some = NumbaCpu()
    for size in (64, 260, 512, 1032, 4096):
        any_, cold = ([some.streams(size, 1 << n, 0, c) for n in range(10, 31)] for c in (False, True))
        assert all(a <= b for a, b in zip(any_, cold, strict=True))
    assert sum(cold) > sum(any_) > 0
