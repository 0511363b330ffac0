"""TorchRec's ways over two ranks that talk by gloo: every bit of the rows, or that it is not here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from backends.base import Unsupported
from backends.ranks import load
from backends.ranks.base import Place
from tests.ranks.test_faults import run

WAYS = ("torchrec_row", "torchrec_column")
HERE = find_spec("torchrec") is not None
PLACE = Place(0, 4, 1000, 16, 250, 64, "cpu", "gloo")


@pytest.mark.slow
def test_they_are_measured_where_it_is_installed_and_else_unavailable(tmp_path: Path) -> None:
    done, found = run(tmp_path, "--sharding", "row,column", "--way", *WAYS, "--timeout", "60s")
    assert [result["way"]["name"] for result in found] == list(WAYS), done.stderr
    for result in found:
        assert result["status"] == ("ok" if HERE else "unavailable"), result["reason"]
        assert HERE or "No module named 'torchrec'" in result["reason"]


def test_columns_that_do_not_divide_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="16 columns do not divide by 3 ranks"):
        load("torchrec_column")().plan(Place(0, 3, 1000, 16, 6, 63, "cpu", "gloo"))  # type: ignore[attr-defined]


def test_each_id_goes_with_a_length_for_every_rank_that_may_hold_it() -> None:
    row, column = (load(name).wire_bytes(PLACE, 64, 10) for name in WAYS)
    assert row == 16 * 3 * 8 + 16 * 3 / 4 * (8 + 64)
    assert column == 16 * 3 * (8 + 8) + 16 * 3 * 64 / 4
