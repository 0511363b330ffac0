"""Cold differs from hot where it should and does not where it should not; measured, on the CPU."""

from __future__ import annotations

import pytest

from suite import stats
from suite.cases.case import Case
from suite.engine import measure, operands
from suite.engine.arrays import HostArrays
from suite.machine.cpu import cache_bytes
from suite.records.record import Record
from suite.telemetry import host

CACHE = cache_bytes()


def median_s(case: Case) -> float:
    arrays = HostArrays()
    table = operands.build_table(arrays, *case.table)
    settings = measure.Settings(limit_s=1.0, cache_bytes=CACHE)
    records = measure.measure(
        case, ["numpy_take"], arrays, table, host.HostObserver(), settings, "m", lambda *_: None
    )
    record: Record = records[0]
    assert record.samples is not None, record.reason
    return stats.median(record.samples.call_s).value


@pytest.mark.parametrize("vocab", [200_000, 20_000], ids=["table over the cache", "table within it, swept"])
def test_few_rows_are_slower_cold(vocab: int) -> None:
    """64 rows of 1 KB: from memory, they cost several times what they cost from a cache near the core."""
    rows = {"vocab": vocab, "dim": 256, "batch": 64}
    cold, hot = (median_s(Case(**rows, cache=cache)) for cache in ("cold", "hot"))
    assert cold > 1.5 * hot


def test_a_lookup_larger_than_the_cache_is_as_slow_hot() -> None:
    """Four caches' worth of rows push each other out: asking again for the same ones gains nothing."""
    dim = 1024
    vocab = max(2 * CACHE // (dim * 4), 1000)
    rows = {"vocab": vocab, "dim": dim, "batch": 2 * CACHE // (dim * 4)}
    ratios = [median_s(Case(**rows, cache="cold")) / median_s(Case(**rows, cache="hot")) for _ in range(3)]
    assert 0.6 < sorted(ratios)[1] < 1.7, "the middle one of three: other load comes and goes"
