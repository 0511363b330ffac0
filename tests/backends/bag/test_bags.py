"""Every backend of bags keeps the contract on the CPU: exact for every kind of bag, type and width."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import BackendUnavailable, Unsupported, describe, load, missing_packages, names
from suite.cases import ids
from suite.cases.case import Case
from suite.cases.operations import bag
from suite.engine import check
from suite.engine.arrays import CudaArrays, HostArrays
from suite.engine.operands import Operands, build_table, lay_out
from suite.records.device import Device
from tests.support.kernels import sparse

torch = pytest.importorskip("torch")

BAGS = tuple(name for name in names() if describe(name).operation == "bag")
CPU = tuple(name for name in BAGS if "cpu" in describe(name).devices)
VOCAB = 509
SHAPES = {
    "sum-1": (1, 64, "int64"),
    "sum-20": (129, 17, "int64"),
    "weighted-20": (100, 33, "int32"),
    "weighted-3": (7, 2000, "int64"),
    "mean-16": (64, 16, "int32"),
    "mean-1": (24, 5, "int64"),
    "ragged-20": (300, 34, "int64"),
    "ragged-2": (4, 513, "int32"),
}
"""Of each kind of bag: columns, bags, type of the ids."""
COMPILED = {
    "jax_bag": ("weighted-20", "mean-16", "ragged-2"),
    "numba_bag": ("sum-20", "weighted-20", "mean-16", "ragged-20"),
}
"""Those that compile for every shape get these only, and of float32 alone in the default run."""


def laid_out(case: Case, numbers: Any = None, arrays: Any = None) -> Operands:
    batch = ids.draw(case, 0, 0) if numbers is None else np.resize(numbers, case.ids).astype(case.index_dtype)
    arrays = arrays or HostArrays()
    return lay_out(case, arrays, build_table(arrays, case), [batch], 7)


def verdict(name: str, operands: Operands) -> str | None:
    """What the check says of a backend on a case; None is right."""
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}")
    backend, slot = load(name), operands.slots[0]
    try:
        lookup = operands.prepared(backend(), slot)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    return check.check(operands, slot, lookup, backend.clock, 5)[0]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_LATE_S", 1e-4)


MADE = [
    pytest.param(name, dtype, marks=pytest.mark.slow if name in COMPILED and dtype != "float32" else ())
    for name in CPU
    for dtype in describe(name).dtypes
]


@pytest.mark.parametrize(("name", "dtype"), MADE)
def test_bags_are_exact_of_every_kind(name: str, dtype: str) -> None:
    for variant in COMPILED.get(name, SHAPES):
        dim, batch, index_dtype = SHAPES[variant]
        case = Case(VOCAB, dim, dtype, batch, index_dtype, operation="bag", variant=variant)
        try:
            assert verdict(name, laid_out(case)) is None, case
        except Unsupported as reason:
            assert name == "fbgemm_bag" and dim % 4 and "multiple of 4" in str(reason)


@pytest.mark.parametrize("name", CPU)
def test_the_last_row_the_first_one_alone_and_a_table_off_its_alignment(name: str) -> None:
    for numbers, offset in (([VOCAB - 1, 0], 0), ([VOCAB - 1], 0), (range(VOCAB), 64), ([3], 4)):
        case = Case(VOCAB, 64, "float32", 34, offset=offset, operation="bag", variant="ragged-20")
        try:
            assert verdict(name, laid_out(case, numbers)) is None, case
        except Unsupported as reason:
            assert name == "jax_bag" and offset == 4 and "boundary" in str(reason)


@pytest.mark.parametrize("name", [name for name in CPU if describe(name).whose == "suite"])
def test_a_kernel_of_this_suite_is_exact_on_every_width(name: str) -> None:
    for dim in (1, 2, 3, 31, 127, 128, 255, 256, 257):
        case = Case(VOCAB, dim, "bfloat16", 40, operation="bag", variant="ragged-20")
        assert verdict(name, laid_out(case)) is None, dim


ACCUMULATORS = {("jax_bag", "float16"): "float16", ("jax_bag", "bfloat16"): "bfloat16"}


@pytest.mark.parametrize(("name", "dtype"), MADE)
def test_what_each_adds_up_in(name: str, dtype: str) -> None:
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}")
    case = Case(VOCAB, 20, dtype, 8, operation="bag", variant="mean-16")
    operands, backend = laid_out(case), load(name)()
    try:
        facts = case.kind.facts(case, lambda small, given: operands.aside(backend, small, given))  # type: ignore[arg-type]
    except BackendUnavailable as error:
        pytest.skip(str(error))
    assert facts == {"accumulates_in": ACCUMULATORS.get((name, dtype), "float32")}


@pytest.mark.parametrize("name", BAGS)
def test_the_file_says_what_it_is(name: str) -> None:
    said, backend = describe(name), load(name)
    for attribute in ("devices", "dtypes", "view", "packages", "clock", "whose", "operation"):
        assert getattr(said, attribute) == getattr(backend, attribute), attribute
    assert set(said.dtypes) <= set(bag.SIGNIFICANT) and said.packages
    path = Path(__file__).resolve().parents[3] / f"backends/bag/{name}.py"
    assert (
        said.summary == (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
    )
    assert 20 <= len(said.summary) <= 110 and said.summary.endswith(".")
    assert name.partition("_")[0] in said.summary.lower().replace("cuda c++ bags through cupy", "cupy")


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in BAGS if "cuda" in describe(name).devices])
def test_bags_are_exact_on_a_gpu(name: str) -> None:
    arrays = CudaArrays(Device("cuda", 0))
    for dtype in describe(name).dtypes:
        for variant, (dim, batch, index_dtype) in SHAPES.items():
            case = Case(VOCAB, dim, dtype, batch, index_dtype, operation="bag", variant=variant)
            assert verdict(name, laid_out(case, arrays=arrays)) is None, case


@pytest.mark.parametrize("name", ["numpy_bag", "numba_bag"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_sum_that_its_type_has_not_is_rounded_to_the_nearest(name: str, dtype: str) -> None:
    """Of two rows, as torch rounds, ties to even among them; its own bags round those of bfloat16 up."""
    bits = np.random.default_rng(3).integers(-(2**15), 2**15, (400, 128)).astype(np.int16)
    table = torch.from_numpy(bits).view(getattr(torch, dtype))
    table[~table.isfinite() | (table.abs() > 1e4) | (table.abs() < 1e-3)] = 1.0
    table[:200, 0] = torch.arange(200).to(table.dtype) / 128 + 1  # and what is halfway between two
    table[200:, 0] = 256.0
    numbers = torch.arange(400).reshape(2, 200).T.reshape(-1).contiguous()
    out, offsets = torch.empty(200, 128, dtype=table.dtype), torch.arange(201) * 2
    result = load(name)().prepare(table=table, indices=numbers, offsets=offsets, out=out, mode="sum")()
    right = (table[:200].float() + table[200:].float()).to(table.dtype).view(torch.int16).numpy()
    got = result if isinstance(result, np.ndarray) else result.view(torch.int16).numpy()
    assert np.array_equal(got.view(np.int16), right)


@pytest.mark.parametrize("name", CPU)
def test_rows_past_31_bits_of_elements_are_added_up(name: str) -> None:
    """Of a table that hardly exists: all but its last rows are pages that nobody has written."""
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}")
    vocab = 2**31 // 128 + 9
    table = sparse(vocab, 128, np.float32)
    table[-3:] = np.arange(3 * 128).reshape(3, 128)
    numbers = np.array([vocab - 1, vocab - 2, vocab - 3, vocab - 1, 5, 6], np.int32)
    memory = np.zeros(3 * 128 + 16, np.float32)
    given = {
        "table": table,
        "indices": aligned(numbers),
        "offsets": aligned(np.array([0, 2, 2, 6], np.int32)),
    }
    out = memory[16:].reshape(3, 128)
    operands = {key: torch.from_numpy(array) for key, array in {**given, "out": out}.items()}
    try:
        result = load(name)().prepare(**operands, mode="sum")()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    first, _, last = np.asarray(result)
    assert np.array_equal(first, table[-1] + table[-2]) and np.array_equal(last, table[-3] + table[-1])


def aligned(array: Any) -> Any:
    """The same on a boundary of 64 bytes."""
    memory = np.zeros(array.nbytes + 64, np.uint8)
    there = memory[-memory.ctypes.data % 64 :][: array.nbytes].view(array.dtype)
    there[:] = array
    return there
