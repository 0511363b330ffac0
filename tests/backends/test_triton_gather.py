"""The Triton kernel in Triton's interpreter, which is chosen at import and so needs processes of its own."""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import backends.triton_gather as backend
from backends import BackendUnavailable

torch = pytest.importorskip("torch")

SHAPES = (
    (1, np.int8, 17, 1),
    (7, np.int16, 65, 132),
    (100, np.int32, 16, 1),
    (129, np.int8, 64, 1),
    (1601, np.int16, 20, 1),
    (8192, np.int32, 16, 132),
)
MUTANTS = {
    "32-bit offset into the table": ("other=0).to(tl.int64)", "other=0)"),
    "32-bit offset into the output": ("tl.program_id(0).to(tl.int64)", "tl.program_id(0)"),
    "a column too many": ("column < columns", "column <= columns"),
    "a token too many": ("inside = (token < batch)", "inside = (token <= batch)"),
    "reads past the ids": ("ids + token, mask=token < batch, other=0", "ids + token"),
    "tiles overlap across": ("tl.program_id(1) * wide", "tl.program_id(1)"),
    "tiles overlap down": ("tl.program_id(0).to(tl.int64) * high", "tl.program_id(0).to(tl.int64)"),
    "one id for all": ("tl.load(ids + token,", "tl.load(ids + token * 0,"),
    "stored in another's place": ("out + token[:, None] * columns", "out + row[:, None] * columns"),
    "rows of the tile's width": ("table + row[:, None] * columns", "table + row[:, None] * wide"),
    "the first column only": (
        "columns + column[None, :], mask=inside)",
        "columns + column[None, :] * 0, mask=inside)",
    ),
    "the id before": ("values = tl.load(table + row", "values = tl.load(table + (row - 1)"),
}
ROWS = (1, 2, 3, 8, 15, 16, 17, 100, 129, 4097, 65535, 65536)
"""Bytes of a row, up to 64 KB."""
SHIFTS = ((0, 0), (1, 0), (0, 1), (2, 4), (8, 8), (12, 6))
"""Bytes by which table and output lie off the widest alignment."""


def sparse(rows: int, dim: int) -> Any:
    """Bytes, all 0; pages that nobody writes are never allocated."""
    no_reserve = 0x4000  # Linux's MAP_NORESERVE
    memory = mmap.mmap(-1, rows * dim, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    return np.frombuffer(memory, np.int8).reshape(rows, dim)


def operands() -> Iterator[tuple[Any, Any, int]]:
    """Table, ids and a number of multiprocessors; the last table is past 2^31 elements, and hardly exists."""
    for dim, dtype, batch, processors in SHAPES:
        rng = np.random.default_rng(dim)
        ids = rng.integers(0, 50, batch).astype(np.int32 if dim % 2 else np.int64)
        yield rng.integers(-128, 128, (50, dim)).astype(dtype), ids, processors
    vocab = 2**31 // 129 + 9
    table = sparse(vocab, 129)
    table[-2:] = np.arange(258).reshape(2, 129).astype(np.int8)
    yield table, np.array([vocab - 1, vocab - 2], np.int32), 1


def at_the_edge(ids: Any) -> Any:
    """The same, at the end of a page after which nothing may be read."""
    page, pages = mmap.PAGESIZE, -(-max(1, ids.nbytes) // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * page)
    place = np.frombuffer(memory, np.uint8)
    guard = ctypes.c_void_p(place.ctypes.data + pages * page)
    assert ctypes.CDLL(None).mprotect(guard, page, 0) == 0
    there = place[pages * page - ids.nbytes : pages * page].view(ids.dtype)
    there[:] = ids
    return there


def passes(table: Any, ids: Any, processors: int, shift: int = 0) -> bool:
    """Whether the rows, and nothing on either side of them, are written; ``shift`` bytes off alignment."""
    size = ids.size * table.shape[1] * table.itemsize
    memory = np.full(size + 128 + shift, 0x5A, np.uint8)
    ids = at_the_edge(ids)
    out = memory[64 + shift : 64 + shift + size].view(table.dtype).reshape(ids.size, table.shape[1])
    launch, arguments = backend.configure(*map(torch.from_numpy, (table, ids, out)), processors)
    launch(*arguments)
    guards = np.concatenate((memory[: 64 + shift], memory[64 + shift + size :]))
    return np.array_equal(out, np.take(table, ids, axis=0)) and bool((guards == 0x5A).all())


def far_out() -> bool:
    """Whether the last tile of an output of more than 2^31 bytes is right: its program alone is run."""
    from triton.runtime import interpreter

    table = np.random.default_rng(1).integers(-128, 128, (7, 129)).astype(np.int8)
    batch = 2**31 // 129 + 10
    ids, out = np.resize(np.array([6, 3, 0], np.int32), batch), sparse(batch, 129)
    _, arguments = backend.configure(*map(torch.from_numpy, (table, ids, out)), 132)
    high, wide = arguments[-2:]
    last = (-(-batch // high) - 1, 0, 0)
    builder = interpreter.interpreter_builder
    builder.set_grid_idx = lambda *_: setattr(builder, "grid_idx", last)
    try:
        backend.compiler()[(1, 1)](*arguments)
    finally:
        del builder.set_grid_idx
    mine = slice(last[0] * high, batch)
    return np.array_equal(out[mine, :wide], table[ids[mine], :wide])


def any_bytes() -> bool:
    """Whether rows of all sizes are right, of tables and outputs that begin at any byte."""
    noise = np.random.default_rng(2).integers(-128, 128, 40 * 65536 + 16).astype(np.int8)
    for row in ROWS:
        for table_shift, out_shift in SHIFTS:
            table = noise[table_shift : table_shift + 5 * row].reshape(5, row)
            if not passes(table, np.array([4, 0, 3, 4], np.int32), 1, out_shift):
                return False
    return passes(noise[:35].reshape(7, 5), np.zeros(0, np.int32), 1)


def a_million() -> bool:
    """Whether 2^20 ids are looked up."""
    table = np.arange(7 * 8, dtype=np.int8).reshape(7, 8)
    return passes(table, np.random.default_rng(3).integers(0, 7, 1 << 20).astype(np.int32), 132)


def run(source: Path, *words: str) -> str:
    """What a child process prints of this version of the backend; with a word it checks more."""
    home = Path(backend.__file__).parents[1]
    child = subprocess.run(
        [sys.executable, __file__, str(source), *words],
        env=os.environ
        | {"TRITON_INTERPRET": "1", "PYTHONPATH": f"{home}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return child.stdout.strip() or child.stderr


needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


@needs_triton
def test_the_rows_are_right_in_the_interpreter() -> None:
    assert run(Path(backend.__file__)) == "right"


@needs_triton
@pytest.mark.slow
def test_rows_of_any_size_at_any_byte_none_and_a_million_are_right_in_the_interpreter() -> None:
    assert run(Path(backend.__file__), "more") == "right"


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_mutant_is_caught(fault: str, tmp_path: Path) -> None:
    right, wrong = MUTANTS[fault]
    source = Path(backend.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1
    mutant = tmp_path / "mutant.py"
    mutant.write_text(source.replace(right, wrong), encoding="utf-8")
    assert run(mutant) in ("wrong", "")  # or it died of reading where nothing is


@pytest.mark.parametrize(("item", "dim"), [(1, 129), (2, 100), (2, 4096), (4, 50), (1, 1), (2, 8192)])
@pytest.mark.parametrize("batch", [1, 16, 65536])
@pytest.mark.parametrize("address", [0, 8, 4])
def test_geometry_covers_every_element(item: int, dim: int, batch: int, address: int) -> None:
    width, (high, wide), (down, across) = backend.geometry(item, dim, batch, address, 132)
    assert dim * item % width == 0
    assert address % width == 0
    assert (down - 1) * high < batch <= down * high
    assert (across - 1) * wide < dim * item // width <= across * wide


NO_COMPILER = (
    RuntimeError("Failed to find C compiler. Please specify via CC environment variable."),
    subprocess.CalledProcessError(1, ["/usr/bin/gcc", "main.c"]),
    FileNotFoundError(2, "No such file or directory", "/usr/bin/cc"),
)


class CompilationError(Exception):
    """As Triton's own, of a kernel that it can't compile."""


@pytest.mark.parametrize("error", [*NO_COMPILER, CompilationError("at 3:1"), RuntimeError("illegal address")])
def test_without_a_c_compiler_it_is_unavailable_and_an_error_is_its_own(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(*_: object) -> None:
        raise error

    facts = SimpleNamespace(multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: facts)
    monkeypatch.setattr(backend, "configure", lambda *_: (launch, ()))
    raised = BackendUnavailable if error in NO_COMPILER else type(error)
    with pytest.raises(raised):
        backend.TritonGather().prepare(*map(torch.zeros, ((2, 4), 1, (1, 4))))


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("backends.version", sys.argv[1])
    assert spec
    assert spec.loader
    backend = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = backend
    spec.loader.exec_module(backend)
    right = all(passes(*case) for case in operands()) and far_out()
    print("right" if right and (sys.argv[2:] == [] or (any_bytes() and a_million())) else "wrong")
