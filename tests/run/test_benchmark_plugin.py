"""pytest --benchmark-only shows the suite's own numbers, in pytest-benchmark's table, files, comparisons."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from suite import stats
from suite.analysis import outcomes
from suite.cases.case import plan
from suite.command import say_wait
from suite.machine import lock
from suite.records.record import Record, from_json
from suite.run import replay
from suite.run.options import parse
from suite.run.schedule import tasks_of
from tests.support import fabricate, measured
from tests.support.commands import NUMPY_ALONE

ROOT = Path(__file__).resolve().parents[2]

CASE = "1000x7-float32-batch-1-int64"
PLUGIN = '''"""Needs what nobody has."""

from backends.base import Array, Backend, Lookup


class Absent(Backend):
    devices = ("cpu",)
    packages = ("no-such-distribution",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        raise AssertionError
'''
SHOWN = """
from pathlib import Path

import pytest
from suite.analysis.outcomes import outcomes_of
from suite.records.record import to_json
from suite.run.options import parse
from suite.run.replay import Replay
from suite.run.schedule import tasks_of
from tests.support import fabricate, measured

CLOCK = measured.Clock()
MADE = outcomes_of(fabricate.measurement(fabricate.CASES[0], clock="kernel", device="cuda:0"))

@pytest.mark.parametrize("name", MADE)
@pytest.mark.benchmark(timer=CLOCK)
def test_made_up(benchmark, name):
    measured.show(benchmark, CLOCK, MADE[name], fabricate.ENVIRONMENT)

@pytest.mark.benchmark(timer=CLOCK)
def test_measured(benchmark):
    argv = "--vocab 500 --dim 8 --batch 4 --threads 1 --backend numpy_take"
    request = parse(argv.split())
    replay = Replay(request, tasks_of(request), 0.4, None)
    measure, records = replay.crew.measure, []
    replay.crew.measure = lambda jobs: records.extend(measure(jobs)) or records
    outcome = replay.outcome(replay.tasks[0], "numpy_take")
    replay.close()
    Path("records.jsonl").write_text("\\n".join(map(to_json, records)))
    measured.show(benchmark, CLOCK, outcome, replay.environment)
"""


def python(*words: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **variables}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def benchmark(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Measure one small case."""
    given = ("--benchmark-only", "--preset", "smoke", "-k", CASE, "tests/run/test_benchmarks.py")
    return python("-m", "pytest", "-p", "no:cacheprovider", *given, *words, **variables)


def figures_of(path: Path) -> dict[str, dict[str, Any]]:
    """What was saved, by backend."""
    saved = json.loads(path.read_text())
    return {one["extra_info"]["backend"]: one for one in saved["benchmarks"]}


class Session:
    """As much of one measured session as its readers need."""

    def __init__(self, folder: Path) -> None:
        absent = folder / "absent.py"
        absent.write_text(PLUGIN)
        self.storage = f"--benchmark-storage={folder / 'saved'}"
        self.json = folder / "measured.json"
        wrong = ROOT / "tests/adversaries/last_row.py"
        which = ("numpy_take", "torch_index_select", str(wrong), str(absent))
        backends = [word for each in which for word in ("--backend", each)]
        saving = (self.storage, "--benchmark-save=first", f"--benchmark-json={self.json}")
        self.done = benchmark(*backends, *saving)


def nothing_measured(folder: Path) -> subprocess.CompletedProcess[str]:
    """A session whose only backend is absent, asked to compare and to save."""
    absent = folder / "absent.py"
    absent.write_text(PLUGIN)
    where = (f"--benchmark-storage={folder}", f"--benchmark-json={folder / 'none.json'}")
    return benchmark("--backend", str(absent), *where, "--benchmark-compare", **NUMPY_ALONE)


def of_known_records(folder: Path) -> tuple[dict[str, dict[str, Any]], list[Record]]:
    """What pytest-benchmark made of known records, by test and backend, and the records of a real one."""
    (folder / "test_shown.py").write_text(SHOWN)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    given = ("--benchmark-only", "--benchmark-json=saved.json", "-p", "no:cacheprovider")
    done = python("-m", "pytest", *given, cwd=folder, **NUMPY_ALONE)
    assert done.returncode == 0, done.stdout + done.stderr
    saved = json.loads((folder / "saved.json").read_text())["benchmarks"]
    records = [from_json(Record, line) for line in (folder / "records.jsonl").read_bytes().splitlines()]
    return {f"{one['name'].partition('[')[0]} {one['extra_info']['backend']}": one for one in saved}, records


def of_two_environments(folder: Path) -> dict[str, dict[str, Any]]:
    """What is saved of one backend in two environments, by environment."""
    two = [w for name in ("base", "head") for w in ("--benchmark-environment", f"{name}={sys.executable}")]
    saving = f"--benchmark-json={folder / 'two.json'}"
    done = benchmark("--backend", "numpy_take", *two, saving, **NUMPY_ALONE)
    assert done.returncode == 0, done.stdout + done.stderr
    saved = json.loads((folder / "two.json").read_text())
    assert set(saved["environment"]["environments"]) == {"base", "head"}
    return {one["extra_info"]["environment"]: one for one in saved["benchmarks"]}


SESSIONS: dict[str, Callable[[Path], Any]] = {
    "measured": Session,
    "nothing": nothing_measured,
    "known": of_known_records,
    "two": of_two_environments,
    "no GPU": lambda _: benchmark("--gpu", "1023"),
    "plain": lambda _: python("-m", "pytest", "-p", "no:cacheprovider", "tests/run/test_benchmarks.py"),
}


@pytest.fixture(scope="module")
def result_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """The result of each of the sessions, which are run once, two at a time."""
    folders = {name: tmp_path_factory.mktemp("session") for name in SESSIONS}
    with ThreadPoolExecutor(2) as pool:
        began = {name: pool.submit(one, folders[name]) for name, one in SESSIONS.items()}
        yield lambda name: began[name].result()


@pytest.fixture
def session(result_of: Callable[[str], Any]) -> Session:
    return result_of("measured")


@pytest.mark.long
def test_environments_take_turns_in_one_group(result_of: Callable[[str], Any]) -> None:
    saved = result_of("two")
    assert set(saved) == {"base", "head"}
    assert len({one["group"] for one in saved.values()}) == 1
    assert len({one["extra_info"]["measurement"] for one in saved.values()}) == 1
    assert [f"numpy_take-{name}-cpu" in one["name"] for name, one in saved.items()] == [True, True]


def test_a_case_is_one_group_measured_in_turns(session: Session) -> None:
    saved = figures_of(session.json)
    assert {one["group"] for one in saved.values()} == {"1000x7 float32 batch 1 int64 uniform cold"}
    assert len({one["extra_info"]["measurement"] for one in saved.values()}) == 1
    assert "benchmark '1000x7 float32 batch 1 int64 uniform cold': 2 tests" in session.done.stdout


def test_a_wrong_backend_fails_and_an_absent_one_is_skipped_with_the_reason(session: Session) -> None:
    assert session.done.returncode == 1, session.done.stdout + session.done.stderr
    summary = session.done.stdout.partition("short test summary info")[2]
    assert "last_row: wrong: row 0 of the result is not table row 999" in summary
    assert "absent: unavailable: needs no-such-distribution, not installed" in summary
    assert "1 failed, 2 passed, 1 skipped" in summary
    assert set(figures_of(session.json)) == {"numpy_take", "torch_index_select"}


def test_every_figure_is_saved_with_its_unit(session: Session) -> None:
    for one in figures_of(session.json).values():
        info, seen = one["extra_info"], one["stats"]
        assert info["status"] == "ok" and info["clock"] == "call"
        assert info["payload_bytes"] == 8 + 2 * 28 and info["compulsory_bytes"] == 64
        assert info["distinct_fraction"] == 1
        assert isinstance(info["converged"], bool)
        assert info["extra_memory_bytes"] is None or info["extra_memory_bytes"] >= 0
        assert info["gb_per_s"] == pytest.approx(64 / seen["median"] / 1e9)
        assert info["fraction_of_ceiling"] > 0 and info["ceiling_gb_per_s"] > 0
        assert one["stats"]["min"] <= info["median_us"] * 1e-6 <= one["stats"]["max"]
        assert info["ci_low_us"] is None or info["ci_low_us"] <= info["median_us"] <= info["ci_high_us"]
        assert one["params"]["backend"] == info["backend"]
        assert one["options"]["timer"] == "suite" and one["options"]["disable_gc"]


def test_what_is_saved_says_where_and_names_nobody(session: Session) -> None:
    saved = json.loads(session.json.read_text())
    machine = saved["machine_info"]
    assert machine["node"] == saved["environment"]["machine"]
    assert machine["embedding_lookup"]["cpu"]["cache_bytes"] > 0
    assert machine["embedding_lookup"]["threads"] >= 1
    assert not [name for name in machine["embedding_lookup"]["system"] if name.startswith("load")]
    assert "load_1_min" in saved["environment"]["system"]
    assert saved["environment"]["packages"]["numpy"]


def test_a_saved_run_is_compared_with(session: Session) -> None:
    options = ("--backend", "numpy_take", "--benchmark-save=second", "--benchmark-compare=0001")
    again = benchmark(session.storage, *options, **NUMPY_ALONE)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "(0001_first)" in again.stdout and "(NOW)" in again.stdout
    assert "machine" not in again.stdout + again.stderr, "the machine is the same one"
    both = python(
        "-m", "pytest_benchmark", session.storage.replace("benchmark-", ""), "compare", "--sort=name"
    )
    assert both.returncode == 0, both.stderr
    assert "(0001_first)" in both.stdout and "(0002_second)" in both.stdout


def test_another_machine_is_named_in_one_line(session: Session, tmp_path: Path) -> None:
    for path in Path(session.storage.partition("=")[2]).rglob("*_first.json"):
        saved = json.loads(path.read_text())
        saved["machine_info"]["embedding_lookup"]["cpu"]["l2_cache_bytes"] = 1
        (tmp_path / path.parent.name).mkdir()
        (tmp_path / path.parent.name / path.name).write_text(json.dumps(saved))
    done = benchmark("--collect-only", "-q", f"--benchmark-storage={tmp_path}", "--benchmark-compare")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differs in: embedding_lookup.cpu.l2_cache_bytes\n" in done.stderr


def test_nothing_to_compare_with_and_nothing_to_save_is_said(result_of: Callable[[str], Any]) -> None:
    done = result_of("nothing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Can't compare. No benchmark files" in done.stderr
    assert "Not saving anything" in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr


def test_a_histogram_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("pygal", reason="pytest-benchmark draws with pygal, which is not installed")
    done = benchmark("--backend", "numpy_take", f"--benchmark-histogram={tmp_path / 'drawn'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.read_text().count("<svg") for path in tmp_path.glob("drawn*.svg")] == [1]


@pytest.fixture
def shown(result_of: Callable[[str], Any]) -> tuple[dict[str, dict[str, Any]], list[Record]]:
    return result_of("known")


def exactly(one: dict[str, Any], rounds: Sequence[Sequence[float]]) -> None:
    """A round is a round's median, bit for bit, and the median the suite's."""
    known = stats.median(rounds)
    assert one["stats"]["data"] == [statistics.median(taken) for taken in rounds]
    assert one["stats"]["median"] == known.value
    assert one["stats"]["rounds"] == len(rounds) and one["stats"]["iterations"] == 1
    assert one["extra_info"]["median_us"] == known.value * 1e6
    bounded = math.isfinite(known.high)  # else there were too few rounds for an interval
    assert one["extra_info"]["ci_low_us"] == (known.low * 1e6 if bounded else None)


def test_a_measurement_is_shown_as_it_is_recorded(shown: tuple[dict[str, Any], list[Record]]) -> None:
    saved, records = shown
    (record,) = (r for r in records if r.role == "backend")
    outcome = outcomes.outcomes_of(records)["numpy_take"]
    assert record.samples and outcome.counted
    exactly(saved["test_measured numpy_take"], [record.samples.call_s[place] for place in outcome.counted])


@pytest.mark.parametrize("name", fabricate.SPEED)
def test_a_gpu_is_timed_by_its_own_clock(shown: tuple[dict[str, Any], list[Record]], name: str) -> None:
    case = fabricate.CASES[0]
    records = fabricate.measurement(case, clock="kernel", device="cuda:0")
    (samples,) = (r.samples for r in records if r.backend == name)
    assert samples and samples.kernel_s and samples.enqueue_s
    one = shown[0][f"test_made_up {name}"]
    exactly(one, samples.kernel_s)
    info = one["extra_info"]
    assert info["clock"] == "kernel" and info["device"] == "cuda:0" and info["held"]
    assert info["call_us"] == stats.median(samples.call_s).value * 1e6 > info["median_us"]
    assert info["enqueue_us"] == stats.median(samples.enqueue_s).value * 1e6


def test_only_the_rounds_that_count_are_stored() -> None:
    """So pytest-benchmark's own compare, which knows of no meter, compares results."""
    record = fabricate.record("numpy_take", fabricate.CASES[0], 1e-4, random.Random(0), "m")
    (outcome,) = outcomes.outcomes_of([record]).values()
    flags = tuple(place % 3 != 0 for place in range(len(outcome.rounds)))
    places = tuple(place for place, flag in enumerate(flags) if flag)
    slow = dataclasses.replace(outcome, full_speed=flags, chosen=places)
    assert replay.seconds(slow) == [outcome.rounds[place] for place in places]
    info = replay.figures(slow, fabricate.ENVIRONMENT)
    assert info["full_speed_fraction"] == pytest.approx(len(places) / len(flags))
    assert statistics.median(replay.seconds(slow)) == pytest.approx(float(str(info["median_us"])) * 1e-6)
    too_few = dataclasses.replace(outcome, full_speed=(False,) * len(flags), chosen=None)
    assert replay.seconds(too_few) == list(outcome.rounds), "of what there is"
    assert replay.figures(too_few, fabricate.ENVIRONMENT)["at_full_speed"] is False


def test_a_task_is_measured_once_however_many_ask() -> None:
    request = parse(["--vocab", "50257", "--dim", "768", "--backend", *fabricate.SPEED])
    tasks = tasks_of(request)
    asked = []

    class Crew:
        def measure(self, jobs: Any) -> list[Record]:
            (job,) = jobs.values()
            asked.append(job)
            return fabricate.measurement(job.case)

        def close(self) -> None:
            asked.append("closed")

    one = replay.Replay(request, tasks, 3.0, None)
    one.crew = Crew()  # type: ignore[assignment]
    found = [one.outcome(tasks[0], which) for which in fabricate.SPEED]
    one.close()
    assert [o.backend for o in found] == list(fabricate.SPEED)
    assert all(o.ceiling and o.ceiling.backend == "contiguous_copy" for o in found)
    (job, closed) = asked
    assert (
        [b.name for b in job.backends] == list(fabricate.SPEED)
        and job.settings.limit_s == 3.0
        and closed == "closed"
    )


def test_who_asks_again_gets_another_measurement_in_new_processes() -> None:
    """As plugins do that repeat a test, or run it again because it failed."""
    request = parse(["--vocab", "50257", "--dim", "768", "--backend", "numpy_take", "numba_cpu"])
    done: list[str] = []

    class Crew:
        def measure(self, jobs: Any) -> list[Record]:
            done.append("measured")
            case, number = jobs[None].case, done.count("measured")
            if number == 1:
                failed = fabricate.failure("numpy_take", case, "m1", status="timed_out", reason="60 s")
                return [failed, *fabricate.measurement(case, 1, {"numba_cpu": 1.0})]
            return fabricate.measurement(case, number, {"numpy_take": 1.0, "numba_cpu": 1.0})

        def close(self) -> None:
            done.append("closed")

    one = replay.Replay(request, tasks_of(request), 3.0, None)
    one.crew = Crew()  # type: ignore[assignment]
    (task,) = one.tasks
    assert one.outcome(task, "numpy_take").status == "timed_out"
    assert one.outcome(task, "numpy_take").measurement == "m2", "the second chance"
    found = [one.outcome(task, "numba_cpu") for _ in range(3)]
    assert [o.measurement for o in found] == ["m1", "m2", "m3"]
    assert len({o.rounds for o in found}) == 3
    assert done == ["measured", "closed", "measured", "closed", "measured"]
    one.close()


def test_measurements_wait_for_whoever_measures_on_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    request = parse(["--vocab", "50257", "--dim", "768", "--backend", "numpy_take"])

    def waits(who: str) -> None:
        say_wait("pytest", who)
        raise KeyboardInterrupt

    class Crew:
        def measure(self, jobs: Any) -> list[Record]:
            with pytest.raises(lock.Busy), lock.held(None, None):
                pass
            return fabricate.measurement(jobs[None].case, 1, {"numpy_take": 1.0})

        def close(self) -> None:
            pass

    one = replay.Replay(request, tasks_of(request), 3.0, None, waits)
    one.crew = Crew()  # type: ignore[assignment]
    (task,) = one.tasks
    with lock.held(None, None), pytest.raises(KeyboardInterrupt):
        one.outcome(task, "numpy_take")
    said = capsys.readouterr().err
    assert said.startswith(f"pytest: waits for process {os.getpid()} of ")
    assert said.endswith(", which is measuring on this host\n")
    assert [one.outcome(task, "numpy_take").status for _ in range(2)] == ["ok", "ok"]
    one.close()
    with lock.held(None, None):
        pass


def test_the_table_has_the_case_once_and_is_sorted_by_the_result(session: Session) -> None:
    rows = [line.split() for line in session.done.stdout.splitlines() if re.match(r"\w+-cpu ", line)]
    assert {row[0] for row in rows} == {"numpy_take-cpu", "torch_index_select-cpu"}
    medians = [float(row[1].replace(",", "")) for row in rows]
    assert medians == sorted(medians)
    (rule,) = {line for line in session.done.stdout.splitlines() if re.fullmatch("-+", line)}
    assert len(rule) < 120, "columns of a terminal"
    repeated = measured.short("numpy_take-head-cpu-5x7-float32-batch-1-1-2", "5x7 float32 batch 1")
    assert repeated == "numpy_take-head-cpu-1-2", "a repetition keeps its number"


@pytest.mark.parametrize(
    ("given", "more", "order"),
    [((), "", "median"), (("--benchmark-sort=min",), "", "min"), ((), "-q --benchmark-sort min", "min")],
)
def test_the_order_asked_for_is_kept(
    given: Any, more: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", more)
    config = SimpleNamespace(
        invocation_params=SimpleNamespace(args=given), option=SimpleNamespace(benchmark_sort="min")
    )
    measured.sort_by_median(config)  # type: ignore[arg-type]
    assert config.option.benchmark_sort == order


def test_without_a_ceiling_or_rounds_enough_there_is_null_and_no_nan() -> None:
    draw = random.Random(0)
    record = fabricate.record(
        "numpy_take", fabricate.CASES[0], 1e-4, draw, "m", shape={"count": 2}, converged=False
    )
    (outcome,) = outcomes.outcomes_of([record]).values()
    info = replay.figures(outcome, fabricate.ENVIRONMENT)
    assert info["fraction_of_ceiling"] is None and info["ci_low_us"] is None
    assert info["median_us"] == pytest.approx(100, rel=0.1)
    assert len(replay.seconds(outcome)) == 2
    json.dumps(info, allow_nan=False)


class Config:
    """As much of pytest's configuration as the choice of cases reads."""

    def __init__(self, **options: Any) -> None:
        given: dict[str, Any] = {"gpu": None, "preset": None, "backend": [], "benchmark_environment": []}
        given |= {"benchmark_cprofile": None, "benchmark_histogram": []}
        self.options = {**given, "benchmark_only": True, "benchmark_enable": False, **options}
        self.getoption = self.options.get
        self.stash = pytest.Stash()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpu": "first"}, "'first' is no whole number from 0 to 1023"),
        ({"preset": "smok"}, "did you mean smoke?"),
        ({"benchmark_environment": ["a=python3"]}, "none to take turns with"),
        ({"backend": ["numba_cuda"]}, "runs on cuda only; give --gpu N"),
        ({"backend": ["nowhere.py"]}, "no such file"),
        ({"dist": "load"}, "would measure at once, in each other's way; leave it out, or give -n 0"),
        ({"tx": ["2*popen"], "dist": "no"}, "would measure at once"),
        ({"benchmark_cprofile": "tottime"}, "lookups run in another process; leave it out"),
        ({"benchmark_histogram": ["drawn"]}, "needs pygal, not installed; pip install pygal"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_in_a_line(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "find_spec", lambda name: None)
    with pytest.raises(pytest.UsageError) as refused:
        measured.choose(Config(**options))  # type: ignore[arg-type]
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_gpu_that_is_not_there_is_refused_in_a_line(result_of: Callable[[str], Any]) -> None:
    done = result_of("no GPU")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = done.stderr.split("\n\n")[0].splitlines()
    assert line.startswith("ERROR: gpu 1023: not there, ")
    assert line.endswith("; leave out --gpu to measure the CPU")


def test_tests_have_names_that_another_gpu_shares() -> None:
    configs = [Config(gpu=number, backend=["torch_embedding", "numpy_take"]) for number in "01"]
    named = []
    for config in configs:
        measured.choose(config)  # type: ignore[arg-type]
        tasks = config.stash[measured.TASKS].values()
        named.append([one.id for one in measured.parameters(tasks)])
    assert named[0] == named[1]
    assert len(set(named[0])) == len(named[0]) == 2 * len(plan(measured.SWEEPS))
    assert "torch_embedding-cuda-50257x768-float32-batch-512-int64-uniform-hot" in named[0]


def test_a_plain_run_of_the_tests_measures_nothing(result_of: Callable[[str], Any]) -> None:
    done = result_of("plain")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
    assert "110 measurements: python -m pytest --benchmark-only takes them" in done.stdout
    assert "deselected in" in done.stdout and "passed" not in done.stdout


@pytest.mark.long
def test_a_fresh_run_finds_the_same_median(tmp_path: Path) -> None:
    found = []
    for number in range(
        3
    ):  # what loads the machine for a while may fall on one of two; a slip of ours on all
        (a, a_low, a_high), (b, b_low, b_high) = _both(tmp_path / str(number))
        found.append(f"{a:.4g} µs here, {b:.4g} µs there")
        # Two processes differ by more than the rounds of either tell; on a quiet machine by less than 10 %.
        apart = 3 * math.hypot(math.log(a_high / a_low), math.log(b_high / b_low)) + 0.1
        if abs(math.log(a / b)) <= apart:
            return
    pytest.fail("; ".join(found))


def _both(folder: Path) -> list[list[float]]:
    """The median of one case and its interval in µs, by pytest-benchmark and by ``suite.run``."""
    folder.mkdir()
    given = "--benchmark-only -p no:cacheprovider -k 50257x768-float32-batch-17 --backend numpy_take"
    saving = f"--benchmark-json={folder / 'saved.json'}"
    done = python("-m", "pytest", *given.split(), "tests/run/test_benchmarks.py", saving)
    assert done.returncode == 0, done.stdout + done.stderr
    axes = "--vocab 50257 --dim 768 --dtype float32 --batch 17 --backend numpy_take --time-budget 6s"
    run = python("-m", "suite.run", *axes.split(), "--out", str(folder / "run"))
    assert run.returncode == 0, run.stderr
    with (folder / "run/records.csv").open() as lines:
        (row,) = (row for row in csv.DictReader(lines) if row["backend"] == "numpy_take")
    info = figures_of(folder / "saved.json")["numpy_take"]["extra_info"]
    return [[float(one[name]) for name in ("median_us", "ci_low_us", "ci_high_us")] for one in (info, row)]


@pytest.mark.usefixtures("pooled")
def test_without_a_preset_the_cases_are_of_the_operations_asked_for() -> None:
    lookups = measured.cases(parse([]))
    assert lookups == plan(measured.SWEEPS)
    both = measured.cases(parse(["--operation", "pooled,lookup"]))
    assert {(case.operation, case.variant) for case in both} == {
        ("lookup", ""),
        ("pooled", "max"),
        ("pooled", "sum"),
    }
    assert len(both) == 3 * len(lookups)
