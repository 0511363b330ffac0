"""A disk that fails keeps the earlier records."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.records.store import Run, StoreError
from tests.support import ROOT, fabricate
from tests.support.stored import block, one_line


def test_a_short_write_is_noticed_and_continued(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:700])))
    run.append(block())
    assert run.records() == (block(), [])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_write_that_fails_half_way_leaves_the_file_as_it_was(
    run: Run, monkeypatch: pytest.MonkeyPatch, code: Any
) -> None:
    run.append(block(0))
    write, calls = os.write, []

    def failing(fd: Any, data: Any) -> Any:
        calls.append(fd)
        if len(calls) == 2:
            raise OSError(code, os.strerror(code))
        return write(fd, bytes(data[:700]))

    monkeypatch.setattr(os, "write", failing)
    before = (run.path / "records.jsonl").read_bytes()
    with pytest.raises(StoreError) as error:
        run.append(block(1))
    one_line(error, str(run.path), "input/output error" if code == errno.EIO else "disk full")
    assert (run.path / "records.jsonl").read_bytes() == before


def test_a_record_that_did_not_reach_the_disk_is_not_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(fd: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StoreError):
            run.append(block())
    assert run.records() == ([], [])


def test_every_append_reaches_the_disk_in_one_write(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append("write") or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync") or fsync(fd))
    run.append(block())
    assert calls == ["write", "fsync"]


LIMITED = """
import resource, sys
sys.path.insert(0, {root!r})
from suite.records.store import Run, StoreError
from tests.support import fabricate
run = Run.open({path!r})
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
try:
    run.append(fabricate.measurement(fabricate.CASES[0], 1))
except StoreError as error:
    print(error)
"""


def test_a_file_that_may_not_grow_keeps_its_earlier_records(run: Run) -> None:
    run.append(block(0))
    size = (run.path / "records.jsonl").stat().st_size
    code = LIMITED.format(root=str(ROOT), path=str(run.path), size=size + 1000)
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "disk full" in child.stdout and child.stderr == ""
    assert (run.path / "records.jsonl").stat().st_size == size
    assert run.records() == (block(0), [])


def test_a_disk_that_is_really_full_keeps_what_was_stored(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        run = Run.create(disk / "run", fabricate.ENVIRONMENT)
        kept = []
        with pytest.raises(StoreError, match="disk full"):
            for number in range(100):
                run.append(block(number))
                kept += block(number)
        assert kept and run.records() == (kept, [])
        with pytest.raises(StoreError, match="disk full"):
            Run.create(disk / "other", replace(fabricate.ENVIRONMENT, argv=("x" * 60_000,)))
        assert not list((disk / "other").iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)
