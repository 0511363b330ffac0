"""The schema of results/README.md says something of every field, and of no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from suite.analysis import fields, frame, outcomes
from suite.records import figures
from suite.telemetry.host import HostObserver
from suite.telemetry.nvidia import GpuObserver
from suite.telemetry.nvml.fields import _THROTTLE_FIELDS
from suite.telemetry.nvml.figures import Counters, Sustained
from suite.telemetry.reading import Reading
from suite.telemetry.sustained import Work
from tests.support import fabricate
from tests.tools import schema

CASE = fabricate.CASES[0]
WORK = Work(CASE.payload_bytes, [lambda: None], lambda: None, device_s=1.0)
OF_THE_DEVICE = {"memory_before_bytes", "context_bytes"}
OF_THE_PROCESS = {name for name in figures.TELEMETRY if name.startswith((figures.THREADS, figures.QUOTA))}


def seen_by_a_gpu() -> dict[str, object]:
    """All that a GPU's observer writes, from readings that are all there."""
    known = Reading(1.0, None)
    given = {f.name: known for f in dataclasses.fields(Counters)}
    counters = Counters(**{**given, "at_s": 0.0, "throttled_ns": dict.fromkeys(_THROTTLE_FIELDS, known)})
    whole = {f.name: known for f in dataclasses.fields(Sustained)}
    phase = Sustained(**{**whole, "lookups": 1, "elapsed_s": 1.0})
    gpu = SimpleNamespace(counters=lambda: counters, sustained=lambda burst, seconds: phase)
    observer = GpuObserver(gpu)
    return {**observer.watch()(), **observer.sustained(WORK, 1.0)}


def test_every_figure_of_the_counters_is_named_and_no_other() -> None:
    found = {name for name in seen_by_a_gpu() if not name.endswith("_missing")}
    of_a_file = {name for name in figures.TELEMETRY if name.startswith("file_")}  # see test_residency
    assert found | OF_THE_DEVICE | OF_THE_PROCESS | of_a_file == set(figures.TELEMETRY)


def test_a_cpus_figures_are_among_them(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text("5")
    found = HostObserver(tmp_path).sustained(WORK, 0.001)
    names = {name for name in found if not name.endswith("_missing")}
    assert {"energy_j", "joules_per_gb"} < names <= set(figures.TELEMETRY)


@pytest.mark.parametrize("kind", schema.KINDS)
def test_every_field_is_described_in_its_docstring(kind: type) -> None:
    said = schema.attributes(kind)
    assert set(said) == {field.name for field in dataclasses.fields(kind)}
    assert all(said.values())


def test_the_columns_are_those_of_the_table(tmp_path: Path) -> None:
    results = outcomes.read([fabricate.run(tmp_path / "r").path])
    assert list(frame.frame(results).columns) == list(fields.COLUMNS)
    assert schema.columns().count("\n") - 1 == len(fields.COLUMNS)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("gb_per_s", "GB/s"),
        ("dram_bytes_per_s", "bytes/s"),
        ("median_us", "µs"),
        ("sm_clock_hz_before", "Hz"),
        ("joules_per_gb", "J/GB"),
        ("fraction_of_peak", "of 1"),
        ("throttled_s", "s"),
        ("extra_memory_bytes", "bytes"),
        ("temperature_c_after", "°C"),
        *((name, "") for name in ("status", "held", "rounds")),
    ],
)
def test_a_unit_follows_from_the_name(name: str, unit: str) -> None:
    assert fields.unit(name) == unit
