"""Tables and results in host memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.cases.case import Case
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table
from tests.support.bits import rows_of


def test_a_table_is_the_formula_and_read_only() -> None:
    table = build_table(HostArrays(), Case(3001, 17, "float16"))
    assert table.dtype == np.int16
    assert np.array_equal(table, rows_of(np.arange(3001), 17, "float16"))
    assert table.ctypes.data % 64 == 0


@pytest.mark.parametrize("offset", [2, 16, 62, 4094])
def test_a_table_off_its_alignment_is_the_same_and_read_only(offset: int) -> None:
    arrays = HostArrays()
    table = build_table(arrays, Case(3001, 17, "float16", offset=offset))
    assert table.ctypes.data % 4096 == offset
    assert np.array_equal(table, rows_of(np.arange(3001), 17, "float16"))
    start, end = arrays.span(table)
    assert not writable(start) and not writable(end - 1), "its first and last page are protected too"
    arrays.invert_row(table, 3000)
    assert not writable(start) and not writable(end - 1), "and are so again after a row was turned over"


def test_a_large_table_lies_on_huge_pages_and_stays_there() -> None:
    """A lookup is slower without them, and turning a row over must not break them up."""
    choice = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not choice.is_file() or "[never]" in choice.read_text():
        pytest.skip("the kernel gives no huge pages")
    arrays = HostArrays()
    table = build_table(arrays, Case(2**20, 64, "int8"))
    before = arrays.huge_pages(table)
    assert before is not None and before > 0.9
    for row in range(0, len(table), 2**15):
        arrays.invert_row(table, row)
    assert arrays.huge_pages(table) == before
    assert arrays.huge_pages(build_table(arrays, Case(100, 64, "int8"))) == 0.0


def writable(address: int) -> bool:
    """Whether this process may write to an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access = line.split()[:2]
        first, end = (int(one, 16) for one in span.split("-"))
        if first <= address < end:
            return "w" in access
    raise AssertionError("not mapped")


def test_an_inverted_row_is_inverted_and_comes_back() -> None:
    arrays = HostArrays()
    table = build_table(arrays, Case(100, 33, "int8"))
    before = table.copy()
    arrays.invert_row(table, 42)
    assert np.array_equal(table[42], ~before[42])
    assert np.array_equal(np.delete(table, 42, 0), np.delete(before, 42, 0))
    arrays.invert_row(table, 42)
    assert np.array_equal(table, before)


def test_a_result_of_another_shape_or_width_is_named() -> None:
    case = Case(50, 8, "float32", 4)
    arrays = HostArrays()
    assert arrays.snapshot(np.zeros((4, 8), np.float32), case).dtype == np.int32
    for wrong in (
        np.zeros((8, 4), np.float32),
        np.zeros((4, 8), np.float64),
        np.zeros(32, np.float32),
        [1],
        None,
    ):
        with pytest.raises(TypeError, match="returned "):
            arrays.snapshot(wrong, case)
