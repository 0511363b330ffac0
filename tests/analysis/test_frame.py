"""suite.load and suite.samples: right numbers under the promised names, whatever is wrong with a run."""

from __future__ import annotations

import math
import random
import statistics
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import suite
from suite.analysis import columns, fields, frame, outcomes
from suite.analysis.columns import PEAK
from suite.cases.case import AXES, Case
from suite.records.store import Run, StoreError
from tests.support import ROOT, fabricate

EXACT = {"shape": {"noise": 0.0}}
PROMISED = set(
    """backend,status,reason,device,vocab,dim,dtype,index_dtype,batch,distribution,cache,clock,median_us,
ci_low_us,ci_high_us,samples,enqueue_us,call_us,payload_bytes,compulsory_bytes,distinct_fraction,gb_per_s,
ceiling_gb_per_s,fraction_of_ceiling,fraction_of_peak,extra_memory_bytes,converged""".replace("\n", "").split(
        ","
    )
)


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    return fabricate.run(tmp_path / "run one").path


def test_each_record_is_a_row_with_the_columns_that_are_promised(folder: Path) -> None:
    table = suite.load(folder)
    assert len(table) == len(fabricate.CASES) * len(fabricate.SPEED)
    assert PROMISED | set(AXES) <= set(table.columns) and list(table.columns) == list(fields.COLUMNS)
    assert "contiguous_copy" not in set(table.backend)


def test_a_table_is_the_same_however_many_are_looked_at_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = suite.load(folder)
    monkeypatch.setattr(columns, "TOGETHER", 2)
    pd.testing.assert_frame_equal(suite.load(folder), whole)


def test_the_numbers_follow_from_the_samples(tmp_path: Path) -> None:
    made = fabricate.measurement(fabricate.CASE, speed={"b": 1.0})
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append(made)
    row = suite.load(tmp_path / "r").iloc[0]
    copy, record = made
    seconds = statistics.median(statistics.median(one) for one in record.samples.call_s)
    copy_s = statistics.median(statistics.median(one) for one in copy.samples.call_s)
    assert row.median_us == pytest.approx(seconds * 1e6) == row.call_us
    assert row.ci_low_us < row.median_us < row.ci_high_us
    assert row.gb_per_s == pytest.approx(fabricate.CASE.payload_bytes / seconds / 1e9)
    assert row.ceiling_gb_per_s == pytest.approx(2 * fabricate.CASE.rows_bytes / copy_s / 1e9)
    assert row.fraction_of_ceiling == pytest.approx(row.gb_per_s / row.ceiling_gb_per_s, rel=0.005)
    assert row.fraction_of_ceiling_low < row.fraction_of_ceiling < row.fraction_of_ceiling_high
    assert row.compulsory_bytes == fabricate.CASE.compulsory_bytes(record.traffic.distinct)
    assert row.distinct_fraction == record.traffic.distinct / fabricate.CASE.batch
    assert (row.samples, row.rounds, row.extra_memory_bytes) == (60, 12, 0)
    assert row.allocates is False or row.allocates == False  # noqa: E712 - a NumPy bool
    assert math.isnan(row.fraction_of_peak) and math.isnan(row.enqueue_us)


def test_fractions_are_taken_within_rounds(tmp_path: Path) -> None:
    """Drift that hits lookup and ceiling alike leaves the fraction alone, however wide the medians' own."""
    drift = [1 + 0.1 * k for k in range(12)]
    copy, record = fabricate.measurement(fabricate.CASE, speed={"b": 1.0}, **EXACT)
    for one in (copy, record):
        taken = tuple(tuple(s * d for s in r) for r, d in zip(one.samples.call_s, drift, strict=True))
        object.__setattr__(one, "samples", replace(one.samples, call_s=taken))
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([copy, record])
    row = suite.load(tmp_path / "r").iloc[0]
    assert row.ci_high_us / row.ci_low_us > 1.3
    assert row.fraction_of_ceiling_high / row.fraction_of_ceiling_low < 1.001


def test_kernel_time_is_the_headline_where_the_record_says_so(tmp_path: Path) -> None:
    gpu = {PEAK: 3.35e12}
    where = replace(fabricate.ENVIRONMENT, devices=("cuda:0",), gpu=gpu)
    made = fabricate.measurement(fabricate.CASE, speed={"b": 1.0}, device="cuda:0", clock="kernel")
    Run.create(tmp_path / "r", where).append(made)
    row = suite.load(tmp_path / "r").iloc[0]
    assert row.call_us == pytest.approx(row.median_us + 9, rel=0.02)
    assert row.enqueue_us == pytest.approx(4, rel=0.02)
    assert row.fraction_of_peak == pytest.approx(row.gb_per_s * 1e9 / 3.35e12)
    assert row.held and row.clock == "kernel"


def test_a_rank_is_among_results_of_one_clock(tmp_path: Path) -> None:
    fabricate.of_two_clocks(tmp_path / "r")
    table = suite.load(tmp_path / "r").set_index("backend")
    assert table["rank"].fillna(0).to_dict() == {"x": 1, "y": 2, "z": 0}
    assert table.loc["x", "kernel_us"] == table.loc["x", "median_us"] and math.isnan(
        table.loc["z", "kernel_us"]
    )
    tied = fabricate.run(tmp_path / "t", [fabricate.CASE], speed={"a": 1.0, "b": 1.001, "c": 2.0})
    assert sorted(suite.load(tied.path)["rank"]) == [1, 1, 3]
    checks = replace(fabricate.ENVIRONMENT, settings={"preset": "smoke", "passes": 1})
    assert suite.load(fabricate.run(tmp_path / "u", environment=checks).path)["rank"].isna().all()


def test_a_host_clock_is_held_against_the_ceiling_by_the_host_clock(tmp_path: Path) -> None:
    made = fabricate.measurement(fabricate.CASE, speed={"b": 1.0}, device="cuda:0", clock="kernel")
    call = replace(made[1], clock="call", samples=replace(made[1].samples, kernel_s=None, held=None))
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([made[0], call])
    row = suite.load(tmp_path / "r").iloc[0]
    copy_s = statistics.median(statistics.median(one) for one in made[0].samples.call_s)
    assert row.ceiling_gb_per_s == pytest.approx(2 * fabricate.CASE.rows_bytes / copy_s / 1e9)
    assert row.fraction_of_ceiling == pytest.approx(row.gb_per_s / row.ceiling_gb_per_s, rel=0.005)


def test_a_failure_has_its_reason_and_no_number(tmp_path: Path) -> None:
    failed = fabricate.failure("broken", fabricate.CASE, "m0", status="crashed", reason="segfault")
    table = suite.load(fabricate.run(tmp_path / "r", [fabricate.CASE], extra=[failed]).path)
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


def test_without_a_ceiling_there_is_no_fraction_and_it_is_said(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    run.append(fabricate.measurement(fabricate.CASE)[1:])
    results = outcomes.read([run.path])
    assert frame.frame(results).fraction_of_ceiling.isna().all()
    assert ["without a ceiling" in note for note in results.notes] == [True]


def test_a_row_is_over_passes_and_says_how_many_of_its_rounds_were_at_full_speed(tmp_path: Path) -> None:
    slow = fabricate.slow_between((0, 0.47), (1.92, 2.88))
    run = fabricate.passes(tmp_path / "r", [fabricate.CASE], environments={"head": 1.0}, slowness=slow)
    row = suite.load(run.path).set_index("backend").loc["numba_cpu"]
    assert (row.passes, row.environment, row.at_full_speed) == (3, "head", True)
    assert row.rounds == 18 and row.full_speed_fraction == 0.5
    assert row.median_us == pytest.approx(197, rel=0.01)
    assert row.ci_low_us < row.median_us < row.ci_high_us


def test_a_row_that_was_not_at_full_speed_has_its_interval_of_all_rounds(tmp_path: Path) -> None:
    run = fabricate.passes(tmp_path / "r", [fabricate.CASE], slowness=fabricate.slow_between((0.42, 1e9)))
    row = suite.load(run.path).set_index("backend").loc["numba_cpu"]
    assert (row.rounds, row.at_full_speed, row.converged) == (36, False, False)
    assert row.full_speed_fraction == pytest.approx(5 / 36)
    assert math.isfinite(row.ci_low_us) and row.ci_low_us < row.median_us < row.ci_high_us


def test_the_last_record_of_a_backend_and_case_counts_and_it_is_said(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r", [fabricate.CASE])
    run.append([fabricate.failure("numba_cpu", fabricate.CASE, "m9", status="timed_out", reason="60 s")])
    with pytest.warns(UserWarning, match="1 record replaced by a later one"):
        table = suite.load(run.path)
    assert list(table[table.backend == "numba_cpu"].status) == ["timed_out"]


def test_types_do_not_depend_on_what_is_in_the_run(folder: Path, tmp_path: Path) -> None:
    failed = Run.create(tmp_path / "failed", fabricate.ENVIRONMENT)
    failed.append([fabricate.failure("b", fabricate.CASE, "m0")])
    assert list(suite.load(folder).dtypes) == list(suite.load(failed.path).dtypes)


def test_a_pattern_names_many_runs_and_passes_over_what_is_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fabricate.run(tmp_path / name, [fabricate.CASE])
    (tmp_path / "README.md").touch()
    (tmp_path / "notes").mkdir()
    assert list(suite.load(f"{tmp_path}/*").run.unique()) == ["a", "b"]
    assert list(suite.load(tmp_path / "a", f"{tmp_path}/./a").run.unique()) == ["a"]


def test_runs_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    paths = [fabricate.run(tmp_path / name / "r", [fabricate.CASE]).path for name in ("a", "b")]
    assert list(suite.load(*paths).run.unique()) == [str(path) for path in paths]


def test_every_sample_is_read_in_order(tmp_path: Path) -> None:
    made = fabricate.measurement(fabricate.CASE, speed={"b": 1.0}, device="cuda:0", clock="kernel")
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append(made)
    table = suite.samples(tmp_path / "r")
    ours = table[(table.backend == "b") & (table.time == "kernel")]
    assert list(ours.seconds) == [s for one in made[1].samples.kernel_s for s in one]
    assert list(ours["round"].unique()) == list(range(12))
    assert set(table.time) == {"kernel", "enqueue", "call"} and set(table.role) == {"backend", "ceiling"}


def test_a_sample_names_its_pass_its_environment_and_whether_it_was_at_full_speed(tmp_path: Path) -> None:
    """Two passes of 12 rounds of two backends and two copies; the first half of the first was slow."""
    both, slow = {"base": 1.0, "head": 1.0}, fabricate.slow_between((0, 0.47))
    path = fabricate.passes(
        tmp_path / "r", [fabricate.CASE], 2, both, slow, speed={"b": 1.0}, shape={"each": 2}
    ).path
    table = suite.samples(path)
    assert str(table.dtypes["full_speed"]) == "boolean"
    assert table.groupby("pass")["environment"].unique().map(set).tolist() == [set(both)] * 2
    timed = table[table.time == "call"]
    assert len(timed) == 2 * 2 * 2 * 12 * 2
    full = timed.groupby(["pass", "round"])["full_speed"].mean()
    assert full[1].tolist() == [0.0] * 6 + [1.0] * 6 and full[2].tolist() == [1.0] * 12
    assert timed[~timed.full_speed].seconds.min() > 1.2 * timed[timed.full_speed].seconds.min()


def test_samples_without_a_meter_say_nothing_of_the_speed(folder: Path) -> None:
    table = suite.samples(folder)
    assert table["full_speed"].isna().all() and set(table["pass"]) == {1}
    assert table["environment"].isna().all()


def test_samples_of_many_runs_are_read_whatever_is_amiss_with_some(folder: Path, tmp_path: Path) -> None:
    fabricate.run(tmp_path / "bad" / "run one", [fabricate.CASE], speed={"\ud800": 1.0})
    with (folder / "records.jsonl").open("a") as file:
        file.write("hello\n")
    with pytest.warns(UserWarning) as warned:
        table = suite.samples(folder, tmp_path / "bad" / "run one", tmp_path / "missing")
    said = [str(one.message) for one in warned]
    assert ["no such folder" in said[0], "records.jsonl:13" in said[1], len(said)] == [True, True, 2]
    assert set(table.run) == {str(folder), str(tmp_path / "bad" / "run one")}
    assert set(map(str, table.dtypes)) == {"string", "Int64", "float64", "boolean"}
    with pytest.raises(StoreError, match="no such folder"):
        suite.samples(tmp_path / "missing")


def test_a_run_of_failures_has_no_samples_and_says_so(tmp_path: Path) -> None:
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([fabricate.failure("x", fabricate.CASE, "m")])
    with pytest.raises(
        StoreError, match=r"r: no backend completed a case, so there are no samples; suite.load"
    ):
        suite.samples(tmp_path / "r")


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((0.0,),))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((-1e-6, 1e-6),))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((), ()))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((1e300,),))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), call_s=((1.7e308, -1.7e308) * 4,))},
        {"samples": replace(fabricate.samples(1e-5, random.Random(0)), meter_s=((1e-5, 0.0),))},
        {"case": Case(2**40, 2**40, batch=2**40)},
        {"traffic": replace(fabricate.traffic(fabricate.CASE), touched_bytes=2**80)},
        {"traffic": replace(fabricate.traffic(fabricate.CASE), distinct=-1)},
    ],
)
def test_a_record_that_no_machine_can_have_made_is_left_out_and_said(tmp_path: Path, changes: Any) -> None:
    odd = replace(fabricate.record("odd", fabricate.CASE, 1e-5, random.Random(0), "m0"), **changes)
    run = fabricate.run(tmp_path / "r", [fabricate.CASE], extra=[odd])
    with pytest.warns(UserWarning, match="odd on .* is left out"):
        assert "odd" not in set(suite.load(run.path).backend)


def test_tables_are_loaded_only_when_asked_for() -> None:
    code = "import sys, suite; assert 'pandas' not in sys.modules; suite.load; assert 'pandas' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = suite.nothing


def test_nothing_to_load_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such folder"):
        suite.load(tmp_path / "missing")
    with pytest.raises(StoreError, match="no run given"):
        suite.load()
    for none in (None, 3, pd.DataFrame({"a": [1]}), b"run"):
        for read in (suite.load, suite.samples):
            with pytest.raises(TypeError, match="names no run; give the folder of one"):
                read(none)


def test_a_list_of_runs_and_a_folder_of_runs_are_the_runs(tmp_path: Path) -> None:
    paths = [fabricate.run(tmp_path / "all [1]" / name, [fabricate.CASE]).path for name in "ab"]
    (tmp_path / "all [1]" / "notes").mkdir()
    both = suite.load(*paths)
    for runs in (paths, tuple(map(str, paths)), iter(paths), tmp_path / "all [1]"):
        pd.testing.assert_frame_equal(suite.load(runs), both)
    assert len(suite.samples(paths)) == len(suite.samples(tmp_path / "all [1]")) > 0
    assert set(both.run) == {"a", "b"}


def test_a_notebook_completes_the_names() -> None:
    code = "import sys, suite; print(sorted(dir(suite)), 'pandas' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert child.stdout == "['best', 'load', 'measure', 'plot', 'samples'] False\n"


def test_a_thousand_records_are_quick(tmp_path: Path) -> None:
    """A guard against a slip in complexity, not a benchmark."""
    cases = [Case(1000 + k, 64) for k in range(100)]
    run = fabricate.run(
        tmp_path / "r", cases, speed={f"b{k}": 1 + k / 10 for k in range(9)}, shape={"count": 8}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(suite.load(run.path)) == 900


def test_each_record_says_whose_code_it_is_of(tmp_path: Path) -> None:
    table = suite.load(fabricate.run(tmp_path / "r").path)
    own = table.groupby("whose").backend.unique()
    assert list(own["kernel of this suite"]) == ["numba_cpu"]
    assert sorted(own["library"]) == ["numpy_take", "torch_index_select"]


@pytest.mark.parametrize("read", [suite.load, suite.samples])
def test_what_a_file_holds_does_not_break_the_line_that_refuses_it(tmp_path: Path, read: Any) -> None:
    run = fabricate.run(tmp_path / "r", [fabricate.CASE])
    lines = (run.path / "records.jsonl").read_text().splitlines()
    spoiled = lines[1].replace('"float32"', '"x\\ny\\u001b[31m"')
    (run.path / "records.jsonl").write_text("\n".join([lines[0], spoiled, *lines[2:]]))
    with pytest.warns(UserWarning, match="dtype x y: unknown") as warned:
        read(run.path)
    assert all(str(one.message).isprintable() for one in warned)
    (run.path / "environment.json").write_text('{"schema": "a\\u2028b"}')
    with pytest.raises(StoreError) as error:
        read(run.path)
    assert "schema" in str(error.value) and str(error.value).isprintable()


def test_samples_leave_out_what_no_machine_can_have_produced(tmp_path: Path) -> None:
    """As the table of records does, with the same line."""
    run = fabricate.passes(tmp_path / "r", [fabricate.CASE], 1)
    *kept, standing, late = run.records()[0]
    still = replace(standing.samples, meter_s=tuple((0.0, 0.0) for _ in standing.samples.meter_s))
    (run.path / "records.jsonl").write_text("")
    run.append([*kept, replace(standing, samples=still), replace(late, pass_number=2**70)])
    for read in (suite.load, suite.samples):
        with pytest.warns(UserWarning) as warned:
            table = read(run.path)
        said = "".join(str(one.message) for one in warned)
        assert "a reading of the meter that can't be" in said and "a number of a pass that can't be" in said
        assert not {standing.backend, late.backend} & set(table.backend)


def test_a_path_may_begin_at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    pd.testing.assert_frame_equal(suite.load(f"~/{folder.name}"), suite.load(folder))
