"""Sentences of the report: the verdict, each backend against the baseline, failures, counters."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from suite.analysis.columns import device_name, packages_of
from suite.analysis.comparison import LOWER_SPEED_FLOOR, noise_floor
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.analysis.speed import Moment, full_speed_share
from suite.cases.case import Case
from suite.records.figures import CASE_THROTTLED, QUOTA, THREADS
from suite.records.record import Environment, Fact
from suite.report import placements, verdict
from suite.report.tables import REASON_LENGTH, devices, only_lookups
from suite.text import cut, plain, shown
from suite.units import count, digits, share

MOST_NAMED = 8
HELD_DOWN_S = 0.1
"""About the resolution with which the driver counts how long clocks were held down."""
SERVED = 0.95
"""Counters are trusted to 5 %: from this share of the declared bytes on, none count as missing."""


def counter_sentences(here: Sequence[Outcome]) -> list[str]:
    """At most one each on DRAM traffic, energy and clocks; none where nothing was counted."""
    counted = [o for o in here if o.completed and o.telemetry]
    return [*_traffic(counted), *_energy(counted), *_clocks(counted)]


def _traffic(counted: Sequence[Outcome]) -> list[str]:
    """Declared bytes against bytes that memory moved, which caches reduce and partly used lines increase.

    The copy that took turns with the outcome named was read by the same counters. Its bytes are known, so it
    shows how far the counters can be trusted.
    """
    rows = []
    for outcome in counted:
        rates = _rates(outcome)
        if rates:
            rows.append((outcome.case.payload_bytes, *rates, outcome))
    if not rows:
        return []
    _, declared, moved, outcome = max(rows, key=lambda row: row[:3])
    calls = "lookups" if outcome.case.operation == "lookup" else "calls"
    line = f"{calls} on end: counters saw {digits(moved / 1e9)} GB/s of DRAM traffic where "
    line += f"{digits(declared / 1e9)} GB/s are declared ({outcome.name} on {outcome.case})"
    copy = _rates(outcome.ceiling) if outcome.ceiling else None
    if copy:
        line += f", and for the plain copy beside it {digits(copy[1] / copy[0])}x its known bytes"
    ratios = [moved / declared for _, declared, moved, _ in rows]
    if len(ratios) > 1:
        span = f"{digits(min(ratios))}x to {digits(max(ratios))}x"
        middle = digits(statistics.median(ratios))
        line += f"; {middle}x the declared bytes at the median of {count(len(ratios), 'result')} ({span})"
    return [f"{line}; what is under 1x, caches served" if min(ratios) < SERVED else line]


def _rates(outcome: Outcome) -> tuple[float, float] | None:
    """Bytes a second, declared and by the counters; null where either is missing."""
    declared = _positive(outcome.telemetry.get("payload_bytes_per_s"))
    moved = _positive(outcome.telemetry.get("dram_bytes_per_s"))
    return (declared, moved) if declared and moved else None


def _energy(counted: Sequence[Outcome]) -> list[str]:
    """Joules for a GB of payload, over the cases in which they are known of every backend named."""
    joules: dict[str, dict[Case, float]] = defaultdict(dict)
    for outcome in counted:
        spent = _positive(outcome.telemetry.get("joules_per_gb"))
        if spent:
            joules[outcome.name][outcome.case] = spent
    if not joules:
        return []
    most = max(map(len, joules.values()))
    named = {name: of for name, of in joules.items() if 2 * len(of) >= most}
    common = set.intersection(*(set(of) for of in named.values()))
    if not common:
        return []
    middle = {name: statistics.median(of[case] for case in common) for name, of in named.items()}
    order = sorted(middle, key=lambda name: (middle[name], name))
    joules_of = ", ".join(f"{name} {digits(middle[name])} J" for name in order[:MOST_NAMED])
    more = f" and {len(order) - MOST_NAMED} more" if len(order) > MOST_NAMED else ""
    return [f"energy for a GB of payload at the median over {count(len(common), 'case')}: {joules_of}{more}"]


def _clocks(counted: Sequence[Outcome]) -> list[str]:
    causes: dict[str, int] = defaultdict(int)
    slowed = 0
    for outcome in counted:
        held = [
            name.removeprefix(CASE_THROTTLED).removesuffix("_s").replace("_", " ")
            for name, fact in outcome.telemetry.items()
            if name.startswith(CASE_THROTTLED) and (_positive(fact) or 0.0) > HELD_DOWN_S
        ]
        slowed += bool(held)
        for cause in held:
            causes[cause] += 1
    if not slowed:
        return []
    order = sorted(causes.items(), key=lambda item: (-item[1], item[0]))
    why = ", ".join(f"{cause} {n}" for cause, n in order)
    of = count(len(counted), "result")
    return [f"clocks were held down while {slowed} of {of} were measured: {why}"]


def _positive(fact: Fact) -> float | None:
    if isinstance(fact, bool) or not isinstance(fact, int | float) or fact <= 0:
        return None
    return float(fact)


def known(results: Results, baseline: str | None) -> tuple[str | None, list[str]]:
    """The baseline asked for; null where there is no such backend, with a line that says so."""
    names = {o.backend for o in results.outcomes}
    if baseline is None or baseline in names:
        return baseline, []
    others = ", ".join(map(plain, sorted(names)))
    return None, [f"baseline {plain(baseline)}: no such backend here; give one of {others}"]


def sentences(results: Results, baseline: str | None) -> list[str]:
    """The fastest and by how much, what is open and what failed: for each run, device and operation."""
    baseline, lines = known(results, baseline)
    all_devices, baselines = devices(results), by_operation(results, baseline)
    for (run, device), here in all_devices.items():
        own = _of_device(results.environments[run], results.speeds.get(run, ()), here, baselines)
        lines += _titled(f"{run} on {device}:", own) if len(all_devices) > 1 else own
    return [shown(line) for line in lines]


def _of_device(
    environment: Environment,
    moments: Sequence[Moment],
    operations: Mapping[str, Sequence[Outcome]],
    baselines: Mapping[str, str],
) -> list[str]:
    """What is said of each operation on a device of a run, then of all together."""
    alone, lines = len(operations) == 1, list[str]()
    for operation, here in operations.items():
        own = of_backends(here, environment, baselines.get(operation))
        own += of_the_run(here, environment, moments) if alone else _counted(here, environment)
        lines += own if only_lookups(operations) else _titled(f"{operation}:", own)
    every = list(itertools.chain(*operations.values()))
    return lines if alone else [*lines, *_of_all(every, environment, moments)]


def _titled(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)]


def by_operation(results: Results, baseline: str | None) -> dict[str, str]:
    """The baseline asked for, by operation of which it is a backend; every other one has its usual."""
    return {o.case.operation: o.backend for o in results.outcomes if o.backend == baseline}


def of_backends(here: Sequence[Outcome], environment: Environment, baseline: str | None) -> list[str]:
    """The verdict on the backends of a place, how each does, and what failed."""
    return [
        *_environments(here, noise_floor(environment)),
        *(line for group in _by_environment(here) for line in verdict.compared(group, environment, baseline)),
        *_failures(here),
        *_slow(here),
    ]


def of_the_run(here: Sequence[Outcome], environment: Environment, moments: Sequence[Moment]) -> list[str]:
    """How the run was measured: variables, the machine's speed, counters, placements."""
    return [*_of_all(here, environment, moments), *_counted(here, environment)]


def _counted(here: Sequence[Outcome], environment: Environment) -> list[str]:
    """What is said of one operation: counters, placements."""
    return [*counter_sentences(here), *placements.sentences(here, noise_floor(environment))]


def _of_all(here: Sequence[Outcome], environment: Environment, moments: Sequence[Moment]) -> list[str]:
    """What is said of all that was measured on a device."""
    known = environment.settings.get("disturbed")
    disturbed = [f"disturbed when it began: {known}"] if known else []
    return [
        *disturbed,
        *_variables(environment),
        *_threads(here),
        *_quota(here),
        *_speed(here, moments),
    ]


def origins(results: Results) -> list[str]:
    """Where, when and with what each device of each run was measured: one line each."""
    lines = []
    for (run, device), operations in devices(results).items():
        where, here = results.environments[run], itertools.chain(*operations.values())
        packages = dict.fromkeys(package for o in here for package in packages_of(o, where))
        whose = {True: " and changes not committed", False: "", None: " and changes unknown"}[where.dirty]
        threads = where.settings.get("threads")
        words = (
            f"{run} on {device}: " if len(devices(results)) > 1 else "",
            f"measured on {device_name(device, where) or 'an unknown device'}",
            f" with {count(threads, 'thread')}" if type(threads) is int else "",
            f", machine {where.machine}, {where.created[:10]}, commit {where.commit[:8]}{whose}",
            f", method {where.method}",
            f"; {', '.join(packages)}" if packages else "",
        )
        lines.append(shown("".join(words)))
    return lines


def _variables(environment: Environment) -> list[str]:
    """The user's variables that can change a time or its meaning."""
    set_here = [f"{name}={fact}" for name, fact in environment.system.items() if name.isupper()]
    return [f"measured with {', '.join(set_here)}"] if set_here else []


def _threads(here: Sequence[Outcome]) -> list[str]:
    """The libraries that did not use as many threads as they were told to."""
    done = [o.telemetry for o in here if o.completed]
    other = Counter(
        (seen[f"{THREADS}asked"], name.removeprefix(THREADS), number)
        for seen in done
        for name, number in seen.items()
        if name.startswith(THREADS) and number != seen.get(f"{THREADS}asked", number)
    )
    of = count(len(done), "result")
    return [
        f"{asked} threads were asked for, {library} had {number} in {n} of {of}"
        for (asked, library, number), n in other.items()
    ]


def _quota(here: Sequence[Outcome]) -> list[str]:
    """That a quota of processor time held the process up, for how long; a case's backends count together."""
    done = [o for o in here if o.completed]
    held = [o for o in done if _positive(o.telemetry.get(f"{QUOTA}periods"))]
    if not held:
        return []
    by_case = {(o.case, o.environment): o.telemetry for o in held}.values()
    periods, seconds = (
        sum(_positive(seen.get(QUOTA + end)) or 0 for seen in by_case) for end in ("periods", "s")
    )
    what = f"held the process up in {periods:,.0f} periods, for {digits(seconds)} s of processor time"
    return [
        f"a quota of processor time {what}, while {len(held)} of {count(len(done), 'result')} were measured"
    ]


def _by_environment(here: Sequence[Outcome]) -> list[list[Outcome]]:
    groups: dict[str | None, list[Outcome]] = defaultdict(list)
    for outcome in here:
        groups[outcome.environment].append(outcome)
    return list(groups.values())


def _environments(here: Sequence[Outcome], floor: float) -> list[str]:
    """Each backend against itself in the first environment, where several took turns."""
    groups = _by_environment(here)
    lines = []
    for name in dict.fromkeys(o.backend for o in here):
        own = [[o for o in group if o.backend == name] for group in groups]
        base = next((o.name for o in own[0]), None)
        for other in own[1:]:
            both = verdict.standings([*own[0], *other], base) if base else []
            lines += [one.words(base or "", floor) for one in both]
    return lines


def _speed(here: Sequence[Outcome], moments: Sequence[Moment]) -> list[str]:
    """How many passes there were, and for how much of their time the machine was at full speed."""
    done = [len(o.passes) for o in here if o.completed]
    least, most = min(done, default=1), max(done, default=1)
    passes = "" if most == 1 else f"{most} passes" if least == most else f"{least} to {most} passes"
    metered = any(o.full_speed is not None for o in here) and len(moments) > 0
    speed = f"measured at full speed for {share(full_speed_share(moments))} of the time" if metered else ""
    line = ", ".join(filter(None, [passes, speed]))
    return [line] if line else []


def _failures(here: Sequence[Outcome]) -> list[str]:
    """A line for each way in which a backend failed; those not available anywhere share one."""
    failed = Counter((o.name, o.status, cut(o.reason or "", REASON_LENGTH)) for o in here if not o.completed)
    absent = {name for name, _, _ in failed} - {o.name for o in here if o.status != "unavailable"}
    lines = [
        f"{name}: {status} on {count(n, 'case')}: {reason}"
        for (name, status, reason), n in failed.items()
        if name not in absent
    ]
    why = {name: reason for name, _, reason in failed if name in absent}
    each = "; ".join(f"{name} ({reason})" for name, reason in why.items())
    return [*lines, f"not available: {each}"] if why else lines


def _slow(here: Sequence[Outcome]) -> list[str]:
    names = Counter(o.name for o in here if o.slow_note)
    if not names:
        return []
    each = ", ".join(f"{name} {n}" for name, n in names.items())
    of = count(sum(o.completed for o in here), "result")
    apart = f"{1 + LOWER_SPEED_FLOOR:g}x apart and more is likely"
    return [f"{sum(names.values())} of {of} not at full speed, nothing is decided by them, {apart}: {each}"]
