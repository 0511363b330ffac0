"""The two speeds of a machine: what the meter showed in ten seconds, and what can be done about it."""

from __future__ import annotations

import itertools
import random

import pytest

from suite.doctor import speed
from suite.engine import meter
from suite.engine.meter import Meter

FULL, SLOW = 1.5e-5, 2.145e-5


def readings(share: float) -> list[float]:
    return [FULL if k < 1000 * share else SLOW for k in random.Random(0).sample(range(1000), 1000)]


def test_two_speeds_are_a_warning_that_says_how_long_and_how_slow() -> None:
    found = speed.speed({"hypervisor": True}, readings(0.38), 10.0)
    assert (found.grade, found.state) == ("warn", "full for 38% of 10 s, else 1.43 times slower")
    assert found.why


@pytest.mark.parametrize(("share", "grade"), [(1.0, "ok"), (0.96, "ok"), (0.94, "warn"), (0.03, "warn")])
def test_one_speed_is_no_warning(share: float, grade: str) -> None:
    assert speed.speed({}, readings(share), 10.0).grade == grade


@pytest.mark.parametrize(
    ("cpu", "word"),
    [
        ({"hypervisor": True, "smt": True}, "dedicated host"),
        ({"hypervisor": False, "smt": True}, "smt/control"),
        ({"hypervisor": False, "smt": False}, "taskset"),
        ({}, "taskset"),
    ],
)
def test_what_is_advised_depends_on_the_machine(cpu: dict[str, bool], word: str) -> None:
    assert word in speed.speed(dict(cpu), readings(0.5), 10.0).advice


def test_without_a_meter_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "meter_of", lambda threaded: None)
    assert speed.watch(10.0) == []
    assert speed.speed({}, [], 10.0).grade == "unknown"


def test_it_is_watched_on_one_thread_for_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def meter_of(threaded: bool) -> Meter:
        asked.append(threaded)
        return Meter(lambda: FULL, 1)

    monkeypatch.setattr(meter, "meter_of", meter_of)
    ticks = itertools.count(0.0, 1.0)
    assert speed.watch(10.0, lambda: next(ticks)) == [FULL] * 9
    assert asked == [False]
