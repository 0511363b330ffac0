"""A contender's record: what it has shown beside what all records of a measurement share."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine.contender import Contender, Shared, _samples
from suite.records.device import Device
from suite.records.record import Memory, Record, Traffic
from suite.telemetry.reading import Reading


def record(role: Any, memory: Memory, table: Reading[int]) -> Record:
    operands: Any = SimpleNamespace(case=Case(10, 8), arrays=SimpleNamespace(device=Device("cuda", 0)))
    contender = Contender(choose("numpy_take"), role, operands, 0.02, None, memory=memory)
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
        operands: Any = SimpleNamespace(case=Case(10, 8))
        contender = Contender(choose("numpy_take"), "backend", operands, 0.02, None)
        with contender.failures_of("the lookup"):
            raise error
        assert contender.failure is not None and contender.failure[0] == status


@pytest.mark.parametrize("held", [(True, True, True), (False, True, True), (True, True, False)])
def test_a_queue_that_ran_dry_in_one_turn_did(held: tuple[bool, ...]) -> None:
    turn = {"call_s": [1.0], "kernel_s": [1.0], "enqueue_s": [1.0], "settling_s": [], "meter_s": []}
    past = [SimpleNamespace(**turn, began_s=0.0, held=one) for one in held]
    clock = SimpleNamespace(name="kernel", overhead_s=None, meter_threads=None)
    turns: Any = SimpleNamespace(past=past, repeat=1, clock=clock)
    assert _samples(turns).held == all(held)
