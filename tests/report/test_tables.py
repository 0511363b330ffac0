"""The tables of the report: who is marked as fastest, and what stands side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from suite.analysis import outcomes
from suite.report import markdown, sentences, tables
from tests.support import fabricate
from tests.support.reports import printed


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


def test_kernel_times_are_ranked_and_what_only_the_host_timed_stands_below(tmp_path: Path) -> None:
    run = fabricate.of_two_clocks(tmp_path / "r")
    table = tables.table(outcomes.read([run.path]))
    assert table.headings[2:7] == ("kernel µs", "call µs", "enqueue µs", "x", "±")
    rows = {row[1]: row for row in table.sections[0].rows}
    assert list(rows) == ["x", "y", "z"] and [row[0] for row in rows.values()] == ["*", "", ""]
    assert rows["z"][2] == rows["z"][4] == "" and rows["z"][3], "it has only its call"
    assert rows["z"][-1] == tables.HOST_TIMED
    assert [row[5] for row in rows.values()] == ["1.00x", "3.00x", ""], "of two clocks there is no ratio"
    first, *_ = sentences.sentences(outcomes.read([run.path]), "z")
    assert first.startswith("fastest of all: x in 1 of 1 case; z takes 0.225x as long as x by call time (")
    by_call = tables.table(outcomes.read([run.path], clock="call"))
    assert by_call.headings[2:5] == ("call µs", "kernel µs", "enqueue µs")
    assert [(row[0], row[1]) for row in by_call.sections[0].rows] == [("*", "z"), ("", "y"), ("", "x")]
    two = tables.table(outcomes.read([run.path, fabricate.run(tmp_path / "s", [fabricate.CASE]).path]))
    cells = {row[0]: row[1] for row in two.sections[0].rows}
    assert cells["x"].startswith("* ") and tables.HOST_TIMED in cells["z"]


def test_a_row_measured_slow_says_so(tmp_path: Path) -> None:
    """The first of three passes was at full speed for five rounds, the others never."""
    slow = fabricate.slow_between((0.42, 1e9))
    run = fabricate.passes(tmp_path / "r", [fabricate.CASE], slowness=slow)
    results = outcomes.read([run.path])
    rows = tables.table(results).sections[0].rows
    assert [row[0] for row in rows] == ["*", "", ""], "the others are twice as slow, which is likely"
    slow_note = "not at full speed: 5 of 36 rounds"
    assert {row[-1] for row in rows} == {slow_note, f"{slow_note}, kernel of this suite"}
    for text in (printed(run.path), markdown.markdown(results)):
        assert text.count("not at full speed: 5 of 36 rounds") == 3


def test_a_row_at_full_speed_in_enough_passes_is_as_any_other(tmp_path: Path) -> None:
    run = fabricate.passes(tmp_path / "r", [fabricate.CASE], slowness=fabricate.slow_between((0.42, 0.96)))
    rows = tables.table(outcomes.read([run.path])).sections[0].rows
    assert [(row[0], row[-1]) for row in rows] == [("*", "kernel of this suite"), ("", ""), ("", "")]


def test_backends_of_two_environments_have_a_row_each_under_their_names(tmp_path: Path) -> None:
    both = {"base": 1.0, "head": 1.5}
    run = fabricate.passes(tmp_path / "r", [fabricate.CASE], environments=both, speed={"b": 1.0}).path
    rows = tables.table(outcomes.read([run])).sections[0].rows
    assert [row[:2] for row in rows] == [("*", "b @base"), ("", "b @head")]
    other = fabricate.passes(tmp_path / "s", [fabricate.CASE], speed={"b": 1.0}).path
    side = tables.table(outcomes.read([run, other])).sections[0].rows
    assert [(row[0], row[1] != "", row[2] != "") for row in side] == [
        ("b @base", True, False),
        ("b @head", True, False),
        ("b", False, True),
    ]


def test_extra_memory_is_in_megabytes_of_a_million(tmp_path: Path) -> None:
    some = [
        replace(r, memory=replace(r.memory, extra_bytes=2**20)) for r in fabricate.measurement(fabricate.CASE)
    ]
    run = fabricate.run(tmp_path / "r", [])
    run.append(some)
    assert {row[7] for row in tables.table(outcomes.read([run.path])).sections[0].rows} == {"1.05"}


def test_the_title_tells_the_share_of_the_ids_that_are_distinct(tmp_path: Path) -> None:
    case = replace(fabricate.CASE, vocab=1000, batch=512)
    some = [replace(r, traffic=replace(r.traffic, distinct=128)) for r in fabricate.measurement(case)]
    run = fabricate.run(tmp_path / "r", [])
    run.append(some)
    assert "25% distinct" in tables.table(outcomes.read([run.path])).sections[0].title
