"""argv to sweep to worker to store: plans a run, measures it, leaves it on disk, says what came out."""

from __future__ import annotations

import math
import os
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from backends import describe, name_of
from suite.case import PRESETS, plan
from suite.options import USAGE, BadRequest, Request, parse
from suite.schedule import LIMITS_S, MOST_S, Budget, Task, digest, tasks_of
from suite.text import plain

if TYPE_CHECKING:
    from suite.gpu_probe import CudaDevice
    from suite.record import Environment
    from suite.store import Run
    from suite.supervisor import Supervisor

INTERRUPTED = 130
WRONG = 1
NOISE_BUDGET_S = 60.0
"""With less time than this for a whole run, none of it goes to the noise floor."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        request = parse(argv)
        if request.list_backends:
            from suite.listing import print_backends

            print_backends([b for b in request.backends if b != name_of(b)])
            return 0
        tasks = tasks_of(request)
        if request.dry_run:
            _print_plan(tasks)
            return 0
        return _carry_out(request, tasks, argv)
    except BadRequest as error:
        print(plain(str(error)), file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("run: interrupted; what is measured is on disk, go on with --resume", file=sys.stderr)
        return INTERRUPTED


def _print_plan(tasks: Sequence[Task]) -> None:
    names = {which: name_of(which) for which in {which for task in tasks for which in task.which}}
    for task in tasks:
        print(f"{task.device}  {task.case}  {' '.join(names[which] for which in task.which)}")
    print(f"{len(tasks)} cases, {sum(len(task.which) for task in tasks)} records")


def _carry_out(request: Request, tasks: list[Task], argv: Sequence[str]) -> int:
    from suite import report
    from suite.environment import available_bytes, cache_bytes
    from suite.record import Record
    from suite.store import StoreError
    from suite.supervisor import Supervisor

    budget = _budget(request, len(tasks))
    _check_ids(request)
    gpu = _gpu(request)
    caches = {d: gpu.l2_bytes if gpu and d != "cpu" else cache_bytes() for d in {t.device for t in tasks}}
    supervisor = Supervisor(request.timeout_s, int(0.92 * available_bytes()), request.threads)
    try:
        run = _open_run(request, tasks, argv, gpu)
        run = _with_noise_floor(request, run, supervisor, tasks[0].device, caches)
        _measure(request, tasks, run, supervisor, caches, budget)
        supervisor.close()
        report.write_csv([run.path], run.path / "records.csv")
        report.print_summary([run.path])
    except StoreError as error:
        raise BadRequest(str(error)) from None
    finally:
        supervisor.close()
    print(f"\n{run.path}")
    return WRONG if any(isinstance(r, Record) and r.status == "wrong" for r in run.read()) else 0


def _budget(request: Request, tasks: int) -> Budget:
    preset = request.preset
    as_it_is = request.cases == plan(PRESETS[preset])
    most_s = MOST_S.get(preset, math.inf) if as_it_is and request.gpu is None else math.inf
    return Budget(request.time_budget_s, tasks, LIMITS_S[preset], most_s)


def _check_ids(request: Request) -> None:
    """The user's ids must be ids, and fit every table they will be looked up in."""
    from suite import ids

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
    from suite.gpu_probe import probe

    found = probe(request.gpu)
    if isinstance(found, str):
        raise BadRequest(f"gpu {request.gpu}: not there, {found}; leave out --gpu to measure the CPU")
    return found


def _open_run(request: Request, tasks: Sequence[Task], argv: Sequence[str], gpu: CudaDevice | None) -> Run:
    """The run to go on with, or a new one.

    Raises:
        BadRequest: what is to be resumed was planned otherwise, or on another machine.
        StoreError: the folder can't be read or written.
    """
    from suite.store import Run

    now = _environment(request, tasks, argv, gpu)
    if request.resume is None:
        return Run.create(request.out or _folder(now, gpu), now)
    run = Run.open(request.resume)
    if run.environment.machine != now.machine or run.environment.devices != now.devices:
        raise BadRequest(f"{request.resume}: measured on another machine; start a new run with --out")
    if run.environment.plan != now.plan:
        raise BadRequest(
            f"{request.resume}: planned otherwise; repeat its options: {' '.join(run.environment.argv)}"
        )
    return run


def _environment(
    request: Request, tasks: Sequence[Task], argv: Sequence[str], gpu: CudaDevice | None
) -> Environment:
    from suite import environment
    from suite.child import SPINS
    from suite.nvml import Gpu

    backends = {which for task in tasks for which in task.which}
    settings = {
        "precision": request.precision,
        "time_budget_s": request.time_budget_s,
        "timeout_s": request.timeout_s,
        "threads": request.threads,
        "sustain_s": request.sustain_s,
        "gomp_spincount": os.environ.get("GOMP_SPINCOUNT", str(SPINS)),
    }
    found = environment.collect(
        argv,
        request.seed,
        digest(request, tasks),
        sorted({task.device for task in tasks}),
        settings,
        packages=[package for which in backends for package in describe(which).packages],
        gpu=Gpu.open(gpu.uuid) if gpu else None,
    )
    if gpu:
        found.gpu.update(name=gpu.name, l2_bytes=gpu.l2_bytes, memory_bytes=gpu.memory_bytes)
    return found


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


def _with_noise_floor(
    request: Request, run: Run, supervisor: Supervisor, device: str, caches: Mapping[str, int]
) -> Run:
    """The run with its machine's noise floor, measured now unless it is there or time is too short for it."""
    short = request.preset == "smoke" or (request.time_budget_s or NOISE_BUDGET_S) < NOISE_BUDGET_S
    if run.environment.noise_floor is not None or short:
        return run
    from suite.noise import measured_floor

    return run.amended(noise_floor=measured_floor(device, supervisor, caches[device]))


def _measure(
    request: Request,
    tasks: Sequence[Task],
    run: Run,
    supervisor: Supervisor,
    caches: Mapping[str, int],
    budget: Budget,
) -> None:
    """Every task that is not on disk yet, in order; its records are on disk before the next one starts."""
    from suite.measure import Settings
    from suite.progress import Progress
    from suite.record import Record
    from suite.worker import Job

    done = {
        (r.case, r.device, r.backend) for r in run.read() if isinstance(r, Record) and r.role == "backend"
    }
    left = [task for task in (each.without(done) for each in tasks) if task.which]
    budget.left = len(left)
    with Progress(len(tasks), len(tasks) - len(left)) as progress:
        for task in left:
            what = f"{task.device} {task.case}"
            progress.start(what)
            settings = Settings(
                request.precision,
                budget.next_limit_s(),
                request.seed,
                caches[task.device],
                request.sustain_s,
            )
            job = Job(task.case, task.device, task.which, uuid.uuid4().hex[:12], settings, request.ids_file)
            records = supervisor.measure(job)
            run.append(records)
            budget.finished()
            progress.finish(what, records)


if __name__ == "__main__":
    sys.exit(main())
