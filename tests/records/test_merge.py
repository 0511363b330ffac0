"""One case in several processes: what becomes of their records, and of the interval."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from suite import stats
from suite.analysis import comparison, outcomes
from suite.cases.case import Case
from suite.records.merge import FEWEST, by_process, merged
from suite.records.record import Record, from_json, to_json
from suite.records.store import Run
from suite.run.__main__ import main
from suite.run.options import parse
from suite.run.schedule import digest, tasks_of
from tests.support import fabricate
from tests.support.commands import NUMPY_ALONE

CASE = Case(1000, 64, batch=17)
SMALL = ("--vocab", "1000", "--dim", "64", "--batch", "17", "--threads", "1", "--time-budget", "1s")


def part(number: int, **slower: float) -> list[Record]:
    """What one process measured: two backends and the copy, all by the same factor slower."""
    factor, draw = 1 + 0.1 * number, random.Random(number)
    made = [
        fabricate.record(name, CASE, 1e-4 * factor * slower.get(name, 1.0), draw, f"m{number}")
        for name in ("a", "b")
    ]
    copy = fabricate.record("copy_numpy", CASE, 5e-5 * factor, draw, f"m{number}")
    return [*made, replace(copy, role="ceiling")]


def dead(record: Record, reason: str = "ended by signal 11") -> Record:
    return replace(record, status="crashed", reason=reason, samples=None, clock=None, converged=None)


def test_rounds_of_few_processes_stay_rounds_and_many_become_units() -> None:
    medians = tuple(float(n) for n in range(12))
    for processes in ((), (12,), (3,) * 4, (2, 2, 2, 2, 4)):
        assert by_process(medians, processes) == medians
    assert by_process(medians, (2,) * 6) == (0.5, 2.5, 4.5, 6.5, 8.5, 10.5)
    empty = math.nan
    found = by_process((empty, 1.0, 4.0, *[empty] * 4), (2, 1, 1, 1, 1, 1))
    assert found == pytest.approx((1.0, 4.0, *[empty] * 4), nan_ok=True)


def test_merged_all_samples_are_kept_in_order_and_the_first_is_observed() -> None:
    parts = [part(number) for number in range(3)]
    a, b, copy = merged(parts, 0.01)
    assert [r.backend for r in (a, b, copy)] == ["a", "b", "copy_numpy"]
    assert {r.measurement for r in (a, b, copy)} == {"m0"}
    assert a.samples is not None
    assert a.samples.call_s == tuple(one for p in parts for one in p[0].samples.call_s)  # type: ignore[union-attr]
    assert a.samples.processes == tuple(len(p[0].samples.call_s) for p in parts)  # type: ignore[union-attr]
    assert (a.memory, a.telemetry) == (parts[0][0].memory, parts[0][0].telemetry)
    assert from_json(Record, to_json(a).encode()) == a
    assert merged(parts[:1], 0.01) == parts[0], "one process alone is as it was"


def test_processes_that_differ_widen_the_interval_that_rounds_would_give() -> None:
    parts = [part(number) for number in range(8)]
    (a, *_) = merged(parts, 0.01)
    assert a.samples is not None
    over_rounds = stats.median(a.samples.call_s)
    medians = stats.round_medians(a.samples.call_s)
    over_processes = stats.order_statistics(by_process(medians, a.samples.processes))
    assert over_processes.precision > 1.5 * over_rounds.precision
    assert over_processes.value == pytest.approx(1.35e-4, rel=0.05)
    assert a.converged is False
    (a, *_) = merged(parts, 0.5)
    assert a.converged is True


def test_a_failure_in_one_process_is_the_outcome_and_says_where() -> None:
    parts = [part(number) for number in range(3)]
    parts[1] = [dead(parts[1][0]), *parts[1][1:]]
    a, b, copy = merged(parts, 0.01)
    assert (a.status, a.reason, a.samples) == ("crashed", "in process 2 of 3: ended by signal 11", None)
    assert b.status == copy.status == "ok"
    parts = [[replace(dead(one), status="unsupported", reason="no") for one in p[:1]] + p[1:] for p in parts]
    assert merged(parts, 0.01)[0].reason == "no", "as it is, where it is so everywhere"


def test_who_was_measured_apart_shares_no_rounds() -> None:
    parts = [part(number) for number in range(2)]
    alone = replace(parts[1][1], measurement="m1-b")
    parts[1] = [parts[1][0], alone, parts[1][2]]
    records = {record.backend: record for record in merged(parts, 0.01)}
    assert records["a"].measurement == records["copy_numpy"].measurement == "m0"
    assert records["b"].measurement == "m0-b"


def test_ceilings_of_two_kinds_are_both_named() -> None:
    parts = [part(number) for number in range(2)]
    parts[1][2] = replace(parts[1][2], backend="copy_rows")
    assert merged(parts, 0.01)[2].backend == "copy_numpy or copy_rows"


@pytest.mark.parametrize("count", [FEWEST - 1, FEWEST])
def test_a_reader_goes_by_processes_where_they_are_enough(tmp_path: Path, count: int) -> None:
    parts = [part(number) for number in range(count)]
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append(merged(parts, 0.01))
    a, b = outcomes.read([tmp_path / "r"]).outcomes
    assert a.completed and a.ceiling
    rounds = sum(len(p[0].samples.call_s) for p in parts)  # type: ignore[union-attr]
    units = count if count >= FEWEST else rounds
    assert len(a.rounds) == len(a.ceiling.rounds) == units
    ratio = comparison.slowdown(a, b)
    assert math.isfinite(ratio.high) and ratio.value == pytest.approx(1, rel=0.1)


def test_processes_are_part_of_the_plan_only_where_there_are_several() -> None:
    def planned(*more: str) -> str:
        request = parse([*SMALL, "--backend", "numpy_take", *more])
        return digest(request, tasks_of(request))

    assert planned() == planned("--processes", "1") != planned("--processes", "2")


def test_each_process_is_a_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", NUMPY_ALONE["PYTHONPATH"])
    marks = tmp_path / "marks"
    (tmp_path / "mine.py").write_text(
        '"""Mine."""\nimport os\nfrom backends.base import Backend\n\n\nclass Mine(Backend):\n'
        '    devices = ("cpu",)\n\n    def prepare(self, table, indices, out):\n'
        f"        with open({str(marks)!r}, 'a') as file:\n            print(os.getpid(), file=file)\n"
        "        return lambda: table.take(indices, axis=0, out=out, mode='clip')\n"
    )
    folder = tmp_path / "run"
    argv = [*SMALL, "--processes", "2", "--backend", str(tmp_path / "mine.py"), "--out", str(folder)]
    assert main(argv) == 0
    assert "of 6 or more the intervals are over processes, of fewer over rounds" in capsys.readouterr().err
    assert len(set(marks.read_text().split())) == 2
    one, copy = (from_json(Record, line) for line in (folder / "records.jsonl").read_bytes().splitlines())
    assert one.samples and len(one.samples.processes) == 2 and min(one.samples.processes) > 0
    assert sum(one.samples.processes) == len(one.samples.call_s)
    assert copy.samples and copy.samples.processes == one.samples.processes
    assert json.loads((folder / "environment.json").read_text())["settings"]["processes"] == 2
