"""argv to sweep to worker to store: plans a run, measures it, leaves it on disk, says what came out."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from suite.cases.shard import in_words
from suite.command import CHECK_FAILED, DONE, INTERRUPTED, BadRequest, execute, refuse
from suite.run.files.tables import table_files
from suite.run.forecast import budget_of, forecast, within_budget
from suite.run.inputs import with_ids
from suite.run.options import Request, parse, without_option
from suite.run.schedule import LIMITS_S, Task, tasks_of
from suite.text import plain

if TYPE_CHECKING:
    from suite.machine.cuda_device import CudaDevice
    from suite.machine.lock import Lock
    from suite.records.record import Environment
    from suite.records.store import Run
    from suite.run.launch import Launch


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
        _say(notes)
        tasks = tasks_of(request)
        if request.shard:
            tasks = request.shard.part(tasks)
        request = within_budget(request, tasks)
        if request.dry_run:
            _print_plan(request, tasks)
            return DONE
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


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(plain(line), file=sys.stderr)


def _print_plan(request: Request, tasks: Sequence[Task]) -> None:
    for name, python in request.environments:
        print(f"environment {name}  {python}")
    for task in tasks:
        print(f"{task.device}  {task.case}  {' '.join(backend.name for backend in task.backends)}")
    records = sum(len(task.backends) for task in tasks) * len(request.interpreters)
    passes = "1 pass" if request.passes == 1 else f"{request.passes} passes"
    print(*forecast(request, tasks).lines(), sep="\n")
    print(f"{len(tasks)} cases, {records} records a pass, {passes}")
    if request.shard:
        print(in_words(request.shard, tasks_of(request), LIMITS_S[request.preset], request.passes))


def _carry_out(request: Request, tasks: list[Task], argv: Sequence[str]) -> int:
    from suite.machine import lock
    from suite.machine.variables import taken_away

    if gone := taken_away(os.environ):
        _say([f"run: measured without {', '.join(gone)}; suite.doctor says why"])
    gpu = _gpu(request)
    try:
        with lock.held(gpu.uuid if gpu else None, _say_wait if request.wait else None) as held:
            return _measure(request, tasks, gpu, held, argv)
    except lock.Busy as busy:
        advice = "wait for its end, or leave out --no-wait"
        raise BadRequest(f"host: busy, measuring for {busy}; {advice}") from None


def _say_wait(who: str) -> None:
    _say([f"run: waits for {who}, which is measuring on this host"])


def _measure(
    request: Request, tasks: list[Task], gpu: CudaDevice | None, held: Lock, argv: Sequence[str]
) -> int:
    from suite.records.store import StoreError
    from suite.run.launch import Launch
    from suite.run.passes import Passes

    launch = Launch(request, tasks, gpu)
    budget, crew = budget_of(request, tasks), launch.crew()
    try:
        cases = (task.case for task in tasks)
        with table_files(request.tables, request.keep_tables, cases) as what_is_needed:
            run = _open_run(launch, argv)
            said = forecast(request, tasks).lines() if request.resume is None else []
            for line in filter(None, [what_is_needed, *said]):
                print(plain(f"run: {line}"), file=sys.stderr)
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


def _report(run: Run, request: Request) -> int:
    """Read the run back, write and print its tables; returns the exit code."""
    from suite.report import files, terminal
    from suite.run.ending import finished, shortfall

    results = finished(run)
    elsewhere = f"python -m suite.report {shlex.quote(str(run.path))} --csv F writes it elsewhere"
    refused: BadRequest | None = None
    try:
        files.csv(results, run.path / "records.csv", elsewhere)
    except BadRequest as error:  # what was measured is shown all the same
        refused = error
    terminal.show(results, sys.stdout, None)
    print(f"\n{run.path}")
    if refused:
        raise refused
    short = shortfall(results, [backend.name for backend in request.backends], request.interpreters)
    if short:
        _say([short])
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
        _say([message])
    if request.resume is None:
        run = Run.create(request.out or _folder(now, launch.gpu), now)
        if now.commit == "unknown":
            _say([f"run: its commit is unknown: {why_unknown()}"])
        return run
    run, why_apart = going_on(request.resume, now, request.anyway)
    _say(filter(None, [why_apart]))
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
