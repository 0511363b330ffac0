"""The suite's median against timeit's and torch.utils.benchmark's of the same hot lookup, minutes apart.

Run as `python tests/figures/agreement.py`; prints a line a lookup with the relative differences of the
medians of three turns each.
"""

from __future__ import annotations

import os
import statistics
import sys
import timeit
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # as in the suite's worker

import torch  # noqa: E402
from torch.utils.benchmark import Timer  # noqa: E402

from backends import load  # noqa: E402
from suite import data, ids, stats  # noqa: E402
from suite.case import Case, Sweep, plan  # noqa: E402
from suite.environment import available_bytes, cache_bytes  # noqa: E402
from suite.measure import Settings  # noqa: E402
from suite.supervisor import Supervisor  # noqa: E402
from suite.worker import Job  # noqa: E402

CASES = plan(
    [
        Sweep((50257,), (64,), ("float32",), (8192, 16384), cache=("hot",)),
        Sweep((100_000,), (129,), ("bfloat16",), (8192,), cache=("hot",)),
    ]
)
BACKENDS = ("numpy_take", "torch_index_select")
TURNS = 3


def main() -> None:
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    supervisor = Supervisor(60, available_bytes(), threads)
    found: dict[tuple[Case, str], list[tuple[float, float, float]]] = {}
    for case in CASES * TURNS:
        settings = Settings(limit_s=4, cache_bytes=cache_bytes())
        for record in supervisor.measure(Job(case, "cpu", BACKENDS, "agreement", settings)):
            if record.samples is not None and record.role == "backend":
                ours = stats.median(record.samples.call_s).value
                others = _others(case, record.backend, threads)
                found.setdefault((case, record.backend), []).append((ours, *others))
    supervisor.close()
    for case in CASES:
        for name in BACKENDS:
            ours, theirs, torchs = (
                statistics.median(column) for column in zip(*found[case, name], strict=True)
            )
            print(
                f"{name} {case.dim} {case.dtype} batch {case.batch}: suite {ours * 1e6:.1f} us, "
                f"timeit {theirs * 1e6:.1f} us ({ours / theirs - 1:+.1%}), "
                f"torch {torchs * 1e6:.1f} us ({ours / torchs - 1:+.1%})"
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
