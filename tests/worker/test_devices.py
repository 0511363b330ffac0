"""The table a worker keeps: the memory it takes as the kernel counts it, and what is known not to fit."""

from __future__ import annotations

import mmap
import os
import tracemalloc
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from backends import choose
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import measure
from suite.machine import environment
from suite.records.device import CPU, Device
from suite.telemetry.host import HostObserver
from suite.telemetry.reading import Reading
from suite.worker import devices
from suite.worker.devices import Tables
from suite.worker.messages import STATUS_BYTES, Job, StatusPage
from suite.worker.serve import Worker

GB = 10**9
HUGE_PAGE = 2**21


@pytest.mark.parametrize(
    ("vocab", "dim", "dtype", "offset"),
    [(1000, 7, "float32", 0), (1000, 7, "float32", 12), (40_000, 129, "float16", 0), (9_000, 64, "int8", 3)],
)
def test_a_table_takes_its_own_pages_and_no_scratch(vocab: int, dim: int, dtype: str, offset: int) -> None:
    case = Case(vocab, dim, dtype, 1, offset=offset)
    table = Tables().of(case, CPU)
    taken = table.memory.value
    page = HUGE_PAGE if case.table_bytes >= HUGE_PAGE else mmap.PAGESIZE
    assert taken is not None and taken % mmap.PAGESIZE == 0
    assert case.table_bytes <= taken < case.table_bytes + 2 * page
    assert table.rows.shape == (vocab, dim)


def test_a_host_that_does_not_show_its_mappings_gives_a_reason(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    taken = HostObserver(tmp_path).taken_bytes((1, 2), Reading(0))
    assert taken == Reading(None, "/proc/self/smaps can't be read (No such file or directory)")


def test_one_table_is_kept_until_another_is_asked_for() -> None:
    kept = Tables()
    small, other = Case(100, 8, batch=1), Case(100, 9, batch=1)
    first = kept.of(small, CPU)
    assert kept.of(Case(100, 8, batch=77), CPU) is first
    assert kept.shortage(small, CPU, 2**20) is None
    assert kept.of(small, CPU) is first
    assert kept.of(other, CPU) is not first
    assert kept.kept is not None and kept.kept.rows.shape == (100, 9)


@pytest.mark.parametrize(
    ("case", "free", "fits"),
    [
        (Case(100_000_000, 8, "int8", 1), 2 * GB, True),  # 0.8 GB, and the numbers of its rows: 0.8 GB
        (Case(100_000_000, 8, "int8", 1), 1.5 * GB, False),
        (Case(100_000_000, 8, "int8", 1, distribution="zipf"), 2 * GB, False),  # the law's own table: 0.8 GB
        (Case(100_000_000, 8, "int8", 1, distribution="zipf-1.2"), 3 * GB, True),
        (Case(1000, 1, "int8", 50_000_000), 3 * GB, False),  # ids of 0.4 GB, sorted and strewn anew
        (Case(1000, 1, "int8", 50_000_000), 6 * GB, True),
    ],
)
def test_all_that_a_case_needs_is_counted(
    monkeypatch: pytest.MonkeyPatch, case: Case, free: float, fits: bool
) -> None:
    monkeypatch.setattr(environment, "available_bytes", lambda: int(free))
    short = Tables().shortage(case, CPU, 2**20)
    assert (short is None) == fits, short
    assert short is None or (short.startswith("needs ") and short.endswith(" GB are free"))


def test_a_gpus_kept_results_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """262,145 rows of 8 KB in a lookup: two outputs, two sources, two results kept, one compared."""
    case, gpu = Case(262_145, 8192, "int8", 262_145), Device("cuda", 0)
    free = [0.0]
    for given_back, fits in ((16 * GB, False), (18 * GB, True)):
        arrays = SimpleNamespace(trim=lambda given_back=given_back: free.append(given_back))
        monkeypatch.setattr(Tables, "opened", lambda *_, arrays=arrays: SimpleNamespace(arrays=arrays))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free[-1]), int(free[-1])))
        assert (Tables().shortage(case, gpu, 50 * 2**20) is None) is fits


@pytest.mark.parametrize("law", ["uniform", "zipf", "text", "sorted", "equal"])
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_drawing_takes_no_more_memory_than_is_said(law: str, index: str) -> None:
    case = Case(300_000, 1, "int8", 200_000, index, law)
    ids.draw(Case(10, 1, "int8", 10, index, law), 0, 0)  # the text is read once
    ids._zipf_cumulative.cache_clear()
    tracemalloc.start()
    try:
        np.unique(ids.draw(case, 0, 0))
        ids.draw_apart(case, 1, 0)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.2 * ids.drawing_bytes(case) < most <= ids.drawing_bytes(case) + 2**20


def test_the_table_of_a_law_is_one_array_all_through() -> None:
    ids._zipf_cumulative.cache_clear()
    tracemalloc.start()
    try:
        ids._zipf_cumulative(300_000, 1.1)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 8 * 300_000 <= most < 9 * 300_000


def test_a_worker_reads_the_ids_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = ids.read_file
    monkeypatch.setattr(ids, "read_file", lambda path: (read.append(path), real(path))[1])
    monkeypatch.setattr(devices.Tables, "shortage", lambda *_: "no room")
    paths = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    for path in paths:
        Path(path).write_text("1 2 3")
    fd = os.memfd_create("status")
    os.ftruncate(fd, STATUS_BYTES)
    try:
        worker = Worker(StatusPage(fd), fd, fd)
        for path in (paths[0], paths[0], paths[1]):
            case = Case(10, 8, batch=2, distribution="file:a")
            worker.perform(Job(case, CPU, (choose("numpy_take"),), "m", measure.Settings(), path))
    finally:
        os.close(fd)
    assert read == paths


def test_a_table_is_gone_before_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Tables()
    old = weakref.ref(kept.of(Case(100, 8, batch=1), CPU).rows)
    real, seen = devices.operands.build_table, list[bool]()

    def build(*arguments: Any) -> Any:
        seen.append(old() is None)
        return real(*arguments)

    monkeypatch.setattr(devices.operands, "build_table", build)
    kept.of(Case(100, 9, batch=1), CPU)
    assert seen == [True]
