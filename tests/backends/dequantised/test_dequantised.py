"""Backends of dequantised rows: bit exact in every layout that they read, refused with words in others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends import (
    Backend,
    BackendUnavailable,
    Lookup,
    Unsupported,
    describe,
    load,
    missing_packages,
    names,
)
from suite.cases import ids
from suite.cases.case import Case
from suite.cases.operations.dequantised import RESULTS, VARIANTS
from suite.engine import check
from suite.engine.arrays import Arrays, CudaArrays, HostArrays
from suite.engine.operands import Operands, build_table, lay_out
from suite.records.device import Device
from tests.backends.test_contract import HOUSE, MOST_LINES, own_lines
from tests.stand_ins import host_cuda

torch = pytest.importorskip("torch")

CPU = [
    one.name for one in map(describe, names()) if one.takes("memory", "dequantised") and "cpu" in one.devices
]
CUDA = [
    one.name for one in map(describe, names()) if one.takes("memory", "dequantised") and "cuda" in one.devices
]
READS = {
    "fbgemm_dequantised": ({"int8-start", "int4-start"}, {*RESULTS}),
    "numba_dequantised": ({*VARIANTS}, {*RESULTS}),
    "numpy_dequantised": ({*VARIANTS}, {*RESULTS}),
    "onnxruntime_dequantised": ({"int8-apart", "int4-apart", "fp8-row"}, {"float32", "float16"}),
    "torch_dequantised": ({"int8-end", "int4-end"}, {"float32"}),
    "torch_index_dequantised": ({*VARIANTS}, {*RESULTS}),
    "torchao_dequantised": ({"int8-signed", "fp8-row"}, {*RESULTS}),
}
"""Layouts and results that each does; what it does it does exactly."""
SHAPES = ((128, 64, "int64"), (32, 17, "int32"), (288, 1, "int64"))
PLAIN = ((100, 33, "int64"), (4, 5, "int32"), (1604, 300, "int64"))
"""Dims of rows that are no whole vectors, which layouts without blocks may have."""


def laid_out(case: Case, arrays: Arrays | None = None) -> Operands:
    arrays = arrays or HostArrays()
    return lay_out(case, arrays, build_table(arrays, case), [ids.draw(case, 0, 0)])


def verdict(backend: type[Backend], operands: Operands) -> str | None:
    """What the check says of it; None is right."""
    lookup = operands.prepared(backend(), operands.slots[0])
    return check.check(operands, operands.slots[0], lookup, backend.clock, 5)[0]


def case_of(variant: str, dtype: str, shape: tuple[int, int, str] = SHAPES[0]) -> Case:
    dim, batch, index_dtype = shape
    return Case(1009, dim, dtype, batch, index_dtype, operation="dequantised", variant=variant)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late writes are waited for in other tests; here the cases are many."""
    monkeypatch.setattr(check, "_LATE_S", 1e-4)


def test_there_is_a_line_for_each() -> None:
    assert set(READS) == set(CPU)


# Numba compiles for a second for each layout and result.
MANY = [
    pytest.param(
        name, variant, marks=pytest.mark.slow if name == "numba_dequantised" and variant != "int8-end" else ()
    )
    for name in CPU
    for variant in VARIANTS
]


@pytest.mark.parametrize(("name", "variant"), MANY)
def test_what_it_reads_is_bit_exact_and_the_rest_is_refused(name: str, variant: str) -> None:
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}, not installed")
    layouts, results = READS[name]
    assert results == set(describe(name).dtypes)
    for dtype in RESULTS:
        if dtype in results:
            for shape in SHAPES if VARIANTS[variant].block else (*SHAPES, *PLAIN):
                operands = laid_out(case_of(variant, dtype, shape))
                try:
                    assert verdict(load(name), operands) is None, operands.case
                except BackendUnavailable as reason:
                    pytest.skip(str(reason))
                except Unsupported as reason:
                    assert variant not in layouts and str(reason).endswith(f", not {variant}")
                else:
                    assert variant in layouts


@pytest.mark.parametrize("variant", ["int8-end", "int8-apart"])
def test_scales_that_are_no_powers_of_two_are_rounded_once(variant: str) -> None:
    """As a user's are: the reference and our kernel come to the nearest of the result's type."""
    rng = np.random.default_rng(2)
    codes, pairs = (
        rng.integers(0, 256, (50, 64)).astype(np.uint8),
        rng.normal(size=(50, 2)).astype(np.float32),
    )
    for dtype in (torch.float16, torch.bfloat16):
        scales = torch.from_numpy(pairs[:, :1].copy()).to(dtype)
        right = (torch.from_numpy(codes).float() - 128) * scales.float()
        table, given = torch.from_numpy(codes), {"scales": scales}
        if variant == "int8-end":
            table, given = torch.from_numpy(np.concatenate([codes, pairs.view(np.uint8)], 1)), {}
            right = torch.from_numpy(codes).float() * torch.from_numpy(pairs[:, :1]) + torch.from_numpy(
                pairs[:, 1:]
            )
        numbers = torch.arange(50).flip(0)
        for name in ("numpy_dequantised", "numba_dequantised"):
            out = torch.zeros((50, 64), dtype=dtype)
            load(name)().prepare(table.view(torch.int8), numbers, out, variant=variant, **given)()
            assert torch.equal(out, right.to(dtype)[numbers]), (name, dtype)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in CPU if name != "torchao_dequantised"]
)  # which would make floats of all of it
def test_a_row_beyond_31_bits_of_bytes_is_found(name: str) -> None:
    """The table is 2.15 GB of zeros, which nobody writes and so hardly exist, and its last row."""
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}, not installed")
    variant = sorted(READS[name][0] & {"int8-end", "int8-start", "int8-apart"})[0]
    pair = {"int8-end": torch.tensor([2.0, 1.0]), "int8-start": torch.tensor([2.0, 1.0]).half()}.get(variant)
    last = torch.arange(128, dtype=torch.uint8)
    if pair is not None:
        last = torch.cat(
            [last, pair.view(torch.uint8)] if variant == "int8-end" else [pair.view(torch.uint8), last]
        )
    table = torch.zeros((2**31 // len(last) + 9, len(last)), dtype=torch.int8)
    table[-1], out, given = last.view(torch.int8), torch.zeros((3, 128)), {}
    right = torch.arange(128) * 2.0 + 1
    if pair is None:
        given["scales"], right = torch.zeros((len(table), 1)), (torch.arange(128) - 128) * 2.0
        given["scales"][-1] = 2.0
    for dtype in (torch.int32, torch.int64):
        numbers = torch.tensor([len(table) - 1, 0, len(table) - 1], dtype=dtype)
        found = load(name)().prepare(table=table, indices=numbers, out=out, variant=variant, **given)()
        assert torch.equal(found[0], right) and torch.equal(found[2], right) and not found[1].any()


def test_results_of_every_size_are_right_on_all_threads_and_past_the_caches() -> None:
    numba = load("numba_dequantised")
    operands = laid_out(case_of("int8-end", "float32", (64, 20_000, "int64")))

    class Streams(numba):  # type: ignore[misc, valid-type]
        stream_fraction = 0.0

    class Writes(numba):  # type: ignore[misc, valid-type]
        stream_fraction = stream_cold_fraction = 2.0**20

    for one in (numba, Streams, Writes):
        lookup = operands.prepared(one(), operands.slots[0])
        for _ in range(4):  # of which some choose anew
            assert check.check(operands, operands.slots[0], lookup, "device", 5)[0] is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_operands_of_a_gpu_are_laid_out_changed_and_compared(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its code for a GPU, in the host's memory."""
    arrays = host_cuda.arrays(monkeypatch)
    operands = laid_out(case_of(variant, "bfloat16"), arrays)
    assert verdict(load("torch_index_dequantised"), operands) is None
    operands.case.kind.change_row(operands.case, operands.stored, 3)
    assert operands.case.kind.table_differs(operands.case, operands.stored, np.array([3]))


@pytest.mark.gpu
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", CUDA)
def test_it_is_bit_exact_on_a_gpu(name: str, variant: str) -> None:
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}, not installed")
    for dtype in describe(name).dtypes:
        for shape in (*SHAPES, (4096, 8192, "int64")):
            operands = laid_out(case_of(variant, dtype, shape), CudaArrays(Device("cuda", 0)))
            try:
                assert verdict(load(name), operands) is None, operands.case
            except (BackendUnavailable, Unsupported) as reason:
                pytest.skip(str(reason))


LONG = {
    "numba_dequantised": "vectors of codes, streaming stores and OpenMP are emitted as LLVM",
    "onnxruntime_dequantised": "its model is written in Protocol Buffers",
    "triton_dequantised": "the tile, and where scales are, by layout",
    "cupy_dequantised": "geometry, and the kernel's instances",
}


def test_they_are_short_but_for_a_reason() -> None:
    names = {*CPU, *CUDA}
    lines = {name: own_lines(HOUSE / "dequantised" / f"{name}.py") for name in names}
    assert {name for name, count in lines.items() if count > MOST_LINES} == set(LONG)


# --- what slips or cheats is found --------------------------------------------------------------------


def cheat(**changes: Any) -> type[Backend]:
    """The reference on operands that are changed: each by a function of it, at the call."""

    class Cheat(load("numpy_dequantised")):  # type: ignore[misc]
        def prepare(self, **given: Any) -> Lookup:
            calls = super().prepare

            def lookup() -> Any:
                return calls(**{**given, **{name: changes[name](given) for name in changes}})()

            return lookup

    return Cheat


def inside(given: dict[str, Any], part: slice, what: Any) -> Any:
    """The table, of whose rows this part is changed."""
    table = given["table"].clone()
    table[:, part] = what(table)[:, part]
    return table


class OncePrepared(load("numpy_dequantised")):  # type: ignore[misc]
    """Dequantises all of the table in prepare, and looks up in that."""

    def prepare(self, **given: Any) -> Lookup:
        vocab, out = len(given["table"]), given["out"]
        whole = torch.zeros((vocab, out.shape[1]), dtype=out.dtype)
        super().prepare(**{**given, "indices": torch.arange(vocab), "out": whole})()
        return lambda: out.copy_(whole[given["indices"]])


class ScalesOfPrepare(load("numpy_dequantised")):  # type: ignore[misc]
    """Reads elements at the call, and scales as they were in prepare."""

    def prepare(self, **given: Any) -> Lookup:
        return super().prepare(**{**given, "scales": given["scales"].clone()})  # type: ignore[no-any-return]


CHEATS = {
    "the scale of the row before": ("int8-apart", cheat(scales=lambda given: given["scales"].roll(1, 0))),
    "the pair of the row before": (
        "int8-start",
        cheat(table=lambda given: inside(given, slice(0, 4), lambda table: table.roll(1, 0))),
    ),
    "the first block's scale for all": (
        "fp8-apart",
        cheat(scales=lambda given: given["scales"][:, :1].expand_as(given["scales"])),
    ),
    "no bias": ("int8-end", cheat(table=lambda given: inside(given, slice(-4, None), torch.zeros_like))),
    "half of the bits": (
        "int8-end",
        cheat(table=lambda given: inside(given, slice(0, 128), lambda table: table & -16)),
    ),
    "half of a half": ("int4-apart", cheat(table=lambda given: given["table"] & 0x33)),
    "no sign": (
        "fp8-apart",
        cheat(table=lambda given: (given["table"].view(torch.int8) & 127).view(torch.float8_e4m3fn)),
    ),
    "dequantised in prepare": ("int8-end", OncePrepared),
    "scales of prepare": ("int8-apart", ScalesOfPrepare),
}


@pytest.mark.parametrize("which", CHEATS)
def test_a_cheat_is_caught_and_who_does_the_same_but_right_is_not(which: str) -> None:
    variant, backend = CHEATS[which]
    operands = laid_out(case_of(variant, "float32"))
    assert "is not table row" in (verdict(backend, operands) or "")
    assert "dequantised" in (verdict(backend, operands) or "")
    assert verdict(cheat(), operands) is None
