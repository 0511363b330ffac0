"""A worker whose table lies in a file: what does not fit, can't be built or read, costs records only."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import measure
from suite.engine.placement import pages, residency, table_file
from suite.machine import environment
from suite.machine.filesystem import FileSystem
from suite.records.device import CPU
from suite.records.record import Record
from suite.worker.devices import Tables
from suite.worker.messages import STATUS_BYTES, Job, StatusPage
from suite.worker.process import Process
from suite.worker.serve import Worker, _resident_bytes

HOT = Case(4000, 256, "float32", 16, cache="hot", placement="file")
COLD = Case(4000, 256, "float32", 16, placement="file")
GB = 10**9


@pytest.fixture
def worker() -> Iterator[Worker]:
    fd = os.memfd_create("status")
    os.ftruncate(fd, STATUS_BYTES)
    yield Worker(StatusPage(fd), fd, fd)
    os.close(fd)


def performed(worker: Worker, case: Case, folder: Path | None) -> list[Record]:
    settings = measure.Settings(limit_s=0.05, cache_bytes=2**16)
    tables = str(folder) if folder else None
    return worker.perform(Job(case, CPU, (choose("numpy_take"),), "m", settings, tables=tables))


@pytest.mark.parametrize(
    ("case", "free_gb", "fits"),
    [
        (Case(10**7, 256, "float32", 16, cache="hot", placement="file"), 20, True),
        (Case(10**7, 256, "float32", 16, cache="hot", placement="file"), 8, False),  # 10 GB
        (Case(10**7, 256, "float32", 16, placement="file"), 2, True),  # cold is out of memory anyway
        (Case(10**7, 256, "float32", 16, placement="small-pages"), 8, False),
    ],
)
def test_a_file_that_is_to_be_cached_needs_memory_and_a_cold_one_none(
    monkeypatch: pytest.MonkeyPatch, case: Case, free_gb: int, fits: bool
) -> None:
    """What is free is what a control group leaves, where there is one."""
    monkeypatch.setattr(environment, "available_bytes", lambda: free_gb * GB)
    short = Tables().shortage(case, CPU, 2**20)
    assert (short is None) == fits, short


def test_a_disk_that_fills_up_is_the_reason(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    (record,) = performed(worker, COLD, tmp_path)
    assert (record.status, record.reason) == (
        "out_of_memory",
        "its table can't be placed (No space left on device)",
    )
    monkeypatch.undo()
    assert performed(worker, COLD, tmp_path)[0].status == "ok", "with the next job there was room"


def test_without_a_folder_there_is_a_reason(worker: Worker) -> None:
    (record,) = performed(worker, COLD, None)
    assert record.status == "error" and "give one with --tables" in str(record.reason)


def test_a_file_that_can_not_be_read_whole_is_an_error(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert performed(worker, HOT, tmp_path)[0].status == "ok"
    os.truncate(table_file.path_of(tmp_path, HOT), 4096)
    (record,) = performed(worker, HOT, tmp_path)
    assert (record.status, record.reason) == (
        "error",
        "its table can't be placed (madvise: Bad address)",
    )


def test_what_can_not_be_cold_is_unsupported(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "filesystem", lambda _: FileSystem("nfs", None, 0))
    (record,) = performed(worker, COLD, tmp_path)
    assert record.status == "unsupported"
    assert record.reason == "cold: nfs is served from elsewhere, whose cache can't be emptied from here"
    assert performed(worker, HOT, tmp_path)[0].status == "ok"


def test_a_table_that_changed_is_built_anew(worker: Worker, tmp_path: Path) -> None:
    performed(worker, COLD, tmp_path)
    path = table_file.path_of(tmp_path, COLD)
    worker.performer.tables.distrust()
    assert not path.exists()
    Tables().distrust()


def test_pages_of_a_file_are_not_memory_that_a_worker_grew_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(40_000, 256, "float32", 16, placement="file")  # 41 MB
    table = table_file.mapped(tmp_path, case)
    before, whole = _resident_bytes(of_files=False), _resident_bytes(of_files=True)
    pages.load(table)
    assert abs(_resident_bytes(of_files=False) - before) < 4 * 2**20
    assert _resident_bytes(of_files=True) > whole + 30 * 2**20
    code = f"import mmap, time\nfile = open({str(table.filename)!r}, 'rb')\n"
    code += "m = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
    code += "sum(m[i] for i in range(0, len(m), 4096))\nprint('mapped', flush=True)\ntime.sleep(60)"
    (tmp_path / "toy_mapper.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process, until = Process("toy_mapper", 1), time.monotonic() + 30
    try:
        while process.last_line() != "mapped":
            assert time.monotonic() < until
            time.sleep(0.01)
        assert 0 < process.resident_bytes(of_files=False) < 30 * 2**20
        assert process.resident_bytes() > 40 * 2**20
    finally:
        process.kill()
