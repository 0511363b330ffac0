"""The tool that holds kernels of operations against targets: its runs can be made, its reading reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.cases.case import Case
from suite.records.store import Run
from suite.run.options import parse
from tests.support import fabricate
from tests.tools import operations

numba = pytest.importorskip("numba", reason="the kernels are Numba's")
pytest.importorskip("torch", reason="threads are torch's")


def test_its_runs_are_of_every_operation_and_question() -> None:
    requests = {command[-1]: parse(command[3:]) for command in operations.commands("x", 900)}
    assert {r.cases[0].operation for r in requests.values()} == set(operations.OURS)
    assert len({r.time_budget_s for r in requests.values()}) == 1
    assert sum(bool(r.time_budget_s) for r in requests.values()) * requests["x/bag-16"].time_budget_s <= 910
    assert not {b.name for r in requests.values() for b in r.backends} & {"torch_update_dense"}
    assert {case.cache for case in requests["x/padding"].cases} == {"hot"}


def test_reading_reads_all_lines_of_the_rows_that_bags_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "SLOT_BYTES", 1 << 16)
    case = Case(500, 32, "float32", 9, operation="bag", variant="sum-4")
    operands = operations.laid_out(case)
    (first, *_) = operations.reads(operands)
    first()
    rows = operands.table[operands.slots[0].indices].view(np.int64)[:, ::8]
    job = first.args[1]  # type: ignore[attr-defined]
    assert len(operands.slots) >= 3 and rows.shape == (36, 2)
    assert int(job[operations.OUT]) in {int(part.sum()) for part in np.split(rows, [16, 32])} | {
        int(rows.sum())
    }


def test_a_question_is_answered_beside_the_targets(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", fabricate.ENVIRONMENT)
    asked = Case(10, 64, "float32", 1, cache="hot", operation="bag", variant="sum-8")
    cold = Case(10**6, 128, "float32", 32, operation="bag", variant="sum-20")
    for number, (case, ours) in enumerate(((asked, 1.0), (cold, 2.0))):
        run.append(fabricate.measurement(case, number, {"numba_bag": ours, "torch_bag": 1.5}))
    lines = list(operations.read([str(run.path)]))
    assert "(1.5x)" in lines[-1] and lines[-1].startswith("bag sum-8 10x64")
    (target,) = (line for line in lines if line.startswith("1 x the best other, bag:"))
    assert "1 cases, 0 at or above it" in target
