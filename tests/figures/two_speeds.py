"""Two threads that sleep between turns have two speeds of a hot lookup: python tests/figures/two_speeds.py

Prints, for several GOMP_SPINCOUNT, the median and the 5 and 95 % points of the medians of 60 turns of 20 ms,
each after 20 ms of a lookup on one thread: idle threads sleep through it, unless they spin for very long.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SPINS = (1_000, 20_000, 2_000_000_000)
TURNS, TURN_S, SETTLE_S = 60, 0.02, 0.0025


def main() -> None:
    for spins in SPINS:
        environment = {**os.environ, "GOMP_SPINCOUNT": str(spins)}
        command = [sys.executable, __file__, "--turns"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        print(f"{spins} spins: {done.stdout.strip()}", flush=True)


def turns() -> None:
    import numpy as np
    import torch

    from backends import load
    from suite import data, ids
    from suite.case import Case

    torch.set_num_threads(2)
    case = Case(100_000, 129, "bfloat16", 8192, cache="hot")
    arrays = data.HostArrays()
    field = data.lay_out(case, arrays, data.build_table(arrays, *case.table), [ids.draw(case, 0, 0)])

    def lookup(name: str):
        backend = load(name)
        return backend().prepare(*field.operands(field.slots[0], backend.view))

    def called(one, seconds: float) -> list[float]:
        times, end = [], perf_counter() + seconds
        while perf_counter() < end:
            began = perf_counter()
            one()
            times.append(perf_counter() - began)
        return times

    two_threads, one_thread = lookup("torch_index_select"), lookup("numpy_take")
    medians = []
    for _ in range(TURNS):
        called(one_thread, TURN_S)
        called(two_threads, SETTLE_S)
        medians.append(1e6 * np.median(called(two_threads, TURN_S)))
    low, middle, high = np.percentile(medians, [5, 50, 95])
    print(f"{middle:.0f} us, {low:.0f} to {high:.0f}")


if __name__ == "__main__":
    turns() if sys.argv[1:] == ["--turns"] else main()
