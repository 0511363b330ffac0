"""Table files: bit for bit the formula's, found again by their name, mended after a death, whole or none."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.cases import formula
from suite.cases.case import Case
from suite.engine import check
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table, lay_out
from suite.engine.placement import table_file
from tests.support import ROOT

CASE = Case(3001, 17, "float16", 8, placement="file")


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("offset", [0, 4, 2048])
def test_a_table_in_a_file_is_that_of_memory_and_read_only(tmp_path: Path, dtype: str, offset: int) -> None:
    case = Case(3001, 17, dtype, 8, offset=offset, placement="file")
    table = table_file.mapped(tmp_path, case)
    assert isinstance(table, np.memmap) and table.ctypes.data % mmap.PAGESIZE == offset
    assert np.array_equal(table, build_table(HostArrays(), Case(3001, 17, dtype)))
    with Path(str(table.filename)).open("rb") as file:
        file.seek(int(table.offset) + 5 * case.row_bytes)
        assert file.read(case.row_bytes) == table[5].tobytes(), "its name and offset say where it lies"
    code = (
        "import sys, numpy as np\n"
        "from suite.cases.case import Case\n"
        "from suite.engine.placement import table_file\n"
        f"table_file.mapped(sys.argv[1], {case!r})[3] = 1"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True)
    assert done.returncode == -11, "a write to it is the writer's end"


def test_where_a_write_is_no_end_a_row_is_inverted_and_put_back(tmp_path: Path) -> None:
    table = table_file.mapped(tmp_path, CASE, protected=False)
    before = table[7].copy()
    arrays = HostArrays(protected=False)
    arrays.invert_row(table, 7)
    assert np.array_equal(table[7], ~before)
    arrays.invert_row(table, 7)
    assert np.array_equal(table[7], before)


def test_a_file_that_is_there_is_used_again(tmp_path: Path) -> None:
    path = table_file.path_of(tmp_path, CASE)
    table_file.mapped(tmp_path, CASE)
    before = path.stat()
    table_file.mapped(tmp_path, CASE)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [file.name for file in tmp_path.iterdir()] == [path.name], "nothing half built beside it"
    others = (Case(3001, 17, "bfloat16"), Case(3002, 17, "float16"), Case(3001, 17, "float16", offset=2))
    assert len({table_file.path_of(tmp_path, case) for case in (CASE, *others)}) == 4


def test_a_table_by_another_formula_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = table_file.path_of(tmp_path, CASE)
    monkeypatch.setattr(formula, "_COLUMN", 12345)
    assert table_file.path_of(tmp_path, CASE) != before


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size - mmap.PAGESIZE)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def last_row_changed(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3000 * CASE.row_bytes)
        file.write(b"?")


@pytest.mark.parametrize("spoil", [shortened, zeroed, last_row_changed, Path.unlink])
def test_a_file_that_is_not_what_its_name_says_is_built_anew(tmp_path: Path, spoil: Any) -> None:
    table_file.mapped(tmp_path, CASE)
    path = table_file.path_of(tmp_path, CASE)
    spoil(path)
    assert not table_file.fits(path, CASE)
    right = build_table(HostArrays(), Case(3001, 17, "float16"))
    assert np.array_equal(table_file.mapped(tmp_path, CASE), right)


def test_a_row_left_inverted_is_put_right(tmp_path: Path) -> None:
    """As by a worker that dies in a checked call, between the two times that a row is inverted."""
    arrays, row = HostArrays(), 1234
    table = table_file.mapped(tmp_path, CASE)
    right = table.copy()
    arrays.invert_row(table, row)
    assert np.array_equal(table[row], ~right[row])
    assert table_file.fits(table_file.path_of(tmp_path, CASE), CASE), "no sample would have seen it"
    assert np.array_equal(table_file.mapped(tmp_path, CASE), right)
    arrays.invert_row(table, row)
    arrays.invert_row(table, row)
    assert np.array_equal(table_file.mapped(tmp_path, CASE), right), "twice is nothing, and leaves no note"


def test_no_room_is_known_before_any_of_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(table_file, "_write", lambda *_: pytest.fail("written to"))
    with pytest.raises(OSError, match="No space left") as error:
        table_file.mapped(tmp_path, CASE)
    assert error.value.errno in table_file.NO_ROOM
    assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(table_file, "_write", broken)
    with pytest.raises(OSError, match="broken"):
        table_file.mapped(tmp_path, CASE)
    assert not list(tmp_path.iterdir())


def test_the_check_sees_a_lookup_that_kept_rows_of_the_file(tmp_path: Path) -> None:
    """A copy made in prepare misses the row that the check inverts; pread, around the mapping, does not."""
    table = table_file.mapped(tmp_path, CASE)
    operands = lay_out(CASE, HostArrays(), table, [np.arange(8)])
    (slot,), kept, size = operands.slots, np.array(table), CASE.row_bytes

    def remembers() -> Any:
        return np.take(kept, slot.indices, axis=0, out=slot.out, mode="clip")

    def reads() -> Any:
        with Path(str(table.filename)).open("rb") as file:
            rows = b"".join(os.pread(file.fileno(), size, int(number) * size) for number in slot.indices)
        slot.out[...] = np.frombuffer(rows, np.int16).reshape(slot.out.shape)
        return slot.out

    assert check.check(operands, slot, reads, "device", 1)[0] is None
    assert "differ" in str(check.check(operands, slot, remembers, "device", 1)[0])
