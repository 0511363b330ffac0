"""Made-up machines as trees of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.machine import environment
from suite.records.record import Environment, from_json, to_json

CPU = "sys/devices/system/cpu"
KIB, MIB, GIB = 2**10, 2**20, 2**30


def machine(root: Path, files: dict[str, str | bytes | None]) -> Path:
    """A made-up root with these files; None makes a directory of that name."""
    for name, content in files.items():
        place = root / name
        if content is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def cache(number: int, index: int, level: int, kind: str, size: str, **known_by: str) -> dict[str, str]:
    place = f"{CPU}/cpu{number}/cache/index{index}"
    return {
        f"{place}/level": f"{level}\n",
        f"{place}/type": f"{kind}\n",
        f"{place}/size": f"{size}\n",
        **{f"{place}/{name}": f"{value}\n" for name, value in known_by.items()},
    }


def eight_processors(**files: str) -> dict[str, Any]:
    """Four cores of two threads; an L2 each, an L3 for every two cores; two memory nodes."""
    found: dict[str, Any] = {
        f"{CPU}/online": "0-7\n",
        f"{CPU}/smt/active": "1\n",
        f"{CPU}/intel_pstate/no_turbo": "0\n",
        "sys/devices/system/node/node0/cpulist": "0-3\n",
        "sys/devices/system/node/node1/cpulist": "4-7\n",
        "proc/cpuinfo": "\n\n".join(
            f"processor\t: {n}\nmodel name\t: Test  CPU @ 2.0GHz\nmicrocode\t: 0xb1\n"
            f"flags\t\t: fpu hypervisor avx2\ncpu MHz\t\t: {2000 + n}.500"
            for n in range(8)
        ),
    }
    for n in range(8):
        core, half = f"{n // 2 * 2}-{n // 2 * 2 + 1}", "0-3" if n < 4 else "4-7"
        found |= cache(n, 0, 1, "Data", "48K", shared_cpu_list=core, id=str(n // 2))
        found |= cache(n, 1, 1, "Instruction", "32K", shared_cpu_list=core, id=str(n // 2))
        found |= cache(n, 2, 2, "Unified", "2048K", shared_cpu_list=core, id=str(n // 2))
        found |= cache(n, 3, 3, "Unified", "36864K", shared_cpu_list=half, id=str(n // 4))
        found[f"{CPU}/cpu{n}/topology/thread_siblings_list"] = core + "\n"
        found[f"{CPU}/cpu{n}/cpufreq/scaling_governor"] = "powersave\n"
        found[f"{CPU}/cpu{n}/cpufreq/scaling_driver"] = "intel_pstate\n"
        found[f"{CPU}/cpu{n}/cpufreq/cpuinfo_max_freq"] = "3500000\n"
        found[f"{CPU}/cpu{n}/cpufreq/cpuinfo_min_freq"] = "800000\n"
    return found | files


def collected(
    root: Path, argv: tuple[str, ...] = (), environ: dict[str, str] | None = None, **more: Any
) -> str:
    settings = more.pop("settings", {})
    found = environment.collect(argv, 7, "plan", ("cpu",), settings, root=root, environ=environ or {}, **more)
    line = to_json(found)
    assert from_json(Environment, line.encode()) == found
    line.encode("utf-8")
    return line
