"""Table file: a table in a file, built by the formula once, found again by its name, mapped into memory."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.cases import formula
from suite.cases.case import Case
from suite.cases.dtypes import BITS, DTYPE_BYTES
from suite.engine.placement import pages
from suite.machine import lock

Host = npt.NDArray[Any]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM)
"""What the system says where a table does not fit its disk, a quota, a limit or the memory."""
_SAMPLE = 256
"""So many rows, spread over the table, are compared with the formula's before a file is used again."""
_NOTE = struct.Struct("<Q")
"""On the page after the table: one more than the row that is being inverted for a check; 0 if none is."""


def path_of(folder: str | os.PathLike[str], case: Case) -> Path:
    """Where the table of a case lies: named by its shape and a digest of what the formula says of it."""
    shape = f"{case.vocab}x{case.dim}-{case.dtype}" + (f"-{case.offset}" if case.offset else "")
    return Path(folder) / f"{shape}-{_digest(_sample(case)[1])}.table"


def alone(path: Path) -> contextlib.AbstractContextManager[None]:
    """While it lasts, no other process that asks builds the file, inverts its rows or removes it.

    Raises:
        Busy: another process has asked before; its message says which.
    """
    return lock.alone(path.with_name(f"{path.name}.lock"))


def size_bytes(case: Case) -> int:
    """Bytes of its file: the table from its offset on, to the end of a page, and a page for the note."""
    return -(-(case.offset + case.table_bytes) // mmap.PAGESIZE) * mmap.PAGESIZE + mmap.PAGESIZE


def mapped(folder: str | os.PathLike[str], case: Case, protected: bool = True) -> np.memmap[Any, Any]:
    """The (vocab, dim) table of a case, as bits, in a shared mapping of its file.

    The file is built where there is none, or one that is not what its name says: of another size, or with
    other rows at the places that are looked at. A row that a process left inverted is put right.

    Args:
        protected: whether the processor faults on a write to it.

    Raises:
        OSError: it can't be built, as the disk is full, or not be opened.
    """
    path = path_of(folder, case)
    if not fits(path, case):
        _build(path, case)
    _put_right(path, case)
    memory = np.memmap(path, np.uint8, "r+", offset=case.offset, shape=(case.table_bytes,))
    table = memory.view(BITS[DTYPE_BYTES[case.dtype]]).reshape(case.vocab, case.dim)
    if protected:
        pages.protect(table, writable=False)
    return table  # type: ignore[return-value]  # a view of a memmap is one


def fits(path: Path, case: Case) -> bool:
    """Whether a file is the table that its name says, as far as its size and a sample of its rows tell."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size_bytes(case):
                return False
            rows = [os.pread(file.fileno(), case.row_bytes, _at(case, int(row))) for row in _sample(case)[0]]
    except OSError:
        return False
    return path.stem.rpartition("-")[2] == _digest(b"".join(rows))


@contextlib.contextmanager
def noting(table: Host, row: int) -> Iterator[None]:
    """Note in its file that a row is being inverted, or that it is as it was again; of memory, nothing.

    The file outlives a process that ends in between; the next one that opens it puts the row right.
    """
    if not isinstance(table, np.memmap):
        yield
        return
    file = os.open(str(table.filename), os.O_RDWR)
    try:
        at = os.fstat(file).st_size - mmap.PAGESIZE
        (noted,) = _NOTE.unpack(os.pread(file, _NOTE.size, at))
        again = noted == row + 1
        if not again:
            os.pwrite(file, _NOTE.pack(row + 1), at)
        yield
        if again:
            os.pwrite(file, _NOTE.pack(0), at)
    finally:
        os.close(file)


def _build(path: Path, case: Case) -> None:
    """Write the file beside its name, and give it that once it is whole and on the disk."""
    width = DTYPE_BYTES[case.dtype]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def write(rows: slice) -> None:
        numbers = np.arange(rows.start, rows.stop)
        for where, bits in formula.expected(numbers, case.dim, case.dtype, _empty):
            _write(file, bits.astype(BITS[width]).data, _at(case, rows.start + where.start))

    try:
        os.posix_fallocate(file, 0, size_bytes(case))  # so that a full disk is known at once
        formula.parallel(write, case.vocab)
        os.fsync(file)
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def _put_right(path: Path, case: Case) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        at = size_bytes(case) - mmap.PAGESIZE
        (noted,) = _NOTE.unpack(os.pread(file, _NOTE.size, at))
        if noted:
            row = min(noted, case.vocab) - 1
            _write(file, _rows(case, np.array([row])), _at(case, row))
            os.pwrite(file, _NOTE.pack(0), at)
    finally:
        os.close(file)


def _write(file: int, data: bytes | memoryview, at: int) -> None:
    left = memoryview(data).cast("B")
    while left:
        done = os.pwrite(file, left, at)
        left, at = left[done:], at + done


def _sample(case: Case) -> tuple[Host, bytes]:
    """Rows spread over the table, first and last among them, and their bytes by the formula."""
    rows = np.unique(np.linspace(0, case.vocab - 1, _SAMPLE).astype(np.int64))
    return rows, _rows(case, rows)


def _rows(case: Case, rows: Host) -> bytes:
    kind = BITS[DTYPE_BYTES[case.dtype]]
    parts = formula.expected(rows, case.dim, case.dtype, _empty)
    return b"".join(bits.astype(kind).tobytes() for _, bits in parts)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _at(case: Case, row: int) -> int:
    return case.offset + row * case.row_bytes


def _empty(shape: tuple[int, ...]) -> Host:
    return np.empty(shape, np.int32)
