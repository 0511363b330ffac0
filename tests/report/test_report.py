"""The report: right numbers under the right names, failures explained, nothing hostile let through."""

from __future__ import annotations

import csv
import io
import math
import os
import random
import statistics
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import suite
from suite.analysis import columns, fields, frame, outcomes
from suite.analysis.columns import PEAK
from suite.cases.case import AXES, Case
from suite.records.store import Run, StoreError
from suite.report import export, files, markdown, sentences, tables, terminal
from suite.report.__main__ import main
from suite.report.page import html
from suite.report.page.data import figures
from suite.text import csv_cell, cut, markdown_cell, plain, shown
from suite.units import digits
from tests.support import fabricate

ROOT = Path(__file__).resolve().parents[2]

CASE = fabricate.CASES[0]
EXACT = {"shape": {"noise": 0.0}}
PROMISED = set(
    """backend,status,reason,device,vocab,dim,dtype,index_dtype,batch,distribution,cache,clock,median_us,
ci_low_us,ci_high_us,samples,enqueue_us,call_us,payload_bytes,compulsory_bytes,distinct_fraction,gb_per_s,
ceiling_gb_per_s,fraction_of_ceiling,fraction_of_peak,extra_memory_bytes,converged""".replace("\n", "").split(
        ","
    )
)


@pytest.fixture
def folder(tmp_path):
    return fabricate.run(tmp_path / "run one").path


def printed(*paths, baseline=None):
    file = io.StringIO()
    terminal.print_summary(paths, file, baseline)
    return file.getvalue()


def said(tmp_path, *arguments):
    """Exit code, standard output and error of the command line."""
    command = [sys.executable, "-m", "suite.report", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    child = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)
    return child.returncode, child.stdout, child.stderr


# --- the frame ---


def test_a_row_a_record_with_the_columns_that_are_promised(folder):
    table = suite.load(folder)
    assert len(table) == len(fabricate.CASES) * len(fabricate.SPEED)
    assert PROMISED | set(AXES) <= set(table.columns) and list(table.columns) == list(fields.COLUMNS)
    assert "contiguous_copy" not in set(table.backend)


def test_a_table_is_the_same_however_many_are_looked_at_together(folder, monkeypatch):
    whole = suite.load(folder)
    monkeypatch.setattr(columns, "TOGETHER", 2)
    pd.testing.assert_frame_equal(suite.load(folder), whole)


def test_the_numbers_follow_from_the_samples(tmp_path):
    made = fabricate.measurement(CASE, speed={"b": 1.0})
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append(made)
    row = suite.load(tmp_path / "r").iloc[0]
    copy, record = made
    seconds = statistics.median(statistics.median(one) for one in record.samples.call_s)
    copy_s = statistics.median(statistics.median(one) for one in copy.samples.call_s)
    assert row.median_us == pytest.approx(seconds * 1e6) == row.call_us
    assert row.ci_low_us < row.median_us < row.ci_high_us
    assert row.gb_per_s == pytest.approx(CASE.payload_bytes / seconds / 1e9)
    assert row.ceiling_gb_per_s == pytest.approx(2 * CASE.rows_bytes / copy_s / 1e9)
    assert row.fraction_of_ceiling == pytest.approx(row.gb_per_s / row.ceiling_gb_per_s, rel=0.005)
    assert row.fraction_of_ceiling_low < row.fraction_of_ceiling < row.fraction_of_ceiling_high
    assert row.compulsory_bytes == CASE.compulsory_bytes(record.traffic.distinct)
    assert row.distinct_fraction == record.traffic.distinct / CASE.batch
    assert (row.samples, row.rounds, row.extra_memory_bytes) == (60, 12, 0)
    assert row.allocates is False or row.allocates == False  # noqa: E712 - a NumPy bool
    assert math.isnan(row.fraction_of_peak) and math.isnan(row.enqueue_us)


def test_fractions_are_taken_within_rounds(tmp_path):
    """Drift that hits lookup and ceiling alike leaves the fraction alone, however wide the medians' own."""
    drift = [1 + 0.1 * k for k in range(12)]
    copy, record = fabricate.measurement(CASE, speed={"b": 1.0}, **EXACT)
    for one in (copy, record):
        taken = tuple(tuple(s * d for s in r) for r, d in zip(one.samples.call_s, drift, strict=True))
        object.__setattr__(one, "samples", replace(one.samples, call_s=taken))
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([copy, record])
    row = suite.load(tmp_path / "r").iloc[0]
    assert row.ci_high_us / row.ci_low_us > 1.3
    assert row.fraction_of_ceiling_high / row.fraction_of_ceiling_low < 1.001


def test_kernel_time_is_the_headline_where_the_record_says_so(tmp_path):
    gpu = {PEAK: 3.35e12}
    where = replace(fabricate.ENVIRONMENT, devices=("cuda:0",), gpu=gpu)
    made = fabricate.measurement(CASE, speed={"b": 1.0}, device="cuda:0", clock="kernel")
    Run.create(tmp_path / "r", where).append(made)
    row = suite.load(tmp_path / "r").iloc[0]
    assert row.call_us == pytest.approx(row.median_us + 9, rel=0.02)
    assert row.enqueue_us == pytest.approx(4, rel=0.02)
    assert row.fraction_of_peak == pytest.approx(row.gb_per_s * 1e9 / 3.35e12)
    assert row.held and row.clock == "kernel"


def test_a_host_clock_is_held_against_the_ceiling_by_the_host_clock(tmp_path):
    made = fabricate.measurement(CASE, speed={"b": 1.0}, device="cuda:0", clock="kernel")
    call = replace(made[1], clock="call", samples=replace(made[1].samples, kernel_s=None, held=None))
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([made[0], call])
    row = suite.load(tmp_path / "r").iloc[0]
    copy_s = statistics.median(statistics.median(one) for one in made[0].samples.call_s)
    assert row.ceiling_gb_per_s == pytest.approx(2 * CASE.rows_bytes / copy_s / 1e9)
    assert row.fraction_of_ceiling == pytest.approx(row.gb_per_s / row.ceiling_gb_per_s, rel=0.005)


def test_a_failure_has_its_reason_and_no_number(tmp_path):
    failed = fabricate.failure("broken", CASE, "m0", status="crashed", reason="segfault")
    table = suite.load(fabricate.run(tmp_path / "r", [CASE], extra=[failed]).path)
    row = table[table.backend == "broken"].iloc[0]
    assert (row.status, row.reason) == ("crashed", "segfault")
    for name in (
        "median_us",
        "ci_low_us",
        "gb_per_s",
        "fraction_of_ceiling",
        "samples",
        "converged",
        "clock",
    ):
        assert pd.isna(row[name]), name


def test_too_few_rounds_give_a_median_and_no_interval(tmp_path):
    table = suite.load(fabricate.run(tmp_path / "r", [CASE], shape={"count": 3}).path)
    assert table.median_us.notna().all()
    assert table[["ci_low_us", "ci_high_us", "fraction_of_ceiling_low"]].isna().all().all()
    text = printed(tmp_path / "r")
    assert "±?" in text and text.count("\n* ") == 4  # nothing tells the three apart; and the legend


def test_without_a_ceiling_there_is_no_fraction_and_it_is_said(tmp_path):
    run = Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    run.append(fabricate.measurement(CASE)[1:])
    results = outcomes.read([run.path])
    assert frame.frame(results).fraction_of_ceiling.isna().all()
    assert ["without a ceiling" in note for note in results.notes] == [True]


def test_the_last_record_of_a_backend_and_case_counts_and_it_is_said(tmp_path):
    run = fabricate.run(tmp_path / "r", [CASE])
    run.append([fabricate.failure("numba_cpu", CASE, "m9", status="timed_out", reason="60 s")])
    with pytest.warns(UserWarning, match="1 record replaced by a later one"):
        table = suite.load(run.path)
    assert list(table[table.backend == "numba_cpu"].status) == ["timed_out"]


def test_types_do_not_depend_on_what_is_in_the_run(folder, tmp_path):
    failed = Run.create(tmp_path / "failed", fabricate.ENVIRONMENT)
    failed.append([fabricate.failure("b", CASE, "m0")])
    assert list(suite.load(folder).dtypes) == list(suite.load(failed.path).dtypes)


def test_a_pattern_names_many_runs_and_passes_over_what_is_none(tmp_path):
    for name in ("a", "b"):
        fabricate.run(tmp_path / name, [CASE])
    (tmp_path / "README.md").touch()
    (tmp_path / "notes").mkdir()
    assert list(suite.load(f"{tmp_path}/*").run.unique()) == ["a", "b"]
    assert list(suite.load(tmp_path / "a", f"{tmp_path}/./a").run.unique()) == ["a"]


def test_runs_of_one_name_are_kept_apart(tmp_path):
    paths = [fabricate.run(tmp_path / name / "r", [CASE]).path for name in ("a", "b")]
    assert list(suite.load(*paths).run.unique()) == [str(path) for path in paths]


def test_every_sample_in_order(tmp_path):
    made = fabricate.measurement(CASE, speed={"b": 1.0}, device="cuda:0", clock="kernel")
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append(made)
    table = suite.samples(tmp_path / "r")
    ours = table[(table.backend == "b") & (table.time == "kernel")]
    assert list(ours.seconds) == [s for one in made[1].samples.kernel_s for s in one]
    assert list(ours["round"].unique()) == list(range(12))
    assert set(table.time) == {"kernel", "enqueue", "call"} and set(table.role) == {"backend", "ceiling"}


def test_samples_of_many_runs_are_read_whatever_is_amiss_with_some(folder, tmp_path):
    fabricate.run(tmp_path / "bad" / "run one", [CASE], speed={"\ud800": 1.0})
    with (folder / "records.jsonl").open("a") as file:
        file.write("hello\n")
    with pytest.warns(UserWarning) as warned:
        table = suite.samples(folder, tmp_path / "bad" / "run one", tmp_path / "missing")
    said = [str(one.message) for one in warned]
    assert ["records.jsonl:13" in said[0], "no such folder" in said[1], len(said)] == [True, True, 2]
    assert set(table.run) == {str(folder), str(tmp_path / "bad" / "run one")}
    assert set(map(str, table.dtypes)) == {"string", "Int64", "float64"}
    with pytest.raises(StoreError, match="no such folder"):
        suite.samples(tmp_path / "missing")


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((0.0,),))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((-1e-6, 1e-6),))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((), ()))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((1e300,),))},
        {"case": Case(2**40, 2**40, batch=2**40)},
        {"traffic": replace(fabricate.traffic(CASE), touched_bytes=2**80)},
        {"traffic": replace(fabricate.traffic(CASE), distinct=-1)},
    ],
)
def test_a_record_that_no_machine_can_have_made_is_left_out_and_said(tmp_path, changes):
    odd = replace(fabricate.record("odd", CASE, 1e-5, random.Random(0), "m0"), **changes)
    run = fabricate.run(tmp_path / "r", [CASE], extra=[odd])
    with pytest.warns(UserWarning, match="odd on .* is left out"):
        assert "odd" not in set(suite.load(run.path).backend)


# --- CSV and Markdown ---


def test_csv_reads_back_and_is_the_same_every_time(folder, tmp_path):
    for name in ("1.csv", "2.csv"):
        files.write_csv([folder], tmp_path / name)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    read, table = pd.read_csv(tmp_path / "1.csv"), suite.load(folder)
    assert list(read.columns) == list(table.columns)
    assert read.median_us.tolist() == pytest.approx(table.median_us.tolist(), rel=1e-6)
    assert read.payload_bytes.tolist() == table.payload_bytes.tolist()


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    '"=1"',
    "a,b\nc",
    "\x1b[31mred\x1b[0m",
    "a|b`c",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_reasons_are_harmless_everywhere(tmp_path, text):
    failed = fabricate.failure(text, CASE, "m0", reason=text, status="error")
    run = fabricate.run(tmp_path / "r", [CASE], extra=[failed])
    files.write_csv([run.path], tmp_path / "r.csv")
    rows = list(csv.reader((tmp_path / "r.csv").read_text().splitlines()))
    assert len({len(row) for row in rows}) == 1 and len(rows) == 5
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "＝", "\t", "\r"))]
    assert not [cell for cell in cells if cell.startswith("-") and not _is_number(cell)]
    for output in (printed(run.path), markdown.markdown(outcomes.read([run.path]))):
        assert all(c.isprintable() for c in output.replace("\n", ""))
    html = markdown.markdown(outcomes.read([run.path])).splitlines()
    assert {_pipes(line) for line in html if line.startswith("|")} == {len(tables.DETAIL) + 1}


def _is_number(cell):
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _pipes(line):
    return line.replace("\\\\", "").replace("\\|", "").count("|")


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters()))
def test_any_text_is_made_safe(text):
    line = plain(text)
    assert all(c.isprintable() for c in line) and line == plain(line)
    assert plain(f"\x1b[31m{line}\x1b[0m \x1b]0;title\x07") == line
    line.encode("utf-8")
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert _pipes(markdown_cell(text)) == 0 and "\n" not in markdown_cell(text)
    assert len(cut(text, 10)) <= 10
    assert shown(text) == shown(shown(text))


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_text_that_is_safe_already_is_left_alone(text):
    assert plain(text) == text


# --- the words ---


def test_the_winner_is_named_with_its_factor_and_cases(folder):
    lines = sentences.sentences(outcomes.read([folder]), None)
    assert lines[0].startswith("numba_cpu is 2.00x faster than torch_index_select at the median over 3 cases")
    assert lines[1].startswith(
        "numpy_take is 2.00x slower than torch_index_select at the median over 3 cases"
    )
    assert lines[0] in printed(folder)


def test_a_baseline_can_be_chosen(folder):
    lines = sentences.sentences(outcomes.read([folder]), "numpy_take")
    assert [line.partition(" at ")[0] for line in lines] == [
        "numba_cpu is 4.00x faster than numpy_take",
        "torch_index_select is 2.00x faster than numpy_take",
    ]


def test_a_baseline_that_nobody_measured_is_said_and_the_report_goes_on(folder):
    lines = sentences.sentences(outcomes.read([folder]), "nope")
    assert (
        lines[0]
        == "baseline nope: no such backend here; give one of numba_cpu, numpy_take, torch_index_select"
    )
    assert "2.00x faster than torch_index_select" in lines[1]


def test_where_the_baseline_wins_that_is_said(tmp_path):
    run = fabricate.run(tmp_path / "r", speed={"torch_index_select": 1.0, "slow": 1.5, "slower": 3.0})
    lines = sentences.sentences(outcomes.read([run.path]), None)
    assert lines[0] == "torch_index_select is the fastest at the median; none of the 2 others beats it"
    assert lines[1].startswith("slow is 1.50x slower")
    run = fabricate.run(tmp_path / "two", speed={"torch_index_select": 1.0, "slow": 1.5})
    lines = sentences.sentences(outcomes.read([run.path]), None)
    assert lines[0] == "torch_index_select is the fastest at the median; the other does not beat it"


def test_one_that_completed_few_cases_has_not_won(tmp_path):
    run = fabricate.run(tmp_path / "r")
    run.append([fabricate.record("lucky", CASE, 1e-9, random.Random(0), "m0")])
    lines = sentences.sentences(outcomes.read([run.path]), None)
    assert lines[0].startswith("numba_cpu is 2.00x faster")
    assert lines[2].startswith("lucky is") and "over 1 case" in lines[2]


def test_failures_and_what_did_not_converge_are_counted(tmp_path):
    bad = [fabricate.failure("broken", case, "m", reason="no odd rows") for case in fabricate.CASES[:2]]
    vague = fabricate.record("vague", CASE, 1e-3, random.Random(0), "m0", converged=False)
    text = printed(fabricate.run(tmp_path / "r", extra=[*bad, vague]).path)
    assert "broken: unsupported on 2 cases: no odd rows" in text
    assert "1 of 10 results did not converge: vague 1" in text
    assert "not converged" in text


def test_backends_that_were_never_there_share_a_line(tmp_path):
    gone = [
        fabricate.failure(name, case, "m", status="unavailable", reason=f"needs {name}")
        for case in fabricate.CASES
        for name in ("jax", "warp")
    ]
    here = fabricate.failure("numba_cpu", Case(7, 7), "m", status="unavailable", reason="of late")
    lines = sentences.sentences(
        outcomes.read([fabricate.run(tmp_path / "r", extra=[*gone, here]).path]), None
    )
    assert "not available: jax (needs jax); warp (needs warp)" in lines
    assert "numba_cpu: unavailable on 1 case: of late" in lines
    assert len([line for line in lines if "jax" in line]) == 1


def test_the_fastest_is_marked_and_what_can_not_be_told_from_it(tmp_path):
    speed = {"a": 1.0, "b": 1.0001, "c": 1.5}
    results = outcomes.read([fabricate.run(tmp_path / "r", [CASE], speed=speed).path])
    rows = tables.table(results).sections[0].rows
    assert [(row[0], row[1]) for row in rows] == [("*", "a"), ("*", "b"), ("", "c")] or [
        (row[0], row[1]) for row in rows
    ] == [("*", "b"), ("*", "a"), ("", "c")]


def test_runs_stand_side_by_side_and_are_never_averaged(tmp_path):
    one = fabricate.run(tmp_path / "one", [CASE], speed={"numpy_take": 1.0}).path
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


def test_a_cpu_reference_beside_a_gpu_is_not_ranked_with_it(tmp_path):
    run = fabricate.run(tmp_path / "r", [CASE], speed={"torch_index_select": 1.0}, device="cuda:0")
    run.append(fabricate.measurement(CASE, 7, {"numpy_take": 9.0}))
    table = tables.table(outcomes.read([run.path]))
    assert [section.rows[0][0] for section in table.sections] == ["*", "*"]
    assert [section.title.split(" · ")[0][-9:] for section in table.sections] == ["on cuda:0", "ld on cpu"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (1, "1.00"), (9.999, "10.0"), (99.95, "100"), (12345.6, "12,346"), (0, "0")],
)
def test_three_digits(value, text):
    assert digits(value) == text


# --- the command line ---


def test_the_command_writes_what_is_asked_and_prints_plainly(folder, tmp_path):
    code, out, err = said(tmp_path, folder, "--csv", "o.csv", "--markdown", "o.md")
    assert (code, err) == (0, "")
    assert "numba_cpu is 2.00x faster than torch_index_select" in out and "\x1b" not in out
    assert (tmp_path / "o.csv").read_text().startswith("run,backend,status")
    assert (
        "| numba\\_cpu" in (tmp_path / "o.md").read_text() or "| numba_cpu" in (tmp_path / "o.md").read_text()
    )
    assert said(tmp_path, folder, "--csv", "o2.csv")[1] == out
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "o2.csv").read_bytes()


def test_what_can_not_be_shown_is_one_line_and_exit_code_2(folder, tmp_path):
    Run.create(tmp_path / "empty", fabricate.ENVIRONMENT)
    old = fabricate.run(tmp_path / "old").path / "environment.json"
    old.write_text(old.read_text().replace('"schema": 1', '"schema": 0'))
    for arguments, word in (
        (["missing"], "no such folder"),
        (["empty"], "holds no records"),
        (["old"], "schema 0"),
        (["*.nothing"], "no such folder"),
        ([folder, "--csv", "no/such/folder.csv"], "can't be written"),
        ([], "required: run"),
        ([folder, "--loud"], "unrecognized"),
    ):
        code, out, err = said(tmp_path, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert word in err


def test_what_is_amiss_is_named_in_a_report_of_the_rest(folder, tmp_path):
    with (folder / "records.jsonl").open("a") as file:
        file.write("hello\n" * 5)
    code, out, _ = said(tmp_path, folder, "missing")
    assert code == 0 and "2.00x faster" in out
    assert "missing: no such folder" in out and "records.jsonl:13:" in out and "2 more lines" in out


def _torn(run):
    data = (run / "records.jsonl").read_bytes()
    (run / "records.jsonl").write_bytes(data[: data.index(b"\n") - 40])


def _foreign(run):
    (run / "records.jsonl").write_text("backend,median_us\nnumpy_take,1.5\n")


def _edited(run):
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text(lines[1].replace('"batch":512', '"batch":"512"'))


def _older(run):
    text = (run / "environment.json").read_text()
    (run / "environment.json").write_text(text.replace('"schema": 1', '"schema": 0'))


def _older_records(run):
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text(lines[1].replace('"schema":1', '"schema":0'))


def _foreign_environment(run):
    (run / "environment.json").write_text('{"machine_info": {}, "benchmarks": []}')


def _empty(run):
    (run / "records.jsonl").write_text("")


def _no_records(run):
    (run / "records.jsonl").unlink()


AMISS = {
    _torn: "records.jsonl:1: cut short by an interrupted write; the line is left out",
    _foreign: "records.jsonl:1: Expecting value",
    _edited: "records.jsonl:1: Record.case.batch: '512' is not int; the line is left out",
    _older: "environment.json: schema 0, this reader knows 1; read it with the version of the suite",
    _older_records: "records.jsonl:1: schema 0, this reader knows 1; the line is left out",
    _foreign_environment: "environment.json: schema None, this reader knows 1",
    _empty: "holds no records; nothing of it to show",
    _no_records: "is no run, records.jsonl is missing; give a folder that suite.run made",
}


@pytest.mark.parametrize("spoil", AMISS)
def test_a_spoiled_run_is_a_line_of_a_report_and_alone_no_report(folder, tmp_path, capsys, spoil):
    bad = fabricate.run(tmp_path / "bad", [CASE]).path
    spoil(bad)
    written = [tmp_path / name for name in ("r.csv", "r.md", "r.html")]
    asked = [f"--{name}={path}" for name, path in zip(("csv", "markdown", "html"), written, strict=True)]
    assert main([str(bad), *asked]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and AMISS[spoil] in lines[0] and all(line.startswith(str(bad)) for line in lines)
    assert not any(path.exists() for path in written)
    assert main([str(bad), str(folder), *asked]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "2.00x faster" in out
    assert len([line for line in out.splitlines() if AMISS[spoil] in line]) == 1
    assert lines[0].partition(": ")[2].partition(" ")[0] in written[1].read_text()
    assert set(pd.read_csv(written[0]).run) == {folder.name}


def test_devices_and_machines_stand_side_by_side_in_every_file(folder, tmp_path, capsys):
    """A run with a GPU and the host, and one of another machine: no row and no sentence holds two of them."""
    other = replace(fabricate.ENVIRONMENT, machine="b" * 16, devices=("cuda:0", "cpu"))
    mixed = fabricate.run(tmp_path / "mixed", environment=other, device="cuda:0", clock="kernel")
    mixed.append(fabricate.measurement(CASE, 7, {"numpy_take": 9.0}))
    assert main([str(folder), str(mixed.path), f"--csv={tmp_path / 'r.csv'}"]) == 0
    out = capsys.readouterr().out
    for title in ("run one on cpu:", "mixed on cuda:0:", "mixed on cpu:"):
        assert out.splitlines().count(title) == 1
    table = pd.read_csv(tmp_path / "r.csv")
    keys = ["run", "device", "backend", *AXES]
    assert len(table) == len(table.drop_duplicates(keys)) == 9 + 9 + 1


def test_a_missing_baseline_is_said_once_and_the_report_goes_on(folder, capsys):
    assert main([str(folder), "--baseline", "nope"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.count("baseline nope: no such backend here; give one of numba_cpu, ") == 1
    assert "numba_cpu is 2.00x faster than torch_index_select" in out


def test_a_run_of_failures_only_is_a_report(tmp_path):
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([fabricate.failure("b", CASE, "m0")])
    code, out, _ = said(tmp_path, "r")
    assert code == 0 and "no backend completed a case" in out and "rows are odd" in out


def test_a_reader_that_has_seen_enough(folder):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "suite.report", str(folder)]
    child = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, timeout=60)
    os.close(writing)
    assert (child.returncode, child.stderr) == (141, b"")


def test_an_output_that_takes_nothing_is_one_line_and_one_that_is_closed_none(folder, tmp_path):
    def ended(module, *arguments, shell):
        words = " ".join([sys.executable, "-m", module, *(f"'{one}'" for one in arguments)])
        child = subprocess.run(
            ["sh", "-c", f"{words} {shell}"], capture_output=True, text=True, cwd=ROOT, timeout=60
        )
        return child.returncode, child.stdout, child.stderr

    for module, arguments in (
        ("suite.report", [folder]),
        ("suite.report", [folder, "--csv", "-"]),
        ("suite.compare", [folder, folder]),
        ("suite.run", ["--list"]),
    ):
        code, _, error = ended(module, *arguments, shell="> /dev/full")
        assert (code, error) == (2, "standard output: can't be written (no space left on device)\n"), module
    for module, arguments in (("suite.report", [folder, "--csv", tmp_path / "c"]), ("suite.run", ["--list"])):
        assert ended(module, *arguments, shell=">&-") == (0, "", ""), module
    assert (tmp_path / "c").read_text().startswith("run,backend,")
    assert ended("suite.run", "--list", shell="| head -1")[2] == ""


def test_a_dash_is_standard_output_without_the_tables(folder, tmp_path):
    for option, written in (("--csv", "csv"), ("--markdown", "md"), ("--export=gha", "gha")):
        sign = "=" if option.startswith("--export") else " "
        asked = [*f"{option}{sign}-".split(" "), *f"{option}{sign}{tmp_path / written}".split(" ")]
        code, out, error = said(tmp_path, folder, *asked[: len(asked) // 2])
        assert (code, error) == (0, "")
        assert said(tmp_path, folder, *asked[len(asked) // 2 :])[0] == 0
        assert out == (tmp_path / written).read_text(), option
    assert not (tmp_path / "-").exists()
    for asked, word in (
        (["--csv", "-", "--markdown", "-"], "more than one file"),
        (["--csv", "x", "--html", "x"], "more than one file"),
        (["--export", "asv=-"], "folder"),
        (["--csv", ""], "no name"),
    ):
        code, out, error = said(tmp_path, folder, *asked)
        assert (code, out, error.count("\n")) == (2, "", 1) and word in error, asked
    assert not (tmp_path / "x").exists()


def test_a_narrow_terminal_has_a_line_a_row(tmp_path, monkeypatch):
    run = fabricate.run(tmp_path / "r", [CASE], converged=False)
    run.append([fabricate.failure("broken", CASE, "m0", status="crashed", reason="a segfault " * 9)])
    monkeypatch.setenv("COLUMNS", "40")
    text = printed(run.path)
    grid = text.split("\n\n")[0].splitlines()
    assert len(grid) == 2 + len(fabricate.SPEED) + 1 + 1  # headings, the case, its backends, the legend
    assert "broken: crashed on 1 case: a segfault" in text


@pytest.mark.parametrize("columns", ["40", "60", "100", "300"])
def test_any_width_shows_every_backend(folder, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    text = printed(folder)
    for backend in fabricate.SPEED:
        assert text.count(f" {backend}") >= len(fabricate.CASES)


def test_a_long_report_points_to_the_files(folder, monkeypatch):
    monkeypatch.setattr(terminal, "MAX_TERMINAL_ROWS", 5)
    text = printed(folder)
    assert "9 rows are too many to print" in text and "numba_cpu is 2.00x faster" in text


def test_tables_are_loaded_only_when_asked_for():
    code = "import sys, suite; assert 'pandas' not in sys.modules; suite.load; assert 'pandas' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = suite.nothing


def test_nothing_to_load(tmp_path):
    with pytest.raises(StoreError, match="no such folder"):
        suite.load(tmp_path / "missing")
    with pytest.raises(StoreError, match="no run given"):
        suite.load()
    for none in (None, 3, pd.DataFrame({"a": [1]}), b"run"):
        for read in (suite.load, suite.samples):
            with pytest.raises(TypeError, match="names no run; give the folder of one"):
                read(none)


def test_a_list_of_runs_and_a_folder_of_runs_are_the_runs(tmp_path):
    paths = [fabricate.run(tmp_path / "all [1]" / name, [CASE]).path for name in "ab"]
    (tmp_path / "all [1]" / "notes").mkdir()
    both = suite.load(*paths)
    for runs in (paths, tuple(map(str, paths)), iter(paths), tmp_path / "all [1]"):
        pd.testing.assert_frame_equal(suite.load(runs), both)
    assert len(suite.samples(paths)) == len(suite.samples(tmp_path / "all [1]")) > 0
    assert set(both.run) == {"a", "b"}


def test_a_notebook_completes_the_three_names():
    code = "import sys, suite; print(sorted(dir(suite)), 'pandas' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert child.stdout == "['load', 'plot', 'samples'] False\n"


def test_a_thousand_records_are_quick(tmp_path):
    """A guard against a slip in complexity, not a benchmark."""
    cases = [Case(1000 + k, 64) for k in range(100)]
    run = fabricate.run(
        tmp_path / "r", cases, speed={f"b{k}": 1 + k / 10 for k in range(9)}, shape={"count": 8}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(suite.load(run.path)) == 900


def _lines_run(function, *arguments):
    """How many lines of Python a call runs: the same every time, whatever the machine does beside."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = function(*arguments)
    finally:
        sys.settrace(before)
    return result, count


@pytest.fixture(scope="module")
def many_runs_and_twice_as_many(tmp_path_factory):
    """Paths of as many runs of one case, each of them small."""
    root, shape = tmp_path_factory.mktemp("many"), {"count": 6, "each": 1}
    speed = {"a": 1.0, "b": 2.0}
    runs = [fabricate.run(root / str(k), [CASE], speed=speed, seed=k, shape=shape) for k in range(160)]
    return [run.path for run in runs[:80]], [run.path for run in runs]


LINEAR = {
    "frame": columns.columns,
    "sentences": lambda results: sentences.sentences(results, None),
    "table": tables.table,
    "figures": figures,
    "page": html.html,
    "bmf": lambda results: export.texts(results, "bmf"),
    "asv": lambda results: export.texts(results, "asv"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_twice_the_runs_are_twice_the_work(many_runs_and_twice_as_many, name):
    once, twice = (_lines_run(LINEAR[name], outcomes.read(paths))[1] for paths in many_runs_and_twice_as_many)
    assert twice < 2.2 * once


def test_twice_the_runs_are_twice_the_reading(many_runs_and_twice_as_many):
    once, twice = (_lines_run(outcomes.read, paths)[1] for paths in many_runs_and_twice_as_many)
    assert twice < 2.2 * once
