"""The values of a table by formula: the same bits in NumPy and torch, row by row."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.cases import formula
from suite.cases.case import Case
from suite.cases.dtypes import DTYPE_BYTES
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table
from tests.support.bits import rows_of

DTYPES = tuple(DTYPE_BYTES)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_and_torch_give_the_same_bits(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    numbers = np.array([0, 1, 2, 31999, 2**31 - 1, 2**31, 2**32 + 5, 2**40], np.int64)
    for dim, chunk in ((1, 3), (129, 300), (1601, 10**6)):
        there = torch.full((len(numbers), dim), 7, dtype=torch.int32)
        make = lambda shape: torch.empty(shape, dtype=torch.int32)  # noqa: E731
        for where, bits in formula.expected(torch.from_numpy(numbers), dim, dtype, make, chunk):
            there[where] = bits
        assert np.array_equal(there.numpy(), rows_of(numbers, dim, dtype, chunk))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_far_in_a_table_has_stood_since_method_1(dtype: str) -> None:
    """The formula is part of the method: records of one method had the same tables."""

    def mixed(x: int) -> int:
        x = ((x ^ x >> 16) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ x >> 15) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ x >> 16

    for row, column in ((0, 0), (5, 3), (128255, 4095), (2**31 + 7, 0)):
        bits = mixed((mixed(row & 0xFFFFFFFF) + (column + 1) * 0x9E3779B1) & 0xFFFFFFFF)
        mask = formula._NOT_FINITE.get(dtype, 0)
        if mask and bits & mask == mask:
            bits ^= 0x40000000
        width = 8 * DTYPE_BYTES[dtype]
        right = bits >> (32 - width)
        right -= (right >> (width - 1)) << width
        assert rows_of(np.array([row]), column + 1, dtype)[0, column] == right


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_is_filled_and_every_value_finite(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    table = build_table(HostArrays(), Case(4001, 129, dtype))
    width = 8 * DTYPE_BYTES[dtype]
    unsigned = table.view(f"u{width // 8}").reshape(-1)
    for bit in range(width):
        share = float(((unsigned >> bit) & 1).mean())
        assert 0.4 < share < 0.6, f"bit {bit} is set in {share:.0%}"
    if dtype != "int8":
        values = torch.from_numpy(table).view(getattr(torch, dtype)).float()
        assert bool(torch.isfinite(values).all())
    if width == 8:
        assert len(np.unique(unsigned)) >= 254, "all but the two float8 NaNs"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [64, 129])
def test_rows_are_distinct(dtype: str, dim: int) -> None:
    bits = rows_of(np.arange(50257), dim, dtype).astype(f"i{DTYPE_BYTES[dtype]}")
    assert len(np.unique(bits.view(f"V{dim * DTYPE_BYTES[dtype]}"))) == 50257


def test_neighbours_share_nothing() -> None:
    """A row taken for its neighbour, or shifted by a column, has hardly a right element."""
    bits = rows_of(np.arange(1000), 256, "int8")
    for other in (bits[1:, :] == bits[:-1, :], bits[:, 1:] == bits[:, :-1], bits[1:, 1:] == bits[:-1, :-1]):
        assert other.mean() == pytest.approx(1 / 256, rel=0.1)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.integers(0, 2**40), min_size=1, max_size=40),
    dim=st.integers(1, 300),
    dtype=st.sampled_from(DTYPES),
    chunk=st.integers(1, 5000),
)
def test_chunks_change_nothing(rows: list[int], dim: int, dtype: str, chunk: int) -> None:
    numbers = np.array(rows, np.int64)
    whole = rows_of(numbers, dim, dtype)
    assert np.array_equal(rows_of(numbers, dim, dtype, chunk), whole)
    one_by_one = np.concatenate([rows_of(numbers[k : k + 1], dim, dtype) for k in range(len(rows))])
    assert np.array_equal(one_by_one, whole)
    assert np.array_equal(rows_of(numbers, 1, dtype), whole[:, :1]), "nor does the width of the table"


def test_shares_of_parallel_work_cover_all_rows_once() -> None:
    numbers = list(range(4097))
    for rows in (1, 2, 7, 1000, 4097):
        parts = formula.parallel(numbers.__getitem__, rows)
        assert list(itertools.chain.from_iterable(parts)) == numbers[:rows]


@pytest.mark.parametrize("most", [0, 1])
def test_without_another_thread_the_calling_one_does_the_work(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """As at ``ulimit -u 6``, where the flush of the caches would be taken for the backend's error."""
    started, start = list[object](), threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if len(started) == most:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(formula.os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(threading.Thread, "start", refused)
    parts = formula.parallel(list(range(100)).__getitem__, 100)
    assert list(itertools.chain.from_iterable(parts)) == list(range(100))
    with pytest.raises(RuntimeError, match="of the work"):
        formula.parallel(fails, 100)


def fails(_: slice) -> None:
    raise RuntimeError("of the work")
