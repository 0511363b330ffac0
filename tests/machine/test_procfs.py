"""Readers of small files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from suite.machine.procfs import integer, printable, processors, table, text
from tests.support.machines import MIB, machine


def test_a_pipe_does_not_make_us_wait_nor_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    os.mkfifo(tmp_path / "proc/cpuinfo")
    (tmp_path / "proc/meminfo").symlink_to("meminfo")
    assert text(tmp_path, "proc/cpuinfo") is None
    assert text(tmp_path, "proc/meminfo") is None
    assert text(tmp_path, "proc/nul\0l") is None


def test_real_files_of_proc_sys_can_be_read() -> None:
    """The kernel refuses to read them in one large piece."""
    release = Path("/proc/sys/kernel/osrelease")
    if not release.exists():
        pytest.skip("no /proc/sys here")
    assert text(Path("/"), "proc/sys/kernel/osrelease") == release.read_text()


def test_a_file_is_not_read_without_end(tmp_path: Path) -> None:
    machine(tmp_path, {"big": b"x" * (5 * MIB)})
    assert len(text(tmp_path, "big") or "") == 4 * MIB


def test_small_readers_take_what_is_well_formed_alone(tmp_path: Path) -> None:
    root = machine(tmp_path, {"n": " 12 \n", "u": "1_2", "arabic": "٣"})
    assert [integer(root, name) for name in ("n", "u", "arabic", "none")] == [12, None, None, None]
    assert processors("0-2,5") == {0, 1, 2, 5}
    assert [processors(words) for words in ("", None, "3-1", "0-", "a", "0-999999")] == [None] * 6
    assert table("a: 1\na: 2\nb=3=4\nc") == {"a": "1", "b": "3=4"}
    assert printable("a\x1b[0m\tb\u202ec") == "a [0m b c"
    assert printable("\n\0") is None
    assert len(printable("é" * 999) or "") == 200
