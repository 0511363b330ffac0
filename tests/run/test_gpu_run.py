"""A GPU's runs without a GPU: lookups on host tensors, the real pynvml on a stand-in for its library."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from suite.cases.case import Case
from suite.telemetry.nvidia import GIVEN_BACK
from suite.telemetry.nvml.calls import NOT_INSTALLED
from suite.telemetry.nvml.fields import OF_OLD_DRIVER
from suite.telemetry.sustained import OFF
from tests.support.nvml import NO_LIBRARY, ON_HOST, Child

UNTOLD = "memory, energy, clocks, temperature, memory temperature, throttling, DRAM traffic"
MIB = 2**20
CASE = Case(5000, 33, "bfloat16", 40, "int32")
"""As tests/stand_ins/nvml_stub/child.py has it."""
WELL = {"used_step": 2 * MIB, "energy_step_mj": 5000}

GAUGES = ("sm_clock_hz", "memory_clock_hz", "temperature_c", "memory_temperature_c")
CAUSES = ("software_power_cap", "sync_boost", "software_thermal", "hardware_thermal", "hardware_power_brake")
OF_A_CASE = (
    *("memory_before_bytes", "context_bytes", *(f"case_throttled_{cause}_s" for cause in CAUSES)),
    *(f"case_{gauge}_{when}" for gauge in GAUGES for when in ("before", "after")),
)
OF_A_PHASE = (
    *("energy_j", "joules_per_lookup", "joules_per_gb", "mean_power_w"),
    *("dram_bytes_per_s", "dram_bytes_per_lookup"),
    *(f"{gauge}_{when}" for gauge in GAUGES for when in ("before", "after")),
)
SIZES = ("table_bytes", "prepare_bytes", "extra_bytes")


def measured(host_gpu: Child, settings: dict[str, Any], sustain_s: float = 0.35) -> tuple[Any, Any]:
    """The record of a backend and that of the ceiling, of a worker that has just begun."""
    host_gpu("Gpu.open().unavailable")
    host_gpu("__import__('pynvml').nvmlLib.stub_begin()")
    one, copy = host_gpu(f"records('torch_index_select', {sustain_s})", settings)
    for record in (one, copy):
        assert record["status"] == "ok" and record["samples"]["kernel_s"], "times need no NVML"
        assert_told(record["telemetry"], OF_A_CASE)
    assert_told(one["telemetry"], OF_A_PHASE)
    memory = one["memory"]
    assert (None in [memory[size] for size in SIZES]) == (memory["reason"] is not None)
    return one, copy


def assert_told(telemetry: dict[str, Any], names: tuple[str, ...]) -> None:
    """Each of these figures is there or has its reason, and so has whatever else is null."""
    assert set(names) <= telemetry.keys()
    for name, value in telemetry.items():
        if not name.endswith("_missing"):
            assert (value is None) == bool(telemetry.get(f"{name}_missing")), name


def reasons(telemetry: dict[str, Any]) -> set[str]:
    return {str(value) for name, value in telemetry.items() if name.endswith("_missing")}


def test_where_all_is_told_every_figure_is_there(host_gpu: Child) -> None:
    one, copy = measured(host_gpu, WELL, sustain_s=1.05)
    assert not reasons(one["telemetry"]) and not reasons(copy["telemetry"])
    assert [one["memory"][size] for size in SIZES] == [2 * MIB] * 3, "one reading of the counter apart"
    seen = one["telemetry"]
    assert (seen["memory_before_bytes"], seen["context_bytes"]) == (2002, 2 * MIB)
    assert seen["energy_j"] > 0 and seen["energy_j"] % 5 == 0
    assert seen["joules_per_lookup"] == pytest.approx(seen["energy_j"] / seen["sustained_lookups"])
    assert seen["dram_bytes_per_s"] == pytest.approx(0.105 * 3_352_320_000_000)
    for record, moved in ((one, CASE.payload_bytes), (copy, 2 * CASE.rows_bytes)):
        seen = record["telemetry"]
        a_lookup_s = seen["sustained_s"] / seen["sustained_lookups"]
        assert seen["payload_bytes_per_s"] == pytest.approx(moved / a_lookup_s)
        assert seen["joules_per_gb"] == pytest.approx(seen["joules_per_lookup"] / moved * 1e9)
        assert seen["dram_bytes_per_lookup"] == pytest.approx(seen["dram_bytes_per_s"] * a_lookup_s)
        assert seen["mean_power_w"] == pytest.approx(seen["energy_j"] / seen["sustained_s"])
    assert copy["memory"]["table_bytes"] is None, "it reads no table"


def test_counters_are_those_before_and_those_after(host_gpu: Child) -> None:
    """Each reading of the counters is a step on: of a phase two, of a case those of its phases besides."""
    steps = {"clock_step_mhz": 3, "heat_step_c": 2, "throttle_step_ns": 10**6}
    for record in measured(host_gpu, {**WELL, **steps}):
        seen = record["telemetry"]
        for gauge, step in (("sm_clock_hz", 3e6), ("memory_clock_hz", 3e6), ("temperature_c", 2)):
            assert seen[f"{gauge}_after"] - seen[f"{gauge}_before"] == step, gauge
        for cause in CAUSES:
            assert seen[f"throttled_{cause}_s"] == pytest.approx(1e-3)
            assert seen[f"case_throttled_{cause}_s"] == pytest.approx(5e-3)
        for gauge, step in (("sm_clock_hz", 3e6), ("memory_clock_hz", 3e6), ("temperature_c", 2)):
            assert seen[f"case_{gauge}_after"] - seen[f"case_{gauge}_before"] == 5 * step, gauge


def test_a_table_that_leaves_no_trace_is_null_with_the_reason(host_gpu: Child) -> None:
    one, _ = measured(host_gpu, {"energy_step_mj": 5000})
    assert one["memory"]["table_bytes"] is None
    assert one["memory"]["reason"] == f"table: {GIVEN_BACK}"
    assert one["memory"]["prepare_bytes"] == one["memory"]["extra_bytes"] == 0


def test_without_a_sustained_phase_its_figures_say_so(host_gpu: Child) -> None:
    one, _ = measured(host_gpu, WELL, sustain_s=0.0)
    assert all(reason == OFF or reason.startswith("too short") for reason in reasons(one["telemetry"]))
    assert one["telemetry"]["energy_j_missing"] == one["telemetry"]["sm_clock_hz_after_missing"] == OFF
    assert one["memory"]["table_bytes"] == 2 * MIB


NOTHING = {
    "not supported": ({"every": 3}, "not supported"),
    "no permission": ({"every": 4}, "no permission"),
    "timed out": ({"every": 10}, "timed out"),
    "lost": ({"every": 15}, "GPU is lost"),
    "uninitialized": ({"every": 1}, "NVML is uninitialized"),
    "mismatch": ({"nvmlInitWithFlags": 18}, "version mismatch of driver and NVML library"),
    "not loaded": ({"nvmlInitWithFlags": 9}, "driver not loaded"),
}


@pytest.mark.parametrize("which", NOTHING)
def test_a_refusal_of_all_is_the_reason_of_all(host_gpu: Child, which: str) -> None:
    settings, reason = NOTHING[which]
    one, copy = measured(host_gpu, settings)
    assert reasons(one["telemetry"]) == reasons(copy["telemetry"]) == {reason}
    assert one["memory"]["reason"] == reason, "said once"
    assert all(one["telemetry"][name] is None for name in (*OF_A_CASE, *OF_A_PHASE))


ONE = {
    "nvmlDeviceGetTotalEnergyConsumption": ("energy_j", "joules_per_lookup", "joules_per_gb", "mean_power_w"),
    "nvmlGpmSampleGet": ("dram_bytes_per_s", "dram_bytes_per_lookup"),
    "nvmlDeviceGetClockInfo": tuple(
        f"{domain}_clock_hz_{when}" for domain in ("sm", "memory") for when in ("before", "after")
    ),
    "nvmlDeviceGetFieldValues": tuple(f"throttled_{cause}_s" for cause in CAUSES),
    "nvmlDeviceGetMemoryInfo_v2": ("memory_before_bytes", "context_bytes"),
}


@pytest.mark.parametrize("function", ONE)
def test_a_refusal_of_one_call_costs_its_figures_only(host_gpu: Child, function: str) -> None:
    one, _ = measured(host_gpu, {**WELL, function: 4})
    seen = one["telemetry"]
    assert {seen[f"{name}_missing"] for name in ONE[function]} == {"no permission"}
    kept = set(OF_A_PHASE) - set(ONE[function]) - {"mean_power_w"}  # the phase is too short for that
    if function != "nvmlDeviceGetFieldValues":  # the memory's temperature too
        assert all(seen[name] is not None for name in kept)
    assert (one["memory"]["table_bytes"] is None) == (function == "nvmlDeviceGetMemoryInfo_v2")


@pytest.mark.parametrize("calls", [12, 30, 45])
def test_a_gpu_lost_on_the_way_ends_no_run(host_gpu: Child, calls: int) -> None:
    one, _ = measured(host_gpu, {**WELL, "lost_after": calls})
    assert "GPU is lost" in reasons(one["telemetry"])
    values = [one["telemetry"][name] for name in (*OF_A_CASE, *OF_A_PHASE)]
    assert values.count(None) > 3


@pytest.mark.parametrize(
    "function",
    ["nvmlInitWithFlags", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetFieldValues", "nvmlGpmSampleGet"],
)
def test_a_hang_is_given_up_once_and_ends_no_run(host_gpu: Child, function: str) -> None:
    one, _ = measured(host_gpu, {**WELL, function: "hang"})
    hung = [reason for reason in reasons(one["telemetry"]) if reason.startswith("NVML hung")]
    assert len(hung) == 1 and hung[0].endswith("was given up after 0.1 s")


def test_what_is_missing_in_a_line(host_gpu: Child) -> None:
    alive = "__import__('pynvml').nvmlLib.stub_samples_alive()"
    before = host_gpu(alive)
    assert host_gpu("missing(Gpu.open())") is None
    assert host_gpu(alive) == before, "the sample taken to ask is given back"
    refused = {"nvmlDeviceGetTotalEnergyConsumption": 3, "nvmlGpmSampleGet": 4, "nvmlDeviceGetClockInfo": 3}
    assert host_gpu("missing(Gpu.open())", refused) == (
        "energy, clocks (not supported); DRAM traffic (no permission)"
    )
    assert host_gpu("missing(Gpu.open())", {"nvmlInitWithFlags": 4}) == f"{UNTOLD} (no permission)"


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ({"nvmlGpmMetricsGet": 4}, "DRAM traffic (no permission)"),
        ({"gpm.10": "error 3"}, "DRAM traffic (not supported)"),
        ({"width": 0}, "DRAM traffic (reported as 0)"),
        ({"field.82": "error 3"}, "memory temperature (not supported)"),
        ({"driver": "570.86.10"}, f"throttling by heat ({OF_OLD_DRIVER})"),
    ],
)
def test_what_is_missing_is_what_a_record_lacks(host_gpu: Child, refused: dict[str, Any], said: str) -> None:
    """Asked as a record would ask: DRAM traffic takes two samples, its metric and the peak."""
    assert host_gpu("missing(Gpu.open())", refused) == said
    one, _ = measured(host_gpu, {**WELL, **refused})
    assert said.rpartition(" (")[2][:-1] in reasons(one["telemetry"])


def test_dram_traffic_of_a_tenth_of_a_second_is_read(host_gpu: Child) -> None:
    taken = "__import__('pynvml').nvmlLib.stub_samples_taken()"
    before = host_gpu(taken)
    traffic = host_gpu("Gpu.open().dram_bytes_per_s()")
    assert traffic["value"] == pytest.approx(0.105 * 3_352_320_000_000)
    assert host_gpu(taken) == before + 2


# --- the command, its worker and its files ------------------------------------------------------------

BACKEND = '''"""Mine."""
from backends.base import Backend


class Mine(Backend):
    devices = ("cuda",)

    def prepare(self, table, indices, out):
        import torch

        return lambda: torch.index_select(table, 0, indices, out=out)
'''


FAULTY = BACKEND.replace(
    """        return lambda: torch.index_select(table, 0, indices, out=out)
""",
    """        def lookup():
            torch.cuda.synchronize = fault
            return torch.index_select(table, 0, indices, out=out)

        def fault(*_):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        return lookup
""",
)
"""Leaves the device as a kernel does that reads where it may not: all that is asked of it fails."""
COUNTED = """
import os
with open("workers", "a") as file:
    file.write(f"{os.getpid()}\\n")
"""
"""Notes the processes that it is loaded in."""


class Stubbed:
    """A command on tensors of the host with the stand-in for NVML, its settings, and what is amiss."""

    def __init__(
        self, *argv: str, driver: bool = True, settings: dict[str, Any] | None = None, **environ: str
    ) -> None:
        self.argv, self.driver, self.settings, self.environ = argv, driver, settings or {}, environ

    def ended(self, folder: Path, nvml_library: Path) -> subprocess.CompletedProcess[str]:
        """What it printed, run in this folder."""
        (folder / "settings").write_text("".join(f"{k}={v}\n" for k, v in self.settings.items()))
        (folder / "mine.py").write_text(BACKEND + COUNTED)
        (folder / "faulty.py").write_text(FAULTY + COUNTED)
        variables = {
            **os.environ,
            "PYTHONPATH": ON_HOST,
            "LD_LIBRARY_PATH": str(nvml_library if self.driver else folder),
            "NVML_STUB": str(folder / "settings"),
            **self.environ,
        }
        command = [sys.executable, "-m", *self.argv, "--gpu", "0"]
        return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, timeout=120)


RUN = (
    *("suite.run", "--threads", "1", "--vocab", "5000", "--dim", "33", "--batch", "40"),
    *("--sustain", "0.4", "--time-budget", "1s", "--passes", "1", "--backend", "mine.py", "--out", "run"),
)
LOST = (
    *("suite.run", "--threads", "1", "--vocab", "5000", "--dim", "33", "--batch", "40,41,42"),
    *("--sustain", "0", "--passes", "1", "--out", "run"),
    *("--backend", "faulty.py", "mine.py"),
)
DOCTOR = ("suite.doctor", "--no-noise")
COMMANDS = {
    "doctor, hung": Stubbed(*DOCTOR, settings={"nvmlDeviceGetPowerUsage": "hang"}),
    "run": Stubbed(*RUN, settings=WELL),
    "run, no library": Stubbed(*RUN, driver=False, settings=WELL),
    "run, no pynvml": Stubbed(*RUN, driver=False, settings=WELL, NVML_STUB_BLOCK="1"),
    "run, refused": Stubbed(*RUN, settings={"every": 4}),
    "run, device lost": Stubbed(*LOST, settings=WELL),
    "doctor": Stubbed(*DOCTOR),
    "doctor, in part": Stubbed(*DOCTOR, settings={"nvmlGpmSampleGet": 4, "nvmlDeviceGetMemoryInfo_v2": 3}),
    "doctor, no library": Stubbed(*DOCTOR, driver=False),
    "doctor, mismatch": Stubbed(*DOCTOR, settings={"nvmlInitWithFlags": 18}),
    "doctor, no GPU": Stubbed(*DOCTOR, settings={"count": 0}),
}
SELDOM = ("run, no library", "run, refused", "run, device lost")
"""What only long tests ask for."""
Ended = Callable[[str], tuple[subprocess.CompletedProcess[str], Path]]


@pytest.fixture(scope="module")
def ended(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """What each of the commands printed, and its folder; they run once, one after the other."""
    folders = {name: tmp_path_factory.mktemp("gpu") for name in COMMANDS}
    with ThreadPoolExecutor(1) as pool:
        begin = functools.cache(lambda name: pool.submit(COMMANDS[name].ended, folders[name], nvml_library))
        for name in COMMANDS:
            if name not in SELDOM:
                begin(name)
        yield lambda name: (begin(name).result(), folders[name])


@pytest.fixture(scope="module", autouse=True)
def begun(request: pytest.FixtureRequest) -> None:
    """Begin the commands before the first test, where one of those selected asks for them."""
    here = (item for item in request.session.items if item.path == request.path)
    if any("ended" in getattr(item, "fixturenames", ()) for item in here):
        request.getfixturevalue("ended")


def results(ended: Ended, name: str) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """What a run says on standard error, its environment and its records."""
    done, folder = ended(name)
    assert done.returncode == 0, done.stderr
    lines = (folder / "run" / "records.jsonl").read_text().splitlines()
    environment = json.loads((folder / "run" / "environment.json").read_text())
    return done.stderr, environment, [json.loads(line) for line in lines]


@pytest.mark.slow
def test_a_run_with_nvml_has_its_figures(ended: Ended) -> None:
    said, environment, (one, _) = results(ended, "run")
    assert "NVML" not in said
    assert environment["gpu"]["nvml_missing"] is None
    assert environment["gpu"]["theoretical_peak_bytes_per_s"] == 3_352_320_000_000
    assert one["device"] == "cuda:0" and one["clock"] == "kernel"
    assert one["memory"]["table_bytes"] == 2 * MIB
    assert one["telemetry"]["joules_per_lookup"] > 0 and one["telemetry"]["dram_bytes_per_lookup"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("run, no library", NO_LIBRARY, marks=pytest.mark.long),
        ("run, no pynvml", NOT_INSTALLED),
        pytest.param("run, refused", "no permission", marks=pytest.mark.long),
    ],
    ids=["library", "pynvml", "refused"],
)
def test_a_run_without_nvml_says_so_and_measures_times(ended: Ended, name: str, reason: str) -> None:
    said, environment, (one, copy) = results(ended, name)
    lines = [line for line in said.splitlines() if "NVML" in line]
    untold = f"{UNTOLD} ({reason})"
    assert lines == [f"gpu 0: NVML does not report {untold}; timings are unaffected"]
    assert environment["gpu"]["nvml_missing"] == untold
    assert one["samples"]["kernel_s"] and copy["samples"]["kernel_s"]
    assert reasons(one["telemetry"]) == {reason} and one["memory"]["reason"] == reason


@pytest.mark.long
def test_a_lost_device_costs_one_new_worker_a_case_and_two_cases(ended: Ended) -> None:
    done, folder = ended("run, device lost")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    records = [json.loads(line) for line in (folder / "run/records.jsonl").read_text().splitlines()]
    mine = [one["status"] for one in records if one["backend"] == "mine"]
    faulty = [(one["status"], one["reason"]) for one in records if one["backend"] == "faulty"]
    assert mine == ["ok"] * 3
    assert [status for status, _ in faulty] == ["crashed", "crashed", "left_out"]
    assert "left the device unusable, in: in the lookup: RuntimeError: CUDA error: an illegal" in faulty[0][1]
    assert len(set((folder / "workers").read_text().split())) == 3, "and the third case none"


# --- the doctor ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_doctor_shows_the_gpu_on_one_screen(ended: Ended) -> None:
    done, _ = ended("doctor")
    assert done.returncode == 0 and done.stderr == ""
    findings, _, libraries = done.stdout.partition("\nlibraries of the GPU's backends:\n")
    assert re.search("^ok +torch [^ ]+: [0-9]+ backends$", libraries, re.MULTILINE)
    rows = sum(max(1, -(-len(line) // 80)) for line in findings.splitlines())
    assert rows <= 33, "a screen of 24, six more where other work warns, three for the stand-in's variables"
    shown = " ".join(done.stdout.split())
    for words in (
        "NVIDIA H100, driver 580.95.05, CUDA 13.2, ECC on, at 10:00.0",
        "85.9 GB, 0.0 GB in use, peak 3352 GB/s by 5120 bits at 2619 MHz",
        "sees this GPU, L2 cache 1.0 MB",
        "51 °C, memory 61 °C",
        "memory, energy, clocks, DRAM traffic: all available",
        "2 (pid 4000, 4001)",
        "sudo nvidia-smi -i 00000000:10:00.0 -pm 1",
        "none in 0.",
        "700 W, 346 W drawn",
    ):
        assert words in shown


@pytest.mark.slow
def test_the_doctor_names_what_is_refused(ended: Ended) -> None:
    done, _ = ended("doctor, in part")
    assert done.returncode == 0 and done.stderr == ""
    assert "not available: memory (not supported); DRAM traffic (no permission)" in " ".join(
        done.stdout.split()
    )


@pytest.mark.slow
def test_a_driver_that_hangs_is_one_warning(ended: Ended) -> None:
    done, _ = ended("doctor, hung")
    assert done.returncode == 0 and done.stderr == ""
    of_the_gpu = [line.split("GPU: ")[1] for line in done.stdout.splitlines() if "GPU: " in line]
    hung = "NVML hung: nvmlDeviceGetPowerUsage was given up after 10 s"
    assert of_the_gpu == [f"driver: {hung}", "torch (sees this GPU, L2 cache 1.0 MB)"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["doctor, no library", "doctor, mismatch", "doctor, no GPU"])
def test_a_doctor_without_nvml_says_why_in_a_line(ended: Ended, name: str) -> None:
    done, _ = ended(name)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("GPU 0: ") and done.stderr.count("\n") == 1
