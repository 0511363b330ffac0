"""Cold and hot: how many batches take turns, when caches are flushed, and that it shows on the CPU."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
import pytest

from backends import choose
from suite import stats
from suite.cases import presets
from suite.cases.case import Case
from suite.engine import measure, operands, rotation
from suite.engine.arrays import HostArrays
from suite.machine.cpu import cache_bytes
from suite.records.record import Record
from suite.telemetry import host
from suite.telemetry.reading import Reading

CACHE = cache_bytes()


def cold_to_hot(vocab: int, dim: int, batch: int) -> Iterator[float]:
    """How many times longer a cold lookup takes, by the median; measured anew each time."""
    arrays = HostArrays()
    cold, hot = (Case(vocab, dim, batch=batch, cache=cache) for cache in ("cold", "hot"))
    table = operands.build_table(arrays, cold)
    settings = measure.Settings(limit_s=0.5, cache_bytes=CACHE)

    def median_s(case: Case) -> float:
        setup = measure.Setup(case, arrays, table, Reading(0), host.HostObserver(), settings)
        record: Record = measure.measure(setup, [choose("numpy_take")], "m", lambda *_: None)[0]
        assert record.samples is not None, record.reason
        return stats.median(record.samples.call_s).value

    while True:
        yield median_s(cold) / median_s(hot)


@pytest.mark.slow
@pytest.mark.parametrize("vocab", [200_000, 20_000], ids=["table over the cache", "table within it, flushed"])
def test_few_rows_are_slower_cold(vocab: int) -> None:
    """64 rows of 1 KB: from memory, they cost several times what they cost from a cache near the core."""
    assert next(cold_to_hot(vocab, dim=256, batch=64)) > 1.5


@pytest.mark.long
def test_a_lookup_larger_than_the_cache_is_as_slow_hot() -> None:
    """Four caches' worth of rows push each other out: asking again for the same ones gains nothing."""
    dim = 1024
    vocab = max(2 * CACHE // (dim * 4), 1000)
    alike = (0.6 < ratio < 1.7 for ratio in cold_to_hot(vocab, dim, batch=2 * CACHE // (dim * 4)))
    assert next(alike) or (next(alike) and next(alike)), "two of three: other load comes and goes"


Ints = npt.NDArray[Any]


def test_hot_is_one_batch_again_and_again() -> None:
    assert rotation.rotation_of(Case(10**6, 64, cache="hot"), 512, 2**25) == rotation.Rotation(1, flush=False)


def test_cold_rotates_until_twice_the_cache_has_gone_by() -> None:
    case = Case(10**6, 256, batch=1000)
    touched = rotation.touched_bytes(case, 1000)
    for size in (0, 1, touched // 2, touched, 10 * touched, 100 * touched):
        found = rotation.rotation_of(case, 1000, size)
        assert not found.flush
        assert (found.slots - 1) * touched >= rotation.MARGIN * size, "between two uses of one batch"
        assert found.slots == max(2, math.ceil(2 * size / touched) + 1)


def test_cold_flushes_where_the_slots_would_be_too_many() -> None:
    case = Case(10**9, 64, batch=100)
    touched = rotation.touched_bytes(case, 100)
    enough = (rotation.MAX_SLOTS - 1) * touched // rotation.MARGIN
    assert rotation.rotation_of(case, 100, enough) == rotation.Rotation(rotation.MAX_SLOTS, flush=False)
    assert rotation.rotation_of(case, 100, enough + touched) == rotation.Rotation(
        rotation.MAX_SLOTS, flush=True
    )


def test_cold_flushes_where_the_table_has_too_few_rows() -> None:
    touched = rotation.touched_bytes(Case(1, 64, batch=100), 100)
    need = 11
    cache_bytes = (need - 1) * touched // rotation.MARGIN
    assert rotation.rotation_of(Case(100 * need, 64, batch=100), 100, cache_bytes) == rotation.Rotation(
        need, False
    )
    few = rotation.rotation_of(Case(100 * need - 1, 64, batch=100), 100, cache_bytes)
    assert few == rotation.Rotation(need - 1, flush=True)
    assert rotation.rotation_of(Case(64, 64, batch=100), 64, cache_bytes) == rotation.Rotation(1, flush=True)


def test_a_flush_goes_through_twice_the_cache() -> None:
    arrays = HostArrays()
    made: list[Ints] = []
    bytes_of = arrays.bytes
    arrays.bytes = lambda size: made.append(bytes_of(size)) or made[-1]  # type: ignore[method-assign,func-returns-value]
    flush = rotation.flush_of(arrays, 10**6)
    flush()
    flush()
    assert made[0].nbytes == rotation.MARGIN * 10**6
    assert (made[0] == 2).all(), "every byte is read and written"


def test_in_a_file_hot_rotates_as_cold_does_in_memory_and_cold_evicts_before_each_lookup() -> None:
    memory = Case(10**6, 64, batch=512)
    cached = Case(10**6, 64, batch=512, cache="hot", placement="file")
    assert rotation.rotation_of(cached, 512, 2**22) == rotation.rotation_of(memory, 512, 2**22)
    assert not cached.repeats and not cached.evicted
    cold = Case(10**6, 64, batch=512, placement="file")
    assert cold.evicted
    assert rotation.rotation_of(cold, 512, 2**22) == rotation.Rotation(rotation.MOST_EVICTED, flush=True)
    assert rotation.rotation_of(Case(4, 64, batch=512, placement="file"), 4, 2**22).slots == 1
    small = Case(10**6, 64, batch=512, cache="hot", placement="small-pages")
    assert small.repeats and rotation.rotation_of(small, 512, 2**22) == rotation.Rotation(1, flush=False)


@pytest.mark.parametrize("cache_bytes", [2**20, 50 * 2**20])
def test_what_a_case_needs_of_a_gpu_is_counted(cache_bytes: int) -> None:
    """Outputs, the copy's sources and what one backend keeps in a turn, of every slot, and the flush."""
    for case in itertools.chain(*presets.PRESETS["full"]):
        for distinct in {1, -(-case.batch // 2), min(case.batch, case.vocab)}:
            slots = rotation.rotation_of(case, distinct, cache_bytes).slots
            around = 2 * operands.GUARD_BYTES + 2 * operands._ALIGN
            held = slots * (3 * case.rows_bytes + case.ids_bytes + around) + rotation.MARGIN * cache_bytes
            assert rotation.needed_bytes(case, cache_bytes) >= held + case.rows_bytes, case
