"""Passes over all cases, then over what is undecided; what is on disk is not done again."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.engine.measure import Settings
from suite.records.record import Record
from suite.records.store import Run
from suite.report.sentences import sentences
from suite.run import passes
from suite.run.__main__ import main
from suite.run.options import PASSES, parse
from suite.run.passes import Passes
from suite.run.schedule import Parts, Task, digest, tasks_of
from suite.worker.budget import MOST_PASSES, Budget, Cost
from suite.worker.messages import Job
from tests.support import fabricate
from tests.support.commands import NUMPY_ALONE, SMALL, records_of

PLAN = ("--vocab", "50257", "--dim", "768", "--batch", "1,2", "--backend", *fabricate.SPEED)


class Crew:
    """Answers with made-up records; backends named in ``fails`` crash, or end with another status.

    Attributes:
        asked: case and backends of every job, and ``new`` where the worker was ended.
    """

    def __init__(self, fails: Sequence[str] | Mapping[str, str] = ()) -> None:
        self.asked: list[Any] = []
        self.jobs: list[Job] = []
        self.fails = fails

    def measure(self, jobs: dict[str | None, Job]) -> list[Record]:
        return [replace(r, environment=name) for name, job in jobs.items() for r in self._of(job)]

    def _of(self, job: Job) -> list[Record]:
        self.asked.append((job.case.batch, *(b.name for b in job.backends)))
        self.jobs.append(job)
        records = fabricate.measurement(job.case)
        named = {b.name: b for b in job.backends}
        return [
            replace(r, status=self.status_of(r), reason="no", samples=None, clock=None, converged=None)
            if r.backend in self.fails
            else replace(r, measurement=job.measurement)
            for r in records
            if r.role == "ceiling" or r.backend in named
        ]

    def status_of(self, record: Record) -> Any:
        return self.fails[record.backend] if isinstance(self.fails, Mapping) else "crashed"

    def close(self) -> None:
        self.asked.append("new")


class Launch:
    """As much of a launch as passes use."""

    def __init__(self, *argv: str) -> None:
        self.copies: list[Mapping[str | None, str]] = []
        self.request = parse([*PLAN, *argv])
        self.tasks = tasks_of(self.request)

    def jobs(
        self, parts: Parts, limit_s: float, number: int, copies: Mapping[str | None, str]
    ) -> dict[str | None, Job]:
        self.copies.append(dict(copies))
        settings = Settings(limit_s=limit_s, sustain_s=1.0 if number == 1 else 0.0)
        name = f"m{next(NUMBERS)}"
        return {of: Job(task.case, task.device, task.backends, name, settings) for of, task in parts.items()}


NUMBERS = itertools.count()


def gone_over(run: Run, crew: Crew, *argv: str, total_s: float | None = None) -> list[Any]:
    """What a run of these options asks of its worker."""
    launch = Launch(*argv)
    budget = Budget(total_s, len(launch.tasks), 8.0, passes=launch.request.passes)
    Passes(launch, run, crew, budget).measure()  # type: ignore[arg-type]
    return crew.asked


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", fabricate.ENVIRONMENT)


def passes_of(run: Run) -> list[tuple[int, int, str]]:
    return [(r.pass_number, r.case.batch, r.backend) for r in run.records()[0] if r.role == "backend"]


def test_each_pass_goes_over_all_cases_with_a_new_worker(run: Run) -> None:
    asked = gone_over(run, Crew(), "--passes", "2")
    one = [(batch, *fabricate.SPEED) for batch in (1, 2)]
    assert asked == ["new", *one, "new", *one]
    assert passes_of(run) == [(n, b, name) for n in (1, 2) for b in (1, 2) for name in fabricate.SPEED]
    assert len({r.measurement for r in run.records()[0]}) == 4, "rounds of two passes are not the same rounds"


def test_counters_are_read_in_the_first_pass_only(run: Run) -> None:
    crew = Crew()
    gone_over(run, crew, "--passes", "3")
    assert [job.settings.sustain_s for job in crew.jobs] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_the_time_of_the_counters_is_told_to_the_budget(run: Run) -> None:
    told: list[float] = []

    class Told(Budget):
        def finished(self, once_s: float = 0.0) -> None:
            told.append(once_s)

    crew = Crew()
    real = crew.measure
    crew.measure = lambda jobs: [  # type: ignore[method-assign]
        replace(r, telemetry={"sustained_s": 1.5} if r.role == "backend" else {"sustained_s": None})
        for r in real(jobs)
    ]
    Passes(Launch("--passes", "1"), run, crew, Told(None, 2, 8.0)).measure()  # type: ignore[arg-type]
    assert told == [1.5 * len(fabricate.SPEED)] * 2


def test_later_passes_keep_the_plain_copy_of_the_first_in_each_environment(run: Run) -> None:
    two = ("--environment", f"a={sys.executable}", "--environment", f"b={sys.executable}")
    launch = Launch("--passes", "2", *two)
    Passes(launch, run, Crew(), Budget(None, 2, 8.0, passes=2)).measure()  # type: ignore[arg-type]
    assert launch.copies == [{}, {}, *[{"a": "contiguous_copy", "b": "contiguous_copy"}] * 2]


def test_what_failed_once_is_not_tried_in_a_later_pass(run: Run) -> None:
    asked = gone_over(run, Crew(fails=["numba_cpu"]), "--passes", "2")
    rest = tuple(name for name in fabricate.SPEED if name != "numba_cpu")
    assert asked == [
        "new",
        *((b, *fabricate.SPEED) for b in (1, 2)),
        "new",
        *((b, *rest) for b in (1, 2)),
    ]


def test_a_case_of_which_everything_failed_is_left_alone(run: Run) -> None:
    asked = gone_over(run, Crew(fails=list(fabricate.SPEED)), "--passes", "3")
    assert [word for word in asked if word != "new"] == [(b, *fabricate.SPEED) for b in (1, 2)]


MANY = ("--batch", "1,2,3,4")
REST = tuple(name for name in fabricate.SPEED if name != "numba_cpu")


def left_out(run: Run) -> list[tuple[int, int, str, str | None]]:
    found = [r for r in run.records()[0] if r.status == "left_out"]
    return [(r.pass_number, r.case.batch, r.backend, r.reason) for r in found]


@pytest.mark.parametrize("status", ["timed_out", "crashed"])
def test_what_ended_its_worker_in_two_cases_is_left_out_of_the_others(
    run: Run, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    why = f"{status} in two cases; --resume RUN --insist measures it"
    asked = gone_over(run, Crew({"numba_cpu": status}), *MANY, "--passes", "2")
    every = [(b, *(fabricate.SPEED if b < 3 else REST)) for b in (1, 2, 3, 4)]
    assert asked == ["new", *every, "new", *((b, *REST) for b in (1, 2, 3, 4))]
    assert left_out(run) == [(1, b, "numba_cpu", why) for b in (3, 4)]
    said = capsys.readouterr().err.splitlines()
    assert said.count(f"run: numba_cpu on cpu is left out from here on: {why}") == 1
    assert sum("numba_cpu" in line for line in said) == 3, "two failures and that it is left out"


def test_what_there_is_no_time_for_is_left_out_and_named_and_measured_when_there_is(run: Run) -> None:
    launch, crew = Launch(*MANY, "--passes", "2"), Crew()
    costs = [Cost(beside_s=100.0 if task.case.batch == 3 else 1.0) for task in launch.tasks]
    Passes(launch, run, crew, Budget(20.0, costs, 8.0, passes=2)).measure()  # type: ignore[arg-type]
    assert {batch for batch, *_ in crew.asked if batch != "n"} == {1, 2, 4}
    gone = left_out(run)
    assert [(number, batch) for number, batch, *_ in gone] == [(1, 3)] * len(fabricate.SPEED)
    assert {why for *_, why in gone} == {"no time for it within the budget; --resume RUN measures it"}
    crew = Crew()
    Passes(launch, run, crew, Budget(None, costs, 8.0, passes=2)).measure()  # type: ignore[arg-type]
    assert [word[0] for word in crew.asked if word != "new"] == [3, 3]


def test_a_pass_that_stays_the_only_one_has_the_rounds_of_an_interval(run: Run) -> None:
    launch, crew = Launch("--passes", "3"), Crew()
    Passes(launch, run, crew, Budget(3.0, 2, 8.0, passes=3)).measure()  # type: ignore[arg-type]
    assert crew.jobs[0].settings.least_rounds == 6
    crew = Crew()
    other = Run.create(run.path.with_name("other"), fabricate.ENVIRONMENT)
    Passes(launch, other, crew, Budget(600.0, 2, 8.0, passes=3)).measure()  # type: ignore[arg-type]
    assert crew.jobs[0].settings.least_rounds == 1, "as the launch has it"


def test_time_that_runs_out_leaves_out_the_rest_of_the_first_pass(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    launch, crew, clock = Launch(*MANY, "--passes", "1"), Crew(), [0.0]
    real = crew.measure

    def slow(jobs: Any) -> Any:
        clock[0] += 50.0
        return real(jobs)

    crew.measure = slow  # type: ignore[method-assign]
    Passes(launch, run, crew, Budget(40.0, 4, 8.0, now=lambda: clock[0])).measure()  # type: ignore[arg-type]
    assert [word[0] for word in crew.asked if word != "new"] == [1, 2]
    assert sorted({batch for _, batch, *_ in left_out(run)}) == [3, 4]
    assert capsys.readouterr().err.count("run: no time for cpu ") == 2


def test_two_ways_to_end_are_both_named_and_passes_of_one_case_are_one(run: Run) -> None:
    def failed(batch: int, number: int, status: str) -> Record:
        case = next(task.case for task in Launch(*MANY).tasks if task.case.batch == batch)
        made = fabricate.failure("numba_cpu", case, "m", status=status, reason="no")
        return replace(made, pass_number=number)

    run.append([failed(1, 1, "timed_out"), failed(1, 2, "timed_out")])
    assert Passes(Launch(*MANY), run, Crew(), Budget(None, 4, 8.0))._given_up() == {}  # type: ignore[arg-type]
    run.append([failed(2, 1, "crashed")])
    given_up = Passes(Launch(*MANY), run, Crew(), Budget(None, 4, 8.0))._given_up()  # type: ignore[arg-type]
    assert given_up == {
        (None, "cpu", "numba_cpu"): "timed_out in a case and crashed in another; "
        "--resume RUN --insist measures it"
    }


@pytest.mark.parametrize("status", ["out_of_memory", "error", "wrong", "unsupported", "unavailable"])
def test_what_may_be_of_one_table_only_is_not_left_out(run: Run, status: str) -> None:
    asked = gone_over(run, Crew({"numba_cpu": status}), *MANY, "--passes", "1")
    assert asked == ["new", *((b, *fabricate.SPEED) for b in (1, 2, 3, 4))]
    assert left_out(run) == []


def test_a_run_gone_on_with_knows_what_was_left_out_and_insisting_measures_it(run: Run) -> None:
    gone_over(run, Crew(["numba_cpu"]), "--batch", "1,2,3", "--passes", "1")
    asked = gone_over(run, Crew(["numba_cpu"]), *MANY, "--passes", "1")
    assert [word for word in asked if word != "new"] == [(4, *REST)]
    asked = gone_over(run, Crew(), *MANY, "--passes", "1", "--insist")
    assert [word for word in asked if word != "new"] == [(3, "numba_cpu"), (4, "numba_cpu")]
    results = outcomes.read([run.path]).outcomes
    ok = [o.case.batch for o in results if o.backend == "numba_cpu" and o.completed]
    assert ok == [3, 4], "what was measured takes the place of what was left out"


def test_insisting_leaves_nothing_out(run: Run) -> None:
    asked = gone_over(run, Crew(["numba_cpu"]), *MANY, "--passes", "1", "--insist")
    assert asked == ["new", *((b, *fabricate.SPEED) for b in (1, 2, 3, 4))]


def test_a_case_of_which_everything_is_left_out_starts_no_worker(run: Run) -> None:
    asked = gone_over(run, Crew(list(fabricate.SPEED)), *MANY, "--passes", "1")
    assert asked == ["new", *((b, *fabricate.SPEED) for b in (1, 2))]
    assert len(left_out(run)) == 2 * len(fabricate.SPEED)


def test_what_ends_one_environments_worker_is_measured_in_the_other(run: Run) -> None:
    class OneFails(Crew):
        def measure(self, jobs: dict[str | None, Job]) -> list[Record]:
            self.fails = ()
            good = super().measure({"a": jobs["a"]})
            self.fails = ["numba_cpu"]
            return good + super().measure({"b": jobs["b"]})

    two = ("--environment", f"a={sys.executable}", "--environment", f"b={sys.executable}")
    run = run.amended(environments=fabricate.holding(["a", "b"]).environments)
    asked = gone_over(run, OneFails(), *MANY, "--passes", "1", *two)
    assert asked[-2:] == [(4, *fabricate.SPEED), (4, *REST)]
    assert {r.environment for r in run.records()[0] if r.status == "left_out"} == {"b"}


def test_the_report_says_in_one_line_what_was_left_out(run: Run) -> None:
    gone_over(run, Crew(["numba_cpu"]), *MANY, "--passes", "1")
    said = [line for line in sentences(outcomes.read([run.path]), None) if "left_out" in line]
    why = "crashed in two cases; --resume RUN --insist measures it"
    assert said == [f"numba_cpu: left_out on 2 cases: {why}"]


def test_a_run_that_was_stopped_goes_on_in_its_pass(run: Run) -> None:
    gone_over(run, Crew(), "--passes", "2")
    lines = (run.path / "records.jsonl").read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["role"] == "backend"][:-1]
    (run.path / "records.jsonl").write_bytes(b"".join(kept) + lines[-1][:50])
    last = list(fabricate.SPEED)[-1]
    asked = gone_over(run, Crew(), "--passes", "2")
    assert [word for word in asked if word != "new"] == [(2, last)]
    assert passes_of(run)[-1] == (2, 2, last)
    assert len(set(passes_of(run))) == len(passes_of(run)) == 2 * 2 * len(fabricate.SPEED)


def test_a_finished_run_goes_on_with_more_passes(run: Run) -> None:
    gone_over(run, Crew(), "--passes", "2")
    asked = gone_over(run, Crew(), "--passes", "3")
    assert [word for word in asked if word != "new"] == [(b, *fabricate.SPEED) for b in (1, 2)]
    assert {number for number, _, _ in passes_of(run)} == {1, 2, 3}

    def planned(*more: str) -> str:
        request = parse([*SMALL, *more])
        return digest(request, tasks_of(request))

    assert planned("--passes", "2") == planned("--passes", "3")


def test_further_passes_go_over_what_is_undecided_while_there_is_time(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def undecided(tasks: Sequence[Task], run: Run) -> list[Task]:
        asked.append(len(run.records()[0]))
        return [tasks[1]] if len(asked) < 3 else []

    monkeypatch.setattr(passes, "undecided", undecided)
    gone_over(run, Crew(), "--passes", "2", total_s=1000.0)
    assert [p[:2] for p in passes_of(run)[:: len(fabricate.SPEED)]] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
        (3, 2),
        (4, 2),
    ]
    assert sorted(set(asked)) == asked, "what is undecided is asked for after each pass"
    said = capsys.readouterr().err.splitlines()
    assert said[3].startswith("[4/4 ") and "pass 2 of 2" in said[3]
    assert said[5].startswith("[6/6 ") and "pass 4, of what is undecided" in said[5]


@pytest.mark.parametrize(
    ("argv", "total_s", "count"),
    [
        (("--passes", "2"), 1000.0, MOST_PASSES),
        (("--passes", "2"), None, 2),
        (("--passes", "1"), 1000.0, 1),
        (("--passes", "2"), 1.0, 1),
    ],
)
def test_passes_end_with_the_most_or_with_the_time(
    run: Run, argv: tuple[str, ...], total_s: float | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "undecided", lambda tasks, run: list(tasks))
    gone_over(run, Crew(), *argv, total_s=total_s)
    assert {number for number, _, _ in passes_of(run)} == set(range(1, count + 1))


def test_too_little_time_is_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    gone_over(run, Crew(), "--passes", "3", total_s=1.0)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "run: time for 1 of 3 passes; give more with --time-budget"


def test_three_passes_are_usual_and_smoke_takes_one() -> None:
    assert parse([]).passes == PASSES == 3
    assert parse(["--preset", "smoke"]).passes == 1
    assert parse(["--preset", "smoke", "--passes", "4"]).passes == 4


def test_what_is_imprecise_comes_after_what_is_undecided(run: Run) -> None:
    """Only the second case has a result that did not converge; the fastest is known in both."""
    tasks = Launch().tasks
    for number in (1, 2):
        first, second = (fabricate.measurement(task.case, number) for task in tasks)
        run.append([replace(r, pass_number=number) for r in first])
        run.append([replace(r, pass_number=number, converged=False) for r in second])
    assert passes.undecided(tasks, run) == []
    assert passes.imprecise(tasks, run) == [tasks[1]]
    assert passes.imprecise(tasks[:1], run) == []


def test_time_goes_to_the_least_decided_first(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Open between two passes by 5 %, by 50 %, and not at all."""
    launch = Launch("--batch", "1,2,4")
    for task, factors in zip(launch.tasks, ((1.0, 1.05), (1.0, 1.5), (3.0, 3.0)), strict=True):
        for number, factor in enumerate(factors, 1):
            speed = {"numba_cpu": 1.0, "numpy_take": factor}
            records = fabricate.measurement(task.case, number, speed, shape={"noise": 0.0})
            run.append([replace(r, pass_number=number) for r in records])
    assert passes.undecided(launch.tasks, run) == [launch.tasks[1], launch.tasks[0]]


def test_a_case_of_which_all_failed_is_decided(run: Run) -> None:
    gone_over(run, Crew(fails=list(fabricate.SPEED)), "--passes", "1")
    assert passes.undecided(Launch().tasks, run) == []


@pytest.mark.slow
def test_each_pass_is_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", NUMPY_ALONE["PYTHONPATH"])
    marks = tmp_path / "marks"
    (tmp_path / "mine.py").write_text(
        '"""Mine."""\nimport os\nfrom backends.base import Backend\n\n\nclass Mine(Backend):\n'
        '    devices = ("cpu",)\n\n    def prepare(self, table, indices, out):\n'
        f"        with open({str(marks)!r}, 'a') as file:\n            print(os.getpid(), file=file)\n"
        "        return lambda: table.take(indices, axis=0, out=out, mode='clip')\n"
    )
    folder = tmp_path / "run"
    argv = [*SMALL, "--passes", "2", "--backend", str(tmp_path / "mine.py"), "--out", str(folder)]
    assert main([*argv, "--precision", "20%"]) == 0
    assert len(set(marks.read_text().split())) == 2
    each = ["mine", "numpy_take"]
    own = [(r["pass_number"], r["backend"]) for r in records_of(folder) if r["role"] == "backend"]
    assert sorted(own) == [(number, name) for number in (1, 2) for name in each]
    assert json.loads((folder / "environment.json").read_text())["settings"]["passes"] == 2
