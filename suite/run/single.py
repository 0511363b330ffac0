"""One backend on one case in this process: for a debugger or a profiler; its time is no result."""

from __future__ import annotations

import faulthandler
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends import Unsupported, load
from suite.command import CHECK_FAILED, DONE, BadRequest
from suite.engine import clocks
from suite.engine.measure import Settings, Setup, operands_of
from suite.engine.operands import Operands
from suite.records.record import Record
from suite.units import time_of
from suite.worker.devices import Tables

if TYPE_CHECKING:
    from suite.run.launch import Launch
    from suite.run.schedule import Task

WARM_UPS = 5
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
    """Look up in this process, with whatever is raised shown whole; returns the exit code."""
    faulthandler.enable(sys.__stderr__ or 2)
    backend, device = task.backends[0], task.device
    print(f"{backend.name} on {device}, {task.case}, in this process", file=sys.stderr)
    try:
        setup = _setup(launch, task)
        operands = operands_of(setup)
        kind = load(backend)
        lookups = [kind().prepare(*operands.of(slot, kind.view)) for slot in operands.slots]
        for lookup in lookups[:WARM_UPS]:
            lookup()
            operands.arrays.synchronize()
        if profiled:
            print("\n".join(commands(argv, backend.name, device.is_gpu)))
            clocks.marked(operands.arrays, lookups, 0.0 if device.is_gpu else CPU_S)
            return DONE
        return _checked(setup, task, operands)
    except Unsupported as refusal:
        print(f"{backend.name}: unsupported: {refusal}")
        return CHECK_FAILED
    except Exception:
        traceback.print_exc()
        return CHECK_FAILED


def _setup(launch: Launch, task: Task) -> Setup:
    tables, cache_bytes = Tables(), launch.cache_bytes(task.device)
    if short := tables.shortage(task.case, task.device, cache_bytes):
        raise BadRequest(f"{task.case}: {short}; give a smaller table")
    opened, table = tables.opened(task.device), tables.of(task.case, task.device)
    settings = Settings(limit_s=1.0, seed=launch.request.seed, cache_bytes=cache_bytes)
    return Setup(task.case, opened.arrays, table.rows, table.memory, opened.observer, settings)


def _checked(setup: Setup, task: Task, operands: Operands) -> int:
    """Check and time it as a run does, and say what came of it."""
    from suite.engine.measure import measure

    del operands
    record: Record = measure(setup, task.backends, "debug", lambda *_: None, report=_show)[0]
    if record.status != "ok" or record.samples is None or record.clock is None:
        print(f"{record.backend}: {record.status}: {record.reason}")
        return CHECK_FAILED
    times = sorted(t for of in record.samples.times(record.clock) for t in of)
    said = f"right in every bit; {time_of(times[len(times) // 2])} by {record.clock} time, which is no result"
    print(f"{record.backend}: {said}: one pass, with no other backend beside it")
    return DONE


def _show(_: str, text: str) -> None:
    print(text, file=sys.stderr)


def commands(argv: Sequence[str], name: str, gpu: bool) -> list[str]:
    """The commands that profile this very call."""
    own = shlex.join([sys.executable, "-m", "suite.run", *argv])
    if not gpu:
        return [f"perf stat -d -- {own}", f"perf record -g -o {name}.perf -- {own}"]
    only = f'--nvtx --nvtx-include "{clocks.RANGE}/"'
    return [f"ncu {only} --set full -o {name} {own}", f"nsys profile --trace=cuda,nvtx -o {name} {own}"]
