"""The tables of the report: who is marked as fastest, and what stands side by side."""

from __future__ import annotations

from pathlib import Path

from suite.analysis import outcomes
from suite.report import sentences, tables
from tests.support import fabricate


def test_the_fastest_is_marked_and_what_can_not_be_told_from_it(tmp_path: Path) -> None:
    speed = {"a": 1.0, "b": 1.0001, "c": 1.5}
    results = outcomes.read([fabricate.run(tmp_path / "r", [fabricate.CASE], speed=speed).path])
    rows = tables.table(results).sections[0].rows
    assert [(row[0], row[1]) for row in rows] == [("*", "a"), ("*", "b"), ("", "c")] or [
        (row[0], row[1]) for row in rows
    ] == [("*", "b"), ("*", "a"), ("", "c")]


def test_runs_stand_side_by_side_and_are_never_averaged(tmp_path: Path) -> None:
    one = fabricate.run(tmp_path / "one", [fabricate.CASE], speed={"numpy_take": 1.0}).path
    cases = fabricate.CASES[:2]
    two = fabricate.run(tmp_path / "two", cases, speed={"numpy_take": 3.0}, device="cuda:0").path
    table = tables.table(outcomes.read([one, two]))
    assert table.headings == ("backend", "one · cpu", "two · cuda:0")
    (row,) = table.sections[0].rows
    lines = sentences.sentences(outcomes.read([one, two]), None)
    assert lines == [
        "one on cpu:",
        "  numpy_take completed 1 case; no other backend did",
        "two on cuda:0:",
        "  numpy_take completed 2 cases; no other backend did",
    ]
    assert row[0] == "numpy_take" and row[1].startswith("* 394 µs") and row[2].startswith("* 1,18")


def test_a_cpu_reference_beside_a_gpu_is_not_ranked_with_it(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r", [fabricate.CASE], speed={"torch_index_select": 1.0}, device="cuda:0")
    run.append(fabricate.measurement(fabricate.CASE, 7, {"numpy_take": 9.0}))
    table = tables.table(outcomes.read([run.path]))
    assert [section.rows[0][0] for section in table.sections] == ["*", "*"]
    assert [section.title.split(" · ")[0][-9:] for section in table.sections] == ["on cuda:0", "ld on cpu"]
