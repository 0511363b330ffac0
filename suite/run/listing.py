"""Answers of ``--list`` and ``--dry-run``: what there is, and what will be measured; imports no backend."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backends import DTYPES, Choice, Description, choose, describe, names
from backends import missing_packages as missing_here
from suite.cases.case import host_bytes, plan
from suite.cases.presets import MODELS, PRESETS, models_of
from suite.run.environments import Facts, facts_of, missing_packages
from suite.run.forecast import forecast, shards_in_words
from suite.run.schedule import LIMITS_S, MOST_S, Task
from suite.text import folded
from suite.units import count, duration, gigabytes, size_of

if TYPE_CHECKING:
    from suite.run.options import Request

_DRIVERS = {"NVIDIA": (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/proc/driver/nvidia"))}
"""Vendor of GPUs to the files of which one is there if its driver is."""
EXTRAS = {
    "jax": "jax",
    "jaxlib": "jax",
    "onnxruntime": "onnx",
    "pyarrow": "arrow",
    "scipy": "scipy",
    "torchao": "torchao",
    "uring-api": "uring",
    "warp-lang": "warp",
    "fbgemm-gpu": "fbgemm",
    "fbgemm-gpu-cpu": "fbgemm",
    "fbgemm-gpu-genai": "fbgemm-genai",
    "cuda-tile": "cutile",
    "cupy-cuda13x": "cuda13",
    "numba-cuda": "cuda13",
    "triton": "cuda13",
}
"""The extra of this project that brings a package."""
WHOSE = {"suite": "kernel of this suite"}
PLAIN_WIDTH = 160


def lines(
    width: int, more: Sequence[Choice] = (), environments: Mapping[str, Facts] | None = None
) -> list[str]:
    """Two lines a backend, those that can run here first; then presets and models.

    Args:
        more: further backends, in files of their own.
        environments: what each holds that takes turns; without any, it is asked what is installed here.
    """
    found = [(backend, _said(backend, environments or {})) for backend in described(more)]
    ready = [entry for entry in found if "available" in entry[1]]
    rest = [entry for entry in found if entry not in ready]
    return [
        *_by_operation("backends", "", ready, width),
        *_by_operation("not here", ", not here", rest, width),
        *_titled("presets", [f"  {name:9}{_preset(name)}" for name in PRESETS]),
        *_titled("models (--model NAME: its table)", [folded(f"  {', '.join(MODELS)}", width, 2)]),
    ]


def _by_operation(
    lookups: str, others: str, entries: Sequence[tuple[Description, str]], width: int
) -> Iterator[str]:
    """Lookups under their title, then each other operation's under its option and some words."""
    for operation in sorted({one.operation for one, _ in entries}, key=lambda name: (name != "lookup", name)):
        title = lookups if operation == "lookup" else f"--operation {operation}{others}"
        own = (entry for entry in entries if entry[0].operation == operation)
        yield from _titled(title, [line for entry in own for line in _entry(*entry, width)])


def _titled(title: str, inside: Sequence[str]) -> list[str]:
    return [f"{title}:", *inside] if inside else []


def described(more: Sequence[Choice]) -> list[Description]:
    """All backends there are, and further ones."""
    return [describe(backend) for backend in (*map(choose, names()), *more)]


def _entry(backend: Description, said: str, width: int) -> Iterator[str]:
    dtypes = "" if set(backend.dtypes) >= set(DTYPES) else f" · {' '.join(backend.dtypes)} only"
    whose = WHOSE.get(backend.whose, backend.whose)
    where = " ".join(backend.devices) or "?"
    where += f" ({' '.join(backend.placements)})" if backend.placements else ""
    yield folded(f"  {backend.name:20} {where} · {whose}{dtypes} · {said}", width, 6)
    yield folded(f"      {backend.summary}", width, 6)


def _said(backend: Description, environments: Mapping[str, Facts]) -> str:
    lacking = {name: missing_packages(backend.packages, facts) for name, facts in environments.items()}
    here = [f"{name}: {_here(backend, missing) or 'available'}" for name, missing in lacking.items()]
    return "; ".join(here) or _here(backend, missing_here(backend.packages)) or "available"


def obstacle(backend: Choice) -> str | None:
    """Why a backend can't run on this machine, as far as files show; null where nothing does."""
    known = describe(backend)
    return _here(known, missing_here(known.packages))


def _here(backend: Description, missing: Sequence[str]) -> str | None:
    if missing:
        first = [name.partition("|")[0] for name in missing]
        extras = dict.fromkeys(EXTRAS[name] for name in first if name in EXTRAS)
        how = f"pip install -e '.[{','.join(extras)}]'" if extras else f"pip install {' '.join(first)}"
        return f"no: {how}"
    if backend.devices == ("cuda",) and not any(
        file.exists() for files in _DRIVERS.values() for file in files
    ):
        return f"no: no {' or '.join(_DRIVERS)} driver here"
    return None


def _preset(name: str) -> str:
    cases = len(plan(PRESETS[name]))
    seconds = MOST_S.get(name, cases * LIMITS_S[name])
    return f"{count(cases, 'case')}, {'at most' if name in MOST_S else 'about'} {duration(seconds)}"


def print_backends(request: Request) -> None:
    """Print the list, as wide as the terminal.

    Raises:
        BadRequest: an environment that was given can't run the suite's workers.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
    more = [backend for backend in request.backends if backend.source != backend.name]
    packages = [package for backend in described(more) for package in backend.packages]
    print("\n".join(lines(width, more, facts_of(request, packages))))


CACHE_BYTES = 64 << 20
"""Of a cache whose size is not asked for here; it is flushed four times over."""


def planned(request: Request, tasks: Sequence[Task]) -> Iterator[tuple[str, int]]:
    """Each line of the plan, and by how much its further lines are indented."""
    for name, python in request.environments:
        yield f"environment {name}  {python}", 4
    chosen = list(dict.fromkeys(backend for task in tasks for backend in task.backends))
    why = {} if request.environments else {one: obstacle(one) for one in chosen}
    ready = [backend for backend in chosen if not why.get(backend)]
    yield f"backends: {', '.join(one.name for one in ready) or 'none can run here'}", 4
    for where in dict.fromkeys(describe(one).placements for one in ready if describe(one).placements):
        only = [one.name for one in ready if describe(one).placements == where]
        yield f"of tables in {' and '.join(where)} only: {', '.join(only)}", 4
    absent = [f"{one.name} ({reason})" for one, reason in why.items() if reason]
    if absent:
        yield f"left out: {', '.join(absent)}", 4
    yield from _tables(tasks)
    yield from ((line, 4) for line in forecast(request, tasks).lines())
    yield _summary(request, tasks, ready), 0
    if request.shard:
        yield shards_in_words(request), 4


def _tables(tasks: Sequence[Task]) -> Iterator[tuple[str, int]]:
    """Each table once for an operation and variant, and under it the batches of each kind of ids."""
    by_table: dict[tuple[object, ...], list[Task]] = defaultdict(list)
    for task in tasks:
        by_table[str(task.device), task.case.table, task.case.table_text].append(task)
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
    folder = request.resume or request.out or "results/<date>-<device>-<commit>"
    cases = f"{count(len(tasks), 'case')}, {count(results, 'result')} a pass"
    return f"{cases}, {_memory(tasks)}, into {folder}"


def _memory(tasks: Sequence[Task]) -> str:
    """What of it is known here: the cache of a GPU, by which it is emptied, is not."""
    if any(task.device.is_gpu for task in tasks):
        return f"tables of up to {gigabytes(max(task.case.table_bytes for task in tasks))}"
    most = max((host_bytes(task.case, CACHE_BYTES) + task.case.table_bytes for task in tasks), default=0)
    return f"up to {gigabytes(most)} beside the libraries"
