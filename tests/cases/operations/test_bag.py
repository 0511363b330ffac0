"""Bags: what is right is so by plain arithmetic, what is wrong is caught, accumulators are told apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import suite
from backends import Backend, Lookup, Own, Unsupported
from suite.cases import ids
from suite.cases.case import Case
from suite.cases.operations import bag
from suite.engine import measure
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table
from suite.records.record import Record
from suite.records.store import Run
from suite.telemetry.host import HostObserver
from suite.telemetry.reading import Reading
from tests.support import fabricate

torch = pytest.importorskip("torch")

CASE = Case(1009, 20, "bfloat16", 65, operation="bag", variant="sum-20")
VARIANTS = ("sum-1", "sum-3", "weighted-20", "mean-16", "ragged-7", "ragged-20")


class Plain(Backend):
    """Bag by bag, as it is said, in float32."""

    devices = ("cpu",)
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    operation = "bag"
    rows_of: Callable[[Any], Any] = staticmethod(lambda rows: rows)
    divisor: Callable[[int], int] = staticmethod(lambda count: count)
    adds_in = "float32"

    def prepare(
        self, table: Any, indices: Any, offsets: Any, out: Any, mode: str, weights: Any = None
    ) -> Lookup:
        def lookup() -> Any:
            for row in range(len(out)):
                some = slice(int(offsets[row]), int(offsets[row + 1]))
                terms = table[indices[some]].to(getattr(torch, self.adds_in))
                if weights is not None:
                    terms = terms * weights[some, None].to(terms.dtype)
                total = torch.zeros(len(out[row]), dtype=terms.dtype)
                for term in self.rows_of(terms):
                    total += term
                if mode == "mean":
                    total /= self.divisor(len(terms))
                out[row] = total
            return out

        return lookup


class LeavesOneOut(Plain):
    """The last row of every bag of more than one is not added."""

    rows_of = staticmethod(lambda rows: rows[: max(1, len(rows) - 1)])


class IgnoresWeights(Plain):
    def prepare(self, table: Any, indices: Any, offsets: Any, out: Any, mode: str, weights: Any) -> Lookup:
        return super().prepare(table, indices, offsets, out, mode)


class MeanOfOneMore(Plain):
    divisor = staticmethod(lambda count: count + 1)


class RemembersOffsets(Plain):
    def prepare(self, table: Any, indices: Any, offsets: Any, out: Any, mode: str) -> Lookup:
        return super().prepare(table, indices, offsets.clone(), out, mode)


class RemembersWeights(Plain):
    def prepare(self, table: Any, indices: Any, offsets: Any, out: Any, mode: str, weights: Any) -> Lookup:
        return super().prepare(table, indices, offsets, out, mode, weights.clone())


class TakesTheNeighbour(Plain):
    """An empty bag has the row that follows, as reduceat has it."""

    def prepare(self, table: Any, indices: Any, offsets: Any, out: Any, mode: str) -> Lookup:
        right = super().prepare(table, indices, offsets, out, mode)

        def lookup() -> Any:
            right()
            for row in range(len(out)):
                if offsets[row] == offsets[row + 1]:
                    out[row] = table[indices[min(int(offsets[row]), len(indices) - 1)]]
            return out

        return lookup


class HalfTheBits(Plain):
    adds_in = "bfloat16"


class HalfTheBitsBackwards(Plain):
    adds_in = "bfloat16"
    rows_of = staticmethod(lambda rows: rows.flip(0))


class HalfTheBitsInPairs(Plain):
    """As a tree adds up."""

    adds_in = "bfloat16"

    @staticmethod
    def rows_of(rows: Any) -> Any:
        while len(rows) > 1:
            pairs = rows[: len(rows) // 2 * 2].reshape(-1, 2, rows.shape[1])
            rows = torch.cat([pairs[:, 0] + pairs[:, 1], rows[len(pairs) * 2 :]])
        return rows


class Wider(Plain):
    adds_in = "float64"


class RefusesSmallTables(Plain):
    def prepare(self, table: Any, *others: Any, **more: Any) -> Lookup:
        if len(table) < 10:
            raise Unsupported("a table of so few rows")
        return super().prepare(table, *others, **more)


def measured(case: Case, *backends: type[Backend]) -> dict[str, Record]:
    arrays = HostArrays()
    settings = measure.Settings(limit_s=0.01, cache_bytes=2**14)
    setup = measure.Setup(case, arrays, build_table(arrays, case), Reading(0), HostObserver(), settings)
    choices = [Own(one.__name__, one.__name__, backend=one) for one in backends]
    return {record.backend: record for record in measure.measure(setup, choices, "m", lambda *_: None)}


def drawn(case: Case, seed: int = 3) -> Any:
    return case.kind.draw(case, ids.draw(case, 0, 0), seed)


# --- what is right ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", bag.SIGNIFICANT)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_right_result_is_that_of_exact_sums(variant: str, dtype: str) -> None:
    """By torch in float64, rounded once: which loses nothing, as it comes to the same in the table's type."""
    case = replace(CASE, dtype=dtype, variant=variant, index_dtype="int32")
    kind, batch, rows = case.kind, drawn(case), np.arange(case.batch)
    values = HostArrays().values
    table = values(kind.rows(case, np.arange(case.vocab)), dtype).double()
    weights = values(batch["weights"], dtype).double() if "weights" in batch else None
    exact = torch.nn.functional.embedding_bag(
        *(torch.from_numpy(batch["indices"]), table, torch.from_numpy(batch["offsets"])),
        mode=str(kind.settings(case)["mode"]),
        per_sample_weights=weights,
        include_last_offset=True,
    )
    right = values(kind.right(case, batch, rows), dtype)
    assert torch.equal(right.double(), exact) and torch.equal(exact.to(right.dtype).double(), exact)
    assert not (kind.right(case, batch, rows) == np.array(-1 << (8 * right.itemsize - 1))).any(), "no -0.0"
    changed = int(batch["indices"][5])
    table[changed] *= -1
    differs = kind.right(case, batch, rows) != kind.right(case, batch, rows, changed)
    assert set(np.flatnonzero(differs.any(1))) == set(
        kind.touched(case, batch, np.flatnonzero(batch["indices"] == changed))
    )
    bits = kind.rows(case, np.array([changed]))
    assert torch.equal(values(kind.changed(case, bits), dtype)[0].double(), table[changed])


@pytest.mark.parametrize("dtype", bag.SIGNIFICANT)
@pytest.mark.parametrize("variant", ["sum-256", "weighted-64", "mean-256", "ragged-128"])
def test_the_largest_bags_of_one_row_are_exact_and_larger_ones_refused(variant: str, dtype: str) -> None:
    case = replace(CASE, dtype=dtype, variant=variant)
    kind, batch = case.kind, drawn(case)
    batch = {**batch, "indices": batch["indices"] * 0}
    if "weights" in batch:
        batch["weights"] = bag._bits(np.full(len(batch["indices"]), 2.0), dtype)
    result = bag._values(kind.right(case, batch, np.arange(case.batch)), dtype)
    one = bag._values(kind.rows(case, np.array([0]))[0], dtype)
    most = {"sum": 256, "weighted": 128, "mean": 1, "ragged": 256}[variant.partition("-")[0]]
    assert (result[0] == most * one).all() and one.all(), "the sum, and no element is 0"
    if dtype == "bfloat16":
        name, _, count = variant.partition("-")
        with pytest.raises(
            ValueError, match=f"not exact in bfloat16; give {name}-{count} at most, or float32"
        ):
            replace(case, variant=f"{name}-{2 * int(count)}")


def test_ragged_bags_are_of_none_to_twice_the_mean_and_as_many_ids_in_every_draw() -> None:
    case = replace(CASE, batch=1001, variant="ragged-20")
    draws = [np.diff(drawn(case, seed)["offsets"]) for seed in range(3)]
    assert {lengths.sum() for lengths in draws} == {case.ids} == {20 * 1001}
    assert set(draws[0]) == set(range(41)) and (draws[0][0], draws[0][-1]) == (40, 0)
    assert not np.array_equal(draws[0], draws[1])
    assert [list(np.diff(drawn(replace(case, batch=n))["offsets"])) for n in (1, 2)] == [[20], [40, 0]]


def test_rows_of_none_but_empty_bags_are_zero() -> None:
    """Bags are compared a few at a time; where all of these are empty, no row of the table is asked for."""
    case = replace(CASE, batch=4, dtype="float32", variant="ragged-20")
    batch = drawn(case, 0)
    assert np.diff(batch["offsets"])[-1] == 0
    assert (case.kind.right(case, batch, np.array([3])) == 0).all()


def test_bags_of_a_trace_are_its_own_and_as_many_ids_in_every_batch() -> None:
    case = replace(CASE, batch=3, dtype="float32", variant="trace-2")
    lengths, six = np.array([5, 0, 1, 2, 2, 2000]), np.arange(6)

    def cut(turn: int, numbers: Any = six) -> list[int]:
        return list(np.diff(case.kind.of_trace(case, numbers, lengths, turn)["offsets"]))

    assert cut(0) == [5, 0, 1] and cut(2) == [5, 0, 1], "from the start again"
    assert sum(cut(1)) == 6 and cut(1)[2] > 2 * cut(1)[0], "of 1,024 at most, and then each one less, again"
    assert [sum(cut(0, np.arange(n))) for n in (0, 1, 7, 300)] == [0, 1, 7, 300]
    assert cut(0, np.arange(7)) == [6, 0, 1]
    assert set(np.diff(drawn(replace(case, batch=100))["offsets"])) <= {*range(5)}, (
        "without one they are ragged"
    )
    with pytest.raises(ValueError, match="sums of 1024 are not exact in bfloat16; give float32"):
        replace(case, dtype="bfloat16")


def test_its_bytes_count_ids_weights_offsets_rows_and_result() -> None:
    case = replace(CASE, variant="weighted-20")
    assert case.ids == 65 * 20 and case.ids_bytes == 1300 * (8 + 2) + 66 * 8
    assert case.payload_bytes == case.ids_bytes + 1300 * 40 + 65 * 40
    assert case.compulsory_bytes(7) == case.ids_bytes + 7 * 40 + 65 * 40
    assert case.table != CASE.table != replace(CASE, operation="lookup", variant="").table, "other numbers"
    float32 = {replace(CASE, dtype="float32", variant=variant).table for variant in VARIANTS}
    assert len(float32) == 1, "bags of a type with room for all share a table"


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (
            {"variant": ""},
            r"variant \(none\): unknown; give sum-N, weighted-N, mean-N, ragged-N or, of --indices with "
            "offsets, trace, N ids a bag",
        ),
        ({"variant": "sum-0"}, "unknown"),
        ({"variant": "sum-1025"}, "unknown; give .*1 to 1024"),
        ({"variant": "max-20"}, "unknown"),
        ({"variant": "mean-20"}, "a mean is exact of a power of two; give mean-32"),
        (
            {"variant": "weighted-512", "dtype": "bfloat16"},
            "not exact in bfloat16; give weighted-64 at most",
        ),
        ({"dtype": "int8"}, "dtype int8: has no sums of bags; give one of float32, float16, bfloat16"),
        ({"placement": "file"}, "placement file: .*none of bag"),
    ],
)
def test_what_there_can_not_be_is_refused_in_a_line(axes: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(CASE, **axes)


# --- what is wrong ------------------------------------------------------------------------------------

WRONG = {
    LeavesOneOut: "sum-20",
    IgnoresWeights: "weighted-20",
    MeanOfOneMore: "mean-16",
    RemembersOffsets: "ragged-20",
    RemembersWeights: "weighted-20",
    TakesTheNeighbour: "ragged-20",
}


@pytest.mark.parametrize("backend", WRONG, ids=lambda one: one.__name__)
def test_what_is_wrong_is_caught(backend: type[Backend]) -> None:
    case = replace(CASE, batch=9, variant=WRONG[backend])
    records = measured(case, Plain, backend)
    wrong = records[backend.__name__]
    assert records["Plain"].status == "ok"
    assert wrong.status == "wrong" and "rows of bag" in str(wrong.reason)
    assert "accumulates_in" not in wrong.telemetry


@pytest.mark.parametrize("variant", ["sum-20", "weighted-20", "mean-16", "ragged-20"])
def test_an_accumulator_of_half_the_bits_is_right_where_sums_are_small_and_is_told(variant: str) -> None:
    backends = (Plain, HalfTheBits, HalfTheBitsBackwards, HalfTheBitsInPairs, RefusesSmallTables)
    records = measured(replace(CASE, batch=9, variant=variant), *backends)
    assert {records[one.__name__].status for one in backends} == {"ok"}
    found = [records[one.__name__].telemetry["accumulates_in"] for one in backends]
    assert found == ["float32", "bfloat16", "bfloat16", "bfloat16", None]


def test_a_run_s_table_has_it_and_the_distinct_share_of_all_ids(tmp_path: Path) -> None:
    records = measured(replace(CASE, vocab=50), Plain, HalfTheBits, LeavesOneOut)
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append(records.values())
    table = suite.load(tmp_path / "r").set_index("backend")
    assert table.accumulates_in.dropna().to_dict() == {"Plain": "float32", "HalfTheBits": "bfloat16"}
    assert table.distinct_fraction["Plain"] == 50 / CASE.ids


def test_an_accumulator_wider_than_float32_is_told_and_one_narrower_is_wrong() -> None:
    records = measured(replace(CASE, dtype="float32", batch=9), Plain, Wider, HalfTheBits)
    assert records["Plain"].telemetry["accumulates_in"] == "float32"
    assert records["Wider"].telemetry["accumulates_in"] == "float64"
    assert records["HalfTheBits"].status == "wrong"


@pytest.mark.parametrize(
    ("dtype", "rows"),
    [
        ("float32", [[2901, -1267, -1834], [-2345, 767, 2602], [4002, 3216, -3673]]),
        ("float16", [[73, -32, -46], [-59, 20, 65], [100, 81, -92]]),
        ("bfloat16", [[9, -4, -6], [-7, 3, 8], [12, 10, -11]]),
    ],
)
def test_a_table_of_whole_numbers_is_that_of_every_version(dtype: str, rows: list[list[int]]) -> None:
    case = replace(CASE, dtype=dtype)
    assert bag._whole(case, np.array([0, 1, 1008]))[:, :3].tolist() == rows


@pytest.mark.parametrize(
    ("variant", "most", "per_unit", "spread"),
    [("sum-20", 20, 1, 1), ("weighted-20", 20, 2, 4), ("ragged-7", 14, 1, 1), ("trace", bag.MOST, 1, 1)],
)
def test_how_large_a_sum_may_become(variant: str, most: int, per_unit: float, spread: int) -> None:
    """Of weights 0.5, 1 and 2: sums are multiples of a half, and the largest is four of them."""
    kind = bag.kind_of(replace(CASE, variant=variant, dtype="float32"))
    assert (kind.most, kind.per_unit, kind.spread) == (most, per_unit, spread)
    assert kind.hotness >= 1
