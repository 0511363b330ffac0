"""The clocks, on a device with a known answer: what is in a time, what is not, and when the queue ran dry."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from suite.engine import clocks
from suite.engine.clocks import (
    CALLS,
    MAX_ENTRIES,
    MAX_HOLD_S,
    MAX_QUEUED,
    WARM_UP_READINGS,
    CudaClock,
    HostClock,
)
from tests.stand_ins.fake_cuda import FakeCuda, busy

US = 1e-6


def cuda_clock(cuda: FakeCuda, flush: Callable[[], None] | None = None) -> CudaClock:
    return CudaClock(cuda, flush)


def near(value: float, tolerance: float = 1e-6) -> object:
    """Device times are computed, not waited for: only rounding of the host's clock is left."""
    return pytest.approx(value, rel=1e-3, abs=tolerance * 1e-3)


class Counted:
    """A lookup that takes a known time on the host and knows how often it was called."""

    def __init__(self, seconds: float, result: Callable[[], object] = object) -> None:
        self.seconds = seconds
        self.result = result
        self.calls = 0

    def __call__(self) -> object:
        self.calls += 1
        busy(self.seconds)
        return self.result()


class Slow:
    """A result that takes its time to go."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __del__(self) -> None:
        busy(self.seconds)


# --- the host's clock ---------------------------------------------------------------------------------


def test_host_time_is_that_of_the_call() -> None:
    turn = HostClock().turn([], [Counted(2e-3)] * 5, 1)
    assert len(turn.call_s) == 5
    assert all(seconds >= 2e-3 for seconds in turn.call_s)
    assert min(turn.call_s) < 3e-3
    assert turn.kernel_s == turn.enqueue_s == []
    assert turn.held is None


def test_host_repeats_share_one_reading_and_times_are_per_lookup() -> None:
    lookup, slow = Counted(1e-3), Counted(10e-3)
    turn = HostClock().turn([], [lookup] * 8 + [slow] * 2, 4)
    assert (lookup.calls, slow.calls) == (8, 2)
    assert len(turn.call_s) == 3, "4 + 4 + 2"
    assert all(seconds >= 1e-3 for seconds in turn.call_s)
    assert min(turn.call_s) < 3e-3, "divided by the 4 lookups of the reading"
    assert 10e-3 <= turn.call_s[2] < 19e-3, "and the last by its 2"


def test_warm_up_calls_are_set_apart_in_few_readings() -> None:
    warm_up, timed = Counted(50 * US), Counted(2e-3)
    turn = HostClock().turn([warm_up] * 100, [timed] * 3, 1)
    assert (warm_up.calls, timed.calls) == (100, 3)
    assert len(turn.settling_s) <= WARM_UP_READINGS
    assert len(turn.call_s) == 3
    assert min(turn.call_s) >= 2e-3, "no warm-up call among the samples"
    assert min(turn.settling_s) < 1e-3


def test_results_are_freed_outside_the_timed_part() -> None:
    lookup = Counted(0.0, lambda: Slow(5e-3))
    turn = HostClock().turn([], [lookup] * 4, 1)
    assert min(turn.call_s) < 1e-3
    assert sorted(turn.call_s)[1] < 4e-3
    turn.result = None


def test_the_last_result_is_kept_for_a_check() -> None:
    results = iter(range(100))
    turn = HostClock().turn([lambda: next(results)], [lambda: next(results)] * 5, 2)
    assert turn.result == 5


def test_the_host_waits_where_the_rows_come_later() -> None:
    cuda = FakeCuda()
    clock = HostClock(cuda.synchronize)
    turn = clock.turn([], [cuda.kernel(3e-3)] * 3, 1)
    assert all(seconds >= 3e-3 for seconds in turn.call_s)
    assert HostClock().turn([], [cuda.kernel(3e-3)] * 3, 1).call_s[0] < 3e-3


def test_the_cost_of_reading_the_clock_is_measured() -> None:
    assert 0 < HostClock().overhead_s < 100 * US
    assert HostClock(lambda: busy(1e-4)).overhead_s >= 1e-4


def test_no_lookups_are_no_samples() -> None:
    turn = HostClock().turn([], [], 1)
    assert turn.settling_s == turn.call_s == []
    assert turn.result is None


# --- the device's clock -------------------------------------------------------------------------------


def test_cycles_are_calibrated() -> None:
    for rate in (1e9, 1.98e9):
        found = [cuda_clock(FakeCuda(rate)).cycles_per_s for _ in range(3)]
        assert max(found) == pytest.approx(rate, rel=0.05), "a gap before the sleep makes it look slower"


@pytest.mark.parametrize("device_us", [2.0, 500.0])
def test_kernel_time_has_no_dispatch_in_it(device_us: float) -> None:
    cuda = FakeCuda()
    turn = cuda_clock(cuda).turn([], [cuda.kernel(device_us * US, dispatch_s=50 * US)] * 20, 1)
    assert turn.held is True
    assert turn.kernel_s == [near(device_us * US)] * 20
    assert min(turn.enqueue_s) >= 50 * US
    assert len(turn.enqueue_s) == 20
    assert len(turn.call_s) == CALLS
    assert min(turn.call_s) >= (50 + device_us) * US, "from the call to the rows"


def test_without_a_hold_dispatch_would_be_in_it() -> None:
    """The stand-in shows the error that the hold is there to prevent."""
    cuda = FakeCuda()
    clock = cuda_clock(cuda)
    clock.hold_s = 0.0
    turn = clock._queue_once([cuda.kernel(2 * US, dispatch_s=50 * US)] * 20, 1)
    assert turn.held is False
    assert min(turn.kernel_s) > 40 * US


def test_the_hold_is_lengthened_until_it_holds() -> None:
    cuda = FakeCuda()
    clock = cuda_clock(cuda)
    clock.hold_s = 0.001
    turn = clock.turn([], [cuda.kernel(1 * US, dispatch_s=200 * US)] * 100, 1)
    assert turn.held is True
    assert 0.02 < clock.hold_s <= MAX_HOLD_S
    assert turn.kernel_s == [near(1 * US)] * 100, "samples of the attempts that ran dry are not kept"
    longer = clock.hold_s
    clock.turn([], [cuda.kernel(1 * US)] * 10, 1)
    assert clock.hold_s == longer, "and stays long enough for the next turn"


def test_a_lookup_that_waits_inside_is_seen() -> None:
    cuda = FakeCuda()

    def impatient() -> None:
        cuda.launch(5 * US)
        cuda.synchronize()

    clock = cuda_clock(cuda)
    turn = clock.turn([], [impatient] * 3, 1)
    assert turn.held is False
    assert clock.hold_s == MAX_HOLD_S, "it was given every chance"


def test_one_part_that_ran_dry_is_told_of_the_whole_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "MAX_QUEUED", 4)
    monkeypatch.setattr(clocks, "MAX_HOLD_S", 0.004)
    cuda = FakeCuda()
    calm = cuda.kernel(5 * US)

    def impatient() -> None:
        cuda.launch(5 * US)
        cuda.synchronize()

    for lookups in ([impatient] * 4 + [calm] * 4, [calm] * 4 + [impatient] * 4):
        turn = cuda_clock(cuda).turn([], lookups, 1)
        assert turn.held is False


def test_repeats_lie_between_one_pair_of_events() -> None:
    cuda = FakeCuda()
    clock = cuda_clock(cuda)
    cuda.log.clear()
    lookups = [cuda.kernel(n * US) for n in (1, 2, 3, 4, 5, 6, 10)]
    turn = clock.turn([], lookups, 3)
    assert turn.kernel_s == [near(2 * US), near(5 * US), near(10 * US)], "means of 3, 3 and the 1 left"
    assert len(turn.enqueue_s) == 3
    queued = cuda.log[cuda.log.index("sleep") + 2 :]
    assert queued[:5] == ["record", "kernel", "kernel", "kernel", "record"]


def test_the_flush_is_before_each_sample_and_outside_its_events() -> None:
    cuda = FakeCuda()
    clock = cuda_clock(cuda, lambda: cuda.launch(300 * US, word="flush"))
    cuda.log.clear()
    turn = clock.turn([], [cuda.kernel(7 * US)] * 12, 1)
    assert turn.held is True
    assert turn.kernel_s == [near(7 * US)] * 12
    queued = cuda.log[cuda.log.index("sleep") + 2 :]
    assert queued[:8] == ["flush", "record", "kernel", "record"] * 2
    assert min(turn.call_s) < 300 * US, "the host waits for the flush before it starts its clock"
    assert queued[-4:] == ["flush", "synchronize", "kernel", "synchronize"]


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("repeat", [1, 7, MAX_QUEUED])
def test_more_lookups_than_the_queue_takes_are_split(repeat: int, swept: bool) -> None:
    cuda = FakeCuda()
    count = 2 * MAX_QUEUED + 3
    durations = [(1 + n % 5) * US for n in range(count)]
    order: list[int] = []

    def lookup(number: int) -> Callable[[], None]:
        def call() -> None:
            order.append(number)
            cuda.launch(durations[number])

        return call

    clock = cuda_clock(cuda, (lambda: cuda.launch(2 * US, word="flush")) if swept else None)
    cuda.most_waiting, cuda.ends_s = 0, []
    turn = clock.turn([], [lookup(n) for n in range(count)], repeat)
    assert turn.held is True
    assert cuda.most_waiting <= MAX_ENTRIES + 3, "the hold and its events are entries too"
    assert turn.kernel_s == [
        near(sum(ours) / len(ours)) for ours in (durations[n : n + repeat] for n in range(0, count, repeat))
    ]
    assert len(turn.enqueue_s) == len(turn.kernel_s)
    assert set(order) == set(range(count)), "every lookup has its sample"


@pytest.mark.parametrize("launches", [1, 2, 3])
def test_lookups_of_several_launches_fit_the_queue_behind_flushs(launches: int) -> None:
    cuda = FakeCuda(depth=1000)
    clock = cuda_clock(cuda, lambda: cuda.launch(2 * US, word="flush"))

    def lookup() -> None:
        for _ in range(launches):
            cuda.launch(3 * US)

    turn = clock.turn([], [lookup] * MAX_QUEUED, 1)
    assert turn.held is True, "a host that waits for room finds the first sample past"
    assert turn.kernel_s == [near(launches * 3 * US)] * MAX_QUEUED


def test_a_turn_by_the_host_begins_when_the_flush_is_over() -> None:
    """A library with streams of its own does not wait for the one that flushs."""
    cuda = FakeCuda()
    clock = HostClock(cuda.synchronize)
    swept: list[bool] = []

    def lookup() -> None:
        swept.append(time.perf_counter() >= cuda.free_s)

    cuda.launch(5e-3, word="flush")
    turn = clock.turn([], [lookup], 1)
    assert swept == [True]
    assert turn.call_s[0] < 4e-3, "nor is the flush in the first call"


def test_device_settling_is_set_apart_and_waited_for() -> None:
    cuda = FakeCuda()
    turn = cuda_clock(cuda).turn([cuda.kernel(4e-3)] * 2, [cuda.kernel(3 * US)] * 4, 1)
    assert [seconds >= 4e-3 for seconds in turn.settling_s] == [True, True]
    assert turn.kernel_s == [near(3 * US)] * 4


def test_device_overhead_is_what_two_events_cost() -> None:
    assert 0 <= cuda_clock(FakeCuda()).overhead_s < 1 * US


def test_the_last_call_of_a_device_turn_leaves_its_result() -> None:
    cuda = FakeCuda()
    lookups = [cuda.kernel(1 * US, result=n) for n in range(20)]
    assert cuda_clock(cuda).turn([], lookups, 1).result == 19


def test_the_queue_is_empty_before_a_hold_begins() -> None:
    """What was enqueued before, by anybody, is no part of the first sample."""
    cuda = FakeCuda()
    clock = cuda_clock(cuda)
    cuda.launch(0.02)
    cuda.log.clear()
    began = time.perf_counter()
    turn = clock.turn([], [cuda.kernel(3 * US)] * 3, 1)
    assert cuda.log[cuda.log.index("sleep") - 2] == "synchronize", "but for the event of the hold"
    assert turn.kernel_s == [near(3 * US)] * 3
    assert time.perf_counter() - began >= 0.02


def test_the_hold_tells_the_devices_clock() -> None:
    cuda = FakeCuda(cycles_per_s=1.5e9)
    clock = CudaClock(cuda)
    lookups = [cuda.kernel(20e-6)] * 64
    full = clock.turn([], lookups, 1).meter_s
    cuda.cycles_per_s = 1e9  # as if it were too hot
    slow = clock.turn([], lookups, 1).meter_s
    assert max(full) == pytest.approx(10_000 / 1.5e9, rel=0.02)
    assert min(slow) == pytest.approx(10_000 / 1e9, rel=0.02)
    assert clock.meter_threads is None, "no round is judged by it"
