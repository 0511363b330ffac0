"""What the records of a case hold beside its times."""

from __future__ import annotations

import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import measure, operands
from suite.engine.arrays import HostArrays
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
        operands.build_table(arrays, *case.table),
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
