"""argv to sweep to worker to store: plans a run, measures it, leaves it on disk, says what came out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from suite.command import CHECK_FAILED, DONE, INTERRUPTED, BadRequest, execute, refuse, say_wait, tell
from suite.run.files.tables import table_files
from suite.run.forecast import budget_of, forecast, within_budget
from suite.run.inputs import with_ids
from suite.run.options import Request, parse, without_option
from suite.run.schedule import Task, tasks_of
from suite.text import folded, plain

if TYPE_CHECKING:
    from suite.machine.cuda_device import CudaDevice
    from suite.machine.lock import Lock
    from suite.records.record import Environment
    from suite.records.store import Run
    from suite.run.launch import Launch


FINEST = 0.005
"""A precision below that is said to be out of reach."""
WATCH_S = 0.25
"""For so long the machine is watched before it is measured."""
BESIDE = ("--insist", "--anyway")
"""Options that ``--resume RUN`` alone may have beside it."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        request = _with_its_options(parse(argv), argv)
        if request.list_backends:
            from suite.run.listing import print_backends

            print_backends(request)
            return DONE
        request, notes = with_ids(request)
        for note in notes:
            tell(note)
        tasks = tasks_of(request)
        if request.shard:
            tasks = request.shard.part(tasks)
        request = within_budget(request, tasks)
        if request.dry_run:
            _print_plan(request, tasks)
            return DONE
        if request.debug or request.profile:
            return _single(request, tasks, argv)
        return _carry_out(request, tasks, argv)
    except BadRequest as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("run: interrupted; nothing was measured", file=sys.stderr)
        return INTERRUPTED


def _with_its_options(request: Request, argv: Sequence[str]) -> Request:
    """Of ``--resume RUN`` alone, the options that the run was begun with; else the request as it is.

    Raises:
        BadRequest: they name a file by a path that the run's records keep for themselves.
    """
    if request.resume is None or without_option("--resume", [w for w in argv if w not in BESIDE]):
        return request
    from suite.records.store import Run, StoreError

    try:
        began = Run.open(request.resume).environment.argv
        return parse([*without_option("--resume", without_option("--out", began)), *argv])
    except StoreError as error:
        raise BadRequest(str(error)) from None
    except BadRequest as error:
        said = f"{request.resume}: its own options no longer do ({error}); repeat them"
        raise BadRequest(plain(f"{said}: {' '.join(began)}")) from None


def _print_plan(request: Request, tasks: Sequence[Task]) -> None:
    from suite.run.listing import planned

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line, indent in planned(request, tasks):
        print(folded(line, width, indent) if width else line)


def _single(request: Request, tasks: Sequence[Task], argv: Sequence[str]) -> int:
    """One backend on one case in this process."""
    from suite.run import single
    from suite.run.launch import Launch

    task = single.chosen(tasks)
    launch = Launch(request, [task], _gpu(request))
    with table_files(request.tables, request.keep_tables, [task.case]):
        return single.run(launch, task, argv, profiled=request.profile)


def _carry_out(request: Request, tasks: list[Task], argv: Sequence[str]) -> int:
    from suite.machine import lock
    from suite.machine.variables import taken_away

    if gone := taken_away(os.environ):
        tell(f"run: measured without {', '.join(gone)}; suite.doctor says why")
    gpu, waits = _gpu(request), partial(say_wait, "run") if request.wait else None
    try:
        with lock.held(gpu.uuid if gpu else None, waits) as held:
            return _measure(request, tasks, gpu, held, argv)
    except lock.Busy as busy:
        advice = "wait for its end, or leave out --no-wait"
        raise BadRequest(f"host: busy, measuring for {busy}; {advice}") from None


def _measure(
    request: Request, tasks: list[Task], gpu: CudaDevice | None, held: Lock, argv: Sequence[str]
) -> int:
    from suite.records.store import StoreError
    from suite.run.launch import Launch
    from suite.run.passes import Passes

    launch = Launch(request, tasks, gpu, _disturbances())
    budget, crew = budget_of(request, tasks), launch.crew()
    try:
        cases = (task.case for task in tasks)
        with table_files(request.tables, request.keep_tables, cases) as what_is_needed:
            run = _open_run(launch, argv)
            _warn(launch)
            said = forecast(request, tasks).lines() if request.resume is None else []
            for line in filter(None, [what_is_needed, *said]):
                tell(f"run: {line}")
            passes = Passes(launch, run, crew, budget, held)
            try:
                passes.measure()
            except KeyboardInterrupt:
                go_on = f"python -m suite.run --resume {shlex.quote(str(run.path))}"
                print(f"run: interrupted; go on: {go_on}", file=sys.stderr)
                return INTERRUPTED
            finally:
                crew.close()
        return _report(passes.run, request)
    except StoreError as error:
        raise BadRequest(str(error)) from None
    finally:
        crew.close()


def _disturbances() -> tuple[str, ...]:
    """What disturbs this machine as the run begins."""
    from suite.machine.cpu import allowed_processors
    from suite.telemetry import activity

    return tuple(activity.disturbances(activity.watch(for_s=WATCH_S), len(allowed_processors())))


def _warn(launch: Launch) -> None:
    """Say what will make this run's results less sure, and what it will cost."""
    if launch.request.precision < FINEST:
        what = "passes scatter by more, so all of the time is spent on it"
        tell(f"run: --precision {launch.request.precision:.2%}: seldom reached; {what}")
    if launch.disturbances:
        cost = "expect wide intervals and open cases; wait, or give more passes; suite.doctor tells more"
        tell(f"run: {'; '.join(launch.disturbances)}: {cost}")


def _report(run: Run, request: Request) -> int:
    """Read the run back, write and print its tables; returns the exit code."""
    from suite.report import files, terminal
    from suite.run.ending import closing, finished, shortfall

    results = finished(run)
    elsewhere = f"python -m suite.report {shlex.quote(str(run.path))} --csv F writes it elsewhere"
    refused: BadRequest | None = None
    try:
        files.csv(results, run.path / "records.csv", elsewhere)
    except BadRequest as error:  # what was measured is shown all the same
        refused = error
    terminal.show(results, sys.stdout, None)
    print()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line, breaks in closing(results, run.path):
        print(folded(line, width, 9) if width and breaks else line)
    if refused:
        raise refused
    short = shortfall(results, [backend.name for backend in request.backends], request.interpreters)
    if short:
        tell(short)
    wrong = any(outcome.status == "wrong" for outcome in results.outcomes)
    return CHECK_FAILED if wrong or short else DONE


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
        BadRequest: what is to be resumed was begun with something else.
        StoreError: the folder can't be read or written.
    """
    from suite.machine.software import why_unknown
    from suite.records.store import Run
    from suite.run.environments import going_on

    request, now = launch.request, launch.environment(argv)
    missing = now.gpu.get("nvml_missing")
    if missing:
        message = f"gpu {request.gpu}: NVML does not report {missing}; timings are unaffected"
        tell(message)
    if request.resume is None:
        run = Run.create(request.out or _folder(now, launch.gpu), now)
        if now.commit == "unknown":
            tell(f"run: its commit is unknown: {why_unknown()}")
        return run
    run, why_apart = going_on(request.resume, now, request.anyway)
    if why_apart:
        tell(why_apart)
    return run


def _folder(now: Environment, gpu: CudaDevice | None) -> Path:
    """results/<date>-<device>-<commit>, made; with a number after it where another run has that."""
    device = gpu.name if gpu else str(now.cpu.get("model") or "cpu")
    device = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(.*?\)|processor|cpu", " ", device.lower())).strip("-")
    name = f"{datetime.now(UTC):%Y-%m-%d}-{device[:40] or 'cpu'}-{now.commit[:8]}"
    folder, number = Path("results") / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir():  # as where results is a link to nothing
                return folder
            number += 1
        except OSError:  # Run.create says why
            return folder
        else:
            return folder
        folder = folder.with_name(f"{name}-{number}")


if __name__ == "__main__":
    execute(main)
