"""How often verdicts are right: one backend under two names, and slowed by 5 % and 2 %, over a CPU grid.

Run as `python -m tests.tools.verdicts [SECONDS_PER_CASE]`; prints a line a case and the counts. Every case
takes its whole time; one is counted if both medians are then known to 2 %, the others carry a question mark.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from backends import choose
from suite import stats
from suite.cases.case import Sweep, plan
from suite.engine.measure import Settings
from suite.machine.cpu import cache_bytes
from suite.machine.environment import available_bytes
from suite.records.device import CPU
from suite.records.record import Record
from suite.worker import noise
from suite.worker.messages import Job
from suite.worker.noise import floor_of
from suite.worker.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]

BATCHES = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 32768)
GRID = plan(
    [
        Sweep((200_000,), (64, 768), ("float32",), BATCHES, cache=("cold", "hot")),
        Sweep((100_000,), (129, 2048), ("bfloat16",), BATCHES, cache=("cold", "hot")),
        Sweep((50_000,), (256,), ("float32",), (64, 512, 4096, 16384), distribution=("text", "zipf")),
    ]
)

SLOWED = '''"""numpy_take, then busy for {percent} % of the time it took."""

from time import perf_counter_ns

import numpy as np

from backends.base import Backend


class Slowed(Backend):
    devices = ("cpu",)

    def prepare(self, table, indices, out):
        def lookup():
            began = perf_counter_ns()
            np.take(table, indices, axis=0, out=out, mode="clip")
            ended = perf_counter_ns()
            until = ended + (ended - began) * {percent} // 100
            while perf_counter_ns() < until:
                pass
            return out

        return lookup
'''
CONVERGED = 0.02
NAMES = ("same_a", "same_b", "slowed_5", "slowed_2")


def main(limit_s: float) -> None:
    supervisor = Supervisor(60, available_bytes(), len(os.sched_getaffinity(0)))
    floor = floor_of(noise.ratios("cpu", supervisor, cache_bytes())) or 0.02
    print(f"noise floor {floor:.2%}, {len(GRID)} cases")
    ratios: dict[str, list[stats.Estimate]] = {name: [] for name in NAMES[1:]}
    with tempfile.TemporaryDirectory() as folder:
        which = tuple(map(choose, _write_backends(Path(folder))))
        for case in GRID:
            settings = Settings(precision=1e-5, limit_s=limit_s, cache_bytes=cache_bytes())
            records = supervisor.measure(Job(case, CPU, which, "figures", settings))
            print(case, *_judge(records, floor, ratios), sep="  ", flush=True)
    supervisor.close()
    for bound in (floor, 0.0, 0.005, 0.01, 0.02, 0.03):
        for name, found in ratios.items():
            count = Counter(stats.verdict(ratio, bound) for ratio in found)
            print(f"floor {bound:.2%}: {name} {dict(count)} of {count.total()} converged cases")


def _write_backends(folder: Path) -> list[str]:
    for name in NAMES[:2]:
        shutil.copy(ROOT / "backends/numpy_take.py", folder / f"{name}.py")
    for percent in (5, 2):
        (folder / f"slowed_{percent}.py").write_text(SLOWED.format(percent=percent))
    return [str(folder / f"{name}.py") for name in NAMES]


def _judge(records: Sequence[Record], floor: float, ratios: dict[str, list[stats.Estimate]]) -> list[str]:
    by_name = {record.backend: record for record in records}
    base, said = by_name["same_a"], []
    for name in NAMES[1:]:
        record = by_name[name]
        if record.samples is None or base.samples is None:
            said.append(f"{name} {record.status}: {record.reason}")
            continue
        ratio = stats.ratio(record.samples.call_s, base.samples.call_s)
        verdict = stats.verdict(ratio, floor)
        converged = all(stats.median(r.call_s).precision <= CONVERGED for r in (record.samples, base.samples))
        if converged:
            ratios[name].append(ratio)
        said.append(
            f"{name} {ratio.value:.3f} [{ratio.low:.3f} {ratio.high:.3f}] {verdict}{'' if converged else '?'}"
        )
    return [f"{stats.median(base.samples.call_s).value * 1e6:.0f} us" if base.samples else "-", *said]


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0)
