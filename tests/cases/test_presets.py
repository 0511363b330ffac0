"""The presets and models."""

from __future__ import annotations

import pytest

from suite.cases.case import plan
from suite.cases.presets import MODELS, PRESETS, model_sweep


def test_axes_that_are_given_take_the_place_of_the_presets() -> None:
    cases = plan(PRESETS["smoke"], vocab=(99,), dtype=("int8",), batch=None)
    assert {(case.vocab, case.dtype) for case in cases} == {(99, "int8")}
    assert {case.batch for case in cases} == {1, 17, 512}


@pytest.mark.parametrize("name", MODELS)
def test_models_are_tables_with_decode_and_prefill_batches(name: str) -> None:
    cases = plan([model_sweep(name)])
    assert {case.table for case in cases} == {(*MODELS[name], 0)}
    assert {1, 8192} <= {case.batch for case in cases}


def test_the_cliffs_are_there() -> None:
    cases = plan(PRESETS["cliffs"])
    assert len(cases) < 60
    assert {16, 17} <= {case.batch for case in cases}
    assert {16, 32, 64, 128, 256, 512} <= {case.row_bytes for case in cases}
    assert {1, 7, 129, 1601} <= {case.dim for case in cases}
    assert {case.offset % 16 > 0 for case in cases} == {False, True}
    assert {"sorted", "equal"} <= {case.distribution for case in cases}
    for size in ("table_bytes", "rows_bytes"):
        sizes = [getattr(case, size) - 2**31 for case in cases if case.dtype == "int8"]
        assert {one > 0 for one in sizes if abs(one) < 2**14} == {False, True}, (
            f"{size} on both sides of 2^31"
        )
