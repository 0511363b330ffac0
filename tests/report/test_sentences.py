"""What counters saw beside the times; what is tied with the fastest, by one rule everywhere."""

from __future__ import annotations

import io
import itertools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import suite
from backends import describe, names
from suite import stats
from suite.analysis import columns, comparison, outcomes
from suite.analysis.fields import COLUMNS, MEANINGS
from suite.cases.case import Case
from suite.records.record import Record
from suite.records.store import Run
from suite.report import sentences as words
from suite.report import tables, terminal, verdict
from suite.report.page import judged
from suite.telemetry.host import HostObserver
from suite.telemetry.sustained import Work
from suite.units import digits
from tests.support import fabricate
from tests.support.reports import printed

CASES = fabricate.CASES
CASE = CASES[0]
GPU = replace(fabricate.ENVIRONMENT, devices=("cuda:0",), gpu={columns.PEAK: 3.35e12})
SECONDS = 2e-5


def one(backend: str, case: Case, number: int = 0, **telemetry: Any) -> Record:
    """A GPU record of 20 µs with these counters."""
    draw = random.Random(0)
    made = fabricate.record(
        *(backend, case, SECONDS, draw, f"m{number}"), device="cuda:0", clock="kernel", shape={"noise": 0.0}
    )
    return replace(made, telemetry=telemetry)


def gpu_run(path: Path, *records: Any) -> Any:
    run = Run.create(path, GPU)
    run.append(records)
    for record in {r.measurement: r for r in records if r.samples}.values():
        run.append([replace(record, backend="contiguous_copy", role="ceiling", telemetry={})])
    return run.path


def sentences(path: Path) -> Any:
    return words.sentences(outcomes.read([path]), None)


# --- the table ---


def test_counters_stand_in_the_table_with_their_units(tmp_path: Path) -> None:
    seen = fabricate.counted(CASE, SECONDS, dram=0.5)
    seen["case_throttled_software_power_cap_s"] = 0.25
    row = suite.load(gpu_run(tmp_path / "r", one("b", CASE, **seen))).iloc[0]
    gb_per_s = CASE.payload_bytes / SECONDS / 1e9
    assert row.sustained_gb_per_s == pytest.approx(gb_per_s) == row.gb_per_s
    assert row.dram_gb_per_s == pytest.approx(gb_per_s / 2)
    assert row.dram_bytes_per_lookup == pytest.approx(CASE.payload_bytes / 2)
    assert row.joules_per_gb == 0.1
    assert row.joules_per_lookup == pytest.approx(0.1 * CASE.payload_bytes / 1e9)
    assert row.mean_power_w == pytest.approx(row.joules_per_lookup / SECONDS)
    assert (row.sm_clock_before_mhz, row.sm_clock_after_mhz) == (1980, 1755)
    assert row.throttled_s == 0.25
    assert pd.isna(row.dram_missing) and pd.isna(row.energy_missing)


def test_a_figure_that_is_missing_has_its_reason(tmp_path: Path) -> None:
    seen = {
        "dram_bytes_per_s": None,
        "dram_bytes_per_s_missing": "not supported",
        "energy_j": None,
        "energy_j_missing": "too short: 0.100 s of at least 0.3 s",
    }
    path = gpu_run(
        tmp_path / "r",
        *(one("a", CASE, **seen), one("b", CASE), one("c", CASE, joules_per_lookup=True, sustained_s="x")),
        fabricate.failure("d", CASE, "m0", device="cuda:0"),
    )
    table = suite.load(path).set_index("backend")
    assert table.dram_missing.tolist()[:3] == ["not supported", "not measured", "not measured"]
    assert table.energy_missing["a"].startswith("too short") and table.energy_missing["c"] == "not measured"
    assert pd.isna(table.loc["d", ["dram_missing", "energy_missing"]]).all()
    figures = [name for name in COLUMNS if name.startswith(("dram_", "joules", "mean_power", "sustained_"))]
    numbers = [name for name in figures if COLUMNS[name] == "float64"]
    assert len(numbers) == 6 and table[numbers].isna().all().all()


def test_a_cpu_gives_energy_where_the_kernel_tells_it(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    joules = itertools.count(10, 3)
    counter = zone / "energy_uj"
    counter.write_text("0")

    def lookup() -> None:
        counter.write_text(str(next(joules) * 1_000_000))

    seen = HostObserver(tmp_path).sustained(Work(CASE.payload_bytes, [lookup], lambda: None), 0.001)
    copy, made = fabricate.measurement(CASE, speed={"b": 1.0})
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([copy, replace(made, telemetry=seen)])
    row = suite.load(tmp_path / "r").iloc[0]
    assert row.joules_per_gb == pytest.approx(row.joules_per_lookup / CASE.payload_bytes * 1e9)
    assert row.mean_power_w > 0 and row.sustained_gb_per_s > 0
    assert row.dram_missing == "not measured" and pd.isna(row.energy_missing)
    assert [line for line in sentences(tmp_path / "r") if "energy for a GB" in line]


def test_every_column_says_what_it_holds() -> None:
    assert list(MEANINGS) == list(COLUMNS) and all(MEANINGS.values())


# --- the sentences ---


def test_declared_bytes_stand_against_those_the_counters_saw(tmp_path: Path) -> None:
    large, small = CASES[1], CASES[0]
    records = (
        one("a", small, 0, **fabricate.counted(small, SECONDS, dram=0.25)),
        one("a", large, 1, **fabricate.counted(large, SECONDS, dram=1.1)),
    )
    (line,) = [line for line in sentences(gpu_run(tmp_path / "r", *records)) if "counters saw" in line]
    declared = large.payload_bytes / SECONDS / 1e9
    rates = [digits(rate) for rate in (declared, 1.1 * declared)]
    assert line == (
        f"lookups on end: counters saw {rates[1]} GB/s of DRAM traffic where {rates[0]} GB/s are declared "
        f"(a on {large}); 0.675x the declared bytes at the median of 2 results (0.250x to 1.10x); "
        "what is under 1x, caches served"
    )


def test_the_copy_says_how_far_the_counters_can_be_trusted(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", GPU)
    made = one("a", CASE, **fabricate.counted(CASE, SECONDS, dram=1.3))
    copy = replace(made, backend="copy", role="ceiling", telemetry=fabricate.counted(CASE, SECONDS, dram=1.2))
    run.append([made, copy])
    (line,) = [line for line in sentences(run.path) if "counters saw" in line]
    assert line.endswith(f"(a on {CASE}), and for the plain copy beside it 1.20x its known bytes")


def test_energy_is_compared_over_the_cases_all_have(tmp_path: Path) -> None:
    records = [
        *(
            one("a", case, k, **fabricate.counted(case, SECONDS, joules_per_gb=(0.1, 0.3, 9.0)[k]))
            for k, case in enumerate(CASES)
        ),
        *(
            one("b", case, k, **fabricate.counted(case, SECONDS, joules_per_gb=0.3 + k))
            for k, case in enumerate(CASES[:2])
        ),
        one("rare", CASES[0], 0),
    ]
    lines = sentences(gpu_run(tmp_path / "r", *records))
    assert "energy for a GB of payload at the median over 2 cases: a 0.200 J, b 0.800 J" in lines


def test_clocks_held_down_are_said(tmp_path: Path) -> None:
    seen = fabricate.counted(CASE, SECONDS)
    records = [one("a", CASE, **seen), one("b", CASE, **{**seen, "case_throttled_software_power_cap_s": 0.2})]
    lines = sentences(gpu_run(tmp_path / "r", *records))
    assert "clocks were held down while 1 of 2 results were measured: software power cap 1" in lines


def test_without_counters_nothing_is_said(tmp_path: Path) -> None:
    results = outcomes.read([fabricate.run(tmp_path / "r").path])
    assert words.counter_sentences(results.outcomes) == []


# --- the fastest ---


@pytest.mark.parametrize(("floor", "told"), [(None, ["c"]), (0.001, ["b", "c"]), (0.25, [])])
def test_terminal_and_page_name_the_same_as_not_told_apart(tmp_path: Path, floor: Any, told: Any) -> None:
    """1 % more and 20 % more time, against noise floors that hide one, none and both of them."""
    where = replace(fabricate.ENVIRONMENT, noise_floor=floor)
    speed = {"a": 1.0, "b": 1.01, "c": 1.2}
    path = fabricate.run(tmp_path / "r", [CASE], where, speed=speed, shape={"noise": 1e-4}).path
    results = outcomes.read([path])
    rows = tables.table(results).sections[0].rows
    assert [row[1] for row in rows if row[0] != "*"] == told
    against_the_fastest = judged.judged(results)["pairs"][0][:10:5]
    slower = [name for name, code in zip(("b", "c"), against_the_fastest, strict=True) if code == 0]
    assert slower == told
    file = io.StringIO()
    terminal.show(results, file, None)
    assert "the interval of their ratio reaches the machine's noise floor" in file.getvalue()


def test_told_apart_is_what_compare_calls_slower(tmp_path: Path) -> None:
    path = fabricate.run(tmp_path / "r", speed={f"b{k}": 1 + k / 200 for k in range(9)}).path
    results = outcomes.read([path])
    for case in CASES:
        group = [o for o in results.outcomes if o.case == case]
        (first, *others), best = comparison.rank(group, 0.02)
        for other in others:
            verdict = stats.verdict(comparison.slowdown(other, first), 0.02)
            assert (other.key in best) == (verdict != "SLOWER")
        assert 1 < len(best) < len(group)


def test_under_six_rounds_nothing_is_told(tmp_path: Path) -> None:
    path = fabricate.run(tmp_path / "r", [CASE], shape={"count": 5}).path
    ranked, best = comparison.rank(outcomes.read([path]).outcomes, 0.02)
    assert best == {o.key for o in ranked} and len(best) == 3


def test_the_noise_floor_is_the_machines_or_assumed() -> None:
    assert comparison.noise_floor(replace(fabricate.ENVIRONMENT, noise_floor=0.005)) == 0.005
    assert (
        comparison.noise_floor(replace(fabricate.ENVIRONMENT, noise_floor=None)) == stats.ASSUMED_NOISE_FLOOR
    )


# --- passes, the machine's speed, environments ---


def passed(tmp_path: Path, *cases: Case, **how: Any) -> Any:
    return words.sentences(
        outcomes.read([fabricate.passes(tmp_path / "r", cases or CASES, **how).path]), None
    )


@pytest.mark.parametrize(
    ("passes", "share", "said"),
    [
        (3, 1.0, "3 passes, measured at full speed for 100 % of the time"),
        (1, 0.5, "measured at full speed for 50 % of the time"),
    ],
)
def test_passes_are_counted_and_the_share_at_full_speed_is_said(
    tmp_path: Path, passes: int, share: float, said: str
) -> None:
    turns = passes * 4 * 12
    slow = fabricate.slow_between((share * turns * fabricate.TURN_S - 0.001, 1e9))
    assert said in passed(tmp_path, CASE, count=passes, slowness=slow)


def test_without_a_meter_and_of_one_pass_nothing_is_said_of_either(folder: Path) -> None:
    lines = words.sentences(outcomes.read([folder]), None)
    assert not [line for line in lines if "pass" in line or "full speed" in line]


def test_of_a_device_without_a_meter_the_speed_is_not_said(tmp_path: Path) -> None:
    run = fabricate.passes(tmp_path / "r", [CASE], count=1)
    run.append(fabricate.measurement(CASE, 7, device="cuda:0", clock="kernel"))
    lines = words.sentences(outcomes.read([run.path]), None)
    said = [k for k, line in enumerate(lines) if "of the time" in line]
    assert len(said) == 1 and lines.index("r on cpu:") < said[0] < lines.index("r on cuda:0:")


def test_what_was_not_at_full_speed_is_not_called_faster(tmp_path: Path) -> None:
    """Of three cases the first was measured slow: two are compared, and the third decides nothing."""
    lines = passed(tmp_path, slowness=fabricate.slow_between((0, 0.96), (2.88, 3.84), (5.76, 6.72)))
    said = "fastest of all: numba_cpu in 2 of 3 cases, 1 open (likely numba_cpu in 1)"
    assert (
        lines[0].startswith(f"{said}; torch_index_select takes 2.00x and 2.00x") and "in 2 cases" in lines[0]
    )
    assert (
        "3 of 9 results not at full speed, nothing is decided by them, 1.3x apart and more is likely: "
        "torch_index_select 1, numba_cpu 1, numpy_take 1"
    ) in lines
    state = next(line for line in lines if line.startswith("2 of 3 cases decided; open: 50257x768"))
    assert state.endswith("(likely numba_cpu)")


SLOW_FROM = fabricate.slow_between((0.42, 1e9))


def test_where_nothing_was_at_full_speed_a_backend_is_named_as_likely_the_fastest(tmp_path: Path) -> None:
    lines = passed(tmp_path, CASE, slowness=SLOW_FROM)
    assert lines[0] == "fastest of all: open in all of 1 case (likely numba_cpu in 1)"
    assert lines[1].startswith("fastest call of a library: open in all of 1 case (likely torch_index_select")
    assert not [line for line in lines if "takes" in line or "faster" in line or "slower" in line]


def test_where_nothing_was_at_full_speed_and_all_are_close_none_is_named(tmp_path: Path) -> None:
    close = {"numba_cpu": 1.0, "torch_index_select": 1.02, "numpy_take": 1.04}
    lines = passed(tmp_path, CASE, slowness=SLOW_FROM, speed=close)
    assert lines[0] == "fastest of all: open in all of 1 case"
    assert any(line.endswith("(numba_cpu or torch_index_select or numpy_take)") for line in lines)


def test_what_was_measured_alone_is_not_likely_the_fastest(tmp_path: Path) -> None:
    lines = passed(tmp_path, CASE, slowness=SLOW_FROM, speed={"numba_cpu": 1.0})
    assert "0 of 1 case decided; open: " in lines[0] and lines[0].endswith("(numba_cpu)")


def test_a_backend_is_held_against_itself_in_the_first_environment(tmp_path: Path) -> None:
    lines = passed(tmp_path, environments={"base": 1.0, "head": 1.25})
    for name in fabricate.SPEED:
        own = [
            line for line in lines if line.startswith(f"{name} @head takes 1.25x as long as {name} @base (")
        ]
        assert len(own) == 1 and "over 3 cases" in own[0]
    assert [
        line for line in lines if "torch_index_select @head takes 2.00x as long as numba_cpu @head" in line
    ]


def test_a_failure_in_one_environment_names_it(tmp_path: Path) -> None:
    run = fabricate.passes(tmp_path / "r", [CASE], environments={"base": 1.0, "head": 1.0})
    run.append([replace(fabricate.failure("odd", CASE, "m0"), environment="head")])
    assert "odd @head: unsupported on 1 case: rows are odd" in words.sentences(
        outcomes.read([run.path]), None
    )


# --- the winner and the rest ---


def test_the_verdict_names_the_fastest_of_all_and_the_fastest_call_of_a_library(folder: Path) -> None:
    lines = words.sentences(outcomes.read([folder]), None)
    assert lines[0].startswith(
        "fastest of all: numba_cpu in 3 of 3 cases; torch_index_select takes 2.00x as long as numba_cpu ("
    )
    assert lines[1] == "fastest call of a library: torch_index_select in 3 of 3 cases"
    assert lines[2] == "3 of 3 cases decided"
    assert lines[3].startswith("numba_cpu takes 0.500x as long as torch_index_select (")
    assert lines[4].startswith("numpy_take takes 2.00x as long as torch_index_select (")
    assert "on average over 3 cases" in lines[4]
    assert all(line in printed(folder) for line in lines[:3])


def test_what_people_call_is_the_baseline(tmp_path: Path) -> None:
    speed = {"torch_index_select": 1.0, "torch_embedding": 1.5, "numpy_take": 3.0}
    lines = words.sentences(outcomes.read([fabricate.run(tmp_path / "r", speed=speed).path]), None)
    said = "fastest of all: torch_index_select in 3 of 3 cases; torch_embedding takes 1.50x"
    assert lines[0].startswith(said)
    assert not [line for line in lines if line.startswith("fastest call")], "the fastest of all is one"
    assert lines[2].startswith("torch_index_select takes 0.667x as long as torch_embedding (")


def test_a_baseline_can_be_chosen(folder: Path) -> None:
    lines = words.sentences(outcomes.read([folder]), "numpy_take")
    assert lines[0].startswith("fastest of all: numba_cpu in 3 of 3 cases; numpy_take takes 4.00x as long")
    assert [line.partition(" (")[0] for line in lines[3:]] == [
        "numba_cpu takes 0.250x as long as numpy_take",
        "torch_index_select takes 0.500x as long as numpy_take",
    ]


def test_a_baseline_that_nobody_measured_is_said_and_the_report_goes_on(folder: Path) -> None:
    lines = words.sentences(outcomes.read([folder]), "nope")
    assert (
        lines[0]
        == "baseline nope: no such backend here; give one of numba_cpu, numpy_take, torch_index_select"
    )
    assert "takes 2.00x as long as numba_cpu" in lines[1]


def test_an_average_whose_interval_spans_the_baseline_is_no_difference(tmp_path: Path) -> None:
    """Twice as long in one case, half as long in another: neither is the faster one."""
    run = Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    for number, factor in enumerate((0.5, 2.0, 1.0)):
        run.append(fabricate.measurement(CASES[number], number, {"torch_embedding": 1.0, "other": factor}))
    lines = words.sentences(outcomes.read([run.path]), None)
    assert lines[-1].startswith("other: no clear difference from torch_embedding (takes 1.00x as long; ")
    assert lines[-1].endswith("on average over 3 cases, 0.500x to 2.00x in one)")


def test_two_cases_are_named_and_not_averaged(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    for number, factor in enumerate((0.5, 2.0)):
        run.append(fabricate.measurement(CASES[number], number, {"torch_embedding": 1.0, "other": factor}))
    lines = words.sentences(outcomes.read([run.path]), None)
    assert lines[0] == "fastest of all: none in most cases; other and torch_embedding each in 1 of 2 cases"
    assert lines[-1] == "other takes 0.500x and 2.00x as long as torch_embedding in 2 cases"


def test_ties_within_the_floor_are_decided_and_count_for_both(tmp_path: Path) -> None:
    speed = {"a": 1.0, "b": 1.001, "c": 2.0}
    path = fabricate.run(tmp_path / "r", speed=speed, shape={"noise": 1e-4}).path
    lines = words.sentences(outcomes.read([path]), None)
    assert "a and b each in 3 of 3 cases" in lines[0] and "3 of 3 cases decided" in lines


def test_one_that_completed_few_cases_has_not_won(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r")
    run.append([fabricate.record("lucky", CASE, 1e-9, random.Random(0), "m0")])
    lines = words.sentences(outcomes.read([run.path]), None)
    assert lines[0].startswith("fastest of all: numba_cpu in 2 of 3 cases; torch_index_select takes 2.00x")
    assert [line for line in lines if line.startswith("lucky takes") and "over 1 case)" in line]


def test_a_run_that_checks_ranks_nothing(tmp_path: Path) -> None:
    """Neither in a sentence nor with a star, on the page neither."""
    smoke = replace(fabricate.ENVIRONMENT, settings={"preset": "smoke", "passes": 1})
    results = outcomes.read([fabricate.run(tmp_path / "r", [CASE], smoke).path])
    assert words.sentences(results, None) == [verdict.CHECKS]
    assert {row[0] for row in tables.table(results).sections[0].rows} == {""}
    assert [place["ranks"] for place in judged.judged(results)["places"]] == [False]
    more = replace(smoke, settings={"preset": "smoke", "passes": 3})
    assert {row[0] for row in tables.table(replace(results, environments={"r": more})).sections[0].rows} == {
        "*",
        "",
    }


def test_whose_a_backend_is_stands_in_its_run_or_is_known_of_older_ones(tmp_path: Path) -> None:
    own = replace(fabricate.ENVIRONMENT, whose={"numpy_take": "suite", "mine": "other"})
    assert comparison.whose("numpy_take", own) == "kernel of this suite"
    assert comparison.whose("mine", own) == "other"
    assert comparison.whose("numba_cpu", fabricate.ENVIRONMENT) == "kernel of this suite"
    assert comparison.whose("numpy_take", fabricate.ENVIRONMENT) == "library"
    declared = {name for name in names() if describe(name).whose == "suite"}
    assert set(comparison.KERNELS) <= declared


@pytest.mark.parametrize(
    ("cell", "wide"), [("±6.5%", True), ("±5.0%", False), ("±?", True), ("±120.0%", True), ("±", False)]
)
def test_an_interval_over_5_percent_has_weight(cell: str, wide: bool) -> None:
    assert tables.is_wide(cell) is wide


def test_backends_that_were_never_there_share_a_line(tmp_path: Path) -> None:
    gone = [
        fabricate.failure(name, case, "m", status="unavailable", reason=f"needs {name}")
        for case in CASES
        for name in ("jax", "warp")
    ]
    here = fabricate.failure("numba_cpu", Case(7, 7), "m", status="unavailable", reason="of late")
    lines = words.sentences(outcomes.read([fabricate.run(tmp_path / "r", extra=[*gone, here]).path]), None)
    assert "not available: jax (needs jax); warp (needs warp)" in lines
    assert "numba_cpu: unavailable on 1 case: of late" in lines
    assert len([line for line in lines if "jax" in line]) == 1


def test_a_backend_whose_energy_is_known_in_few_cases_is_left_out_of_the_line(tmp_path: Path) -> None:
    cases = [Case(1000 + k, 64) for k in range(3)]
    known = [one("a", case, k, joules_per_gb=0.1) for k, case in enumerate(cases)]
    lines = sentences(gpu_run(tmp_path / "r", *known, one("b", cases[0], 0, joules_per_gb=0.05)))
    assert "energy for a GB of payload at the median over 3 cases: a 0.100 J" in lines


def test_a_run_that_was_disturbed_says_so(tmp_path: Path) -> None:
    where = replace(fabricate.ENVIRONMENT, settings={"disturbed": "others keep 2 of 2 processors busy"})
    results = outcomes.read([fabricate.run(tmp_path / "r", [CASE], where).path])
    assert "disturbed when it began: others keep 2 of 2 processors busy" in words.sentences(results, None)


def test_a_library_that_uses_other_threads_than_it_was_told_is_named(tmp_path: Path) -> None:
    asked = {"threads_asked": 2, "threads_openmp": 2}
    records = (
        one("a", CASE, **asked, threads_torch=1, threads_numba=2),
        one("b", CASE, **asked, threads_torch=1, threads_numba=8),
        one("c", CASE, **asked, threads_torch=2),
        one("d", CASE, threads_torch=5),
    )
    said = [line for line in sentences(gpu_run(tmp_path / "r", *records)) if "asked for" in line]
    assert said == [
        "2 threads were asked for, torch had 1 in 2 of 4 results",
        "2 threads were asked for, numba had 8 in 1 of 4 results",
    ]


def test_a_quota_that_held_the_process_up_is_said_once_a_case(tmp_path: Path) -> None:
    held = {"quota_throttled_periods": 120, "quota_throttled_s": 2.5}
    free = {"quota_throttled_periods": 0, "quota_throttled_s": 0.0}
    records = (*(one(name, CASE, **held) for name in "ab"), one("c", CASES[1], 1, **free))
    said = [line for line in sentences(gpu_run(tmp_path / "r", *records)) if "quota" in line]
    assert said == [
        "a quota of processor time held the process up in 120 periods, for 2.50 s of processor time, "
        "while 2 of 3 results were measured"
    ]
