"""The clocks, on a device with a known answer: what is in a time, what is not, and when the queue ran dry."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest

from suite.engine.clocks import cuda as cuda_clocks
from suite.engine.clocks.cuda import (
    CALLS,
    GIVEN_UP,
    GRAPH_S,
    LONG,
    MAX_ENTRIES,
    MAX_HOLD_S,
    MAX_QUEUED,
    REPLAYS,
    SPARE_S,
    CudaClock,
    Flushes,
)
from suite.engine.clocks.graph import Graph, Graphs
from suite.engine.clocks.host import MAX_TURN_NS, WARM_UP_READINGS, HostClock
from suite.engine.turns import TURN_S, Turns
from tests.stand_ins.fake_cuda import NODE_S, FakeCuda, busy

US = 1e-6


def cuda_clock(cuda: FakeCuda, flush: Callable[[], None] | None = None) -> CudaClock:
    return CudaClock(cuda, Flushes(flush, flush))


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


@pytest.mark.parametrize("lasting", [False, True])
def test_what_is_kept_of_a_gpu_is_given_back_when_a_turn_ends(lasting: bool) -> None:
    clock = HostClock(lambda: None, kept=3, lasting=lasting)
    clock.turn([], [object] * 5, 1)
    assert len(clock.kept) == (3 if lasting else 0)


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
    lookup = cuda.kernel(device_us * US, dispatch_s=50 * US)
    turn = cuda_clock(cuda).turn([], [lookup] * 20, 1, [lookup] * CALLS)
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
    longest = clock.hold_s
    for _ in range(3):
        clock.turn([], [cuda.kernel(1 * US)] * 10, 1)
    assert clock.hold_s < longest, "and shrinks with what it is for"


def test_what_runs_dry_is_called_again_as_cold_as_before() -> None:
    cuda = FakeCuda()
    clock = CudaClock(cuda, Flushes(None, lambda: cuda.launch(2 * US, word="flush")))
    clock.hold_s, clock.enqueue_s = 0.0, 0.0
    cuda.log.clear()
    clock.turn([], [cuda.kernel(1 * US, dispatch_s=200 * US)] * 20, 1)
    holds = [number for number, word in enumerate(cuda.log) if word == "sleep"]
    assert len(holds) > 1
    assert all("flush" in cuda.log[a:b] for a, b in itertools.pairwise(holds))
    assert "flush" not in cuda.log[: holds[0]]


def test_what_waits_inside_costs_the_longest_hold_a_few_times_only() -> None:
    cuda = FakeCuda()

    def impatient() -> None:
        cuda.launch(5 * US)
        cuda.synchronize()

    clock = cuda_clock(cuda)
    for _ in range(GIVEN_UP):
        clock.turn([], [impatient], 1)
    cuda.log.clear()
    assert clock.turn([], [impatient] * 50, 1).held is False
    assert clock.hold_s == SPARE_S and cuda.log.count("sleep") == 1
    for _ in range(20):  # the stand-in's host is this one, which may be held up behind a short hold
        clock.turn([], [cuda.kernel(5 * US)] * 5, 1)
        if clock.dry == 0:
            return
    raise AssertionError("and what does not is given its time again")


def test_a_turn_ends_in_time_however_slow_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_clocks, "MAX_QUEUED", 4)
    monkeypatch.setattr(cuda_clocks, "MAX_TURN_NS", 20_000_000)
    cuda = FakeCuda()
    turn = cuda_clock(cuda).turn([], [cuda.kernel(1 * US, dispatch_s=1e-3)] * 200, 1)
    assert 4 <= len(turn.kernel_s) < 50 and not turn.whole
    assert MAX_TURN_NS < 0.5e9


@pytest.mark.parametrize("dispatch_us", [5, 25, 60])
def test_a_turn_is_sized_by_what_takes_longer(dispatch_us: float) -> None:
    """As many lookups as fit by their kernels of 3 µs would keep the host for several turns."""
    cuda = FakeCuda()
    lookup = cuda.kernel(3 * US, dispatch_s=dispatch_us * US)
    turns = Turns([lookup] * 400, cuda_clock(cuda), TURN_S, hot=False, flushed=False)
    turns.warm_up()
    assert turns.estimate_s == near(3 * US) and turns.pace_s >= dispatch_us * US
    order = turns.next_slots(np.random.default_rng(0))
    assert len(order.timed) * dispatch_us * US < 1.3 * TURN_S
    assert turns.repeat * 3 * US >= 19 * US, "events resolve 0.5 µs"


def test_calls_are_of_slots_of_their_own_as_cold_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CudaClock, "_queue", CudaClock._queue_once)  # a busy host would have it repeat some
    cuda, order = FakeCuda(), list[int]()
    slots = 300

    def lookup(number: int) -> Callable[[], None]:
        def call() -> None:
            order.append(number)
            cuda.launch(2 * US)

        return call

    lookups = [lookup(number) for number in range(slots)]
    clock = cuda_clock(cuda)
    turns = Turns(lookups, clock, 2e-3, hot=False, flushed=False)
    turns.warm_up()
    order.clear()
    for seed in range(3):
        parts = turns.next_slots(np.random.default_rng(seed))
        assert len(parts.called) == CALLS
        turns.take(*([lookups[k] for k in some] for some in (parts.warm_up, parts.timed, parts.called)))
    assert all(len(turn.call_s) == CALLS for turn in turns.past)
    since = {number: place for place, number in enumerate(order[:slots])}
    apart = []
    for place, number in enumerate(order):
        apart += [place - since[number]] if since.get(number, place) < place else []
        since[number] = place
    assert min(apart, default=slots) >= slots, "between two lookups of one slot are all the others"


# --- graphs -------------------------------------------------------------------------------------------


def graphs_of(cuda: FakeCuda, slots: int, seen: list[int], seconds: float = 3 * US) -> Graphs:
    def prepare(slot: int) -> Callable[[], object]:
        assert cuda.current is not None, "prepared on the stream that is captured"

        def lookup() -> object:
            seen.append(slot)
            cuda.launch(seconds)
            return slot

        return lookup

    return Graphs(cuda, prepare, slots)


@pytest.mark.parametrize(("hot", "slots", "nodes"), [(False, 7, 7), (False, 500, 64), (True, 1, 64)])
def test_a_graphs_time_is_of_a_lookup_in_it(hot: bool, slots: int, nodes: int) -> None:
    cuda, seen = FakeCuda(), list[int]()
    flushes = Flushes() if hot else Flushes(None, lambda: cuda.launch(50 * US, word="flush"))
    clock = CudaClock(cuda, flushes, graphs=graphs_of(cuda, slots, seen))
    lookup = cuda.kernel(3 * US)
    cuda.log.clear()
    turn = clock.turn([], [lookup] * 10, 1)
    clock.add_graph(turn)
    assert turn.graph_s == [near(3 * US + NODE_S)] * REPLAYS
    assert seen[-nodes:] == [k % slots for k in range(nodes)]
    assert turn.kernel_s == [near(3 * US)] * 10, "and is in no other"
    replays = [number for number, word in enumerate(cuda.log) if word == "graph"]
    assert len(replays) == REPLAYS + 1
    for before, now in itertools.pairwise(replays):
        assert ("flush" in cuda.log[before:now]) is not hot
        assert cuda.log[now - 1] == "record" and cuda.log[now + 1] == "record"
        assert "sleep" in cuda.log[before:now], "behind a hold, so that its launch is not in it"
    clock.add_graph(turn := clock.turn([], [lookup] * 10, 1))
    assert turn.graph_s, "and again in the next turn"


def test_a_graph_that_does_not_look_up_has_no_time() -> None:
    cuda, asked = FakeCuda(), list[tuple[int, int]]()

    def check(graph: Graph, slot: int) -> str | None:
        asked.append((graph.lookups, slot))
        graph.replay()
        return "replayed, it does not look up" if len(asked) == 2 else None

    graphs = graphs_of(cuda, 7, [])
    graphs.check = check
    clock = CudaClock(cuda, Flushes(None, lambda: None), graphs=graphs)
    lookup = cuda.kernel(3 * US)
    turns = [clock.turn([], [lookup] * 10, 1) for _ in range(3)]
    for turn in turns:
        clock.add_graph(turn)
    assert all(len(turn.graph_s) == REPLAYS for turn in turns) and asked == [(7, 6)], "of each length once"
    assert graphs.capture(5) is None and asked == [(7, 6), (5, 4)]
    assert graphs.missing == "replayed, it does not look up"


def test_the_launch_of_a_graph_is_not_in_its_time() -> None:
    cuda = FakeCuda()
    cuda.replay_s = 2e-3
    clock = CudaClock(cuda, graphs=graphs_of(cuda, 1, []))
    clock.add_graph(turn := clock.turn([], [cuda.kernel(3 * US)] * 10, 1))
    assert turn.graph_s == [near(3 * US + NODE_S)] * REPLAYS


def test_a_long_lookup_is_not_captured() -> None:
    cuda = FakeCuda()
    clock = CudaClock(cuda, graphs=graphs_of(cuda, 7, []))
    lookup = cuda.kernel(2 * GRAPH_S)
    clock.add_graph(turn := clock.turn([], [lookup] * 3, 1))
    assert not turn.graph_s
    assert clock.graphs is not None and clock.graphs.missing == LONG and not cuda.graphs


def test_a_refused_capture_is_a_reason_and_leaves_all_as_it_was() -> None:
    cuda = FakeCuda()

    def waits() -> None:
        cuda.launch(3 * US)
        cuda.synchronize()

    clock = CudaClock(cuda, graphs=Graphs(cuda, lambda slot: waits, 5))
    lookup = cuda.kernel(3 * US)
    turn = clock.turn([], [lookup] * 10, 1)
    clock.add_graph(turn)
    assert clock.graphs is not None
    assert clock.graphs.missing == "RuntimeError: operation not permitted when stream is capturing"
    assert not turn.graph_s and turn.kernel_s == [near(3 * US)] * 10
    assert cuda.captured is None and not cuda.routed, "its allocator is out of the capture"
    assert clock.turn([], [lookup] * 10, 1).kernel_s == [near(3 * US)] * 10
    assert clock.graphs.capture(3) is None and len(clock.graphs.refused) == 1


# --- the device's clock, gone on ------------------------------------------------------------------------


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
    monkeypatch.setattr(cuda_clocks, "MAX_QUEUED", 4)
    monkeypatch.setattr(cuda_clocks, "MAX_HOLD_S", 0.004)
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
    turn = clock.turn([], [cuda.kernel(7 * US)] * 12, 1, [cuda.kernel(7 * US)] * 3)
    assert turn.held is True
    assert turn.kernel_s == [near(7 * US)] * 12
    queued = cuda.log[cuda.log.index("sleep") + 2 :]
    assert queued[:8] == ["flush", "record", "kernel", "record"] * 2
    assert min(turn.call_s) < 300 * US, "the host waits for the flush before it starts its clock"
    assert cuda.log[1:9] == ["flush", "synchronize", "kernel", "synchronize"] * 2


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


@pytest.mark.parametrize("kept", [1, 7])
def test_the_last_sample_of_a_device_turn_leaves_its_result_and_nothing_else_is_kept(kept: int) -> None:
    cuda = FakeCuda()
    lookups = [cuda.kernel(1 * US, result=n) for n in range(20)]
    clock = CudaClock(cuda, kept=kept)
    assert clock.turn([], lookups, 1, lookups[:3]).result == 19
    assert not clock.kept


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
