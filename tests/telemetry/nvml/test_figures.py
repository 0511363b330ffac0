"""Differences of counters, and windows too short for a figure."""

from __future__ import annotations

import pytest

from suite.telemetry.nvml.calls import REASONS
from suite.telemetry.nvml.figures import Counters, difference, mean_power, spent
from suite.telemetry.reading import Reading
from tests.support.nvml import (
    SAMPLES_ALIVE,
    Child,
    reading,
    without,
)


def test_short_phases_have_no_energy_no_power_no_gpm(child: Child) -> None:
    advancing = {"energy_step_mj": 1000}
    phase = child("Gpu.open().sustained(burst, 0.05)", advancing)
    assert phase["energy_j"]["reason"].startswith("too short: 0.0")
    assert phase["joules_per_lookup"]["reason"] == phase["energy_j"]["reason"]
    assert phase["dram_utilisation_fraction"] == without("too short: GPM needs more than 0.1 s")
    assert phase["dram_bytes_per_s"] == phase["dram_utilisation_fraction"]
    assert child(SAMPLES_ALIVE) == 0
    phase = child("Gpu.open().sustained(burst, 0.32)", advancing)
    assert phase["energy_j"] == reading(1.0)
    assert phase["mean_power_w"]["reason"].endswith("of at least 1 s")
    assert phase["dram_utilisation_fraction"]["value"]


def test_a_phase_without_lookups_has_no_energy_per_lookup(child: Child) -> None:
    phase = child("Gpu.open().sustained(lambda: burst(lookups=0), 0.32)", {"energy_step_mj": 1000})
    assert phase["energy_j"] == reading(1.0)
    assert phase["joules_per_lookup"] == without("no lookup was counted")


def counted(at_s: float, throttled_ns: int = 0) -> Counters:
    none: Reading[int] = Reading(None, "not asked")
    throttled = {"sync_boost": Reading(throttled_ns), "software_thermal": none}
    return Counters(at_s, Reading(1.0), throttled, none, none, none, none, Reading(300.0))


def test_a_difference_has_what_was_gained_between_two_readings() -> None:
    gained = difference(counted(10.0, 5), counted(12.0, 500_000_005))
    assert gained.elapsed_s == 2.0
    assert gained.throttled_s == {
        "sync_boost": Reading(0.5),
        "software_thermal": Reading(None, "not asked"),
    }


@pytest.mark.parametrize(
    ("elapsed_s", "energy", "power"), [(0.25, False, False), (0.5, True, False), (1.0, True, True)]
)
def test_figures_over_a_short_window_are_left_out(elapsed_s: float, energy: bool, power: bool) -> None:
    joules = spent(Reading(1.0), Reading(2.0), elapsed_s)
    assert (joules.value is not None) == energy
    assert (mean_power(joules, elapsed_s).value is not None) == power
    throttled = difference(counted(0.0), counted(elapsed_s)).throttled_s["sync_boost"]
    assert (throttled.value is not None) == energy
    if not energy:
        assert joules.reason == throttled.reason == "too short: 0.250 s of at least 0.3 s"


def test_energy_and_its_mean_power() -> None:
    joules = spent(Reading(1.1), Reading(2.2), 2.0)
    assert joules == Reading(1.1)
    assert mean_power(joules, 2.0) == Reading(0.55)


def test_an_energy_counter_that_stands_still_or_goes_back_is_no_figure() -> None:
    still = spent(Reading(7.0), Reading(7.0), 2.0)
    assert still.reason == mean_power(still, 2.0).reason == "the energy counter stood still"
    back = spent(Reading(7.0), Reading(6.0), 2.0)
    assert back.reason == "the counter went back: driver reloaded or GPU reset"
    assert spent(Reading(7.0), Reading(None, REASONS[15]), 2.0).reason == "GPU is lost"
