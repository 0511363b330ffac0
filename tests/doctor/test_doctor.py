"""suite.doctor: what it finds in made-up readings, the noise floor's statistics, the command line."""

from __future__ import annotations

import io
import math
import random
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from suite.doctor import host
from suite.doctor.__main__ import main, noise_floor, show
from suite.doctor.activity import Activity, GpuState, Offender, watch
from suite.doctor.finding import Finding
from suite.doctor.gpu import gpu_findings
from suite.doctor.host import findings
from suite.machine.cuda_device import CudaDevice
from suite.records.record import Environment, Fact
from suite.stats import Estimate, verdict
from suite.telemetry.nvml.figures import Counters, Difference, Memory, Process
from suite.telemetry.reading import Reading
from suite.worker.noise import LEAST, MIN_CASES, floor_of, in_words

QUIET_CPU: dict[str, Fact] = {
    "governor": "performance",
    "turbo": False,
    "hypervisor": False,
    "logical_cores": 8,
    "allowed_processors": 8,
    "allowed_numa_nodes": 1,
}
QUIET_SYSTEM: dict[str, Fact] = {
    "transparent_hugepage": "madvise",
    "swap_used_bytes": 0,
    "cgroup_version": 2,
    "cgroup_processors": None,
    "memory_available_bytes": 2**35,
    "cgroup_memory_limit_bytes": None,
    "cgroup_memory_free_bytes": None,
    "clock_source": "tsc",
    "load_1_min": 0.1,
}
QUIET = Activity(0.5, 0.05, 0.0, (), (3_000_000_000,) * 8)


def environment(cpu: dict[str, Fact] | None = None, system: dict[str, Fact] | None = None) -> Environment:
    return Environment("", (), 0, "", "unknown", None, "", ("cpu",), {}, cpu or {}, system or {})


def found(subject: str, activity: Activity = QUIET, **facts: Fact) -> Finding:
    """The finding of a quiet machine with these facts changed."""
    cpu = {key: facts.pop(key, value) for key, value in QUIET_CPU.items()}
    cpu["frequency_driver"] = facts.pop("frequency_driver", None)
    every = findings(environment(cpu, QUIET_SYSTEM | facts), activity)
    (one,) = [finding for finding in every if finding.subject == subject]
    return one


def test_a_quiet_machine_is_ok() -> None:
    every = findings(environment(QUIET_CPU, QUIET_SYSTEM), QUIET)
    assert {finding.grade for finding in every} == {"ok"}
    assert not any(finding.advice or finding.why for finding in every)
    assert len({finding.subject for finding in every}) == len(every) == 12


def test_a_machine_that_tells_nothing_is_unknown() -> None:
    every = findings(environment(), Activity(0.5))
    assert {finding.grade for finding in every} == {"unknown"}


def test_facts_of_a_wrong_type_are_unknown() -> None:
    odd: dict[str, Fact] = dict.fromkeys(QUIET_CPU | QUIET_SYSTEM, True)
    odd |= {"governor": 3, "turbo": "yes", "hypervisor": "yes"}
    assert all(finding.grade != "warn" for finding in findings(environment(odd, odd), Activity(0.5)))


WARNINGS: list[tuple[str, dict[str, Fact], str, str]] = [
    ("frequency governor", {"governor": "powersave"}, "powersave", "echo performance | sudo tee"),
    (
        "frequency governor",
        {"governor": "performance,powersave"},
        "performance,powersave",
        "scaling_governor",
    ),
    ("turbo", {"turbo": True}, "on", "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"),
    (
        "turbo",
        {"turbo": True, "frequency_driver": "intel_pstate"},
        "on",
        "echo 1 | sudo tee /sys/devices/system/cpu/intel",
    ),
    ("huge pages", {"transparent_hugepage": "never"}, "never", "echo madvise"),
    ("swap", {"swap_used_bytes": 2_000_000_000}, "2.0 GB in use", "swapoff -a"),
    ("threads", {"OMP_NUM_THREADS": "16"}, "OMP_NUM_THREADS=16", "OMP_NUM_THREADS=8"),
    ("threads", {"OMP_NUM_THREADS": "4,2"}, "OMP_NUM_THREADS=4,2", "OMP_NUM_THREADS=8"),
    ("threads", {"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "2"}, "MKL_NUM_THREADS=2", "MKL_NUM_THREADS=8"),
    ("threads", {"cgroup_processors": 2.5}, "not set", "OMP_NUM_THREADS=2"),
    ("threads", {"cgroup_processors": 0.5}, "not set", "OMP_NUM_THREADS=1"),
    ("processor quota", {"cgroup_processors": 2.5}, "2.5 of 8 processors", "--cpuset-cpus=0-1"),
    ("processor quota", {"cgroup_processors": 0.5}, "0.5 of 8 processors", "--cpuset-cpus=0-0"),
    ("memory", {"memory_available_bytes": 10**9}, "1.0 GB free", "end what holds it"),
    (
        "memory",
        {"cgroup_memory_free_bytes": 10**9, "cgroup_memory_limit_bytes": 2 * 10**9},
        "limited to 2.0 GB",
        "--memory",
    ),
    ("memory nodes", {"allowed_numa_nodes": 2}, "2", "numactl --cpunodebind=0 --membind=0"),
    ("clock source", {"clock_source": "hpet"}, "hpet", "echo tsc"),
]


@pytest.mark.parametrize(("subject", "facts", "state", "advice"), WARNINGS)
def test_warnings(subject: str, facts: dict[str, Fact], state: str, advice: str) -> None:
    finding = found(subject, **facts)
    assert finding.grade == "warn"
    assert state in finding.state and advice in finding.advice and finding.why


@pytest.mark.parametrize(
    ("subject", "facts"),
    [
        ("huge pages", {"transparent_hugepage": "always"}),
        ("swap", {"swap_used_bytes": 2**20}),
        ("threads", {"OMP_NUM_THREADS": "8"}),
        ("threads", {"OMP_NUM_THREADS": "2", "cgroup_processors": 2.0}),
        ("processor quota", {"cgroup_processors": 8.0}),
        ("clock source", {"clock_source": "kvm-clock"}),
        ("clock source", {"clock_source": "arch_sys_counter"}),
    ],
)
def test_no_false_alarm(subject: str, facts: dict[str, Fact]) -> None:
    assert found(subject, **facts).grade == "ok"


def test_other_load_names_the_top_offender() -> None:
    busy = replace(
        QUIET, other_processors=2.5, offenders=(Offender(77, "make", 1.9), Offender(78, "cc", 0.5))
    )
    finding = found("other load", busy)
    assert finding.grade == "warn"
    assert finding.state == "2.5 of 8 processors busy with others; most: make (pid 77) 1.9; load average 0.10"
    assert finding.advice.endswith("top -p 77")


def test_load_from_outside_a_container_has_no_name() -> None:
    finding = found("other load", replace(QUIET, other_processors=2.5))
    assert finding.grade == "warn" and "outside this container" in finding.advice


def test_a_large_machine_is_never_quite_idle() -> None:
    humming = replace(QUIET, other_processors=1.5)
    assert found("other load", humming).grade == "warn"
    assert found("other load", humming, logical_cores=192).grade == "ok"


@pytest.mark.parametrize(
    ("virtual", "stolen", "grade"),
    [
        (False, 0.0, "ok"),
        (True, 0.0, "unknown"),
        (True, 0.02, "warn"),
        (None, 0.02, "warn"),
        (None, 0.0, "unknown"),
        (True, None, "unknown"),
    ],
)
def test_virtual_machine(virtual: bool | None, stolen: float | None, grade: str) -> None:
    finding = found("virtual machine", replace(QUIET, stolen=stolen), hypervisor=virtual)
    assert finding.grade == grade


@pytest.mark.parametrize(
    ("mhz", "grade"), [((3000, 3100), "ok"), ((800, 3000), "warn"), ((), "unknown"), ((0, 3), "unknown")]
)
def test_clock_spread(mhz: tuple[int, ...], grade: str) -> None:
    clocks = tuple(value * 1_000_000 for value in mhz)
    assert found("clock spread", replace(QUIET, frequencies_hz=clocks)).grade == grade


def test_every_warning_says_why_and_what_to_do() -> None:
    noisy = {key: value for _, facts, _, _ in WARNINGS for key, value in facts.items()}
    activity = Activity(0.5, 5.0, 0.1, (), (1_000_000_000, 2_000_000_000))
    every = findings(environment(QUIET_CPU | noisy | {"hypervisor": True}, QUIET_SYSTEM | noisy), activity)
    warned = [finding for finding in every if finding.grade == "warn"]
    assert len(warned) == len(every)
    assert all(finding.why and finding.advice for finding in warned)


# --- a GPU


def gpu(identity: dict[str, Any] | None = None, **more: Any) -> GpuState:
    """A quiet GPU with these readings changed; a text is the reason why there is no value."""
    told = {
        "persistence_enabled": True,
        "ecc_enabled": True,
        "mig_enabled": False,
        "power_limit_w": 700.0,
        "max_sm_clock_hz": 1_980_000_000,
        "max_memory_clock_hz": 2_619_000_000,
        "pci_bus_id": "00000000:17:00.0",
        "name": "NVIDIA H100",
        "driver_version": "580.95.05",
        "cuda_driver_version": "13.2",
        "bus_width_bits": 5120,
        "theoretical_peak_bytes_per_s": 3_352_320_000_000,
    } | (identity or {})
    sizes = {"total_bytes": reading(85_899_345_920), "used_bytes": reading(more.get("used", 2_500_000_000))}
    others = dict.fromkeys(("struct_version", "free_bytes", "reserved_bytes"), reading(0))
    numbers = Memory(**sizes, **others, processes=reading(more.get("processes", ())))
    counters = Counters(
        at_s=1.0,
        energy_j=reading(1.0),
        throttled_ns={},
        temperature_c=reading(more.get("temperature", 40)),
        memory_temperature_c=reading(more.get("memory_temperature", "not supported")),
        sm_clock_hz=reading(more.get("clock", 1_980_000_000)),
        memory_clock_hz=reading(2_619_000_000),
        power_w=reading(more.get("drawn", 80.0)),
    )
    causes = more.get("throttled", {"software_power_cap": 0.0, "hardware_thermal": 0.0})
    throttled = {cause: reading(value) for cause, value in causes.items()}
    during = Difference(0.5, reading(1.0), reading(1.0), reading(1.0), throttled)
    identity = {key: reading(value) for key, value in told.items()}
    return GpuState(identity, numbers, counters, during, more.get("missing"), more.get("cuda"))


def reading(value: Any) -> Reading[Any]:
    missing = isinstance(value, str) and value.startswith("not ")
    return Reading(None, value) if missing else Reading(value)


def test_a_quiet_gpu_is_ok() -> None:
    every = gpu_findings(gpu())
    assert {finding.grade for finding in every} == {"ok"} and len(every) == 8


def test_a_gpu_that_can_not_be_divided_has_nothing_said_of_it() -> None:
    state = gpu({"mig_enabled": "not supported", "ecc_enabled": "not supported"})
    assert not [one for one in gpu_findings(state) if "MIG" in one.subject or "ECC" in one.state]


H100 = CudaDevice("H100", "ab", 50_000_000, 80_000_000_000)
PROCESSES = (Process(4242, Reading(2**30)), Process(4343, Reading(None, "not available")))


@pytest.mark.parametrize(
    ("subject", "state", "grade", "words"),
    [
        (
            "persistence mode",
            gpu({"persistence_enabled": False}),
            "warn",
            "sudo nvidia-smi -i 00000000:17:00.0 -pm 1",
        ),
        ("persistence mode", gpu({"persistence_enabled": "not supported"}), "unknown", "not supported"),
        ("MIG", gpu({"mig_enabled": True}), "warn", "not divided"),
        ("kind", gpu(), "ok", "NVIDIA H100, driver 580.95.05, CUDA 13.2, ECC on, at 17:00.0"),
        ("kind", gpu({"ecc_enabled": False}), "ok", "ECC off"),
        ("kind", gpu({"name": "not supported", "driver_version": "not told"}), "ok", "driver unknown"),
        ("memory", gpu(), "ok", "85.9 GB, 2.5 GB in use; 5120 bits at 2619 MHz: 3352 GB/s at most"),
        ("memory", gpu({"theoretical_peak_bytes_per_s": "not told"}), "ok", "2.5 GB in use"),
        ("memory", gpu(used="not permitted"), "unknown", "not permitted"),
        ("counters", gpu(), "ok", "all told"),
        ("counters", gpu(missing="energy (not supported)"), "unknown", "no energy (not supported)"),
        ("power limit", gpu(drawn=690.0), "warn", "700 W, 690 W drawn"),
        ("power limit", gpu(drawn="not supported"), "ok", "700 W"),
        ("power limit", gpu({"power_limit_w": "not of an instance"}), "unknown", "not of an instance"),
        ("clocks", gpu(clock=345_000_000), "unknown", "-lgc 1980"),
        ("clocks", gpu(clock=345_000_000), "unknown", "SM 345 of 1980 MHz, memory 2619 of 2619 MHz"),
        ("clocks", gpu(clock="not permitted"), "unknown", "not permitted"),
        (
            "throttling",
            gpu(throttled={"software_power_cap": 0.2, "sync_boost": 0.0}),
            "warn",
            "software power cap",
        ),
        ("throttling", gpu(throttled={"a": 0.0, "b": "not known"}, temperature=91), "ok", "91 °C"),
        ("throttling", gpu(throttled={"a": "not numbered so"}), "unknown", "not numbered so"),
        ("throttling", gpu(throttled={}), "unknown", "no counters"),
        ("throttling", gpu(memory_temperature=95), "ok", "none in 0.5 s; 40 °C, memory 95 °C"),
        ("torch", gpu({"uuid": "GPU-ab"}, cuda=H100), "ok", "sees it; L2 cache 50.0 MB"),
        ("torch", gpu({"uuid": "not told"}, cuda=H100), "ok", "sees it"),
        ("torch", gpu({"uuid": "GPU-cd"}, cuda=H100), "warn", "another GPU by this number: H100"),
        ("torch", gpu(cuda="torch is built for the CPU only"), "warn", "built for the CPU only"),
        ("other processes", gpu(processes=PROCESSES), "warn", "2 (pid 4242, 4343)"),
        ("other processes", gpu(processes="not permitted"), "unknown", "not permitted"),
    ],
)
def test_gpu(subject: str, state: GpuState, grade: str, words: str) -> None:
    (finding,) = [one for one in gpu_findings(state) if one.subject == f"GPU: {subject}"]
    assert finding.grade == grade
    assert words in finding.state + finding.advice
    assert (grade != "warn") or (finding.why and finding.advice)


# --- watching


def test_a_busy_neighbour_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            activity, state = watch()
        finally:
            busy.kill()
    assert state is None
    assert activity.elapsed_s >= 0.5
    assert activity.other_processors is not None and activity.other_processors > 0.1
    assert busy.pid in [other.pid for other in activity.offenders if other.processors > 0.1]
    assert [o.processors for o in activity.offenders] == sorted(
        (o.processors for o in activity.offenders), reverse=True
    )


def test_our_own_work_is_not_others() -> None:
    import os
    import time

    def work(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    activity, _ = watch(wait=work)
    assert os.getpid() not in [other.pid for other in activity.offenders]


# --- the noise floor


def around(*values: float, half_width: float = 0.001) -> list[Estimate]:
    return [Estimate(v, v * math.exp(-half_width), v * math.exp(half_width)) for v in values]


def test_floor_is_the_most_that_an_interval_missed_one() -> None:
    ratios = [*around(*[1.0] * 6), Estimate(1.06, 1.03, 1.09)]
    assert floor_of(ratios) == pytest.approx(0.03)
    ratios[-1] = Estimate(1 / 1.06, 1 / 1.09, 1 / 1.03)
    assert floor_of(ratios) == pytest.approx(0.03), "slower and faster count alike"


def test_floor_does_not_grow_with_the_intervals() -> None:
    assert floor_of(around(*[1.0] * 8, half_width=0.2)) == LEAST
    assert floor_of(around(*[1.001] * 8, half_width=0.0005)) == LEAST


@pytest.mark.parametrize(
    "odd",
    [
        Estimate(1.0, 0.0, math.inf),
        Estimate(1.0, 0.9, math.inf),
        Estimate(math.nan, 0.0, math.inf),
        Estimate(math.nan, math.nan, math.nan),
        Estimate(-1.0, -2.0, 1.0),
        Estimate(5.0, 0.9, 1.1),
    ],
)
def test_unbounded_or_impossible_ratios_are_left_out(odd: Estimate) -> None:
    good = around(*[1.05] * MIN_CASES)
    assert floor_of([*good, odd, odd]) == floor_of(good)
    assert floor_of([*good[1:], odd]) is None


def test_equal_backends_are_not_called_where_intervals_are_too_narrow() -> None:
    """Simulated: between turns things differ by 1 %, of which intervals of half a percent know nothing."""
    draw = random.Random(1)
    alone = called = 0
    for _ in range(2000):
        values = [math.exp(draw.gauss(0, 0.01)) for _ in range(9)]
        floor = floor_of(around(*values[:-1], half_width=0.005))
        assert floor is not None
        (last,) = around(values[-1], half_width=0.005)
        alone += verdict(last, 0.0) in ("FASTER", "SLOWER")
        called += verdict(last, floor) in ("FASTER", "SLOWER")
    assert alone / 2000 > 0.5
    assert called / 2000 < 0.12


@pytest.mark.parametrize(("which", "device"), [(None, "cpu"), ("1", "cuda:1")])
def test_noise_floor_asks_the_engine(which: str | None, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr("suite.worker.supervisor.Supervisor.close", lambda self: closed.append(True))

    def engine(asked: str, supervisor: object, cache_bytes: int) -> float:
        assert asked == device and cache_bytes >= 2**20 and not closed
        return 0.013

    monkeypatch.setattr("suite.worker.noise.measured_floor", engine)
    assert noise_floor(which) == 0.013
    assert closed
    assert noise_floor("GPU-1234abcd") is None


@pytest.mark.parametrize(
    ("floor", "words"),
    [(0.013, "1.3 %"), (0.01301, "1.4 %"), (0.0004, "0.1 %"), (0.25, "25.0 %"), (0.0, "0.0 %")],
)
def test_floor_in_words_is_rounded_up(floor: float, words: str) -> None:
    says = f"noise floor: {words}; a difference is called only if its whole interval is beyond that"
    assert in_words(floor) == says


# --- the command


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor with no half second to wait for."""
    monkeypatch.setattr("suite.doctor.activity.watch", lambda gpu=None: (QUIET, None))


def test_command(still: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["--no-noise"]) == 0
    plain, errors = capsys.readouterr()
    assert errors == "" and "\x1b" not in plain
    assert plain.splitlines()[-1].endswith(" ok")
    monkeypatch.setattr("suite.worker.noise.measured_floor", lambda *_: 0.0101)
    assert main([]) == 0
    assert "noise floor: 1.1 %;" in capsys.readouterr().out
    monkeypatch.setattr("suite.worker.noise.measured_floor", lambda *_: None)
    assert main([]) == 0
    assert capsys.readouterr().out.endswith("noise floor: not measured\n")


@pytest.mark.parametrize(
    "wrong", [["--gpu", "x"], ["--gpu", "-1"], ["--gpu"], ["--what"], ["more"], ["--gpu=\x1b[31m"]]
)
def test_wrong_arguments_are_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    out, errors = capsys.readouterr()
    assert ended.value.code == 2 and out == ""
    assert errors.count("\n") == 1 and "\x1b" not in errors


def test_no_such_gpu_is_one_line() -> None:
    hidden = (
        "import sys; sys.modules['pynvml'] = None;"
        "from suite.doctor.__main__ import main; sys.exit(main(['--gpu', '7']))"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("GPU 7: ") and done.stderr.count("\n") == 1


def test_a_real_run_is_plain_and_quick() -> None:
    command = [sys.executable, "-m", "suite.doctor", "--no-noise"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "" and "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) <= 40, "one screen"


def test_help_and_mistakes_import_nothing_heavy() -> None:
    code = (
        "import sys, suite.doctor.__main__ as d\n"
        "try: d.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print({'numpy', 'torch', 'psutil', 'rich', 'pynvml'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_prose_is_folded_between_words_and_further_lines_are_set_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    file = Terminal()
    show([Finding("load", "many words of it " * 4, "a command", "warn", "for a reason " * 4)], file)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 40
    set_in = {len(line) - len(line.lstrip()) for line in lines if line.startswith(" " * 10)}
    assert set_in == {len("warn     load  "), len("         why  ")}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SHOWN = (
    Finding("calm", "quiet", "never shown", "ok", "never shown"),
    Finding("hidden", "not told", "", "unknown"),
    Finding("loud", "[red]x[/red]\x1b[2J", "run " + "long " * 60 + "end", "warn", "because\n\x07of it"),
)


@pytest.mark.parametrize("file", [io.StringIO(), Terminal()], ids=["plain", "terminal"])
def test_shown_worst_first_defused_and_commands_whole(
    file: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    show(SHOWN, file)
    shown = file.getvalue()
    assert shown.index("loud") < shown.index("hidden") < shown.index("calm")
    assert "\x1b[2J" not in shown and "\x07" not in shown
    assert "[red]x[/red]" in shown and "never shown" not in shown
    assert any("run long" in line and "long end" in line for line in shown.splitlines()), (
        "can be copied whole"
    )
    assert "1 warn, 1 unknown, 1 ok" in shown


def test_findings_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file was opened"))
    assert host.findings(environment(QUIET_CPU, QUIET_SYSTEM), QUIET)
