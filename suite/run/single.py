"""One backend on one case in this process: for a debugger or a profiler; its time is no result."""

from __future__ import annotations

import faulthandler
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backends import Lookup, Unsupported, load
from suite.command import CHECK_FAILED, DONE, BadRequest
from suite.engine.arrays import Arrays
from suite.engine.clocks.marked import RANGE, marked
from suite.engine.measure import operands_of
from suite.units import time_of
from suite.worker.messages import Job
from suite.worker.performer import Performer, Unready

if TYPE_CHECKING:
    from suite.run.launch import Launch
    from suite.run.schedule import Task

WARM_UPS = 5
LIMIT_S = 1.0
CPU_S = 2.0
"""For so long a CPU's lookup is repeated: a sampling profiler sees nothing of one."""


def chosen(tasks: Sequence[Task]) -> Task:
    """The one task of a request for one backend: its first case.

    Raises:
        BadRequest: it is of several backends.
    """
    task = tasks[0]
    if len({backend for one in tasks for backend in one.backends}) != 1:
        raise BadRequest("--debug, --profile: one backend at a time; give --backend NAME|FILE")
    return task


def run(launch: Launch, task: Task, argv: Sequence[str], *, profiled: bool) -> int:
    """Look up in this process, with whatever is raised shown whole; returns the exit code.

    Raises:
        BadRequest: the ids are not the case's, or the table does not fit.
    """
    faulthandler.enable(sys.__stderr__ or 2)
    backend, device = task.backends[0], task.device
    print(f"{backend.name} on {device}, {task.case}, in this process", file=sys.stderr)
    performer, job = Performer(), _job(launch, task)
    try:
        arrays, lookups = _looked_up(performer, job)
        if profiled:
            print("\n".join(commands(argv, backend.name, device.is_gpu)))
            marked(arrays, lookups, 0.0 if device.is_gpu else CPU_S)
            return DONE
        del arrays, lookups  # their memory is another's now
        return _checked(performer, job)
    except Unready as why:
        advice = "; give a smaller table" if why.status == "out_of_memory" else ""
        raise BadRequest(f"{task.case}: {why}{advice}") from None
    except Unsupported as refusal:
        print(f"{backend.name}: unsupported: {refusal}")
        return CHECK_FAILED
    except Exception:
        traceback.print_exc()
        return CHECK_FAILED


def _job(launch: Launch, task: Task) -> Job:
    """What a worker would be asked to do, but in little time and without the counters."""
    job = launch.jobs({None: task}, LIMIT_S)[None]
    return replace(job, settings=replace(job.settings, sustain_s=0.0, least_rounds=1))


def _looked_up(performer: Performer, job: Job) -> tuple[Arrays, list[Lookup]]:
    """The lookups of a job's batches; each of the first of them was done."""
    operands, kind = operands_of(performer.set_up(job, _unheard)), load(job.backends[0])
    lookups = [operands.prepared(kind(), slot) for slot in operands.slots]
    for lookup in lookups[:WARM_UPS]:
        lookup()
        operands.arrays.synchronize()
    return operands.arrays, lookups


def _checked(performer: Performer, job: Job) -> int:
    """Check and time it as a run does, and say what came of it."""
    record = performer.perform(job, _unheard, report=_show)[0]
    if record.status != "ok" or record.samples is None or record.clock is None:
        print(f"{record.backend}: {record.status}: {record.reason}")
        return CHECK_FAILED
    times = sorted(t for of in record.samples.times(record.clock) for t in of)
    said = f"right in every bit; {time_of(times[len(times) // 2])} by {record.clock} time, which is no result"
    print(f"{record.backend}: {said}: one pass, with no other backend beside it")
    return DONE


def _unheard(*_: object) -> None:
    """The steps are not said."""


def _show(_: str, text: str) -> None:
    print(text, file=sys.stderr)


def commands(argv: Sequence[str], name: str, gpu: bool) -> list[str]:
    """The commands that profile this very call."""
    own = shlex.join([sys.executable, "-m", "suite.run", *argv])
    if not gpu:
        return [f"perf stat -d -- {own}", f"perf record -g -o {name}.perf -- {own}"]
    only = f'--nvtx --nvtx-include "{RANGE}/"'
    return [f"ncu {only} --set full -o {name} {own}", f"nsys profile --trace=cuda,nvtx -o {name} {own}"]
