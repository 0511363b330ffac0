"""Processors that this process may use: their model, caches, clocks and settings."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from suite.machine.procfs import ROOT, integer, line, printable, processors, table, text

if TYPE_CHECKING:
    from suite.records.record import Fact

FALLBACK_CACHE_BYTES = 32 << 20
"""The cache size assumed where none is reported: more than most desktops have, less than servers have."""

_CPU = "sys/devices/system/cpu"
_LARGEST_CACHE_BYTES = 1 << 36
_SIZE = re.compile(r"([0-9]{1,12})([KMG]?)")


def allowed_processors() -> frozenset[int]:
    """Numbers of the processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def processors_by_core(root: Path = ROOT, allowed: frozenset[int] | None = None) -> tuple[int, ...]:
    """The allowed processors, one of each core first, so that the first few share as few cores as can be."""
    allowed = allowed_processors() if allowed is None else allowed

    def rank(number: int) -> int:
        core = processors(line(root, f"{_CPU}/cpu{number}/topology/thread_siblings_list")) or {number}
        return sum(other < number for other in core & allowed)

    return tuple(sorted(allowed, key=lambda number: (rank(number), number)))


def cpu_facts(root: Path = ROOT, allowed: frozenset[int] | None = None) -> dict[str, Fact]:
    """Facts of the processors; None where one is not reported."""
    allowed = allowed_processors() if allowed is None else allowed
    first = table(text(root, "proc/cpuinfo"))
    caches = cache_levels(root, allowed)
    return {
        "model": _model(first),
        "architecture": platform.machine() or None,
        "microcode": printable(first.get("microcode", "")),
        "hypervisor": "hypervisor" in first["flags"].split() if "flags" in first else None,
        "logical_cores": _count(processors(line(root, f"{_CPU}/online"))),
        "physical_cores": _cores(root, processors(line(root, f"{_CPU}/online"))),
        "allowed_processors": len(allowed),
        "allowed_cores": _cores(root, allowed),
        "smt": _flag(root, f"{_CPU}/smt/active"),
        "numa_nodes": _count(_nodes(root)),
        "allowed_numa_nodes": _count([1 for node in _nodes(root).values() if node & allowed]),
        "l1d_cache_bytes": caches.get(1),
        "l2_cache_bytes": caches.get(2),
        "l3_cache_bytes": caches.get(3),
        "cache_bytes": cache_bytes(root, allowed),
        "cache_bytes_known": _last_two(caches) is not None,
        "governor": _common(root, allowed, "cpufreq/scaling_governor"),
        "frequency_driver": _common(root, allowed, "cpufreq/scaling_driver"),
        "energy_preference": _common(root, allowed, "cpufreq/energy_performance_preference"),
        "turbo": turbo(root, allowed),
        "min_frequency_hz": min(_hz(root, allowed, "cpufreq/cpuinfo_min_freq"), default=None),
        "max_frequency_hz": max(_hz(root, allowed, "cpufreq/cpuinfo_max_freq"), default=None),
        "frequency_cap_hz": max(_hz(root, allowed, "cpufreq/scaling_max_freq"), default=None),
    }


def cache_levels(root: Path = ROOT, allowed: frozenset[int] | None = None) -> dict[int, int]:
    """Level to total bytes of the data and unified caches that the allowed processors have.

    A cache that several processors share counts once.
    """
    allowed = allowed_processors() if allowed is None else allowed
    sizes: dict[tuple[int, str], int] = {}
    for number in sorted(allowed):
        for place in _sorted_children(root / f"{_CPU}/cpu{number}/cache", "index[0-9]*"):
            level, size = integer(place, "level"), _bytes(line(place, "size"))
            if line(place, "type") in ("Data", "Unified") and level and 1 <= level <= 5 and size:
                sharing = processors(line(place, "shared_cpu_list"))
                identity = str(sorted(sharing)) if sharing else line(place, "id") or f"of {number}"
                sizes[level, identity] = size
    totals: dict[int, int] = {}
    for (level, _), size in sorted(sizes.items()):
        totals[level] = totals.get(level, 0) + size
    return totals


def cache_bytes(root: Path = ROOT, allowed: frozenset[int] | None = None) -> int:
    """Bytes that push all earlier data out of the caches: the last level plus the one before it.

    Both are totals over the processors this process may use, since a lookup may run on each of them.
    FALLBACK_CACHE_BYTES where /sys reports no cache, or a first level only.
    """
    return _last_two(cache_levels(root, allowed)) or FALLBACK_CACHE_BYTES


def _last_two(caches: dict[int, int]) -> int | None:
    last = max(caches, default=0)
    return caches[last] + caches.get(last - 1, 0) if last > 1 else None


def turbo(root: Path = ROOT, allowed: frozenset[int] | None = None) -> bool | None:
    """Whether processors may raise their clock above the nominal one; None if unknown."""
    disabled = _flag(root, f"{_CPU}/intel_pstate/no_turbo")
    if disabled is not None:
        return not disabled
    everywhere = _flag(root, f"{_CPU}/cpufreq/boost")
    if everywhere is not None:
        return everywhere
    allowed = allowed_processors() if allowed is None else allowed
    states = [_flag(root, f"{_CPU}/cpu{number}/cpufreq/boost") for number in sorted(allowed)]
    known = [state for state in states if state is not None]
    return any(known) if known else None


def frequencies_hz(root: Path = ROOT, allowed: frozenset[int] | None = None) -> tuple[int, ...]:
    """The present clocks of the allowed processors; empty where they are not reported."""
    allowed = allowed_processors() if allowed is None else allowed
    current = _hz(root, allowed, "cpufreq/scaling_cur_freq")
    if current:
        return tuple(current)
    blocks = (text(root, "proc/cpuinfo") or "").split("\n\n")
    rows = [table(block) for block in blocks]
    clocks = [row.get("cpu MHz", "") for row in rows if row.get("processor", "") in map(str, allowed)]
    return tuple(round(float(mhz) * 1e6) for mhz in clocks if re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", mhz))


def _model(first: dict[str, str]) -> str | None:
    if first.get("model name"):
        return printable(first["model name"])
    # ARM reports numbers, which lscpu looks up in a list of its own.
    numbers = [
        f"{key} {first[f'CPU {key}']}" for key in ("implementer", "part", "variant") if f"CPU {key}" in first
    ]
    return printable(" ".join(numbers))


def _cores(root: Path, numbers: Iterable[int] | None) -> int | None:
    """How many physical cores the processors with these numbers belong to."""
    siblings = {line(root, f"{_CPU}/cpu{n}/topology/thread_siblings_list") for n in numbers or ()}
    return len(siblings) if siblings and None not in siblings else None


def _nodes(root: Path) -> dict[str, frozenset[int]]:
    places = _sorted_children(root / "sys/devices/system/node", "node[0-9]*")
    return {place.name: processors(line(place, "cpulist")) or frozenset() for place in places}


def _common(root: Path, allowed: frozenset[int], name: str) -> str | None:
    """The setting of the allowed processors; different ones are joined by a comma."""
    states = {line(root, f"{_CPU}/cpu{number}/{name}") for number in allowed}
    return printable(",".join(sorted(state for state in states if state)))


def _hz(root: Path, allowed: frozenset[int], name: str) -> list[int]:
    khz = (integer(root, f"{_CPU}/cpu{number}/{name}") for number in sorted(allowed))
    return [value * 1000 for value in khz if value is not None and 0 < value < 10**8]


def _flag(root: Path, path: str) -> bool | None:
    value = integer(root, path)
    return bool(value) if value in (0, 1) else None


def _bytes(size: str | None) -> int | None:
    """Bytes of a size such as ``32K``; None for a size that no cache has."""
    parts = _SIZE.fullmatch(size or "")
    if not parts:
        return None
    value = int(parts[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[parts[2]]
    return value if 0 < value <= _LARGEST_CACHE_BYTES else None


def _sorted_children(place: Path, pattern: str) -> list[Path]:
    try:
        return sorted(place.glob(pattern))
    except OSError:
        return []


def _count(things: Iterable[object] | None) -> int | None:
    return len(list(things or ())) or None
