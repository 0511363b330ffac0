"""argv to sweep to worker to store: plans a run, measures it, leaves it on disk, says what came out."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from suite.cases.case import plan
from suite.cases.presets import PRESETS
from suite.command import CHECK_FAILED, DONE, INTERRUPTED, BadRequest, execute, refuse
from suite.run.options import Request, parse
from suite.run.schedule import LIMITS_S, MOST_S, Task, tasks_of
from suite.text import plain
from suite.worker.budget import Budget

if TYPE_CHECKING:
    from suite.machine.cuda_device import CudaDevice
    from suite.records.record import Environment, Record
    from suite.records.store import Run
    from suite.run.launch import Launch
    from suite.worker.supervisor import Supervisor


NOISE_BUDGET_S = 60.0
"""With less time than this for a whole run, none of it goes to the noise floor."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        request = parse(argv)
        if request.list_backends:
            from suite.run.listing import print_backends

            print_backends([b.source for b in request.backends if b.source != b.name])
            return DONE
        tasks = tasks_of(request)
        if request.dry_run:
            _print_plan(tasks)
            return DONE
        return _carry_out(request, tasks, argv)
    except BadRequest as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("run: interrupted; what is measured is on disk, go on with --resume", file=sys.stderr)
        return INTERRUPTED


def _print_plan(tasks: Sequence[Task]) -> None:
    for task in tasks:
        print(f"{task.device}  {task.case}  {' '.join(backend.name for backend in task.backends)}")
    print(f"{len(tasks)} cases, {sum(len(task.backends) for task in tasks)} records")


def _carry_out(request: Request, tasks: list[Task], argv: Sequence[str]) -> int:
    from suite.records.store import StoreError
    from suite.run.launch import Launch
    from suite.worker.supervisor import Supervisor

    budget = _budget(request, len(tasks))
    _check_ids(request)
    launch = Launch(request, tasks, _gpu(request))
    supervisor = Supervisor.of_this_machine(request.timeout_s, request.threads)
    try:
        run = _open_run(launch, argv)
        run = _with_noise_floor(launch, run, supervisor)
        _measure(launch, run, supervisor, budget)
        supervisor.close()
        return _report(run)
    except StoreError as error:
        raise BadRequest(str(error)) from None
    finally:
        supervisor.close()


def _report(run: Run) -> int:
    """Read the run back, write and print its tables; returns the exit code."""
    from suite.analysis import outcomes
    from suite.report import files, terminal

    results = outcomes.read([run.path])
    files.csv(results, run.path / "records.csv")
    terminal.show(results, sys.stdout, None)
    print(f"\n{run.path}")
    wrong = any(outcome.status == "wrong" for outcome in results.outcomes)
    return CHECK_FAILED if wrong else DONE


def _budget(request: Request, tasks: int) -> Budget:
    preset = request.preset
    as_it_is = request.cases == plan(PRESETS[preset])
    most_s = MOST_S.get(preset, math.inf) if as_it_is and request.gpu is None else math.inf
    # In several processes a case takes as many times as long, unless there is a budget.
    return Budget(request.time_budget_s, tasks, LIMITS_S[preset], most_s * request.processes)


def _check_ids(request: Request) -> None:
    """The user's ids must be ids, and fit every table they will be looked up in."""
    from suite.cases import ids

    if request.ids_file is None:
        return
    try:
        given = ids.read_file(request.ids_file)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    for vocab in sorted({case.vocab for case in request.cases}):
        reason = ids.out_of_range(given, vocab)
        if reason:
            raise BadRequest(f"{request.ids_file}: {reason}; give ids of that table, or its --vocab")


def _gpu(request: Request) -> CudaDevice | None:
    if request.gpu is None:
        return None
    from suite.machine.cuda_device import probe

    device = probe(request.gpu)
    if isinstance(device, str):
        raise BadRequest(f"gpu {request.gpu}: not there, {device}; leave out --gpu to measure the CPU")
    return device


def _open_run(launch: Launch, argv: Sequence[str]) -> Run:
    """The run to go on with, or a new one.

    Raises:
        BadRequest: what is to be resumed was planned otherwise, or on another machine.
        StoreError: the folder can't be read or written.
    """
    from suite.records.store import Run

    request, now = launch.request, launch.environment(argv)
    missing = now.gpu.get("nvml_missing")
    if missing:
        message = f"gpu {request.gpu}: NVML does not report {missing}; timings are unaffected"
        print(plain(message), file=sys.stderr)
    if request.resume is None:
        return Run.create(request.out or _folder(now, launch.gpu), now)
    run = Run.open(request.resume)
    if run.environment.machine != now.machine or run.environment.devices != now.devices:
        raise BadRequest(f"{request.resume}: measured on another machine; start a new run with --out")
    if run.environment.plan != now.plan:
        raise BadRequest(
            f"{request.resume}: planned otherwise; repeat its options: {' '.join(run.environment.argv)}"
        )
    return run


def _folder(now: Environment, gpu: CudaDevice | None) -> Path:
    """results/<date>-<device>-<commit>, with a number after it where that is taken."""
    device = gpu.name if gpu else str(now.cpu.get("model") or "cpu")
    device = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(.*?\)|processor|cpu", " ", device.lower())).strip("-")
    name = f"{datetime.now(UTC):%Y-%m-%d}-{device[:40] or 'cpu'}-{now.commit[:8]}"
    folder, number = Path("results") / name, 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{name}-{number}")
    return folder


def _with_noise_floor(launch: Launch, run: Run, supervisor: Supervisor) -> Run:
    """The run with its machine's noise floor, measured now unless it is there or time is too short for it."""
    request, device = launch.request, launch.tasks[0].device
    short = request.preset == "smoke" or (request.time_budget_s or NOISE_BUDGET_S) < NOISE_BUDGET_S
    if run.environment.noise_floor is not None or short:
        return run
    from suite.worker.noise import measured_floor

    return run.amended(noise_floor=measured_floor(device, supervisor, launch.cache_bytes(device)))


def _measure(launch: Launch, run: Run, supervisor: Supervisor, budget: Budget) -> None:
    """Every task that is not on disk yet, in order; its records are on disk before the next one starts."""
    from suite.records.record import Record
    from suite.run.progress import Progress

    tasks = launch.tasks
    done = {
        (r.case, r.device, r.backend) for r in run.read() if isinstance(r, Record) and r.role == "backend"
    }
    left = [task for task in (task.without(done) for task in tasks) if task.backends]
    budget.left = len(left) * launch.request.processes
    with Progress(len(tasks), len(tasks) - len(left)) as progress:
        for task in left:
            progress.start(str(task))
            records = _measured(launch, task, supervisor, budget)
            run.append(records)
            progress.finish(str(task), records)


def _measured(launch: Launch, task: Task, supervisor: Supervisor, budget: Budget) -> list[Record]:
    """The records of a task, by one worker or by as many new ones as were asked for."""
    from dataclasses import replace

    parts: list[Record] = []
    request = launch.request
    for number in range(request.processes):
        if request.processes > 1:
            supervisor.close()
        job = launch.job(task, budget.next_limit_s(), counted=number == 0)
        parts += [replace(record, pass_number=number + 1) for record in supervisor.measure(job)]
        budget.finished()
    return parts


if __name__ == "__main__":
    execute(main)
