"""Updates: exact, put right between checks, measured; what is wrong with them found and put right too."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from backends import Backend, Lookup
from suite.cases import exact, ids
from suite.cases.case import Case
from suite.cases.operations import update
from suite.cases.operations.update import EPS, LEARNING_RATE
from suite.engine import check
from suite.engine.measure import operands_of
from tests.support.training import measured, set_up

DTYPES = tuple(exact.MOST)
RATE = np.float32(LEARNING_RATE)


def case_of(variant: str, **axes: Any) -> Case:
    return Case(2003, 24, **{"batch": 100, "operation": "update", "variant": variant, **axes})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", ["uniform", "zipf", "equal"])
@pytest.mark.parametrize("variant", ["sgd", "adagrad"])
def test_every_order_and_every_way_of_writing_it_comes_to_the_same_bits(
    variant: str, dtype: str, distribution: str
) -> None:
    """With float32 in between, step by step and all at once, dividing first and last."""
    case = case_of(variant, dtype=dtype, distribution=distribution, batch=3000)
    kind, rows = case.kind, np.arange(2003)
    batch = kind.draw(case, ids.draw(case, 0, 0), 3)
    batch = kind.altered(case, batch, 7, int(batch["indices"][8]))
    weights = exact.values_of(kind.rows(case, rows), dtype)
    gradient, named = exact.sums(batch["indices"], batch["gradients"], dtype, rows)
    right = kind.right(case, batch, rows)
    found = weights - RATE * gradient
    if variant == "sgd":
        stepwise = weights.copy()
        for place in np.random.default_rng(0).permutation(3000):
            row = int(batch["indices"][place])
            step = RATE * exact.values_of(batch["gradients"][place], dtype)
            stepwise[row] = exact.values_of(exact.bits_of(stepwise[row] - step, dtype), dtype)
        assert np.array_equal(exact.bits_of(stepwise, dtype), right)
    else:
        state = kind.beside(case)["state"].view(np.float32) + np.square(gradient).sum(1) / np.float32(24)
        root = np.sqrt(state) + np.float32(EPS) + np.where(named, np.float32(0), np.float32(1))
        found = weights - (RATE / root)[:, None] * gradient
        assert np.array_equal(found, weights - RATE * (gradient / root[:, None]))
        together = [exact.bits_of(found, dtype), exact.words(exact.bits_of(state, "float32"), dtype)]
        assert np.array_equal(np.concatenate(together, axis=1), right)
        assert len(np.unique(state[named])) > 2 or distribution == "equal"
    assert np.array_equal(exact.bits_of(found, dtype), right[:, :24])
    assert np.array_equal(exact.values_of(exact.bits_of(found, dtype), dtype), found), "nothing was rounded"
    assert not np.array_equal(right[:, :24], kind.rows(case, rows))


class Right(Backend):
    """Both optimisers, by the book; ``change`` is what others do wrong."""

    devices = ("cpu",)
    operation = "update"
    dtypes = ("float32",)

    def prepare(
        self, table: Any, indices: Any, gradients: Any, out: Any, state: Any = None, **_: Any
    ) -> Lookup:
        self.weights, self.values = table.view(np.float32), gradients.view(np.float32)
        self.state = None if state is None else state.view(np.float32)
        self.calls = 0

        def lookup(weights: Any = self.weights, values: Any = self.values) -> Any:
            self.calls += 1
            self.change(weights, indices, values)
            return self.result(table)

        return lookup

    def result(self, table: Any) -> Any:
        return table

    def change(self, weights: Any, indices: Any, values: Any) -> None:
        distinct, place = np.unique(indices, return_inverse=True)
        rows = np.zeros((len(distinct), weights.shape[1]), np.float32)
        self.add(rows, place, values)
        if self.state is not None:
            state = self.moments(distinct) + np.square(rows).mean(1)
            self.keep(distinct, state)
            rows /= np.sqrt(state)[:, None]
        weights[distinct] -= RATE * rows

    def add(self, rows: Any, place: Any, values: Any) -> None:
        np.add.at(rows, place, values)

    def moments(self, distinct: Any) -> Any:
        return self.state[distinct]

    def keep(self, distinct: Any, state: Any) -> None:
        self.state[distinct] = state


class CountedOnce(Right):
    """Of an id that repeats one gradient counts."""

    def add(self, rows: Any, place: Any, values: Any) -> None:
        rows[place] = values


class Twice(Right):
    """The step is made twice."""

    def change(self, weights: Any, indices: Any, values: Any) -> None:
        super().change(weights, indices, values)
        super().change(weights, indices, values)


class Skips(Right):
    """Nothing is done in timed calls."""

    def change(self, weights: Any, indices: Any, values: Any) -> None:
        if self.calls < 10:
            super().change(weights, indices, values)


class TwiceLater(Twice):
    """The step is made twice in timed calls only."""

    def change(self, weights: Any, indices: Any, values: Any) -> None:
        (Right if self.calls < 10 else Twice).change(self, weights, indices, values)


class Beyond(Right):
    """A row is changed that no id names."""

    def change(self, weights: Any, indices: Any, values: Any) -> None:
        super().change(weights, indices, values)
        unnamed = np.setdiff1d(np.arange(len(weights)), indices)
        weights[unnamed[len(unnamed) // 2]] += 1


class Elsewhere(Right):
    """The right rows, in an array of its own."""

    def prepare(self, table: Any, **given: Any) -> Lookup:
        return super().prepare(table.copy(), **given)


class OldIds(Right):
    """The ids as they were in ``prepare``."""

    def prepare(self, table: Any, indices: Any, **given: Any) -> Lookup:
        return super().prepare(table, indices.copy(), **given)


class OwnState(Right):
    """The state is its own, kept from the call before, and the one it was given stays as it was."""

    kept: Any = None

    def moments(self, distinct: Any) -> Any:
        self.kept = self.state.copy() if self.kept is None else self.kept
        return self.kept[distinct]

    def keep(self, distinct: Any, state: Any) -> None:
        self.kept[distinct] = state


class StateKept(OwnState):
    """So, but it shows it."""

    def keep(self, distinct: Any, state: Any) -> None:
        super().keep(distinct, state)
        self.state[...] = self.kept


class StateBeyond(Right):
    """The state of a row is changed that no id names."""

    def keep(self, distinct: Any, state: Any) -> None:
        super().keep(distinct, state)
        self.state[np.setdiff1d(np.arange(len(self.state)), distinct)[0]] += 1


class NoState(Right):
    """The state is read and not written."""

    def keep(self, distinct: Any, state: Any) -> None:
        pass


class Raises(Right):
    """It gives up halfway, and leaves rows changed."""

    def change(self, weights: Any, indices: Any, values: Any) -> None:
        weights[...] = 7
        raise RuntimeError("halfway")


FAULTS = {
    "sgd": (CountedOnce, Twice, TwiceLater, Skips, Beyond, Elsewhere, OldIds),
    "adagrad": (CountedOnce, Twice, TwiceLater, Skips, OwnState, StateKept, StateBeyond, NoState),
}


@pytest.mark.parametrize("variant", FAULTS)
def test_one_is_measured_and_what_is_wrong_is_found_and_put_right(variant: str) -> None:
    """Those that are wrong come first: what they leave behind is no other's."""
    setup = set_up(case_of(variant, distribution="zipf"), 0.4)
    records = measured(setup, *FAULTS[variant], Raises, Right)
    right = records["Right"]
    assert (right.status, right.reason) == ("ok", None)
    assert right.samples
    assert (records["Raises"].status, records["ceiling"].status) == ("error", "ok")
    assert {one.__name__: records[one.__name__].status for one in FAULTS[variant]} == {
        one.__name__: "wrong" for one in FAULTS[variant]
    }
    for name in ("Skips", "TwiceLater"):
        assert "in a timed call" in str(records[name].reason)
    assert not setup.case.kind.table_differs(setup.case, operands_of(setup).stored, np.arange(2003)), (
        "the next case finds its table as it was"
    )


class Sneaks(Right):
    """In one timed call a row is changed that no batch names; at the end all rows are compared."""

    def change(self, weights: Any, indices: Any, values: Any) -> None:
        super().change(weights, indices, values)
        if self.calls == 12:
            (self.state if self.state is not None else weights[:, 0])[self.row] += 1


@pytest.mark.parametrize("variant", FAULTS)
def test_a_row_changed_once_is_noticed_at_the_end(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = set_up(case_of(variant))
    Sneaks.row = int(np.setdiff1d(np.arange(2003), operands_of(setup).named)[-1])
    monkeypatch.setattr(check, "PART_ELEMENTS", 24 * 100)
    monkeypatch.setattr(check, "spot_checked", lambda *_: None)
    with pytest.raises(check.Tampered, match="rows of the table changed"):
        measured(setup, Sneaks)


def test_a_large_table_is_compared_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "PART_ELEMENTS", 24 * 100)
    monkeypatch.setattr(check, "SPOT_ELEMENTS", 24 * 4)
    records = measured(set_up(case_of("sgd")), Beyond, Right)
    assert (records["Beyond"].status, records["Right"].status) == ("wrong", "ok")
    assert "of the table as it was; 1 of " in str(records["Beyond"].reason)


def test_its_bytes() -> None:
    sgd, adagrad = case_of("sgd"), case_of("adagrad")
    assert sgd.compulsory_bytes(90) == 100 * (8 + 96) + 2 * 90 * 96
    assert adagrad.compulsory_bytes(90) == sgd.compulsory_bytes(90) + 8 * 90
    assert adagrad.payload_bytes == adagrad.compulsory_bytes(100)
    assert sgd.ceiling_bytes == 3 * 100 * 96
    assert (sgd.rows_bytes, adagrad.table_bytes) == (0, 2003 * 100)
    assert sgd.table == adagrad.table != Case(2003, 24).table


def test_what_there_can_t_be_is_refused_in_a_line() -> None:
    for axes, words in (
        ({"variant": "adam"}, "variant adam: unknown to the operation update; give one of sgd, adagrad"),
        ({"dtype": "float8_e4m3fn"}, "dtype float8_e4m3fn: there are no gradients of it"),
        ({"placement": "file"}, "placement file: has rows as they are, none of update; give memory"),
    ):
        with pytest.raises(ValueError, match=words):
            case_of(**{"variant": "sgd", **axes})


def test_the_state_before_any_update_is_that_of_every_version() -> None:
    state, size = update.Update()._state(case_of("adagrad"), np.arange(8))
    assert state.tolist() == [12, 0, 12, 3, 0, 0, 0, 0] and size.tolist() == [2, 1, 2, 1, 1, 1, 2, 4]


@pytest.mark.parametrize(
    ("variant", "digest"), [("sgd", "4ccc157dc2b8ab26"), ("adagrad", "893d2b2eaf093174")]
)
def test_gradients_of_a_seed_are_those_of_every_version(variant: str, digest: str) -> None:
    drawn = update.Update().draw(case_of(variant), np.arange(64) % 37, 5)["gradients"]
    assert hashlib.sha256(np.ascontiguousarray(drawn).tobytes()).hexdigest()[:16] == digest
