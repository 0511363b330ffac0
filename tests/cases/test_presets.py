"""The presets and models."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from suite.cases import presets
from suite.cases.case import PLACEMENTS, Case, plan
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


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        *(("smoke", "48d46d9715934d47"), ("default", "b5231c593b8e9b76"), ("full", "3f182692978bc276")),
        *(("cliffs", "e1d8c5e23f2fde78"), ("engram", "78563fe611ad28dd"), ("ple", "92ebaf8f4f19c56b")),
        *(("placements", "79f97829bcae1ec0"), ("training", "42bcbd3cce1539ad"), ("bags", "57a8581acec2d7d2")),
        ("quantised", "dcae7b1319495082"),
    ],
)
def test_a_preset_changes_on_purpose_only(name: str, digest: str) -> None:
    """A slip in one number of one would still be a plan, of other cases than those of runs before it."""
    assert _digest("\n".join(map(str, plan(PRESETS[name])))) == digest


def test_every_preset_is_held_to_its_digest_and_models_to_theirs() -> None:
    (held,) = (mark.args[1] for mark in test_a_preset_changes_on_purpose_only.pytestmark)  # type: ignore[attr-defined]
    assert {name for name, _ in held} == set(PRESETS)
    assert _digest(repr(sorted(MODELS.items()))) == "44a3490e680e005f"


def test_a_table_is_named_after_the_models_that_publish_it() -> None:
    assert "gpt2" in presets.models_of(Case(50257, 768))
    assert presets.models_of(Case(50257, 769)) == presets.models_of(Case(9, 8)) == ()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
