"""The CUDA C++ source without a GPU: NVRTC compiles it, and g++ runs it over the contract's shapes."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.cupy_rawkernel import INDICES, SOURCE, VECTORS, CupyRawKernel, geometry
from tests.stand_ins import cuda_shim
from tests.stand_ins.cuda_shim import nvrtc
from tests.support.kernels import (
    BEYOND,
    ROWS,
    SHIFTS,
    Array,
    check,
    check_batches,
    check_beyond,
    check_bytes,
    check_far_out,
    ids_of,
    needs_compiler,
    needs_nvrtc,
    table_of,
)

torch = pytest.importorskip("torch")

NAMES = cuda_shim.instances(VECTORS.values(), INDICES.values())
DIMS = (1, 7, 100, 129, 1601, 8192)
INTEGERS = {1: np.int8, 2: np.int16, 4: np.int32}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> cuda_shim.Library:
    return cuda_shim.Library(SOURCE, NAMES, tmp_path_factory.mktemp("shim"))


@needs_compiler
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("size", INTEGERS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_every_width_and_batch_is_looked_up(
    library: cuda_shim.Library, noise: Array, dim: int, size: int, index: type
) -> None:
    table = table_of(noise, 2000, dim, INTEGERS[size])
    for batch in (1, 16, 17, 4096, 65536):
        if batch * dim * size <= 1 << 27:
            check(library, table, ids_of("random", len(table), batch, index))


@needs_compiler
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("kind", ["equal", "sorted"])
def test_equal_and_sorted_ids_are_looked_up(
    library: cuda_shim.Library, noise: Array, dim: int, kind: str
) -> None:
    check(library, table_of(noise, 200, dim, np.int16), ids_of(kind, 200, 500, np.int64))


@needs_compiler
@pytest.mark.parametrize("shifts", [(1, 0), (0, 1), (2, 2), (4, 1), (3, 8)], ids=str)
@pytest.mark.parametrize("size", INTEGERS)
@pytest.mark.parametrize("dim", [7, 128, 8192])
def test_misaligned_bases_are_read_right(
    library: cuda_shim.Library, noise: Array, shifts: tuple[int, int], size: int, dim: int
) -> None:
    table = table_of(noise, 100, dim, INTEGERS[size], shifts[0])
    check(library, table, ids_of("random", 100, 300, np.int32), shifts[1])


@needs_compiler
def test_a_table_of_one_row_is_looked_up(library: cuda_shim.Library, noise: Array) -> None:
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
@pytest.mark.parametrize("index", [np.int64, np.int32])
def test_rows_beyond_32_bits_are_read_right(library: cuda_shim.Library, past: str, index: type) -> None:
    check_beyond(library, past, index=index)


@needs_compiler
def test_an_output_beyond_32_bits_is_written_right(library: cuda_shim.Library) -> None:
    check_far_out(library, index=np.int32)


@needs_compiler
@pytest.mark.parametrize("row", ROWS)
def test_rows_of_any_size_at_any_byte_are_looked_up(
    library: cuda_shim.Library, noise: Array, row: int
) -> None:
    for shifts in SHIFTS:
        check_bytes(library, noise, row, shifts)


@needs_compiler
def test_a_batch_of_none_and_one_of_a_million_are_looked_up(library: cuda_shim.Library, noise: Array) -> None:
    check_batches(library, noise, CupyRawKernel)


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
    "32-bit offset into the output": (
        "out + here * row_vectors",
        "out + (int)((unsigned)here * (unsigned)row_vectors * sizeof(Vector)) / (int)sizeof(Vector)",
    ),
}


def check_few(library: cuda_shim.Library, noise: Array) -> None:
    """A few cases, each faulted by some mutant: tails, segments of a row, a full grid, a 32-bit offset."""
    check(library, table_of(noise, 50, 129, np.int8), ids_of("random", 50, 4095, np.int64))
    check(library, table_of(noise, 50, 8192, np.int32), ids_of("random", 50, 9, np.int64), processors=1)
    check(library, table_of(noise, 99, 1025, np.int8), ids_of("random", 99, 65537, np.int64))
    check_beyond(library, "bytes")
    check_far_out(library)


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
