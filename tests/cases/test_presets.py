"""The presets and models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suite.cases import presets
from suite.cases.case import PLACEMENTS, plan
from suite.cases.presets import MODELS, PRESETS, SCALED, filled_bytes, model_sweep, scaled, scaling


def test_axes_that_are_given_take_the_place_of_the_presets() -> None:
    cases = plan(PRESETS["smoke"], vocab=(99,), dtype=("int8",), batch=None)
    assert {(case.vocab, case.dtype) for case in cases} == {(99, "int8")}
    assert {case.batch for case in cases} == {1, 17, 512}


@pytest.mark.parametrize("name", MODELS)
def test_models_are_tables_with_decode_and_prefill_batches(name: str) -> None:
    cases = plan([model_sweep(name)])
    assert {case.table for case in cases} == {(*MODELS[name], 0, "memory", "")}
    per_token = {"ngram": 24, "ngram-3": 16}.get(cases[0].distribution, 1)
    assert {per_token, 8192 * per_token} <= {case.batch for case in cases}


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("memory_gb", [8, 25, 1000])
def test_a_large_table_is_fitted_to_the_memory_there_is(name: str, memory_gb: int) -> None:
    published, most = PRESETS[name], 0.4e9 * memory_gb
    fitted = scaled(published, memory_gb * 10**9)
    for before, after in zip(published, fitted, strict=True):
        assert replace(after, vocab=before.vocab) == before, "only rows are left out"
        filled = max(map(filled_bytes, after))
        assert filled <= most
        assert after.vocab == before.vocab or 2 * filled > most - 10 * max(case.row_bytes for case in after)
    said = scaling(published, fitted)
    assert (said is None) == (fitted == published)
    if name == "engram" and memory_gb == 25:
        assert said == "384006168x256 to 24000386 rows"


def test_the_tables_of_dlrm_are_the_26_published() -> None:
    rows, hotness = zip(*presets._DLRM, strict=True)
    assert (len(rows), sum(rows), sum(hotness)) == (26, 204_184_588, 214)


def test_every_placement_is_planned_where_it_can_be() -> None:
    cases = plan(PRESETS["placements"])
    assert {case.row_bytes for case in cases} == {256, 1024, 16384}
    assert {case.placement for case in cases if case.cache == "cold"} == {
        *PLACEMENTS["cpu"],
        *PLACEMENTS["cuda"],
    }
    assert {case.placement for case in cases if case.cache == "hot"} == {"file"}
    assert all(6e9 <= case.table_bytes <= 8e9 for case in cases)


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
