"""Two runs of two operations: cases match in all their axes, and nothing is averaged over operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suite.cases.case import Case
from tests.support import fabricate

pytestmark = pytest.mark.usefixtures("pooled")


def test_what_changed_in_one_operation_is_said_of_it_alone(tmp_path: Path, said: Any) -> None:
    a, b = (fabricate.of_two_operations(tmp_path / n, slower=s).path for n, s in (("a", 1.0), ("b", 1.5)))
    code, out, _ = said(a, b, "--fail-on", "slower", "--markdown", tmp_path / "c.md")
    lines = out.splitlines()
    rows = [line for line in lines if " batch " in line]
    assert code == 1 and [row.startswith("pooled ") for row in rows] == [False] * 6 + [True] * 12
    assert all(("SLOWER" in row) == ("pool_other" in row) for row in rows)
    lookups, pooling = lines[-2:]
    assert lookups.startswith("overall, lookup: b: no clear difference from a (takes 1.00x as long")
    assert pooling.startswith("overall, pooled: b") and "over 12 cases" in pooling
    text = (tmp_path / "c.md").read_text()
    assert text.startswith("**overall, lookup: b") and "\n**overall, pooled: b" in text


def test_cases_that_differ_in_operation_or_variant_alone_are_no_pair(tmp_path: Path, said: Any) -> None:
    def run(name: str, *variants: str) -> Path:
        cases = [Case(1000, 64, batch=16, operation="pooled", variant=variant) for variant in variants]
        return fabricate.run(
            tmp_path / name, [Case(1000, 64, batch=64), *cases], speed={"numba_cpu": 1.0}
        ).path

    code, out, _ = said(run("a", "max"), run("b", "sum"))
    assert code == 0 and "left out: 2 cases (1 only in A, 1 only in B)" in out
    assert "overall, pooled: nothing that both completed at full speed" in out
    lookups = fabricate.run(tmp_path / "c", [Case(1000, 64, batch=16)], speed={"numba_cpu": 1.0}).path
    pooling = Case(1000, 64, batch=16, operation="pooled", variant="max")
    other = fabricate.run(tmp_path / "d", [pooling], speed={"numba_cpu": 1.0}).path
    code, _, error = said(f"{lookups}:numba_cpu", f"{other}:numba_cpu")
    assert code == 2 and "no case that both completed" in error
