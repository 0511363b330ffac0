"""Readers of small files."""

from __future__ import annotations

import os
from mmap import PAGESIZE
from pathlib import Path

import pytest

from suite.machine.procfs import ROOT, integer, mapped_bytes, printable, processors, table, text
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


# --- memory between two addresses

START = 0x7F0000000000
SMAPS = f"""\
{START:x}-{START + 16 * PAGESIZE:x} rw-p 00000000 00:00 0
Size:                 64 kB
Rss:                  40 kB
AnonHugePages:         0 kB
VmFlags: rd wr mr mw me ac
{START + 16 * PAGESIZE:x}-{START + 32 * PAGESIZE:x} rw-p 00000000 00:00 0    [anon: a name]
Size:                 64 kB
Rss:                  64 kB
AnonHugePages:        32 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   4 kB
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/smaps").write_text(SMAPS)
    return tmp_path


@pytest.mark.parametrize(
    ("first", "end", "key", "kib"),
    [
        (0, 32, "Rss", 104),
        (0, 16, "Rss", 40),
        (16, 32, "Rss", 64),
        (0, 32, "AnonHugePages", 32),
        (16, 18, "Rss", 2 * PAGESIZE // 1024),  # as many as it may hold there
        (14, 18, "Rss", 4 * PAGESIZE // 1024),
        (17.5, 17.6, "Rss", PAGESIZE // 1024),  # in whole pages
        (15.5, 16.5, "Rss", 2 * PAGESIZE // 1024),
        (40, 50, "Rss", 0),
        (0, 32, "Swap", 0),
    ],
)
def test_bytes_of_a_span(root: Path, first: float, end: float, key: str, kib: int) -> None:
    span = START + int(first * PAGESIZE), START + int(end * PAGESIZE)
    assert mapped_bytes(root, span, key) == kib * 1024


def test_smaps_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="smaps"):
        mapped_bytes(tmp_path, (0, 1), "Rss")


@pytest.mark.skipif(not (ROOT / "proc/self/smaps").exists(), reason="no /proc/self/smaps here")
def test_memory_counts_once_it_is_written() -> None:
    import ctypes
    import mmap

    size = 64 * PAGESIZE
    with mmap.mmap(-1, size) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        view = ctypes.c_char.from_buffer(memory)
        start = ctypes.addressof(view)
        assert mapped_bytes(ROOT, (start, start + size), "Rss") == 0
        memory[: 8 * PAGESIZE] = b"x" * (8 * PAGESIZE)
        assert mapped_bytes(ROOT, (start, start + size), "Rss") == 8 * PAGESIZE
        del view
