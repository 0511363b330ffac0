"""Cases, sweeps and plans."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from suite.cases import case as case_module
from suite.cases.case import AXES, CACHES, MAX_SIZE, Case, Sweep, plan
from suite.cases.presets import PRESETS
from suite.engine import rotation


def test_a_sweep_is_the_product_of_its_axes_in_order() -> None:
    sweep = Sweep((10, 20), (4,), ("float32", "int8"), (1, 2), cache=CACHES)
    cases = list(sweep)
    assert len(cases) == len(set(cases)) == 2 * 2 * 2 * 2
    assert cases[0] == Case(10, 4, "float32", 1)
    assert cases == sorted(cases, key=lambda c: (c.vocab, c.dtype != "float32", c.batch, c.cache))


def test_a_plan_has_each_case_once_and_those_of_a_table_together() -> None:
    one, other = Sweep((10,), (4,), batch=(1, 2)), Sweep((20, 10), (4,), batch=(2, 3))
    cases = plan([one, other, one])
    assert [(case.vocab, case.batch) for case in cases] == [(10, 1), (10, 2), (10, 3), (20, 2), (20, 3)]
    for preset in PRESETS.values():
        planned = plan(preset)
        assert len(planned) == len(set(planned))
        tables = [table for table, _ in itertools.groupby(case.table for case in planned)]
        assert len(tables) == len(set(tables)), "no table is built twice"


def test_bytes_are_those_of_the_definition() -> None:
    case = Case(1000, 100, "bfloat16", 16, "int32")
    assert (case.row_bytes, case.table_bytes, case.ids_bytes, case.rows_bytes) == (200, 200_000, 64, 3200)
    assert case.payload_bytes == 16 * (4 + 2 * 200)
    assert case.compulsory_bytes(16) == case.payload_bytes
    assert case.compulsory_bytes(1) == 64 + 200 + 3200
    assert case.compulsory_bytes(5) == rotation.touched_bytes(case, 5)


@pytest.mark.parametrize(
    ("axis", "value", "says"),
    [
        *[
            (axis, size, "out of range")
            for axis in ("vocab", "dim", "batch")
            for size in (0, -1, MAX_SIZE + 1)
        ],
        ("dtype", "float64", "float32"),
        ("index_dtype", "int16", "int64"),
        ("cache", "warm", "hot"),
        ("distribution", "zipf-", "uniform"),
        ("distribution", "zipf--1", "uniform"),
        ("distribution", "normal", "zipf-EXPONENT"),
        ("vocab", 2**31 + 1, "int32"),
        ("offset", 2, "multiple of 4 bytes, as float32 needs"),
        ("offset", -4, "from 0 to 4095"),
        ("offset", 4096, "from 0 to 4095"),
        ("placement", "disk", "small-pages, file, pinned, managed"),
    ],
)
def test_a_case_that_cannot_be_is_refused(axis: str, value: object, says: str) -> None:
    values = {"vocab": 10, "dim": 4, "index_dtype": "int32", axis: value}
    with pytest.raises(ValueError, match=says) as error:
        Case(**values)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_an_offset_is_said_where_there_is_one() -> None:
    plain, off = Case(10, 4), Case(10, 4, offset=12)
    assert "offset" not in str(plain)
    assert str(off) == f"{plain} offset 12"
    assert off.table != plain.table, "it is another table"


def test_axes_are_the_fields_of_a_case() -> None:
    known = "operation variant vocab dim dtype batch index_dtype distribution cache offset placement"
    assert known.split() == list(AXES)


def test_what_the_axes_come_to_is_known_without_a_case() -> None:
    wide = tuple(range(1, 20_001))
    assert Sweep(wide, wide, batch=wide).size == 20_000**3
    with pytest.raises(ValueError, match="8,000,000,000,000 cases"):
        plan([Sweep((1,), (1,))], vocab=wide, dim=wide, batch=wide)


def test_the_last_row_that_int32_can_name_is_a_tables_last() -> None:
    assert Case(2**31, 4, index_dtype="int32").vocab - 1 == 2**31 - 1


def test_only_cold_tables_in_a_file_are_evicted_from_memory() -> None:
    file = Case(1000, 1024, "float32", 8, placement="file")
    assert file.evicted
    assert not replace(file, cache="hot").evicted
    assert not any(replace(file, placement=one).evicted for one in ("memory", "small-pages", "pinned"))


def test_beside_its_table_a_case_takes_four_batches_and_caches() -> None:
    case = Case(1000, 16, "float32", 8)
    assert case_module.host_bytes(case, 10**6) == 4 * (8 * 64 + 8 * 8 + 10**6)
