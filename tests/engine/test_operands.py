"""Operands of a case: outputs between guards."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.cases import ids
from suite.cases.case import Case
from suite.cases.dtypes import DTYPE_BYTES, INDEX_BYTES
from suite.engine.arrays import HostArrays
from suite.engine.operands import GUARD_BYTE, GUARD_BYTES, build_table, lay_out

DTYPES = tuple(DTYPE_BYTES)


@settings(max_examples=40, deadline=None)
@given(
    dim=st.integers(1, 200),
    batch=st.integers(1, 60),
    slots=st.integers(1, 5),
    dtype=st.sampled_from(DTYPES),
    index_dtype=st.sampled_from(tuple(INDEX_BYTES)),
)
def test_slots_and_guards_do_not_overlap(
    dim: int, batch: int, slots: int, dtype: str, index_dtype: str
) -> None:
    arrays = HostArrays()
    case = Case(50, dim, dtype, batch, index_dtype)
    table = build_table(arrays, case)
    batches = ids.draw_apart(case, slots, 0)
    field = lay_out(case, arrays, table, batches)
    spans = []
    for slot, drawn_ids in zip(field.slots, batches, strict=True):
        assert np.array_equal(slot.indices, drawn_ids)
        assert slot.out.shape == (batch, dim)
        assert slot.out.nbytes == case.rows_bytes
        for array in (slot.out, slot.indices):
            assert array.ctypes.data % 64 == 0
        assert arrays.span(slot.guards[0])[1] == arrays.span(slot.out)[0], "no gap before the rows"
        assert arrays.span(slot.guards[1])[0] == arrays.span(slot.out)[1], "nor after"
        assert min(guard.nbytes for guard in slot.guards) >= GUARD_BYTES
        assert all((guard == GUARD_BYTE).all() for guard in slot.guards)
        spans += [arrays.span(a) for a in (slot.out, slot.indices, *slot.guards)]
    spans.append(arrays.span(table))
    spans.sort()
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


def test_operands_come_as_bits_or_as_values_of_the_same_memory() -> None:
    torch = pytest.importorskip("torch")
    arrays = HostArrays()
    for dtype in DTYPES:
        case = Case(50, 8, dtype, 4, "int32")
        field = lay_out(case, arrays, build_table(arrays, case), ids.draw_apart(case, 1, 0))
        bits, values = ([*field.of(field.slots[0], view).values()] for view in ("bits", "values"))
        assert [type(each) for each in bits] == [np.ndarray] * 3
        assert [each.dtype for each in values] == [getattr(torch, dtype), torch.int32, getattr(torch, dtype)]
        for one, other in zip(bits, values, strict=True):
            assert arrays.span(one) == arrays.span(other)
