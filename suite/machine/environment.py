"""Environment of a run: processor, memory and its limits, system, GPU, versions; no host, user or path names.

Nothing here raises for a fact that is not reported: it is None. ``root`` is the directory that holds proc,
sys and etc.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from suite.machine.cgroup import limits
from suite.machine.cpu import cpu_facts
from suite.machine.privacy import machine_digest, private_names, without_names, without_paths
from suite.machine.procfs import ROOT, as_integer, chosen, integer, line, printable, table, text
from suite.machine.software import checkout, given_commit, libc, versions
from suite.machine.variables import THREADS, recorded
from suite.records.record import Environment, Fact

_CONTAINERS = ("kubepods", "docker", "containerd", "podman", "libpod", "lxc")


def collect(
    argv: Sequence[str],
    seed: int,
    plan: str,
    devices: Sequence[str],
    settings: Mapping[str, Fact],
    *,
    packages: Iterable[str] = (),
    gpu: Mapping[str, Fact] | None = None,
    noise_floor: float | None = None,
    root: Path = ROOT,
    environ: Mapping[str, str] = os.environ,
) -> Environment:
    """Gather the facts of a run.

    Args:
        argv: the command; absolute paths are cut to their last part, names removed.
        packages: distributions of the backends in use, each as ``name`` or ``name|other``.
        gpu: facts of the GPU in use, if there is one.
    """
    names = private_names(root, environ)
    cpu = cpu_facts(root)
    memory = table(text(root, "proc/meminfo"))
    commit, dirty, given = _commit(environ)
    return Environment(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        argv=tuple(without_paths(word, names) for word in argv),
        seed=seed,
        plan=plan,
        commit=commit,
        dirty=dirty,
        machine=machine_digest(_text_of(cpu["model"]), _bytes(memory, "MemTotal"), root),
        devices=tuple(devices),
        packages=versions(packages),
        cpu=_nameless(cpu, names),
        system=_nameless({**_system_around(settings, root, environ), **given}, names),
        gpu=_nameless(dict(gpu or {}), names),
        settings=_nameless({key: _pathless(value, names) for key, value in settings.items()}, names),
        noise_floor=noise_floor,
    )


def _commit(environ: Mapping[str, str]) -> tuple[str, bool | None, dict[str, Fact]]:
    """The suite's commit, whether its code was changed since, and what gives a commit that git can't say."""
    commit, dirty = checkout()
    given = given_commit(environ=environ) if commit == "unknown" else None
    return (given[0], None, {"commit_given_by": given[1]}) if given else (commit, dirty, {})


def _system_around(settings: Mapping[str, Fact], root: Path, environ: Mapping[str, str]) -> dict[str, Fact]:
    """Those of the system, less the variables that the settings are stronger than."""
    facts = system_facts(root, environ)
    stronger = THREADS if "threads" in settings else ()
    return {key: fact for key, fact in facts.items() if key not in stronger}


def system_facts(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> dict[str, Fact]:
    """The system around the processor: kernel, Python, memory, limits, settings; sizes in bytes."""
    return {
        "kernel": line(root, "proc/sys/kernel/osrelease") or (platform.release() if root == ROOT else None),
        "distribution": printable(table(text(root, "etc/os-release")).get("PRETTY_NAME", "").strip("\"'")),
        "python": platform.python_version(),
        "python_implementation": platform.python_implementation(),
        "python_build": printable(" ".join((*platform.python_build(), platform.python_compiler()))),
        "libc": libc(),
        "clock_source": line(root, "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "product": _product(root),
        "container": _container(root, environ),
        **_memory_facts(root),
        **_load_facts(root),
        **recorded(environ, private_names(root, environ)),
    }


def _memory_facts(root: Path) -> dict[str, Fact]:
    memory, allowed = table(text(root, "proc/meminfo")), limits(root)
    pages = "sys/kernel/mm/transparent_hugepage"
    swap, swap_free = _bytes(memory, "SwapTotal"), _bytes(memory, "SwapFree")
    return {
        "memory_total_bytes": _bytes(memory, "MemTotal"),
        "memory_available_bytes": _bytes(memory, "MemAvailable"),
        "swap_total_bytes": swap,
        "swap_used_bytes": None if swap is None or swap_free is None else max(0, swap - swap_free),
        "transparent_hugepage": chosen(root, f"{pages}/enabled"),
        "transparent_hugepage_defrag": chosen(root, f"{pages}/defrag"),
        "transparent_hugepage_shmem": chosen(root, f"{pages}/shmem_enabled"),
        "numa_balancing": integer(root, "proc/sys/kernel/numa_balancing"),
        "cgroup_version": allowed.version,
        "cgroup_processors": allowed.processors,
        "cgroup_memory_limit_bytes": allowed.memory_bytes,
        "cgroup_memory_free_bytes": allowed.free_bytes,
    }


def available_bytes(root: Path = ROOT) -> int:
    """Memory that is free for this process: in the system, or within its control groups if that is less."""
    system = _bytes(table(text(root, "proc/meminfo")), "MemAvailable")
    if system is None:
        try:
            system = psutil.virtual_memory().available
        except (OSError, ValueError):  # where /proc is not mounted
            system = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    group = limits(root).free_bytes
    return system if group is None else min(system, group)


def _load_facts(root: Path) -> dict[str, Fact]:
    words = (line(root, "proc/loadavg") or "").split()
    loads = [float(word) for word in words[:3] if re.fullmatch(r"[0-9]{1,6}\.[0-9]{1,2}", word)]
    known = loads if len(loads) == 3 else (None, None, None)
    return dict(zip(("load_1_min", "load_5_min", "load_15_min"), known, strict=True))


def _product(root: Path) -> str | None:
    known = (line(root, f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name"))
    return printable(" ".join(word for word in known if word))


def _container(root: Path, environ: Mapping[str, str]) -> str | None:
    """The kind of container this runs in, by cheap signs; None if there is no sign of one."""
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    for mark, kind in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if text(root, mark) is not None:
            return kind
    groups = text(root, "proc/self/cgroup") or ""
    return next((kind for kind in _CONTAINERS if kind in groups), line(root, "run/systemd/container"))


def _bytes(memory: Mapping[str, str], key: str) -> int | None:
    kib = as_integer(memory.get(key, "").removesuffix(" kB"))
    return None if kib is None or kib < 0 else kib * 1024


def _text_of(fact: Fact) -> str | None:
    return fact if isinstance(fact, str) else None


def _pathless(fact: Fact, names: Iterable[str]) -> Fact:
    return without_paths(fact, names) if isinstance(fact, str) else fact


def _nameless(facts: Mapping[str, Fact], names: Iterable[str]) -> dict[str, Fact]:
    return {key: without_names(f, names) if isinstance(f, str) else f for key, f in facts.items()}
