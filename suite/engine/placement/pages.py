"""Pages of a mapping on the host: their size, whether they may be written to, whether a file's are there."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.telemetry.reading import Reading

Host = npt.NDArray[Any]

HUGE_PAGE = 2**21
_MADV_DONTNEED, _MADV_POPULATE_READ = 4, 22
_LOAD_BYTES = 2**26


def mapped(size: int, huge: bool = True) -> Host:
    """Zeroed memory in a mapping of its own, uint8 (size,), on huge pages where the kernel gives them.

    Args:
        huge: whether to ask for them; if not, there are none even where the kernel gives them to all.
    """
    # Private: of shared memory, mmap's default, most kernels put nothing on huge pages.
    mapping = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if not huge:
        _advise(mapping, "MADV_NOHUGEPAGE")
    elif size >= 2 * HUGE_PAGE:
        _advise(mapping, "MADV_HUGEPAGE")
    return np.frombuffer(mapping, np.uint8)[:size]


def protect(table: Host, writable: bool, only: Host | None = None) -> None:
    """Make the processor fault on a write to the table, so that the culprit is known.

    Args:
        only: a part of it to do that to; of a table of gigabytes, all of it takes 20 ms.

    Raises:
        OSError: the kernel refuses.
    """
    flags = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    start, end = _span(table, mmap.PAGESIZE)
    if only is not None:
        # Whole huge pages, which would be broken up where only some of one may be written to.
        low, high = _span(only, HUGE_PAGE)
        start, end = max(start, low), min(end, high)
    _call("mprotect", start, end - start, ctypes.c_int(flags))


def load(table: np.memmap[Any, Any]) -> None:
    """Read all pages of a mapped file into the page cache and into this process's page table.

    Raises:
        OSError: they can't be read, as the file is shorter than it was, or its device broken.
    """
    start, end = _span(table, mmap.PAGESIZE)
    try:
        # In parts: of all at once the kernel would be at it for seconds without an end to wait for.
        for at in range(start, end, _LOAD_BYTES):
            _call("madvise", at, min(_LOAD_BYTES, end - at), ctypes.c_int(_MADV_POPULATE_READ))
    except OSError as error:
        if error.errno != 22:  # EINVAL: of a kernel before 5.14
            raise
        table.reshape(-1).view(np.uint8)[:: mmap.PAGESIZE].max()


def evict(table: np.memmap[Any, Any]) -> None:
    """Put all pages of a mapped file out of the page cache; needs no rights but the file's owner's.

    Pages in a page table are not dropped, nor those not yet written: so the one is emptied, the other synced.

    Raises:
        OSError: the kernel refuses.
    """
    start, end = _span(table, mmap.PAGESIZE)
    _call("madvise", start, end - start, ctypes.c_int(_MADV_DONTNEED))
    file = os.open(str(table.filename), os.O_RDONLY)
    try:
        os.fdatasync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def resident_pages(table: np.memmap[Any, Any]) -> Reading[int]:
    """How many pages of a mapped file are in the page cache (mincore); takes milliseconds a gigabyte."""
    start, end = _span(table, mmap.PAGESIZE)
    there = np.zeros(pages(table), np.uint8)
    try:
        _call("mincore", start, end - start, there.ctypes.data_as(ctypes.c_void_p))
    except OSError as error:
        return Reading(None, f"mincore is refused ({error.strerror})")
    return Reading(int(np.count_nonzero(there & 1)))


def pages(table: Host) -> int:
    """How many pages an array lies on."""
    start, end = _span(table, mmap.PAGESIZE)
    return (end - start) // mmap.PAGESIZE


def _span(array: Host, size: int) -> tuple[int, int]:
    """First address of the page that an array begins in, and the one after the page that it ends in."""
    start: int = array.ctypes.data
    return start // size * size, -(-(start + array.nbytes) // size) * size


def _advise(mapping: mmap.mmap, name: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # of a kernel that has none
        mapping.madvise(getattr(mmap, name))


def _call(name: str, start: int, length: int, what: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(ctypes.c_void_p(start), ctypes.c_size_t(length), what):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
