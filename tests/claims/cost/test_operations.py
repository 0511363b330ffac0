"""The claims ``training`` and ``int8-rows``, from fabricated records and, small, from the suite's engine."""

from __future__ import annotations

import pytest

from suite.cases.case import Case
from suite.claims.cost import int8_rows, training
from suite.claims.finding import Finding
from suite.claims.target import Model, Target, Unmeasured
from suite.records.device import CPU
from tests.support.engine import Engine, Seconds

TARGET = Target.fitting(CPU, "qwen3-0.6b", 10**10, 2**25, 1, 0)
TOY = Target(CPU, Model("toy", 600, 64, "bfloat16", 3, 4, 2, 16, 96), 600, 2**33, 2**20, 1, 0)
ROW_S = 1e-7


def in_proportion(case: Case, name: str) -> float:
    """A lookup of a row takes as long as any; an update takes three times that, a gradient twice."""
    return {"lookup": 1, "gradient": 2, "update": 3}[case.operation] * case.batch * ROW_S


def whole_table(case: Case, name: str) -> float:
    """As that, but dense steps go over all rows."""
    return case.vocab * ROW_S if "dense" in name else in_proportion(case, name)


def judged(
    monkeypatch: pytest.MonkeyPatch, stage: object, seconds: Seconds, place: Target = TARGET
) -> Finding:
    Engine(seconds).instead_of_workers(monkeypatch)
    (finding,) = stage.findings(place, 30.0)  # type: ignore[attr-defined]
    titles = [table.title for table in finding.tables]
    assert all(f"{plot.title} ({plot.y_label})" in titles for plot in finding.plots)
    return finding


def test_training_is_update_over_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, training, in_proportion)
    assert found.verdict == "TRUE"
    assert [row[0] for row in found.tables[0].rows] == list(training.BATCHES)
    assert all(str(cell).startswith("3.0") for row in found.tables[0].rows for cell in row[1:])
    assert [row[0] for row in found.tables[1].rows] == list(training.STEPS)


def test_a_dense_gradient_of_the_whole_table_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, training, whole_table)
    assert found.verdict == "IT DEPENDS"
    rows = TARGET.of_at_most(training.MOST_BYTES).vocab
    assert rows == TARGET.vocab // 4, "311 MB and half of them are over 134"
    assert f"{rows:,}" in found.notes[0]
    assert str(found.tables[0].rows[0][1]).startswith("2,370"), "as many times as the table has rows, over 16"


def test_of_training_what_was_not_timed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(
        monkeypatch,
        training,
        lambda case, name: 0 if (name, case.batch) == ("torch_update_dense", 512) else 1e-3,
    )
    assert found.tables[-1].rows == (("update", 512, "torch_update_dense", "unsupported: rows are odd"),)
    assert found.tables[0].rows[1][:2] == (512, None)
    with pytest.raises(Unmeasured, match="training was not timed: unsupported: rows are odd; give a larger"):
        judged(monkeypatch, training, lambda case, name: 0 if "sparse" in name else 1e-3)


@pytest.mark.parametrize(
    ("factors", "verdict", "number"),
    [
        ((0.5, 0.5), "TRUE", "0.500 ×"),
        ((0.5, 0.8), "IT DEPENDS", "0.500 to 0.800 ×"),
        ((0.8, 1.2), "FALSE", "0.800 to 1.20 ×"),
    ],
)
def test_int8_rows_are_judged_by_the_fastest_of_each(
    monkeypatch: pytest.MonkeyPatch, factors: tuple[float, float], verdict: str, number: str
) -> None:
    def seconds(case: Case, name: str) -> float:
        few, many = factors
        own = 1.0 if name.startswith("numba") else 1.7
        return (
            own
            * case.batch
            * ROW_S
            * (1 if case.operation == "lookup" else few if case.batch < 300 else many)
        )

    found = judged(monkeypatch, int8_rows, seconds)
    assert (found.verdict, found.number[: len(number)]) == (verdict, number)
    assert {(row[1], row[3]) for row in found.tables[0].rows} == {("numba_cpu", "numba_dequantised")}
    assert any("take 75 % of the plain lookup" in note for note in found.notes), "1 + 2 bytes for 2 + 2"


def test_of_int8_rows_what_was_not_timed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    only = judged(monkeypatch, int8_rows, lambda case, name: 0 if name == "numba_dequantised" else 1e-3)
    assert {row[3] for row in only.tables[0].rows} == {"torch_index_dequantised"}
    assert (16, "numba_dequantised", "unsupported: rows are odd") in only.tables[-1].rows
    with pytest.raises(
        Unmeasured, match="int8 rows were not timed: unsupported: rows are odd; give a larger"
    ):
        judged(monkeypatch, int8_rows, lambda case, name: 0 if case.operation == "dequantised" else 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [training, pytest.param(int8_rows, marks=pytest.mark.long)])
def test_on_a_toy_table_all_is_timed_and_exact(monkeypatch: pytest.MonkeyPatch, stage: object) -> None:
    pytest.importorskip("torch", reason="the steps are torch's")
    pytest.importorskip("numba", reason="the fastest rows are Numba's")
    monkeypatch.setattr(stage, "BATCHES", (2, 40))
    (finding,) = stage.findings(TOY, 20.0)  # type: ignore[attr-defined]
    assert finding.tables[-1].title != "Not measured", finding.tables[-1].rows
    assert all(None not in row for row in finding.tables[0].rows) and len(finding.tables[0].rows) == 2
