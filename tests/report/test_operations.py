"""A run of two operations: whatever is compared is of one, and its figures and words are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import suite
from suite.analysis import outcomes
from suite.analysis.outcomes import Results
from suite.cases.case import Case
from suite.report import export, matrix, sentences, tables
from suite.report.markdown import markdown
from tests.support import fabricate

pytestmark = pytest.mark.usefixtures("pooled")
OF_LOOKUPS = ("torch_index_select", "numpy_take")
OF_POOLING = ("pool_plain", "pool_other")


@pytest.fixture
def both(tmp_path: Path) -> Results:
    return outcomes.read([fabricate.of_two_operations(tmp_path / "both").path])


def parts(results: Results, baseline: str | None = None) -> dict[str, list[str]]:
    """The sentences under each operation's heading."""
    found: dict[str, list[str]] = {}
    for line in sentences.sentences(results, baseline):
        if line.startswith("  "):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line] = []
    return found


def test_a_verdict_is_of_one_operation_with_its_own_baseline(both: Results) -> None:
    found = parts(both)
    lookups, pooling = found["lookup:"], found["pooled:"]
    assert lookups[0].startswith("fastest of all: numba_cpu in 2 of 2 cases")
    assert pooling[:1] == ["fastest of all: pool_plain in 4 of 4 cases"]
    assert "numba_cpu takes 4.00x as long as pool_plain" in pooling[-1]
    assert "numba_cpu takes 0.500x and 0.500x as long as torch_index_select" in lookups[3]
    assert not [line for line in lookups for name in OF_POOLING if name in line]
    assert not [line for line in pooling for name in OF_LOOKUPS if name in line]


def test_a_baseline_asked_for_is_that_of_its_operation(both: Results) -> None:
    found = parts(both, "pool_other")
    assert "pool_plain takes 0.500x as long as pool_other" in "\n".join(found["pooled:"])
    assert found["lookup:"] == parts(both)["lookup:"]


def test_an_operation_alone_is_named_and_what_is_said_of_the_run_comes_once(tmp_path: Path) -> None:
    cases = [Case(1000, 64, batch=16, operation="pooled", variant="sum")]
    fabricate.passes(tmp_path / "a", cases, speed={"pool_plain": 1.0, "pool_other": 2.0})
    said = sentences.sentences(outcomes.read([tmp_path / "a"]), None)
    assert said[0] == "pooled:" and said[1].startswith("  fastest of all: pool_plain")
    cases.append(Case(1000, 64, batch=16))
    fabricate.passes(tmp_path / "b", cases)
    said = sentences.sentences(outcomes.read([tmp_path / "b"]), None)
    assert [line for line in said if "3 passes" in line] == [said[-1]] and said[-1][0] != " "
    assert len(sentences.origins(outcomes.read([tmp_path / "b"]))) == 1


def test_tables_have_operations_one_after_the_other(both: Results, tmp_path: Path) -> None:
    found = tables.table(both)
    assert [s.title.startswith("pooled ") for s in found.sections] == [False] * 2 + [True] * 4
    assert "90% distinct" in found.sections[1].title and "23% distinct" in found.sections[-1].title
    assert [name for s in found.sections for _, name, *_ in s.rows[:1]] == ["numba_cpu"] * 2 + [
        "pool_plain"
    ] * 4
    text = markdown(both)
    assert text.index("#### pooled max") > text.rindex("numpy_take |") and "- pooled:" in text
    fabricate.of_two_operations(tmp_path / "again")
    side = tables.table(outcomes.read([tmp_path / "both", tmp_path / "again"]))
    assert side.headings == ("backend", "both · cpu", "again · cpu"), "a column for each run, not operation"


def test_a_matrix_is_of_one_operation(both: Results) -> None:
    lookups, pooling = matrix.matrices(both)
    assert (lookups.title, pooling.title) == ("both on cpu, lookup", "both on cpu, pooled")
    assert lookups.names == ("numba_cpu", *OF_LOOKUPS) and pooling.names == (*OF_POOLING, "numba_cpu")
    assert [row.table.split()[:2] for row in pooling.rows[::2]] == [["pooled", "max"], ["pooled", "sum"]]


def test_bytes_are_those_of_the_case_in_tables_and_plots(both: Results, tmp_path: Path) -> None:
    table = suite.load(tmp_path / "both")
    one = table[(table.operation == "pooled") & (table.batch == 16)].iloc[0]
    row, result = 768 // 2 + 4, 16 * 768 * 4
    assert one.row_bytes == row and one.payload_bytes == 64 * (8 + row) + result
    assert one.ceiling_gb_per_s == pytest.approx(20, rel=0.01) and one.distinct_fraction == 15 / 64
    figure = suite.plot(table, "fraction")
    lookups, pooling = figure.axes
    assert (lookups.get_title("left"), pooling.get_title("left")) == (
        "both · cpu · lookup",
        "both · cpu · pooled",
    )
    assert {round(x) for bars in pooling.containers for x in bars.lines[0].get_xdata()} & {row}
    assert suite.plot(table[table.operation == "pooled"], "batch").axes[0].get_xlabel() == (
        "batch: bags in one call"
    )
    assert suite.plot(table[table.operation == "lookup"], "batch").axes[0].get_xlabel() == (
        "batch: ids in one lookup"
    )


def test_exports_keep_operations_apart(both: Results) -> None:
    bmf = export._bmf(both)
    assert len(bmf) == len(both.outcomes)
    asv: Any = export._asv(both)["benchmarks.json"]
    assert {"cpu.time_numba_cpu", "cpu.pooled.time_numba_cpu"} < set(asv)
    assert all("pooled" in case for case in asv["cpu.pooled.time_numba_cpu"]["params"][0])
