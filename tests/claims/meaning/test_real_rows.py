"""Rows of a table through the backends, compared bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.claims.meaning import (
    geometry,
    real_rows,
)
from tests.support.meaning import TWO, planted

WRONG = """
import numpy as np
from backends.base import Backend, Unsupported

class One(Backend):
    devices = ("cpu",)

    def prepare(self, table, indices, out):
        {line}
"""


@pytest.mark.parametrize(
    ("line", "what", "detail"),
    [
        ("return lambda: table[indices]", "same", "the same 1,400 bytes"),
        ("return lambda: table[np.maximum(indices - 1, 0)]", "other", "other bits in 7 of 7, first in row 0"),
        ("return lambda: table[indices].byteswap()", "other", "other bits"),
        ("raise Unsupported('odd rows')", "refused", "refuses: odd rows"),
        ("raise RuntimeError('no')", "failed", "failed: no"),
        ("return lambda: table[indices, :3]", "failed", "failed: returned NumPy int32 of shape (7, 3)"),
    ],
)
def test_rows_are_compared_bit_for_bit(tmp_path: Path, line: str, what: str, detail: str) -> None:
    file = tmp_path / "one_backend.py"
    file.write_text(WRONG.format(line=line), encoding="utf-8")
    table = np.random.default_rng(0).standard_normal((90, 50), np.float32)
    ids = np.array([89, 1, 1, 40, 3, 2, 88])
    rows, outcomes = real_rows.fetch(table, ids, ["numpy_take", str(file)])
    assert (rows == table[ids]).all()
    assert [o.what for o in outcomes] == ["same", what] * len(real_rows.LAYOUTS)
    assert outcomes[1].detail.startswith(detail)
    assert {o.offset_bytes for o in outcomes} == {0, 4}


def test_a_layout_lies_off_a_page_by_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "aligned_backend.py"
    line = "raise Unsupported(f'{table.ctypes.data % 4096} off, {indices.dtype} ids')"
    file.write_text(WRONG.format(line=line), encoding="utf-8")
    table = np.zeros((4, 50), np.float32)
    _, outcomes = real_rows.fetch(table, np.array([1]), ["numpy_take", str(file)])
    assert [o.detail for o in outcomes[1::2]] == ["refuses: 0 off, int64 ids", "refuses: 4 off, int32 ids"]


def test_a_backend_that_is_wrong_is_named(tmp_path: Path) -> None:
    file = tmp_path / "one_backend.py"
    file.write_text(WRONG.format(line="return lambda: table[indices * 0]"), encoding="utf-8")
    same = geometry.findings_on(*planted(), seed=0, backends=[*TWO, str(file)])[2]
    assert same.verdict == "FALSE"
    assert "; other bits from" in same.why and same.why.endswith("one_backend.py.")


def test_no_backend_that_is_right_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "none_backend.py"
    file.write_text(WRONG.format(line="raise Unsupported('never')"), encoding="utf-8")
    with pytest.raises(ValueError, match="never"):
        real_rows.fetch(np.zeros((4, 2), np.float32), np.array([1]), [str(file)])
