"""Checks of a result on ids that have just changed."""

from __future__ import annotations

import numpy as np
import pytest

from suite.cases.case import Case
from suite.engine import check
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table, lay_out


def test_the_changed_row_of_a_large_result_is_among_those_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that remembers the rows of the ids as they were is wrong in that row alone."""
    monkeypatch.setattr(check, "SPOT_ELEMENTS", 1024)
    case, arrays = Case(5000, 64, batch=4000), HostArrays()
    ids = np.arange(case.batch, dtype=np.int64)
    operands = lay_out(case, arrays, build_table(arrays, case), [ids])
    slot, rng = operands.slots[0], np.random.default_rng(0)
    remembered = operands.table[ids]
    for _ in range(3):
        call, batch = check.spot_check(operands, slot, lambda: remembered, "device", rng)
        said = check.spot_checked(operands, slot, call(), batch, rng)
        assert said is not None and "1 of" in said
        slot.indices[...] = ids
