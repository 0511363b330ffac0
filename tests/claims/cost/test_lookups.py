"""The claims about lookups by batch, from fabricated records: as the suite's engine would give them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from suite.cases.case import Case
from suite.claims.cost import bandwidth, lookups
from suite.claims.finding import Finding
from suite.claims.target import Target, Unmeasured
from suite.records.device import CPU
from tests.support.engine import Engine

TARGET = Target.fitting(CPU, "qwen3-0.6b", 10**10, 2**25, 1, 0)
COPY_PER_S = 20e9
Time = Callable[[Case], float]


def engine(lookup_s: Time, copy_s: Time, called: float = 3.0) -> Engine:
    return Engine(lambda case, name: lookup_s(case) * (1.0 if name == "numba_cpu" else called), copy_s)


def judged(monkeypatch: pytest.MonkeyPatch, engine: Engine, place: Target = TARGET) -> dict[str, Finding]:
    engine.instead_of_workers(monkeypatch)
    return {finding.name: finding for finding in bandwidth.findings(place, 30.0)}


def copying(fixed_s: float) -> Time:
    return lambda case: fixed_s + 2 * case.rows_bytes / COPY_PER_S


def looking_up(fixed_s: float, factor: float = 1.0) -> Time:
    return lambda case: fixed_s + factor * case.payload_bytes / COPY_PER_S


def test_a_fixed_cost_shows_as_the_batch_where_it_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, engine(looking_up(10e-6), copying(10e-6)))
    assert found["index"].verdict == "FALSE", "what people call takes three times as long as a copy"
    assert found["index"].number.startswith("torch_embedding 3.0")
    assert "; numba_cpu 1.00 to " in found["index"].number
    assert found["bandwidth"].verdict == "IT DEPENDS"
    # 10 µs move 200 kB at 20 GB/s: some 49 rows of 4 kB, read and written.
    begins = int(found["bandwidth"].number.removeprefix("numba_cpu: from ").removesuffix(" ids on"))
    assert 42 <= begins <= 56
    assert "time = 10.0 µs + bytes / (20.0 GB/s)" in " ".join(found["bandwidth"].notes)


def test_without_a_fixed_cost_every_batch_is_bound_by_bandwidth(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, engine(looking_up(0.0), copying(0.0), called=1.1))
    assert (found["bandwidth"].verdict, found["index"].verdict) == ("TRUE", "TRUE")


def test_a_lookup_that_takes_twice_a_copy_is_no_array_index(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, engine(looking_up(0.0, 2.1), copying(0.0)))
    assert (found["bandwidth"].verdict, found["index"].verdict) == ("FALSE", "FALSE")


def test_every_plot_has_its_table_and_the_fastest_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = engine(looking_up(10e-6), copying(10e-6))
    found = judged(monkeypatch, stand_in)
    for finding in found.values():
        titles = [table.title for table in finding.tables]
        assert all(f"{plot.title} ({plot.y_label})" in titles for plot in finding.plots)
    (table, *_) = found["index"].tables
    assert [row[0] for row in table.rows] == list(lookups.BATCHES)
    assert {row[1] for row in table.rows} == {"numba_cpu"}
    left_out = found["index"].tables[-1]
    assert left_out.rows == (("uniform", 65536, "torch_embedding", "left out, for time"),)
    text = {job.case.batch for job in stand_in.jobs if job.case.distribution == "text"}
    assert text == set(lookups.TEXT_BATCHES)


def test_what_failed_is_told_and_nothing_at_all_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Case, name: str) -> float:
        return looking_up(0.0)(case) if case.batch < 999 else 0.0

    found = judged(monkeypatch, Engine(broken, copying(0.0)))
    told = found["index"].tables[-1].rows
    assert ("uniform", 1024, "numba_cpu, torch_embedding", "unsupported: rows are odd") in told

    with pytest.raises(Unmeasured, match="no lookup could be measured: crashed: rows are odd"):
        judged(monkeypatch, Engine(lambda case, name: 0.0, copying(0.0), status="crashed"))


def test_when_time_is_over_the_rest_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = engine(looking_up(0.0), copying(0.0))
    stand_in.instead_of_workers(monkeypatch)
    sweep = lookups.measure(TARGET, -1.0)
    assert not sweep.outcomes and not stand_in.jobs
    late = {("uniform", 65536, "torch_embedding"): "left out, for time"}
    assert {key: why for key, why in sweep.missing.items() if why != "no time was left"} == late
