"""The meter: what it reads, when a turn reads it, on which threads, and what a measurement makes of it."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import measure, meter, operands
from suite.engine.arrays import HostArrays
from suite.engine.clocks.cuda import CudaClock
from suite.engine.clocks.host import HostClock
from suite.engine.contender import Contender
from suite.engine.meter import CHAINS, METER_NS, RESULT, RUNS, STEPS, Meter, MeterChanged, meter_of
from suite.engine.turns import Turn, Turns
from suite.records.record import Record, from_json, to_json
from suite.telemetry.host import HostObserver
from suite.telemetry.reading import Reading
from tests.stand_ins.fake_cuda import FakeCuda, busy

US = 1e-6
LOW = (1 << 64) - 1


def metered(meters: Callable[[bool], Meter | None] = meter_of, threaded: bool = False) -> HostClock:
    clock = HostClock(meters=meters)
    clock.use_meter(threaded)
    return clock


def plausible(readings: Iterable[float]) -> bool:
    """Some 15 µs here; where others want the processor too, single ones are longer."""
    found = sorted(readings)
    return found[0] > 1 * US and found[len(found) // 4] < 1000 * US


def noted(log: list[str], seconds: float = 0.0) -> Callable[[bool], Meter]:
    """A meter that takes a while to read and notes that it was."""

    def read() -> float:
        busy(seconds)
        log.append("meter")
        return 1e-5

    return lambda threaded: Meter(read, 2 if threaded else 1)


def records(names: list[str], gate: measure.Gate = lambda: True, **more: float) -> list[Record]:
    """A measurement beside NumPy's copy only: the others need torch and Numba, and seconds."""
    arrays, case = HostArrays(), Case(5000, 32, batch=64, cache="hot")
    table = operands.build_table(arrays, case)
    settings = measure.Settings(**{"limit_s": 0.3, "cache_bytes": 2**16, **more})  # type: ignore[arg-type]
    setup = measure.Setup(case, arrays, table, Reading(None, "not asked"), HostObserver(), settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        return measure.measure(setup, [choose(name) for name in names], "m", lambda *_: None, gate=gate)


@pytest.fixture
def made_anew() -> Iterator[None]:
    """Meters of this test's own."""
    made = (meter._compiled, meter._of_the_caller, meter._of_library)
    for each in made:
        each.cache_clear()
    yield
    for each in made:
        each.cache_clear()


# --- what it reads ------------------------------------------------------------------------------------


def test_the_work_comes_to_what_its_chains_come_to() -> None:
    ends = list(CHAINS)
    for step in range(STEPS):
        ends = [(end ^ (end + step)) & LOW for end in ends]
    assert sum(ends) & LOW == RESULT & LOW
    assert meter_of(threaded=False) is not None, "Numba's compiler is here, and came to the same"


def test_it_reads_the_time_of_the_work() -> None:
    alone = meter_of(threaded=False)
    assert alone is not None and alone.threads == 1
    assert plausible(alone.read() for _ in range(50))
    assert meter_of(threaded=False) is alone, "one a process"


def test_on_threads_each_of_the_pools_does_the_work() -> None:
    torch = pytest.importorskip("torch")
    pool = meter_of(threaded=True)
    assert pool is not None and pool.threads == torch.get_num_threads()
    assert plausible(pool.read() for _ in range(50))


def test_without_torch_threads_have_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert meter_of(threaded=True) is meter_of(threaded=False)


def test_a_reading_is_the_least_of_its_runs_and_the_first_run_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(meter, "perf_counter_ns", lambda: next(clock))
    lengths = iter([1000, 5, 3, 4] * 2)

    def work(cell: int) -> None:
        add(cell)
        for _ in range(next(lengths)):
            next(clock)

    found = meter._meter(work, 1)
    assert found is not None and RUNS == 3
    assert found.read() == pytest.approx(4e-9)


def test_work_that_comes_to_something_else_is_no_reading() -> None:
    amount = RESULT
    found = meter._meter(lambda cell: add(cell, amount), 1)
    assert found is not None
    amount += 1
    with pytest.raises(MeterChanged):
        found.read()
    assert meter._meter(lambda cell: add(cell, amount), 1) is None, "nor is there such a meter"
    assert meter._meter(add, 2) is None, "nor one that a thread is missing of"


def add(cell: int, amount: int = RESULT) -> None:
    """What the work does to its result."""
    from ctypes import c_int64

    c_int64.from_address(cell).value += amount


@pytest.mark.usefixtures("made_anew")
def test_without_numbas_compiler_there_is_no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    assert meter_of(threaded=False) is None and meter_of(threaded=True) is None
    for record in records(["numpy_take"]):
        assert record.status == "ok" and record.samples is not None
        assert record.samples.meter_s == () and record.samples.meter_threads is None
        assert len(record.samples.began_s) == len(record.samples.call_s)
        assert from_json(Record, to_json(record).encode()) == record


# --- when it is read ----------------------------------------------------------------------------------


def test_a_turn_reads_it_before_its_calls_and_after() -> None:
    log: list[str] = []
    turn = metered(noted(log)).turn([lambda: log.append("warm up")], [lambda: log.append("call")] * 4, 2)
    assert log == ["meter", "warm up", "call", "call", "call", "call", "meter"]
    assert turn.meter_s == [1e-5, 1e-5]


def test_a_long_turn_reads_it_between_samples_and_never_within_one() -> None:
    log: list[str] = []

    def lookup() -> None:
        busy(0.7 * METER_NS * 1e-9)
        log.append("call")

    turn = metered(noted(log)).turn([], [lookup] * 6, 2)
    assert log == ["meter", *["call", "call", "meter"] * 3]
    assert len(turn.meter_s) == 4 and len(turn.call_s) == 3


def test_a_turn_of_many_samples_reads_it_now_and_then() -> None:
    began = time.perf_counter_ns()
    turn = metered().turn([], [lambda: busy(1e-3)] * 16, 1)
    took = time.perf_counter_ns() - began
    assert 4 <= len(turn.meter_s) <= 2 + took / METER_NS, "before, after 5, 10 and 15 ms, and after"


def test_no_sample_has_a_reading_in_it() -> None:
    turn = metered(noted([], 4e-3)).turn([lambda: busy(1e-3)] * 8, [lambda: busy(1e-3)] * 12, 1)
    assert len(turn.meter_s) > 3
    assert sorted(turn.call_s)[9] < 4e-3 and sorted(turn.settling_s)[5] < 4e-3


def test_a_spot_check_takes_no_reading_away() -> None:
    turn = Turn(call_s=[1.0, 2.0], meter_s=[3.0, 4.0])
    turn.set_last_apart()
    assert turn.meter_s == [3.0, 4.0] and turn.call_s == [1.0]


def test_where_the_host_waits_for_a_device_none_is_read() -> None:
    cuda = FakeCuda()
    for clock, held in ((HostClock(cuda.synchronize), 0), (CudaClock(cuda), 1)):
        clock.use_meter(threaded=True)
        turn = clock.turn([], [cuda.kernel(1e-5)] * 3, 1)
        assert clock.meter_threads is None and len(turn.meter_s) == held, "but for the hold of the queue"
        assert abs(turn.began_s - time.time()) < 5


# --- on which threads ---------------------------------------------------------------------------------


def chosen(lookup: Callable[[], Any]) -> int | None:
    clock = HostClock(meters=noted([]))
    Turns([lookup], clock, 0.02, hot=True, flushed=False).warm_up()
    return clock.meter_threads


def test_a_lookup_on_threads_is_measured_beside_the_meter_of_all() -> None:
    block = bytes(1 << 20)

    def hashed(_: int) -> None:  # without the interpreter's lock
        hashlib.sha256(block)

    with ThreadPoolExecutor(2) as pool:
        assert chosen(lambda: list(pool.map(hashed, range(2)))) == 2
    assert chosen(lambda: hashed(0)) == 1
    assert chosen(lambda: time.sleep(0.001)) in (1, 2), "no time of anybody's: either will do"


def test_threads_that_still_look_for_work_make_nobody_threaded() -> None:
    pytest.importorskip("torch")
    pool, here = meter_of(threaded=True), np.zeros(10)
    assert pool is not None
    found = []
    for _ in range(9):
        pool.read()
        found.append(chosen(here.sum))
    assert sorted(found)[2] == 1, "now and then the machine is too busy for them to sleep"


# --- what a measurement makes of it -------------------------------------------------------------------


def test_a_record_has_the_readings_of_every_turn_and_when_it_began() -> None:
    before = time.time()
    for record in records(["numpy_take"]):
        samples = record.samples
        assert samples is not None and samples.meter_threads is not None
        assert len(samples.meter_s) == len(samples.call_s) == len(samples.began_s)
        assert all(len(turn) >= 2 for turn in samples.meter_s)
        assert plausible(reading for turn in samples.meter_s for reading in turn)
        assert list(samples.began_s) == sorted(samples.began_s)
        assert before - 1 < samples.began_s[0] and samples.began_s[-1] < time.time() + 1
        assert from_json(Record, to_json(record).encode()) == record


def contender(turns: list[Turn], threads: int | None = 1) -> Contender:
    at: Any = SimpleNamespace(case=Case(10, 8))
    clock: Any = SimpleNamespace(name="call", meter_threads=threads)
    found = Contender(choose("numpy_take"), "backend", at)
    found.turns = Turns([], clock, 0.02, hot=True, flushed=False, past=turns)
    return found


def test_rounds_at_full_speed_have_all_their_readings_there() -> None:
    turns = [Turn(call_s=[k], meter_s=m) for k, m in enumerate([[1.0, 1.05], [1.0, 1.2], [1.3, 1.0], [1.06]])]
    assert contender(turns).turns.rounds_at({1: 1.0, 2: 9.0}) == [[0], [3]]  # type: ignore[union-attr]
    assert contender(turns, None).turns.rounds_at({}) == [[0], [1], [2], [3]]  # type: ignore[union-attr]


def test_known_is_what_is_known_at_full_speed() -> None:
    fast = [Turn(call_s=[1.0], meter_s=[1.0, 1.0]) for _ in range(measure.MIN_ROUNDS)]
    slow = [Turn(call_s=[1.5], meter_s=[1.0, 1.4]) for _ in range(20)]
    assert measure._known([contender(fast)], 0.01)
    assert measure._known([contender(fast + slow)], 0.01), "rounds at another speed do not blur it"
    assert not measure._known([contender(fast[1:] + slow)], 0.01), "too few, however many others there are"
    assert not measure._known([contender(fast), contender(fast[1:] + slow)], 0.01)
    even = [*fast, *slow[: len(fast)]]
    assert measure._known([contender(even)], 0.01)
    assert not measure._known([contender(even, None)], 0.01), "without a meter every round counts"
    alone, threaded = contender(fast), contender([Turn(call_s=[1.0], meter_s=[2.0]) for _ in fast], 2)
    assert measure._known([alone, threaded], 0.01), "each number of threads has a full speed of its own"


def test_a_failed_contender_is_waited_for_no_longer() -> None:
    fast = [Turn(call_s=[1.0], meter_s=[1.0]) for _ in range(measure.MIN_ROUNDS)]
    failed = contender(fast[:1])
    failed.fail("error", "why")
    assert measure._known([contender(fast), failed], 0.01)


def test_the_gate_is_asked_before_each_round_and_its_time_is_not_the_rounds() -> None:
    asked: list[float] = []

    def gate() -> bool:
        asked.append(time.perf_counter())
        if len(asked) < 4:
            time.sleep(0.3)
        return True

    found = records(["numpy_take"], gate, precision=0.0, limit_s=0.2)
    rounds = {len(record.samples.call_s) for record in found if record.samples}
    assert rounds == {len(asked)}
    assert len(asked) > 1, "one, did its time count"


@pytest.mark.parametrize(("least", "most_over_s", "rounds"), [(3, 60.0, 3), (1, 60.0, 1), (50, 0.0, 1)])
def test_no_case_has_fewer_rounds_than_an_interval_needs(
    least: int, most_over_s: float, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over after the first; there is an end to that where rounds take for ever."""
    monkeypatch.setattr(measure, "MOST_OVER_S", most_over_s)
    found = records(["numpy_take"], precision=0.0, limit_s=1e-9, least_rounds=least)
    assert {len(record.samples.call_s) for record in found if record.samples} == {rounds}


def test_a_gate_that_stays_shut_ends_the_rounds() -> None:
    asked: list[int] = []

    def gate() -> bool:
        asked.append(len(asked))
        return len(asked) < 4

    found = records(["numpy_take"], gate, precision=0.0, limit_s=60.0)
    assert {len(record.samples.call_s) for record in found if record.samples} == {3}


def test_the_meter_is_made_before_a_backend_is_loaded(tmp_path: Path, made_anew: None) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        '"""Mine."""\nfrom backends.base import Backend, BackendUnavailable\n'
        "from suite.engine import meter\n\n\nclass Mine(Backend):\n"
        '    devices = ("cpu",)\n\n'
        "    def prepare(self, table, indices, out):\n"
        "        raise BackendUnavailable(str(meter._of_the_caller.cache_info().currsize))\n"
    )
    (mine, _) = records([str(plugin)])
    assert mine.reason == "1"
