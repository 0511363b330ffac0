"""Findings of a host: what in its facts and activity makes measurements noisy; nothing is read here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from suite.doctor.finding import UNREPORTED, Finding, number, word
from suite.machine.variables import THREADS, fate, taken_away
from suite.records.record import Fact
from suite.telemetry.activity import STOLEN_SHARE, Activity
from suite.units import gigabytes

BUSY_PROCESSORS, BUSY_SHARE = 0.25, 0.02
FREQUENCY_SPREAD = 0.05
SWAP_BYTES = 64 << 20
FREE_BYTES = 4 << 30
_GOOD_CLOCKS = ("tsc", "arch_sys_counter")
_CPU = "/sys/devices/system/cpu"


def findings(cpu: dict[str, Fact], system: dict[str, Fact], activity: Activity) -> tuple[Finding, ...]:
    """All findings of a host, in the order in which they are best put right.

    Args:
        cpu, system: facts as ``cpu.cpu_facts`` and ``environment.system_facts`` give them.
    """
    of_facts: tuple[Callable[[dict[str, Fact], dict[str, Fact]], Finding], ...] = (
        governor,
        turbo,
        huge_pages,
        swap,
        threads,
        quota,
        memory,
        numa,
        clock_source,
    )
    facts = [judge(cpu, system) for judge in of_facts]
    return other_load(cpu, system, activity), *facts, hypervisor(cpu, activity), spread(activity)


def variables(environ: Mapping[str, str]) -> Finding:
    """What measuring processes get of the variables set here: names, and how many the rest are."""
    rules = [(name, fate(name)) for name in sorted(environ)]
    recorded = [name for name, rule in rules if rule and rule.fate == "recorded"]
    passed = sum(rule is not None and rule.fate == "passed" for _, rule in rules)
    gone = [f"{name}, {rule.why}" for name, rule in rules if rule and name in taken_away(environ)]
    rest = len(rules) - len(recorded) - passed - len(gone)
    told = f"passed and recorded: {', '.join(recorded) or 'none'}; taken away: {'; '.join(gone) or 'none'}"
    return Finding("variables", f"{told}; {passed} more passed, {rest} not needed", "", "ok")


def governor(cpu: dict[str, Fact], _: dict[str, Fact]) -> Finding:
    """Whether the clock waits for load before it rises."""
    state = word(cpu, "governor")
    if state is None:
        return Finding("frequency governor", UNREPORTED, "", "unknown")
    if state == "performance":
        return Finding("frequency governor", state, "", "ok")
    return Finding(
        "frequency governor",
        state,
        f"echo performance | sudo tee {_CPU}/cpu*/cpufreq/scaling_governor",
        "warn",
        "the clock rises some time after work begins, so short lookups look slow",
    )


def turbo(cpu: dict[str, Fact], _: dict[str, Fact]) -> Finding:
    """Whether the clock depends on temperature and on the load of other cores."""
    state = cpu.get("turbo")
    if not isinstance(state, bool):
        return Finding("turbo", UNREPORTED, "", "unknown")
    if not state:
        return Finding("turbo", "off", "", "ok")
    intel = str(cpu.get("frequency_driver")).startswith("intel_")
    command = (
        f"echo 1 | sudo tee {_CPU}/intel_pstate/no_turbo"
        if intel
        else f"echo 0 | sudo tee {_CPU}/cpufreq/boost"
    )
    why = "the clock follows temperature and the number of busy cores"
    return Finding("turbo", "on", command, "warn", why)


def huge_pages(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether a table can be in pages of 2 MiB."""
    state = word(system, "transparent_hugepage")
    if state is None:
        return Finding("huge pages", UNREPORTED, "", "unknown")
    if state == "never":
        command = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
        why = "each row of a large table then costs a page walk, which slows libraries unequally"
        return Finding("huge pages", state, command, "warn", why)
    return Finding("huge pages", "always" if state == "always" else f"{state}, which tables use", "", "ok")


def swap(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether memory was moved to a disk."""
    used = number(system, "swap_used_bytes")
    if used is None:
        return Finding("swap", UNREPORTED, "", "unknown")
    if used < SWAP_BYTES:
        return Finding("swap", f"{gigabytes(used)} in use", "", "ok")
    why = "reading a page back from disk takes as long as looking up a million rows"
    return Finding("swap", f"{gigabytes(used)} in use", "sudo swapoff -a && sudo swapon -a", "warn", why)


def threads(cpu: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether libraries start as many threads as they have processors."""
    usable = _processors(cpu, system)
    settings = {name: word(system, name) for name in THREADS}
    given = {name: value for name, value in settings.items() if value is not None}
    state = ", ".join(f"{name}={value}" for name, value in given.items()) or "no limit set"
    if usable is None:
        return Finding("threads", state, "", "unknown")
    allowed = number(cpu, "allowed_processors") or usable
    odd = [value for value in given.values() if not value.isdecimal() or int(value) > usable]
    if odd or (not given and allowed > usable):
        why = f"more threads than the {usable:g} usable processors wait for each other"
        return Finding("threads", state, _export(usable), "warn", why)
    if len(set(given.values())) > 1:
        why = "a comparison of libraries with different numbers of threads is not fair"
        return Finding("threads", state, _export(usable), "warn", why)
    return Finding("threads", f"{state}, {usable:g} processors", "", "ok")


def quota(cpu: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether a control group can stop this process in the middle of a lookup."""
    limit, allowed = number(system, "cgroup_processors"), number(cpu, "allowed_processors")
    if limit is None and system.get("cgroup_version") is None:
        return Finding("processor quota", UNREPORTED, "", "unknown")
    if limit is None or (allowed is not None and limit >= allowed):
        return Finding("processor quota", "none", "", "ok")
    state = f"{limit:g} of {allowed or 0:g} processors"
    advice = f"give it whole processors instead: docker run --cpuset-cpus=0-{max(0, int(limit) - 1)}"
    why = "once the quota is used up, all threads stop until the next period of 0.1 s"
    return Finding("processor quota", state, advice, "warn", why)


def memory(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether there is room for tables."""
    limit, left = number(system, "cgroup_memory_limit_bytes"), number(system, "cgroup_memory_free_bytes")
    available = number(system, "memory_available_bytes")
    free = min((size for size in (left, available) if size is not None), default=None)
    bound = "no limit" if limit is None else f"limited to {gigabytes(limit)}"
    if free is None:
        return Finding("memory", UNREPORTED, "", "unknown")
    if free >= FREE_BYTES:
        return Finding("memory", f"{gigabytes(free)} free, {bound}", "", "ok")
    limited = left is not None and free == left
    advice = "raise its limit: docker run --memory=…" if limited else "stop what uses it: top -o %MEM"
    why = "the kernel reclaims pages during lookups, and large cases run out of memory"
    return Finding("memory", f"{gigabytes(free)} free, {bound}", advice, "warn", why)


def numa(cpu: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether rows can be in another socket's memory."""
    nodes = number(cpu, "allowed_numa_nodes")
    if nodes is None:
        return Finding("NUMA nodes", UNREPORTED, "", "unknown")
    if nodes <= 1:
        return Finding("NUMA nodes", "1", "", "ok")
    moved = ", and the kernel moves pages between nodes" if system.get("numa_balancing") == 1 else ""
    command = "numactl --cpunodebind=0 --membind=0 python -m suite.run"
    why = f"which rows are in remote memory differs from run to run{moved}"
    return Finding("NUMA nodes", f"{nodes:g}", command, "warn", why)


def clock_source(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether reading the clock is cheap."""
    state = word(system, "clock_source")
    if state is None:
        return Finding("clock source", UNREPORTED, "", "unknown")
    if state in _GOOD_CLOCKS or state.startswith(("kvm-clock", "hyperv")):
        return Finding("clock source", state, "", "ok")
    place = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    why = "each reading of this clock is a system call of about a microsecond"
    return Finding("clock source", state, f"echo tsc | sudo tee {place}", "warn", why)


def other_load(cpu: dict[str, Fact], system: dict[str, Fact], activity: Activity) -> Finding:
    """Whether other processes use processors, caches and memory now."""
    load = number(system, "load_1_min")
    average = "" if load is None else f", load average {load:.2f}"
    busy = activity.other_processors
    if busy is None:
        return Finding("other load", UNREPORTED + average, "", "unknown")
    cores = number(cpu, "logical_cores") or number(cpu, "allowed_processors") or 1
    top = next((o for o in activity.offenders if o.processors >= 0.05), None)
    most = f", {top.processors:.1f} with {top.name} (pid {top.pid})" if top else ""
    state = f"{busy:.1f} of {cores:g} processors busy{most}{average}"
    if busy <= max(BUSY_PROCESSORS, BUSY_SHARE * cores):
        return Finding("other load", state, "", "ok")
    advice = f"stop it or wait; see: top -p {top.pid}" if top else "wait, or look outside this container"
    why = "it takes processor time, caches and bandwidth from the lookup"
    return Finding("other load", state, advice, "warn", why)


def hypervisor(cpu: dict[str, Fact], activity: Activity) -> Finding:
    """Whether this is a virtual machine, and the processor time that the hypervisor took from it."""
    virtual, stolen = cpu.get("hypervisor"), activity.stolen
    lost = "stolen time unknown" if stolen is None else f"{stolen:.1%} of its time stolen"
    why = "other virtual machines share caches, memory bandwidth and power"
    if stolen is not None and stolen > STOLEN_SHARE:
        advice = "run on a dedicated host, or at another time with: suite.run --passes 5"
        return Finding("virtual machine", f"yes, {lost}", advice, "warn", why)
    if not isinstance(virtual, bool):
        return Finding("virtual machine", f"{UNREPORTED}, {lost}", "", "unknown")
    if not virtual:
        return Finding("virtual machine", "no", "", "ok")
    return Finding("virtual machine", f"yes, {lost}", "", "unknown", why)


def spread(activity: Activity) -> Finding:
    """Whether all processors run at the same clock."""
    clocks = activity.frequencies_hz
    if not clocks or min(clocks) <= 0:
        return Finding("clock spread", UNREPORTED, "", "unknown")
    low, high = min(clocks) / 1e9, max(clocks) / 1e9
    state = f"{low:.2f} to {high:.2f} GHz on {len(clocks)} processors"
    if high <= low * (1 + FREQUENCY_SPREAD):
        return Finding("clock spread", state, "", "ok")
    command = "sudo cpupower frequency-set --governor performance"
    return Finding("clock spread", state, command, "warn", "the result depends on which core it runs on")


def _processors(cpu: dict[str, Fact], system: dict[str, Fact]) -> float | None:
    allowed, limit = number(cpu, "allowed_processors"), number(system, "cgroup_processors")
    return min((value for value in (allowed, limit) if value is not None), default=None)


def _export(usable: float) -> str:
    count = max(1, int(usable))
    return "export " + " ".join(f"{name}={count}" for name in THREADS)
