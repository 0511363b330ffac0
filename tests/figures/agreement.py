"""The suite's median against timeit's and torch.utils.benchmark's of the same hot lookup, minutes apart.

Run as `python tests/figures/agreement.py`; prints a line a lookup with the relative differences.
"""

from __future__ import annotations

import os
import statistics
import sys
import timeit
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch.utils.benchmark import Timer  # noqa: E402

from backends import load  # noqa: E402
from suite import data, ids, stats  # noqa: E402
from suite.case import Case, Sweep, plan  # noqa: E402
from suite.environment import available_bytes, cache_bytes  # noqa: E402
from suite.measure import Settings  # noqa: E402
from suite.supervisor import Supervisor  # noqa: E402
from suite.worker import Job  # noqa: E402

CASES = plan([Sweep((50257,), (768,), ("float32",), (2048, 8192, 16384), cache=("hot",))])
BACKENDS = ("numpy_take", "torch_index_select")


def main() -> None:
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    supervisor = Supervisor(60, available_bytes(), threads)
    found: dict[tuple[Case, str], float] = {}
    for case in CASES:
        settings = Settings(limit_s=15, cache_bytes=cache_bytes())
        for record in supervisor.measure(Job(case, "cpu", BACKENDS, "agreement", settings)):
            if record.samples is not None:
                found[case, record.backend] = stats.median(record.samples.call_s).value
    supervisor.close()
    for case in CASES:
        for name in BACKENDS:
            ours, theirs, torchs = found[case, name], *_others(case, name, threads)
            print(
                f"{name} batch {case.batch}: suite {ours * 1e6:.1f} us, timeit {theirs * 1e6:.1f} us "
                f"({ours / theirs - 1:+.1%}), torch {torchs * 1e6:.1f} us ({ours / torchs - 1:+.1%})"
            )


def _others(case: Case, name: str, threads: int) -> tuple[float, float]:
    """Medians of timeit and torch.utils.benchmark, in seconds."""
    arrays = data.HostArrays()
    table = data.build_table(arrays, *case.table)
    field = data.lay_out(case, arrays, table, [ids.draw(case, 0, 0)])
    backend = load(name)
    lookup = backend().prepare(*field.operands(field.slots[0], backend.view))
    timer = timeit.Timer(lookup)
    number, _ = timer.autorange()
    once = statistics.median(timer.repeat(30, max(1, number // 5))) / max(1, number // 5)
    torchs = Timer("lookup()", globals={"lookup": lookup}, num_threads=threads).blocked_autorange(
        min_run_time=3
    )
    return once, torchs.median


if __name__ == "__main__":
    main()
