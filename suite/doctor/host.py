"""What makes numbers noisy on a host: readings in, findings out; nothing is read or printed here."""

from __future__ import annotations

from collections.abc import Callable

from suite.doctor.activity import Activity
from suite.doctor.finding import HIDDEN, Finding, number, word
from suite.records.record import Environment, Fact
from suite.units import gigabytes

BUSY_PROCESSORS, BUSY_SHARE = 0.25, 0.02
STOLEN_SHARE = 0.005
FREQUENCY_SPREAD = 0.05
SWAP_BYTES = 64 << 20
FREE_BYTES = 4 << 30
_GOOD_CLOCKS = ("tsc", "arch_sys_counter")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_CPU = "/sys/devices/system/cpu"


def findings(environment: Environment, activity: Activity) -> tuple[Finding, ...]:
    """Everything there is to say of a host, in the order it is best put right."""
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
    facts = [judge(environment.cpu, environment.system) for judge in of_facts]
    return other_load(environment, activity), *facts, hypervisor(environment, activity), spread(activity)


def governor(cpu: dict[str, Fact], _: dict[str, Fact]) -> Finding:
    """Whether the clock waits for load before it rises."""
    state = word(cpu, "governor")
    if state is None:
        return Finding("frequency governor", HIDDEN, "", "unknown")
    if state == "performance":
        return Finding("frequency governor", state, "", "ok")
    return Finding(
        "frequency governor",
        state,
        f"echo performance | sudo tee {_CPU}/cpu*/cpufreq/scaling_governor",
        "warn",
        "the clock rises only some time after a lookup begins, so short ones look slow",
    )


def turbo(cpu: dict[str, Fact], _: dict[str, Fact]) -> Finding:
    """Whether the clock depends on heat and neighbours."""
    state = cpu.get("turbo")
    if not isinstance(state, bool):
        return Finding("turbo", HIDDEN, "", "unknown")
    if not state:
        return Finding("turbo", "off", "", "ok")
    intel = str(cpu.get("frequency_driver")).startswith("intel_")
    command = (
        f"echo 1 | sudo tee {_CPU}/intel_pstate/no_turbo"
        if intel
        else f"echo 0 | sudo tee {_CPU}/cpufreq/boost"
    )
    why = "the clock follows temperature and how many cores are busy"
    return Finding("turbo", "on", command, "warn", why)


def huge_pages(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether a table can lie in pages of 2 MiB."""
    state = word(system, "transparent_hugepage")
    if state is None:
        return Finding("huge pages", HIDDEN, "", "unknown")
    if state == "never":
        command = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
        why = "every row of a large table then costs a page walk, which libraries bear differently"
        return Finding("huge pages", state, command, "warn", why)
    given = "given to all" if state == "always" else "given where asked for, as the suite does for tables"
    return Finding("huge pages", f"{state}: {given}", "", "ok")


def swap(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether memory was put on a disk."""
    used = number(system, "swap_used_bytes")
    if used is None:
        return Finding("swap", HIDDEN, "", "unknown")
    if used < SWAP_BYTES:
        return Finding("swap", f"{gigabytes(used)} in use", "", "ok")
    why = "a page that comes back from disk takes as long as a million rows"
    return Finding("swap", f"{gigabytes(used)} in use", "sudo swapoff -a && sudo swapon -a", "warn", why)


def threads(cpu: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether libraries start as many threads as there are processors for them."""
    usable = _processors(cpu, system)
    told = [(name, word(system, name)) for name in _THREADS]
    given = {name: words for name, words in told if words is not None}
    state = ", ".join(f"{name}={words}" for name, words in given.items()) or "not set"
    if usable is None:
        return Finding("threads", state, "", "unknown")
    allowed = number(cpu, "allowed_processors") or usable
    odd = [name for name, words in given.items() if not words.isdecimal() or int(words) > usable]
    if odd or (not given and allowed > usable):
        why = f"more threads than the {usable:g} processors there are wait for one another"
        return Finding("threads", state, _export(usable), "warn", why)
    if len(set(given.values())) > 1:
        why = "libraries with different numbers of threads are not compared fairly"
        return Finding("threads", state, _export(usable), "warn", why)
    return Finding("threads", f"{state}, {usable:g} processors", "", "ok")


def quota(cpu: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether a control group stops this process in the middle of a lookup."""
    limit, allowed = number(system, "cgroup_processors"), number(cpu, "allowed_processors")
    if limit is None and system.get("cgroup_version") is None:
        return Finding("processor quota", HIDDEN, "", "unknown")
    if limit is None or (allowed is not None and limit >= allowed):
        return Finding("processor quota", "none below what may be used", "", "ok")
    state = f"{limit:g} of {allowed or 0:g} processors' time"
    advice = f"give whole processors instead, e.g. docker run --cpuset-cpus=0-{max(0, int(limit) - 1)}"
    why = "once it is spent, all threads stand still until the next 0.1 s begins"
    return Finding("processor quota", state, advice, "warn", why)


def memory(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether there is room for tables."""
    limit, left = number(system, "cgroup_memory_limit_bytes"), number(system, "cgroup_memory_free_bytes")
    available = number(system, "memory_available_bytes")
    free = min((size for size in (left, available) if size is not None), default=None)
    bound = "no limit of its own" if limit is None else f"limited to {gigabytes(limit)}"
    if free is None:
        return Finding("memory", HIDDEN, "", "unknown")
    if free >= FREE_BYTES:
        return Finding("memory", f"{gigabytes(free)} free, {bound}", "", "ok")
    advice = "docker run --memory=…, with more" if left is not None and free == left else "end what holds it"
    why = "the kernel takes pages back while a lookup runs, and large cases end out of memory"
    return Finding("memory", f"{gigabytes(free)} free, {bound}", advice, "warn", why)


def numa(cpu: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether rows can lie in another socket's memory."""
    nodes = number(cpu, "allowed_numa_nodes")
    if nodes is None:
        return Finding("memory nodes", HIDDEN, "", "unknown")
    if nodes <= 1:
        return Finding("memory nodes", "1", "", "ok")
    moved = " and the kernel moves pages between them" if system.get("numa_balancing") == 1 else ""
    command = "numactl --cpunodebind=0 --membind=0 python -m suite.run"
    why = f"which rows are far away differs from run to run{moved}"
    return Finding("memory nodes", f"{nodes:g}", command, "warn", why)


def clock_source(_: dict[str, Fact], system: dict[str, Fact]) -> Finding:
    """Whether reading the clock is cheap."""
    state = word(system, "clock_source")
    if state is None:
        return Finding("clock source", HIDDEN, "", "unknown")
    if state in _GOOD_CLOCKS or state.startswith(("kvm-clock", "hyperv")):
        return Finding("clock source", state, "", "ok")
    place = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    why = "each reading of this clock is a system call of a microsecond or so"
    return Finding("clock source", state, f"echo tsc | sudo tee {place}", "warn", why)


def other_load(environment: Environment, activity: Activity) -> Finding:
    """Whether others use processors, caches and memory now."""
    load = number(environment.system, "load_1_min")
    average = "" if load is None else f"; load average {load:.2f}"
    busy = activity.other_processors
    if busy is None:
        return Finding("other load", HIDDEN + average, "", "unknown")
    cores = number(environment.cpu, "logical_cores") or number(environment.cpu, "allowed_processors") or 1
    top = next((o for o in activity.offenders if o.processors >= 0.05), None)
    most = f"; most: {top.name} (pid {top.pid}) {top.processors:.1f}" if top else ""
    state = f"{busy:.1f} of {cores:g} processors busy with others{most}{average}"
    if busy <= max(BUSY_PROCESSORS, BUSY_SHARE * cores):
        return Finding("other load", state, "", "ok")
    advice = f"stop it or wait; look with: top -p {top.pid}" if top else "wait; look outside this container"
    why = "it takes turns on the processors and shares caches and memory with the lookup"
    return Finding("other load", state, advice, "warn", why)


def hypervisor(environment: Environment, activity: Activity) -> Finding:
    """Whether this is a virtual machine and what that took."""
    virtual, stolen = environment.cpu.get("hypervisor"), activity.stolen
    lost = "stolen time not told" if stolen is None else f"{stolen:.1%} of the time stolen"
    why = "neighbours that can't be seen from inside share caches, memory and power"
    if stolen is not None and stolen > STOLEN_SHARE:
        advice = "run on a dedicated host, or repeat at another hour with --processes 5"
        return Finding("virtual machine", f"yes, {lost}", advice, "warn", why)
    if not isinstance(virtual, bool):
        return Finding("virtual machine", f"{HIDDEN}, {lost}", "", "unknown")
    if not virtual:
        return Finding("virtual machine", "no", "", "ok")
    return Finding("virtual machine", f"yes, {lost}", "", "unknown", why)


def spread(activity: Activity) -> Finding:
    """Whether the processors run at one clock."""
    clocks = activity.frequencies_hz
    if not clocks or min(clocks) <= 0:
        return Finding("clock spread", HIDDEN, "", "unknown")
    low, high = min(clocks) / 1e9, max(clocks) / 1e9
    state = f"{low:.2f} to {high:.2f} GHz over {len(clocks)} processors"
    if high <= low * (1 + FREQUENCY_SPREAD):
        return Finding("clock spread", state, "", "ok")
    command = "sudo cpupower frequency-set --governor performance"
    return Finding("clock spread", state, command, "warn", "the result depends on which core it ran on")


def _processors(cpu: dict[str, Fact], system: dict[str, Fact]) -> float | None:
    allowed, limit = number(cpu, "allowed_processors"), number(system, "cgroup_processors")
    return min((value for value in (allowed, limit) if value is not None), default=None)


def _export(usable: float) -> str:
    count = max(1, int(usable))
    return "export " + " ".join(f"{name}={count}" for name in _THREADS)
