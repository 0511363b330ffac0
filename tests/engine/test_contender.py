"""A contender's record: what it has shown beside what all records of a measurement share."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine.arrays import HostArrays
from suite.engine.clocks.graph import Graph
from suite.engine.contender import Contender, Shared, _samples
from suite.engine.turns import Turn, Turns
from suite.records.device import Device
from suite.records.record import Memory, Record, Traffic
from suite.telemetry.reading import Reading


def record(role: Any, memory: Memory, table: Reading[int]) -> Record:
    operands: Any = SimpleNamespace(case=Case(10, 8), arrays=SimpleNamespace(device=Device("cuda", 0)))
    contender = Contender(choose("numpy_take"), role, operands, memory=memory)
    contender.fail("error", "why")
    return contender.record(Shared("m", 0.01, Traffic(1, 1, 1, True, 1, False), table, {"context_bytes": 5}))


def test_a_record_has_its_tables_memory_and_each_reason_once() -> None:
    seen, lost = Memory(None, 1, 2), Memory(reason="lost")
    assert record("backend", seen, Reading(320)).memory == Memory(320, 1, 2)
    assert record("backend", seen, Reading(None, "lost")).memory == Memory(None, 1, 2, reason="table: lost")
    assert record("backend", lost, Reading(None, "lost")).memory.reason == "lost"
    assert record("backend", lost, Reading(None, "shrunk")).memory.reason == "lost; table: shrunk"


def test_the_ceiling_has_the_facts_of_the_device_and_no_memory_of_the_table() -> None:
    found = record("ceiling", Memory(), Reading(320))
    assert found.memory == Memory() and found.telemetry == {"context_bytes": 5}
    assert found.device == "cuda:0" and found.clock is None and found.reason == "why"


def test_a_librarys_own_out_of_memory_is_told_as_such() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    said = (
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 2147483648 bytes.",
        "[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY",
        "CUDA error: out of memory",
        "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 8",
        "std::bad_alloc",
    )
    errors = [*((RuntimeError(words), "out_of_memory") for words in said), (RuntimeError("x"), "error")]
    for error, status in [(OutOfMemoryError("x"), "out_of_memory"), *errors]:
        operands: Any = SimpleNamespace(case=Case(10, 8), arrays=HostArrays(), rebuild=lambda: None)
        contender = Contender(choose("numpy_take"), "backend", operands)
        with contender.failures_of("the lookup"):
            raise error
        assert contender.failure is not None and contender.failure[0] == status


class Pool:
    """Torch's allocator on a GPU, and a counter that sees its segments with all else on the device."""

    def __init__(self) -> None:
        self.taken = self.most = self.reserved = 0

    def take(self, size: int) -> None:
        """Memory for an array, from what is put by or in a segment of 2,000."""
        self.taken += size
        self.most = max(self.most, self.taken)
        self.reserved = max(self.reserved, -(-self.taken // 2000) * 2000)

    def watch_unused(self) -> Callable[[], int]:
        self.most = self.taken
        return lambda: self.reserved - self.most

    def synchronize(self) -> None:
        """Nothing waits."""

    def held_bytes(self) -> Reading[int]:
        return Reading(7_000_000 + self.reserved)

    def peak_bytes(self, call: Callable[[], object]) -> Reading[int]:
        call()
        return self.held_bytes()


@pytest.mark.parametrize("left_by_others", [0, 5000])
def test_memory_of_a_lookup_is_what_it_takes_whoever_freed_some_before(left_by_others: int) -> None:
    pool: Any = Pool()
    pool.take(100)  # the operands
    pool.take(left_by_others)
    pool.taken -= left_by_others

    def lookup() -> None:
        pool.take(500)
        pool.taken -= 500

    contender = Contender(choose("numpy_take"), "backend", SimpleNamespace(arrays=pool))
    contender.turns = cast(Any, SimpleNamespace(lookups=[lookup]))
    before = contender._used_bytes(pool)
    pool.take(300)
    contender._observe_memory(before, pool)
    assert (contender.memory.prepare_bytes, contender.memory.extra_bytes) == (300, 500)


def test_a_graph_of_the_lookups_fills_the_sustained_phase_where_there_can_be_one() -> None:
    asked: list[int] = []

    def capture(count: int) -> Graph | None:
        asked.append(count)
        return Graph(lambda: None, count, ()) if len(asked) < 3 else None

    case = Case(10, 8)
    operands: Any = SimpleNamespace(case=case, arrays=SimpleNamespace(synchronize=lambda: None))
    contender = Contender(choose("numpy_take"), "backend", operands)
    contender.graphs = cast(Any, SimpleNamespace(capture=capture))
    turn = Turn(kernel_s=[3e-6], graph_s=[4e-6])
    for lookups in (1, 300, 300):
        clock = cast(Any, SimpleNamespace(name="kernel"))
        contender.turns = Turns([lambda: None] * lookups, clock, 0.02, lookups == 1, False, past=[turn])
        work = contender._work(1.0)
        assert (work.lookups, work.device_s, len(work.calls)) == (
            (1, 3e-6, 300) if len(asked) == 3 else (asked[-1], 4e-6, 1)
        )
    assert asked == [64, 300, 300] and contender._work(0.0).lookups == 1 and len(asked) == 3


@pytest.mark.parametrize("held", [(True, True, True), (False, True, True), (True, True, False)])
def test_a_queue_that_ran_dry_in_one_turn_did(held: tuple[bool, ...]) -> None:
    turn = {"call_s": [1.0], "kernel_s": [1.0], "enqueue_s": [1.0], "settling_s": [], "meter_s": []}
    past = [SimpleNamespace(**turn, began_s=0.0, held=one) for one in held]
    clock = SimpleNamespace(name="kernel", overhead_s=None, meter_threads=None)
    turns: Any = SimpleNamespace(past=past, repeat=1, clock=clock)
    assert _samples(turns, None).held == all(held)
