"""The doctor's findings in made-up readings of a host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suite.doctor import host
from suite.doctor.finding import Finding
from suite.doctor.host import findings
from suite.records.record import Fact
from suite.telemetry.activity import Activity, Offender

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


def found(subject: str, activity: Activity = QUIET, **facts: Fact) -> Finding:
    """The finding of a quiet machine with these facts changed."""
    cpu = {key: facts.pop(key, value) for key, value in QUIET_CPU.items()}
    cpu["frequency_driver"] = facts.pop("frequency_driver", None)
    every = findings(cpu, QUIET_SYSTEM | facts, activity)
    (one,) = [finding for finding in every if finding.subject == subject]
    return one


def test_a_quiet_machine_is_ok() -> None:
    every = findings(QUIET_CPU, QUIET_SYSTEM, QUIET)
    assert {finding.grade for finding in every} == {"ok"}
    assert not any(finding.advice or finding.why for finding in every)
    assert len({finding.subject for finding in every}) == len(every) == 12


def test_a_machine_that_tells_nothing_is_unknown() -> None:
    every = findings({}, {}, Activity(0.5))
    assert {finding.grade for finding in every} == {"unknown"}


def test_facts_of_a_wrong_type_are_unknown() -> None:
    odd: dict[str, Fact] = dict.fromkeys(QUIET_CPU | QUIET_SYSTEM, True)
    odd |= {"governor": 3, "turbo": "yes", "hypervisor": "yes"}
    assert all(finding.grade != "warn" for finding in findings(odd, odd, Activity(0.5)))


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
    ("threads", {"cgroup_processors": 2.5}, "no limit set", "OMP_NUM_THREADS=2"),
    ("threads", {"cgroup_processors": 0.5}, "no limit set", "OMP_NUM_THREADS=1"),
    ("processor quota", {"cgroup_processors": 2.5}, "2.5 of 8 processors", "--cpuset-cpus=0-1"),
    ("processor quota", {"cgroup_processors": 0.5}, "0.5 of 8 processors", "--cpuset-cpus=0-0"),
    ("memory", {"memory_available_bytes": 10**9}, "1.0 GB free", "stop what uses it"),
    (
        "memory",
        {"cgroup_memory_free_bytes": 10**9, "cgroup_memory_limit_bytes": 2 * 10**9},
        "limited to 2.0 GB",
        "--memory",
    ),
    ("NUMA nodes", {"allowed_numa_nodes": 2}, "2", "numactl --cpunodebind=0 --membind=0"),
    ("clock source", {"clock_source": "hpet"}, "hpet", "echo tsc"),
]


@pytest.mark.parametrize(("subject", "facts", "state", "advice"), WARNINGS)
def test_a_fact_that_disturbs_is_a_warning_with_advice(
    subject: str, facts: dict[str, Fact], state: str, advice: str
) -> None:
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
def test_a_fact_that_does_not_disturb_is_ok(subject: str, facts: dict[str, Fact]) -> None:
    assert found(subject, **facts).grade == "ok"


def test_other_load_names_the_top_offender() -> None:
    busy = replace(
        QUIET, other_processors=2.5, offenders=(Offender(77, "make", 1.9), Offender(78, "cc", 0.5))
    )
    finding = found("other load", busy)
    assert finding.grade == "warn"
    assert finding.state == "2.5 of 8 processors busy, 1.9 with make (pid 77), load average 0.10"
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
def test_a_virtual_machine_is_graded_by_the_time_it_lost(
    virtual: bool | None, stolen: float | None, grade: str
) -> None:
    finding = found("virtual machine", replace(QUIET, stolen=stolen), hypervisor=virtual)
    assert finding.grade == grade


@pytest.mark.parametrize(
    ("mhz", "grade"), [((3000, 3100), "ok"), ((800, 3000), "warn"), ((), "unknown"), ((0, 3), "unknown")]
)
def test_processors_at_different_clocks_are_a_warning(mhz: tuple[int, ...], grade: str) -> None:
    clocks = tuple(value * 1_000_000 for value in mhz)
    assert found("clock spread", replace(QUIET, frequencies_hz=clocks)).grade == grade


def test_every_warning_says_why_and_what_to_do() -> None:
    noisy = {key: value for _, facts, _, _ in WARNINGS for key, value in facts.items()}
    activity = Activity(0.5, 5.0, 0.1, (), (1_000_000_000, 2_000_000_000))
    every = findings(QUIET_CPU | noisy | {"hypervisor": True}, QUIET_SYSTEM | noisy, activity)
    warned = [finding for finding in every if finding.grade == "warn"]
    assert len(warned) == len(every)
    assert all(finding.why and finding.advice for finding in warned)


def test_findings_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file was opened"))
    assert host.findings(QUIET_CPU, QUIET_SYSTEM, QUIET)


def test_it_is_told_what_becomes_of_the_variables() -> None:
    names = ("OMP_NUM_THREADS", "COV_CORE_SOURCE", "PATH", "LANG", "MINE", "A_TOKEN")
    finding = host.variables(dict.fromkeys(names, "1"))
    assert finding.grade == "ok" and finding.state == (
        "passed and recorded: OMP_NUM_THREADS; "
        "taken away: COV_CORE_SOURCE, coverage would trace what is timed; 2 more passed, 2 not needed"
    )
    none = "passed and recorded: none; taken away: none; 0 more passed, 0 not needed"
    assert host.variables({}).state == none
