"""NVML against a stand-in for the driver's library, through the real pynvml, in child processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.telemetry.nvml.calls import NOT_INSTALLED, REASONS
from suite.telemetry.nvml.fields import OF_OLD_DRIVER
from suite.telemetry.nvml.figures import Counters, difference
from suite.telemetry.nvml.find import visible
from suite.telemetry.reading import Reading, both
from tests.stand_ins.nvml_stub.build import build

ROOT = Path(__file__).resolve().parents[2]

STUB = ROOT / "tests/stand_ins/nvml_stub"
GPUS = [f"GPU-a000000{i}-0000-4000-8000-000000000000" for i in range(4)]
MIG = "MIG-11111111-2222-4333-8444-555555555555"
OF_WHOLE_GPU = "a figure of the whole GPU, not of a MIG instance"


class Child:
    """A process that sees the stub; what it is asked it evaluates with these settings of the stub."""

    def __init__(self, folder: Path, library: Path, **environ: str) -> None:
        variables = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library),
            "NVML_STUB": str(folder / "settings"),
            "PYTHONPATH": str(ROOT),
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, STUB / "child.py"],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(
        self,
        expression: str,
        settings: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        shortest_gpm_s: float = 0.1,
    ) -> Any:
        request = {
            "expression": expression,
            "settings": settings or {},
            "environ": environ or {},
            "shortest_gpm_s": shortest_gpm_s,
        }
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, expression: str, settings: dict[str, Any] | None = None, **more: Any) -> Any:
        answer = self.answer(expression, settings, **more)
        assert "raised" not in answer, answer["raised"]
        return answer["result"]

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0, "calls that hang must not keep the process from ending"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="module")
def child(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    child = Child(tmp_path_factory.mktemp("child"), library)
    yield child
    child.close()


def reading(value: Any) -> dict[str, Any]:
    return {"value": value, "reason": None}


def without(reason: str) -> dict[str, Any]:
    return {"value": None, "reason": reason}


# --- what is read where all works ---


def test_identity(child: Child) -> None:
    assert child("Gpu.open().identity()") == {
        "name": reading("NVIDIA H100"),
        "uuid": reading(GPUS[0]),
        "gpu_uuid": reading(GPUS[0]),
        "pci_bus_id": reading("00000000:10:00.0"),
        "driver_version": reading("580.95.05"),
        "nvml_version": reading("13.580.95.05"),
        "cuda_driver_version": reading("13.2"),
        "compute_capability": reading("9.0"),
        "total_memory_bytes": reading(85899345920),
        "bus_width_bits": reading(5120),
        "max_memory_clock_hz": reading(2_619_000_000),
        "max_sm_clock_hz": reading(1_980_000_000),
        "theoretical_peak_bytes_per_s": reading(3_352_320_000_000),
        "power_limit_w": reading(700.5),
        "ecc_enabled": reading(True),
        "persistence_enabled": reading(False),
        "mig_enabled": reading(False),
    }


def test_memory_in_version_2_with_its_processes(child: Child) -> None:
    assert child("Gpu.open().memory()") == {
        "struct_version": reading(2),
        "total_bytes": reading(85899345920),
        "used_bytes": reading(2002),
        "free_bytes": reading(85899345920 - 3003),
        "reserved_bytes": reading(1001),
        "processes": reading(
            [
                {"pid": 4000, "used_bytes": reading(123456789)},
                {"pid": 4001, "used_bytes": without("not available")},
            ]
        ),
    }


def test_no_process_is_an_empty_list_and_not_a_missing_one(child: Child) -> None:
    assert child("Gpu.open().memory().processes", {"processes": 0}) == reading([])


def test_counters(child: Child) -> None:
    counters = child("Gpu.open().counters()")
    assert counters.pop("at_s") > 0
    assert counters == {
        "energy_j": reading(5000000.001),
        "throttled_ns": {
            "software_power_cap": reading(18446744073),
            "sync_boost": reading(76),
            "software_thermal": reading(2690000000000),
            "hardware_thermal": reading(270),
            "hardware_power_brake": reading(271),
        },
        "temperature_c": reading(51),
        "memory_temperature_c": reading(61),
        "sm_clock_hz": reading(1_755_000_000),
        "memory_clock_hz": reading(2_618_000_000),
        "power_w": reading(345.678),
    }


def test_sustained_phase(child: Child) -> None:
    phase = child("Gpu.open().sustained(burst, 1.02)", {"energy_step_mj": 612345})
    lookups, elapsed_s = phase.pop("lookups"), phase.pop("elapsed_s")
    assert lookups % 3 == 0 and 90 < lookups <= 309
    assert 1.02 <= elapsed_s < 2
    assert phase == {
        "energy_j": reading(612.345),
        "joules_per_lookup": reading(612.345 / lookups),
        "mean_power_w": reading(612.345 / elapsed_s),
        "sm_utilisation_fraction": reading(2.5 * 0.01),
        "sm_occupancy_fraction": reading(3.5 * 0.01),
        "dram_utilisation_fraction": reading(10.5 * 0.01),
        "dram_bytes_per_s": reading(10.5 * 0.01 * 3_352_320_000_000),
        "pcie_tx_bytes_per_s": reading(20.5 * 1048576),
        "pcie_rx_bytes_per_s": reading(21.5 * 1048576),
    }


def test_however_short_a_phase_is_lookups_are_counted(child: Child) -> None:
    assert child("Gpu.open().sustained(lambda: 7, 0.0).lookups") == 7


def test_gpm_samples_are_given_back_even_when_the_lookups_fail(child: Child) -> None:
    assert child(SAMPLES_ALIVE) == 0
    raised = child.answer("Gpu.open().sustained(iter([1]).__next__, 1.0)")
    assert raised["raised"].startswith("StopIteration")
    assert child(SAMPLES_ALIVE) == 0


SAMPLES_ALIVE = "__import__('pynvml').nvmlLib.stub_samples_alive()"


# --- windows too short ---


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


def counted(at_s: float, energy_j: Reading[float], throttled_ns: int = 0) -> Counters:
    none: Reading[int] = Reading(None, "not asked")
    throttled = {"sync_boost": Reading(throttled_ns), "software_thermal": none}
    return Counters(at_s, energy_j, throttled, none, none, none, none, Reading(300.0))


def test_difference_of_counters() -> None:
    gained = difference(counted(10.0, Reading(1.1), 5), counted(12.0, Reading(2.2), 500_000_005))
    assert gained.elapsed_s == 2.0
    assert gained.energy_j == Reading(1.1)
    assert gained.mean_power_w == Reading(0.55)
    assert gained.power_w == Reading(300.0)
    assert gained.throttled_s == {
        "sync_boost": Reading(0.5),
        "software_thermal": Reading(None, "not asked"),
    }


@pytest.mark.parametrize(
    ("elapsed_s", "energy", "power"), [(0.25, False, False), (0.5, True, False), (1.0, True, True)]
)
def test_difference_over_a_short_window(elapsed_s: float, energy: bool, power: bool) -> None:
    gained = difference(counted(0.0, Reading(1.0)), counted(elapsed_s, Reading(2.0)))
    assert (gained.energy_j.value is not None) == energy
    assert (gained.throttled_s["sync_boost"].value is not None) == energy
    assert (gained.mean_power_w.value is not None) == power
    assert (gained.power_w.value is not None) == power
    if not energy:
        assert gained.energy_j.reason == "too short: 0.250 s of at least 0.3 s"


def test_an_energy_counter_that_stands_still_or_goes_back_is_no_figure() -> None:
    still = difference(counted(0.0, Reading(7.0)), counted(2.0, Reading(7.0)))
    assert still.energy_j.reason == still.mean_power_w.reason == "the energy counter stood still"
    back = difference(counted(0.0, Reading(7.0)), counted(2.0, Reading(6.0)))
    assert back.energy_j.reason == "the counter went back: driver reloaded or GPU reset"
    lost = difference(counted(0.0, Reading(7.0)), counted(2.0, Reading(None, REASONS[15])))
    assert lost.energy_j.reason == "GPU is lost"


def test_a_reading_is_a_value_or_a_reason() -> None:
    for value, reason in ((None, None), (1, "why")):
        with pytest.raises(ValueError, match="a value or a reason"):
            Reading(value, reason)
    assert Reading(0).then(str) == Reading("0")
    assert Reading(None, "why").then(str) == Reading(None, "why")
    assert both(Reading(1), Reading(None, "why"), max) == Reading(None, "why")


# --- every call, every error ---

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
ENERGY_OF_PHASE = [f"sustained.{figure}" for figure in ("energy_j", "joules_per_lookup", "mean_power_w")]
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
SURVEY = "at(Gpu.open(), gpm=True)"


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
def test_a_newer_driver_is(child: Child, driver: str) -> None:
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


def test_gpm_not_supported_or_not_a_number(child: Child) -> None:
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


# --- calls that hang ---

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


# --- nothing there ---


def test_closed(child: Child) -> None:
    initialized = "__import__('pynvml').nvmlLib.stub_initialized()"
    child("Gpu.open().unavailable")
    before = child(initialized)
    reason = child("[(gpu := Gpu.open()), gpu.close(), gpu.close(), gpu.memory().used_bytes][3]")
    assert reason == without("closed")
    assert child(initialized) == before
    assert child("Gpu.open('7').unavailable") == "no GPU 7: CUDA sees 1 of 1"
    assert child(initialized) == before, "what could not be opened is let go of"


@pytest.mark.parametrize(
    ("environ", "reason"),
    [({}, "NVML library not found: no NVIDIA driver"), ({"NVML_STUB_BLOCK": "1"}, NOT_INSTALLED)],
)
def test_no_driver_and_no_package(tmp_path: Path, environ: dict[str, str], reason: str) -> None:
    child = Child(tmp_path, tmp_path, **environ)
    try:
        assert child("Gpu.open().unavailable") == reason
        survey = child(SURVEY)
        assert survey and all(figure == without(reason) for figure in survey.values())
        assert child("Gpu.open().close()") is None
    finally:
        child.close()


def test_importing_loads_neither_pynvml_nor_torch() -> None:
    code = (
        "import sys, suite.telemetry.nvml.gpu; print(sorted({'pynvml', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


# --- which GPU ---

OPENED = "(lambda gpu: gpu.unavailable or gpu.identity()['uuid'].value)"
FOUR = {"count": 4}


def opened(child: Child, which: str, settings: dict[str, Any] | None = None, **environ: str) -> Any:
    return child(f"{OPENED}(Gpu.open({which!r}))", settings or FOUR, environ=environ)


@pytest.mark.parametrize(
    ("mask", "which", "uuid"),
    [
        (None, "2", GPUS[2]),
        ("3,1", "0", GPUS[3]),
        ("3,1", "1", GPUS[1]),
        (" 2 , 0", "0", GPUS[2]),
        (GPUS[1], "0", GPUS[1]),
        (f"{GPUS[3]},GPU-a0000002", "1", GPUS[2]),
        ("GPU-a0000002", "0", GPUS[2]),
        ("0,2,-1,1", "1", GPUS[2]),
        (f"2,{GPUS[0]}", "0", GPUS[2]),
    ],
)
def test_an_index_is_the_one_the_user_sees(child: Child, mask: str | None, which: str, uuid: str) -> None:
    environ = {} if mask is None else {"CUDA_VISIBLE_DEVICES": mask}
    assert opened(child, which, **environ) == uuid


@pytest.mark.parametrize(
    ("mask", "which", "seen"),
    [
        ("", "0", 0),
        ("-1", "0", 0),
        ("0,2,-1,1", "2", 2),
        ("1", "1", 1),
        ("1,1", "0", 0),
        ("9", "0", 0),
        ("GPU-a000", "0", 0),
        ("GPU-ffff", "0", 0),
        (f"2,{GPUS[0]}", "1", 1),
        ("a0000001", "0", 0),
        ("0,,1", "1", 1),
    ],
)
def test_a_gpu_that_cuda_hides_is_not_opened(child: Child, mask: str, which: str, seen: int) -> None:
    reason = opened(child, which, CUDA_VISIBLE_DEVICES=mask)
    assert reason == f"no GPU {which}: CUDA sees {seen} of 4 through CUDA_VISIBLE_DEVICES={mask}"


def test_an_index_beyond_the_last_gpu(child: Child) -> None:
    assert opened(child, "4") == "no GPU 4: CUDA sees 4 of 4"
    assert opened(child, "0", {"count": 0}) == "no GPU in this machine"


@pytest.mark.parametrize(
    ("which", "uuid"),
    [
        (GPUS[3], GPUS[3]),
        (GPUS[3].removeprefix("GPU-"), GPUS[3]),
        (MIG.removeprefix("MIG-"), MIG),
        ("GPU-a0000001", GPUS[1]),
        ("a0000001", GPUS[1]),
        ("00000000:12:00.0", GPUS[2]),
    ],
)
def test_a_uuid_or_a_bus_id_whatever_cuda_hides(child: Child, which: str, uuid: str) -> None:
    assert opened(child, which, CUDA_VISIBLE_DEVICES="0") == uuid


def test_a_uuid_that_fits_none_or_several(child: Child) -> None:
    assert opened(child, "GPU-a000") == "4 GPUs have a UUID that begins with GPU-a000"
    assert opened(child, "GPU-beef") == "0 GPUs have a UUID that begins with GPU-beef"
    assert opened(child, "00000000:77:00.0") == "not found"
    assert opened(child, GPUS[1], {"nvmlDeviceGetHandleByUUID": 15}) == "GPU is lost"
    assert opened(child, "00000000:11:00.0", {"nvmlDeviceGetHandleByPciBusId_v2": 4}) == "no permission"


def test_an_index_follows_the_pci_bus_and_not_nvmls_order(child: Child) -> None:
    swapped = {**FOUR, "0.bus": "00000000:F0:00.0"}
    assert opened(child, "0", swapped) == GPUS[1]
    assert opened(child, "3", swapped) == GPUS[0]


def test_an_index_among_different_gpus_is_refused_where_cuda_may_count_otherwise(child: Child) -> None:
    mixed = {**FOUR, "0.name": "NVIDIA T400"}
    refused = "the GPUs differ, so CUDA may count them otherwise: name one by its UUID"
    assert opened(child, "1", mixed) == refused
    assert opened(child, "0", mixed, CUDA_VISIBLE_DEVICES="1") == refused
    assert opened(child, "1", mixed, CUDA_DEVICE_ORDER="FASTEST_FIRST") == refused
    assert opened(child, "1", mixed, CUDA_DEVICE_ORDER="PCI_BUS_ID") == GPUS[1]
    assert opened(child, "0", mixed, CUDA_VISIBLE_DEVICES=GPUS[2]) == GPUS[2]
    assert opened(child, GPUS[1], mixed) == GPUS[1]


def test_a_gpu_that_is_lost_is_not_counted(child: Child) -> None:
    assert opened(child, "0", {**FOUR, "0.handle": 15}) == GPUS[1]
    assert opened(child, "3", {**FOUR, "0.handle": 15}) == "no GPU 3: CUDA sees 3 of 3"


def test_gpus_that_do_not_tell_their_uuid_are_still_counted(child: Child) -> None:
    bus = "Gpu.open('1').identity()['pci_bus_id']"
    mask = {"CUDA_VISIBLE_DEVICES": "3,2"}
    assert child(bus, {**FOUR, "nvmlDeviceGetUUID": 3}, environ=mask) == reading("00000000:12:00.0")


def test_visible_without_a_machine() -> None:
    assert visible(None, GPUS) == GPUS
    assert visible("MIG-1,MIG-2", GPUS) == ["MIG-1", "MIG-2"]
    assert visible("1,0", []) == []


# --- MIG ---


def test_a_mig_instance(child: Child) -> None:
    survey = child(f"at(Gpu.open({MIG!r}), gpm=True)", shortest_gpm_s=-1)
    whole = {path for path, figure in survey.items() if figure == without(OF_WHOLE_GPU)}
    assert whole == {
        "identity.bus_width_bits",
        "identity.theoretical_peak_bytes_per_s",
        "identity.power_limit_w",
        "counters.energy_j",
        "counters.power_w",
        "sustained.dram_bytes_per_s",
        *ENERGY_OF_PHASE,
    }
    assert survey["identity.name"] == reading("NVIDIA H100 MIG 1g.10gb")
    assert survey["identity.uuid"] == reading(MIG)
    assert survey["identity.gpu_uuid"] == reading(GPUS[0])
    assert survey["memory.total_bytes"] == reading(10737418240)
    assert survey["counters.sm_clock_hz"] == reading(1_755_000_000)
    # The stub adds the instance's number to what it answers for an instance.
    assert survey["sustained.dram_utilisation_fraction"] == reading(19.5 * 0.01)
    assert {path for path, figure in survey.items() if figure["value"] is None} == whole


def test_a_mig_instance_through_cuda_visible_devices(child: Child) -> None:
    assert opened(child, "0", CUDA_VISIBLE_DEVICES=MIG) == MIG


def test_an_index_of_a_gpu_in_mig_mode_is_refused(child: Child) -> None:
    assert opened(child, "1", {**FOUR, "mig": 1}) == "GPU 1 is in MIG mode: name an instance by its MIG- UUID"
    assert opened(child, GPUS[1], {**FOUR, "mig": 1}) == GPUS[1]


@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetDeviceHandleFromMigDeviceHandle", "nvmlDeviceGetGpuInstanceId"]
)
def test_a_mig_instance_whose_gpu_is_not_told(child: Child, function: str) -> None:
    assert opened(child, MIG, {function: 4}) == "no permission"


def test_gpm_of_a_mig_instance_may_be_refused(child: Child) -> None:
    survey = child(f"at(Gpu.open({MIG!r}), gpm=True)", {"nvmlGpmMigSampleGet": 4}, shortest_gpm_s=-1)
    assert survey["sustained.dram_utilisation_fraction"] == without("no permission")
