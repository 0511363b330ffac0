"""Every call of NVML with every error, and every call that hangs."""

from __future__ import annotations

import pytest

from suite.telemetry.nvml.calls import REASONS
from suite.telemetry.nvml.fields import OF_OLD_DRIVER
from tests.support.nvml import (
    ENERGY_OF_PHASE,
    MIG,
    SURVEY,
    Child,
    reading,
    without,
)

EVERYTHING = "everything"
IDENTITY_OF_DRIVER = "identity.driver_version"
LATE_THROTTLE = [
    f"counters.throttled_ns.{cause}"
    for cause in ("software_thermal", "hardware_thermal", "hardware_power_brake")
]
FIELDS = [
    *LATE_THROTTLE,
    *(f"counters.throttled_ns.{cause}" for cause in ("software_power_cap", "sync_boost")),
    "counters.memory_temperature_c",
]
SIZES = ("struct_version", "total_bytes", "used_bytes", "free_bytes", "reserved_bytes")
GPM = [
    f"sustained.{figure}"
    for figure in (
        "dram_utilisation_fraction",
        "dram_bytes_per_s",
        "sm_utilisation_fraction",
        "sm_occupancy_fraction",
        "pcie_tx_bytes_per_s",
        "pcie_rx_bytes_per_s",
    )
]
# Each function of the library, and all the figures that are lost with it.
LOST_WITH = {
    "nvmlInitWithFlags": EVERYTHING,
    "nvmlDeviceGetCount_v2": EVERYTHING,
    "nvmlDeviceGetHandleByIndex_v2": EVERYTHING,
    "nvmlDeviceGetName": ["identity.name"],
    "nvmlDeviceGetUUID": ["identity.uuid", "identity.gpu_uuid"],
    "nvmlDeviceGetPciInfo_v3": ["identity.pci_bus_id"],
    "nvmlSystemGetDriverVersion": [IDENTITY_OF_DRIVER, *LATE_THROTTLE],
    "nvmlSystemGetNVMLVersion": ["identity.nvml_version"],
    "nvmlSystemGetCudaDriverVersion": ["identity.cuda_driver_version"],
    "nvmlDeviceGetCudaComputeCapability": ["identity.compute_capability"],
    "nvmlDeviceGetMemoryBusWidth": [
        "identity.bus_width_bits",
        "identity.theoretical_peak_bytes_per_s",
        "sustained.dram_bytes_per_s",
    ],
    "nvmlDeviceGetMaxClockInfo": [
        "identity.max_memory_clock_hz",
        "identity.max_sm_clock_hz",
        "identity.theoretical_peak_bytes_per_s",
        "sustained.dram_bytes_per_s",
    ],
    "nvmlDeviceGetEnforcedPowerLimit": ["identity.power_limit_w"],
    "nvmlDeviceGetEccMode": ["identity.ecc_enabled"],
    "nvmlDeviceGetPersistenceMode": ["identity.persistence_enabled"],
    "nvmlDeviceGetMigMode": ["identity.mig_enabled"],
    "nvmlDeviceIsMigDeviceHandle": [],
    "nvmlDeviceGetMemoryInfo_v2": ["identity.total_memory_bytes", *(f"memory.{size}" for size in SIZES)],
    "nvmlDeviceGetComputeRunningProcesses_v3": ["memory.processes"],
    "nvmlDeviceGetFieldValues": FIELDS,
    "nvmlDeviceGetClockInfo": ["counters.sm_clock_hz", "counters.memory_clock_hz"],
    "nvmlDeviceGetTemperatureV": ["counters.temperature_c"],
    "nvmlDeviceGetPowerUsage": ["counters.power_w"],
    "nvmlDeviceGetTotalEnergyConsumption": [
        "counters.energy_j",
        *ENERGY_OF_PHASE,
    ],
    "nvmlGpmQueryDeviceSupport": GPM,
    "nvmlGpmSampleAlloc": GPM,
    "nvmlGpmSampleGet": GPM,
    "nvmlGpmMetricsGet": GPM,
    "nvmlGpmSampleFree": [],
    "nvmlShutdown": [],
}
# A driver that lacks these answers through an older version, tested below.
HAS_OLDER = {
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetTemperatureV",
}
# The rest of the codes differ by their text alone; one function goes through all of them.
COMMON_ERRORS = (1, 3, 4, 9, 10, 12, 13, 15, 18, 25, 999)


@pytest.mark.parametrize("function", LOST_WITH)
def test_each_error_of_each_call_is_a_null_with_its_reason(child: Child, function: str) -> None:
    usual = child(SURVEY, shortest_gpm_s=-1)
    assert len(usual) == 43
    for code in (*REASONS, 4321) if function == "nvmlDeviceGetPowerUsage" else COMMON_ERRORS:
        if function in HAS_OLDER and code in (13, 25):
            continue
        reason = REASONS.get(code, f"NVML error {code}")
        survey = child(SURVEY, {function: code}, shortest_gpm_s=-1)
        assert survey.keys() == usual.keys()
        for path, figure in survey.items():
            lost = LOST_WITH[function] == EVERYTHING or path in LOST_WITH[function]
            if path in ENERGY_OF_PHASE and not lost:
                assert figure["reason"].startswith("too short")
            else:
                assert figure == (without(reason) if lost else usual[path]), (function, code, path)


def test_the_survey_names_every_function_the_suite_calls(child: Child) -> None:
    """A call added to the suite without a row above, or below for the rarer ones, fails here."""
    elsewhere = {
        "nvmlDeviceGetHandleByUUID",
        "nvmlDeviceGetHandleByPciBusId_v2",
        "nvmlDeviceGetDeviceHandleFromMigDeviceHandle",
        "nvmlDeviceGetGpuInstanceId",
        "nvmlGpmMigSampleGet",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetComputeRunningProcesses_v2",
        "nvmlDeviceGetTemperature",
    }
    names = "sorted(__import__('pynvml')._nvmlGetFunctionPointer_cache)"
    child(SURVEY)
    child(f"at(Gpu.open({MIG!r}), gpm=True)")
    child("Gpu.open('00000000:10:00.0').unavailable")
    assert set(child(names)) <= {*LOST_WITH, *elsewhere}


@pytest.mark.parametrize("code", [13, 25])
def test_an_older_driver_answers_through_the_older_calls(child: Child, code: int) -> None:
    memory = child("Gpu.open().memory()", dict.fromkeys(HAS_OLDER, code))
    assert memory["struct_version"] == reading(1)
    assert memory["used_bytes"] == reading(3003)
    assert memory["reserved_bytes"] == without("not in version 1 of the structure")
    assert len(memory["processes"]["value"]) == 2
    assert child("Gpu.open().counters()", dict.fromkeys(HAS_OLDER, code))["temperature_c"] == reading(50)


@pytest.mark.parametrize("driver", ["570.172.08", "575.51.03", "580.65.06", "535.183.01", "unknown"])
def test_an_older_driver_is_not_asked_for_counters_it_numbers_otherwise(child: Child, driver: str) -> None:
    counters = child("Gpu.open().counters()", {"driver": driver})["throttled_ns"]
    for cause in ("software_thermal", "hardware_thermal", "hardware_power_brake"):
        assert counters[cause] == without(OF_OLD_DRIVER)
    assert counters["sync_boost"] == reading(76)


@pytest.mark.parametrize("driver", ["580.82.07", "590.44.01", "615.71"])
def test_a_newer_driver_is_asked_for_all_counters(child: Child, driver: str) -> None:
    counters = child("Gpu.open().counters()", {"driver": driver})["throttled_ns"]
    assert counters["hardware_thermal"] == reading(270)


def test_one_field_or_metric_fails_alone(child: Child) -> None:
    settings = {"field.82": "error 3", "field.76": "error 15", "field.270": "9 1", "gpm.10": "error 27"}
    survey = child(SURVEY, settings, shortest_gpm_s=-1)
    assert survey["counters.memory_temperature_c"] == without("not supported")
    assert survey["counters.throttled_ns.sync_boost"] == without("GPU is lost")
    assert survey["counters.throttled_ns.hardware_thermal"] == without("value of unknown type 9")
    assert survey["counters.throttled_ns.software_power_cap"] == reading(18446744073)
    assert survey["sustained.dram_utilisation_fraction"] == without("not ready")
    assert survey["sustained.dram_bytes_per_s"] == without("not ready")
    assert survey["sustained.sm_occupancy_fraction"] == reading(3.5 * 0.01)


def test_gpm_that_is_not_supported_or_not_a_number_is_a_reason(child: Child) -> None:
    survey = child(SURVEY, {"gpm": 0}, shortest_gpm_s=-1)
    assert all(survey[path] == without("not supported") for path in GPM)
    survey = child(SURVEY, {"gpm.10": "nan"}, shortest_gpm_s=-1)
    assert survey["sustained.dram_utilisation_fraction"] == without("not a number")


def test_a_bus_width_of_0_gives_no_peak(child: Child) -> None:
    identity = child("Gpu.open().identity()", {"width": 0})
    assert identity["bus_width_bits"] == without("reported as 0")
    assert identity["theoretical_peak_bytes_per_s"] == without("reported as 0")


def test_a_name_that_is_not_text_is_a_reason(child: Child) -> None:
    name = child("Gpu.open().identity()['name']", {"0.name": "NVIDIA"})
    assert name == reading("NVIDIA")
    assert child(BROKEN) == without("UnicodeDecodeError in pynvml")


BROKEN = "patched_ask(1.0, lambda: b'\\xff'.decode())"
HANG = "[(gpu := Gpu.open(limit_s=0.05, open_limit_s=0.05)), at(gpu, gpm=True)][1]"


@pytest.mark.parametrize("function", sorted(LOST_WITH.keys() - {"nvmlShutdown"}))
def test_a_hung_call_is_given_up_and_ends_the_rest_at_once(child: Child, function: str) -> None:
    answer = child.answer(HANG, {function: "hang"}, shortest_gpm_s=-1)
    assert answer["took_s"] < 0.6, "one limit, not one for each later call"
    reasons = {figure["reason"] for figure in answer["result"].values()}
    if function != "nvmlGpmSampleFree":  # the last call of all
        assert any("hung" in str(reason) for reason in reasons)
    for reason in reasons:
        assert reason is None or reason.endswith("was given up after 0.05 s") or "short" in reason


def test_after_a_hang_nothing_is_asked_any_more(child: Child) -> None:
    hung = "NVML hung: nvmlDeviceGetPowerUsage was given up after 0.05 s"
    both_times = child(
        "[(g := Gpu.open(limit_s=0.05)), g.counters().power_w, g.memory().used_bytes, g.unavailable][1:]",
        {"nvmlDeviceGetPowerUsage": "hang"},
    )
    assert both_times == [without(hung), without(hung), hung]


def test_a_hung_shutdown_is_given_up(child: Child) -> None:
    answer = child.answer(
        "[(gpu := Gpu.open(limit_s=0.05)), gpu.close(), gpu.unavailable][2]", {"nvmlShutdown": "hang"}
    )
    assert answer["result"].startswith("NVML hung: nvmlShutdown")
    assert answer["took_s"] < 0.6


def test_a_slow_call_is_waited_for(child: Child) -> None:
    slow = "patched_ask(2.0, lambda: time.sleep(0.1))"
    assert child(slow) == reading(True)
