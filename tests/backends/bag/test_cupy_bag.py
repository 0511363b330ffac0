"""The CUDA C++ bags without a GPU: g++ runs them, NVRTC compiles them."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from backends.bag import cupy_bag
from backends.bag.cupy_bag import KERNEL, PTX, CupyBag, kernel_of
from suite.cases.case import Case
from suite.cases.dtypes import width_of
from tests.stand_ins import cuda_shim
from tests.stand_ins.cuda_shim import nvrtc
from tests.support.bags import CASES, operands_of
from tests.support.kernels import needs_compiler, needs_nvrtc, sparse

torch = pytest.importorskip("torch")

NAMES = sorted(
    {
        kernel_of(dtype, width_of(dtype), index, vector, weighted)
        for dtype in CupyBag.dtypes
        for index in (4, 8)
        for vector in (16, width_of(dtype))
        for weighted in (False, True)
    }
)


MANY = Case(97, 300, "float32", 700, "int32", operation="bag", variant="ragged-2")
"""More bags than a grid of three blocks has at once."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> cuda_shim.Library:
    return cuda_shim.Library(KERNEL, NAMES, tmp_path_factory.mktemp("shim"))


def check(library: cuda_shim.Library, case: Case, shift: int = 0, far: bool = False) -> bool:
    """Whether two calls are right, the second on other operands, and touch nothing but their own."""
    given, memory, right_of = operands_of(case, shift)
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, 132)):
        lookup = CupyBag().prepare(**given, **case.kind.settings(case))  # type: ignore[arg-type]
    watch, out = library.watch, given["out"]
    for name in ("table", "ids", "offsets", "weights", "out"):
        seen, array = getattr(watch, name), given.get({"ids": "indices"}.get(name, name))
        seen.start, seen.stop = 0, 0
        if array is not None:
            seen.start = array.data_ptr()
            seen.stop = seen.start + array.numel() * array.element_size()
    for again in (False, True):
        watch.misaligned = watch.outside = watch.stored_bytes = 0
        right = right_of(again)
        assert lookup().data_ptr() == out.data_ptr()
        size = out.numel() * out.element_size()
        moved = watch.misaligned, watch.outside, watch.stored_bytes
        if moved != (0, 0, size) or not right(out) or not memory.whole():
            return False
    return True


@needs_compiler
@pytest.mark.parametrize("case", CASES, ids=str)
def test_bags_are_exact(library: cuda_shim.Library, case: Case) -> None:
    assert check(library, case)
    assert check(library, case, shift=width_of(case.dtype)), "out off its alignment"


@needs_compiler
def test_more_bags_than_a_grid_has_blocks(
    library: cuda_shim.Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy_bag, "MOST_BLOCKS", 3)
    assert check(library, MANY)


def beyond(library: cuda_shim.Library) -> bool:
    """Whether rows past 31 bits of elements are added up, of a table whose pages hardly exist."""
    vocab = 2**31 // 128 + 9
    table = sparse(vocab, 128, np.float32)
    table[-2:] = np.arange(256).reshape(2, 128)
    ids, offsets = np.array([vocab - 1, vocab - 2, 3], np.int32), np.array([0, 3], np.int32)
    out = np.zeros((1, 128), np.float32)
    arrays = {"table": table, "indices": ids, "offsets": offsets, "out": out}
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, 132)):
        lookup = CupyBag().prepare(**{name: torch.from_numpy(a) for name, a in arrays.items()}, mode="sum")
    for name, array in {**arrays, "ids": ids}.items():
        if name != "indices":
            seen = getattr(library.watch, name)
            seen.start, seen.stop = array.ctypes.data, array.ctypes.data + array.nbytes
    lookup()
    return np.array_equal(out[0], table[-1] + table[-2])


@needs_compiler
def test_rows_past_31_bits_of_elements_are_added_up(library: cuda_shim.Library) -> None:
    assert beyond(library)


MUTANTS: dict[str, tuple[str, str]] = {
    "32-bit offset into the table": (
        "(long long)__ldg(ids + place) * row_vectors",
        "(int)((unsigned)__ldg(ids + place) * (unsigned)row_vectors * 16u) / 16",
    ),
    "the last row of a bag twice": ("          if (first + k < end)\n", "          if (true)\n"),
    "reads past the bag": ("first + k < end ? first + k : end - 1", "first + k"),
    "no second round of bags": ("bag < bags; bag += gridDim.y * blockDim.y", "bag < bags; bag = bags"),
    "the mean of one more": ("(float)(end - start)", "(float)(end - start + 1)"),
    "weights ignored": ("WEIGHTED ? widened<TYPE>(__ldg(weights + place)) : 1.0f", "1.0f"),
    "the first column only": ("* row_vectors + at);", "* row_vectors + 0 * at);"),
    "offsets of the bag before": ("__ldg(offsets + bag), end", "__ldg(offsets + (bag ? bag - 1 : 0)), end"),
}


@needs_compiler
@pytest.mark.slow
def test_mutants_are_caught(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_bag, "MOST_BLOCKS", 3)
    for fault, (right, wrong) in MUTANTS.items():
        assert KERNEL.count(right) == 1, fault
        folder = tmp_path / re.sub(r"\W", "_", fault)
        folder.mkdir()
        library = cuda_shim.Library(KERNEL.replace(right, wrong), NAMES, folder)
        assert not (beyond(library) and all(check(library, case) for case in (*CASES, MANY))), fault


@needs_nvrtc
@pytest.mark.parametrize("machine", ["sm_80", "sm_90", "sm_100"])
def test_nvrtc_compiles_without_a_word(machine: str) -> None:
    """No warning, no spill, and four rows asked for before the first is added."""
    options = ["-std=c++17", f"--gpu-architecture={machine}", "--ptxas-options=-v"]
    program = nvrtc.compile_source(PTX + KERNEL, NAMES, options)
    assert not [line for line in program.log.splitlines() if "warning" in line or "error" in line]
    spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", program.log)
    assert len(spills) == len(NAMES) and set(spills) == {("0", "0")}
    entry = program.entry(kernel_of("float32", 4, 8, 16, False))
    moves = re.findall(r"(ld\.global\.nc\.v4|add\S*\.f32|fma\S*\.f32)", entry)
    first = moves.index("ld.global.nc.v4")
    assert moves[first : first + 4] == ["ld.global.nc.v4"] * 4
