"""The CUDA C++ source without a GPU: NVRTC compiles it, and g++ runs it over the contract's shapes."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import Backend
from backends.cupy_rawkernel import INDICES, SOURCE, VECTORS, CupyRawKernel, geometry
from tests.stand_ins import cuda_shim
from tests.stand_ins.cuda_shim import nvrtc

torch = pytest.importorskip("torch")

needs_compiler = pytest.mark.skipif(cuda_shim.COMPILER is None, reason="no g++ or clang++ on PATH")
needs_nvrtc = pytest.mark.skipif(nvrtc.library() is None, reason="nvidia-cuda-nvrtc is not installed")

NAMES = cuda_shim.instances(VECTORS.values(), INDICES.values())
DIMS = (1, 7, 100, 129, 1601, 8192)
INTEGERS = {1: np.int8, 2: np.int16, 4: np.int32}
GUARD_BYTES, CANARY = 4096, 0xA5
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> cuda_shim.Library:
    return cuda_shim.Library(SOURCE, NAMES, tmp_path_factory.mktemp("shim"))


def table_of(noise: Array, vocab: int, dim: int, dtype: type, shift: int = 0) -> Array:
    """A (vocab, dim) table in the noise, its base `shift` elements off the widest alignment."""
    elements = noise.view(dtype)[shift:]
    vocab = min(vocab, len(elements) // dim)
    return elements[: vocab * dim].reshape(vocab, dim)


def ids_of(kind: str, vocab: int, batch: int, dtype: type) -> Array:
    """Ids that are all equal, in order, or random with the table's last row first and last."""
    if kind == "equal":
        return np.full(batch, vocab - 1, dtype)
    ids = np.random.default_rng(batch).integers(0, vocab, batch).astype(dtype)
    if kind == "sorted":
        ids.sort()
    else:
        ids[[0, -1]] = vocab - 1
    return ids


def check(
    library: cuda_shim.Library,
    table: Array,
    ids: Array,
    shift: int = 0,
    processors: int = 132,
    backend: type[Backend] = CupyRawKernel,
) -> None:
    """Run the backend's own prepare and lookup, and assert that every byte it moved, and no other, is right.

    Args:
        shift: how many elements the base of out is off the widest alignment.
        processors: as many multiprocessors the device says to have.
    """
    start, size = GUARD_BYTES + shift * table.itemsize, len(ids) * table.shape[1] * table.itemsize
    memory = np.full(start + size + GUARD_BYTES, CANARY, np.uint8)
    out = memory[start : start + size].view(table.dtype).reshape(len(ids), -1)
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, processors)):
        lookup = backend().prepare(*map(torch.from_numpy, (table, ids, out)))
    watch = library.watch
    for array, seen in ((table, watch.table), (ids, watch.ids), (out, watch.out)):
        seen.start, seen.stop = array.ctypes.data, array.ctypes.data + array.nbytes
    for _ in range(2 if size < 1 << 20 else 1):
        watch.misaligned = watch.outside = watch.stored_bytes = 0
        assert lookup().data_ptr() == out.ctypes.data
        assert np.array_equal(out, np.take(table, ids, axis=0))
        assert (memory[:start] == CANARY).all()
        assert (memory[start + size :] == CANARY).all()
        assert (watch.misaligned, watch.outside, watch.stored_bytes) == (0, 0, size)
        ids[:] = ids[::-1].copy()  # the next call must see the ids as they are then


@needs_compiler
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("size", INTEGERS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_every_width_and_batch(
    library: cuda_shim.Library, noise: Array, dim: int, size: int, index: type
) -> None:
    table = table_of(noise, 2000, dim, INTEGERS[size])
    for batch in (1, 16, 17, 4096, 65536):
        if batch * dim * size <= 1 << 27:
            check(library, table, ids_of("random", len(table), batch, index))


@needs_compiler
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("kind", ["equal", "sorted"])
def test_equal_and_sorted_ids(library: cuda_shim.Library, noise: Array, dim: int, kind: str) -> None:
    check(library, table_of(noise, 200, dim, np.int16), ids_of(kind, 200, 500, np.int64))


@needs_compiler
@pytest.mark.parametrize("shifts", [(1, 0), (0, 1), (2, 2), (4, 1), (3, 8)], ids=str)
@pytest.mark.parametrize("size", INTEGERS)
@pytest.mark.parametrize("dim", [7, 128, 8192])
def test_misaligned_bases(
    library: cuda_shim.Library, noise: Array, shifts: tuple[int, int], size: int, dim: int
) -> None:
    table = table_of(noise, 100, dim, INTEGERS[size], shifts[0])
    check(library, table, ids_of("random", 100, 300, np.int32), shifts[1])


BEYOND = {
    "bytes": (2**31 // 129 + 9, 129, np.int8),
    "4-byte elements": (2**31 // 129 + 9, 129, np.int32),
    "16-byte vectors": (2**31 // 512 + 9, 2048, np.int32),
}


def check_beyond(library: cuda_shim.Library, past: str, backend: type[Backend] = CupyRawKernel) -> None:
    """Look up the last rows of a table past 2^31; pages that nobody touches are never allocated."""
    vocab, dim, dtype = BEYOND[past]
    no_reserve = 0x4000  # Linux's MAP_NORESERVE
    try:
        memory = mmap.mmap(
            -1, vocab * dim * np.dtype(dtype).itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
        )
    except OSError as error:
        pytest.skip(f"so much address space can't be had: {error}")
    table = np.frombuffer(memory, dtype).reshape(vocab, dim)
    table[-5:] = np.arange(5 * dim).reshape(5, dim).astype(dtype)
    ids = np.array([vocab - 1, vocab - 3, vocab - 5, vocab - 2] * 5, np.int64)
    check(library, table, ids, backend=backend)


@needs_compiler
def test_a_table_of_one_row(library: cuda_shim.Library, noise: Array) -> None:
    check(library, table_of(noise, 1, 129, np.int16), np.zeros(33, np.int32))


@needs_compiler
def test_the_lookups_of_a_case_are_compiled_once(library: cuda_shim.Library, noise: Array) -> None:
    """A cold case prepares up to a thousand."""
    cupy = cuda_shim.cupy(library, 132)
    compiled = Mock(side_effect=cupy.RawModule)
    cupy.RawModule = compiled
    table, ids, out = (torch.from_numpy(noise[:n].reshape(-1, 16)) for n in (1600, 16, 256))
    backend, ids = CupyRawKernel(), ids.reshape(-1).view(torch.int32)
    with patch.dict("sys.modules", cupy=cupy):
        for _ in range(3):
            backend.prepare(table, ids, out[: len(ids)])
    assert compiled.call_count == 1


@needs_compiler
@pytest.mark.parametrize("past", BEYOND)
def test_beyond_32_bits(library: cuda_shim.Library, past: str) -> None:
    check_beyond(library, past)


MUTANTS = {
    "32-bit offset into the table": ("id[t] * row_vectors", "(int)((int)id[t] * (unsigned)row_vectors)"),
    "a column too many": ("here < batch && at < columns", "here < batch && at <= columns"),
    "a token too many": ("here < batch && at < columns", "here <= batch && at < columns"),
    "reads past the row": ("at < columns ? at : columns - 1", "at"),
    "reads past the ids": ("here < batch ? here : batch - 1", "here"),
    "lanes taken for a warp": ("column + c * lanes", "column + c * 32"),
    "tokens of a thread overlap": ("token + t * groups", "token + t"),
    "no second round": ("\n       token += gridDim.y * block_tokens", "token = batch"),
    "segments overlap": ("blockIdx.x * COLUMNS * lanes", "blockIdx.x * lanes"),
    "one id for all": ("__ldg(ids + (", "__ldg(ids + 0 * ("),
}


def check_few(library: cuda_shim.Library, noise: Array) -> None:
    """A few cases, each faulted by some mutant: tails, segments of a row, a full grid, a 32-bit offset."""
    check(library, table_of(noise, 50, 129, np.int8), ids_of("random", 50, 4095, np.int64))
    check(library, table_of(noise, 50, 8192, np.int32), ids_of("random", 50, 9, np.int64), processors=1)
    check(library, table_of(noise, 99, 1025, np.int8), ids_of("random", 99, 65537, np.int64))
    check_beyond(library, "bytes")


@needs_compiler
def test_the_source_passes_where_mutants_fail(library: cuda_shim.Library, noise: Array) -> None:
    check_few(library, noise)


@needs_compiler
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_mutant_is_caught(fault: str, noise: Array, tmp_path: Path) -> None:
    right, wrong = MUTANTS[fault]
    assert right in SOURCE
    names = cuda_shim.instances(("int4", "signed char"), ("long long",))
    mutant = cuda_shim.Library(SOURCE.replace(right, wrong), names, tmp_path)
    with pytest.raises(AssertionError):
        check_few(mutant, noise)


@given(
    row_bytes=st.integers(1, 1 << 18),
    batch=st.integers(1, 1 << 22),
    address=st.integers(0, 15),
    processors=st.integers(1, 200),
)
@settings(deadline=None, derandomize=True, database=None)
def test_geometry_covers_every_vector(row_bytes: int, batch: int, address: int, processors: int) -> None:
    kernel, grid, (lanes, groups), row_vectors = geometry(row_bytes, 8, batch, address, processors)
    segments, blocks = grid
    named = re.fullmatch(r"gather_rows<(.+), long long, (\d), (\d)>", kernel)
    assert named
    width = {name: width for width, name in VECTORS.items()}[named[1]]
    wide, high = lanes * int(named[3]), groups * int(named[2])
    assert kernel in NAMES
    assert row_vectors * width == row_bytes
    assert address % width == 0
    assert lanes * groups <= 256
    assert (segments - 1) * wide < row_vectors <= segments * wide
    assert blocks == 65535 or (blocks - 1) * high < batch <= blocks * high


def test_no_ids_are_a_launch_that_a_driver_takes() -> None:
    assert geometry(200, 8, 0, 0, 132).grid == (1, 1)


def test_a_few_long_rows_are_spread_over_the_chip() -> None:
    for batch in (9, 16, 17, 64):
        segments, blocks = geometry(8192 * 2, 8, batch, 0, 132).grid
        assert segments * blocks >= 132


@needs_nvrtc
@pytest.mark.parametrize("machine", ["sm_80", "sm_90", "sm_100"])
def test_nvrtc_compiles_without_a_word(machine: str) -> None:
    """No warning, no spill, 16 bytes in one instruction, and nothing between the loads of a thread."""
    options = ["-std=c++17", f"--gpu-architecture={machine}", "--ptxas-options=-v"]
    program = nvrtc.compile_source(SOURCE, NAMES, options)
    assert not [line for line in program.log.splitlines() if "warning" in line or "error" in line]
    spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", program.log)
    assert len(spills) == len(NAMES)
    assert set(spills) == {("0", "0")}, "the vectors a thread holds must stay in registers"
    entry = program.entry("gather_rows<int4, long long, 1, 4>")
    moves = re.findall(r"(ld\.global\.nc\.v4|st\.global\.cs\.v4|\bbra\b)", entry)
    first = moves.index("ld.global.nc.v4")
    assert moves[first : first + 4] == ["ld.global.nc.v4"] * 4
    assert moves.count("st.global.cs.v4") >= 4
