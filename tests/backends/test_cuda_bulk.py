"""The bulk copies without a GPU: NVRTC compiles them, and g++ runs the kernel on copies stood in for."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import Unsupported
from backends.cupy_bulk import INDICES, KERNEL, PTX, CupyBulk, geometry
from tests.stand_ins import cuda_shim
from tests.stand_ins.cuda_shim import nvrtc
from tests.support.kernels import (
    Array,
    check,
    check_batches,
    check_beyond,
    check_far_out,
    ids_of,
    needs_compiler,
    needs_nvrtc,
    table_of,
)

torch = pytest.importorskip("torch")

NAMES = cuda_shim.bulk_instances(INDICES.values())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> cuda_shim.Library:
    return cuda_shim.Library(KERNEL, NAMES, tmp_path_factory.mktemp("bulk"))


@needs_compiler
@pytest.mark.parametrize("dim", [4, 12, 16, 100, 128, 1028, 4100, 8192])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_every_row_and_batch_is_looked_up(
    library: cuda_shim.Library,
    noise: Array,
    dim: int,
    index: type,
) -> None:
    table = table_of(noise, 1000, dim, np.int32)
    for batch in (1, 16, 17, 4096, 65536):
        if batch * dim <= 1 << 24:
            check(library, table, ids_of("random", len(table), batch, index), backend=CupyBulk)


@needs_compiler
@pytest.mark.parametrize("kind", ["equal", "sorted"])
def test_equal_and_sorted_ids_are_looked_up(library: cuda_shim.Library, noise: Array, kind: str) -> None:
    check(library, table_of(noise, 200, 768, np.int16), ids_of(kind, 200, 500, np.int64), backend=CupyBulk)
    check(library, table_of(noise, 1, 16, np.int8), np.zeros(9, np.int32), backend=CupyBulk)


@needs_compiler
@pytest.mark.parametrize("index", [np.int64, np.int32])
def test_rows_beyond_32_bits_are_read_right(library: cuda_shim.Library, index: type) -> None:
    check_beyond(library, "16-byte vectors", CupyBulk, index)


@needs_compiler
def test_an_output_beyond_32_bits_is_written_right(library: cuda_shim.Library) -> None:
    check_far_out(library, CupyBulk, np.int32)


@needs_compiler
@pytest.mark.parametrize("row", [16, 32, 48, 112, 512, 528, 4080, 4096, 4112, 65520, 65536])
def test_rows_of_any_size_are_looked_up(library: cuda_shim.Library, noise: Array, row: int) -> None:
    for shifts in ((0, 0), (16, 0), (0, 16), (48, 32)):
        table = table_of(noise, 40, row, np.int8, shifts[0])
        for processors in (1, 132):
            ids = ids_of("random", len(table), 11, np.int32)
            check(library, table, ids, shifts[1], processors, CupyBulk)


@needs_compiler
def test_a_batch_of_none_and_one_of_a_million_are_looked_up(library: cuda_shim.Library, noise: Array) -> None:
    check_batches(library, noise, CupyBulk)


@pytest.mark.parametrize(
    ("dim", "shifts", "capability", "reason"),
    [
        (100, (0, 0), 9, "multiples of 16"),
        (128, (1, 0), 9, "16-byte boundaries"),
        (128, (0, 4), 9, "16-byte boundaries"),
        (128, (0, 0), 8, "compute capability 9.0"),
    ],
)
def test_what_cannot_be_copied_so_is_unsupported(
    noise: Array,
    dim: int,
    shifts: tuple[int, int],
    capability: int,
    reason: str,
) -> None:
    table, out = table_of(noise, 50, dim, np.int16, shifts[0]), table_of(noise, 9, dim, np.int16, shifts[1])
    operands = map(torch.from_numpy, (table, np.zeros(9, np.int64), out))
    with (
        patch.dict("sys.modules", cupy=cuda_shim.cupy(None, 132, capability)),  # type: ignore[arg-type]
        pytest.raises(Unsupported, match=reason),
    ):
        CupyBulk().prepare(*operands)


MUTANTS = {
    "32-bit offset into the table": ("id[t] * row_bytes", "(int)((int)id[t] * (unsigned)row_bytes)"),
    "a token too many": ("batch - token < TOKENS ?", "batch - token < 0 ?"),
    "a piece too long": ("row_bytes - start < piece_bytes ? row_bytes - start : piece_bytes", "piece_bytes"),
    "one slot for all": ("threadIdx.x * TOKENS * piece_bytes", "0"),
    "rows of a slot overlap": ("slot + t * bytes", "slot"),
    "stores before it waits": ("    await(barrier, parity);\n", ""),
    "waits for the phase before": ("    parity ^= 1;\n", ""),
    "expects one row of several": ("expect(barrier, count * bytes)", "expect(barrier, bytes)"),
    "no second round": ("\n       token += gridDim.y * block_tokens", "token = batch"),
    "no barrier is made": ("  begin(barrier);\n", ""),
    "every piece the first": ("start = blockIdx.x * piece_bytes", "start = 0"),
    "32-bit offset into the output": (
        "out + token * row_bytes",
        "out + (int)((unsigned)token * (unsigned)row_bytes)",
    ),
}


def check_few(library: cuda_shim.Library, noise: Array) -> None:
    """A few cases, each faulted by some mutant: rows of a slot, pieces, tails, a full grid, an offset."""
    for dim, batch, processors in ((16, 4095, 132), (4100, 9, 132), (1020, 70, 1)):
        ids = ids_of("random", 50, batch, np.int64)
        check(library, table_of(noise, 50, dim, np.int32), ids, 0, processors, CupyBulk)
    check_round(library, noise)
    check_beyond(library, "16-byte vectors", CupyBulk)
    check_far_out(library, CupyBulk)


def check_round(library: cuda_shim.Library, noise: Array) -> None:
    """A batch that needs more blocks than the grid has comes round."""

    def small(*_: int) -> tuple[str, tuple[int, int], tuple[int], int]:
        return "gather_bulk<long long, 2>", (1, 2), (3,), 32 * 8 + 3 * 2 * 48

    with patch("backends.cupy_bulk.geometry", small):
        ids = ids_of("random", 50, 41, np.int64)
        check(library, table_of(noise, 50, 12, np.int32), ids, backend=CupyBulk)


@needs_compiler
def test_the_source_passes_where_mutants_fail(library: cuda_shim.Library, noise: Array) -> None:
    check_few(library, noise)


@needs_compiler
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_mutant_is_caught(fault: str, noise: Array, tmp_path: Path) -> None:
    right, wrong = MUTANTS[fault]
    assert KERNEL.count(right) == 1
    names = cuda_shim.bulk_instances(["long long"])
    mutant = cuda_shim.Library(KERNEL.replace(right, wrong), names, tmp_path)
    with pytest.raises(AssertionError):
        check_few(mutant, noise)


@given(
    vectors=st.integers(1, 1 << 14),
    batch=st.integers(0, 1 << 22),
    processors=st.integers(1, 200),
)
@settings(deadline=None, derandomize=True, database=None)
def test_geometry_covers_every_piece(vectors: int, batch: int, processors: int) -> None:
    kernel, (pieces, blocks), (threads,), shared_bytes = geometry(16 * vectors, 8, batch, processors)
    tokens = int(kernel.rpartition(" ")[2].rstrip(">"))
    piece = -(-vectors // pieces)  # as the kernel has it
    assert kernel in NAMES
    assert tokens == 1 or pieces == 1, "only whole rows are one piece of out"
    assert (pieces - 1) * piece < vectors <= pieces * piece
    assert shared_bytes == 32 * 8 + threads * tokens * piece * 16 <= 48 << 10
    assert 1 <= threads <= 32
    high = threads * tokens
    assert blocks == 65535 or max(0, blocks - 1) * high < max(1, batch) <= blocks * high


@needs_nvrtc
@pytest.mark.parametrize("machine", ["sm_90", "sm_100"])
def test_nvrtc_compiles_without_a_word(machine: str) -> None:
    options = ["-std=c++17", f"--gpu-architecture={machine}", "--ptxas-options=-v"]
    program = nvrtc.compile_source(PTX + KERNEL, NAMES, options)
    assert not [line for line in program.log.splitlines() if "warning" in line or "error" in line]
    spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", program.log)
    assert len(spills) == len(NAMES) and set(spills) == {("0", "0")}
    entry = program.entry("gather_bulk<long long, 4>")
    copies = re.findall(r"cp\.async\.bulk\.(shared::cluster\.global|global\.shared::cta)", entry)
    assert copies == ["shared::cluster.global"] * 4 + ["global.shared::cta"], "four loads, then one store"
