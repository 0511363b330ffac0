"""What the records of a case hold beside its times."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import measure, operands
from suite.engine.arrays import HostArrays
from suite.engine.rotation import Rotation
from suite.machine import threads
from suite.telemetry.host import HostObserver
from suite.telemetry.reading import Reading


def test_threads_and_what_a_quota_held_up_are_in_every_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the time from before the operands are laid out until all is measured; threads once all have run."""
    steps: list[str] = []
    held_up = {"quota_throttled_periods": 3}

    def watched() -> object:
        steps.append("watch")
        return lambda: steps.append("since") or held_up

    def seen() -> dict[str, int]:
        steps.append("threads")
        return {"threads_torch": 5}

    monkeypatch.setattr(measure, "quota_watch", watched)
    monkeypatch.setattr(threads, "seen", seen)
    case, arrays = Case(100, 8, batch=4), HostArrays()
    table, settings = (
        operands.build_table(arrays, case),
        measure.Settings(limit_s=0.05, cache_bytes=2**16),
    )
    setup = measure.Setup(case, arrays, table, Reading(0), HostObserver(), settings, {"threads_asked": 2})
    records = measure.measure(
        setup, [choose("numpy_take")], "m", lambda name, step: steps.append(f"{name} {step}")
    )
    assert [r.role for r in records] == ["backend", "ceiling"]
    for record in records:
        assert record.telemetry.items() >= {"threads_asked": 2, "threads_torch": 5, **held_up}.items()
    order = ("watch", "None lay out the operands", "numpy_take check", "threads", "numpy_take time", "since")
    assert [step for step in dict.fromkeys(steps) if step in order] == list(order)


@pytest.mark.parametrize(("cache_bytes", "resident"), [(3199, False), (3200, True), (3201, True)])
def test_a_table_of_the_caches_size_fits_it(cache_bytes: int, resident: bool) -> None:
    """By the size of the table, not by what the lookups touch."""
    case, arrays = Case(100, 8, batch=4), HostArrays()
    assert case.table_bytes == 3200
    settings = measure.Settings(cache_bytes=cache_bytes)
    table = operands.build_table(arrays, case)
    setup = measure.Setup(case, arrays, table, Reading(0), HostObserver(), settings)
    found = measure._traffic(setup, 4, Rotation(2, flush=False))
    assert found.cache_resident == resident and found.touched_bytes < cache_bytes


def rounds_taken(known: Sequence[bool], settings: measure.Settings, take_s: float = 0.0) -> int:
    """How many rounds contenders take of which each is known or not."""
    now, taken = [0.0], [0]

    def turn(_: object) -> None:
        now[0] += take_s
        taken[0] += 1

    contenders: Any = [
        SimpleNamespace(name="x", running=True, turns=None, take_turn=turn, is_known=lambda *_, it=it: it)
        for it in known
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "perf_counter", lambda: now[0])
        rng = np.random.default_rng(0)
        measure._time_in_turns(contenders, settings, rng, lambda *_: None, lambda: True)
    return taken[0] // len(contenders)


def test_rounds_are_as_many_as_an_interval_needs_and_end_when_all_are_known_or_time_is_up() -> None:
    assert rounds_taken([True, True], measure.Settings(limit_s=100)) == measure.MIN_ROUNDS
    assert rounds_taken([True, False], measure.Settings(limit_s=100)) == measure.MAX_ROUNDS
    assert rounds_taken([True, False], measure.Settings(limit_s=100), take_s=5.0) == 10
    assert rounds_taken([True, True], measure.Settings(limit_s=3), take_s=1.0) == 2
