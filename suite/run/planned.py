"""Plan of a run for ``--dry-run``: who takes part, on which cases, for how long, in how much memory."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from backends import Choice
from suite.cases.case import Case, needed_bytes
from suite.cases.presets import models_of
from suite.run.listing import obstacle
from suite.run.options import Request
from suite.run.schedule import LIMITS_S, Task, most_s
from suite.units import count, duration, gigabytes, size_of

CACHE_BYTES = 64 << 20
"""Of a cache whose size is not asked for here; it is flushed four times over."""


def lines(request: Request, tasks: Sequence[Task]) -> Iterator[tuple[str, int]]:
    """Each line of the plan, and by how much its further lines are indented."""
    for name, python in request.environments:
        yield f"environment {name}  {python}", 4
    chosen = list(dict.fromkeys(backend for task in tasks for backend in task.backends))
    why = {} if request.environments else {one: obstacle(one) for one in chosen}
    ready = [backend for backend in chosen if not why.get(backend)]
    yield f"backends: {', '.join(one.name for one in ready) or 'none can run here'}", 4
    absent = [f"{one.name} ({reason})" for one, reason in why.items() if reason]
    if absent:
        yield f"left out: {', '.join(absent)}", 4
    yield from _tables(tasks)
    yield _summary(request, tasks, ready), 0


def _tables(tasks: Sequence[Task]) -> Iterator[tuple[str, int]]:
    """Each table once, and under it the batches of each kind of ids."""
    by_table: dict[tuple[object, ...], list[Task]] = defaultdict(list)
    for task in tasks:
        by_table[str(task.device), task.case.table].append(task)
    several = len({task.device for task in tasks}) > 1
    for group in by_table.values():
        case = group[0].case
        words = [case.table_text, *models_of(case), size_of(case.table_bytes)]
        yield " · ".join([*words, *([f"on {group[0].device}"] if several else [])]), 4
        batches: dict[str, list[int]] = defaultdict(list)
        for task in group:
            batches[task.case.ids_text].append(task.case.batch)
        for ids, some in batches.items():
            yield f"    batch {', '.join(f'{one:,}' for one in some)}  {ids}", 10


def _summary(request: Request, tasks: Sequence[Task], ready: Sequence[Choice]) -> str:
    results = sum(backend in ready for task in tasks for backend in task.backends)
    results *= len(request.interpreters)
    passes = "1 pass" if request.passes == 1 else f"{request.passes} passes"
    folder = request.resume or request.out or "results/<date>-<device>-<commit>"
    memory = gigabytes(max((_memory(task.case) for task in tasks), default=0))
    return (
        f"{count(len(tasks), 'case')}, {count(results, 'result')} a pass, {passes}; {_time(request, tasks)}, "
        f"up to {memory} beside the libraries, into {folder}"
    )


def _memory(case: Case) -> int:
    return needed_bytes(case, CACHE_BYTES) + case.table_bytes


def _time(request: Request, tasks: Sequence[Task]) -> str:
    limit = request.time_budget_s or most_s(request)
    if math.isfinite(limit):
        return f"at most {duration(limit)}"
    return f"about {duration(LIMITS_S[request.preset] * len(tasks))}"
