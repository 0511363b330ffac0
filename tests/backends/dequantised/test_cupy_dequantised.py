"""The CUDA C++ source without a GPU: NVRTC compiles it, and g++ runs it over every layout."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from backends import Unsupported
from backends.dequantised import cupy_dequantised
from backends.dequantised.cupy_dequantised import INDICES, SOURCE, CupyDequantised, geometry, instance
from suite.cases.case import Case
from suite.cases.dtypes import INDEX_BYTES
from suite.cases.operations.dequantised import RESULTS, VARIANTS
from suite.engine.arrays import HostArrays
from suite.engine.operands import Operands, build_table, lay_out
from tests.stand_ins import cuda_shim
from tests.stand_ins.cuda_shim import nvrtc
from tests.support.kernels import needs_compiler, needs_nvrtc

torch = pytest.importorskip("torch")

NAMES = sorted({instance(v, result, width) for v in VARIANTS for result in RESULTS for width in INDICES})
SHAPES = ((32, 1, 1), (96, 17, 1), (768, 9, 132), (8224, 3, 132))
"""Dim, batch, multiprocessors: one piece of four, a tail, several pieces a thread, segments."""
MUTANTS = {
    "32-bit offset into the table": ("table + id * row", "table + (int)((int)id * (unsigned)row)"),
    "a token too many": ("token < batch;", "token <= batch;"),
    "a column too many": ("if (four >= fours) break;", "if (four > fours) break;"),
    "reads past the row": (
        "< fours ? start + p * lanes : start",
        "< fours ? start + p * lanes : start + p * lanes",
    ),
    "lanes taken for a warp": (
        "const long long four = start + p * lanes",
        "const long long four = start + p * 32",
    ),
    "no second round": ("token += (long long)gridDim.y * blockDim.y", "token = batch"),
    "segments overlap": ("blockIdx.x * lanes * PIECES + threadIdx.x", "blockIdx.x * lanes + threadIdx.x"),
    "the scale of the row before": (
        "INSIDE + (INSIDE < 0 ? row : 0)",
        "INSIDE + (INSIDE < 0 ? row : 0) - row",
    ),
    "the first block's scale for all": ("4 * four / each", "0 * four"),
    "no bias": ("value[k] += bias[p]", "value[k] += 0 * bias[p]"),
    "no offset": ("(int)byte + OFFSET", "(int)byte"),
    "halves of a byte swapped": ("four >> 4 * which & 15", "four >> 4 * (which ^ 1) & 15"),
    "no sign": ("byte & 0x80 ? -size : size", "size"),
    "a half bit's worth less": ("+ 0x7FFFu", "- 0x8000u"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> cuda_shim.Library:
    return cuda_shim.Library(SOURCE, NAMES, tmp_path_factory.mktemp("shim"))


def laid_out(case: Case) -> Operands:
    arrays = HostArrays(protected=False)
    numbers = np.random.default_rng(case.dim).integers(0, case.vocab, case.batch).astype(case.index_dtype)
    numbers[[0, -1]] = 0, case.vocab - 1
    return lay_out(case, arrays, build_table(arrays, case), [numbers])


def check(library: cuda_shim.Library, case: Case, processors: int) -> None:
    """Assert that the result is the operation's, and that no byte but its own was moved."""
    operands = laid_out(case)
    (slot,), arrays = operands.slots, operands.arrays
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, processors)):
        lookup = operands.prepared(CupyDequantised(), slot)
    watch, scales = library.watch, operands.beside.get("scales", slot.indices)
    for array, seen in (
        *((operands.table, watch.table), (slot.indices, watch.ids), (slot.out, watch.out)),
        (scales, watch.beside),
    ):
        seen.start, seen.stop = arrays.span(array)
    watch.misaligned = watch.outside = watch.stored_bytes = 0
    assert lookup().data_ptr() == slot.out.ctypes.data
    assert np.array_equal(slot.out, case.kind.right(case, slot.batch, np.arange(case.batch)))
    assert (watch.misaligned, watch.outside, watch.stored_bytes) == (0, 0, slot.out.nbytes)


def case_of(variant: str, dtype: str, dim: int, batch: int, index_dtype: str = "int64") -> Case:
    return Case(60, dim, dtype, batch, index_dtype, operation="dequantised", variant=variant)


@needs_compiler
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_layout_and_result_is_right(library: cuda_shim.Library, variant: str) -> None:
    for dtype in RESULTS:
        for dim, batch, processors in SHAPES:
            for index_dtype in INDEX_BYTES:
                check(library, case_of(variant, dtype, dim, batch, index_dtype), processors)


FEW = [
    instance(variant, result, 8)
    for variant, result in (
        *((variant, "float32") for variant in ("int8-start", "int4-apart", "fp8-apart", "int8-end")),
        *(("int8-apart", "bfloat16"), ("int8-end", "bfloat16"), ("int8-end", "float16")),
    )
]
"""What ``check_few`` runs."""


def check_few(library: cuda_shim.Library) -> None:
    for variant, dtype in (("int8-start", "float32"), ("int8-apart", "bfloat16"), ("int4-apart", "float32")):
        check(library, case_of(variant, dtype, 768, 9), 1)
    check(library, case_of("fp8-apart", "float32", 8224, 3), 132)
    with patch.object(cupy_dequantised, "geometry", return_value=((1, 1), (4, 8))):  # comes round again
        check(library, case_of("int8-start", "float32", 768, 33), 1)
    check_far(library)
    halves(library)


def check_far(library: cuda_shim.Library) -> None:
    """The last row of a table of more than 2^31 bytes."""
    table, ids, out = (
        torch.zeros((2**31 // 136 + 9, 136), dtype=torch.int8),
        torch.zeros(1),
        torch.zeros((1, 128)),
    )
    table[-1, :128], table[-1, -8:] = torch.arange(128), torch.tensor([1.0, 0.0]).view(torch.int8)
    ids = torch.tensor([len(table) - 1])
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, 1)):
        lookup = CupyDequantised().prepare(table, ids, out, "int8-end")
    for array, seen in ((table, library.watch.table), (ids, library.watch.ids), (out, library.watch.out)):
        seen.start = array.data_ptr()
        seen.stop = seen.start + array.numel() * array.element_size()
    assert torch.equal(lookup()[0], torch.arange(128).float())


def halves(library: cuda_shim.Library) -> None:
    """Scales that are no power of two come out as torch rounds them."""
    table = torch.zeros((1, 12), dtype=torch.int8)
    table[0, :4], table[0, 4:] = torch.tensor([1, 2, 3, 100]), torch.tensor([0.3, 0.1]).view(torch.int8)
    right, ids = table[0, :4].float() * torch.tensor(0.3) + torch.tensor(0.1), torch.tensor([0])
    for dtype in (torch.float16, torch.bfloat16):
        out = torch.zeros(16, dtype=dtype)[:4].reshape(1, 4)
        with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, 1)):
            lookup = CupyDequantised().prepare(table, ids, out, "int8-end")
        for array, seen in ((table, library.watch.table), (ids, library.watch.ids), (out, library.watch.out)):
            seen.start = array.data_ptr()
            seen.stop = seen.start + array.numel() * array.element_size()
        assert torch.equal(lookup()[0], right.to(dtype))


@needs_compiler
def test_the_source_passes_where_mutants_fail(library: cuda_shim.Library) -> None:
    check_few(library)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_mutant_is_caught(fault: str, tmp_path: Path) -> None:
    right, wrong = MUTANTS[fault]
    assert SOURCE.count(right) == 1
    mutant = cuda_shim.Library(SOURCE.replace(right, wrong), FEW, tmp_path)
    with pytest.raises(AssertionError):
        check_few(mutant)


@pytest.mark.parametrize(("dim", "batch"), [(4, 1), (128, 0), (768, 17), (4096, 65536), (8192, 3)])
@pytest.mark.parametrize("processors", [1, 132])
def test_geometry_covers_every_element(dim: int, batch: int, processors: int) -> None:
    (across, down), (lanes, groups) = geometry(dim, batch, processors)
    assert lanes * groups <= 256 and lanes & (lanes - 1) == 0
    assert (across - 1) * lanes * 16 < dim <= across * lanes * 16
    assert down == max(1, min(-(-batch // groups), 65535))


def test_bases_on_no_boundary_are_refused() -> None:
    table, out = torch.zeros(200, dtype=torch.int8), torch.zeros(32)
    with patch.dict("sys.modules", cupy=None), pytest.raises(Exception, match="cupy"):
        CupyDequantised().prepare(table, table, out, "int8-end")
    with (
        patch.dict("sys.modules", cupy=cuda_shim),
        pytest.raises(Unsupported, match="4-byte and writes on 16-byte boundaries"),
    ):
        CupyDequantised().prepare(table[1:], table, out, "int8-end")


@needs_nvrtc
@pytest.mark.parametrize("machine", ["sm_80", "sm_90", "sm_100"])
def test_nvrtc_compiles_without_a_word(machine: str) -> None:
    """No warning, no spill, and four elements stored in one instruction."""
    options = ["-std=c++17", f"--gpu-architecture={machine}", "--ptxas-options=-v"]
    program = nvrtc.compile_source(SOURCE, NAMES, options)
    assert not [line for line in program.log.splitlines() if "warning" in line or "error" in line]
    spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", program.log)
    assert len(spills) == len(NAMES) and set(spills) == {("0", "0")}
    entry = program.entry(instance("int8-start", "float32", 8))
    assert "st.global.cs.v4" in entry
