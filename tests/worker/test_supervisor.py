"""A run that is interrupted, killed, out of disk, or gone on with: what is on disk stays right."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import contender, measure, operands
from suite.engine.arrays import HostArrays
from suite.records.device import CPU
from suite.records.record import Record
from suite.records.store import Run
from suite.telemetry import host
from suite.telemetry.reading import Reading
from suite.worker import errors
from suite.worker.messages import Job, failed
from suite.worker.process import Death
from suite.worker.supervisor import Rounds, Supervisor
from tests.support.commands import FINISHED, NUMPY_ALONE

ROOT = Path(__file__).resolve().parents[2]

ADVERSARIES = ROOT / "tests" / "adversaries"
ENDS_S = 2.0
DISK_BYTES = 60_000
CASES = 8
BATCHES = ",".join(map(str, range(1, CASES + 1)))
TABLE = ("--vocab", "1000", "--dim", "64", "--threads", "1")
PLAN = (*TABLE, "--batch", BATCHES, "--time-budget", "2s", "--passes", "1", "--backend", "numpy_take")


def start(*arguments: str, variables: Mapping[str, str] = NUMPY_ALONE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "suite.run", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run that is ended in any case, its worker too."""
    process = start(*arguments)
    try:
        yield process
    finally:
        for each in descendants(process.pid):
            with contextlib.suppress(psutil.Error):
                each.kill()
        process.kill()
        process.communicate()


def finish(*arguments: str, variables: Mapping[str, str] = NUMPY_ALONE) -> tuple[int, str, str]:
    process = start(*arguments, variables=variables)
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def workers_of(pid: int) -> list[psutil.Process]:
    def is_worker(child: psutil.Process) -> bool:
        try:
            return "suite.worker.serve" in child.cmdline()
        except psutil.Error:  # gone, or not waited for yet
            return False

    return [child for child in descendants(pid) if is_worker(child)]


def waited(holds: Callable[[], bool], limit_s: float) -> float:
    """How long it took until something held; fails after the limit."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < limit_s, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - began


def lines(run: Path) -> int:
    file = run / "records.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def backends(run: Path) -> list[Record]:
    records, refused = Run.open(run).records()
    assert not refused
    return [record for record in records if record.role == "backend"]


def test_ctrl_c_ends_at_once_and_what_is_measured_stays(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with started(*PLAN, "--out", str(run)) as process:
        waited(lambda: lines(run) >= 2, 60)
        workers = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, error = process.communicate(timeout=30)
        took = time.monotonic() - began
    assert process.returncode == 130
    assert took < ENDS_S
    go_on = f"python -m suite.run --resume {run}"
    assert error.splitlines()[-1] == f"run: interrupted; go on: {go_on}"
    assert "Traceback" not in error
    assert workers
    assert gone(workers)
    assert 1 <= len(backends(run)) < CASES
    with started(*go_on.split()[3:]) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert {record.case for record in backends(run)} and len(backends(run)) == CASES


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_whose_backend_hangs_in_c_ends_with_its_worker(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    hangs = str(ADVERSARIES / "hangs.py")
    with started(*TABLE, "--batch", "17", "--out", str(tmp_path / "run"), "--backend", hangs) as process:
        waited(lambda: bool(workers_of(process.pid)), 60)
        time.sleep(1.5)
        workers = workers_of(process.pid)
        process.send_signal(number)
        began = time.monotonic()
        process.communicate(timeout=30)
        assert time.monotonic() - began < ENDS_S
        assert workers
        waited(lambda: gone(workers), ENDS_S)
    assert process.returncode == code


def test_a_killed_run_leaves_no_worker_and_is_resumed_where_it_was(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with started(*PLAN, "--out", str(run)) as process:
        waited(lambda: lines(run) >= 4, 60)
        workers = descendants(process.pid)
        process.kill()
        process.wait()
        waited(lambda: gone(workers), ENDS_S)
    assert workers
    before = (run / "records.jsonl").read_bytes()
    done = backends(run)
    assert 2 <= len(done) < CASES

    code, _, error = finish(*PLAN, "--resume", str(run))
    assert code == 0, error
    after = (run / "records.jsonl").read_bytes()
    assert after.startswith(before)
    records = backends(run)
    assert records[: len(done)] == done
    assert [record.case.batch for record in records] == list(range(1, CASES + 1))
    again, _, _ = finish(*PLAN, "--resume", str(run))
    assert again == 0
    assert (run / "records.jsonl").read_bytes() == after


@pytest.mark.long
def test_a_run_killed_in_its_second_pass_goes_on_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    plan = (*TABLE, "--batch", "1,2,3", "--passes", "2", "--precision", "50%", "--backend", "numpy_take")
    with started(*plan, "--out", str(run)) as process:
        waited(lambda: lines(run) >= 2 * 4, 60)
        process.kill()
        process.wait()
    before = (run / "records.jsonl").read_bytes()
    torn = before.rstrip(b"\n").rpartition(b"\n")[0] + b'\n{"backend":"numpy'
    (run / "records.jsonl").write_bytes(torn)
    code, _, error = finish(*plan, "--resume", str(run))
    assert code == 0, error
    assert "pass 2 of 2" in error and "pass 1 of 2" not in error
    records, refused = Run.open(run).records()
    assert len(refused) == 1
    own = [(r.pass_number, r.case.batch) for r in records if r.role == "backend"]
    assert own == [(number, batch) for number in (1, 2) for batch in (1, 2, 3)]


def test_what_a_backend_started_ends_with_the_run(tmp_path: Path) -> None:
    sleeper = str(ADVERSARIES / "leaves_a_sleeper.py")
    plan = (*TABLE, "--batch", "17", "--time-budget", "1s", "--out", str(tmp_path / "run"))
    with started(*plan, "--backend", sleeper) as process:
        sleeps: list[psutil.Process] = []

        def asleep() -> bool:
            sleeps[:] = [p for p in descendants(process.pid) if p.name() == "sleep"]
            return bool(sleeps)

        waited(asleep, 60)
        assert process.wait(60) == 0
        waited(lambda: gone(sleeps), ENDS_S)


def test_half_a_line_costs_its_own_record_only(finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "environment.json").write_bytes((finished_run / "environment.json").read_bytes())
    whole = (finished_run / "records.jsonl").read_bytes()
    keep = b"".join(whole.splitlines(keepends=True)[:3])  # the first case: two backends and the ceiling
    (run / "records.jsonl").write_bytes(whole[: len(keep) + 100])
    code, _, error = finish(*FINISHED, "--resume", str(run), variables={})
    assert code == 0, error
    records, refused = Run.open(run).records()
    assert len(refused) == 1
    assert [r.case.batch for r in records if r.role == "backend"] == [1, 1, 2, 2]
    assert (run / "records.jsonl").read_bytes().startswith(keep)


@pytest.mark.parametrize(
    ("edit", "arguments", "says"),
    [
        ({"machine": "0123456789abcdef"}, ("--batch", "1,2"), "measured on another machine"),
        ({}, ("--batch", "1,3"), "planned otherwise"),
        ({}, ("--batch", "1,2", "--seed", "1"), "planned otherwise"),
        ({}, ("--batch", "1,2", "--precision", "2%"), "planned otherwise"),
        ({"method": 3}, ("--batch", "1,2"), "begun with method 3, now 5; start a new run with --out"),
        ({"commit": "1" * 40, "dirty": None}, ("--batch", "1,2"), "begun with commit 111111111111, now "),
        ({"packages": {"numpy": "1.0"}}, ("--batch", "1,2"), "numpy 1.0, now "),
        ({"system": {"NUMBA_OPT": "0"}}, ("--batch", "1,2"), "begun with NUMBA_OPT 0, now None"),
        ({}, ("--batch", "1,2", "--threads", "2"), "planned otherwise"),
    ],
)
def test_resume_refuses_what_is_another_run(
    finished_run: Path, tmp_path: Path, edit: dict[str, str], arguments: tuple[str, ...], says: str
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    tree = json.loads((finished_run / "environment.json").read_text())
    assert edit.keys() <= tree.keys()
    (run / "environment.json").write_text(json.dumps({**tree, **edit}))
    records = (finished_run / "records.jsonl").read_bytes()
    (run / "records.jsonl").write_bytes(records)
    plan = (*FINISHED, *arguments)
    code, out, error = finish(*plan, "--resume", str(run))
    assert (code, out) == (2, "")
    assert says in error
    assert len(error.splitlines()) == 1
    assert (run / "records.jsonl").read_bytes() == records


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[tuple[Path, int | None]]:
    """A folder on a small disk of its own where we may mount one; else with the size that a file may have."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder))
    try:
        mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield folder / "run", None if mounted else DISK_BYTES
    finally:
        if mounted:
            subprocess.run(("umount", str(folder)), check=True)


def test_a_full_disk_is_one_line_and_loses_nothing(full_disk: tuple[Path, int | None]) -> None:
    run, limit = full_disk
    process = start(*PLAN, "--out", str(run))
    if limit:  # it starts slower than it is told so
        psutil.Process(process.pid).rlimit(psutil.RLIMIT_FSIZE, (limit, limit))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2, error
    last = error.splitlines()[-1]
    assert last == f"{run}: disk full; see to it, then go on with --resume"
    assert "Traceback" not in error
    assert 1 <= len(backends(run)) < CASES
    assert (run / "records.jsonl").read_bytes().endswith(b"\n")


def test_the_same_request_plans_the_same_run() -> None:
    plan = (*TABLE, "--batch", BATCHES, "--cache", "hot,cold", "--dry-run", "--seed", "3")
    first, second = finish(*plan), finish(*plan)
    assert first == second
    assert first[0] == 0
    assert first[1].splitlines()[-1].startswith(f"{2 * CASES} cases, ")


def test_the_same_seed_gives_the_same_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the times were; another seed gives others."""

    def turns(seed: int, limit_s: float) -> list[str]:
        order: list[str] = []

        def notice(backend: str | None, step: str) -> None:
            if step == "time" and backend:  # which copy is the fastest is the machine's to say
                order.append("copy" if backend.startswith("copy") else backend)

        case = Case(1000, 64, batch=17)
        which = ("numpy_take", "torch_index_select", "torch_embedding")
        settings = measure.Settings(limit_s=limit_s, seed=seed, cache_bytes=2**20)
        setup = measure.Setup(case, arrays, table, Reading(0), host.HostObserver(), settings)
        measure.measure(setup, [choose(name) for name in which], "m", notice)
        return order

    arrays = HostArrays()
    table = operands.build_table(arrays, Case(1000, 64, "float32"))
    first, third = turns(0, 0.4), turns(1, 0.4)
    monkeypatch.setattr(contender, "SPOT_CHECK_SHARE", 0.0)  # less else is drawn, as when times differ
    second = turns(0, 0.8)
    count = min(map(len, (first, second, third)))
    assert count >= 12
    assert first[:count] == second[:count]
    assert first[:count] != third[:count]


@pytest.mark.long
def test_a_run_ends_within_its_time(tmp_path: Path) -> None:
    began = time.monotonic()
    plan = (*TABLE, "--batch", "1,17,512,4096", "--time-budget", "20s", "--backend", "numpy_take")
    code, _, error = finish(*plan, "torch_index_select", "--out", str(tmp_path / "run"), variables={})
    took = time.monotonic() - began
    print(f"asked for 20 s, took {took:.1f} s")
    assert code == 0, error
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    assert took < 20 * 1.05 + 1 + (5 if load > 0.5 else 0)


ABC = ("numpy_take", "torch_embedding", "torch_index_select")
A, B, C = ABC
LARGE = "torch_index"


@pytest.mark.parametrize(
    ("ends", "guilty", "workers"),
    [
        pytest.param(lambda n: A if A in n else None, {A}, [ABC, (B, C)], id="a crash costs one more"),
        pytest.param(
            lambda n: B if A in n and B in n else A if n == (A,) else None, {B}, [ABC, (A, C)], id="together"
        ),
        pytest.param(
            lambda n: (B if B in n else C if C in n else A) if A in n else None,
            {A},
            [ABC, (A, C), (B,), (C,), (A,), (B, C)],
            id="one strikes in the others' steps",
        ),
        pytest.param(
            lambda n: B if B in n else C if C in n else None,
            {B, C},
            [ABC, (A, C), (B,), (C,), (A,)],
            id="two crash",
        ),
        pytest.param(
            lambda n: B if len(n) == 3 else A if A in n and C in n else None,
            {A},
            [ABC, (A, C), (B,), (A,), (C,), (B, C)],
            id="nobody alone",
        ),
        pytest.param(
            lambda n: LARGE if LARGE in n else B if B in n else None,
            {B, LARGE},
            [(A, B, LARGE), (A, B), (A,)],
            id="what would take long again is tried no more",
        ),
        pytest.param(
            lambda n: (B if B in n else A) if A in n else None,
            {A},
            [(A, B), (A,), (B,)],
            id="the last of two is the one",
        ),
    ],
)
def test_who_ended_a_worker_is_found_out(
    monkeypatch: pytest.MonkeyPatch, ends: Any, guilty: set[str], workers: list[tuple[str, ...]]
) -> None:
    """``ends`` says in whose step a worker of these backends ends; ``workers`` which are asked, in order."""
    asked: list[tuple[str, ...]] = []

    def ask(self: Supervisor, job: Job) -> Rounds[list[Record] | Death]:
        names = tuple(backend.name for backend in job.backends)
        asked.append(names)
        step = ends(names)
        large = step == LARGE
        death = Death(step, "out_of_memory" if large else "crashed", "no", certain=large) if step else None
        return death or [failed(job, b, "error", "") for b in job.backends]
        yield

    monkeypatch.setattr(Supervisor, "_ask", ask)
    case = Case(1000, 64, "float32", 1, "int64", "uniform", "hot")
    job = Job(case, CPU, tuple(map(choose, workers[0])), "m", measure.Settings(limit_s=1.0))
    records = Supervisor(1.0, 2**40, 1).measure(job)
    assert asked == workers
    assert sorted(record.backend for record in records) == sorted(workers[0]), "one record each"
    assert {record.backend for record in records if record.status != "error"} == guilty


def test_what_ended_a_worker_in_an_earlier_case_costs_one_more_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, ...]] = []

    def ask(self: Supervisor, job: Job) -> Rounds[list[Record] | Death]:
        names = tuple(backend.name for backend in job.backends)
        asked.append(names)
        return Death("numpy_take", "crashed", "no") if "numpy_take" in names else []
        yield

    monkeypatch.setattr(Supervisor, "_ask", ask)
    supervisor = Supervisor(1.0, 2**40, 1)
    two = (choose("numpy_take"), choose("torch_embedding"))
    for batch in (1, 2):
        case = Case(1000, 64, "float32", batch, "int64", "uniform", "hot")
        records = supervisor.measure(Job(case, CPU, two, "m", measure.Settings(limit_s=1.0)))
        assert [(r.backend, r.status) for r in records] == [("numpy_take", "crashed")]
    both, other = ("numpy_take", "torch_embedding"), ("torch_embedding",)
    assert asked == [both, other, both, other]


def test_what_left_its_device_unusable_needs_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def ask(self: Supervisor, job: Job) -> Rounds[list[Record] | Death]:
        names = tuple(backend.name for backend in job.backends)
        asked.append(names)
        return Death("numpy_take", "crashed", "no", certain=True) if "numpy_take" in names else []
        yield

    monkeypatch.setattr(Supervisor, "_ask", ask)
    two = (choose("numpy_take"), choose("torch_embedding"))
    records = Supervisor(1.0, 2**40, 1).measure(Job(Case(1000, 64), CPU, two, "m", measure.Settings()))
    assert [(r.backend, r.status) for r in records] == [("numpy_take", "crashed")]
    assert asked == [("numpy_take", "torch_embedding"), ("torch_embedding",)]


def test_what_a_worker_said_at_its_end_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(self: Supervisor, job: Job) -> Rounds[list[Record] | Death]:
        return Death("numpy_take", "crashed", "ended by SIGABRT", output="line one\nline two\n")
        yield

    monkeypatch.setattr(Supervisor, "_ask", ask)
    job = Job(Case(1000, 64), CPU, (choose("numpy_take"),), "m", measure.Settings(), errors=str(tmp_path))
    (record,) = Supervisor(1.0, 2**40, 1).measure(job)
    assert record.reason == "ended by SIGABRT"
    kept = errors.file_of(tmp_path, "numpy_take").read_text()
    assert kept == f"--- cpu {job.case}\nended by SIGABRT\nline one\nline two\n"


@pytest.mark.slow
def test_a_worker_that_does_not_start_is_nobodys_failure(tmp_path: Path) -> None:
    """As where the interpreter has lost what the suite needs; it is tried twice."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho start >> {tmp_path}/starts\necho "OSError: no numpy" >&2\nexit 1\n')
    python.chmod(0o755)
    supervisor = Supervisor(20.0, 2**40, 1, str(python))
    case = Case(1000, 64, "float32", 1, "int64", "uniform", "hot")
    job = Job(case, CPU, (choose("numpy_take"),), "m", measure.Settings(limit_s=1.0))
    with pytest.raises(ChildProcessError, match=r"does not start: exited with code 1 .*OSError: no numpy"):
        supervisor.measure(job)
    assert (tmp_path / "starts").read_text().count("start") == 2
