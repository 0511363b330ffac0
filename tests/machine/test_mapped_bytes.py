"""Memory of a process between two addresses, from a made-up smaps."""

from __future__ import annotations

from mmap import PAGESIZE
from pathlib import Path

import pytest

from suite.machine.procfs import ROOT, mapped_bytes

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
