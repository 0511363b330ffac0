"""Dequantised rows: exact by construction, of the bytes that are said, and refused where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from suite.cases.case import Case, Sweep, plan
from suite.cases.operations import dequantised
from suite.cases.operations.base import Stored
from suite.cases.operations.dequantised import OFFSET, RESULTS, VARIANTS
from suite.cases.presets import PRESETS
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table, lay_out

torch = pytest.importorskip("torch")

EVERY = [(variant, dtype) for variant in VARIANTS for dtype in RESULTS]
MADE = HostArrays(protected=False)


def case_of(variant: str, dtype: str = "float32", dim: int = 96, batch: int = 64) -> Case:
    return Case(997, dim, dtype, batch, operation="dequantised", variant=variant)


def exactly(case: Case, rows: torch.Tensor, scales: torch.Tensor | None) -> torch.Tensor:
    """What torch makes of stored rows, in float64: an oracle with no line in common with the operation."""
    layout, stored = VARIANTS[case.variant], rows.view(torch.uint8)
    wide = {"float32": 4, "float16": 2}.get(layout.scale, 0) * 2
    if layout.place == "apart":
        kind = torch.float8_e8m0fnu if layout.scale == "e8m0" else getattr(torch, case.dtype)
        assert scales is not None
        scale = scales.view(kind).double().repeat_interleave(layout.block or case.dim, 1)
        bias = OFFSET[layout.code] * scale
    else:
        pair, stored = (
            (stored[:, :wide], stored[:, wide:])
            if layout.place == "start"
            else (
                stored[:, -wide:],
                stored[:, :-wide],
            )
        )
        scale, bias = pair.contiguous().view(getattr(torch, layout.scale)).double().split(1, 1)
    stored = stored.contiguous()
    if layout.code == "int4":
        stored = torch.stack([stored % 16, stored // 16], 2).flatten(1)
    kinds = {"fp8": torch.float8_e4m3fn, "signed": torch.int8}
    values = stored.view(kinds.get(layout.code, torch.uint8)).double()
    return torch.where(bias == 0, values * scale, values * scale + bias)


@pytest.mark.parametrize(("variant", "dtype"), EVERY)
def test_rows_are_exact_and_a_changed_one_is_in_all_its_elements_and_scales(variant: str, dtype: str) -> None:
    case = case_of(variant, dtype)
    table, kind = build_table(MADE, case), case.kind
    beside = kind.beside(case)
    numbers, kept = np.array([0, 5, 996, 5]), []
    for changed in (None, 5):
        if changed is not None:
            kind.change_row(case, Stored(MADE, table, beside), changed)
        rows = torch.from_numpy(table[numbers])
        scales = torch.from_numpy(beside["scales"][numbers]) if beside else None
        bits = kind.right(case, {"indices": numbers}, np.arange(4), changed)
        found = torch.from_numpy(bits).view(getattr(torch, dtype))
        assert torch.equal(found.double(), exactly(case, rows, scales))
        kept.append([array.numpy() for array in (rows, torch.from_numpy(bits), scales) if array is not None])
    for before, after in zip(*kept, strict=True):
        assert (before[1] != after[1]).mean() > 0.9 and np.array_equal(before[2], after[2])
    kind.change_row(case, Stored(MADE, table, beside), 5)  # twice is nothing
    assert not kind.table_differs(case, Stored(MADE, table, beside), numbers)


@pytest.mark.parametrize("variant", VARIANTS)
def test_neighbours_differ_in_their_scales(variant: str) -> None:
    """So that who takes another row's is found."""
    case = case_of(variant)
    rows, beside = case.kind.rows(case, np.arange(997)), case.kind.beside(case)
    layout = VARIANTS[variant]
    pairs = beside["scales"] if beside else rows[:, :4] if layout.place == "start" else rows[:, -4:]
    assert (pairs[1:] != pairs[:-1]).any(1).mean() > 0.8
    assert not layout.block or (pairs[:, 1:] != pairs[:, :-1]).mean() > 0.8


@pytest.mark.parametrize("variant", ["int8-apart", "fp8-apart"])
def test_a_scale_that_was_written_to_is_seen(variant: str) -> None:
    case = case_of(variant)
    operands = lay_out(case, MADE, build_table(MADE, case), [np.arange(64)])
    operands.beside["scales"][7] ^= 1
    assert case.kind.table_differs(case, operands.stored, np.array([6, 7]))
    assert not case.kind.table_differs(case, operands.stored, np.array([6, 8]))


def test_bytes_are_of_what_is_stored_with_its_scales() -> None:
    stored = dict(
        zip(VARIANTS, (96 + 8, 96 + 4, 96 + 2, 96 + 2, 48 + 4, 48 + 4, 48 + 6, 96 + 3, 96 + 2), strict=True)
    )
    for variant, row in stored.items():
        case = case_of(variant, "bfloat16")
        assert case.row_bytes == row and case.table_bytes == 997 * row
        assert case.payload_bytes == 64 * (8 + row + 192)
        assert case.compulsory_bytes(10) == 64 * (8 + 192) + 10 * row
        assert case.ceiling_bytes == 64 * (row + 192)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"variant": ""}, "variant : unknown; give one of int8-end, "),
        ({"variant": "int2"}, "variant int2: unknown; give one of"),
        ({"dtype": "int8"}, "dtype int8: not what rows are dequantised to; give one of float32, "),
        ({"dim": 6}, "dim 6: not whole blocks of int8-end; give a multiple of 4"),
        (
            {"dim": 100, "variant": "fp8-apart"},
            "dim 100: not whole blocks of fp8-apart; give a multiple of 32",
        ),
        ({"placement": "file"}, "placement file: has rows as they are, none of dequantised; give memory"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(axes: dict[str, object], words: str) -> None:
    given = {"vocab": 10, "dim": 64, "operation": "dequantised", "variant": "int8-end", **axes}
    with pytest.raises(ValueError, match=words) as error:
        Case(**given)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_sweep_takes_the_variants_that_its_dims_allow() -> None:
    cases = plan([Sweep((1000,), (64,), operation=("dequantised",))])
    assert [case.variant for case in cases] == list(cases[0].kind.variants)
    assert str(cases[0]) == "dequantised int8-end 1000x64 float32 batch 512 int64 uniform cold"


def test_the_preset_has_what_is_stored_so() -> None:
    cases = plan(PRESETS["quantised"])
    assert {case.operation for case in cases} == {"dequantised"}
    assert {264} == {case.row_bytes for case in cases if case.distribution == "ngram"}, "as published"
    assert {"text", "uniform", "ngram"} == {case.distribution for case in cases}
    assert {16, 8192} <= {case.batch for case in cases}


def test_a_table_of_codes_and_scales_is_that_of_every_version() -> None:
    case, rows = case_of("int8-end"), np.array([0, 996])
    codes = dequantised._codes(case, rows, changed=False)
    powers, biases = dequantised._factors(case, rows, changed=False)
    assert codes[:, :4].tolist() == [[109, 172, 35, 68], [253, 138, 147, 244]]
    assert (powers.tolist(), biases.tolist()) == ([[2], [1]], [[-250], [-185]])
