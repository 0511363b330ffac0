"""Gradients: exact in any order, right by another way, measured, and what is wrong with them found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends import Backend, Lookup
from suite.cases import exact, ids
from suite.cases.case import Case, plan
from suite.cases.presets import PRESETS, scaled
from suite.engine.arrays import HostArrays
from tests.support.training import measured, set_up

DTYPES = tuple(exact.MOST)


def case_of(variant: str, **axes: Any) -> Case:
    return Case(301, 24, **{"batch": 200, "operation": "gradient", "variant": variant, **axes})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", ["uniform", "zipf", "text", "sorted", "equal"])
def test_sums_are_the_same_in_any_order_with_one_gradient_more(dtype: str, distribution: str) -> None:
    """Added up in the type itself, as the worst of kernels does it."""
    case = case_of("dense", dtype=dtype, distribution=distribution, batch=3000)
    numbers = ids.draw(case, 0, 0)
    numbers[7] = numbers[8]  # as a spot check changes an id, and not its gradient
    gradients = case.kind.draw(case, ids.draw(case, 0, 0), 3)["gradients"]
    values = exact.values_of(gradients, dtype)
    assert len(np.unique(values)) > 2
    hottest = values[numbers == np.bincount(numbers).argmax()]
    rng = np.random.default_rng(0)
    for order in (hottest[::-1], rng.permutation(hottest), np.sort(hottest, axis=0)):
        total = np.zeros(24, np.float32)
        for one in order:
            total = exact.values_of(exact.bits_of(total + one, dtype), dtype)
        assert np.array_equal(total, hottest.astype(np.float64).sum(0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("variant", ["dense", "sparse"])
def test_what_is_right_is_what_adding_at_each_id_comes_to(variant: str, dtype: str) -> None:
    case = case_of(variant, dtype=dtype, distribution="zipf")
    batch = case.kind.draw(case, ids.draw(case, 0, 0), 3)
    table = np.zeros((301, 24))
    np.add.at(table, batch["indices"], exact.values_of(batch["gradients"], dtype))
    right = exact.bits_of(table, dtype)
    distinct = np.unique(batch["indices"])
    if variant == "dense":
        assert np.array_equal(case.kind.right(case, batch, np.arange(301)), right)
        assert np.array_equal(case.kind.right(case, batch, np.array([9, 3])), right[[9, 3]])
        return
    given = distinct, right[distinct]
    bits = case.kind.snapshot(case, HostArrays(), given)
    assert not case.kind.differing(case, HostArrays(), bits, batch, np.arange(200))
    for spoiled in (
        (distinct[::-1], right[distinct]),
        (distinct[:-1], right[distinct[:-1]]),
        (np.append(distinct, 300), right[[*distinct, 300]]),
    ):
        bits = case.kind.snapshot(case, HostArrays(), spoiled)
        assert case.kind.differing(case, HostArrays(), bits, batch, np.arange(200))


class Dense(Backend):
    devices = ("cpu",)
    operation = "gradient"
    dtypes = DTYPES
    rows: Any = slice(None)

    def prepare(self, indices: Any, gradients: Any, out: Any, **_: Any) -> Lookup:
        values, result = gradients.view(np.float32), out.view(np.float32)

        def lookup() -> Any:
            self.fill(result, values, indices)
            return result

        return lookup

    def fill(self, result: Any, values: Any, indices: Any) -> None:
        result[...] = 0
        np.add.at(result, indices, values)


class CountedOnce(Dense):
    """Of an id that repeats one gradient counts."""

    def fill(self, result: Any, values: Any, indices: Any) -> None:
        result[...] = 0
        result[indices] = values


class NotCleared(Dense):
    """What the call before left is added to."""

    def fill(self, result: Any, values: Any, indices: Any) -> None:
        np.add.at(result, indices, values)


class Untouched(Dense):
    """Rows that no id names are left as they were."""

    def fill(self, result: Any, values: Any, indices: Any) -> None:
        result[indices] = 0
        np.add.at(result, indices, values)


class LastIds(Dense):
    """The ids of the call before."""

    before: Any = None

    def fill(self, result: Any, values: Any, indices: Any) -> None:
        super().fill(result, values, indices if self.before is None else self.before)
        self.before = indices.copy()


class AtFirst(Dense):
    """Right in the first calls; then the last id is left out."""

    calls = 0

    def fill(self, result: Any, values: Any, indices: Any) -> None:
        self.calls += 1
        most = None if self.calls < 40 else -1
        super().fill(result, values[:most], indices[:most])


class Pair(Dense):
    """A sparse one: ids and rows, as ``keep`` leaves them."""

    def prepare(self, indices: Any, gradients: Any, out: Any, **_: Any) -> Lookup:
        values = gradients.view(np.float32)

        def lookup() -> Any:
            distinct, place = np.unique(indices, return_inverse=True)
            rows = np.zeros((len(distinct), values.shape[1]), np.float32)
            self.add(rows, place, values)
            return self.keep(distinct, rows)

        return lookup

    def add(self, rows: Any, place: Any, values: Any) -> None:
        np.add.at(rows, place, values)

    def keep(self, distinct: Any, rows: Any) -> Any:
        return distinct, rows


class PairOnce(Pair):
    """One gradient an id."""

    def add(self, rows: Any, place: Any, values: Any) -> None:
        rows[place] = values


class PairUnsorted(Pair):
    """Ids from the last to the first."""

    def keep(self, distinct: Any, rows: Any) -> Any:
        return distinct[::-1], rows[::-1]


class PairShort(Pair):
    """Without the last row."""

    def keep(self, distinct: Any, rows: Any) -> Any:
        return distinct[:-1], rows[:-1]


class RowsAlone(Pair):
    """Without the ids."""

    def keep(self, distinct: Any, rows: Any) -> Any:
        return (rows,)


class Uncoalesced(Pair):
    """As autograd leaves it."""

    view = "values"

    def prepare(self, indices: Any, gradients: Any, out: Any, vocab: int = 0, **_: Any) -> Lookup:
        import torch

        size = vocab, gradients.shape[1]
        return lambda: torch.sparse_coo_tensor(
            indices[None].long(), gradients.clone(), size, check_invariants=False
        )


def test_dense_ones_are_measured_and_what_is_wrong_is_found() -> None:
    faults = CountedOnce, NotCleared, Untouched, LastIds, AtFirst
    records = measured(set_up(case_of("dense", distribution="zipf"), 0.4), Dense, *faults)
    right = records["Dense"]
    assert (right.status, right.reason) == ("ok", None)
    assert right.samples
    assert records["ceiling"].status == "ok"
    assert {one.__name__: records[one.__name__].status for one in faults} == {
        one.__name__: "wrong" for one in faults
    }
    assert "zero, though no id names it" in str(records["Untouched"].reason)
    assert "in a timed call" in str(records["AtFirst"].reason)


def test_sparse_ones_are_measured_and_what_is_wrong_is_found() -> None:
    pytest.importorskip("torch")
    faults = PairOnce, PairUnsorted, PairShort, RowsAlone, Uncoalesced
    records = measured(set_up(case_of("sparse", distribution="zipf")), Pair, *faults)
    assert (records["Pair"].status, records["Pair"].reason) == ("ok", None)
    assert {records[one.__name__].status for one in faults} == {"wrong"}
    assert "returned an uncoalesced sparse tensor" in str(records["Uncoalesced"].reason)
    assert "returned tuple, not a coalesced sparse tensor" in str(records["RowsAlone"].reason)


def test_its_bytes() -> None:
    dense, sparse = case_of("dense"), case_of("sparse", index_dtype="int32")
    assert dense.payload_bytes == dense.compulsory_bytes(10) == 301 * 96 + 200 * (8 + 96)
    assert dense.ceiling_bytes == (301 + 200) * 96
    assert sparse.payload_bytes == 2 * 200 * (4 + 96)
    assert sparse.compulsory_bytes(10) == (200 + 10) * (4 + 96)
    assert str(dense).startswith("gradient dense 301x24 float32")


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"variant": ""}, "variant: none given to the operation gradient; give one of dense, sparse"),
        ({"variant": "x"}, "variant x: unknown to the operation gradient"),
        ({"dtype": "int8"}, "dtype int8: there are no gradients of it; give one of float32"),
        ({"placement": "file"}, "placement file: the operation gradient reads no table; give memory"),
        ({"offset": 4}, "offset 4: the operation gradient reads no table; give 0"),
    ],
)
def test_what_there_can_t_be_is_refused_in_a_line(axes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        case_of(**{"variant": "dense", **axes})


def test_the_preset_fits_a_memory_with_its_dense_gradients() -> None:
    cases = plan(scaled(PRESETS["training"], 24_000_000_000))
    assert {(case.operation, case.variant) for case in cases} == {
        *(("gradient", "dense"), ("gradient", "sparse"), ("update", "sgd"), ("update", "adagrad"))
    }
    assert max(5 * case.rows_bytes + case.ids_bytes for case in cases) < 24_000_000_000 / 2
    assert min(case.table_bytes for case in cases) > 2**29


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_may_come_to_the_last_whole_number_that_a_type_counts_to(dtype: str) -> None:
    most = exact.MOST[dtype]
    whole = np.array([most - 1, most, most + 1], np.float32)
    found = exact.values_of(exact.bits_of(whole, dtype), dtype)
    assert found[:2].tolist() == whole[:2].tolist()
    assert dtype == "float32" or found[2] != whole[2]


def test_of_an_id_with_more_repeats_than_there_are_units_each_that_counts_has_one() -> None:
    most = exact.MOST["bfloat16"]
    drawn = exact.gradients(np.zeros(most + 9, np.int64), 4, "bfloat16", most, 0)
    found = np.abs(exact.values_of(drawn, "bfloat16"))
    assert (found[:most] == exact.UNIT).all() and not found[most:].any()
