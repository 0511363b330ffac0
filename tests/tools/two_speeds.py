"""A hot lookup on threads the kernel places, and on bound ones: python -m tests.tools.two_speeds

Prints, for threads left to the kernel and for each bound to a processor as the suite binds them, the median
and the 5 and 95 % points of the medians of 60 turns of two threaded lookups. Each follows a turn of a lookup
on one thread, which idle threads sleep through: left to itself the kernel may then wake them on the processor
of the one that waits for them. Every line is a new process; three of each take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


TURNS, PROCESSES = 60, 3
THREADED = ("torch_index_select", "numba_cpu")


def main() -> None:
    from suite.worker.process import environ_of

    environment = environ_of(len(os.sched_getaffinity(0)))
    for _ in range(PROCESSES):
        for how in ("left", "bound"):
            command = [sys.executable, "-m", "tests.tools.two_speeds", how]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            print(f"{how}: {done.stdout.strip()}", flush=True)


def turns(bound: bool) -> None:
    import numpy as np

    from backends import load
    from suite.cases import ids
    from suite.cases.case import Case
    from suite.engine import binding, operands
    from suite.engine.arrays import HostArrays
    from suite.engine.clocks.host import HostClock

    case = Case(100_000, 129, "bfloat16", 8192, cache="hot")
    arrays = HostArrays()
    laid_out = operands.lay_out(case, arrays, operands.build_table(arrays, case), [ids.draw(case, 0, 0)])
    lookups = {}
    for name in ("numpy_take", *THREADED):
        backend = load(name)
        lookups[name] = laid_out.prepared(backend(), laid_out.slots[0])
    clock = HostClock(binding=binding.of_this_process() if bound else None)
    medians: dict[str, list[float]] = {name: [] for name in THREADED}
    for _ in range(TURNS):
        for name in THREADED:
            clock.turn([], [lookups["numpy_take"]] * 130, 1)
            turn = clock.turn([lookups[name]] * 25, [lookups[name]] * 200, 1)
            medians[name].append(1e6 * float(np.median(turn.call_s)))
    points = {name: np.percentile(found, [5, 50, 95]) for name, found in medians.items()}
    print(
        "; ".join(
            f"{n} {middle:.0f} us, {low:.0f} to {high:.0f}" for n, (low, middle, high) in points.items()
        )
    )


if __name__ == "__main__":
    turns(sys.argv[1] == "bound") if sys.argv[1:] else main()
