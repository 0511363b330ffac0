"""nvml_facts.py without a GPU: on host tensors and the stand-in for NVML's library."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.nvml import NO_LIBRARY, ON_HOST, Child
from tests.tools import nvml_bench, nvml_facts, nvml_over_time
from tests.tools.nvml_bench import DIFFERS, HOLDS, NOT_KNOWN, OPEN

pytestmark = pytest.mark.long  # all together: half a minute

SUBJECTS = [subject for subject, _, _ in nvml_facts.QUESTIONS]
OVER_TIME = ("energy, unit", "energy, interval")
LENGTHS = [subject for subject in SUBJECTS if subject.startswith("GPM over")]
POLLED = [subject for subject in SUBJECTS if subject.startswith("polling")]
WORKING = {"energy_w": 345, "energy_every_ms": 5, "field.186": "1 345678"}


def lines(host_gpu: Child, *subjects: str, settings: dict[str, Any] | None = None, more: str = "") -> Any:
    return host_gpu(f"facts({', '.join(map(repr, subjects))}{more})", {**WORKING, **(settings or {})})


# --- what is made of readings -------------------------------------------------------------------------


def test_only_readings_that_differ_are_changes() -> None:
    assert nvml_bench.changes([(0, 5), (1, 5), (2, 7), (3, 7), (4, 5)]) == [(2, 7), (4, 5)]


@pytest.mark.parametrize("over_s", [0.1, 1.0])
def test_when_a_rise_has_passed_a_share_of_itself(over_s: float) -> None:
    series = [(10 + k / 100, 100 + 300 * min(1.0, k / 100 / over_s)) for k in range(300)]
    for share in (0.5, 0.9):
        assert nvml_bench.passed(series, 10, 100, share) == pytest.approx(share * over_s, abs=0.02)
    assert nvml_bench.passed(series, 10, 380, 0.5) is None, "a tenth is no step"


@pytest.mark.parametrize(
    ("every_s", "watts", "interval", "unit"),
    [
        (0.1, 300, HOLDS, HOLDS),
        (0.02, 400, HOLDS, DIFFERS),
        (0.2, 300, DIFFERS, HOLDS),
        (0.1, 1, HOLDS, DIFFERS),
    ],
)
def test_the_energy_counter_is_judged_by_its_steps(
    every_s: float, watts: float, interval: str, unit: str
) -> None:
    steps = [(k * every_s, 5e9 + 300_000 * k * every_s) for k in range(20)]
    bench: Any = SimpleNamespace(once=lambda name, measure: (steps, watts))
    seen, verdict = nvml_over_time.energy_interval(bench)
    assert seen.startswith(f"{1e3 * every_s:.0f} ms at the median") and verdict == interval
    seen, verdict = nvml_over_time.energy_unit(bench)
    assert seen == f"300000 units a second while {watts} W were reported" and verdict == unit


@pytest.mark.parametrize(
    ("kernel", "enqueue", "verdict"),
    [(1.0, 1.0, "not seen"), (1.0, 1.1, HOLDS), (1.1, 1.0, HOLDS), (0.9, 1.0, "not seen"), (1.0, None, OPEN)],
)
def test_polling_is_judged_within_rounds(kernel: float, enqueue: float | None, verdict: str) -> None:
    drift = [1.0, 1.5, 2.0, 3.0, 2.0, 1.5, 1.0, 1.2]

    def rounds(factor: float | None) -> list[list[float]]:
        factors = [factor] * 8 if factor else [0.9, 1.2] * 4
        return [[1e-6 * d * f] * 5 for d, f in zip(drift, factors, strict=True)]

    taken = {0: (rounds(1.0), rounds(1.0)), 10: (rounds(kernel), rounds(enqueue))}
    bench: Any = SimpleNamespace(once=lambda name, measure: taken)
    seen, found = nvml_over_time.polled(10)(bench)
    assert found == verdict and seen.startswith(f"kernel {kernel:.3f}x")


# --- where all is told --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What the command prints where all is told."""
    return script(tmp_path_factory.mktemp("facts"), nvml_library)


@pytest.fixture(scope="module")
def told(printed: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Figure and verdict of every subject, from the lines of the command."""
    lines = printed.stdout.splitlines()[1 : 1 + len(SUBJECTS)]
    rows = [line.split(" | ") for line in lines]
    return {subject: [seen.removeprefix("seen: "), verdict] for subject, _, seen, verdict in rows}


def test_every_fact_has_its_figure(told: dict[str, list[str]]) -> None:
    assert list(told) == SUBJECTS
    assert {verdict for _, verdict in told.values()} <= {HOLDS, DIFFERS, OPEN, "not seen"}
    assert not [seen for seen, _ in told.values() if seen.startswith("nothing")]


def test_what_the_stand_in_settles_is_judged(told: dict[str, list[str]]) -> None:
    for subject in ("memory v2", "throttle fields", "memory temperature", "GPM"):
        assert told[subject][1] == HOLDS, told[subject]
    assert told["memory v2"][0].endswith("v2 excludes it")
    assert told["power"] == ["no visible step: 346 W idle, 346 W under load", OPEN]
    assert told["peak"][1] == DIFFERS, "the host copies at some GB/s"
    assert all(told[subject][1] == DIFFERS for subject in LENGTHS)
    assert "all on one side, so perhaps not of 3352 GB/s" in told[LENGTHS[0]][0]
    assert "251: not supported" in told["throttle fields"][0] and "271: 271" in told["throttle fields"][0]


@pytest.mark.parametrize(
    ("subject", "settings", "verdict"),
    [
        ("energy, unit", {"energy_w": 3450}, DIFFERS),
        ("energy, interval", {"energy_every_ms": 200}, DIFFERS),
        ("throttle fields", {"field.270": "error 3"}, DIFFERS),
        ("throttle fields", {"field.270": "error 3", "driver": "570.86.10"}, HOLDS),
        ("memory and CUDA", {}, DIFFERS),
        ("memory and CUDA", {"used": 85899345920 - 1001 - 2**30}, HOLDS),
    ],
)
def test_a_verdict_follows_what_is_seen(
    host_gpu: Child, subject: str, settings: dict[str, Any], verdict: str
) -> None:
    pace = 0.3 if "energy_every_ms" in settings else 0.05
    seen, found = lines(host_gpu, subject, settings=settings, more=f", pace={pace}")[subject]
    assert found == verdict, seen


PEAK = 3_352_320_000_000
"""Of the stand-in, which tells 10.5 % of it by GPM."""


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.105, HOLDS), (0.101, HOLDS), (0.095, DIFFERS), (0.2, DIFFERS)]
)
def test_gpm_is_held_against_the_bytes_of_a_copy(host_gpu: Child, share: float, verdict: str) -> None:
    found = lines(host_gpu, *LENGTHS[:2], more=f", rate={share * PEAK}")
    for seen, judged in found.values():
        assert seen.split(",")[0] == f"{0.105 / share:.3f}" and judged == verdict


@pytest.mark.parametrize(("told", "verdict"), [(100, DIFFERS), (80, HOLDS)])
def test_utilisation_is_held_against_the_fastest_copy(host_gpu: Child, told: int, verdict: str) -> None:
    settings = {"utilization": told}
    seen, found = lines(host_gpu, "utilization.memory", settings=settings, more=", rate=2e9")[
        "utilization.memory"
    ]
    assert seen.startswith(f"without gaps 2 GB/s (100%) reported as {told}%; half gaps") and found == verdict


def test_a_step_of_power_is_timed(host_gpu: Child) -> None:
    """One reading to try it and five of idleness; then it rises over 25 of 20 ms each, half a second."""
    host_gpu("__import__('pynvml').nvmlLib.stub_begin()")
    seen, _ = lines(host_gpu, "power", settings={"power_from": 7, "power_over": 25}, more=", pace=0.4")[
        "power"
    ]
    assert seen.startswith("100 to 346 W, half of it after ")


# --- where something is refused -----------------------------------------------------------------------

LOST_WITH = {
    "nvmlDeviceGetMemoryInfo_v2": ["memory v2", "memory and CUDA"],
    "nvmlDeviceGetMemoryInfo": ["memory v2"],
    "nvmlDeviceGetTotalEnergyConsumption": [*OVER_TIME],
    "nvmlDeviceGetPowerUsage": [*OVER_TIME, "power"],
    "nvmlDeviceGetFieldValues": ["power, field 186", "throttle fields", "memory temperature"],
    "nvmlSystemGetDriverVersion": ["throttle fields"],
    "nvmlGpmQueryDeviceSupport": ["GPM", *LENGTHS],
    "nvmlGpmSampleGet": ["GPM", *LENGTHS],
    "nvmlGpmMetricsGet": ["GPM", *LENGTHS],
    "nvmlDeviceGetMemoryBusWidth": ["peak", "GPM", *LENGTHS],
    "nvmlDeviceGetMaxClockInfo": ["peak", "GPM", *LENGTHS],
    "nvmlDeviceGetUtilizationRates": ["utilization.memory"],
    "nvmlDeviceGetClockInfo": POLLED,
}


@pytest.mark.parametrize("function", LOST_WITH)
def test_what_is_refused_is_a_line_with_its_reason(host_gpu: Child, function: str) -> None:
    lost = LOST_WITH[function]
    found = lines(host_gpu, *lost, "GPM", settings={function: 4})
    assert {subject: found[subject] for subject in lost} == {
        subject: ["nothing: no permission", NOT_KNOWN] for subject in lost
    }
    assert "GPM" in lost or found["GPM"][1] == HOLDS


@pytest.mark.parametrize(("code", "reason"), [(3, "not supported"), (15, "GPU is lost")])
def test_where_all_is_refused_every_line_says_so(host_gpu: Child, code: int, reason: str) -> None:
    found = lines(host_gpu, *SUBJECTS, "costs", settings={"every": code})
    assert list(found) == [*SUBJECTS, "cost of the counters"]
    assert set(map(tuple, found.values())) == {(f"nothing: {reason}", NOT_KNOWN)}


def test_a_hang_is_waited_for_once(host_gpu: Child) -> None:
    function = "nvmlDeviceGetPowerUsage"
    answer = host_gpu.answer("facts('power', 'GPM', 'peak', limit_s=0.1)", {**WORKING, function: "hang"})
    assert answer["took_s"] < 3
    found = answer["result"]
    assert found["GPM"][1] == HOLDS, "asked by calls of their own"
    assert found["power"] == [f"nothing: NVML hung: {function} was given up after 0.1 s", NOT_KNOWN]


def test_without_a_gpu_of_torch_nvml_is_still_asked(host_gpu: Child) -> None:
    found = lines(host_gpu, *SUBJECTS, more=", device='torch is built for the CPU only'")
    told = {subject for subject, (_, verdict) in found.items() if verdict != NOT_KNOWN}
    assert told == {"memory v2", "throttle fields", "memory temperature", "GPM"}
    others = {seen for seen, verdict in found.values() if verdict == NOT_KNOWN}
    assert others == {"nothing: torch is built for the CPU only"}


def test_every_call_has_its_cost(host_gpu: Child) -> None:
    found = lines(host_gpu, "costs", settings={"nvmlDeviceGetEccMode": 3})
    seen, verdict = found["cost of the counters"]
    assert " ms at the median, " in seen and verdict in (HOLDS, DIFFERS), "a busy machine may take its time"
    calls = {subject for subject in found if subject.startswith("nvml")}
    assert {"nvmlInit", "nvmlDeviceGetFieldValues", "nvmlGpmMetricsGet", "nvmlShutdown"} <= calls
    assert all("µs at the median" in found[call][0] for call in calls)
    assert found["nvmlDeviceGetEccMode"][0].endswith("of 30 (not supported)")


# --- the command --------------------------------------------------------------------------------------


def script(tmp_path: Path, nvml_library: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "settings").write_text("".join(f"{key}={value}\n" for key, value in WORKING.items()))
    variables = {
        **os.environ,
        "PYTHONPATH": ON_HOST,
        "LD_LIBRARY_PATH": str(nvml_library),
        "NVML_STUB": str(tmp_path / "settings"),
    }
    command = [sys.executable, "-m", "tests.tools.nvml_facts", "--gpu", "0", "--brief"]
    return subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_the_command_prints_a_line_a_fact(printed: subprocess.CompletedProcess[str]) -> None:
    done = printed
    assert done.returncode == 0 and done.stderr == "", done.stderr
    first, *rest = done.stdout.splitlines()
    assert first == "GPU 0: torch sees Stand-in; NVML sees NVIDIA H100"
    assert [line.split(" | ")[0] for line in rest[: len(SUBJECTS)]] == SUBJECTS
    for line in rest[:-1]:
        assert [part.split(":")[0] for part in line.split(" | ")[1:3]] == ["claimed", "seen"]
    assert NOT_KNOWN not in rest[-1] and nvml_facts.BROKE not in rest[-1] and HOLDS in rest[-1]


def test_the_command_without_nvml_says_why_there_is_nothing(tmp_path: Path) -> None:
    done = script(tmp_path, tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.endswith(f"NVML sees none ({NO_LIBRARY})")
    assert all(f"seen: nothing: {NO_LIBRARY} | {NOT_KNOWN}" in line for line in rest[:-1])
    assert rest[-1] == f"{len(SUBJECTS) + 1} {NOT_KNOWN}"


def test_a_slip_costs_its_own_line_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def slips(bench: Any) -> Any:
        raise ZeroDivisionError("by nothing")

    asked = (("a", "it works", slips), ("b", "it holds", lambda bench: ("1", HOLDS)))
    a, b = nvml_facts.facts(None, asked)
    assert (a.seen, a.verdict) == ("nothing: ZeroDivisionError: by nothing", nvml_facts.BROKE)
    assert str(b) == "b | claimed: it holds | seen: 1 | holds"
    monkeypatch.setattr(nvml_facts, "QUESTIONS", asked)
    monkeypatch.setattr(nvml_facts.facts, "__defaults__", (asked, 1.0))
    monkeypatch.setattr(nvml_facts, "costs", lambda bench: iter(()))
    monkeypatch.setattr(nvml_facts, "probe", lambda index: "there is none")
    assert nvml_facts.main([]) == 1


def test_what_has_not_begun_in_time_is_left_out() -> None:
    never = itertools.repeat(None)
    (late,) = nvml_facts.facts(None, (("a", "it works", lambda bench: next(never)),), time_s=-1.0)
    assert (late.seen, late.verdict) == ("nothing: not begun within -1 s", NOT_KNOWN)
