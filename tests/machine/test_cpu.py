"""The processor and its caches, on made-up machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.machine.cpu import FALLBACK_CACHE_BYTES, cache_bytes, cache_levels, cpu_facts, frequencies_hz
from tests.support.machines import CPU, KIB, MIB, cache, eight_processors, machine


def test_the_processor_is_read_whole(tmp_path: Path) -> None:
    capped = {f"{CPU}/cpu{n}/cpufreq/scaling_max_freq": "2100000\n" for n in range(8)}
    facts = cpu_facts(machine(tmp_path, eight_processors(**capped)), frozenset(range(8)))
    told = {
        "model": "Test CPU @ 2.0GHz",
        "microcode": "0xb1",
        "hypervisor": True,
        "logical_cores": 8,
        "physical_cores": 4,
        "allowed_processors": 8,
        "allowed_cores": 4,
        "smt": True,
        "numa_nodes": 2,
        "allowed_numa_nodes": 2,
        "l1d_cache_bytes": 4 * 48 * KIB,
        "l2_cache_bytes": 4 * 2 * MIB,
        "l3_cache_bytes": 2 * 36 * MIB,
        "cache_bytes": 80 * MIB,
        "cache_bytes_known": True,
        "governor": "powersave",
        "frequency_driver": "intel_pstate",
        "turbo": True,
        "min_frequency_hz": 800_000_000,
        "max_frequency_hz": 3_500_000_000,
        "frequency_cap_hz": 2_100_000_000,
    }
    assert {key: facts[key] for key in told} == told


def test_only_the_allowed_processors_count(tmp_path: Path) -> None:
    root = machine(tmp_path, eight_processors())
    assert cache_levels(root, frozenset({2})) == {1: 48 * KIB, 2: 2 * MIB, 3: 36 * MIB}
    assert cache_levels(root, frozenset({0, 1, 6})) == {1: 96 * KIB, 2: 4 * MIB, 3: 72 * MIB}
    facts = cpu_facts(root, frozenset({0, 1}))
    assert (facts["allowed_cores"], facts["allowed_numa_nodes"], facts["physical_cores"]) == (1, 1, 4)


def test_caches_are_told_apart_by_id_alone_or_not_at_all(tmp_path: Path) -> None:
    by_id = cache(0, 0, 2, "Unified", "1M", id="0") | cache(1, 0, 2, "Unified", "1M", id="0")
    assert cache_levels(machine(tmp_path / "id", by_id), frozenset({0, 1})) == {2: MIB}
    bare = cache(0, 0, 2, "Unified", "1M") | cache(1, 0, 2, "Unified", "1M")
    assert cache_levels(machine(tmp_path / "bare", bare), frozenset({0, 1})) == {2: 2 * MIB}


@pytest.mark.parametrize("size", ["", "K", "-4K", "0K", "1e9", "99999999999999K", "12T", "٣K", "1" * 5000])
def test_a_size_no_cache_can_have_is_no_cache(tmp_path: Path, size: str) -> None:
    root = machine(tmp_path, cache(0, 0, 3, "Unified", size))
    assert cache_levels(root, frozenset({0})) == {}
    assert cache_bytes(root, frozenset({0})) == FALLBACK_CACHE_BYTES == 32 * MIB


def test_a_last_level_of_two_takes_the_first_along(tmp_path: Path) -> None:
    arm = (
        cache(0, 0, 1, "Data", "64K") | cache(0, 1, 1, "Instruction", "64K") | cache(0, 2, 2, "Unified", "1M")
    )
    assert cache_bytes(machine(tmp_path, arm), frozenset({0})) == MIB + 64 * KIB


def test_a_first_level_alone_is_not_believed(tmp_path: Path) -> None:
    root = machine(tmp_path, cache(0, 0, 1, "Data", "64K"))
    assert cache_bytes(root, frozenset({0})) == FALLBACK_CACHE_BYTES
    assert cpu_facts(root, frozenset({0}))["cache_bytes_known"] is False


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({"intel_pstate/no_turbo": "1"}, False),
        ({"intel_pstate/no_turbo": "0", "cpufreq/boost": "0"}, True),
        ({"cpufreq/boost": "1"}, True),
        ({"cpufreq/boost": "0"}, False),
        ({"cpu1/cpufreq/boost": "1", "cpu0/cpufreq/boost": "0"}, True),
        ({"cpu0/cpufreq/boost": "0"}, False),
        ({"cpufreq/boost": "2"}, None),
        ({}, None),
    ],
)
def test_turbo_is_read_from_either_driver(tmp_path: Path, files: dict[str, str], state: bool | None) -> None:
    root = machine(tmp_path, {f"{CPU}/{name}": content for name, content in files.items()})
    assert cpu_facts(root, frozenset({0, 1}))["turbo"] is state


def test_mixed_governors_are_both_named(tmp_path: Path) -> None:
    files = eight_processors(**{f"{CPU}/cpu3/cpufreq/scaling_governor": "performance"})
    root = machine(tmp_path, files)
    assert cpu_facts(root, frozenset(range(8)))["governor"] == "performance,powersave"
    assert cpu_facts(root, frozenset({3}))["governor"] == "performance"


def test_clocks_come_from_cpufreq_or_else_from_cpuinfo(tmp_path: Path) -> None:
    root = machine(tmp_path, eight_processors())
    assert frequencies_hz(root, frozenset({1, 4})) == (2_001_500_000, 2_004_500_000)
    machine(tmp_path, {f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "1200000"})
    assert frequencies_hz(root, frozenset({1, 4})) == (1_200_000_000,)


def test_arm_has_numbers_for_a_model(tmp_path: Path) -> None:
    arm = "processor\t: 0\nBogoMIPS\t: 50\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    facts = cpu_facts(machine(tmp_path, {"proc/cpuinfo": arm}), frozenset({0}))
    assert (facts["model"], facts["hypervisor"]) == ("implementer 0x41 part 0xd40", None)


def test_one_bad_byte_does_not_hide_a_file(tmp_path: Path) -> None:
    machine(tmp_path, {"proc/cpuinfo": b"vendor\t: \xff\nmodel name\t: Test\n"})
    assert cpu_facts(tmp_path, frozenset({0}))["model"] == "Test"
