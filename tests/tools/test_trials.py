"""Tools that try whole runs: how they count verdicts and spreads, what they go on with, what they take."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.records.record import Fact, Record, Samples
from suite.records.store import Run
from tests.support import fabricate
from tests.tools import agreement, between_runs, changes, cost, full_speed, layouts, trials

pytestmark = pytest.mark.long

BASE = {"numpy_take": 1.0, "torch_index_select": 1.0}
BEST_S = 15e-6


def finished(folder: Path, speed: dict[str, float], seed: int = 0, **environments: str) -> Path:
    """A run as it is when it is over; by name of a backend the environment that it is of."""
    named = {name.partition("@")[2] for name in speed} | set(environments.values())
    apart: dict[str, dict[str, Fact]] = {name: {} for name in named if name}
    made = Run.create(folder, replace(fabricate.ENVIRONMENT, environments=apart))
    for number, case in enumerate(fabricate.CASES):
        records = fabricate.measurement(case, number, speed, seed)
        made.append(_in(environments, record) for record in records)
    (folder / trials.FINISHED).touch()
    return folder


def _in(environments: dict[str, str], record: Record) -> Record:
    """A contender's name may say which environment it is of: ``base@head``."""
    name, _, environment = record.backend.partition("@")
    return replace(record, backend=name, environment=environment or environments.get(name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs of the same, and one in which a backend is slower by a tenth."""
    for name, factor in (("run-01", 1.0), ("run-02", 1.0), ("run-03", 1.1)):
        finished(tmp_path / name, {**BASE, "torch_index_select": factor}, seed=int(name[-1]))
    return tmp_path


def test_a_difference_is_counted_and_equal_things_are_not(folder: Path) -> None:
    a, b, c = trials.finished(folder)
    same, slower = trials.seen(a, b), trials.seen(a, c)
    assert len(same) == len(slower) == 2 * len(fabricate.CASES)
    said = trials.verdicts("x", slower)
    assert said.startswith("x: 6 verdicts, 50.0% called different: ") and not any(s.different for s in same)
    assert {s.b.backend for s in slower if s.different} == {"torch_index_select"}
    against = trials.seen(a, c, relative_to="numpy_take")
    assert {s.b.backend for s in against} == {"torch_index_select"}


def test_a_spread_says_what_is_within_2_and_5_percent() -> None:
    ratios = [1.0] * 6 + [1 / 1.03, 1.03, 1.1, 1 / 1.2]
    said = trials.spread("x", ratios)
    assert said.startswith("x: 10 pairs of medians, 60.0% within 2%, 80.0% within 5%")
    assert said.endswith("worst 20.0% apart")
    assert trials.spread("x", []) == "x: no pairs"


def test_all_pairs_of_runs_are_read_and_those_with_a_hog_apart(folder: Path) -> None:
    (folder / "run-02.hog.json").write_text(json.dumps({"seconds_on": 7, "states": []}))
    lines = list(between_runs.read(folder))
    assert lines[1].endswith("hog on for 7 s") and "hog" not in lines[0]
    assert any(line.startswith("3 pairs of runs: 18 verdicts, 33.3% called different") for line in lines)
    assert any(line.startswith("  one of them with a hog: 12 verdicts") for line in lines)
    assert any(line.startswith("  relative to numpy_take: 9 verdicts") for line in lines)
    assert sum("    SLOWER" in line for line in lines) == 6


def test_a_finished_run_is_not_done_again_and_an_unfinished_one_is_done_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command)
        return type("Done", (), {"returncode": 2, "stderr": "no"})

    monkeypatch.setattr(trials.subprocess, "run", run)  # type: ignore[attr-defined]
    assert trials.run(folder / "run-01", ["--seed", "1"]) and not asked
    (folder / "run-01" / trials.FINISHED).unlink()
    assert not trials.run(folder / "run-01", ["--seed", "1"])
    assert asked[0][1:5] == ["-m", "suite.run", "--seed", "1"] and not (folder / "run-01").exists()
    assert "run-01: exit code 2: no" in capsys.readouterr().out


def test_no_run_is_begun_when_time_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    between_runs.measure(tmp_path, runs=3, minutes=-1, budget="1s", hog=False)
    changes.measure(tmp_path, runs=3, minutes=-1, budget="1s")
    said = capsys.readouterr().out
    assert "time is up after 0 of 3 runs" in said and "time is up before within" in said


def test_changes_are_found_in_three_ways(tmp_path: Path) -> None:
    speed = {"base": 1.0, "same": 1.0, "slower_5": 1.05, "slower_2": 1.02}
    finished(tmp_path / "within", speed)
    finished(tmp_path / "beside", {"base": 1.0, "base@head": 1.0, "slower_5@head": 1.05}, base="base")
    for number, factor in (("1-base", 1.0), ("2-base", 1.0), ("1-slower_5", 1.05)):
        finished(tmp_path / f"between-{number}", {"lookup": factor}, seed=int(number[0]))
    lines = {line.partition(":")[0]: line for line in changes.read(tmp_path)}
    assert set(lines) >= {"within, base", "within, slower_5", "within, slower_2"}
    assert set(lines) >= {"beside, base", "beside, slower_5", "between, base", "between, slower_5"}
    assert "3 verdicts, 100.0% called different: 3 SLOWER" in lines["within, slower_5"]
    assert "3 verdicts, 0.0% called different" in lines["within, base"]
    assert "6 verdicts" in lines["between, slower_5"] and "3 verdicts" in lines["between, base"]
    middle = float(lines["beside, slower_5"].partition("middle ratio ")[2].partition(",")[0])
    assert middle == pytest.approx(1.05, abs=0.005)


def test_a_slowed_backend_is_slowed_by_its_share(tmp_path: Path) -> None:
    import numpy as np

    from backends import load

    runs = dict(changes.commands(tmp_path, 1))
    assert list(runs) == ["within", "beside", "between-1-base", "between-1-slower_5", "between-1-slower_2"]
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    for version in changes.PERCENT:
        lookup = load(str(tmp_path / f"{version}.py"))().prepare(
            table, np.array([3, 1]), np.zeros((2, 3), "f4")
        )
        assert lookup().tolist() == [[9, 10, 11], [3, 4, 5]]


def test_two_speeds_are_told_apart_and_how_many_readings_that_takes() -> None:
    draw = random.Random(0)
    fast = [BEST_S * draw.uniform(1, 1.01) for _ in range(600)]
    slow = [BEST_S * draw.uniform(1.35, 1.4) for _ in range(600)]
    lines = list(full_speed.said(1, [fast + slow, slow + fast]))
    assert lines[0].startswith("on 1 thread: 2400 readings, best 15.0")
    assert "to 2% 50.0%" in lines[3] and "to 25% 0.0%, to 50% 50.0%" in lines[3]
    in_a_row, drawn = lines[4].split("; ")
    assert "100.0% within 2 %" not in in_a_row and "drawn" in drawn
    assert "drawn, 100.0% within 2 %" in lines[6]


def test_readings_are_read_back_by_threads_and_process(tmp_path: Path) -> None:
    for process in (1, 2):
        lines = [json.dumps([threads, 0.0, threads * BEST_S]) for threads in (1, 2) for _ in range(30)]
        (tmp_path / f"readings-{process:02}.jsonl").write_text("\n".join(lines))
    heads = [line for line in full_speed.read(tmp_path) if line.startswith("on ")]
    assert [head.partition(":")[0] for head in heads] == ["on 1 thread", "on 2 threads"]
    assert all("60 readings" in head for head in heads)


def test_agreement_is_over_what_both_took_at_full_speed(tmp_path: Path) -> None:
    def taken(fast: float, slow: float) -> list[list[float]]:
        return [[fast, BEST_S, BEST_S]] * 5 + [[slow, BEST_S, 1.4 * BEST_S]] * 6

    of = {"threads": 1, "suite": taken(1e-4, 1.5e-4), "timeit": taken(1e-4, 2e-4)}
    (tmp_path / "pair-01-0.json").write_text(json.dumps({"numpy_take": of}))
    lines = [line for line in agreement.read(tmp_path) if line.startswith("numpy_take 64 float32 batch 8192")]
    assert lines[0].endswith("at full speed: suite 100.0 us timeit 100.0 us (+0.0%; pairs +0.0% to +0.0%)")
    assert lines[1].endswith("at any: suite 150.0 us timeit 200.0 us (-25.0%; pairs -25.0% to -25.0%)")


def test_the_cost_of_a_run_adds_up_to_its_wall_time() -> None:
    samples = Samples(
        call_s=((0.01,) * 10, (0.01,) * 10),
        calls_per_sample=5,
        began_s=(100.0, 101.0),
        meter_s=((0.001, 0.001),) * 2,
        meter_threads=1,
    )
    (record, *_) = fabricate.measurement(fabricate.CASE)
    lines = list(cost.said([replace(record, samples=samples)], wall=3.0))
    assert lines[1:] == [
        "timed samples 1.0 s (33.3%)",
        "the meter 0.0 s (0.5%)",
        "the rest of the rounds 0.5 s (16.1%)",
        "between rounds 1.5 s (50.0%)",
    ]


def test_repeats_have_a_reading_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "OTHERS_S", 0.01)
    readings: Iterator[float] = iter(range(10**6))
    taken = agreement.repeated(lambda: 7.0, lambda: next(readings))
    assert taken[:2] == [[7.0, 0, 1], [7.0, 2, 3]]
    assert agreement.repeated(lambda: 7.0, None)[0] == [7.0]


def test_what_scatters_is_told_level_by_level() -> None:
    rng, rows = np.random.default_rng(0), []
    for process, of_process in enumerate(rng.normal(0, 0.04, 200)):
        for table, of_table in enumerate(rng.normal(0, 0.02, 3)):
            for number in range(2):
                for noise in rng.normal(0, 0.1, 40):
                    rows.append([process, table, number, np.exp(of_process + of_table + noise), 1.0])
    found = layouts.deviations(np.array(rows))
    assert found["rounds"] == pytest.approx(0.1, rel=0.05) and found["slots"] < 0.006
    assert found["tables"] == pytest.approx(0.02, rel=0.2) and found["processes"] == pytest.approx(
        0.04, rel=0.2
    )
