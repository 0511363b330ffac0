"""How long a turn is, and how many lookups make its samples."""

from __future__ import annotations

import numpy as np
import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import measure, operands
from suite.engine.arrays import HostArrays
from suite.engine.clocks.host import HostClock
from suite.engine.contender import Contender
from suite.engine.measure import Settings, _turn_s
from suite.engine.turns import TURN_S, Turns, lookups_per_sample, sizes
from suite.telemetry import host
from suite.telemetry.reading import Reading


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (63, 1), (128, 2), (329, 5)])
def test_a_pass_over_flushed_slots_has_samples_enough(slots: int, most: int) -> None:
    assert lookups_per_sample((1e-9, 1e-9), TURN_S, slots, hot=False, flushed=True, max_queued=0) == most


@pytest.mark.parametrize("repeat", [2, 3, 7])
@pytest.mark.parametrize("slots", [1, 5, 20, 64, 200])
def test_a_flushed_turn_has_whole_samples_only(repeat: int, slots: int) -> None:
    """Or one alone, where slots are too few for a whole one."""
    for seed in range(20):
        _, count = sizes(1e-4, TURN_S, repeat, slots, True, np.random.default_rng(seed))
        assert count % repeat == 0 or count < repeat


def test_in_little_time_turns_are_shorter_rather_than_rounds_too_few() -> None:
    assert _turn_s(Settings(limit_s=0.6), 5) == pytest.approx(0.6 / 5 / 12)
    assert _turn_s(Settings(limit_s=100.0), 5) == TURN_S


def test_where_a_lookup_leaves_nothing_cold_a_turn_is_one() -> None:
    turns = Turns([lambda: None] * 3, HostClock(), TURN_S, hot=False, flushed=True, alone=True)
    turns.warm_up()
    assert turns.repeat == 1, "however short it is"
    taken = [turns.next_slots(np.random.default_rng(0)) for _ in range(4)]
    assert all(order.warm_up == order.called == [] for order in taken)
    assert [order.timed for order in taken] == [[1], [2], [0], [1]]


def test_turns_are_not_shortened_for_what_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sized: list[float] = []
    warm_up = Contender.warm_up

    def noted(self: Contender, turn_s: float) -> None:
        sized.append(turn_s)
        warm_up(self, turn_s)

    monkeypatch.setattr(Contender, "warm_up", noted)
    case, arrays = Case(1000, 64, batch=17), HostArrays()
    table = operands.build_table(arrays, case)
    settings = Settings(limit_s=0.24, cache_bytes=2**20, copy="copy_numpy")
    setup = measure.Setup(case, arrays, table, Reading(0), host.HostObserver(), settings)
    which = ("numpy_take", "cupy_take", "numba_cuda", "triton_gather")  # three do not run on the CPU
    measure.measure(setup, [choose(name) for name in which], "m", lambda *_: None)
    assert sized == [pytest.approx(0.24 / 2 / 12)] * 2
