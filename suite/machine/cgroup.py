"""Limits of the control groups above this process, the tightest of all levels; how often one held it up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from suite.machine.procfs import ROOT, as_integer, integer, line, table, text, unescaped

_NO_LIMIT_BYTES = 2**60
"""Version 1 reports "unlimited" as a number near 2^63."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on this process; None where there is none, or none that can be read.

    Attributes:
        version: of the control groups that limit memory: 1 or 2.
        processors: quota of processor time, in processors, e.g. 1.5.
        memory_bytes: the most memory it may use.
        free_bytes: how much of that is free now; file pages that can be dropped at once count as free.
    """

    version: int | None
    processors: float | None
    memory_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Throttled:
    """How often a quota of processor time stopped the processes of a group, since the group was made.

    Attributes:
        periods: in how many periods of the quota. seconds: for how long, of all processors together.
    """

    periods: int
    seconds: float


def throttled(root: Path = ROOT) -> Throttled | None:
    """The sum over all levels that have a quota; None where none has."""
    groups, mounts = _groups(root), _mounts(root)
    of_2 = _levels(root, groups.get(""), mounts.get("", ("/", "/sys/fs/cgroup")))
    of_1 = _levels(root, groups.get("cpu"), mounts.get("cpu", ("/", "/sys/fs/cgroup/cpu")))
    levels = [level for level in of_2 if _quota_2(level)] + [level for level in of_1 if _quota_1(level)]
    found = [one for level in levels for one in _throttled(level)]
    return Throttled(sum(one.periods for one in found), sum(one.seconds for one in found)) if found else None


def _throttled(level: Path) -> Iterator[Throttled]:
    """Of one level, if it says: version 2 counts in microseconds, version 1 in nanoseconds."""
    counts = _words(level, "cpu.stat")
    periods = as_integer(counts.get("nr_throttled"))
    in_us, in_ns = (as_integer(counts.get(name)) for name in ("throttled_usec", "throttled_time"))
    if periods is not None:
        yield Throttled(periods, (in_us or 0) / 1e6 if in_ns is None else in_ns / 1e9)


def limits(root: Path = ROOT) -> Limits:
    """Read both versions of control groups, since a machine can have them side by side."""
    groups, mounts = _groups(root), _mounts(root)
    version: int | None = None
    quotas: list[float] = []
    memory: list[tuple[int, int | None]] = []
    for level in _levels(root, groups.get(""), mounts.get("", ("/", "/sys/fs/cgroup"))):
        quotas += _quota_2(level)
        bounds = _memory(level, ("memory.max", "memory.high"), "memory.current", "inactive_file")
        memory += bounds
        version = 2 if bounds or (level / "memory.stat").exists() else version
    for level in _levels(root, groups.get("cpu"), mounts.get("cpu", ("/", "/sys/fs/cgroup/cpu"))):
        quotas += _quota_1(level)
    for level in _levels(root, groups.get("memory"), mounts.get("memory", ("/", "/sys/fs/cgroup/memory"))):
        names = ("memory.limit_in_bytes",)
        memory += _memory(level, names, "memory.usage_in_bytes", "total_inactive_file")
        version = version or (1 if (level / names[0]).exists() else None)
    free = [max(0, limit - used) for limit, used in memory if used is not None]
    return Limits(
        version,
        min(quotas, default=None),
        min((limit for limit, _ in memory), default=None),
        min(free, default=None),
    )


def memory_bytes(root: Path = ROOT) -> int:
    """The most memory that this process may use: the machine's, or less by its control groups."""
    kib = as_integer(table(text(root, "proc/meminfo")).get("MemTotal", "").removesuffix(" kB"))
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if kib is None else 1024 * kib
    limit = limits(root).memory_bytes
    return whole if limit is None else min(whole, limit)


def _groups(root: Path) -> dict[str, str]:
    """Controller to this process's group; the empty name is version 2."""
    groups: dict[str, str] = {}
    for row in (text(root, "proc/self/cgroup") or "").splitlines():
        _, _, rest = row.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator:
            groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts(root: Path) -> dict[str, tuple[str, str]]:
    """Controller to (mounted group, mount point); the empty name is version 2. See proc(5)."""
    mounts: dict[str, tuple[str, str]] = {}
    for row in (text(root, "proc/self/mountinfo") or "").splitlines():
        before, _, after = row.partition(" - ")
        place, kind = before.split(" "), after.split(" ")
        if len(place) < 6 or len(kind) < 3:
            continue
        mount = unescaped(place[3]), unescaped(place[4])
        if kind[0] == "cgroup2":
            mounts.setdefault("", mount)
        elif kind[0] == "cgroup":
            for controller in kind[2].split(","):
                mounts.setdefault(controller, mount)
    return mounts


def _levels(root: Path, group: str | None, mount: tuple[str, str]) -> list[Path]:
    """The directories of a group and of all groups that contain it, as far as they are mounted."""
    mounted, mount_point = mount
    top = root / mount_point.lstrip("/")
    path = PurePosixPath(group or "/")
    # In a container its own group can be mounted as the root while its path is the one seen from outside.
    inside = path.relative_to(mounted).parts if path.is_relative_to(mounted) else ()
    if ".." in inside or ".." in PurePosixPath(mount_point).parts:
        inside = ()
    return [top.joinpath(*inside[:depth]) for depth in range(len(inside), -1, -1)]


def _quota_2(level: Path) -> list[float]:
    words = (line(level, "cpu.max") or "").split()
    numbers = [as_integer(word) for word in words[:2]]
    return _share(*numbers) if len(numbers) == 2 else []


def _quota_1(level: Path) -> list[float]:
    return _share(integer(level, "cpu.cfs_quota_us"), integer(level, "cpu.cfs_period_us"))


def _share(quota: int | None, period: int | None) -> list[float]:
    return [quota / period] if quota and period and quota > 0 and period > 0 else []


def _memory(level: Path, names: tuple[str, ...], usage: str, cache: str) -> list[tuple[int, int | None]]:
    """(limit, bytes in use that can't be dropped at once) of a level, if it has a limit."""
    values = [integer(level, name) for name in names]
    bounds = [value for value in values if value is not None and 0 <= value < _NO_LIMIT_BYTES]
    if not bounds:
        return []
    used = integer(level, usage)
    if used is not None:
        droppable = as_integer(_words(level, "memory.stat").get(cache))
        used = max(0, used - max(0, droppable or 0))
    return [(min(bounds), used)]


def _words(level: Path, name: str) -> dict[str, str]:
    """A file of a name and a number a line."""
    rows = (text(level, name) or "").splitlines()
    return table("\n".join(row.replace(" ", "=", 1) for row in rows))
