"""The suite's median against timeit's and torch.utils.benchmark's of the same hot lookup, minutes apart.

Run as `python -m tests.tools.agreement [PAIRS]`. A pair is a worker of the suite and then a process of the
others, each new, since where memory and threads come to lie is chosen once a process; it prints, for every
lookup, the medians over the pairs and the relative difference, with the smallest and largest of the pairs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import timeit
from pathlib import Path

from backends import choose
from suite import stats
from suite.cases.case import Case, Sweep, plan
from suite.engine.measure import Settings
from suite.machine.cpu import cache_bytes
from suite.machine.environment import available_bytes
from suite.records.device import CPU
from suite.worker.messages import Job
from suite.worker.process import SPINS
from suite.worker.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]

CASES = plan(
    [
        Sweep((50257,), (64,), ("float32",), (8192, 16384), cache=("hot",)),
        Sweep((50257,), (768,), ("float32",), (2048,), cache=("hot",)),
        Sweep((100_000,), (129,), ("bfloat16",), (8192,), cache=("hot",)),
    ]
)
BACKENDS = ("numpy_take", "torch_index_select")
LIMIT_S = 4.0
OTHERS_S = 2.0
Times = dict[str, dict[str, float]]
"""By backend: the median of each harness, in seconds."""


def main(pairs: int) -> None:
    threads = len(os.sched_getaffinity(0))
    print(f"{threads} threads, {pairs} pairs of processes")
    for number, case in enumerate(CASES):
        ours, theirs = [], []
        for _ in range(pairs):
            ours.append(of_the_suite(case, threads))
            command = [sys.executable, "-m", "tests.tools.agreement", "--others", str(number), str(threads)]
            environment = {"GOMP_SPINCOUNT": str(SPINS), **os.environ, "OMP_NUM_THREADS": str(threads)}
            printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            theirs.append(json.loads(printed.stdout))
        for name in BACKENDS:
            print(f"{name} {case.dim} {case.dtype} batch {case.batch}:", *said(name, ours, theirs))


def said(name: str, ours: list[Times], theirs: list[Times]) -> list[str]:
    """What to print of one backend: its medians, and how far each other harness's are apart, pair by pair."""
    mine = [times[name]["suite"] for times in ours]
    words = [f"suite {statistics.median(mine) * 1e6:.1f} us"]
    for harness in theirs[0][name]:
        other = [times[name][harness] for times in theirs]
        apart = [a / b - 1 for a, b in zip(mine, other, strict=True)]
        middle = statistics.median(mine) / statistics.median(other) - 1
        words.append(
            f"{harness} {statistics.median(other) * 1e6:.1f} us "
            f"({middle:+.1%}; pairs {min(apart):+.1%} to {max(apart):+.1%})"
        )
    return words


def of_the_suite(case: Case, threads: int) -> Times:
    """A new worker's medians."""
    supervisor = Supervisor(60, available_bytes(), threads)
    settings = Settings(limit_s=LIMIT_S, cache_bytes=cache_bytes())
    records = supervisor.measure(Job(case, CPU, tuple(map(choose, BACKENDS)), "agreement", settings))
    supervisor.close()
    return {r.backend: {"suite": stats.median(r.samples.call_s).value} for r in records if r.samples}


def of_the_others(case: Case, threads: int) -> Times:
    """The medians of timeit and torch.utils.benchmark in this process."""
    import torch
    from torch.utils.benchmark import Timer

    from backends import load
    from suite.cases import ids
    from suite.engine import operands
    from suite.engine.arrays import HostArrays

    torch.set_num_threads(threads)
    arrays = HostArrays()
    laid_out = operands.lay_out(
        case, arrays, operands.build_table(arrays, *case.table), [ids.draw(case, 0, 0)]
    )
    found: Times = {}
    for name in BACKENDS:
        backend = load(name)
        lookup = backend().prepare(*laid_out.of(laid_out.slots[0], backend.view))
        timer = timeit.Timer(lookup)
        number, took_s = timer.autorange()
        number = max(1, number // 20)
        repeats = max(10, int(OTHERS_S / (took_s / 20)))
        torchs = Timer("lookup()", globals={"lookup": lookup}, num_threads=threads)
        found[name] = {
            "timeit": statistics.median(timer.repeat(repeats, number)) / number,
            "torch": torchs.blocked_autorange(min_run_time=OTHERS_S).median,
        }
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--others"]:
        print(json.dumps(of_the_others(CASES[int(sys.argv[2])], int(sys.argv[3]))))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
